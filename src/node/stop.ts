/** What a node's stop waits for, and for how long. Main thread. */
import type { ClusterMember } from '../cluster/membership.ts';
import type { Logger } from '../log.ts';
import type { OpenedStore } from '../store/store.ts';

/** A stop waits so many times as long as for claims for a database that answers, and no longer. */
const ANSWERING_DRAINS_MAX = 12;
/** How long a stop gives shards to other nodes; what is left then is taken over. */
const LEAVE_MS_MAX = 20_000;
/** How often a stop looks whether it waits for a database in vain. */
const LOOK_MS = 100;

export interface StopLimits {
  store: Pick<OpenedStore, 'isAnswering' | 'abandon'>;
  /** How long claims under way are waited for. */
  drainMsMax: number;
  logger: Logger;
}

/** Gives the node's shards to the other nodes, as far as there are any and the time lets it. */
export async function leaveCluster(
  member: ClusterMember,
  { store, drainMsMax, logger }: StopLimits,
  hasFailed: () => boolean,
): Promise<void> {
  member.leave();
  const begun = performance.now();
  while (member.isLeaving && !member.hasLeft && !hasFailed()) {
    // Without a database nothing is given to anybody.
    const isInVain = !store.isAnswering && performance.now() - begun > drainMsMax;
    if (isInVain || performance.now() - begun > LEAVE_MS_MAX) {
      logger.warn(`cluster: stopped with ${member.figures.shardsServed} shards: the others take them over`);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** A stop does not wait for a database for ever. What it has not taken was not acknowledged. Returns what ends the look. */
export function giveUpWaiting({ store, drainMsMax }: StopLimits): () => void {
  const begun = performance.now();
  const timer = setInterval(() => {
    const drains = (performance.now() - begun) / drainMsMax;
    if (drains < 1 || (store.isAnswering && drains < ANSWERING_DRAINS_MAX)) return;
    store.abandon();
    clearInterval(timer);
  }, LOOK_MS);
  return () => clearInterval(timer);
}

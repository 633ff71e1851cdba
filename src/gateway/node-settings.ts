/** How a node works that serves a gateway. Main thread. */
import type { TuneControl } from '../control/tune-control.ts';

/**
 * A group of claims waits so long for more. Each group costs a sync, and a gateway's payers send ahead, so that no request waits
 * for it: one that sends 6,000 claims a second in datagrams of 8 makes 300 groups of them, not 750.
 */
const GROUP_WAIT_MS = 2;

/** Suits a node to its gateway. What is set otherwise than at the start stays as it is. */
export function suitNode(tuning: TuneControl): void {
  const wait = tuning.settings().find(({ name }) => name === 'groupWaitMs');
  if (wait?.value === 0 && wait.max >= GROUP_WAIT_MS) tuning.set('groupWaitMs', GROUP_WAIT_MS);
}

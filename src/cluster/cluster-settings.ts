/** How a node of a cluster behaves in time, and how the numbers hang together. Milliseconds. */
import { assert } from '../errors.ts';
import { BEAT_MS } from '../store/heartbeat.ts';

export interface ClusterSettings {
  /** Between two beats of a node. */
  beatMs: number;
  /** Between two questions for the map's version and the members' beats. */
  pollMs: number;
  /** The same for a second after the map has changed: moves come one after the other, and their payers wait for each. */
  quickPollMs: number;
  /** A member whose beats stand still for so long is taken over. */
  takeoverMs: number;
  /** So much later each next survivor tries, by its rank: they do not all try at once, and a dead first one is not waited for. */
  rankMs: number;
  /** Between two batches of shards that a node gives away: the receiver has loaded one before it gets the next. */
  moveEveryMs: number;
  /** Shards of a batch, and their channels unless it is one shard: what is loaded while its channels are refused. */
  batchShards: number;
  batchChannels: number;
}

/**
 * After a kill the others wait for `takeoverMs` from the last beat that they saw; taking over, learning of it (`pollMs`) and
 * loading come on top. That leaves most of a second of the two within which channels are to be served again.
 */
const CLUSTER_SETTINGS: ClusterSettings = {
  beatMs: BEAT_MS,
  pollMs: 100,
  quickPollMs: 25,
  takeoverMs: 1_000,
  rankMs: 200,
  moveEveryMs: 250,
  batchShards: 64,
  batchChannels: 20_000,
};

export function clusterSettings(changed: Partial<ClusterSettings> = {}): ClusterSettings {
  const settings = { ...CLUSTER_SETTINGS, ...changed };
  // Two beats may be late or lost before anybody takes a living node over.
  assert(settings.takeoverMs >= 3 * settings.beatMs, 'a takeover waits for at least three beats');
  assert(settings.takeoverMs >= 4 * settings.pollMs, 'a takeover waits for at least four looks');
  return settings;
}

/** After a longer gap between two looks a node watches the others anew. */
export function gapMsMax({ takeoverMs }: ClusterSettings): number {
  return takeoverMs / 2;
}

/** What a pool of connections counts. Payer's thread; pool.ts and router.ts write it. */

export interface PoolStats {
  /** Open now, and on their way to be. */
  connections: number;
  opening: number;
  /** Connections made; tries that failed; ones that were up and got lost, by whatever end or cut. */
  opened: number;
  openFailures: number;
  resets: number;
  /** Of those resets, the ones cut because the node said nothing, or no protocol of ours. */
  cutSilent: number;
  cutGarbage: number;
  /** Idle ones closed above the minimum. */
  evicted: number;
  /** Channels put on a connection that was there already. */
  reused: number;
  /** Channels that had to wait for a connection, how long in all, and how many gave up. */
  waits: number;
  waitMs: number;
  waitTimeouts: number;
  waiting: number;
  /** Times a claim found too many bytes of its connection unsent. */
  held: number;
  /** Channels on connections. */
  channels: number;
  messagesSent: number;
  /** Acks of channels of no payer here; messages that held something else than whole acks. */
  unmatched: number;
  malformed: number;
  /** Health checks sent, as `hello`. */
  probes: number;
}

export class PoolCounters {
  opened = 0;
  openFailures = 0;
  resets = 0;
  cutSilent = 0;
  cutGarbage = 0;
  evicted = 0;
  reused = 0;
  waits = 0;
  waitMs = 0;
  waitTimeouts = 0;
  held = 0;
  messagesSent = 0;
  unmatched = 0;
  malformed = 0;
  probes = 0;
}

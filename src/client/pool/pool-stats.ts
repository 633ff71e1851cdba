/** What a pool of connections counts. Payer's thread; pool.ts and router.ts write it. */

export class PoolCounters {
  /** Connections made; tries that failed; ones that were up and got lost, by whatever end or cut. */
  opened = 0;
  openFailures = 0;
  resets = 0;
  /** Of those resets, the ones cut because the node said nothing, or no protocol of ours. */
  cutSilent = 0;
  cutGarbage = 0;
  /** Idle ones closed above the minimum. */
  evicted = 0;
  /** Channels put on a connection that was there already. */
  reused = 0;
  /** Channels that had to wait for a connection, how long in all, and how many gave up. */
  waits = 0;
  waitMs = 0;
  waitTimeouts = 0;
  /** Times a claim found too many bytes of its connection unsent. */
  held = 0;
  messagesSent = 0;
  /** Acks of channels of no payer here; messages that held something else than whole acks. */
  unmatched = 0;
  malformed = 0;
  /** Health checks sent, as `hello`. */
  probes = 0;
}

export interface PoolStats extends PoolCounters {
  /** Open now, and on their way to be. */
  connections: number;
  opening: number;
  /** Channels that wait for a connection, and channels on connections. */
  waiting: number;
  channels: number;
}

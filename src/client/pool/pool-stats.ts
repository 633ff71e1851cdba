/** What a pool of connections counts. Payer's thread; pool.ts and router.ts write it. */

export class PoolCounters {
  /** Connections made, attempts that failed, and connections that were up and were lost or cut. */
  opened = 0;
  openFailures = 0;
  resets = 0;
  /** Resets because the node was silent, or sent something other than the protocol. */
  cutSilent = 0;
  cutGarbage = 0;
  /** Idle connections closed above the minimum. */
  evicted = 0;
  /** Channels put on an existing connection. */
  reused = 0;
  /** Channels that waited for a connection, how long in total, and how many waited in vain. */
  waits = 0;
  waitMs = 0;
  waitTimeouts = 0;
  /** Claims whose connection had too many unsent bytes. */
  held = 0;
  messagesSent = 0;
  /** Acks of channels of no payer here, and messages that held something other than whole acks. */
  unmatched = 0;
  malformed = 0;
  /** Health checks sent, as `hello`. */
  probes = 0;
}

/** A connection pool's counters, and what it holds now. */
export interface PoolStats extends PoolCounters {
  /** Connections open now, and being opened. */
  connections: number;
  opening: number;
  /** Channels that wait for a connection, and channels on connections. */
  waiting: number;
  channels: number;
}

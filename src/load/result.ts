/**
 * What a load run found out, as `--json` prints it and the report draws it. Rates are claims a second, times as named.
 */

/** A latency distribution, milliseconds. */
export interface Latency {
  count: number;
  minMs: number;
  meanMs: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  p999Ms: number;
  p9999Ms: number;
  maxMs: number;
  /** HDR histogram of microseconds, compressed and base64: mergeable with any other run's. */
  hdr: string;
}

/** One interval of a run. */
export interface LoadInterval {
  /** Seconds since the step's measured part began, at the interval's end. */
  atSeconds: number;
  sentPerSecond: number;
  ackedPerSecond: number;
  /** Of claims acknowledged in the interval, from their intended send times; 0 where there were none. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Claims by the fault made of them. */
export interface FaultCounts {
  /** Signed, counted as a claim of the channel, not sent. */
  dropped: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  stale: number;
}

/** One rate held for one duration: a plain run is one step, a ramp is several. Warm-up is not in any figure. */
export interface LoadStep {
  /** Claims a second asked for; null for `--rate max`. */
  requestedRate: number | null;
  /** Claims a second that left. */
  achievedRate: number;
  /** Claims a second acknowledged as COMMITTED, first to last claim of the step. */
  ackedRate: number;
  seconds: number;
  /**
   * Claims that left, copies by `--dup` not counted: acked + already + refused + covered + unanswered of them; and the
   * datagrams (or stream payloads) that left.
   */
  sent: number;
  datagrams: number;
  /**
   * Claims covered by a COMMITTED ack; and those of them that were covered by a newer claim's: nothing says that these
   * ever arrived.
   */
  acked: number;
  ackedByNewer: number;
  /** Claims answered ALREADY, and not covered by a COMMITTED ack before. */
  already: number;
  /** Claims refused, by status name; those made to be refused are in `expectedRefusals` as well. */
  refused: Record<string, number>;
  expectedRefusals: number;
  /** Claims made to be refused that were not, but a newer claim of their channel is durable: never in `acked`. */
  covered: number;
  /** Claims nothing was heard of within the time-out. */
  unanswered: number;
  /** Acks that said nothing new; acks below an earlier one of their channel. */
  duplicateAcks: number;
  outOfOrderAcks: number;
  /** Frames that were no ack of one of the channels. */
  strayAcks: number;
  /** Faults made on purpose. */
  faults: FaultCounts;
  /**
   * Claims that left later than they were meant to, by more than `lateMs`, and those that never left; `blocked` of both
   * waited for a socket that was full, which is not the generator's slowness.
   */
  late: { claims: number; lateMs: number; maxMs: number; unsent: number; blocked: number };
  /** From the intended send time (coordinated omission corrected), and from when it really left. */
  latency: Latency;
  uncorrected: Latency;
  intervals: LoadInterval[];
  /** What became of the step's claims on their way; null where the node did not say. */
  delivery: Delivery | null;
}

/** Whether every acknowledged amount is at the node, asked over its admin interface after the run. */
export interface Reconciliation {
  channels: number;
  /** Drops acknowledged and drops the node says are committed, over all channels, as decimal strings. */
  acknowledgedDrops: string;
  committedDrops: string;
  /** Channels whose committed amount is below what was acknowledged: must be 0. */
  short: number;
}

/**
 * What came of all claims on their way, warm-up included: acks are cumulative, so a lost claim may be acknowledged by a
 * newer one, and only these numbers tell. The node's are what it counted meanwhile, from whomever.
 */
export interface Delivery {
  /** Claims handed to the sockets, copies by `--dup` included. */
  sent: number;
  received: number;
  verified: number;
  /** Claims covered by a COMMITTED ack, and those of them that only a newer claim's ack covered. */
  acknowledged: number;
  acknowledgedByNewer: number;
  /** Messages the node's sockets had no room for, and messages with acks that ours had none for. */
  nodeDrops: number;
  ackDrops: number;
}

/** A figure beside its bound. */
export interface LoadCheck {
  name: 'loss' | 'refused' | 'p99';
  unit: 'share' | 'ms';
  /** Null where nothing was acknowledged. */
  value: number | null;
  bound: number;
  held: boolean;
}

export interface LoadResult {
  startedAt: string;
  machine: string;
  node: string;
  to: string;
  /** How claims were sent: native (sendmmsg, UDP_SEGMENT), dgram or tcp. */
  sender: string;
  /** What signed them: native, wasm, or corpus or replay, where that was done before. */
  signer: string;
  /** What the node says of itself in /stats at the end, where its admin interface answered. */
  target: { backend: string; kernel: string | null; layout: string } | null;
  settings: {
    channels: number;
    keys: number;
    perDatagram: number;
    arrivals: string;
    skew: string;
    sockets: number;
    window: number;
    seed: number;
    sloMs: number;
    lossMax: number;
    refusedMax: number;
    durationSeconds: number;
    warmupSeconds: number;
    faults: Record<string, number>;
  };
  steps: LoadStep[];
  /** Highest rate of a ramp that left whole and kept all bounds; null without a ramp or where none held. */
  knee: { requestedRate: number; ackedRate: number; p99Ms: number } | null;
  reconciliation: Reconciliation | null;
  /** Null where the node did not say. */
  delivery: Delivery | null;
  /** What the verdict comes from: a ramp's are those of its knee, or of its lowest rate where none held. */
  checks: LoadCheck[];
  /** INTERRUPTED whatever the figures say: what was asked for was not done. */
  outcome: 'PASS' | 'FAIL' | 'INTERRUPTED';
  /** Whether the outcome is PASS: all checks held, something was acknowledged and no acknowledged amount is missing. */
  pass: boolean;
  /** What limited the run and what was found, one sentence each. */
  verdict: string[];
}

/** The result of a load run, as `--json` prints it and the report draws it. Rates are claims a second. */
import type { Hiccups } from '../native/hiccups.ts';
import type { LoadBounds, LoadSettings } from './settings.ts';

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
  /** An HDR histogram of microseconds, compressed, in base64. It can be merged with the histograms of other runs. */
  hdr: string;
}

/** One interval of a run. */
export interface LoadInterval {
  /** Seconds since the step's measured part began, at the interval's end. */
  atSeconds: number;
  sentPerSecond: number;
  ackedPerSecond: number;
  /** Latencies from the intended send time of claims acknowledged in the interval; 0 where there were none. */
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** Numbers of claims by the fault that was made. */
export interface FaultCounts {
  /** Signed and counted as claims of their channels, but not sent. */
  dropped: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  stale: number;
}

/** One rate for one duration. A plain run is one step, a ramp is several. Warm-up is in no figure. */
export interface LoadStep {
  /** The rate asked for; null for `--rate max`. */
  requestedRate: number | null;
  /** The rate at which claims left. */
  achievedRate: number;
  /** The rate at which claims were acknowledged as COMMITTED. */
  ackedRate: number;
  seconds: number;
  /** Claims that left, without copies by `--dup`: the sum of acked, already, refused, covered and unanswered. */
  sent: number;
  /** Datagrams (or stream payloads) that left. */
  datagrams: number;
  /** Claims covered by a COMMITTED ack. */
  acked: number;
  /** Those of `acked` that only the ack of a newer claim covered, so that they may never have arrived. */
  ackedByNewer: number;
  /** Claims answered ALREADY that no COMMITTED ack had covered before. */
  already: number;
  /**
   * Over a cluster: answers MOVED, whose claims still wait for an answer, and claims sent once more to the node that holds their
   * channel then. In no other count.
   */
  moved: number;
  resent: number;
  /** Claims refused, by status name; `expectedRefusals` are those of them that were made to be refused. */
  refused: Record<string, number>;
  expectedRefusals: number;
  /** Claims made to be refused that were not refused, but a newer claim of their channel is durable. Not in `acked`. */
  covered: number;
  /** Claims without any answer in time. */
  unanswered: number;
  /** Acks that said nothing new, and acks below an earlier one of their channel. */
  duplicateAcks: number;
  outOfOrderAcks: number;
  /** Frames that were no ack of one of the channels. */
  strayAcks: number;
  /** Faults made on purpose. */
  faults: FaultCounts;
  /** Claims that left more than `lateMs` late, and those that never left; `blocked` of both waited for a full socket. */
  late: { claims: number; lateMs: number; maxMs: number; unsent: number; blocked: number };
  /** `latency` counts from the intended send time (which corrects coordinated omission), `uncorrected` from the actual. */
  latency: Latency;
  uncorrected: Latency;
  /**
   * Wire to wire: from the system call that sent a claim until the system had its ack, so without what the generator took for
   * packing and reading. Null where the sockets do not tell (all but native ones).
   */
  wire: Latency | null;
  intervals: LoadInterval[];
  /** The delivery of the step's claims; null where the node's admin interface did not answer. */
  delivery: Delivery | null;
  /**
   * How late threads were woken, in the generator's process and in the node's, that only sleep for a millisecond and look at the
   * clock: what the machine itself adds to latencies, warm-up included. Null where it is not known.
   */
  hiccups: { generator: Hiccups | null; node: Hiccups | null } | null;
}

/** Whether every acknowledged amount is committed, by the node's admin interface after the run. */
export interface Reconciliation {
  channels: number;
  /** Drops acknowledged, and drops committed at the node, over all channels, as decimal strings. */
  acknowledgedDrops: string;
  committedDrops: string;
  /** Channels that have less committed than was acknowledged: must be 0. */
  short: number;
}

/**
 * How many claims passed each stage, warm-up included. Acks are cumulative, so the ack of a newer claim may cover a lost
 * one, and only these numbers show it. The node counts the claims of all its payers.
 */
export interface Delivery {
  /** Claims handed to the sockets, copies by `--dup` and those sent once more to another node included. */
  sent: number;
  received: number;
  verified: number;
  /** Claims covered by a COMMITTED ack, and those of them that only a newer claim's ack covered. */
  acknowledged: number;
  acknowledgedByNewer: number;
  /** Messages that the node's sockets had no room for, and messages with acks that the generator's had no room for. */
  nodeDrops: number;
  ackDrops: number;
}

/** A figure compared with its bound. */
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
  /** What signed them: native or wasm, or corpus or replay where they were signed before. */
  signer: string;
  /** What the node's /stats said at the end; null where its admin interface did not answer. */
  target: { backend: string; kernel: string | null; layout: string } | null;
  settings: LoadBounds &
    Pick<LoadSettings, 'channels' | 'keys' | 'perDatagram' | 'sockets' | 'window' | 'seed'> & {
      arrivals: string;
      skew: string;
      durationSeconds: number;
      warmupSeconds: number;
      faults: Record<string, number>;
    };
  steps: LoadStep[];
  /** The highest rate of a ramp at which all claims left and all bounds were kept; null if there is none. */
  knee: { requestedRate: number; ackedRate: number; p99Ms: number } | null;
  reconciliation: Reconciliation | null;
  /** Null where the node's admin interface did not answer. */
  delivery: Delivery | null;
  /** The checks behind the verdict. A ramp's are those of its knee, or of its first rate where there is no knee. */
  checks: LoadCheck[];
  /** An interrupted run is INTERRUPTED whatever its figures are. */
  outcome: 'PASS' | 'FAIL' | 'INTERRUPTED';
  /** Whether the outcome is PASS: all checks held, a claim was acknowledged, and no acknowledged amount is missing. */
  pass: boolean;
  /** What limited the run and what it found, in one sentence each. */
  verdict: string[];
}

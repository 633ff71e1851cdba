/**
 * One look at a running node: what happened since the look before, and how things stand. The live page, `claimwire top` and
 * the optimiser read these; GET /feed sends one a second. All of it is JSON.
 */
import type { Stage } from '../control/measure-control.ts';

/** Percentiles of what was seen since the last sample, in milliseconds; all 0 where `count` is. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface LaneSample {
  readonly ring: { readonly depth: number; readonly slots: number };
  readonly ack: Percentiles;
}

export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Seconds since the last sample, by the monotonic clock: what the rates below are over. */
  readonly seconds: number;
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  /** Per second, over the last sample's time. */
  readonly rates: {
    readonly datagrams: number;
    readonly received: number;
    readonly committed: number;
    readonly already: number;
    readonly acked: number;
    readonly refused: number;
    readonly dropped: number;
    readonly groups: number;
    readonly syncs: number;
    readonly journalBytes: number;
    readonly charges: number;
    /** Sequence numbers that `link` channels missed: claims that were lost on their way. */
    readonly linkGaps: number;
  };
  /** The reasons of `refused` and `dropped`, per second; those above 0 alone. */
  readonly refused: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  /** From a claim's arrival to its ack, over all lanes. */
  readonly ack: Percentiles;
  /** Where that time goes. */
  readonly stages: Readonly<Record<Stage, Percentiles>>;
  readonly sync: Percentiles;
  /** Claims a group commit: mean of this sample. */
  readonly groupClaims: number;
  /** Shares of one core that the threads were busy with each stage; together up to the number of threads. */
  readonly busy: Readonly<Record<'receive' | 'verify' | 'commit' | 'write' | 'send', number>>;
  readonly ring: { readonly depth: number; readonly slots: number };
  readonly lanes: readonly LaneSample[];
  readonly channels: { readonly open: number; readonly max: number };
  /** Drops, decimal: committed and not yet redeemed, over all channels. */
  readonly exposureDrops: string;
  /** The cache of key tables (verify/kernel.ts); null where the backend has none. */
  readonly keyTables: Readonly<Record<string, number>> | null;
  readonly connections: { readonly tcp: number; readonly websocket: number; readonly webrtc: number };
  /** Bytes: what the system cannot take back from the process, and the machine's or the container's limit. */
  readonly memory: { readonly resident: number; readonly limit: number };
  /** The ledger connection's health as GET /stats shows it; null without one. */
  readonly ledger: unknown;
  /** The node's part in its cluster, as GET /cluster has it; left out without --cluster. */
  readonly cluster?: {
    readonly epoch: number;
    readonly version: number;
    readonly members: number;
    readonly silent: number;
    readonly isLeaving: boolean;
    readonly shardsServed: number;
    readonly shardsWanted: number;
    readonly shardsMoving: number;
  };
  /** How the node and its database get on; left out where the node keeps its channels itself. */
  readonly database?: {
    /** Milliseconds since it last answered. */
    readonly silentMs: number;
    /** Appends that were made again since the node began. */
    readonly retried: number;
    /** Null where they are not known. */
    readonly standbys: { readonly synchronous: number; readonly other: number; readonly lagSeconds: number } | null;
  };
  /** What holds the node back (metrics/bottleneck.ts), in a sentence, and what to change; null where the machine is not looked at. */
  readonly bottleneck: { readonly cause: string; readonly text: string; readonly change: string } | null;
}

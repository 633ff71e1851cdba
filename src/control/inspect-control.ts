/**
 * What an operator may look into while a node runs: the way of one channel's claims, and where its threads spend their time.
 * node.ts implements it. Neither costs anything while nobody asks.
 */

/** How one claim of a channel went through a ring, as far as looks from beside the path could see it. */
export interface TracedClaim {
  readonly channelId: string;
  /** The ring, which in the layout `lanes` is the lane. */
  readonly lane: number;
  /** Drops, cumulative, decimal. */
  readonly amount: string;
  /** Of a `link` channel; 0 otherwise. */
  readonly sequence: number;
  /** The transport and, where it has one, the address: `udp 192.0.2.7:4096`. */
  readonly from: string;
  /** `passed`: it left the ring between two looks, so its verdict was not seen. */
  readonly outcome: 'committed' | 'badSignature' | 'superseded' | 'refused' | 'passed';
  /** Milliseconds since 1970, with a fraction: when it was first seen in the ring. */
  readonly at: number;
  /** Microseconds from then until its verdict was seen; null where it was there at the first look, or never seen. */
  readonly verifyUs: number | null;
  /** Microseconds from its first sight until it had left the ring: committed, or refused. */
  readonly doneUs: number;
  /** The longest time between two of the looks that these figures are from: their error. */
  readonly resolutionUs: number;
}

export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface TraceSummary {
  readonly seconds: number;
  /** Claims of the channel that were seen, and of these, those that were not told since they were too many. */
  readonly claims: number;
  readonly untold: number;
  /** Slots of all rings that were looked at, and those that were used again before a look: some may have been the channel's. */
  readonly slots: number;
  readonly missedSlots: number;
  readonly looks: number;
  /** Microseconds between two looks. */
  readonly resolutionUs: Quantiles;
  readonly verifyUs: Quantiles;
  readonly doneUs: Quantiles;
}

export interface TraceOptions {
  seconds: number;
  signal?: AbortSignal | undefined;
  /** Called with claims that have left the ring, some at a time. */
  onClaims(claims: readonly TracedClaim[]): void;
}

/** A CPU profile of one thread, in the form of Chrome's developer tools (.cpuprofile). */
export interface ThreadProfile {
  /** main, lane 1, verifier 2 and so on. */
  readonly name: string;
  readonly profile: CpuProfile;
}

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
    readonly children?: readonly number[];
  }[];
  /** Microseconds. */
  readonly startTime: number;
  readonly endTime: number;
  /** A node's id for each sample, and the microseconds before it. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface NodeProfile {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly seconds: number;
  readonly nodeVersion: string;
  readonly threads: readonly ThreadProfile[];
  /** Functions of the addon in C: V8 sees one entry for all of them, and names it after any. */
  readonly addonFunctions: readonly string[];
  /** Threads that did not answer in time. */
  readonly silent: readonly string[];
}

export interface InspectControl {
  /** Throws CHANNEL_UNKNOWN, or NODE_BUSY where too many traces run. Resolves when the seconds are over or `signal` aborts. */
  trace(channelId: bigint, options: TraceOptions): Promise<TraceSummary>;
  /** Throws NODE_BUSY while another profile is made. `signal` ends it early, with what there is. */
  profile(seconds: number, signal?: AbortSignal): Promise<NodeProfile>;
}

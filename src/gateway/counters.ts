/** What a gateway counts, shown by the admin interface's GET /stats under `gateway`. Main thread. */
import { PROBLEM_TITLES, type ProblemType } from './scheme.ts';

export interface GatewayCounters {
  requests: number;
  /** Of routes without a price. */
  free: number;
  paidByVoucher: number;
  paidBySession: number;
  /** Answered again from the store: not charged. */
  replayed: number;
  /** Charges taken back because the upstream failed before its first byte. */
  refunded: number;
  /** Drops charged less drops refunded. */
  drops: bigint;
  opened: number;
  closed: number;
  notFound: number;
  /** Answered 503: too much is going on here or in the node. */
  busy: number;
  /** Passed on to the gateway of the node that holds the channel, and those of them without a whole answer. */
  forwarded: number;
  forwardFailed: number;
  /** No answer of the upstream, or none that can be passed on. */
  upstreamFailed: number;
  /** The upstream's answer broke off after its first byte. */
  upstreamCut: number;
  /** The client went before it had the whole answer. */
  clientGone: number;
  /** The upstream's answer was thrown away: its charge was reserved, and its commit failed. */
  withheld: number;
  /** Streams that ended because nobody paid for more. */
  streamsUnpaid: number;
  upgradesRefused: number;
  /** Bytes that are no request that the gateway reads: too long a head, or no HTTP. */
  badRequests: number;
  /** Our own faults, answered 500; the log says more. */
  failed: number;
  /** Answers 402 by the type of the problem. */
  problems: Record<ProblemType, number>;
}

export function newCounters(): GatewayCounters {
  const problems = Object.fromEntries(Object.keys(PROBLEM_TITLES).map((type) => [type, 0]));
  return {
    requests: 0,
    free: 0,
    paidByVoucher: 0,
    paidBySession: 0,
    replayed: 0,
    refunded: 0,
    drops: 0n,
    opened: 0,
    closed: 0,
    notFound: 0,
    busy: 0,
    forwarded: 0,
    forwardFailed: 0,
    upstreamFailed: 0,
    upstreamCut: 0,
    clientGone: 0,
    withheld: 0,
    streamsUnpaid: 0,
    upgradesRefused: 0,
    badRequests: 0,
    failed: 0,
    problems: problems as Record<ProblemType, number>,
  };
}

/** Ready for JSON: drops as a decimal string. */
export function countersJson({ drops, ...counters }: GatewayCounters): Record<string, unknown> {
  return { ...counters, drops: String(drops) };
}

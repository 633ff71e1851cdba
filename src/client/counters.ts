/** What a payer counts, and the distribution of its claims' waiting times. Payer's thread. */
import { statusName } from '../../protocol/layout.ts';
import type { LinkStats } from './links/peer-link.ts';
import { WaitHistogram } from './wait-histogram.ts';

/** A distribution of milliseconds. */
export interface Percentiles {
  count: number;
  minMs: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

/** What a payer has sent and received, and what it waits for. */
export interface PayerStats extends LinkStats {
  /** Claims sent, retransmissions and leaves of Merkle batches included. */
  claimsSent: number;
  /** Roots of Merkle batches signed; absent without `roots`. */
  rootsSigned?: number;
  /** Claims sent again (`xrpl`, `link`), or newer ones sent for them, because no ack came in time or a connection was lost. */
  retransmits: number;
  /** Questions what the node holds of a channel, retransmissions included; asked before each channel's first pay(). */
  questionsSent: number;
  /** Acks of claims by the name of their status, also acks that changed nothing. */
  acks: Record<string, number>;
  /** Acks of channels or sequences that are not this payer's, or with an unknown status. */
  unmatched: number;
  /** Messages that held something other than whole acks. */
  malformed: number;
  /** Sends, receives and connections that failed, e.g. because nothing listened at the peer. */
  socketErrors: number;
  /** Promises not yet settled. */
  waiting: number;
  /** Claims sent and not yet acknowledged, what the window allows now, and channels waiting for room in it. */
  inFlight: number;
  window: number;
  queued: number;
  smoothedRttMs: number;
  rttVariationMs: number;
  rtoMs: number;
  /** From the call of claim() to its covering ack, per claim: queueing and retransmissions included. */
  rtt: Percentiles;
}

export class PayerCounters {
  claimsSent = 0;
  retransmits = 0;
  questionsSent = 0;
  unmatched = 0;
  malformed = 0;
  socketErrors = 0;
  /** Why the socket last failed, for the message of a timeout; cleared by any ack. */
  lastSocketError: string | undefined;
  readonly acksByStatus = new Float64Array(256);
  readonly #waits = new WaitHistogram();

  socketFault(error: Error): void {
    this.socketErrors += 1;
    this.lastSocketError = (error as { code?: string }).code ?? error.message;
  }

  waited(milliseconds: number): void {
    this.#waits.record(milliseconds * 1000);
  }

  acks(): Record<string, number> {
    const named: Record<string, number> = {};
    this.acksByStatus.forEach((count, status) => {
      if (count > 0) named[statusName(status)] = count;
    });
    return named;
  }

  rtt(): Percentiles {
    const waits = this.#waits;
    const at = (percent: number): number => waits.percentile(percent) / 1000;
    return {
      count: waits.count,
      minMs: waits.min / 1000,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: waits.max / 1000,
    };
  }
}

/**
 * Asking a node, over any link, whether it holds so much of a channel already, without paying.
 *
 * A question is a claim whose signature nobody can have made: rule 6 of the protocol (equal or lower: ALREADY, whatever
 * the signature) stands before rule 7 (the signature), so the node answers ALREADY where it holds the amount and a
 * refusal where it does not. Payer's thread. Answers are known by the question's own timestamp, 52 random bits.
 */
import { randomBytes } from 'node:crypto';
import { encodeClaim } from '../../protocol/claim.ts';
import {
  ACK_AMOUNT,
  ACK_CHANNEL_ID,
  ACK_SEQUENCE,
  ACK_STATUS,
  ACK_TIMESTAMP,
  CLAIM_BYTES,
  CLAIM_TIMESTAMP,
  SIGNATURE_BYTES,
  STATUS,
  STATUS_FIRST_REFUSAL,
} from '../../protocol/layout.ts';
import { closedError, refusedError, timeoutError } from './claim-errors.ts';
import type { Clock } from './clock.ts';
import type { PayerCounters } from './counters.ts';
import type { PeerLink } from './links/peer-link.ts';
import type { RttEstimator } from './rto.ts';

export interface QuestionParts {
  readonly link: PeerLink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: PayerCounters;
  readonly rtt: RttEstimator;
  readonly ackTimeoutMs: number;
}

/**
 * Asked at once; the others wait in line. A node answers 4,000 refusals to one address at once and then 2,000 a second,
 * so more at a time would only be sent again.
 */
const OPEN_MAX = 64;
/** r, s and Ed25519's S all lie above their groups' orders: no key, not even one of small order, has this signature. */
const NOBODYS_SIGNATURE = new Uint8Array(SIGNATURE_BYTES).fill(0xff);
/** The one a payer's own claims come to last, so that acks of claims are told apart by a look at a number. */
export const QUESTION_SEQUENCE = 0;
/** Settled questions whose answers may come again: what is doubled on the way comes soon. */
const SETTLED_MAX = 1_024;
/** The upper 12 bits of an f64 in 2^40..2^41: as milliseconds a date between 2004 and 2039. */
const TIMESTAMP_PREFIX = 0x427n << 52n;

/** What the refusal of a question says: the amount is above what is committed. */
const ABOVE: readonly number[] = [STATUS.BAD_SIGNATURE, STATUS.OVER_CAPACITY, STATUS.BAD_AMOUNT];

interface Question {
  readonly channelId: bigint;
  readonly amount: bigint;
  readonly claim: DataView;
  readonly deadline: number;
  readonly resolve: (isHeld: boolean) => void;
  readonly reject: (error: Error) => void;
  backoff: number;
  sentAt: number;
  cancelTimer: () => void;
}

/** One that is not sent yet. */
interface InLine {
  readonly channelId: bigint;
  readonly amount: bigint;
  readonly since: number;
  readonly begin: () => void;
  readonly reject: (error: Error) => void;
}

export class Questions {
  readonly #parts: QuestionParts;
  /** By the bits of their timestamps. */
  readonly #open = new Map<bigint, Question>();
  /** Of those settled last, in order. */
  readonly #settled = new Set<bigint>();
  #line: InLine[] = [];
  /** When the node last answered any of them. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: QuestionParts) {
    this.#parts = parts;
  }

  /** Questions that wait for an answer. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Whether `amount` of the channel is durable at the node. Rejects with ClaimwireError: CLAIM_REFUSED (the channel is
   * unknown or closed), ACK_TIMEOUT, PAYER_CLOSED.
   */
  async ask(channelId: bigint, amount: bigint): Promise<boolean> {
    if (this.#open.size >= OPEN_MAX)
      await new Promise<void>((begin, reject) => {
        this.#line.push({ channelId, amount, since: this.#parts.clock.now(), begin, reject });
      });
    if (this.#closed) throw closedError();
    return await new Promise<boolean>((resolve, reject) => {
      const bits = TIMESTAMP_PREFIX | (randomBytes(8).readBigUInt64BE() >> 12n);
      const claim = new DataView(new ArrayBuffer(CLAIM_BYTES));
      encodeClaim(claim, 0, {
        channelId,
        sequence: QUESTION_SEQUENCE,
        amount,
        signature: NOBODYS_SIGNATURE,
        timestamp: 0,
      });
      claim.setBigUint64(CLAIM_TIMESTAMP, bits);
      const deadline = this.#parts.clock.now() + this.#parts.ackTimeoutMs;
      const settle = { resolve, reject, cancelTimer: () => {} };
      this.#open.set(bits, { channelId, amount, claim, deadline, backoff: 0, sentAt: 0, ...settle });
      this.#send(bits);
    });
  }

  /** Takes the ack at `offset` if it answers a question. */
  answer(view: DataView, offset: number): boolean {
    const bits = view.getBigUint64(offset + ACK_TIMESTAMP);
    const question = this.#open.get(bits);
    if (question === undefined) return this.#settled.has(bits);
    if (view.getBigUint64(offset + ACK_CHANNEL_ID) !== question.channelId) return false;
    const { clock, rtt } = this.#parts;
    const status = view.getUint8(offset + ACK_STATUS);
    const amount = view.getBigUint64(offset + ACK_AMOUNT);
    const now = clock.now();
    this.#answeredAt = now;
    if (status === STATUS.OVERLOADED) {
      question.backoff = Math.max(question.backoff, 1);
      this.#arm(bits, question);
      return true;
    }
    const isHeld = status <= STATUS.ALREADY && amount >= question.amount;
    const isAbove = ABOVE.includes(status);
    if (!isHeld && !isAbove && status < STATUS_FIRST_REFUSAL) return true;
    this.#end(bits, question);
    // Karn's rule: only what was sent once.
    if (question.backoff === 0) rtt.sample(now - question.sentAt);
    if (isHeld || isAbove) question.resolve(isHeld);
    else {
      const sequence = view.getUint32(offset + ACK_SEQUENCE);
      const timestamp = view.getFloat64(offset + ACK_TIMESTAMP);
      const refusal = { status, channelId: question.channelId, sequence, amount, timestamp };
      question.reject(refusedError(refusal, question.amount, now - question.sentAt));
    }
    return true;
  }

  /** Sends those of the channel again; of every channel by default. */
  resend(channelId?: bigint): void {
    for (const [bits, question] of this.#open)
      if (channelId === undefined || question.channelId === channelId) this.#send(bits);
  }

  close(): void {
    this.#closed = true;
    this.reject(closedError);
  }

  /** Ends all of them, also those in line. */
  reject(error: () => Error): void {
    for (const { reject } of this.#line.splice(0)) reject(error());
    for (const [bits, question] of this.#open) {
      this.#end(bits, question);
      question.reject(error());
    }
  }

  #send(bits: bigint): void {
    const question = this.#open.get(bits)!;
    const { link, clock, counters } = this.#parts;
    question.sentAt = clock.now();
    if (link.send(question.claim, 0)) counters.questionsSent += 1;
    this.#arm(bits, question);
  }

  #arm(bits: bigint, question: Question): void {
    const { clock, rtt, random } = this.#parts;
    const delayMs = Math.min(rtt.delayMs(question.backoff, random()), question.deadline - clock.now());
    question.cancelTimer();
    question.cancelTimer = clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      // After a stall of this thread the answers that came meanwhile are read first.
      clock.afterInput(() => {
        if (this.#open.get(bits) === question) this.#expire(bits, question);
      });
    });
  }

  #expire(bits: bigint, question: Question): void {
    const { link, clock, counters, ackTimeoutMs } = this.#parts;
    if (clock.now() < question.deadline) {
      question.backoff += 1;
      this.#send(bits);
      return;
    }
    const late = ({ channelId, amount }: Pick<Question, 'channelId' | 'amount'>) =>
      timeoutError(link.peer, channelId, amount, ackTimeoutMs, counters.lastSocketError);
    if (this.#answeredAt < question.deadline - ackTimeoutMs) this.#giveUpLine(late);
    this.#end(bits, question);
    question.reject(late(question));
  }

  /** To a node that answers nothing those in line are not sent one time-out after the other: they have waited for it too. */
  #giveUpLine(late: (waiting: InLine) => Error): void {
    const since = this.#parts.clock.now() - this.#parts.ackTimeoutMs;
    while (this.#line.length > 0 && this.#line[0]!.since <= since) {
      const waiting = this.#line.shift()!;
      waiting.reject(late(waiting));
    }
  }

  #end(bits: bigint, question: Question): void {
    question.cancelTimer();
    this.#open.delete(bits);
    this.#settled.add(bits);
    if (this.#settled.size > SETTLED_MAX) for (const oldest of this.#settled) if (this.#settled.delete(oldest)) break;
    this.#line.shift()?.begin();
  }
}

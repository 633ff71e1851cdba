/**
 * Asks a node, over any link and without paying, whether it already holds a given amount of a channel. Payer's thread.
 *
 * A question is a claim with a signature that is never valid. Rule 6 of the protocol (an amount that is not higher is
 * ALREADY, whatever the signature) comes before rule 7 (the signature), so the node answers ALREADY where it holds the
 * amount and a refusal where it does not. The answer is recognised by the question's timestamp, 52 random bits.
 */
import { encodeClaim } from '../../protocol/claim.ts';
import {
  ACK_AMOUNT,
  ACK_CHANNEL_ID,
  ACK_SEQUENCE,
  ACK_STATUS,
  ACK_TIMESTAMP,
  CLAIM_BYTES,
  CLAIM_TIMESTAMP,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
  SIGNATURE_BYTES,
  STATUS,
  STATUS_FIRST_REFUSAL,
} from '../../protocol/layout.ts';
import { frameBytes, writeFrame } from '../../protocol/merkle-frame.ts';
import { closedError, refusedError, timeoutError } from './claim-errors.ts';
import type { Clock } from './clock.ts';
import type { PayerCounters } from './counters.ts';
import type { PeerLink } from './links/peer-link.ts';
import { BACKOFF_DOUBLINGS_ALIVE_MAX } from './rto.ts';
import type { SendPath } from './send-path.ts';

export interface QuestionParts {
  readonly link: PeerLink;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: PayerCounters;
  /** Of a payer with one node. */
  readonly path: SendPath;
  readonly ackTimeoutMs: number;
  /** Where the payer signs roots: a leaf is asked about, as an ordinary claim that is durable by leaves alone is not refused as ALREADY. */
  readonly roots?: object | undefined;
}

/**
 * Questions open at a time; the others wait in line. A node sends one address 4,000 refusals at once and then 2,000 a
 * second, so more questions would only be sent again.
 */
const OPEN_MAX = 64;
/** r, s and Ed25519's S are all above their groups' orders: for no key, not even one of small order, is this valid. */
const INVALID_SIGNATURE = new Uint8Array(SIGNATURE_BYTES).fill(0xff);
/** A payer's own claims reach this sequence last, so that it tells acks of questions from those of nearly all claims. */
export const QUESTION_SEQUENCE = 0;
/** Ended questions that are remembered, since an answer may come twice; a second copy comes soon. */
const ENDED_MAX = 1_024;
/** The upper 12 bits of an f64 in 2^40..2^41: as milliseconds a date between 2004 and 2039. */
const TIMESTAMP_PREFIX = 0x427n << 52n;

/** Refusals of a question that mean that the amount is above what is committed. */
const ABOVE: readonly number[] = [STATUS.BAD_SIGNATURE, STATUS.OVER_CAPACITY, STATUS.BAD_AMOUNT, STATUS.ROOT_EXPOSURE];

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

/** A question that is not sent yet. */
interface InLine extends Pick<Question, 'channelId' | 'amount' | 'reject'> {
  readonly since: number;
  readonly begin: () => void;
}

export class Questions {
  readonly #parts: QuestionParts;
  /** By the bits of their timestamps. */
  readonly #open = new Map<bigint, Question>();
  /** The timestamps of the last ones that ended, in order. */
  readonly #ended = new Set<bigint>();
  #line: InLine[] = [];
  /** When the node last answered any of them. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: QuestionParts) {
    this.#parts = parts;
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
      const [random] = crypto.getRandomValues(new BigUint64Array(1));
      const bits = TIMESTAMP_PREFIX | (random! >> 12n);
      const claim =
        this.#parts.roots === undefined ? claimOf(channelId, amount, bits) : leafOf(channelId, amount, bits);
      const deadline = this.#parts.clock.now() + this.#parts.ackTimeoutMs;
      const state = { backoff: 0, sentAt: 0, cancelTimer: () => {} };
      this.#open.set(bits, { channelId, amount, claim, deadline, resolve, reject, ...state });
      this.#send(bits);
    });
  }

  /** Handles the ack at `offset` and returns true, if it answers a question. */
  answer(view: DataView, offset: number): boolean {
    const bits = view.getBigUint64(offset + ACK_TIMESTAMP);
    const question = this.#open.get(bits);
    if (question === undefined) return this.#ended.has(bits);
    if (view.getBigUint64(offset + ACK_CHANNEL_ID) !== question.channelId) return false;
    const { clock } = this.#parts;
    const status = view.getUint8(offset + ACK_STATUS);
    const amount = view.getBigUint64(offset + ACK_AMOUNT);
    const now = clock.now();
    this.#answeredAt = now;
    const isMoved = status === STATUS.MOVED && this.#parts.link.moved !== undefined;
    if (isMoved) this.#parts.link.moved?.(question.channelId, amount);
    if (status === STATUS.OVERLOADED || isMoved) {
      question.backoff = Math.max(question.backoff, 1);
      this.#arm(bits, question);
      return true;
    }
    const isHeld = status <= STATUS.ALREADY && amount >= question.amount;
    const isAbove = ABOVE.includes(status);
    if (!isHeld && !isAbove && status < STATUS_FIRST_REFUSAL) return true;
    this.#end(bits, question);
    // Karn's rule: only questions that were sent once are measured.
    if (question.backoff === 0) this.#pathOf(question.channelId).rtt.sample(now - question.sentAt);
    if (isHeld || isAbove) question.resolve(isHeld);
    else {
      const sequence = view.getUint32(offset + ACK_SEQUENCE);
      const timestamp = view.getFloat64(offset + ACK_TIMESTAMP);
      const refusal = { status, channelId: question.channelId, sequence, amount, timestamp };
      question.reject(refusedError(refusal, question.amount, now - question.sentAt));
    }
    return true;
  }

  /** Sends the channel's questions again; by default those of every channel. */
  resend(channelId?: bigint): void {
    for (const [bits, question] of this.#open)
      if (channelId === undefined || question.channelId === channelId) this.#send(bits);
  }

  close(): void {
    this.#closed = true;
    this.reject(closedError);
  }

  /** Rejects all of them, also those in line. */
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
    const { claim } = question;
    const isSent =
      this.#parts.roots === undefined
        ? link.send(claim, 0)
        : link.sendFrame!(new Uint8Array(claim.buffer), 0, claim.byteLength);
    if (isSent) counters.questionsSent += 1;
    this.#arm(bits, question);
  }

  #arm(bits: bigint, question: Question): void {
    const { clock, random } = this.#parts;
    const { rtt } = this.#pathOf(question.channelId);
    const delayMs = Math.min(rtt.delayMs(question.backoff, random()), question.deadline - clock.now());
    question.cancelTimer();
    question.cancelTimer = clock.after(Math.max(1, Math.ceil(delayMs)), () => {
      // After a stall of this thread the answers that came meanwhile are read first.
      clock.afterInput(() => {
        if (this.#open.get(bits) === question) this.#expire(bits, question);
      });
    });
  }

  #pathOf(channelId: bigint): SendPath {
    return this.#parts.link.pathOf?.(channelId) ?? this.#parts.path;
  }

  #expire(bits: bigint, question: Question): void {
    const { clock, ackTimeoutMs } = this.#parts;
    const now = clock.now();
    if (now < question.deadline) {
      question.backoff += 1;
      const heardAt = Math.max(this.#answeredAt, this.#pathOf(question.channelId).progressAt);
      if (heardAt > question.sentAt) question.backoff = Math.min(question.backoff, BACKOFF_DOUBLINGS_ALIVE_MAX);
      this.#send(bits);
      return;
    }
    const giveUp = ({ channelId, amount, reject }: Pick<Question, 'channelId' | 'amount' | 'reject'>) =>
      reject(timeoutError(this.#parts, channelId, amount));
    // A node that answered nothing for a whole time-out is not sent the questions that were in line for so long.
    if (this.#answeredAt < question.deadline - ackTimeoutMs)
      while (this.#line.length > 0 && this.#line[0]!.since <= now - ackTimeoutMs) giveUp(this.#line.shift()!);
    this.#end(bits, question);
    giveUp(question);
  }

  #end(bits: bigint, question: Question): void {
    question.cancelTimer();
    this.#open.delete(bits);
    this.#ended.add(bits);
    if (this.#ended.size > ENDED_MAX) for (const oldest of this.#ended) if (this.#ended.delete(oldest)) break;
    this.#line.shift()?.begin();
  }
}

function claimOf(channelId: bigint, amount: bigint, bits: bigint): DataView {
  const claim = new DataView(new ArrayBuffer(CLAIM_BYTES));
  const fields = { channelId, sequence: QUESTION_SEQUENCE, amount, signature: INVALID_SIGNATURE, timestamp: 0 };
  encodeClaim(claim, 0, fields);
  claim.setBigUint64(CLAIM_TIMESTAMP, bits);
  return claim;
}

/** The frame of a root over one leaf. */
function leafOf(channelId: bigint, amount: bigint, bits: bigint): DataView {
  const timestamp = new Uint8Array(8);
  new DataView(timestamp.buffer).setBigUint64(0, bits);
  const wire = new Uint8Array(MERKLE_LEAF_BYTES);
  new DataView(wire.buffer).setBigUint64(0, channelId);
  new DataView(wire.buffer).setBigUint64(MERKLE_LEAF_AMOUNT, amount);
  const tree = { levels: [], wire, leaves: 1, sequence: QUESTION_SEQUENCE, timestamp, signature: INVALID_SIGNATURE };
  const frame = new Uint8Array(frameBytes(0, 1));
  writeFrame(tree, 0, frame, 0);
  return new DataView(frame.buffer);
}

/**
 * Claims in flight: what is sent, sent again, acknowledged, refused and given up, for all channels of one payer.
 *
 * Payer's thread. Only the newest claim of a channel is kept. At most a window of claims is unacknowledged; beyond it
 * channels wait in line, each with its newest amount. So memory is bounded by channels and open promises.
 */
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import {
  ACK_AMOUNT,
  ACK_CHANNEL_ID,
  ACK_SEQUENCE,
  ACK_STATUS,
  ACK_TIMESTAMP,
  STATUS,
  STATUS_FIRST_REFUSAL,
} from '../../protocol/layout.ts';
import type { TreeHash } from '../../protocol/merkle.ts';
import { ChannelMap } from './channel-map.ts';
import { closedError, fullError, isRefused, refusedError, timeoutError, unreachableError } from './claim-errors.ts';
import { DeadlineHeap } from './deadline-heap.ts';
import type { Flow, FlowGroup } from './flow.ts';
import type { LinkReceiver, PeerLink } from './links/peer-link.ts';
import { QUESTION_SEQUENCE, type QuestionParts, Questions } from './questions.ts';
import { learnCover, learnExposure, Roots, type RootsOptions } from './roots.ts';
import { BACKOFF_DOUBLINGS_ALIVE_MAX, type RttEstimator } from './rto.ts';
import type { SendPath } from './send-path.ts';
import { Signing } from './signing.ts';
import { type ClaimAck, isUpTo, Waiter } from './waiter-queue.ts';

/** Signatures made in one turn when the window has room: 64 of noble's need 14 ms, and acks are read in between. */
const SIGNED_PER_TURN_MAX = 64;
/** The same where claims go into roots, which costs a microsecond or so. */
const GATHERED_PER_TURN_MAX = 4_096;
/** While fewer claims are on their way, signing them together would gain nothing, and make each wait for a turn. */
const FEW = 8;

export interface InflightParts extends QuestionParts {
  readonly waitingMax: number;
  readonly waitForNode: boolean;
  /** Where roots are signed for many claims. */
  readonly roots: { readonly options: RootsOptions; readonly hash: TreeHash } | undefined;
}

export class Inflight implements FrameSink, LinkReceiver {
  /** Promises not yet settled. */
  waiting = 0;
  /** Asks the node what it holds. */
  readonly questions: Questions;
  readonly #parts: InflightParts;
  readonly #flows = new ChannelMap<Flow>();
  /** Those in use; the first is that of a payer with one node. */
  readonly #paths: Set<SendPath>;
  readonly #heap: DeadlineHeap<Flow>;
  readonly #signing: Signing;
  readonly #roots: Roots | undefined;
  readonly #groups = new Set<FlowGroup>();
  /** A view of the message being read, and when that began. */
  #view: DataView = new DataView(new ArrayBuffer(0));
  #heardAt = 0;
  #turnScheduled = false;
  /** Whether the peer has ever sent a message. */
  #hasHeard = false;
  #closed = false;

  constructor(parts: InflightParts) {
    this.#parts = parts;
    this.questions = new Questions(parts);
    this.#paths = new Set([parts.path]);
    this.#heap = new DeadlineHeap(parts.clock, () => this.#expire());
    this.#signing = new Signing({
      clock: parts.clock,
      signed: (flow, amount, now) => this.#signed(flow, amount, now),
      failed: (flow, error) => this.#failed(flow, error),
    });
    const { roots, link, clock } = parts;
    this.#roots =
      roots &&
      new Roots(roots.options, {
        link,
        clock,
        hash: roots.hash,
        rooted: (flow, amount, isSent) => this.#rooted(flow, amount, isSent),
        failed: (flow, error) => this.#failed(flow, error),
      });
  }

  /** Roots signed; undefined where none are. */
  get rootsSigned(): number | undefined {
    return this.#roots?.signed;
  }

  rootWasSigned(): void {
    if (this.#roots !== undefined) this.#roots.signed += 1;
  }

  addGroup(group: FlowGroup, flows: readonly Flow[]): void {
    this.#groups.add(group);
    for (const [index, flow] of flows.entries()) flow.seat = { group, index };
  }

  get queued(): number {
    let queued = 0;
    for (const { line } of this.#paths) queued += line.size;
    return queued;
  }

  get paths(): ReadonlySet<SendPath> {
    return this.#paths;
  }

  get rtt(): RttEstimator {
    return this.#parts.path.rtt;
  }

  /** Returns false where the u64 handle is in use. */
  addFlow(flow: Flow): boolean {
    const { channelId } = flow.identity;
    this.#roots?.join(flow);
    if (this.#flows.find(channelId) !== undefined || !this.#parts.link.open(channelId)) return false;
    this.#flows.add(channelId, flow);
    flow.path = this.#parts.path;
    this.#follow(flow);
    return true;
  }

  /** Whether the next promise would be rejected, since the payer is closed or full. */
  get isShut(): boolean {
    return this.#closed || this.waiting >= this.#parts.waitingMax;
  }

  /** Counts a promise other than a claim's among those that wait, within their bound. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    this.expectOpen();
    this.waiting += 1;
    try {
      return await work();
    } finally {
      this.waiting -= 1;
    }
  }

  /** See PaymentChannel.claim, and `cover` for `isOrdinary`. */
  request(flow: Flow, amount: bigint, signal?: AbortSignal, isOrdinary = false): Promise<ClaimAck> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      this.expectOpen();
      const now = this.#parts.clock.now();
      const deadline = now + this.#parts.ackTimeoutMs;
      const covered = flow.outstanding && amount <= flow.newestAmount && !isOrdinary;
      const sequence = covered ? coveringSequence(flow, amount) : undefined;
      const waiter = new Waiter({ amount, startedAt: now, deadline, isOrdinary }, resolve, reject);
      flow.waiters.add(waiter, sequence);
      if (signal !== undefined) this.#heed(signal, flow, waiter);
      this.waiting += 1;
      this.#heap.set(flow, deadline);
      if (amount > flow.claimed) flow.claimed = amount;
      if (isOrdinary && flow.roots !== undefined) flow.roots.isCovering = true;
      if (!covered) this.#submit(flow, amount, now);
    });
  }

  /** Throws PAYER_CLOSED or PAYER_FULL. */
  expectOpen(): void {
    if (this.#closed) throw closedError();
    if (this.waiting >= this.#parts.waitingMax) throw fullError(this.waiting);
  }

  /** Removes a waiter when its signal is aborted: a claim that nobody waits for is not sent again. */
  #heed(signal: AbortSignal, flow: Flow, waiter: Waiter): void {
    const abort = () => {
      if (!flow.waiters.remove(waiter)) return;
      if (flow.waiters.length === 0) this.#finish(flow);
      this.#rejectAll([waiter], () => signal.reason as Error);
      this.#fillWindow();
    };
    signal.addEventListener('abort', abort, { once: true });
    const { resolve, reject } = waiter;
    waiter.resolve = (ack) => {
      signal.removeEventListener('abort', abort);
      resolve(ack);
    };
    waiter.reject = (error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    };
  }

  /** Reads a message from the peer. Never throws, whatever the message holds. */
  message(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return;
    this.#hasHeard = true;
    if (this.#groups.size > 0) this.#heardAt = this.#parts.clock.now();
    const { buffer, byteOffset } = this.#view;
    if (bytes.buffer !== buffer || bytes.byteOffset !== byteOffset || bytes.length !== this.#view.byteLength)
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (walkFrames(bytes, start, end, this) !== WALK_WHOLE) this.#parts.counters.malformed += 1;
    for (const group of this.#groups) group.heard();
    this.#fillWindow();
  }

  fault(error: Error, isOnlyWay = true): void {
    const { counters, link, waitForNode } = this.#parts;
    counters.socketFault(error);
    // A node that was there before may start again, so it is waited for. A wrong address is reported at once.
    if (waitForNode || this.#hasHeard || !isOnlyWay || !isRefused(error)) return;
    const unreachable = () => unreachableError(link.peer, error);
    this.questions.reject(unreachable);
    for (const group of this.#groups) group.unreachable(unreachable);
    for (const flow of this.#flows.values) {
      if (flow.waiters.length === 0) continue;
      this.#rejectAll(flow.waiters.takeAll(), unreachable);
      this.#finish(flow);
    }
  }

  resend(channelId: bigint): void {
    this.questions.resend(channelId);
    const flow = this.#flows.find(channelId);
    if (flow === undefined) return;
    const wasSent = flow.inFlight > 0;
    const isMoved = this.#follow(flow) && flow.outstanding && !flow.path.line.has(flow);
    if (wasSent || isMoved) this.#sendNewest(flow, this.#parts.clock.now());
    else this.#fillWindow();
  }

  /** Takes the channel to the path that its link has for it now. Returns whether that is another one. */
  #follow(flow: Flow): boolean {
    const { link, path } = this.#parts;
    const to = link.pathOf?.(flow.identity.channelId) ?? path;
    if (to === flow.path) return false;
    this.#release(flow);
    if (flow.path.line.delete(flow)) to.line.add(flow);
    flow.path = to;
    flow.backoff = 0;
    this.#paths.add(to);
    return true;
  }

  /** A path that no channel has any more, and that its link has forgotten. */
  endPath(path: SendPath): void {
    if (path !== this.#parts.path && path.line.size === 0) this.#paths.delete(path);
  }

  resendAll(): void {
    this.questions.resend();
    for (const group of this.#groups) group.resendAll();
    const now = this.#parts.clock.now();
    for (const flow of this.#flows.values) if (flow.inFlight > 0) this.#sendNewest(flow, now);
  }

  /** A node sends no claims to a payer. */
  claim(): void {
    this.#parts.counters.malformed += 1;
  }

  ack(bytes: Uint8Array, offset: number): void {
    const { counters, clock } = this.#parts;
    const view = this.#view;
    const sequence = view.getUint32(offset + ACK_SEQUENCE);
    if (sequence === QUESTION_SEQUENCE && this.questions.answer(view, offset)) return;
    const status = bytes[offset + ACK_STATUS]!;
    counters.acksByStatus[status]! += 1;
    const channelAt = offset + ACK_CHANNEL_ID;
    const flow = this.#flows.get(view.getUint32(channelAt), view.getUint32(channelAt + 4));
    const known = status <= STATUS.ALREADY || status >= STATUS_FIRST_REFUSAL;
    if (flow?.seat !== undefined && known && this.#groupAck(flow, status, sequence, offset)) return;
    if (flow === undefined || !known || !flow.hasSent(sequence)) {
      counters.unmatched += 1;
      return;
    }
    counters.lastSocketError = undefined;
    const amount = view.getBigUint64(offset + ACK_AMOUNT);
    const timestamp = view.getFloat64(offset + ACK_TIMESTAMP);
    const now = clock.now();
    if (status <= STATUS.ALREADY) this.#durable(flow, status, sequence, amount, timestamp, now);
    else if (status === STATUS.OVERLOADED) this.#overloaded(flow, sequence, now);
    else if (status === STATUS.MOVED && this.#parts.link.moved !== undefined)
      this.#moved(this.#parts.link, flow.identity.channelId, amount);
    else if (status === STATUS.ROOT_EXPOSURE && flow.roots !== undefined) this.#exposed(flow, sequence, amount, now);
    else this.#refused(flow, status, sequence, amount, timestamp, now);
  }

  /** Whether an ack is of a group alone, and not of an ordinary claim of the channel too. */
  #groupAck({ seat, outstanding }: Flow, status: number, sequence: number, offset: number): boolean {
    const view = this.#view;
    const [high, low] = [view.getUint32(offset + ACK_AMOUNT), view.getUint32(offset + ACK_AMOUNT + 4)];
    const isTaken = seat!.group.ack(seat!.index, status, sequence, high, low, this.#heardAt);
    if (isTaken) this.#parts.counters.lastSocketError = undefined;
    return isTaken && !outstanding;
  }

  close(): void {
    this.#closed = true;
    this.#signing.close();
    this.#roots?.close();
    for (const group of this.#groups) group.close();
    this.questions.close();
    this.#heap.clear();
    for (const { line } of this.#paths) line.clear();
    for (const flow of this.#flows.values) this.#rejectAll(flow.waiters.takeAll(), closedError);
    this.#flows.clear();
  }

  #durable(flow: Flow, status: number, sequence: number, amount: bigint, timestamp: number, now: number): void {
    if (!isUpTo(sequence, flow.ackedSequence)) {
      flow.path.rtt.sample(flow.roundTripMs(sequence, timestamp, now));
      flow.backoff = 0;
      flow.path.progressAt = now;
      flow.path.window.grow(this.#acknowledge(flow, sequence));
    }
    const durable = amount < flow.claimed ? amount : flow.claimed;
    if (durable > flow.committed) flow.committed = durable;
    learnCover(flow, sequence);
    const name = status === STATUS.COMMITTED ? 'COMMITTED' : 'ALREADY';
    const { channelId } = flow.identity;
    for (let waiter = flow.waiters.takeCovered(amount, sequence); waiter !== undefined; ) {
      this.waiting -= 1;
      const rttMs = now - waiter.startedAt;
      this.#parts.counters.waited(rttMs);
      waiter.resolve({ status: name, channelId, sequence, amount, timestamp, rttMs });
      waiter = flow.waiters.takeCovered(amount, sequence);
    }
    const isDone = flow.roots === undefined || flow.waiters.length === 0;
    if (flow.outstanding && amount >= flow.newestAmount && isDone) this.#finish(flow);
    if (flow.outstanding) this.#arm(flow);
  }

  /** ROOT_EXPOSURE is final for the leaf, but not for the amount: an ordinary claim follows. */
  #exposed(flow: Flow, sequence: number, amount: bigint, now: number): void {
    learnExposure(flow, amount);
    if (!isUpTo(sequence, flow.ackedSequence)) flow.path.window.grow(this.#acknowledge(flow, sequence));
    const isNewest = flow.outstanding && sequence === flow.lastSequence && flow.roots!.isLeaf;
    if (isNewest) this.#submit(flow, flow.newestAmount, now);
  }

  /** OVERLOADED is not final: the newest claim is sent again after a back-off, and the window is smaller meanwhile. */
  #overloaded(flow: Flow, sequence: number, now: number): void {
    flow.path.window.shrink(now, flow.path.rtt.rtoMs);
    if (!flow.outstanding || sequence !== flow.lastSequence) return;
    if (flow.backoff === 0) flow.backoff = 1;
    flow.sentAt = now;
    flow.jitter = this.#parts.random();
  }

  /**
   * MOVED is not final where the link finds the holder: it asks for the route, and for the channel's newest claim once that has
   * changed. Until then the claim is sent again as if unanswered: nobody can delay it by forged acks.
   */
  #moved(link: PeerLink, channelId: bigint, version: bigint): void {
    this.#parts.counters.lastSocketError = 'MOVED';
    link.moved?.(channelId, version);
  }

  /**
   * A refusal is final for those claims up to `sequence` that its status concerns, and for no newer one: it may come late,
   * and a commit of an older claim may come after it. The other promises wait for a newer claim, or for one signed now.
   */
  #refused(flow: Flow, status: number, sequence: number, amount: bigint, timestamp: number, now: number): void {
    const refused = flow.waiters.takeRefused(sequence, status, amount);
    if (refused.length === 0) return;
    if (!isUpTo(sequence, flow.ackedSequence)) this.#acknowledge(flow, sequence);
    const refusal = { status, channelId: flow.identity.channelId, sequence, amount, timestamp };
    this.#rejectAll(refused, (waiter) => refusedError(refusal, waiter.amount, now - waiter.startedAt));
    const highest = flow.waiters.highestAmount;
    flow.claimed = highest;
    if (flow.committed > flow.claimed) flow.claimed = flow.committed;
    if (flow.recording > flow.claimed) flow.claimed = flow.recording;
    if (flow.standing > flow.claimed) flow.standing = flow.claimed;
    if (flow.waiters.length === 0) this.#finish(flow);
    else if (sequence === flow.lastSequence && !flow.path.line.has(flow)) this.#submit(flow, highest, now);
  }

  #acknowledge(flow: Flow, sequence: number): number {
    const gone = flow.acknowledge(sequence);
    flow.path.window.used -= gone;
    return gone;
  }

  /** Nothing of the channel is left to be acknowledged. */
  #finish(flow: Flow): void {
    flow.outstanding = false;
    if (flow.roots !== undefined) flow.roots.isCovering = false;
    flow.path.line.delete(flow);
    this.#release(flow);
  }

  #release(flow: Flow): void {
    flow.path.window.used -= flow.inFlight;
    flow.inFlight = 0;
  }

  /** Makes `amount` the channel's newest claim. It is sent at once where the window has room, and waits in line otherwise. */
  #submit(flow: Flow, amount: bigint, now: number): void {
    flow.newestAmount = amount;
    flow.outstanding = true;
    const { line, window } = flow.path;
    if (line.has(flow) || flow.signing !== undefined) return;
    if (line.size === 0 && window.hasRoom) this.#sendNew(flow, now);
    else line.add(flow);
  }

  #sendNew(flow: Flow, now: number): void {
    if (this.#roots?.takes(flow)) {
      this.#roots.add(flow);
      return;
    }
    if (isSignedTogether(flow)) {
      this.#signing.add(flow);
      return;
    }
    try {
      flow.sign(now);
    } catch (error) {
      this.#failed(flow, error as Error);
      return;
    }
    flow.waiters.markSent(flow.lastSequence);
    this.#transmit(flow, now);
  }

  /** A claim was signed elsewhere: by now a higher amount may be asked for, or nobody may wait for so much any more. */
  #signed(flow: Flow, amount: bigint | undefined, now: number): void {
    if (!flow.outstanding) {
      this.#fillWindow();
      return;
    }
    if (amount !== undefined && amount <= flow.newestAmount) {
      flow.stampSigned(now);
      // Who waits for it may have asked only after another had given it up.
      if (amount === flow.newestAmount) flow.waiters.markSent(flow.lastSequence);
      this.#transmit(flow, now);
    }
    if (amount !== flow.newestAmount) this.#submit(flow, flow.newestAmount, now);
  }

  /** A leaf was sent. Of a channel one leaf counts as in flight: a newer one takes the place of the one before. */
  #rooted(flow: Flow, amount: bigint | undefined, isSent: boolean): void {
    const now = this.#parts.clock.now();
    if (amount !== undefined) {
      if (flow.inFlight === 0) flow.path.window.used += 1;
      flow.inFlight = Math.max(flow.inFlight, 1);
      flow.sentAt = now;
      flow.jitter = this.#parts.random();
      flow.held = !isSent;
      if (isSent) this.#parts.counters.claimsSent += 1;
    }
    if (!flow.outstanding) {
      this.#release(flow);
      this.#fillWindow();
      return;
    }
    this.#arm(flow);
    if (amount !== flow.newestAmount || flow.roots!.isCovering) this.#submit(flow, flow.newestAmount, now);
  }

  /** The newest claim could not be signed. What was sent before still waits for its ack. */
  #failed(flow: Flow, error: Error): void {
    this.#rejectAll(flow.waiters.takeUnsigned(flow.lastSequence), () => error);
    flow.unsign();
    if (flow.waiters.length === 0) this.#finish(flow);
    else this.#arm(flow);
    this.#fillWindow();
  }

  #transmit(flow: Flow, now: number): void {
    flow.inFlight += 1;
    flow.path.window.used += 1;
    flow.sentAt = now;
    flow.jitter = this.#parts.random();
    flow.held = !this.#parts.link.send(flow.place.view, flow.place.offset);
    if (!flow.held) this.#parts.counters.claimsSent += 1;
    this.#arm(flow);
  }

  /** No ack came in time. */
  #sendAgain(flow: Flow, now: number): void {
    flow.backoff += 1;
    if (flow.path.progressAt > flow.sentAt) flow.backoff = Math.min(flow.backoff, BACKOFF_DOUBLINGS_ALIVE_MAX);
    this.#sendNewest(flow, now);
  }

  /** Gives up as lost what was sent, and sends the newest claim in its place, whether or not it was sent before. */
  #sendNewest(flow: Flow, now: number): void {
    // Its first claim is still being signed.
    if (flow.signing !== undefined && flow.inFlight === 0) return;
    const isLeaf = flow.roots?.isLeaf === true;
    // The next root has it.
    if (isLeaf && flow.signing !== undefined) return;
    if (!flow.held) this.#parts.counters.retransmits += 1;
    this.#release(flow);
    if (flow.path.line.delete(flow) || isLeaf) this.#sendNew(flow, now);
    else {
      flow.stampAgain(now);
      this.#transmit(flow, now);
    }
  }

  #arm(flow: Flow): void {
    this.#heap.set(flow, Math.min(this.#resendAt(flow), flow.waiters.earliestDeadline));
  }

  /** Uses the timeout as it is now, not as it was when the claim was sent, so that a node that has slowed down is waited for. */
  #resendAt(flow: Flow): number {
    const isUnsent = flow.inFlight === 0 && (flow.path.line.has(flow) || flow.signing !== undefined);
    if (isUnsent) return Number.POSITIVE_INFINITY;
    return flow.sentAt + flow.path.rtt.delayMs(flow.backoff, flow.jitter);
  }

  #expire(): void {
    if (this.#closed) return;
    const now = this.#parts.clock.now();
    for (;;) {
      const flow = this.#heap.popDue(now);
      if (flow === undefined) break;
      if (flow.waiters.earliestDeadline <= now) {
        const { channelId } = flow.identity;
        this.#rejectAll(flow.waiters.takeExpired(now), ({ amount }) => timeoutError(this.#parts, channelId, amount));
        if (flow.waiters.length === 0) this.#finish(flow);
      }
      if (!flow.outstanding) continue;
      if (this.#resendAt(flow) <= now) this.#sendAgain(flow, now);
      else this.#arm(flow);
    }
    this.#fillWindow();
  }

  /** Sends claims of channels in line, a bounded number in each turn. */
  #fillWindow(): void {
    if (this.#turnScheduled) return;
    let left = this.#roots === undefined ? SIGNED_PER_TURN_MAX : GATHERED_PER_TURN_MAX;
    for (const path of this.#paths) if (path.line.size > 0) left = this.#fillPath(path, left);
    if (left > 0) return;
    this.#turnScheduled = true;
    this.#parts.clock.afterInput(() => {
      this.#turnScheduled = false;
      this.#fillWindow();
    });
  }

  /** Signs at most `left` claims, and returns how many more may be signed in this turn; 0 where some wait for the next. */
  #fillPath({ line, window }: SendPath, left: number): number {
    let signed = 0;
    for (const flow of line) {
      if (!window.hasRoom) break;
      if (signed === left) return 0;
      line.delete(flow);
      this.#sendNew(flow, this.#parts.clock.now());
      signed += 1;
    }
    return left - signed;
  }

  #rejectAll(waiters: readonly Waiter[], error: (waiter: Waiter) => Error): void {
    this.waiting -= waiters.length;
    for (const waiter of waiters) waiter.reject(error(waiter));
  }
}

/** The sequence of the claim that covers an amount up to the newest: none where that is yet to be signed. */
function coveringSequence(flow: Flow, amount: bigint): number | undefined {
  if (flow.path.line.has(flow)) return undefined;
  if (flow.signing === undefined) return flow.lastSequence;
  const { drafted, draftedSequence = flow.nextSequence } = flow;
  return drafted !== undefined && amount <= drafted ? draftedSequence : undefined;
}

/** Whether a claim is signed with others that wait. A few are signed one by one: at once, where their signer can do that. */
function isSignedTogether({ identity, path }: Flow): boolean {
  const { signer } = identity;
  if (signer.signClaim === undefined) return true;
  // A signer may have to be started for the question.
  return path.window.used >= FEW && (signer.signBatch ?? signer.signDigests) !== undefined;
}

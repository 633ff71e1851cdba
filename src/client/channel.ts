/** One payment channel, as its payer sees it. Payer's thread. */
import { CLAIM_AMOUNT, CLAIM_BYTES, U64_MAX } from '../../protocol/layout.ts';
import { type Abortable, abortable } from './abort.ts';
import { invalid } from './claim-errors.ts';
import { type Committed, type CommittedBounds, learnCommitted } from './committed.ts';
import type { Flow } from './flow.ts';
import type { Inflight } from './inflight.ts';
import type { Receipt, ReceiptExpectation } from './receipt.ts';
import type { ResumedChannel } from './resume.ts';
import type { PayerState, StateEntry } from './state/payer-state.ts';
import type { ClaimAck } from './waiter-queue.ts';

/** What a channel needs of its payer. */
export interface ChannelParts {
  readonly flow: Flow;
  readonly inflight: Inflight;
  /** What is known of the committed amount before the node is asked. */
  readonly bounds: CommittedBounds;
  /** What is kept over restarts and the channel's entry in it, if it is. */
  readonly state: { readonly kept: PayerState; readonly entry: StateEntry } | undefined;
  /** The node's best claim, its signature checked. */
  readonly prove: () => Promise<ResumedChannel>;
  /** The node's receipt for an amount, checked. */
  readonly receipt: (amount: bigint, key: ReceiptExpectation['key']) => Promise<Receipt>;
}

/** Of which amount, and by which key. */
export interface ReceiptOptions extends Pick<ReceiptExpectation, 'key'> {
  /** Drops in all; by default `committed`. */
  amount?: bigint;
}

/** One payment channel, as its payer sees it. Made by Payer.channel(). A channel has one live payer: see `pay`. */
export class PaymentChannel {
  readonly #parts: ChannelParts;
  /** Whether it is known what the node held before this payer's first payment; `claimed` is no less than that. */
  #isKnown = false;
  #learning: Promise<void> | undefined;

  constructor(parts: ChannelParts) {
    this.#parts = parts;
  }

  get channelId(): bigint {
    return this.#parts.flow.identity.channelId;
  }

  /** Highest amount asked for and not refused, drops. */
  get claimed(): bigint {
    return this.#read().claimed;
  }

  /** Highest amount acknowledged as durable, drops. */
  get committed(): bigint {
    return this.#read().committed;
  }

  /**
   * Signs a claim of `amount` cumulative drops and sends it until it is acknowledged. While the window is full only the
   * channel's newest amount is kept, and it is signed when the window has room. With a state file the amount is on the
   * disk before it is signed.
   *
   * Resolves with the first ack that covers the amount: so much is durable at the node, whoever paid it. Rejects with
   * ClaimwireError: CLAIM_REFUSED (`details.status` is the refusal's name), ACK_TIMEOUT, PAYER_CLOSED, PAYER_FULL,
   * NODE_UNREACHABLE (nothing ever listened there), STATE_FAILED, or INPUT_INVALID where the amount is no u64; or with the
   * reason of `signal`, or with the signer's error: then the amount was not signed and is no longer `claimed`. After the first four, and after an abort, a newer claim may still cover the amount: `committed`
   * says what is durable.
   */
  claim(amount: bigint, { signal }: Abortable = {}): Promise<ClaimAck> {
    if (typeof amount !== 'bigint' || amount < 0n || amount > U64_MAX)
      return Promise.reject(invalid(`amount: expected a bigint in 0..2^64-1 (drops), got ${typeof amount} ${amount}`));
    const { state, flow } = this.#parts;
    if (flow.seat !== undefined) return Promise.reject(groupedError());
    if (state === undefined || this.#parts.inflight.isShut)
      return this.#parts.inflight.request(this.#parts.flow, amount, signal);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const written = state.kept.record(state.entry, amount, this.#parts.flow);
    if (written === undefined) return this.#parts.inflight.request(this.#parts.flow, amount, signal);
    return abortable(signal, () => this.#claimWritten(amount, written, signal));
  }

  /**
   * Pays `drops` more, and resolves with the ack of `claim(claimed + drops)` when so many more are durable.
   *
   * Before the channel's first payment the node is asked what it holds already, which pays nothing and works over any
   * link. Where it holds something and there is neither a state file nor `committed`, it has to prove that by the channel's
   * own signature (for `udp://` over TCP on the same port).
   *
   * A channel has one live payer: two could not tell whose equal amount was paid. A state file keeps a second one out.
   *
   * Rejects as `claim` does, or with ClaimwireError: COMMITTED_UNKNOWN (there is no proof), COMMITTED_MISMATCH (the node
   * holds something other than `committed` or the state file says), UNAUTHORIZED or NODE_FAILED (see Payer.resume). In
   * these cases nothing is signed.
   */
  pay(drops: bigint, { signal }: Abortable = {}): Promise<ClaimAck> {
    if (typeof drops !== 'bigint' || drops <= 0n)
      return Promise.reject(invalid(`drops: expected a bigint above 0, got ${typeof drops} ${drops}`));
    if (this.#isKnown) return this.claim(this.#parts.flow.claimed + drops, { signal });
    const learned = abortable(signal, () => this.#parts.inflight.hold(() => this.#learn()));
    return learned.then(() => this.claim(this.#parts.flow.claimed + drops, { signal }));
  }

  /**
   * Sends an ordinary claim for all that is claimed, where the payer signs roots (`roots`): what the node holds by leaves of Merkle batches
   * alone cannot be redeemed on a ledger. Resolves when the node has it, and rejects as `claim` does.
   */
  cover({ signal }: Abortable = {}): Promise<ClaimAck> {
    const { flow, inflight } = this.#parts;
    if (flow.seat !== undefined) return abortable(signal, () => flow.seat!.group.coverOne(flow.seat!.index));
    return inflight.request(flow, flow.claimed, signal, true);
  }

  /**
   * Asks the node, without paying, whether `amount` drops are durable there. Like an ack, the answer is not signed.
   * Rejects with ClaimwireError: CLAIM_REFUSED (unknown or closed channel), ACK_TIMEOUT, PAYER_CLOSED, PAYER_FULL.
   */
  isDurable(amount: bigint, { signal }: Abortable = {}): Promise<boolean> {
    if (typeof amount !== 'bigint' || amount < 0n || amount > U64_MAX)
      return Promise.reject(invalid(`amount: expected a bigint in 0..2^64-1 (drops), got ${typeof amount} ${amount}`));
    if (amount === 0n) return Promise.resolve(true);
    return abortable(signal, () =>
      this.#parts.inflight.hold(() => this.#parts.inflight.questions.ask(this.channelId, amount)),
    );
  }

  /**
   * Asks the node for a receipt, which it signs, and checks it: that `amount` drops of this channel are durable there. By default the
   * amount that acks have told of (`committed`): a forged ack does not bring a receipt. Keep it, and anybody can check it without the
   * node (`verifyReceipt`). It goes the way of `resume`, and the node needs --receipt-key.
   *
   * Rejects with ClaimwireError: RECEIPT_NOT_YET (so much is not durable), RECEIPT_INVALID (it is not what was asked for, or not signed
   * by the key), NO_RECEIPTS, CHANNEL_UNKNOWN, NODE_UNREACHABLE, NODE_FAILED, PAYER_FULL, or INPUT_INVALID (a bare socket, or an
   * amount that is no u64).
   * @param options.key the node's receipt key, 33 bytes or 66 hex digits, as its operator told it. Without it whoever answers may have
   * signed: over TLS that is the node, over plain TCP it may be anybody in between
   */
  receipt({ amount = this.committed, key, signal }: ReceiptOptions & Abortable = {}): Promise<Receipt> {
    if (typeof amount !== 'bigint' || amount < 0n || amount > U64_MAX)
      return Promise.reject(invalid(`amount: expected a bigint in 0..2^64-1 (drops), got ${typeof amount} ${amount}`));
    return abortable(signal, () => this.#parts.receipt(amount, key));
  }

  /** A copy of the 93 bytes of the last ordinary claim signed, or undefined before the first. */
  lastClaim(): Uint8Array | undefined {
    const { bytes, offset, view } = this.#parts.flow.place;
    return this.#parts.flow.hasSigned && view.getBigUint64(offset + CLAIM_AMOUNT) > 0n
      ? bytes.slice(offset, offset + CLAIM_BYTES)
      : undefined;
  }

  /** Resolves when it is known what the node held before this payer's first payment. Rejects as `pay` does. For groups. */
  async known({ signal }: Abortable = {}): Promise<void> {
    if (!this.#isKnown) await abortable(signal, () => this.#parts.inflight.hold(() => this.#learn()));
  }

  /** See Payer.resume. */
  resume({ signal }: Abortable = {}): Promise<ResumedChannel> {
    if (this.#parts.flow.seat !== undefined) return Promise.reject(groupedError());
    return abortable(signal, async () => {
      const best = await this.#parts.prove();
      await this.#goOn(best);
      return best;
    });
  }

  /** What is known of the channel, that by its group too. */
  #read(): Flow {
    const { flow } = this.#parts;
    flow.seat?.group.read(flow.seat.index);
    return flow;
  }

  /** Asks the node, once for all payments that wait. After a failure the next payment asks again. */
  #learn(): Promise<void> {
    this.#learning ??= this.#askNode().finally(() => {
      this.#learning = undefined;
    });
    return this.#learning;
  }

  async #askNode(): Promise<void> {
    const { bounds, state, prove } = this.#parts;
    const { questions } = this.#parts.inflight;
    const { signed } = this.#parts.flow;
    const found = state?.entry.found;
    const known = found === undefined ? bounds : { least: found.committed, most: found.signed };
    const most = known.most !== undefined && signed > known.most ? signed : known.most;
    const isHeld = (amount: bigint) => questions.ask(this.channelId, amount);
    await this.#goOn(await learnCommitted({ isHeld, prove }, { ...known, most }));
  }

  async #goOn({ committed, sequence }: Committed): Promise<void> {
    const { state } = this.#parts;
    this.#parts.flow.resume(committed, sequence ?? this.#parts.flow.lastSequence);
    if (state !== undefined) await state.kept.record(state.entry, committed, this.#parts.flow);
    this.#isKnown = true;
  }

  async #claimWritten(amount: bigint, written: Promise<void>, signal?: AbortSignal): Promise<ClaimAck> {
    const flow = this.#parts.flow;
    // The next payment adds to this amount, even before it is on the disk.
    if (amount > flow.claimed) flow.claimed = amount;
    if (amount > flow.recording) flow.recording = amount;
    await this.#parts.inflight.hold(() => written);
    // Writes end in the order in which they were asked for.
    if (amount === flow.recording) flow.recording = 0n;
    return await this.#parts.inflight.request(flow, amount, signal);
  }
}

function groupedError(): Error {
  return invalid('channel: expected one outside of groups, got one that its group pays');
}

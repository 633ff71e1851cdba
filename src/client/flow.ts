/**
 * What the payer knows of one channel: its newest claim, what the node has acknowledged, and the promises that wait.
 * Payer's thread.
 */
import type { ProfileName } from '../../protocol/layout.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_TIMESTAMP,
  FRAME_CLAIM,
} from '../../protocol/layout.ts';
import type { HeapEntry } from './deadline-heap.ts';
import type { Signer } from './keys/secp256k1-signer.ts';
import type { RttEstimator } from './rto.ts';
import type { SendWindow } from './send-window.ts';
import { type ClaimAck, isUpTo, WaiterQueue } from './waiter-queue.ts';

/** Sequences older than this many would look newer, since u32 wraps around. */
const SEQUENCES_TELLABLE = 2 ** 31;

const CLAIMS_PER_PAGE = 1024;

/** A claim signed within this time is as good as sent at its timestamp: it is a part of the least timeout. */
const PROMPT_MS_MAX = 5;

/** A claim's bytes, `bytes[offset .. offset + 93)`. */
interface ClaimPlace {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
}

/** What a channel is opened with, checked. */
export interface FlowIdentity {
  readonly channelId: bigint;
  readonly ledgerChannelId: Uint8Array;
  readonly profile: ProfileName;
  readonly signer: Signer;
}

/** What a flow shares with others of its node: see send-path.ts. */
interface FlowPath {
  readonly rtt: RttEstimator;
  readonly window: SendWindow;
  readonly line: Set<Flow>;
  progressAt: number;
}

/** What a channel has to do with Merkle batches. */
interface FlowRoots {
  /** The counter of all roots of its key. */
  readonly key: { sequence: number };
  /** Whether what was sent last was a leaf. */
  isLeaf: boolean;
  /** Highest amount of an ordinary claim that the node has acknowledged. */
  ordinary: bigint;
  /** How far leaves may be over that, as far as is known. */
  exposure: bigint | undefined;
  /** Whether an ordinary claim is to follow, so that no leaf is sent until it is acknowledged. */
  isCovering: boolean;
  /** The newest ordinary claim sent and not acknowledged. */
  cover: { readonly sequence: number; readonly amount: bigint } | undefined;
}

/** Channels that are paid together (group/), as those see them that a channel's acks and questions come to. */
export interface FlowGroup {
  /** Takes an ack. Returns false where it cannot be of a claim of the group. */
  ack(index: number, status: number, sequence: number, high: number, low: number, now: number): boolean;
  /** A message was read. */
  heard(): void;
  /** Tells the channel's flow what leaves have paid. */
  read(index: number): void;
  /** Follows with an ordinary claim. */
  coverOne(index: number): Promise<ClaimAck>;
  unreachable(error: () => Error): void;
  resendAll(): void;
  close(): void;
}

export class Flow implements HeapEntry {
  heapIndex = -1;
  heapDeadline = 0;

  readonly identity: FlowIdentity;
  /** Where the newest signed claim lies. */
  readonly place: ClaimPlace;
  readonly waiters = new WaiterQueue();
  /** Where its claims go; set when it is added to a payer. */
  path!: FlowPath;
  /** Highest amount asked for and not refused: what pay() adds to. Never raised by an ack, which could be forged. */
  claimed: bigint;
  /** Highest amount acknowledged as durable, at most `claimed`. */
  committed: bigint;
  /** Highest amount signed since this payer began. */
  signed = 0n;
  /** Highest amount of a claim that was signed and not refused: what stays claimed where a newer one cannot be signed. */
  standing: bigint;
  /** Highest amount whose write to the state file is under way, before it is claimed; 0 for none. */
  recording = 0n;

  /** Whether `newestAmount` is still to be acknowledged. It was signed and sent, or waits for room in the window. */
  outstanding = false;
  newestAmount = 0n;
  /** The window in which room is held for a claim that is being signed (signing.ts), and its amount once that is fixed. */
  signing: SendWindow | undefined;
  drafted: bigint | undefined;
  /** The sequence of the root in which it is drafted. */
  draftedSequence: number | undefined;
  /** The group by which alone the channel is paid, and its number there. */
  seat: { readonly group: FlowGroup; readonly index: number } | undefined;
  /** Where the payer signs roots (roots.ts). */
  roots: FlowRoots | undefined;

  lastSequence: number;
  ackedSequence: number;
  /** Claims sent with a sequence past the acked one and not given up: this channel's share of the window. */
  inFlight = 0;
  sentAt = 0;
  /** Whether the link did not accept the last transmission, for want of room or of a connection. It will ask for it. */
  held = false;
  /** A random number of 0..1 for each transmission. */
  jitter = 0;
  /** Retransmissions since the last ack. */
  backoff = 0;

  #sequencesUsed = 0;
  /** Amount of the claim signed last. */
  #newestSigned = 0n;
  #resentSequence: number | undefined;
  /** The newest claim that was sent later than its timestamp says, since signing it took a while. */
  #late: { readonly sequence: number; readonly sentAt: number } | undefined;

  constructor(identity: FlowIdentity, place: ClaimPlace, committed: bigint, lastSequence: number) {
    this.identity = identity;
    this.place = place;
    this.claimed = committed;
    this.committed = committed;
    this.standing = committed;
    this.lastSequence = lastSequence;
    this.ackedSequence = lastSequence;
    place.view.setUint8(place.offset, FRAME_CLAIM);
    place.view.setBigUint64(place.offset + CLAIM_CHANNEL_ID, identity.channelId);
  }

  /** Whether a claim has been signed, or a leaf. */
  get hasSigned(): boolean {
    return this.#sequencesUsed > 0;
  }

  hasSent(sequence: number): boolean {
    return (this.lastSequence - sequence) >>> 0 < this.#sequencesUsed;
  }

  get nextSequence(): number {
    return (this.lastSequence + 1) >>> 0;
  }

  /** Writes and signs a claim of `newestAmount` with the next sequence. What the signer throws passes through. */
  sign(now: number): void {
    const { bytes, offset } = this.place;
    const { signer, ledgerChannelId, profile } = this.identity;
    this.#write(now);
    signer.signClaim!(bytes, offset, ledgerChannelId, profile);
    this.wasSigned(this.newestAmount);
  }

  /** Makes the leaf of a root that was signed the newest claim. Its timestamp is signed with it, like that of `link`. */
  adoptLeaf(amount: bigint, sequence: number, timestamp: number, now: number): void {
    this.#advance(amount, sequence);
    this.roots!.isLeaf = true;
    if (now - timestamp > PROMPT_MS_MAX) this.#late = { sequence, sentAt: now };
  }

  #write(now: number): void {
    const { view, offset } = this.place;
    view.setUint32(offset + CLAIM_SEQUENCE, this.nextSequence);
    view.setBigUint64(offset + CLAIM_AMOUNT, this.newestAmount);
    view.setFloat64(offset + CLAIM_TIMESTAMP, now);
  }

  /** `place` has a new claim of this amount, with the next sequence. */
  wasSigned(amount: bigint): void {
    this.#advance(amount, this.nextSequence);
    if (this.roots === undefined) return;
    this.roots.isLeaf = false;
    this.roots.cover = { sequence: this.lastSequence, amount };
  }

  /** A root's sequence may be far above the channel's last one: those between count as used, but for those before the first. */
  #advance(amount: bigint, sequence: number): void {
    const step = this.hasSent(this.lastSequence) ? (sequence - this.lastSequence) >>> 0 : 1;
    this.lastSequence = sequence;
    this.#newestSigned = amount;
    if (amount > this.signed) this.signed = amount;
    if (amount > this.standing) this.standing = amount;
    this.#sequencesUsed = Math.min(this.#sequencesUsed + step, SEQUENCES_TELLABLE);
  }

  /** Goes on from what the node was found to hold. The sequence stays where a claim has been signed already. */
  resume(committed: bigint, sequence: number): void {
    if (committed > this.committed) this.committed = committed;
    if (committed > this.claimed) this.claimed = committed;
    if (this.hasSigned || this.drafted !== undefined || isUpTo(sequence, this.lastSequence)) return;
    this.lastSequence = sequence;
    this.ackedSequence = sequence;
  }

  /** Counts the claims up to `sequence` (newer than `ackedSequence`) as no longer in flight. Returns how many they were. */
  acknowledge(sequence: number): number {
    this.ackedSequence = sequence;
    const left = Math.min(this.inFlight, (this.lastSequence - sequence) >>> 0);
    const gone = this.inFlight - left;
    this.inFlight = left;
    return gone;
  }

  /** Prepares the newest claim to be sent once more: with a new timestamp, unless the signature covers it. */
  stampAgain(now: number): void {
    if (this.identity.profile === 'xrpl') this.place.view.setFloat64(this.place.offset + CLAIM_TIMESTAMP, now);
    else this.#resentSequence = this.lastSequence;
  }

  /** Prepares the newest claim to be sent for the first time, where it was signed for a while. */
  stampSigned(now: number): void {
    const { view, offset } = this.place;
    if (this.identity.profile === 'xrpl') this.stampAgain(now);
    else if (now - view.getFloat64(offset + CLAIM_TIMESTAMP) > PROMPT_MS_MAX)
      this.#late = { sequence: this.lastSequence, sentAt: now };
  }

  /** Milliseconds since the claim of an ack was sent, or NaN where its timestamp does not tell (Karn's rule). */
  roundTripMs(sequence: number, timestamp: number, now: number): number {
    if (this.#resentSequence !== undefined && isUpTo(sequence, this.#resentSequence)) return Number.NaN;
    if (this.#late === undefined || !isUpTo(sequence, this.#late.sequence)) return now - timestamp;
    return sequence === this.#late.sequence ? now - this.#late.sentAt : Number.NaN;
  }

  /** Goes back to the claim signed last, since a newer one could not be signed: that is not owed. */
  unsign(): void {
    this.newestAmount = this.#newestSigned;
    this.claimed = this.standing;
    if (this.committed > this.claimed) this.claimed = this.committed;
    if (this.recording > this.claimed) this.claimed = this.recording;
  }
}

/**
 * Memory for the newest signed claim of each channel, in pages, so that 100,000 channels need 100 buffers and not 100,000.
 * A place lasts as long as the payer.
 */
export class ClaimSlab {
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #used = CLAIMS_PER_PAGE;

  next(): ClaimPlace {
    if (this.#used === CLAIMS_PER_PAGE) {
      this.#bytes = new Uint8Array(CLAIMS_PER_PAGE * CLAIM_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
      this.#used = 0;
    }
    const offset = this.#used * CLAIM_BYTES;
    this.#used += 1;
    return { bytes: this.#bytes, view: this.#view, offset };
  }
}

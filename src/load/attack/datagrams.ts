/**
 * Hostile datagrams, made once from the seed and sent again and again. Between two sendings `refresh` changes what would
 * otherwise be known already: forged signatures, or they are copies, and the amounts of well signed doubles.
 *
 * Attack's thread, which owns the memory they lie in.
 */
import { type FrameSink, WALK_CUT_FRAME, WALK_EMPTY, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  DATAGRAM_BYTES_MAX,
  FRAME_ACK,
  FRAME_CLAIM,
} from '../../../protocol/layout.ts';
import type { Random } from '../random.ts';
import { DATAGRAM_KINDS, type DatagramKind, MIXED_ODDS } from './kinds.ts';
import type { SentDatagrams } from './sums.ts';

/** A well signed claim of a channel. */
type SignClaims = (
  channels: readonly number[],
  amounts: readonly number[],
  out: (claim: Uint8Array, index: number) => void,
) => void;

/** Channels that are known to the node. */
export interface KnownChannels {
  readonly count: number;
  handleHigh(channel: number): number;
  handleLow(channel: number): number;
  /** The amount of the next well signed claim; rises with each call. */
  nextAmount(channel: number): number;
  /** An amount that stays above what is committed, within the capacity. */
  forgedAmount(channel: number): number;
  /** The highest amount that is committed. */
  committed(channel: number): number;
  readonly sign: SignClaims;
}

/** Of the high half of a signature's s: below half of the group's order, or the claim is refused without a verification. */
const LOW_S_MASK = 0x3f;
const SIGNATURE_BYTES = 64;
const ACK_BYTES = 32;
/** The word of r that a refresh changes. */
const FRESH_WORD = 8;
const SEQUENCE_MAX = 2 ** 31;
const FRAME_KINDS = ['empty', 'cut', 'acks', 'other type'] as const;

interface Doubled {
  offset: number;
  claims: number;
  channel: number;
}

export class DatagramSet {
  bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  /** Of each datagram its kind, by the index in DATAGRAM_KINDS. */
  readonly kinds: Uint8Array;
  /** What the first n datagrams add up to, by n. */
  readonly #sums: SentDatagrams[] = [];
  #view: DataView;
  /** Where forged claims begin. */
  readonly #forged: number[] = [];
  readonly #doubled: Doubled[] = [];
  readonly #random: Random;
  readonly #known: KnownChannels | undefined;
  readonly #perDatagram: number;
  #round = 0;

  /** @param known for the kinds that need channels */
  constructor(kinds: readonly DatagramKind[], random: Random, known: KnownChannels | undefined, perDatagram: number) {
    this.kinds = Uint8Array.from(kinds, (kind) => DATAGRAM_KINDS.indexOf(kind));
    this.#random = random;
    this.#known = known;
    this.#perDatagram = perDatagram;
    this.offsets = new Uint32Array(kinds.length);
    this.lengths = Uint32Array.from(kinds, (kind) => this.#lengthOf(kind));
    let end = 0;
    this.lengths.forEach((length, index) => {
      this.offsets[index] = end;
      end += length;
    });
    this.bytes = new Uint8Array(end);
    this.#view = new DataView(this.bytes.buffer);
    for (const [index, kind] of kinds.entries()) this.#make(kind, this.offsets[index]!, this.lengths[index]!);
    this.#signDoubled();
    this.#sumUp();
  }

  get length(): number {
    return this.kinds.length;
  }

  /** They lie there from now on. */
  moveTo(bytes: Uint8Array): void {
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** What a receiver of the first `count` datagrams finds in them. */
  contents(count: number): SentDatagrams {
    return this.#sums[count]!;
  }

  /** Makes forged claims others than before, and signs the next amounts of doubled ones. */
  refresh(): void {
    this.#round = (this.#round + 1) >>> 0;
    for (const offset of this.#forged) this.#view.setUint32(offset + CLAIM_SIGNATURE + FRESH_WORD, this.#round);
    this.#signDoubled();
  }

  #lengthOf(kind: DatagramKind): number {
    if (kind === 'junk') return 1 + this.#random.below(DATAGRAM_BYTES_MAX);
    if (kind !== 'frames') return this.#perDatagram * CLAIM_BYTES;
    const frames = FRAME_KINDS[this.#random.below(FRAME_KINDS.length)]!;
    if (frames === 'empty') return 0;
    if (frames === 'acks') return ACK_BYTES * (1 + this.#random.below(45));
    const whole = this.#random.below(this.#perDatagram) * CLAIM_BYTES;
    // 200 bytes are more than a claim, so that the walk comes to the other type.
    return frames === 'cut' ? whole + 1 + this.#random.below(CLAIM_BYTES - 1) : whole + 200;
  }

  #make(kind: DatagramKind, offset: number, length: number): void {
    if (kind === 'junk') this.#fill(offset, length);
    else if (kind === 'frames') this.#makeFrames(offset, length);
    else if (kind === 'doubled')
      this.#doubled.push({ offset, claims: this.#perDatagram, channel: this.#random.below(this.#known!.count) });
    else if (kind === 'stale') this.#makeStale(offset);
    else
      for (let at = offset; at < offset + length; at += CLAIM_BYTES)
        this.#forge(at, kind === 'unknown-channels' ? undefined : this.#random.below(this.#known!.count));
  }

  #fill(offset: number, length: number): void {
    for (let at = offset; at < offset + length; at++) this.bytes[at] = this.#random.word();
  }

  /** A claim with a signature of the right form; of a channel that nobody opened, if of none. */
  #forge(at: number, channel: number | undefined): void {
    const known = this.#known;
    const isKnown = channel !== undefined && known !== undefined;
    this.#fill(at, CLAIM_BYTES);
    this.bytes[at] = FRAME_CLAIM;
    this.#view.setUint32(at + CLAIM_SEQUENCE, this.#random.below(SEQUENCE_MAX));
    if (isKnown) {
      this.#view.setUint32(at + CLAIM_CHANNEL_ID, known.handleHigh(channel));
      this.#view.setUint32(at + CLAIM_CHANNEL_ID + 4, known.handleLow(channel));
    }
    this.#setAmount(at, isKnown ? known.forgedAmount(channel) : 1 + this.#random.below(1e6));
    this.bytes[at + CLAIM_SIGNATURE + SIGNATURE_BYTES / 2]! &= LOW_S_MASK;
    this.#forged.push(at);
  }

  #setAmount(at: number, amount: number): void {
    this.#view.setUint32(at + CLAIM_AMOUNT, Math.floor(amount / 2 ** 32));
    this.#view.setUint32(at + CLAIM_AMOUNT + 4, amount >>> 0);
  }

  /** Any amount that is committed already will do. */
  #makeStale(offset: number): void {
    const known = this.#known!;
    const channels = Array.from({ length: this.#perDatagram }, () => this.#random.below(known.count));
    const amounts = channels.map((channel) => 1 + this.#random.below(Math.max(1, known.committed(channel))));
    known.sign(channels, amounts, (claim, index) => this.bytes.set(claim, offset + index * CLAIM_BYTES));
  }

  /** Acks where whole acks fit, else claims of unknown channels as far as they go, and then what is none. */
  #makeFrames(offset: number, length: number): void {
    this.#fill(offset, length);
    if (length > 0 && length % ACK_BYTES === 0) {
      for (let at = offset; at < offset + length; at += ACK_BYTES) this.bytes[at] = FRAME_ACK;
      return;
    }
    const rest = length >= 200 && (length - 200) % CLAIM_BYTES === 0 ? 200 : length % CLAIM_BYTES;
    for (let at = offset; at < offset + length - rest; at += CLAIM_BYTES) this.#forge(at, undefined);
    if (rest > 0) this.bytes[offset + length - rest] = rest === 200 ? 0x77 : FRAME_CLAIM;
  }

  #signDoubled(): void {
    if (this.#doubled.length === 0) return;
    const known = this.#known!;
    const channels = this.#doubled.map(({ channel }) => channel);
    const amounts = channels.map((channel) => known.nextAmount(channel));
    known.sign(channels, amounts, (claim, index) => {
      const { offset, claims } = this.#doubled[index]!;
      for (let copy = 0; copy < claims; copy++) this.bytes.set(claim, offset + copy * CLAIM_BYTES);
    });
  }

  /** Walks over every datagram as a node does: that is what it is, whatever it was made for. */
  #sumUp(): void {
    const sum: SentDatagrams = { datagrams: 0, whole: 0, emptyDatagram: 0, unknownType: 0, cutFrame: 0, claims: 0 };
    const sink: FrameSink = {
      claim: () => {
        sum.claims += 1;
      },
      ack: () => {},
    };
    this.#sums.push({ ...sum });
    for (let index = 0; index < this.length; index++) {
      const start = this.offsets[index]!;
      const end = walkFrames(this.bytes, start, start + this.lengths[index]!, sink);
      sum.datagrams += 1;
      if (end === WALK_WHOLE) sum.whole += 1;
      else if (end === WALK_EMPTY) sum.emptyDatagram += 1;
      else if (end === WALK_CUT_FRAME) sum.cutFrame += 1;
      else sum.unknownType += 1;
      this.#sums.push({ ...sum });
    }
  }
}

/** Kinds of so many datagrams: all of one, or for `mixed` drawn by their odds. */
export function kindsFor(attack: DatagramKind | 'mixed', count: number, random: Random): DatagramKind[] {
  if (attack !== 'mixed') return Array.from({ length: count }, () => attack);
  const total = DATAGRAM_KINDS.reduce((sum, kind) => sum + MIXED_ODDS[kind], 0);
  return Array.from({ length: count }, () => {
    let drawn = random.below(total);
    return DATAGRAM_KINDS.find((kind) => {
      drawn -= MIXED_ODDS[kind];
      return drawn < 0;
    })!;
  });
}

/**
 * Where claims come from: signed as they are due, taken from a corpus that was signed ahead, or taken from a capture.
 *
 * Generator thread. A source fills the first slots of the ring, and the batch with the channel, amount and socket of each
 * claim. Sequence and timestamp, which no `xrpl` signature covers, are written when the claim leaves.
 */
import { claimAmountHigh, claimAmountLow, copyClaim } from '../../protocol/claim.ts';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, CLAIM_SEQUENCE, FRAME_CLAIM } from '../../protocol/layout.ts';
import { SLOT_ROW } from '../ring/slot.ts';
import { BATCH_CLAIMS_MAX, type Batch, FAULT_STALE } from './batch.ts';
import type { LoadChannels } from './channels.ts';
import type { Random } from './random.ts';
import type { LoadSettings, ReplayClaims } from './settings.ts';
import type { LoadSigner } from './signer.ts';
import type { Picker } from './skew.ts';

export interface ClaimSource {
  readonly name: 'native' | 'wasm' | 'corpus' | 'replay';
  /** How many claims are left; Infinity for a source that signs them. */
  readonly left: number;
  /** The most claims that `fill` can be asked for. */
  readonly batchMax: number;
  /** Whether the claims keep their own sequences and timestamps. */
  readonly isVerbatim: boolean;
  /** Fills slots 0..batch.count-1; `dueAt` and `faults` are set, the rest of the batch is set here. */
  fill(batch: Batch): void;
}

/** Datagrams that follow each other on one socket leave in one system call. */
const RUN_CLAIMS_MIN = 60;
/** A stale claim repeats one of this many latest amounts of its channel. */
const STALE_DEPTH = 16;

export class SignedSource implements ClaimSource {
  readonly name: 'native' | 'wasm';
  readonly batchMax: number;
  readonly left = Number.POSITIVE_INFINITY;
  readonly isVerbatim = false;
  readonly #channels: LoadChannels;
  /** Another one takes its place when channels are dealt anew. */
  picker: Picker;
  readonly #signer: LoadSigner;
  readonly #random: Random;
  readonly #perDatagram: number;
  /** Claims that leave by one socket before another one is drawn. */
  readonly #run: number;

  /** @param random picks the amounts of stale claims */
  constructor(channels: LoadChannels, picker: Picker, signer: LoadSigner, random: Random, perDatagram: number) {
    this.name = signer.name;
    this.batchMax = signer.batchMax;
    this.#channels = channels;
    this.picker = picker;
    this.#signer = signer;
    this.#random = random;
    this.#perDatagram = perDatagram;
    this.#run = Math.ceil(RUN_CLAIMS_MIN / perDatagram) * perDatagram;
  }

  fill(batch: Batch): void {
    const { count, channels, amounts, faults } = batch;
    this.#pick(batch);
    // In a loop of its own, which is short, so that the cache misses of many channels overlap.
    for (let index = 0; index < count; index++) amounts[index] = this.#amount(channels[index]!, faults[index]!);
    for (let index = 0; index < count; index++) this.#write(index, channels[index]!, amounts[index]!);
    this.#signer.sign(count);
  }

  /** Fills slots 0..count-1 with a claim of the newest amount of each of these channels, signed once more. */
  repeat(channels: Uint32Array, count: number): void {
    for (let index = 0; index < count; index++) {
      const channel = channels[index]!;
      this.#write(index, channel, this.#channels.signed(channel));
    }
    this.#signer.sign(count);
  }

  /** In a loop of its own for the same reason: with Zipf's law a draw reads a table as long as there are channels. */
  #pick(batch: Batch): void {
    let socket = 0;
    for (let index = 0, inRun = 0; index < batch.count; index++, inRun++) {
      if (inRun === this.#run) inRun = 0;
      if (inRun === 0) socket = this.picker.socket();
      batch.starts[index] = inRun % this.#perDatagram === 0 ? 1 : 0;
      batch.sockets[index] = socket;
      batch.channels[index] = this.picker.channel(socket);
    }
  }

  #amount(channel: number, fault: number): number {
    const last = this.#channels.signed(channel);
    if (fault === FAULT_STALE && last > 0) return Math.max(1, last - this.#random.below(STALE_DEPTH));
    this.#channels.setSigned(channel, last + 1);
    return last + 1;
  }

  #write(index: number, channel: number, amount: number): void {
    const { arena, ring } = this.#channels;
    const { view } = arena;
    const slot = ring.slot(index);
    view.setUint8(slot, FRAME_CLAIM);
    view.setUint32(slot + CLAIM_CHANNEL_ID, this.#channels.handleHigh(channel));
    view.setUint32(slot + CLAIM_CHANNEL_ID + 4, this.#channels.handleLow(channel));
    view.setUint32(slot + CLAIM_AMOUNT, Math.floor(amount / 2 ** 32));
    view.setUint32(slot + CLAIM_AMOUNT + 4, amount >>> 0);
    arena.words[(slot + SLOT_ROW) >>> 2] = channel;
  }
}

/** Claims that lie in memory, one after the other. In a corpus the sequence of each is the number of its channel. */
export class StoredSource implements ClaimSource {
  readonly name: 'corpus' | 'replay';
  readonly batchMax = BATCH_CLAIMS_MAX;
  readonly isVerbatim: boolean;
  readonly #channels: LoadChannels;
  readonly #claims: DataView;
  readonly #replay: ReplayClaims | undefined;
  readonly #count: number;
  readonly #settings: Pick<LoadSettings, 'sockets' | 'perDatagram'>;
  #at = 0;

  /** @param replay whose claims these are; undefined for a corpus */
  constructor(
    channels: LoadChannels,
    claims: Uint8Array,
    replay: ReplayClaims | undefined,
    settings: Pick<LoadSettings, 'sockets' | 'perDatagram'>,
  ) {
    this.name = replay === undefined ? 'corpus' : 'replay';
    this.isVerbatim = replay !== undefined;
    this.#channels = channels;
    this.#claims = new DataView(claims.buffer, claims.byteOffset, claims.byteLength);
    this.#replay = replay;
    this.#count = claims.byteLength / CLAIM_BYTES;
    this.#settings = settings;
  }

  get left(): number {
    return this.#count - this.#at;
  }

  fill(batch: Batch): void {
    const channels = this.#channels;
    const { arena, ring } = channels;
    const { sockets, perDatagram } = this.#settings;
    for (let index = 0; index < batch.count; index++, this.#at++) {
      const from = this.#at * CLAIM_BYTES;
      const channel = this.#replay?.channels[this.#at] ?? this.#claims.getUint32(from + CLAIM_SEQUENCE);
      const amount = claimAmountHigh(this.#claims, from) * 2 ** 32 + claimAmountLow(this.#claims, from);
      copyClaim(this.#claims, from, arena.view, ring.slot(index));
      batch.channels[index] = channel;
      batch.amounts[index] = amount;
      batch.sockets[index] = (this.#replay?.sources[this.#at] ?? channel) % sockets;
      batch.starts[index] = this.#replay?.starts[this.#at] ?? (this.#at % perDatagram === 0 ? 1 : 0);
      if (amount > channels.signed(channel)) channels.setSigned(channel, amount);
    }
  }
}

/**
 * The run's channels: derived from the seed, kept in an arena like a node's, so that the kernel can sign in its slots.
 *
 * The main thread derives and fills; then the generator thread alone writes slots, signed and acknowledged amounts, and
 * the main thread reads these when the run is over. Private keys are made here and nowhere else: throw-away keys, worth
 * nothing, since whoever has the seed has them.
 */
import { DROPS_MAX, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { ChannelTable } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { OpeningJson } from '../http/client.ts';
import { Arena, type ArenaShape } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { BATCH_CLAIMS_MAX, HELD_CLAIMS_MAX } from './batch.ts';
import { seededBytes } from './random.ts';
import { signerBytes, throwawayPublicKey } from './signer.ts';

/** Amounts go up by one drop a claim and are doubles: room for 9 * 10^15 claims a channel. */
const CAPACITY = DROPS_MAX;
/** Half of what a double counts exactly. */
const AMOUNT_START_MAX = 2n ** 52n;

/** What crosses to the generator thread. */
export interface SharedChannels {
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  records: Float64Array;
}

/** A channel's record, half a cache line: two amounts, and its handle as two words. */
const RECORD_DOUBLES = 4;
const RECORD_ACKNOWLEDGED = 1;
const RECORD_HANDLE_WORD = 4;

export class LoadChannels {
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly table: ChannelTable;
  readonly #records: Float64Array;
  readonly #words: Uint32Array;

  constructor({ memory, shape, records }: SharedChannels) {
    this.arena = new Arena(memory, shape);
    this.ring = new ClaimRing(this.arena, 0);
    this.table = new ChannelTable(this.arena);
    this.#records = records;
    this.#words = new Uint32Array(records.buffer);
  }

  static #empty(count: number, kernelBytes: number): LoadChannels {
    const ringSlots = BATCH_CLAIMS_MAX + HELD_CLAIMS_MAX;
    const shape = { kernelBytes, rings: 1, ringSlots, ackSlots: 2, threads: 1, channelsMax: count };
    const records = new Float64Array(new SharedArrayBuffer(8 * RECORD_DOUBLES * count));
    return new LoadChannels({ memory: Arena.create(shape).memory, shape, records });
  }

  /** `count` channels over `keys` keys: channel i has key i mod keys. */
  static derive(seed: number, count: number, keys: number): LoadChannels {
    const channels = LoadChannels.#empty(count, signerBytes(keys));
    const publicKeys = Array.from({ length: keys }, (_, key) => throwawayPublicKey(seed, key));
    for (let channel = 0; channel < count; channel++)
      channels.#insert(ledgerIdOf(seed, channel), publicKeys[channel % keys]!);
    return channels;
  }

  /** Channels known by their handles alone, as in a capture: nothing can be signed for them. */
  static known(handles: readonly bigint[]): LoadChannels {
    const channels = LoadChannels.#empty(Math.max(1, handles.length), 0);
    const ledgerId = new Uint8Array(32);
    for (const handle of handles) {
      new DataView(ledgerId.buffer).setBigUint64(0, handle);
      channels.#insert(ledgerId, new Uint8Array(33));
    }
    return channels;
  }

  get count(): number {
    return this.#records.length / RECORD_DOUBLES;
  }
  get shared(): SharedChannels {
    return { memory: this.arena.memory, shape: this.arena.plan.shape, records: this.#records };
  }

  /** Highest amount a claim was made for: drops, from what the node has at the start. */
  signed(channel: number): number {
    return this.#records[channel * RECORD_DOUBLES]!;
  }
  setSigned(channel: number, amount: number): void {
    this.#records[channel * RECORD_DOUBLES] = amount;
  }
  /** Highest amount that is acknowledged. */
  acknowledged(channel: number): number {
    return this.#records[channel * RECORD_DOUBLES + RECORD_ACKNOWLEDGED]!;
  }
  setAcknowledged(channel: number, amount: number): void {
    this.#records[channel * RECORD_DOUBLES + RECORD_ACKNOWLEDGED] = amount;
  }
  /** Its handle as on the wire. */
  handleHigh(channel: number): number {
    return this.#words[channel * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD]!;
  }
  handleLow(channel: number): number {
    return this.#words[channel * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD + 1]!;
  }

  /** For POST /channels. Main thread. */
  opening(channel: number): OpeningJson {
    const { publicKey, ledgerChannelId } = this.table.read(channel);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
    return {
      ledgerChannelId: hex(ledgerChannelId),
      publicKey: hex(publicKey),
      capacity: String(CAPACITY),
      throwAway: true,
    };
  }

  /** Its handle as a decimal string. Main thread. */
  handle(channel: number): string {
    return ((BigInt(this.handleHigh(channel)) << 32n) | BigInt(this.handleLow(channel))).toString();
  }

  /** Number of the channel with that handle, or -1. */
  find(handle: bigint): number {
    return this.table.find(Number(handle >> 32n), Number(handle & 0xffff_ffffn));
  }

  /** The node has `drops` of it. Throws INPUT_INVALID where no room is left for claims. */
  startAt(channel: number, drops: bigint): void {
    if (drops > AMOUNT_START_MAX)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `channel ${channel}: expected at most 2^52 drops committed, got ${drops}; take another --seed`,
      );
    this.setSigned(channel, Number(drops));
    this.setAcknowledged(channel, Number(drops));
  }

  #insert(ledgerChannelId: Uint8Array, publicKey: Uint8Array): void {
    const view = new DataView(ledgerChannelId.buffer, ledgerChannelId.byteOffset, 8);
    const row = this.table.insert({
      channelId: view.getBigUint64(0),
      ledgerChannelId,
      publicKey,
      capacity: CAPACITY,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: NO_SIGNATURE,
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
    const word = row * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD;
    this.#words[word] = view.getUint32(0);
    this.#words[word + 1] = view.getUint32(4);
  }
}

const NO_SIGNATURE = new Uint8Array(SIGNATURE_BYTES);

function ledgerIdOf(seed: number, channel: number): Uint8Array {
  return seededBytes(seed, `throw-away channel ${channel}`);
}

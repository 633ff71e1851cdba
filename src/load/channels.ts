/**
 * The run's channels: derived from the seed, kept in an arena like a node's, so that the kernel can sign in its slots.
 *
 * The main thread derives and fills them. Then the generator thread alone writes slots and amounts, and the main thread
 * reads the amounts when the run is over. The keys are throw-away keys: whoever knows the seed has them.
 */
import { DROPS_MAX, LEDGER_CHANNEL_ID_BYTES, type ProfileName, PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { packedRows, ROW, UNUSED } from '../channel/row.ts';
import { ChannelTable } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import type { OpeningJson } from '../http/client.ts';
import { askHugePages } from '../native/huge-pages.ts';
import { Arena, type ArenaShape } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { BATCH_CLAIMS_MAX, HELD_CLAIMS_MAX } from './batch.ts';
import { seededBytes } from './random.ts';
import { signerBytes, throwawayPublicKey } from './signer.ts';

/** Half of what a double counts exactly. Amounts are doubles and rise by one drop a claim. */
const AMOUNT_START_MAX = 2n ** 52n;

/** As in a node: fewer channels gain nothing. */
const HUGE_PAGES_CHANNELS_MIN = 1_000_000;

/** What crosses to the generator thread. */
export interface SharedChannels {
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  records: Float64Array;
}

/** A channel's record, half a cache line: two amounts, then as words its handle and the ends of its queue (outstanding.ts). */
const RECORD_DOUBLES = 4;
const RECORD_ACKNOWLEDGED = 1;
const RECORD_HANDLE_WORD = 4;
const RECORD_QUEUE_WORD = 6;

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
    const arena = Arena.create(shape);
    if (count >= HUGE_PAGES_CHANNELS_MIN) askHugePages([...arena.randomParts, new Uint8Array(records.buffer)]);
    return new LoadChannels({ memory: arena.memory, shape, records });
  }

  /** Derives `count` channels over `keys` keys; channel i has key i mod keys. */
  static derive(seed: number, count: number, keys: number): LoadChannels {
    const channels = LoadChannels.#empty(count, signerBytes(keys));
    const publicKeys = Array.from({ length: keys }, (_, key) => throwawayPublicKey(seed, key));
    for (let channel = 0; channel < count; channel++)
      channels.#insert(seededBytes(seed, `throw-away channel ${channel}`), publicKeys[channel % keys]!);
    return channels;
  }

  /** Channels of one key, for roots: others than those above, as a removed channel keeps its key and profile at the node. */
  static ofKey(seed: number, count: number, publicKey: Uint8Array): LoadChannels {
    const channels = LoadChannels.#empty(count, 0);
    const key = Buffer.from(publicKey).toString('hex');
    for (let channel = 0; channel < count; channel++)
      channels.#insert(seededBytes(seed, `throw-away channel ${channel} of ${key}`), publicKey);
    return channels;
  }

  /** Channels of which only the handles are known, as in a capture, so that nothing can be signed for them. */
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

  /** The highest amount that a claim was made for, in drops; at the start what the node has committed. */
  signed(channel: number): number {
    return this.#records[channel * RECORD_DOUBLES]!;
  }
  setSigned(channel: number, amount: number): void {
    this.#records[channel * RECORD_DOUBLES] = amount;
  }
  /** The highest amount that was acknowledged. */
  acknowledged(channel: number): number {
    return this.#records[channel * RECORD_DOUBLES + RECORD_ACKNOWLEDGED]!;
  }
  setAcknowledged(channel: number, amount: number): void {
    this.#records[channel * RECORD_DOUBLES + RECORD_ACKNOWLEDGED] = amount;
  }
  /** The channels' queues of outstanding claims, from the first one's on, QUEUE_STRIDE words apart. Generator thread. */
  get queues(): Int32Array {
    return new Int32Array(this.#records.buffer, RECORD_QUEUE_WORD * 4);
  }
  /** The two halves of the handle. */
  handleHigh(channel: number): number {
    return this.#words[channel * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD]!;
  }
  handleLow(channel: number): number {
    return this.#words[channel * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD + 1]!;
  }

  /** For POST /channels. Main thread. */
  opening(channel: number, profile: ProfileName = 'xrpl'): OpeningJson {
    const { publicKey, ledgerChannelId } = this.table.read(channel);
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();
    return {
      ledgerChannelId: hex(ledgerChannelId),
      publicKey: hex(publicKey),
      capacity: String(DROPS_MAX),
      profile,
      throwAway: true,
    };
  }

  /** The handle as a decimal string. Main thread. */
  handle(channel: number): string {
    return ((BigInt(this.handleHigh(channel)) << 32n) | BigInt(this.handleLow(channel))).toString();
  }

  /** The number of the channel with that handle, or -1. */
  find(handle: bigint): number {
    return this.table.find(Number(handle >> 32n), Number(handle & 0xffff_ffffn));
  }

  /** Sets the drops that the node has committed. Throws INPUT_INVALID if too little room is left for claims. */
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
    // One row serves all: what is left of the one before is overwritten, and nobody reads its checksum.
    ROW_BYTES_OF_ALL.set(ledgerChannelId, ROW.ledgerChannelId);
    ROW_BYTES_OF_ALL.set(publicKey, ROW.publicKey);
    const [high, low] = [ROW_VIEW.getUint32(ROW.ledgerChannelId), ROW_VIEW.getUint32(ROW.ledgerChannelId + 4)];
    ROW_VIEW.setUint32(ROW.channelId, low, true);
    ROW_VIEW.setUint32(ROW.channelId + 4, high, true);
    const row = this.table.insertRow(ROW_BYTES_OF_ALL, ROW_VIEW, 0);
    const word = row * 2 * RECORD_DOUBLES + RECORD_HANDLE_WORD;
    this.#words[word] = high;
    this.#words[word + 1] = low;
  }
}

/** The row of a channel of which nothing is known yet but its capacity. */
const ROW_BYTES_OF_ALL = packedRows([
  {
    ...UNUSED,
    channelId: 0n,
    ledgerChannelId: new Uint8Array(LEDGER_CHANNEL_ID_BYTES),
    publicKey: new Uint8Array(PUBLIC_KEY_BYTES),
    capacity: DROPS_MAX,
    profile: 'xrpl',
    expiresAt: 0,
  },
]);
const ROW_VIEW = new DataView(ROW_BYTES_OF_ALL.buffer);

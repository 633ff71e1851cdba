/**
 * The channel table: all that the claim path knows of every channel. It lies in the arena; readers never lock it.
 *
 * The fields lie in arrays, grouped by who reads them together: a 64-byte hot line (all that acceptance needs, in one cache
 * miss), the ledger id without its first part (for the digest), the best claim's signature (for the commit), and the keys, each stored once. Rows
 * are dense and in the order of opening. A hash index with open addressing finds a row by its u64 handle, as two u32.
 *
 * The row of a removed channel keeps its place and its handle while threads run, since claims in flight name rows by number
 * and the journal names them by handle. The next start frees it, once nothing is left to replay.
 *
 * The main thread opens rows and changes capacity, expiry and state. Committers move balances; the main thread does so only
 * where the ledger has paid more than is committed. A row's version word is its lock (odd while the row is written), and
 * lets readers of several fields take a consistent snapshot.
 *
 * Once a row can be found, its changing fields are loaded and stored with Atomics, word by word; only the holder of the lock
 * may load them plainly. Plain accesses between two atomic ones are not ordered: where the processor reorders them (ARM), a
 * plain load may happen after the second look at the version, and a plain store before the version is odd. Atomic accesses
 * are in one order for all threads (for C see claim_path.c).
 */
import {
  CLAIM_AMOUNT,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  PROFILE_LINK,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { assert, ClaimwireError } from '../errors.ts';
import {
  type Arena,
  type ArenaPlan,
  KEY_STRIDE_BYTES,
  ROW_HOT_BYTES,
  ROW_LEDGER_HEAD_BYTES,
  ROW_LEDGER_TAIL_BYTES,
  ROW_SIGNATURE_BYTES,
} from '../ring/arena.ts';
import { controlWord, ED25519_LINE } from '../ring/control-words.ts';
import {
  type Channel,
  hasDefaultHandle,
  packedRows,
  ROW,
  STATE_OPEN,
  STATE_REMOVED,
  STATE_THROW_AWAY,
  stateOf,
} from './row.ts';

/** Words of the hot line. */
export const HOT_ID_HIGH = 0;
export const HOT_ID_LOW = 1;
export const HOT_FLAGS = 2;
export const HOT_EXPIRES_AT = 3; // unix seconds, 0 = never
export const HOT_CAPACITY_HIGH = 4;
export const HOT_CAPACITY_LOW = 5;
export const HOT_COMMITTED_HIGH = 6;
export const HOT_COMMITTED_LOW = 7;
export const HOT_SEQUENCE = 8;
export const HOT_TIMESTAMP_HIGH = 9;
export const HOT_TIMESTAMP_LOW = 10;
export const HOT_KEY = 11;
export const HOT_VERSION = 12;
export const HOT_DIRTY = 13; // 1 when the registry is behind
export const HOT_CHANGE = 14; // odd while the operator's fields are being changed
export const HOT_PAYER = 15; // who was noted last as its payer, and when (path/standing.ts)
const HOT_WORDS = ROW_HOT_BYTES / 4;
const SIGNATURE_WORDS = SIGNATURE_BYTES / 4;

/** Bits of HOT_FLAGS. A row without FLAG_OPEN accepts nothing; FLAG_LINK, FLAG_ED25519 and FLAG_OWN_HANDLE never change. */
export const FLAG_OPEN = 1;
export const FLAG_LINK = 1 << 8;
export const FLAG_ED25519 = 1 << 9;
/** Only the main thread reads these two: a removed row is never open, which is enough for the others. */
export const FLAG_THROW_AWAY = 1 << 10;
const FLAG_REMOVED = 1 << 11;
/** The handle is not the first part of the ledger id, which then lies beside the table. */
export const FLAG_OWN_HANDLE = 1 << 12;
/** Leaves of signed roots were committed, or are about to be: what is redeemable lies beside the table (rooted.ts). */
export const FLAG_ROOTED = 1 << 13;

/** Constants of the index's hash, which C uses too. */
export const HASH_HIGH = 0x9e3779b1;
export const HASH_BOTH = 0x85ebca6b;
export const HASH_SHIFT = 15;
export const HASH_END = 0xc2b2ae35;

/** Where the table lies, for C that puts rows into it (native/rows.c): offsets in bytes, then sizes. */
export const TABLE_LAYOUT: readonly (readonly [name: string, of: (plan: ArenaPlan) => number])[] = [
  ['hot', ({ rows }) => rows.offset],
  ['ledger_tails', ({ ledgerTails }) => ledgerTails.offset],
  ['signatures', ({ signatures }) => signatures.offset],
  ['keys', ({ keys }) => keys.offset],
  ['index', ({ channelIndex }) => channelIndex.offset],
  ['key_index', ({ keyIndex }) => keyIndex.offset],
  ['index_mask', ({ channelIndex }) => channelIndex.bytes / 4 - 1],
  ['rows_max', ({ shape }) => shape.channelsMax],
];

/** What is kept beside the table of rows with FLAG_ROOTED (rooted.ts). Called by the holder of the row's lock. */
export interface RowExtension {
  /** As `ChannelTable.commit`, of a claim on its own. Returns false where the row never had a leaf: it is a plain one then. */
  commitLocked(row: number, hot: number, view: DataView, offset: number): boolean;
  /** The committed amount is about to rise to this one, which the ledger has paid by a claim that this node never had. */
  raiseLocked(row: number, hot: number, high: number, low: number): void;
  /** Puts what is kept into the copy of a row; without the lock, and again if the row was written meanwhile. */
  copyInto(row: number, channel: Channel): void;
}

const ROW_NONE = -1;
const LOCKED_MS_MAX = 5_000;

/** What `ChannelTable.change` changes; an absent field stays as it is. Capacity in drops, expiry in Unix seconds. */
export interface RowChange {
  capacity?: bigint;
  expiresAt?: number;
  open?: boolean;
  removed?: boolean;
  throwAway?: boolean;
}

/** Spreads handles evenly over the index, also those that an operator numbered 1, 2, 3. */
function hashHandle(high: number, low: number): number {
  let hash = Math.imul(low ^ Math.imul(high, HASH_HIGH), HASH_BOTH);
  hash ^= hash >>> HASH_SHIFT;
  return Math.imul(hash, HASH_END) >>> 0;
}

export class ChannelTable {
  readonly words: Uint32Array;
  /** Word index of row 0's hot line. */
  readonly #hotLines: number;
  readonly #ints: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #ledgerHeads: number;
  readonly #ledgerTails: number;
  readonly #signatures: number;
  readonly #keys: number;
  readonly #index: number;
  readonly #keyIndex: number;
  readonly #indexMask: number;
  readonly #ed25519: number;
  readonly #layout: Uint32Array;
  readonly capacity: number;
  /** The halves of the capacity that `loadCapacity` read. */
  capacityHigh = 0;
  capacityLow = 0;
  /** Keeps the leaves of signed roots, where the node has any. */
  extension: RowExtension | undefined;
  /** Rows and keys in use. Main thread only. */
  #rows = 0;
  #keyCount = 0;

  constructor(arena: Arena) {
    const { plan } = arena;
    this.words = arena.words;
    this.#ints = arena.ints;
    this.#bytes = arena.bytes;
    this.#hotLines = plan.rows.offset >>> 2;
    this.#ledgerHeads = plan.ledgerHeads.offset;
    this.#ledgerTails = plan.ledgerTails.offset;
    this.#signatures = plan.signatures.offset;
    this.#keys = plan.keys.offset;
    this.#index = plan.channelIndex.offset >>> 2;
    this.#keyIndex = plan.keyIndex.offset >>> 2;
    this.#indexMask = plan.channelIndex.bytes / 4 - 1;
    this.#ed25519 = controlWord(arena, ED25519_LINE);
    this.#layout = Uint32Array.from(TABLE_LAYOUT, ([, of]) => of(plan));
    this.capacity = plan.shape.channelsMax;
  }

  // --- any thread ---

  /**
   * The row of a handle, or -1. An index entry is stored after its row, and the row's address is computed from the entry. No
   * processor loads from an address before it knows it, so plain loads are enough.
   */
  find(idHigh: number, idLow: number): number {
    const { words } = this;
    let slot = hashHandle(idHigh, idLow) & this.#indexMask;
    for (;;) {
      const entry = words[this.#index + slot]!;
      if (entry === 0) return ROW_NONE;
      const hot = this.hot(entry - 1);
      if (words[hot + HOT_ID_LOW] === idLow && words[hot + HOT_ID_HIGH] === idHigh) return entry - 1;
      slot = (slot + 1) & this.#indexMask;
    }
  }

  /** Word index of a row's hot line. */
  hot(row: number): number {
    return this.#hotLines + row * HOT_WORDS;
  }

  /**
   * Upper half of the committed amount. Read it before the lower half: then the two are never above the durable amount (see
   * `#storeCommitted`).
   */
  committedHigh(hot: number): number {
    return Atomics.load(this.words, hot + HOT_COMMITTED_HIGH);
  }
  committedLow(hot: number): number {
    return Atomics.load(this.words, hot + HOT_COMMITTED_LOW);
  }

  /** Sequence number of the row's best claim. */
  sequence(hot: number): number {
    return Atomics.load(this.words, hot + HOT_SEQUENCE);
  }

  /** Loads `capacityHigh` and `capacityLow`: two halves of one value, even while the operator changes it. */
  loadCapacity(hot: number): void {
    const { words } = this;
    for (;;) {
      const change = Atomics.load(words, hot + HOT_CHANGE);
      this.capacityHigh = Atomics.load(words, hot + HOT_CAPACITY_HIGH);
      this.capacityLow = Atomics.load(words, hot + HOT_CAPACITY_LOW);
      if ((change & 1) === 0 && Atomics.load(words, hot + HOT_CHANGE) === change) return;
    }
  }

  /** Rises with each change by the operator (`change`), which is the main thread's; even unless one is under way. */
  changes(row: number): number {
    return Atomics.load(this.words, this.hot(row) + HOT_CHANGE);
  }

  /** Whether nothing was ever committed on a row. Waits while a committer writes the row. */
  isUnused(hot: number): boolean {
    for (;;) {
      const version = Atomics.load(this.#ints, hot + HOT_VERSION);
      const isUnused = (this.committedHigh(hot) | this.committedLow(hot)) === 0;
      if ((version & 1) === 0 && Atomics.load(this.#ints, hot + HOT_VERSION) === version) return isUnused;
    }
  }

  /** A copy of the 32-byte ledger id of a row. For cold paths and slow backends. */
  ledgerId(row: number): Uint8Array<ArrayBuffer> {
    const id = new Uint8Array(LEDGER_CHANNEL_ID_BYTES);
    const bytes = this.#bytes;
    const hot = this.hot(row);
    if ((Atomics.load(this.words, hot + HOT_FLAGS) & FLAG_OWN_HANDLE) !== 0) {
      const head = this.#ledgerHeads + row * ROW_LEDGER_HEAD_BYTES;
      id.set(bytes.subarray(head, head + ROW_LEDGER_HEAD_BYTES));
    } else {
      putBigEndian(id, 0, this.words[hot + HOT_ID_HIGH]!);
      putBigEndian(id, 4, this.words[hot + HOT_ID_LOW]!);
    }
    const tail = this.#ledgerTails + row * ROW_LEDGER_TAIL_BYTES;
    id.set(bytes.subarray(tail, tail + ROW_LEDGER_TAIL_BYTES), ROW_LEDGER_HEAD_BYTES);
    return id;
  }

  /** The 33-byte public key of a key number, as a view of the arena. */
  publicKey(key: number): Uint8Array {
    const start = this.#keys + key * KEY_STRIDE_BYTES;
    return this.#bytes.subarray(start, start + PUBLIC_KEY_BYTES);
  }

  /** Whether any channel has ever had an Ed25519 key. It is set before the first such row can be found, and stays set. */
  get hasEd25519(): boolean {
    return Atomics.load(this.words, this.#ed25519) !== 0;
  }

  // --- committers ---

  /**
   * Makes the claim at `offset` of `view` (93 bytes as on the wire, already durable) the row's best claim, unless another
   * lane has committed a higher amount meanwhile.
   */
  commit(row: number, view: DataView, offset: number): void {
    const hot = this.hot(row);
    const version = this.lock(hot);
    const isRooted = (this.words[hot + HOT_FLAGS]! & FLAG_ROOTED) !== 0;
    const isKept = isRooted && this.extension!.commitLocked(row, hot, view, offset);
    if (!isKept && this.storeBest(hot, view, offset)) this.storeSignature(row, view, offset);
    this.unlock(hot, version);
  }

  /** Makes amount, sequence and timestamp those of the claim, if it is for more. Returns whether. Under the row's lock. */
  storeBest(hot: number, view: DataView, offset: number): boolean {
    const { words } = this;
    const amountHigh = view.getUint32(offset + CLAIM_AMOUNT);
    const amountLow = view.getUint32(offset + CLAIM_AMOUNT + 4);
    if (!isAbove(amountHigh, amountLow, words[hot + HOT_COMMITTED_HIGH]!, words[hot + HOT_COMMITTED_LOW]!))
      return false;
    this.#storeCommitted(hot, amountHigh, amountLow);
    Atomics.store(words, hot + HOT_SEQUENCE, view.getUint32(offset + CLAIM_SEQUENCE));
    Atomics.store(words, hot + HOT_TIMESTAMP_HIGH, view.getUint32(offset + CLAIM_TIMESTAMP));
    Atomics.store(words, hot + HOT_TIMESTAMP_LOW, view.getUint32(offset + CLAIM_TIMESTAMP + 4));
    Atomics.store(words, hot + HOT_DIRTY, 1);
    return true;
  }

  /** Makes the claim's signature the row's. Under the row's lock. */
  storeSignature(row: number, view: DataView, offset: number): void {
    const signature = this.#signature(row) >>> 2;
    for (let word = 0; word < SIGNATURE_WORDS; word++)
      Atomics.store(this.words, signature + word, view.getUint32(offset + CLAIM_SIGNATURE + 4 * word, true));
  }

  /** Whether a row is marked as one with leaves of signed roots. */
  isRooted(row: number): boolean {
    return (Atomics.load(this.words, this.hot(row) + HOT_FLAGS) & FLAG_ROOTED) !== 0;
  }
  /** Marks a row whose claims are no longer plain ones, for good. Any thread; before its first leaf is staged. */
  markRooted(row: number): void {
    const hot = this.hot(row);
    if ((Atomics.load(this.words, hot + HOT_FLAGS) & FLAG_ROOTED) !== 0) return;
    // Under the lock, since the main thread changes other flags under it.
    const version = this.lock(hot);
    Atomics.store(this.words, hot + HOT_FLAGS, this.words[hot + HOT_FLAGS]! | FLAG_ROOTED);
    this.unlock(hot, version);
  }

  // --- main thread ---

  get rows(): number {
    return this.#rows;
  }
  get keys(): number {
    return this.#keyCount;
  }

  /**
   * Has `insert` put rows behind the last one, and keys behind the last key, as `insertRow` would, before other threads run.
   * It moves the two numbers that it is given, of rows and of keys; the layout is that of TABLE_LAYOUT.
   */
  insertBy<Result>(insert: (arena: { bytes: Uint8Array; layout: Uint32Array }, counts: Uint32Array) => Result): Result {
    const counts = Uint32Array.of(this.#rows, this.#keyCount);
    const result = insert({ bytes: this.#bytes, layout: this.#layout }, counts);
    [this.#rows, this.#keyCount] = counts as unknown as [number, number];
    return result;
  }

  /** Adds a channel, whose handle the caller has checked to be free. Returns the row number. Throws TABLE_FULL. */
  insert(channel: Channel): number {
    const row = packedRows([channel]);
    return this.insertRow(row, new DataView(row.buffer), 0);
  }

  /**
   * As `insert`, from a registry row at `offset` of `bytes` (row.ts), without making an object.
   * @param row a free row (see `free`); by default the row after the last
   */
  insertRow(bytes: Uint8Array, view: DataView, offset: number, row = this.#rows): number {
    if (row === this.capacity) throw tableFull(this.capacity);
    const isNew = row === this.#rows;
    const hot = this.hot(row);
    const { words } = this;
    const copyPair = (field: number, word: number) => {
      words[hot + word] = view.getUint32(offset + field + 4, true);
      words[hot + word + 1] = view.getUint32(offset + field, true);
    };
    copyPair(ROW.channelId, HOT_ID_HIGH);
    copyPair(ROW.capacity, HOT_CAPACITY_HIGH);
    copyPair(ROW.committed, HOT_COMMITTED_HIGH);
    copyPair(ROW.timestamp, HOT_TIMESTAMP_HIGH);
    words[hot + HOT_EXPIRES_AT] = view.getUint32(offset + ROW.expiresAt, true);
    words[hot + HOT_SEQUENCE] = view.getUint32(offset + ROW.sequence, true);
    const flags = flagsOfRow(bytes, view, offset);
    // A removed channel's key is not stored: the row that replaces it has a key of its own.
    words[hot + HOT_KEY] = (flags & FLAG_REMOVED) === 0 ? this.#internKey(bytes, view, offset + ROW.publicKey) : 0;
    const id = offset + ROW.ledgerChannelId;
    const tail = id + ROW_LEDGER_HEAD_BYTES;
    // Beside the table no page is touched for a row with its default handle.
    if ((flags & FLAG_OWN_HANDLE) !== 0)
      this.#bytes.set(bytes.subarray(id, tail), this.#ledgerHeads + row * ROW_LEDGER_HEAD_BYTES);
    this.#bytes.set(
      bytes.subarray(tail, tail + ROW_LEDGER_TAIL_BYTES),
      this.#ledgerTails + row * ROW_LEDGER_TAIL_BYTES,
    );
    const isUsed = (words[hot + HOT_COMMITTED_HIGH]! | words[hot + HOT_COMMITTED_LOW]!) !== 0;
    // A new row's signature is zero, and so is the arena: its page stays untouched until the first commit.
    if (isUsed || !isNew) {
      const signature = offset + ROW.signature;
      this.#bytes.set(bytes.subarray(signature, signature + SIGNATURE_BYTES), this.#signature(row));
    }
    Atomics.store(words, hot + HOT_FLAGS, flags);
    if (isNew) this.#rows = row + 1;
    if ((flags & FLAG_REMOVED) === 0) this.#indexRow(row);
    return row;
  }

  /** A consistent copy of a row. */
  read(row: number): Channel {
    const hot = this.hot(row);
    const giveUpAt = performance.now() + LOCKED_MS_MAX;
    for (let tries = 1; ; tries++) {
      // A committer locks a row for nanoseconds, longer if it loses its core meanwhile, and for ever if it dies.
      assert(tries % 1_024 !== 0 || performance.now() < giveUpAt, 'a row is locked by a thread that runs');
      const version = Atomics.load(this.#ints, hot + HOT_VERSION);
      if ((version & 1) === 0) {
        const channel = this.#copy(row, hot);
        if (Atomics.load(this.#ints, hot + HOT_VERSION) === version) return channel;
      }
    }
  }

  /**
   * Lets `find` find removed rows whose handle no other row has: a replay needs it, since the journal may have claims of
   * them. Call it before other threads run; `free` undoes it.
   */
  indexRemoved(): void {
    for (let row = 0; row < this.#rows; row++) {
      const hot = this.hot(row);
      if (this.isRemoved(row) && this.find(this.words[hot + HOT_ID_HIGH]!, this.words[hot + HOT_ID_LOW]!) < 0)
        this.#indexRow(row);
    }
  }

  /**
   * Removes all removed rows from the index, so that `insertRow` may reuse them, and returns them in order. Call it only
   * before other threads run, and when no journal has claims of them any more.
   */
  free(): number[] {
    const free: number[] = [];
    for (let row = 0; row < this.#rows; row++) if (this.isRemoved(row)) free.push(row);
    if (free.length === 0) return free;
    this.words.fill(0, this.#index, this.#index + this.#indexMask + 1);
    for (let row = 0; row < this.#rows; row++) if (!this.isRemoved(row)) this.#indexRow(row);
    return free;
  }

  isRemoved(row: number): boolean {
    return (this.words[this.hot(row) + HOT_FLAGS]! & FLAG_REMOVED) !== 0;
  }
  /** Whether a row's best claim is worth nothing: the channel was made to try the node out, or it is removed. */
  isNeverRedeemed(row: number): boolean {
    return (this.words[this.hot(row) + HOT_FLAGS]! & (FLAG_REMOVED | FLAG_THROW_AWAY)) !== 0;
  }

  /** Changes what the operator may change. */
  change(row: number, change: RowChange): void {
    const hot = this.hot(row);
    const version = this.lock(hot);
    const { words } = this;
    // Acceptance reads the capacity without the lock, and must not see a mix of an old and a new half.
    Atomics.add(words, hot + HOT_CHANGE, 1);
    if (change.capacity !== undefined) {
      Atomics.store(words, hot + HOT_CAPACITY_HIGH, highHalf(change.capacity));
      Atomics.store(words, hot + HOT_CAPACITY_LOW, lowHalf(change.capacity));
    }
    if (change.expiresAt !== undefined) Atomics.store(words, hot + HOT_EXPIRES_AT, change.expiresAt);
    let flags = words[hot + HOT_FLAGS]!;
    if (change.open !== undefined) flags = withFlag(flags, FLAG_OPEN, change.open);
    if (change.removed !== undefined) flags = withFlag(flags, FLAG_REMOVED, change.removed);
    if (change.throwAway !== undefined) flags = withFlag(flags, FLAG_THROW_AWAY, change.throwAway);
    Atomics.store(words, hot + HOT_FLAGS, flags);
    Atomics.add(words, hot + HOT_CHANGE, 1);
    this.unlock(hot, version);
  }

  /**
   * Raises the committed amount, and clears the signature, which was for less. For an amount that was paid by a claim which
   * this node never had. Returns whether less was committed before.
   */
  raise(row: number, amount: bigint): boolean {
    const hot = this.hot(row);
    const version = this.lock(hot);
    const { words } = this;
    const [high, low] = [highHalf(amount), lowHalf(amount)];
    const isHigher = isAbove(high, low, words[hot + HOT_COMMITTED_HIGH]!, words[hot + HOT_COMMITTED_LOW]!);
    if (isHigher) {
      if ((words[hot + HOT_FLAGS]! & FLAG_ROOTED) !== 0) this.extension?.raiseLocked(row, hot, high, low);
      this.#storeCommitted(hot, high, low);
      const signature = this.#signature(row) >>> 2;
      for (let word = 0; word < SIGNATURE_WORDS; word++) Atomics.store(words, signature + word, 0);
      Atomics.store(words, hot + HOT_DIRTY, 1);
    }
    this.unlock(hot, version);
    return isHigher;
  }

  /** Clears a row's dirty mark and returns whether it was set. Read the row afterwards, never before. */
  takeDirty(row: number): boolean {
    // Most rows are clean, and an exchange would fetch and lock the line of each.
    if (Atomics.load(this.words, this.hot(row) + HOT_DIRTY) === 0) return false;
    return Atomics.exchange(this.words, this.hot(row) + HOT_DIRTY, 0) === 1;
  }
  markDirty(row: number): void {
    Atomics.store(this.words, this.hot(row) + HOT_DIRTY, 1);
  }

  #copy(row: number, hot: number): Channel {
    const { words } = this;
    const flags = Atomics.load(words, hot + HOT_FLAGS);
    const channel: Channel = {
      channelId: this.#pair(hot + HOT_ID_HIGH),
      ledgerChannelId: this.ledgerId(row),
      publicKey: this.publicKey(words[hot + HOT_KEY]!).slice(),
      capacity: this.#pair(hot + HOT_CAPACITY_HIGH),
      committed: this.#pair(hot + HOT_COMMITTED_HIGH),
      sequence: this.sequence(hot),
      timestampBits: this.#pair(hot + HOT_TIMESTAMP_HIGH),
      signature: this.#copySignature(row),
      profile: flags & FLAG_LINK ? 'link' : 'xrpl',
      state: flags & FLAG_OPEN ? 'open' : flags & FLAG_REMOVED ? 'removed' : 'closed',
      expiresAt: Atomics.load(words, hot + HOT_EXPIRES_AT),
    };
    if ((flags & FLAG_THROW_AWAY) !== 0) channel.throwAway = true;
    if ((flags & FLAG_ROOTED) !== 0) this.extension?.copyInto(row, channel);
    return channel;
  }
  #pair(word: number): bigint {
    return joined(Atomics.load(this.words, word), Atomics.load(this.words, word + 1));
  }
  #copySignature(row: number): Uint8Array {
    // Byte by byte: a second view of the copy would move its buffer off the JavaScript heap, which costs 300 ns.
    const copy = new Uint8Array(SIGNATURE_BYTES);
    const signature = this.#signature(row) >>> 2;
    for (let word = 0; word < SIGNATURE_WORDS; word++) {
      const value = Atomics.load(this.words, signature + word);
      for (let byte = 0; byte < 4; byte++) copy[4 * word + byte] = value >>> (8 * byte);
    }
    return copy;
  }

  /**
   * A reader without the lock reads the high half, then the low half. When the high half changes, the low half is zero in
   * between, so that no reader pairs a new high half with an old low one: it reads at most the durable amount.
   */
  #storeCommitted(hot: number, high: number, low: number): void {
    if (high !== this.words[hot + HOT_COMMITTED_HIGH]) {
      Atomics.store(this.words, hot + HOT_COMMITTED_LOW, 0);
      Atomics.store(this.words, hot + HOT_COMMITTED_HIGH, high);
    }
    Atomics.store(this.words, hot + HOT_COMMITTED_LOW, low);
  }

  /** Takes the row's lock. It spins, since the holder writes only a few words. */
  lock(hot: number): number {
    for (;;) {
      const version = Atomics.load(this.#ints, hot + HOT_VERSION) & ~1;
      if (Atomics.compareExchange(this.#ints, hot + HOT_VERSION, version, version | 1) === version) return version;
    }
  }
  unlock(hot: number, version: number): void {
    Atomics.store(this.#ints, hot + HOT_VERSION, (version + 2) | 0);
  }

  #signature(row: number): number {
    return this.#signatures + row * ROW_SIGNATURE_BYTES;
  }

  #indexRow(row: number): void {
    const hot = this.hot(row);
    let slot = hashHandle(this.words[hot + HOT_ID_HIGH]!, this.words[hot + HOT_ID_LOW]!) & this.#indexMask;
    while (this.words[this.#index + slot] !== 0) slot = (slot + 1) & this.#indexMask;
    Atomics.store(this.words, this.#index + slot, row + 1);
  }

  /** The number of the key at `offset` of bytes of any origin, if a channel has it or had it since the start, or -1. */
  findKey(source: Uint8Array, view: DataView, offset: number): number {
    return this.words[this.#keyIndex + this.#keySlot(source, view, offset)]! - 1;
  }

  /** Where the key index has the key, or where it would. */
  #keySlot(source: Uint8Array, view: DataView, offset: number): number {
    let slot = hashHandle(view.getUint32(offset + 1), view.getUint32(offset + 5)) & this.#indexMask;
    for (;;) {
      const entry = this.words[this.#keyIndex + slot]!;
      if (entry === 0) return slot;
      const start = this.#keys + (entry - 1) * KEY_STRIDE_BYTES;
      let same = 0;
      while (same < PUBLIC_KEY_BYTES && this.#bytes[start + same] === source[offset + same]) same++;
      if (same === PUBLIC_KEY_BYTES) return slot;
      slot = (slot + 1) & this.#indexMask;
    }
  }

  /** The number of the key at `offset`, which is stored if it is new. Its x coordinate is random, so it serves as the handle. */
  #internKey(source: Uint8Array, view: DataView, offset: number): number {
    const bytes = this.#bytes;
    const slot = this.#keySlot(source, view, offset);
    const entry = this.words[this.#keyIndex + slot]!;
    if (entry !== 0) return entry - 1;
    const key = this.#keyCount++;
    bytes.set(source.subarray(offset, offset + PUBLIC_KEY_BYTES), this.#keys + key * KEY_STRIDE_BYTES);
    this.words[this.#keyIndex + slot] = key + 1;
    if (source[offset] === ED25519_KEY_PREFIX) Atomics.store(this.words, this.#ed25519, 1);
    return key;
  }
}

export function tableFull(capacity: number): ClaimwireError {
  const expected = `expected at most ${capacity} channels, got one more; restart the node with a larger --channels-max`;
  return new ClaimwireError('TABLE_FULL', `channel table: ${expected}`);
}

/** `left > right` on u64 halves. */
export function isAbove(leftHigh: number, leftLow: number, rightHigh: number, rightLow: number): boolean {
  return leftHigh > rightHigh || (leftHigh === rightHigh && leftLow > rightLow);
}

const halves = new DataView(new ArrayBuffer(8));

export function highHalf(value: bigint): number {
  return Number(value >> 32n);
}
/** Through memory, as a mask would make another bigint. */
export function lowHalf(value: bigint): number {
  halves.setBigUint64(0, value);
  return halves.getUint32(4);
}
/** A shift and an "or" of bigints would cost twice as much, for each channel that a listener is told of. */
export function joined(high: number, low: number): bigint {
  halves.setUint32(0, high);
  halves.setUint32(4, low);
  return halves.getBigUint64(0);
}

function withFlag(flags: number, flag: number, isSet: boolean): number {
  return isSet ? flags | flag : flags & ~flag;
}

/** Without a DataView, whose making would cost more. */
function putBigEndian(bytes: Uint8Array, at: number, word: number): void {
  for (let byte = 0; byte < 4; byte++) bytes[at + byte] = word >>> (24 - 8 * byte);
}

function flagsOfRow(bytes: Uint8Array, view: DataView, offset: number): number {
  const state = bytes[offset + ROW.state]!;
  return (
    (stateOf(state) === STATE_OPEN ? FLAG_OPEN : 0) |
    (stateOf(state) === STATE_REMOVED ? FLAG_REMOVED : 0) |
    (state & STATE_THROW_AWAY ? FLAG_THROW_AWAY : 0) |
    (bytes[offset + ROW.profile] === PROFILE_LINK ? FLAG_LINK : 0) |
    (hasDefaultHandle(view, offset) ? 0 : FLAG_OWN_HANDLE) |
    (bytes[offset + ROW.publicKey] === ED25519_KEY_PREFIX ? FLAG_ED25519 : 0)
  );
}

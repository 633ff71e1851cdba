/**
 * A ring of signed claims that the kernel judges again and again. Keys come from a seed as the load generator's do, so
 * no other library is needed. One claim in 64 is spoilt, and every verdict is compared with the one that must come out.
 *
 * Main thread of a process; owns its arena. Addon and cache belong to the process: its first rig sets the cache's size.
 */
import {
  CLAIM_AMOUNT,
  CLAIM_CHANNEL_ID,
  CLAIM_SIGNATURE,
  FRAME_CLAIM,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { assert } from '../../src/errors.ts';
import { Random, seededBytes } from '../../src/load/random.ts';
import { KernelSigner, throwawayPublicKey } from '../../src/load/signer.ts';
import { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { isJudged, SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_VALID } from '../../src/ring/slot.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { coreSeconds } from './measure.ts';

const SEED = 11;
const SPOILT_EVERY = 64;
/** After so many claims a key has the table that it keeps (src/kernel/keys.c). */
const WARM_CLAIMS = 90;
const WARM_BATCH = 16;
/** Rings of the arena: one for what came, and one for a variant that copies. */
const RINGS = 2;

export class VerifyRig {
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly other: ClaimRing;
  readonly table: ChannelTable;
  readonly kernel: NativeKernel;
  readonly keys: number;
  readonly slots: number;
  readonly #signer: KernelSigner;

  constructor(keys: number, cacheBytes: number, slots = 8_192) {
    this.kernel = new NativeKernel(cacheBytes);
    this.keys = keys;
    this.slots = slots;
    this.arena = Arena.create({
      kernelBytes: 0,
      rings: RINGS,
      ringSlots: slots,
      ackSlots: 2,
      threads: 1,
      channelsMax: keys,
    });
    this.ring = new ClaimRing(this.arena, 0);
    this.other = new ClaimRing(this.arena, 1);
    this.table = new ChannelTable(this.arena);
    for (let key = 0; key < keys; key++) this.#open(key);
    this.#signer = new KernelSigner(SEED, keys, this);
  }

  /** Fills the ring with claims of the first `keys` keys: in order, or at random. */
  sign(keys: number, order: 'in order' | 'at random'): void {
    const { arena, ring } = this;
    const random = new Random(SEED, 'keys of the ring');
    for (let index = 0; index < this.slots; index++) {
      const key = order === 'in order' ? index % keys : random.below(keys);
      const slot = ring.slot(index);
      arena.bytes[slot] = FRAME_CLAIM;
      arena.view.setBigUint64(slot + CLAIM_CHANNEL_ID, BigInt(key + 1));
      arena.view.setBigUint64(slot + CLAIM_AMOUNT, BigInt(index + 1));
      arena.words[(slot + SLOT_ROW) >>> 2] = key;
    }
    this.attach(ring);
    this.#signer.sign(this.slots);
    for (let index = 0; index < this.slots; index += SPOILT_EVERY)
      arena.bytes[ring.slot(index) + CLAIM_SIGNATURE + SIGNATURE_BYTES - 1]! ^= 1;
  }

  /** From now on the kernel judges slots of `ring`. */
  attach(ring: ClaimRing): void {
    this.kernel.attach(this.arena, ring);
  }

  /** Signs for `keys` keys and verifies until each has the table that it keeps, for at most so many seconds. */
  warm(keys: number, secondsMax: number): void {
    this.sign(keys, 'in order');
    for (let claims = 0, spent = 0; claims < keys * WARM_CLAIMS && spent < secondsMax; claims += this.slots)
      spent += this.pass(WARM_BATCH);
    this.sign(keys, 'at random');
  }

  /** Seconds of processor time of one pass over the whole ring, in calls of at most `batch` slots. */
  pass(batch: number): number {
    return this.judged(() => {
      for (let first = 0; first < this.slots; first += batch)
        this.kernel.verifySlots(first, Math.min(batch, this.slots - first));
    });
  }

  /**
   * Seconds of processor time to enter the ring's claims one after the other and to judge them. Where `decides` says that
   * a claim needs no verification, it has the verdict of the one before.
   */
  judgedWhileFilled(decides: (slot: number, index: number) => boolean, batch: number): number {
    const { ring, arena, slots } = this;
    const seconds = coreSeconds(() => {
      for (let index = 0; index < slots; index++) {
        const slot = ring.tryNext();
        const isDecided = decides(slot, index);
        ring.push();
        if (isDecided) arena.ints[(slot + SLOT_VERDICT) >>> 2] = VERDICT_VALID;
      }
      ring.publish();
      for (let count = ring.reserve(batch); count > 0; count = ring.reserve(batch))
        this.kernel.verifySlots(ring.first, count);
    });
    for (let index = 0; index < slots; index++) assert(isJudged(ring.verdict(index)), `claim ${index} has a verdict`);
    ring.release(ring.next);
    return seconds;
  }

  /** Seconds of processor time of `work`, which judges every slot of the ring; every verdict is compared afterwards. */
  judged(work: () => void, by: 'this thread' | 'by others' = 'this thread'): number {
    const { ring, slots } = this;
    for (let index = 0; index < slots; index++) {
      assert(ring.tryNext() >= 0, 'a pass fits the ring');
      ring.push();
    }
    ring.publish();
    // Other threads reserve for themselves.
    if (by === 'this thread') assert(ring.reserve(slots) === slots, 'the whole ring is reserved');
    const seconds = coreSeconds(work);
    for (let index = 0; index < slots; index++) {
      const expected = index % SPOILT_EVERY === 0 ? VERDICT_INVALID : VERDICT_VALID;
      const verdict = ring.verdict(index);
      if (verdict !== expected) throw new Error(`claim ${index}: expected verdict ${expected}, got ${verdict}`);
    }
    ring.release(ring.next);
    return seconds;
  }

  #open(key: number): void {
    const row = this.table.insert({
      channelId: BigInt(key + 1),
      ledgerChannelId: seededBytes(SEED, `channel ${key}`),
      publicKey: throwawayPublicKey(SEED, key),
      capacity: 1n << 56n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(SIGNATURE_BYTES),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
    assert(row === key, 'rows are in the order of the keys');
  }
}

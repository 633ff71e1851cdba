/**
 * bench:verify's test data: keys from a seed, and the ring of a real arena full of claims they signed, one in eight of them invalid.
 *
 * Main thread of a process; owns the arena it makes. Claims stay in their slots and are judged again and again: a pass
 * publishes them anew, times the backend alone, and then compares every verdict with the one that must come out.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { xrplDigest } from '../../protocol/digest.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  FRAME_CLAIM,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { ChannelTable, HOT_KEY } from '../../src/channel/table.ts';
import { assert } from '../../src/errors.ts';
import { Arena, powerOfTwoAtLeast } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { SLOT_ROW, VERDICT_INVALID, VERDICT_VALID } from '../../src/ring/slot.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { secp256k1 } from './peers.ts';

/** The kernel's largest batch. */
export const BATCH = 128;
/** The node's default, 2 GiB or a quarter of the memory, unless a process is told otherwise (process.ts): it has one cache. */
export const KEY_CACHE_BYTES =
  Number(process.env.CLAIMWIRE_BENCH_KEY_CACHE) || Math.min(2 ** 31, Math.floor(totalmem() / 4));
/** The most repeats of the bench: there are keys to be seen once for so many. */
export const REPEATS_MAX = 5;
/** A quarter of the node's ring by default. */
const RING_SLOTS = 8_192;
/** Signing a ring takes a millisecond or less, so its time is the median of this many. */
const SIGN_ROUNDS = 5;
/** One claim in so many is invalid, so every batch of 8 has one. */
const SPOILT_EVERY = 8;
/** After this many claims a key has the table that it keeps (`due` in src/kernel/keys.c). */
const WARM_CLAIMS = 200;
/** Few keys earn the largest tables, which take several thousand claims each. */
const WARM_CLAIMS_MIN = 1_000_000;
/**
 * What a lane under load always has in its caches is fetched anew after another process has run: with 10,000 keys the rate takes some
 * 100 ms to come back. So much of the same work comes before a measurement.
 */
const SETTLE_SECONDS = 0.5;
/** Tables of one kind are built at most once a call, so calls are small during the warm-up. */
const WARM_BATCH = 16;

export interface SignedClaim {
  digest: Uint8Array;
  signature: Uint8Array;
  publicKey: Uint8Array;
  isValid: boolean;
}

/** The addon's signer for load generation: for throw-away keys only, as its one nonce per key gives the key away. */
interface ThrowawaySigner {
  /** Each has 32 bytes for every key row. */
  throwawaySigner(privateKeys: Uint8Array, nonceSeeds: Uint8Array): void;
  /** Returns how many were signed. */
  throwawaySignSlots(first: number, count: number): number;
}

const addonPath = fileURLToPath(new URL('../../../build/claimwire.node', import.meta.url));
export const hasAddon = existsSync(addonPath);

/** Returns 32 bytes that depend only on the name. */
export function seeded(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`bench:verify/${name}`).digest());
}

export function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1]!;
}

/**
 * Seconds of processor time that `work` took. Other programs on a shared machine do not count, while the system's work for
 * this one does. Nothing here waits, so on an idle machine it equals wall time.
 */
export function coreSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** FNV-1a over the verdicts in the order they were checked, and how many of each kind there were. */
export class VerdictSum {
  valid = 0;
  invalid = 0;
  #hash = 0x811c9dc5;

  add(isValid: boolean): void {
    if (isValid) this.valid++;
    else this.invalid++;
    this.#hash = Math.imul(this.#hash ^ (isValid ? VERDICT_VALID : VERDICT_INVALID), 0x01000193) >>> 0;
  }
  toString(): string {
    return `${this.valid} valid, ${this.invalid} invalid, all as they must be; checksum ${this.#hash.toString(16)}`;
  }
}

export class SignedRing {
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly table: ChannelTable;
  readonly #privateKeys: Uint8Array;
  readonly #nonceSeeds: Uint8Array;
  /** By slot. */
  readonly #isValid: boolean[] = [];
  readonly #sum: VerdictSum;
  /** State of the generator that picks keys, which is the same in every run. */
  #state = 12_345;
  /** Seconds of processor time that signing the ring's claims took. */
  signSeconds = 0;

  /**
   * There is one channel per key, and the ring has a slot for each hot key.
   * @param coldKeys how many follow the hot ones
   * @param kernelBytes how much of the arena the wasm kernel needs; 0 for others
   */
  constructor(sum: VerdictSum, hotKeys: number, coldKeys: number, kernelBytes = 0) {
    const keys = hotKeys + coldKeys;
    const ringSlots = powerOfTwoAtLeast(Math.max(RING_SLOTS, hotKeys));
    this.arena = Arena.create({ kernelBytes, rings: 1, ringSlots, ackSlots: 2, threads: 1, channelsMax: keys });
    this.ring = new ClaimRing(this.arena, 0);
    this.table = new ChannelTable(this.arena);
    this.#sum = sum;
    this.#privateKeys = new Uint8Array(32 * keys);
    this.#nonceSeeds = new Uint8Array(32 * keys);
    for (let key = 0; key < keys; key++) this.#openChannel(key);
  }

  #openChannel(key: number): void {
    const privateKey = seeded(`key ${key}`);
    this.#privateKeys.set(privateKey, 32 * key);
    this.#nonceSeeds.set(seeded(`nonce ${key}`), 32 * key);
    const row = this.table.insert({
      channelId: BigInt(key + 1),
      ledgerChannelId: seeded(`channel ${key}`),
      publicKey: secp256k1.publicKeyCreate(privateKey, true),
      capacity: 1n << 60n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(SIGNATURE_BYTES),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
    assert(row === key && this.table.words[this.table.hot(row) + HOT_KEY] === key, 'rows and keys go together');
  }

  /** Fills the ring with claims of the first `keys` keys, picked at random. */
  signHot(keys: number): void {
    this.#sign(() => {
      this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) >>> 0;
      return Math.floor((this.#state / 2 ** 32) * keys);
    });
  }

  /** The same with `keys` keys from `first` on, in order. */
  signInOrder(keys: number, first = 0, isSpoilt = true): void {
    this.#sign((index) => first + (index % keys), isSpoilt);
  }

  #sign(keyOf: (index: number) => number, isSpoilt = true): void {
    const { arena, ring } = this;
    for (let index = 0; index < ring.size; index++) {
      const key = keyOf(index);
      const slot = ring.slot(ring.next + index);
      arena.bytes[slot] = FRAME_CLAIM;
      arena.view.setBigUint64(slot + CLAIM_CHANNEL_ID, BigInt(key + 1));
      arena.view.setBigUint64(slot + CLAIM_AMOUNT, BigInt(index + 1));
      arena.view.setUint32(slot + SLOT_ROW, key, true);
    }
    this.signSeconds = hasAddon ? this.#signNatively() : coreSeconds(() => this.#signByPeer());
    for (let index = 0; index < ring.size; index++) this.#spoil(index, isSpoilt);
  }

  /** Leaves the addon attached to this arena: a backend made before for another one has to be made again. */
  #signNatively(): number {
    const signer = createRequire(import.meta.url)(addonPath) as ThrowawaySigner;
    new NativeKernel(KEY_CACHE_BYTES).attach(this.arena, this.ring);
    signer.throwawaySigner(this.#privateKeys, this.#nonceSeeds);
    const { next, size } = this.ring;
    const sign = () => assert(signer.throwawaySignSlots(next, size) === size, 'every slot has a channel and a key');
    return median(Array.from({ length: SIGN_ROUNDS }, () => coreSeconds(sign)));
  }

  #signByPeer(): void {
    for (let index = 0; index < this.ring.size; index++) {
      const slot = this.ring.slot(this.ring.next + index);
      const key = this.arena.view.getUint32(slot + SLOT_ROW, true);
      const digest = xrplDigest(this.table.ledgerId(key), this.arena.bytes, slot);
      const privateKey = this.#privateKeys.subarray(32 * key, 32 * key + 32);
      this.arena.bytes.set(secp256k1.ecdsaSign(digest, privateKey).signature, slot + CLAIM_SIGNATURE);
    }
  }

  /** Flips one bit of the amount, of r or of s: the claim is invalid, yet as much work as a valid one. */
  #spoil(index: number, isSpoilt: boolean): void {
    const slot = this.ring.slot(this.ring.next + index);
    const isValid = !isSpoilt || index % SPOILT_EVERY !== SPOILT_EVERY - 3;
    this.#isValid[(this.ring.next + index) & this.ring.mask] = isValid;
    if (isValid) return;
    const ends = [CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES / 2, CLAIM_TIMESTAMP];
    this.arena.bytes[slot + ends[Math.floor(index / SPOILT_EVERY) % ends.length]! - 1]! ^= 1;
  }

  /** The next `count` claims, as tuples for verifiers that do not read rings. */
  sample(count: number): SignedClaim[] {
    return Array.from({ length: count }, (_, index) => {
      const slot = this.ring.slot(this.ring.next + index);
      const claim = this.arena.bytes.slice(slot, slot + CLAIM_BYTES);
      const key = this.arena.view.getUint32(slot + SLOT_ROW, true);
      return {
        digest: xrplDigest(this.table.ledgerId(key), claim).slice(),
        signature: claim.slice(CLAIM_SIGNATURE, CLAIM_TIMESTAMP),
        publicKey: this.table.publicKey(key).slice(),
        isValid: this.#isValid[(this.ring.next + index) & this.ring.mask]!,
      };
    });
  }

  /** Makes the next `claims` claims pending again, so that they can be reserved. */
  publish(claims: number): void {
    for (let index = 0; index < claims; index++) {
      assert(this.ring.tryNext() >= 0, 'a pass fits the ring');
      this.ring.push();
    }
    this.ring.publish();
  }

  /** Compares the verdicts of what was published last and frees it. Passes without a fixed number are not `counted`. */
  check(claims: number, counted = true): void {
    const first = (this.ring.next - claims) >>> 0;
    for (let index = 0; index < claims; index++) {
      const sequence = (first + index) >>> 0;
      const isValid = this.#isValid[sequence & this.ring.mask]!;
      const expected = isValid ? VERDICT_VALID : VERDICT_INVALID;
      const verdict = this.ring.verdict(sequence);
      if (verdict !== expected)
        throw new Error(`claim ${sequence & this.ring.mask}: expected verdict ${expected}, got ${verdict}`);
      if (counted) this.#sum.add(isValid);
    }
    this.ring.release(this.ring.next);
  }

  /** Claims per second of processor time, in one pass. */
  pass(backend: VerifyBackend, batch: number, claims: number, counted = true): number {
    const { ring } = this;
    this.publish(claims);
    const seconds = coreSeconds(() => {
      for (let count = ring.reserve(batch); count > 0; count = ring.reserve(batch))
        backend.verifySlots(ring.first, count);
    });
    this.check(claims, counted);
    return claims / seconds;
  }

  /** Brings what `pass` needs back into the caches, after other work. */
  settle(backend: VerifyBackend): void {
    for (let spent = 0; spent < SETTLE_SECONDS; )
      spent += RING_SLOTS / this.pass(backend, backend.batchMax, RING_SLOTS, false);
  }

  /** Microseconds of each of `claims` claims that come one at a time. */
  latencies(backend: VerifyBackend, claims: number): number[] {
    const list: number[] = [];
    this.publish(claims);
    while (list.length < claims) {
      const begin = performance.now();
      this.ring.reserve(1);
      backend.verifySlots(this.ring.first, 1);
      list.push((performance.now() - begin) * 1_000);
    }
    this.check(claims);
    return list;
  }

  /**
   * Makes each of the first `keys` keys as hot as possible, in at most `seconds` of processor time, and leaves claims of theirs
   * in the ring. All claims are valid meanwhile: each key comes in the same places of the ring again and again, and one whose
   * places are spoilt would never earn a table.
   * @param backendOf makes the backend anew, since signing attaches the addon to another arena
   * @param largeBuilds how many large tables were built so far: while more are, the keys are not as hot as they can be
   */
  warm(
    backendOf: (signed: SignedRing) => VerifyBackend,
    keys: number,
    seconds: number,
    largeBuilds = (): number => 0,
  ): VerifyBackend {
    this.signInOrder(keys, 0, false);
    const backend = backendOf(this);
    const enough = Math.max(keys * WARM_CLAIMS, WARM_CLAIMS_MIN);
    for (let claims = 0, spent = 0, built = -1; spent < seconds; claims += RING_SLOTS) {
      if (claims >= enough && largeBuilds() === built) break;
      built = largeBuilds();
      spent += RING_SLOTS / this.pass(backend, WARM_BATCH, RING_SLOTS, false);
    }
    this.signHot(keys);
    return backendOf(this);
  }
}

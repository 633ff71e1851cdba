/**
 * bench:verify's material: keys from a seed, and a ring of a real arena full of claims they signed, one in eight spoilt.
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

/** Most that a verifier takes at once from its ring (KernelBackend). */
export const BATCH = 128;
/** The node's default: 1 GiB, or a quarter of the memory. */
export const KEY_CACHE_BYTES = Math.min(2 ** 30, Math.floor(totalmem() / 4));
/** Repeats of the bench, at most: keys to be seen once are made for so many. */
export const REPEATS_MAX = 5;
/** Slots of the node's ring by default. */
const RING_SLOTS = 8_192;
/** Signing a ring is a matter of a millisecond or less: its time is the median of so many. */
const SIGN_ROUNDS = 5;
/** One claim in so many is spoilt: every batch of 8 has one. */
const SPOILT_EVERY = 8;
/** Claims of a key before its table is the one it keeps: 64 make it hot (src/kernel/keys.c). */
const WARM_CLAIMS = 90;
/** A call makes one large table at most, so while warming up calls are small. */
const WARM_BATCH = 16;

export interface SignedClaim {
  digest: Uint8Array;
  signature: Uint8Array;
  publicKey: Uint8Array;
  isValid: boolean;
}

/** The addon's signer for load: variable time, one nonce a key, which gives the key away. For throw-away keys only. */
interface ThrowawaySigner {
  /** 32 bytes a key row of each. */
  throwawaySigner(privateKeys: Uint8Array, nonceSeeds: Uint8Array): void;
  /** How many were signed. */
  throwawaySignSlots(first: number, count: number): number;
}

const addonPath = fileURLToPath(new URL('../../../build/claimwire.node', import.meta.url));
export const hasAddon = existsSync(addonPath);

/** 32 bytes that depend on the name alone. */
export function seeded(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`bench:verify/${name}`).digest());
}

export function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1]!;
}

/**
 * Seconds of a core that `work` took: other programs on a shared machine do not count, what the system did for this one
 * does. Nothing here waits for anything, so on an idle machine it is the time of day.
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
  /** Of the generator that picks keys: the same in every run. */
  #state = 12_345;
  /** Seconds of a core the signer took for the ring's claims. */
  signSeconds = 0;

  /**
   * One channel per key; the ring has a slot for each hot one.
   * @param coldKeys after the hot ones
   * @param kernelBytes what the wasm kernel wants of the arena, 0 for others
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
  signInOrder(keys: number, first = 0): void {
    this.#sign((index) => first + (index % keys));
  }

  #sign(keyOf: (index: number) => number): void {
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
    for (let index = 0; index < ring.size; index++) this.#spoil(index);
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

  /** One bit of the amount, of r or of s: wrong, yet as much work as a right one. */
  #spoil(index: number): void {
    const slot = this.ring.slot(this.ring.next + index);
    const isValid = index % SPOILT_EVERY !== SPOILT_EVERY - 3;
    this.#isValid[(this.ring.next + index) & this.ring.mask] = isValid;
    if (isValid) return;
    const ends = [CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES / 2, CLAIM_TIMESTAMP];
    this.arena.bytes[slot + ends[Math.floor(index / SPOILT_EVERY) % ends.length]! - 1]! ^= 1;
  }

  /** The `count` claims that follow, as tuples for verifiers that know nothing of rings. */
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

  /** The `claims` claims that follow, pending again and to be had by `take`. */
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

  /** Claims a second of a core, of one pass. */
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
   * Makes each of the first `keys` keys as hot as it gets, in at most `seconds` of a core, and leaves claims of theirs in the
   * ring.
   * @param backendOf signing takes the addon from the backend it was attached for: this makes it anew
   */
  warm(backendOf: (signed: SignedRing) => VerifyBackend, keys: number, seconds: number): VerifyBackend {
    this.signInOrder(keys);
    const backend = backendOf(this);
    for (let claims = 0, spent = 0; claims < keys * WARM_CLAIMS && spent < seconds; claims += RING_SLOTS)
      spent += RING_SLOTS / this.pass(backend, WARM_BATCH, RING_SLOTS, false);
    this.signHot(keys);
    return backendOf(this);
  }
}

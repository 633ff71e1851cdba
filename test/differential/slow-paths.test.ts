/**
 * Signatures that take the kernel's slow path, in slots: their verdicts say so, and say whether anybody could have made them. A
 * node that is sent such signatures holds their channel back. Both twins of the kernel, in this thread.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimBytes } from '../../protocol/claim.ts';
import { xrplDigest } from '../../protocol/digest.ts';
import { CLAIM_SIGNATURE, STATUS } from '../../protocol/layout.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import { SLOW_PATHS_MAX } from '../../src/path/slow-paths.ts';
import { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import {
  SLOT_ROW,
  SLOT_VERDICT,
  VERDICT_INVALID,
  VERDICT_SLOWLY,
  VERDICT_TABLELESS,
  VERDICT_VALID,
} from '../../src/ring/slot.ts';
import type { Kernel, TableKind } from '../../src/verify/kernel.ts';
import { KernelBackend } from '../../src/verify/kernel-backend.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { WasmKernel, wasmKernelBytes } from '../../src/verify/wasm.ts';
import { treeMeetings } from '../support/collisions.ts';
import { HALF_ORDER, inverse, LAMBDA, modulo, ORDER, publicKey, scalar, sign, signatureOf } from '../support/curve.ts';
import { random as randomFrom } from '../support/random.ts';
import { Rig, sourceOf } from '../support/rig.ts';

const NO_ADDON = !existsSync(resolve(import.meta.dirname, '../../build/claimwire.node'));
if (NO_ADDON) console.warn('NATIVE SLOW PATHS NOT TESTED HERE: expected build/claimwire.node, got none');
const CACHE_BYTES = 10 * 2 ** 21;
/** More than are verified one by one. */
const COUNT = 8;
const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 16 };
const from = randomFrom(78);
const random = () => modulo(scalar(from.bytes(32)));
/** Of r/s: where two halves are as long as a vector of the lattice. */
const RATIO = modulo(26n * LAMBDA);

const low = (r: bigint, s: bigint) => signatureOf(r, s > HALF_ORDER ? ORDER - s : s);
const ledgerChannelId = (channelId: bigint) => {
  const id = new Uint8Array(32);
  new DataView(id.buffer).setBigUint64(0, channelId);
  return id;
};

/** A claim signed by `signature`, which is given what is signed as a number. */
function claimBy(channelId: bigint, amount: bigint, signature: (z: bigint, digest: Uint8Array) => Uint8Array) {
  const claim = claimBytes({ channelId, amount, sequence: 1, timestamp: 0, signature: new Uint8Array(64) });
  const digest = xrplDigest(ledgerChannelId(channelId), claim);
  claim.set(signature(scalar(digest), digest), CLAIM_SIGNATURE);
  return claim;
}
const honest = (channelId: bigint, amount: bigint, privateKey: bigint) =>
  claimBy(channelId, amount, (_z, digest) => sign(digest, privateKey));

/** A payer who has chosen its key by the scalars of its signatures: none is valid, and each meets in the tree of a batch. */
function colliding(kind: 'tiny') {
  const [u1, u2] = [random(), random()];
  const meeting = [...treeMeetings(kind, u1, u2)].at(-1)!;
  const claim = (channelId: bigint, amount: bigint) =>
    claimBy(channelId, amount, (z) => {
      const s = modulo(z * inverse(u1));
      return low(modulo(u2 * s), s);
    });
  return { privateKey: meeting.privateKey, claim };
}

/** What anybody can send for a key without a table, and what its payer can make valid: the key comes last. */
function forged(channelId: bigint, amount: bigint) {
  return claimBy(channelId, amount, () => {
    const s = random();
    return low(modulo(RATIO * s), s);
  });
}
function chosen(channelId: bigint, amount: bigint) {
  let privateKey = 0n;
  const claim = claimBy(channelId, amount, (z) => {
    const nonce = random();
    const r = modulo(scalar(publicKey(nonce).subarray(1)));
    const s = modulo(r * inverse(RATIO));
    privateKey = modulo((nonce * s - z) * inverse(r));
    return low(r, s);
  });
  return { privateKey, claim };
}

class Judge {
  readonly kernel: Kernel;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #backend: KernelBackend;

  constructor(name: 'native' | 'wasm') {
    const start = { cacheBytes: CACHE_BYTES, threads: 1, thread: 0 };
    this.#arena = Arena.create({ ...SHAPE, kernelBytes: name === 'wasm' ? wasmKernelBytes(start) : 0 });
    this.#ring = new ClaimRing(this.#arena, 0);
    this.#table = new ChannelTable(this.#arena);
    this.kernel = name === 'wasm' ? new WasmKernel(this.#arena, start) : new NativeKernel(CACHE_BYTES);
    this.#backend = new KernelBackend(name, this.kernel, this.#arena, this.#ring);
  }

  open(channelId: bigint, privateKey: bigint): number {
    return this.#table.insert({ ...CHANNEL, channelId, ...idAndKey(channelId, privateKey) });
  }

  /** The verdicts of claims, each of the row beside it. */
  judge(claims: readonly (readonly [claim: Uint8Array, row: number])[], kind: TableKind): number[] {
    this.kernel.forceTables(kind);
    const slots = claims.map(([claim, row], index) => {
      const slot = this.#ring.slot(index);
      this.#arena.bytes.set(claim, slot);
      this.#arena.words[(slot + SLOT_ROW) >>> 2] = row;
      this.#arena.ints[(slot + SLOT_VERDICT) >>> 2] = 0;
      return slot;
    });
    this.#backend.verifySlots(0, claims.length);
    this.kernel.forceTables(undefined);
    return slots.map((slot) => this.#arena.ints[(slot + SLOT_VERDICT) >>> 2]!);
  }
}
const CHANNEL = {
  capacity: 1_000_000n,
  committed: 0n,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(64),
  profile: 'xrpl',
  state: 'open',
  expiresAt: 0,
} as const;
const idAndKey = (channelId: bigint, privateKey: bigint) => ({
  ledgerChannelId: ledgerChannelId(channelId),
  publicKey: publicKey(privateKey),
});
const every = <T>(make: (index: number) => T) => Array.from({ length: COUNT }, (_, index) => make(index));

describe.each([
  ['native', NO_ADDON],
  ['wasm', false],
] as const)('%s', (name, isLeftOut) => {
  it.skipIf(isLeftOut)('the verdict says that it came by the slow path, and whether anybody can force that', () => {
    const judge = new Judge(name);
    const { privateKey, claim } = colliding('tiny');
    const row = judge.open(1n, privateKey);
    const plain = every((index) => [honest(1n, BigInt(index + 1), privateKey), row] as const);
    expect(judge.judge(plain, 'tiny')).toEqual(every(() => VERDICT_VALID));
    const slow = every((index) => [claim(1n, BigInt(index + 1)), row] as const);
    expect(judge.judge(slow, 'tiny')).toEqual(every(() => VERDICT_INVALID + VERDICT_SLOWLY));
    expect(judge.judge([plain[0]!, slow[0]!, ...plain.slice(1, 6)], 'tiny')).toEqual([
      VERDICT_VALID,
      VERDICT_INVALID + VERDICT_SLOWLY,
      ...new Array<number>(5).fill(VERDICT_VALID),
    ]);
  });

  it.skipIf(isLeftOut)('without a table it says that too, unless a signature is valid', () => {
    const judge = new Judge(name);
    const row = judge.open(1n, random());
    const before = judge.kernel.stats().slowPaths;
    const forgeries = judge.judge(
      every((index) => [forged(1n, BigInt(index + 1)), row]),
      'none',
    );
    const own = every((index) => {
      const { claim, privateKey } = chosen(BigInt(index + 2), 5n);
      return [claim, judge.open(BigInt(index + 2), privateKey)] as const;
    });
    const verdicts = [...forgeries, ...judge.judge(own, 'none')];
    const slow = verdicts.filter((verdict) => verdict > VERDICT_INVALID);
    expect(slow).toHaveLength(judge.kernel.stats().slowPaths - before);
    expect(verdicts.map((verdict) => verdict & ~(VERDICT_SLOWLY + VERDICT_TABLELESS))).toEqual([
      ...every(() => VERDICT_INVALID),
      ...every(() => VERDICT_VALID),
    ]);
    expect(new Set(slow.map((verdict) => verdict & ~(VERDICT_VALID + VERDICT_INVALID)))).toEqual(
      new Set(slow.length === 0 ? [] : [VERDICT_SLOWLY + VERDICT_TABLELESS]),
    );
    // Whether sums meet at 26 lambda is a kernel's way to round, and the sign of s.
    if (name === 'wasm') expect(slow.length).toBeGreaterThan(0);
  });
});

it.skipIf(NO_ADDON).each(['portable', 'native'] as const)(
  'a payer that chose its key for this is held back by the %s path, and its neighbours are not',
  (path) => {
    let kernel: Kernel | undefined;
    const rig = new Rig({
      path,
      strangers: 0.5,
      ringSlots: 128,
      backend: (arena, ring) => {
        kernel = new NativeKernel(CACHE_BYTES);
        return new KernelBackend('native', kernel, arena, ring);
      },
    });
    const { privateKey, claim } = colliding('tiny');
    const neighbour = random();
    rig.open({ channelId: 1n, ...idAndKey(1n, privateKey) });
    rig.open({ channelId: 2n, ...idAndKey(2n, neighbour) });
    const source = sourceOf('203.0.113.1', 6_666);
    const pay = (claims: Uint8Array[]) => {
      for (const bytes of claims) rig.datagram(bytes, source);
      rig.turn();
      return rig.takeAcks().map(({ status }) => status);
    };
    kernel!.forceTables('tiny');
    expect(pay([honest(1n, 1n, privateKey), honest(2n, 1n, neighbour)])).toEqual([STATUS.COMMITTED, STATUS.COMMITTED]);
    const before = kernel!.stats().slowPaths;
    const attack = Array.from({ length: SLOW_PATHS_MAX + 1 }, (_, index) => claim(1n, BigInt(index + 2)));
    expect(new Set(pay(attack))).toEqual(new Set([STATUS.BAD_SIGNATURE]));
    expect(kernel!.stats().slowPaths - before).toBe(attack.length);
    expect(pay([...attack, honest(2n, 2n, neighbour)]).filter((status) => status === STATUS.COMMITTED)).toHaveLength(1);
    expect(kernel!.stats().slowPaths - before).toBe(attack.length);
    expect(rig.counter('slowPaths.heldBack')).toBe(attack.length);
    kernel!.forceTables(undefined);
  },
);

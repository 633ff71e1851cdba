/**
 * Signatures that collide on purpose: in the kernel's sum for u1·G + u2·Q two points of equal x meet, which its fast
 * addition cannot do. Main thread; BigInt, nothing secret.
 *
 * Only who knows the key's logarithm d can make one: u1 and u2 fix the digits, hence what each node of the sum is, as
 * A·Q + B·G; two nodes meet for d = ±(B2 ∓ B1)/(A1 ∓ A2). Then R = (u1 + u2·d)·G, r = x(R), s = r/u2 and the digest is
 * z = u1·s. A claim's digest can't be chosen like that: its payer has to try claims until one collides. So this is the
 * kernel at its worst, and more than a payer can do.
 *
 * The digits and orders of addition are the kernel's (src/kernel: batch_scalars.h, batch_tree.h, single.h, table.h); the
 * bench asserts that the collisions happen, so that a kernel that changes them is noticed.
 */
import { assert } from '../../src/errors.ts';
import { seeded } from './claims.ts';
import { secp256k1 } from './peers.ts';

/** Order of the group, SEC 2 section 2.4.1, and the endomorphism's eigenvalue. */
const N = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;
const LAMBDA = 0x5363_ad4c_c05c_30e0_a526_1c02_8812_645a_122e_22ea_2081_6678_df02_967c_1b23_bd72n;
/** Windows of the large table of a key and of the generator's, over halves of 129 bits (table.h). */
const KEY_TABLE = { windows: 16, width: 8 };
const GENERATOR_TABLE = { windows: 10, width: 13 };
const HALF_BITS = 129;

export interface CraftedSignature {
  digest: Uint8Array;
  signature: Uint8Array;
  publicKey: Uint8Array;
}

/** A·Q + B·G. */
interface Point {
  a: bigint;
  b: bigint;
}

const mod = (value: bigint) => ((value % N) + N) % N;

function invert(value: bigint): bigint {
  let [r0, r1, t0, t1] = [N, mod(value), 0n, 1n];
  while (r1 !== 0n) {
    const quotient = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - quotient * r1, t1, t0 - quotient * t1];
  }
  return mod(t0);
}

const fromBytes = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const toBytes = (value: bigint) => new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));

type Vector = readonly [bigint, bigint];

/** The two short vectors (x, y) with x + λy = 0 mod n, around √n in Euclid's remainders; their determinant is n. */
const [V, W] = shortVectors();

function shortVectors(): [Vector, Vector] {
  let [r0, r1, t0, t1] = [N, LAMBDA, 0n, 1n];
  while (r1 * r1 >= N) {
    const quotient = r0 / r1;
    [r0, r1, t0, t1] = [r1, r0 - quotient * r1, t1, t0 - quotient * t1];
  }
  const quotient = r0 / r1;
  const before: Vector = [r0, -t0];
  const after: Vector = [r0 - quotient * r1, quotient * t1 - t0];
  const size = ([x, y]: Vector) => x * x + y * y;
  const second = size(before) < size(after) ? before : after;
  const first: Vector = r1 * second[1] + t1 * second[0] > 0n ? [r1, -t1] : [-r1, t1];
  assert(first[0] * second[1] - second[0] * first[1] === N, 'the vectors span the lattice');
  return [first, second];
}

/** value / n, to the nearest. */
function rounded(value: bigint): bigint {
  const twice = 2n * value + N;
  const quotient = twice / (2n * N);
  return twice < 0n && quotient * 2n * N !== twice ? quotient - 1n : quotient;
}

/** u/2 − (1 + λ)/2 as two halves, each with 2^128 added: what the digits are slices of. */
function splitHalves(u: bigint): [bigint, bigint] {
  const value = mod((u - 1n - LAMBDA) * invert(2n));
  const v = rounded(value * W[1]);
  const w = rounded(-value * V[1]);
  return [value - v * V[0] - w * W[0] + (1n << 128n), -v * V[1] - w * W[1] + (1n << 128n)];
}

/** What the rows of a half stand for: window by window an odd multiple of 2^offset. */
function rowsOf(half: bigint, { windows, width }: { windows: number; width: number }): bigint[] {
  return Array.from({ length: windows }, (_, window) => {
    const offset = window * width;
    const bits = BigInt(window + 1 < windows ? width : HALF_BITS - offset);
    const digit = (half >> BigInt(offset)) & ((1n << bits) - 1n);
    return (2n * digit - (1n << bits) + 1n) << BigInt(offset);
  });
}

/** The points of one half, the key's first. */
function pointsOf(keyHalf: bigint, generatorHalf: bigint): Point[] {
  return [
    ...rowsOf(keyHalf, KEY_TABLE).map((a) => ({ a, b: 0n })),
    ...rowsOf(generatorHalf, GENERATOR_TABLE).map((b) => ({ a: 0n, b })),
  ];
}

const plus = (p: Point, q: Point): Point => ({ a: p.a + q.a, b: p.b + q.b });
const timesLambda = (p: Point): Point => ({ a: LAMBDA * p.a, b: LAMBDA * p.b });

/** The logarithms for which p = q and p = −q. None for points of one table: their windows do not overlap. */
function meetings(p: Point, q: Point): bigint[] {
  return [1n, -1n]
    .map((sign) => [mod(p.a - sign * q.a), mod(sign * q.b - p.b)] as const)
    .filter(([a, b]) => a !== 0n && b !== 0n)
    .map(([a, b]) => mod(b * invert(a)));
}

/** Of a batch's tree: neighbours are added level by level, the first waits when their number is odd; halves last. */
function treeMeetings(halves: readonly Point[][]): bigint[] {
  const found: bigint[] = [];
  const sums = halves.map((half) => {
    let points = half;
    while (points.length > 1) {
      const next = points.slice(0, points.length & 1);
      for (let at = next.length; at < points.length; at += 2) {
        found.push(...meetings(points[at]!, points[at + 1]!));
        next.push(plus(points[at]!, points[at + 1]!));
      }
      points = next;
    }
    return points[0]!;
  });
  return [...found, ...meetings(sums[0]!, timesLambda(sums[1]!)).slice(0, 1)];
}

/** Of one signature spread over `lanes` sums: the λ half's points go first, each to the next lane. */
function laneMeetings(lanes: number, [plain, lambda]: readonly Point[][]): bigint[] {
  const found: bigint[] = [];
  const sums: Point[] = [];
  for (const [index, point] of [...lambda!.map(timesLambda), ...plain!].entries()) {
    const sum = sums[index % lanes];
    if (sum !== undefined) found.push(...meetings(sum, point));
    sums[index % lanes] = sum === undefined ? point : plus(sum, point);
  }
  return found;
}

/** The signature of (u1, u2) by the key of logarithm d. A low s is its negative, which negates all points: they still meet. */
function sign(u1: bigint, u2: bigint, d: bigint): CraftedSignature {
  const r = mod(fromBytes(secp256k1.publicKeyCreate(toBytes(mod(u1 + u2 * d)), true).subarray(1)));
  const s = mod(r * invert(u2));
  const signature = new Uint8Array(64);
  signature.set(toBytes(r));
  signature.set(toBytes(s > N / 2n ? N - s : s), 32);
  const crafted = {
    digest: toBytes(mod(u1 * s)),
    signature,
    publicKey: secp256k1.publicKeyCreate(toBytes(d), true),
  };
  assert(secp256k1.ecdsaVerify(signature, crafted.digest, crafted.publicKey), 'what was crafted is valid');
  return crafted;
}

/**
 * A collision for each place where a batch's tree can have one, and one where a signature alone has it.
 * @param lanes over which the kernel spreads a signature alone
 */
export function craftCollisions(lanes: number): { batch: CraftedSignature[]; single: CraftedSignature } {
  const [u1, u2] = [mod(fromBytes(seeded('u1'))), mod(fromBytes(seeded('u2')))];
  const [generatorPlain, generatorLambda] = splitHalves(u1);
  const [keyPlain, keyLambda] = splitHalves(u2);
  const halves = [pointsOf(keyPlain, generatorPlain), pointsOf(keyLambda, generatorLambda)];
  return {
    batch: treeMeetings(halves).map((d) => sign(u1, u2, d)),
    single: sign(u1, u2, laneMeetings(lanes, halves)[0]!),
  };
}

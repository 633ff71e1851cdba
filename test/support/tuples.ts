/**
 * Seeded tuples of digest, signature and key for the differential tests: valid ones, each wrong in one field, at the
 * edges of every number's range, and with scalars chosen so that rows of tables repeat. Test's thread.
 */

import {
  bytes32,
  FIELD,
  HALF_ORDER,
  inverse,
  LAMBDA,
  modulo,
  ORDER,
  publicKey,
  scalar,
  sign,
  signatureOf,
  type Tuple,
  withScalars,
  withSmallR,
} from './curve.ts';
import type { Random } from './random.ts';

/** Tuples side by side, as a kernel takes them: 32, 64 and 33 bytes each. */
export interface PackedTuples {
  digests: Uint8Array;
  signatures: Uint8Array;
  keys: Uint8Array;
}
export function packTuples(tuples: Tuple[]): PackedTuples {
  const join = (field: keyof Tuple) => new Uint8Array(Buffer.concat(tuples.map((tuple) => tuple[field])));
  return { digests: join('digest'), signatures: join('signature'), keys: join('key') };
}

/** Tuples, each with what it is for, no two alike. */
export class Tuples {
  readonly kinds: string[] = [];
  readonly #digests: Uint8Array[] = [];
  readonly #signatures: Uint8Array[] = [];
  readonly #keys: Uint8Array[] = [];
  readonly #seen = new Set<string>();

  get count(): number {
    return this.kinds.length;
  }
  /** How many different ones there are: the bytes say it, not the way they were made. */
  get distinct(): number {
    return this.#seen.size;
  }
  at(index: number): Tuple {
    return { digest: this.#digests[index]!, signature: this.#signatures[index]!, key: this.#keys[index]! };
  }
  /** Adds a tuple unless it is there already. */
  add(kind: string, { digest, signature, key }: Tuple): void {
    const bytes = Buffer.concat([digest, signature, key]);
    const id = bytes.toString('latin1');
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.kinds.push(kind);
    this.#digests.push(digest);
    this.#signatures.push(signature);
    this.#keys.push(key);
  }
  packed(): PackedTuples {
    return packTuples(Array.from({ length: this.count }, (_, index) => this.at(index)));
  }
  /** Those of the positions given, in that order. */
  pick(positions: Iterable<number>): Tuples {
    const picked = new Tuples();
    for (const index of positions) picked.add(this.kinds[index]!, this.at(index));
    return picked;
  }
  shuffled(from: Random): Tuples {
    const order = Array.from({ length: this.count }, (_, index) => index);
    for (let index = order.length - 1; index > 0; index--) {
      const other = from.below(index + 1);
      [order[index], order[other]] = [order[other]!, order[index]!];
    }
    return this.pick(order);
  }
}

/** Numbers at the edges of r, s, z and x: of the order, of its half, of p - n, of the field, of 256 bits. */
const EDGES: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n],
  ...[-1n, 0n, 1n].flatMap((by) => [ORDER + by, HALF_ORDER + by, FIELD + by, FIELD - ORDER + by, LAMBDA + by]),
  ...[64n, 128n, 192n, 255n].flatMap((bits) => [2n ** bits - 1n, 2n ** bits]),
  2n ** 256n - 1n,
];
const edge = (from: Random) => bytes32(EDGES[from.below(EDGES.length)]!);
const KEY_PREFIXES = [0, 1, 4, 5, 6, 7, 0x82, 0xed, 0xff];

/** Keys with a small multiple, or a multiple by lambda, in a row of the generator's table or their own. */
const SPECIAL_KEYS: readonly bigint[] = [
  ...[1n, 2n, 3n, 4n].flatMap((d) => [d, ORDER - d]),
  ...[LAMBDA, ORDER - LAMBDA, modulo(LAMBDA * LAMBDA), modulo(2n * LAMBDA), inverse(2n)],
];

const specialKeys = new Set(SPECIAL_KEYS.map((d) => scalar(publicKey(d))));
export function isSpecial(key: Uint8Array): boolean {
  return specialKeys.has(scalar(key));
}

/** Signers: the special keys, then random ones. */
export function signers(from: Random, count: number): { privateKey: bigint; key: Uint8Array }[] {
  const privates = [...SPECIAL_KEYS];
  while (privates.length < count) privates.push((scalar(from.bytes(32)) % (ORDER - 1n)) + 1n);
  return privates.map((privateKey) => ({ privateKey, key: publicKey(privateKey) }));
}

function flipped(bytes: Uint8Array, from: Random, first: number, length: number): Uint8Array {
  const changed = bytes.slice();
  changed[first + from.below(length)]! ^= 1 << from.below(8);
  return changed;
}
function replaced(bytes: Uint8Array, part: Uint8Array, at: number): Uint8Array {
  const changed = bytes.slice();
  changed.set(part, at);
  return changed;
}

/** Each is given a valid tuple, and another key. */
const MUTATIONS: Readonly<Record<string, (tuple: Tuple, from: Random, other: Uint8Array) => Tuple>> = {
  'digest bit': (tuple, from) => ({ ...tuple, digest: flipped(tuple.digest, from, 0, 32) }),
  'digest edge': (tuple, from) => ({ ...tuple, digest: edge(from) }),
  'r bit': (tuple, from) => ({ ...tuple, signature: flipped(tuple.signature, from, 0, 32) }),
  's bit': (tuple, from) => ({ ...tuple, signature: flipped(tuple.signature, from, 32, 32) }),
  'r edge': (tuple, from) => ({ ...tuple, signature: replaced(tuple.signature, edge(from), 0) }),
  's edge': (tuple, from) => ({ ...tuple, signature: replaced(tuple.signature, edge(from), 32) }),
  'all edges': (tuple, from) => ({
    ...tuple,
    digest: edge(from),
    signature: new Uint8Array(Buffer.concat([edge(from), edge(from)])),
  }),
  'high s': (tuple) => ({
    ...tuple,
    signature: replaced(tuple.signature, bytes32(ORDER - scalar(tuple.signature.subarray(32))), 32),
  }),
  'negated r': (tuple) => ({
    ...tuple,
    signature: replaced(tuple.signature, bytes32(ORDER - scalar(tuple.signature.subarray(0, 32))), 0),
  }),
  'r and s swapped': (tuple) => ({
    ...tuple,
    signature: new Uint8Array(Buffer.concat([tuple.signature.subarray(32), tuple.signature.subarray(0, 32)])),
  }),
  'other key': (tuple, _from, other) => ({ ...tuple, key: other }),
  'key x bit': (tuple, from) => ({ ...tuple, key: flipped(tuple.key, from, 1, 32) }),
  'key x edge': (tuple, from) => ({ ...tuple, key: replaced(tuple.key, edge(from), 1) }),
  'key parity': (tuple) => ({ ...tuple, key: replaced(tuple.key, Uint8Array.of(tuple.key[0]! ^ 1), 0) }),
  'key prefix': (tuple, from) => ({
    ...tuple,
    key: replaced(tuple.key, Uint8Array.of(KEY_PREFIXES[from.below(KEY_PREFIXES.length)]!), 0),
  }),
};
export const MUTATION_NAMES = Object.keys(MUTATIONS);

/** `count` valid tuples over random digests, every sixteenth one over an edge or over a number that is n or more. */
export function addSigned(to: Tuples, from: Random, keys: ReturnType<typeof signers>, count: number): void {
  for (const end = to.count + count; to.count < end; ) {
    const { privateKey, key } = keys[from.below(keys.length)]!;
    const kind = from.below(32);
    const digest = kind === 0 ? edge(from) : kind === 1 ? bytes32(ORDER + from.u64()) : from.bytes(32);
    to.add('signed', { digest, signature: sign(digest, privateKey), key });
  }
}

/** Mutations of the first `valid` tuples until there are `total` in all: every mutation in turn. */
export function addMutated(
  to: Tuples,
  from: Random,
  keys: ReturnType<typeof signers>,
  valid: number,
  total: number,
): void {
  for (let turn = 0; to.count < total; turn++) {
    const name = MUTATION_NAMES[turn % MUTATION_NAMES.length]!;
    to.add(name, MUTATIONS[name]!(to.at(from.below(valid)), from, keys[from.below(keys.length)]!.key));
  }
}

/** Scalars whose halves are tiny, or a power of two, or a multiple of lambda: rows that repeat in sums. */
function structured(from: Random): bigint {
  const small = BigInt(from.below(16) + 1);
  const choices = [
    small,
    modulo(-small),
    modulo(LAMBDA * small),
    modulo(small - LAMBDA),
    1n << BigInt(from.below(256)),
  ];
  return modulo(choices[from.below(choices.length)]!);
}

/** Special keys with chosen u1 and u2, u1 = 0 among them, and their r for another digest's sake wrong. */
export function addChosenScalars(to: Tuples, from: Random, count: number): void {
  for (const end = to.count + count; to.count < end; ) {
    const privateKey = SPECIAL_KEYS[from.below(SPECIAL_KEYS.length)]!;
    const tuple = withScalars(privateKey, from.below(6) === 0 ? 0n : structured(from), structured(from));
    if (tuple !== undefined) to.add('chosen scalars', tuple);
  }
}

/** The few x in n .. p - 1: r of some bits only. Each with its r wrong by one as well. */
export function addSmallR(to: Tuples, from: Random, count: number): void {
  const room = FIELD - ORDER;
  for (const end = to.count + count; to.count < end; ) {
    const r = from.below(2) === 0 ? BigInt(from.below(200)) : room - BigInt(from.below(400));
    const scalars = [scalar(from.bytes(32)), scalar(from.bytes(32))] as const;
    const tuple = withSmallR(r, modulo(scalars[0]), modulo(scalars[1]));
    if (tuple === undefined || r === 0n) continue;
    to.add('small r', tuple);
    const wrong = signatureOf(r + 1n, scalar(tuple.signature.subarray(32)));
    to.add('small r, off by one', { ...tuple, signature: wrong });
  }
}

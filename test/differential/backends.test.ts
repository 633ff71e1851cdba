/**
 * Every kernel against libsecp256k1 (npm `secp256k1`), seeded: the same verdict on 50,000 tuples (200,000 in `make test-long`), on every code path of a
 * kernel, and where a payer makes its own sums collide. The oracle is `libsecp256k1's verdict and s ≤ n/2`.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TABLE_KINDS, type TableKind } from '../../src/verify/kernel.ts';
import { verifyDigest } from '../../src/verify/noble.ts';
import {
  collidingTuples,
  orderMeetings,
  SIZES_OF_TABLES,
  type SizeOfTable,
  treeMeetings,
} from '../support/collisions.ts';
import { isKey, isValid, modulo, ORDER, sameScalars, scalar } from '../support/curve.ts';
import {
  KERNEL_LANES,
  KERNELS,
  type KernelProcess,
  KernelProcesses,
  type PathName,
} from '../support/kernel-process.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { random } from '../support/random.ts';
import {
  addChosenScalars,
  addMutated,
  addSigned,
  addSmallR,
  isSpecial,
  MUTATION_NAMES,
  signers,
  Tuples,
} from '../support/tuples.ts';

const SEED = 20_260_803;
const TOTAL = brieflyOrAtLength(20_000, 500_000);
/** The reference is slow: one of so many, which are of every kind still. */
const FOR_NOBLE = brieflyOrAtLength(40, 100);
/** The shares of the kinds are those of 200,000. */
const shareOf = (of200k: number) => (of200k * TOTAL) / 200_000;
const SIGNED = shareOf(60_000);
/** What a kernel takes as much longer for: it judges so many times fewer of them, of every kind still. */
const SLOWER = { avx512ifma: 1, avx512f: 1, avx2: 1, scalar: 1, wasm: 4, neon: 1 } as const;
const SIZES = Array.from({ length: 300 }, (_, index) => index + 1);
/** The kernel's verdict 3 says that the key is an Ed25519 key, which another verifier handles. */
const VALID = 1;
const INVALID = 2;
const UNSUPPORTED = 3;

const from = random(SEED);
let tuples: Tuples;
/** By the oracle, for `tuples`. */
let valid: boolean[];
let kernels: KernelProcesses;
/** Others, with room for a large table of every key. */
let tables: KernelProcesses;

function generate(): Tuples {
  const made = new Tuples();
  const keys = signers(from, 300);
  addSigned(made, from, keys, SIGNED);
  addChosenScalars(made, from, shareOf(4_000));
  addSmallR(made, from, shareOf(2_000));
  addMutated(made, from, keys, SIGNED, TOTAL);
  return made.shuffled(from);
}

/** The verdicts that differ from the oracle's, the first ones spelled out. */
function differences(judged: Tuples, isExpected: boolean[], verdicts: Uint8Array): string[] {
  const wrong: string[] = [];
  for (let index = 0; index < judged.count && wrong.length < 5; index++) {
    const { digest, signature, key } = judged.at(index);
    const expected = isExpected[index] ? VALID : key[0] === 0xed ? UNSUPPORTED : INVALID;
    if (verdicts[index] === expected) continue;
    const hex = [digest, signature, key].map((bytes) => Buffer.from(bytes).toString('hex')).join(' ');
    wrong.push(`${judged.kinds[index]}: expected ${expected}, got ${verdicts[index]}: ${hex}`);
  }
  if (verdicts.length !== judged.count) wrong.push(`${verdicts.length} verdicts for ${judged.count} tuples`);
  return wrong;
}

const oracle = (judged: Tuples) => Array.from({ length: judged.count }, (_, index) => isValid(judged.at(index)));
const every = (step: number) => Array.from({ length: Math.ceil(TOTAL / step) }, (_, index) => index * step);

beforeAll(async () => {
  kernels = await KernelProcesses.start();
  tables = await KernelProcesses.start(256 * 2 ** 20);
  tuples = generate();
  valid = oracle(tuples);
}, 600_000);
afterAll(() => {
  kernels?.stop();
  tables?.stop();
});

describe(`${TOTAL} distinct tuples`, () => {
  it('are what they are said to be', () => {
    expect(tuples.count).toBe(TOTAL);
    expect(tuples.distinct).toBe(TOTAL);
    const count = (kind: string) => tuples.kinds.filter((name) => name === kind).length;
    const countValid = (kind: string) => tuples.kinds.filter((name, index) => name === kind && valid[index]).length;
    expect(countValid('signed')).toBe(count('signed'));
    expect(count('signed')).toBe(SIGNED);
    expect(countValid('chosen scalars')).toBe(shareOf(4_000));
    expect(countValid('small r')).toBeGreaterThanOrEqual(shareOf(1_000));
    for (const kind of MUTATION_NAMES)
      expect(count(kind), kind).toBeGreaterThan(shareOf(kind === 'all edges' ? 5_000 : 8_000));
    for (const kind of ['high s', 'negated r', 'key prefix', 'r bit']) expect(countValid(kind), kind).toBe(0);
    // z = 0 mod n: u1 = 0, and Q and -Q give the same r.
    expect(countValid('key parity')).toBeGreaterThan(0);
    expect(valid.filter(Boolean).length).toBeGreaterThan(SIGNED + shareOf(5_000));
  });

  it.for(KERNELS)('%s, in calls of 1 to 300', { timeout: 120_000 }, async (name, context) => {
    const positions = every(SLOWER[name]);
    const part = tuples.pick(positions);
    const expected = positions.map((index) => valid[index]!);
    const { verdicts, stats } = await kernels.get(name, context).judge(part.packed(), 'batch', SIZES);
    expect(differences(part, expected, verdicts)).toEqual([]);
    expect(stats.valid).toBe(expected.filter(Boolean).length);
  });

  describe.each(Object.keys(TABLE_KINDS) as TableKind[])('a tenth of them with %s tables', (kind) => {
    it.for(KERNELS)('%s', { timeout: 60_000 }, async (name, context) => {
      const positions = every(10 * SLOWER[name]);
      const part = tuples.pick(positions);
      const expected = positions.map((index) => valid[index]!);
      const kernel = tables.get(name, context);
      for (let turn = 0; turn < 2; turn++) {
        const { verdicts } = await kernel.judge(part.packed(), turn === 0 ? 'batch' : 'single', [300], kind);
        expect(differences(part, expected, verdicts)).toEqual([]);
      }
    });
  });

  const PARTS = [
    { path: 'single', count: TOTAL / 8 },
    { path: 'complete', count: TOTAL / 10 },
    { path: 'slow', count: TOTAL / 50 },
  ] as const;
  describe.each(PARTS)('$count of them by the $path path', ({ path, count }) => {
    it.for(KERNELS)('%s', { timeout: 60_000 }, async (name, context) => {
      const positions = every((TOTAL / count) * SLOWER[name]);
      const part = tuples.pick(positions);
      expect(part.count).toBe(Math.ceil(count / SLOWER[name]));
      const { verdicts } = await kernels.get(name, context).judge(part.packed(), path, [7, 256]);
      const expected = positions.map((index) => valid[index]!);
      expect(differences(part, expected, verdicts)).toEqual([]);
    });
  });

  it(`noble, one of ${FOR_NOBLE} of them`, { timeout: 180_000 }, () => {
    const positions = every(FOR_NOBLE);
    expect(new Set(positions.map((index) => tuples.kinds[index])).size).toBe(MUTATION_NAMES.length + 4);
    const wrong = positions.filter((index) => {
      const { digest, signature, key } = tuples.at(index);
      return verifyDigest(signature, digest, key) !== valid[index];
    });
    expect(positions.length).toBe(TOTAL / FOR_NOBLE);
    expect(wrong.map((index) => tuples.kinds[index])).toEqual([]);
  });

  it.for(KERNELS)('%s says of each key whether it is one', { timeout: 120_000 }, async (name, context) => {
    const keys = every(10 * SLOWER[name]).map((index) => tuples.at(index).key);
    const expected = keys.map(isKey);
    expect(new Set(expected).size).toBe(2);
    expect(await kernels.get(name, context).keysValid(keys)).toEqual(expected);
  });
});

interface Colliding {
  tuples: Tuples;
  /** Tuples whose sums collide, among ordinary ones that must not be affected. */
  count: number;
  /** The nodes where they do. */
  where: Set<string>;
}

/** Every collision of two random scalars there is: each once valid, and once with a wrong r but the same scalars. */
function collisions(kind: SizeOfTable, lanes: number | undefined): Colliding {
  const made = new Tuples();
  const where = new Set<string>();
  const [u1, u2] = [modulo(scalar(from.bytes(32))), modulo(scalar(from.bytes(32)))];
  const found = lanes === undefined ? treeMeetings(kind, u1, u2) : orderMeetings(lanes, kind, u1, u2);
  for (const { tuple, where: place } of collidingTuples(found, u1, u2)) {
    where.add(place);
    made.add(place, tuple);
    const r = modulo(scalar(from.bytes(32)), ORDER - 1n) + 1n;
    made.add(`${place}, wrong r`, { ...tuple, ...sameScalars(r, u1, u2) });
  }
  const count = made.count;
  if (lanes !== undefined) return { tuples: made, count, where };
  const isOrdinary = (index: number) => tuples.kinds[index] === 'signed' && !isSpecial(tuples.at(index).key);
  for (const index of every(1).filter(isOrdinary).slice(0, count)) made.add('ordinary', tuples.at(index));
  return { tuples: made.shuffled(from), count, where };
}

const levels = (where: Iterable<string>) =>
  [...new Set([...where].map((place) => Number(/level (\d)/.exec(place)?.[1]) || 'end'))].sort();

const HITS = { none: 'misses', tiny: 'hitsTiny', small: 'hitsSmall', large: 'hitsLarge', huge: 'hitsHuge' } as const;

/** Verdicts, and how many signatures took the complete path, with every key's table of the kind asked for. */
async function judgeWithTables(kernel: KernelProcess, kind: TableKind, judged: Tuples, path: PathName) {
  const { stats: before } = await kernel.judge(judged.packed(), 'batch', [judged.count], kind);
  const { verdicts, stats } = await kernel.judge(judged.packed(), path, [judged.count], kind);
  expect(stats[HITS[kind]] - before[HITS[kind]], `signatures with a ${kind} table`).toBe(judged.count);
  return { verdicts, slowPaths: stats.slowPaths - before.slowPaths };
}

describe('sums that meet', () => {
  /** Code paths of a kernel, and in which order each adds: neighbours of a tree, a sum per element, one sum. */
  const ROADS: { path: PathName; order: 'tree' | 'lanes' | 'one'; kind: SizeOfTable }[] = [
    // A key keeps the largest table that it had: from the smallest on.
    ...SIZES_OF_TABLES.map((kind) => ({ path: 'batch', order: 'tree', kind }) as const),
    ...SIZES_OF_TABLES.map((kind) => ({ path: 'single', order: 'lanes', kind }) as const),
    ...SIZES_OF_TABLES.map((kind) => ({ path: 'complete', order: 'one', kind }) as const),
  ];
  /** Of 53, 36, 26 and 23 points a half. A node over rows of both kinds first arises where the rows of Q end. */
  const LEVELS: Readonly<Record<SizeOfTable, (number | string)[]>> = {
    tiny: [1, 2, 3, 4, 5, 'end'],
    small: [1, 2, 3, 4, 5, 'end'],
    large: [1, 2, 3, 4, 'end'],
    huge: [1, 2, 3, 4, 'end'],
  };
  /** Made once: the same for every kernel that adds in the same order. */
  const made = new Map<string, Colliding>();
  const collisionsOf = (kind: SizeOfTable, lanes: number | undefined): Colliding => {
    const id = `${kind} ${lanes}`;
    const known = made.get(id) ?? collisions(kind, lanes);
    made.set(id, known);
    return known;
  };
  /** Processes whose caches have room for the tables that this needs. */
  let fresh: KernelProcesses;
  beforeAll(async () => {
    fresh = await KernelProcesses.start(256 * 2 ** 20);
  });
  afterAll(() => fresh?.stop());

  describe.each(ROADS)('$path, $kind tables', ({ path, order, kind }) => {
    it.for(KERNELS)('%s', { timeout: 60_000 }, async (name, context) => {
      const kernel = fresh.get(name, context);
      const lanes = { tree: undefined, lanes: KERNEL_LANES[name], one: 1 }[order];
      const { tuples: crafted, count, where } = collisionsOf(kind, lanes);
      expect(count).toBe(where.size * 2);
      // A node over rows of Q alone never meets another such: from level 1 on there are nodes of both.
      if (order === 'tree') expect(levels(where)).toEqual(LEVELS[kind]);
      else expect(where.size).toBeGreaterThan(60);
      const { verdicts, slowPaths } = await judgeWithTables(kernel, kind, crafted, path);
      const expected = oracle(crafted);
      expect(differences(crafted, expected, verdicts)).toEqual([]);
      expect(expected.filter(Boolean).length).toBe(crafted.count - where.size);
      // All of them, and nothing else, went to the complete path, so they did collide.
      expect(slowPaths).toBe(path === 'complete' ? crafted.count : count);
    });
  });
});

/**
 * Signatures for which the kernel's sums meet: a BigInt twin of how it takes u1 G + u2 Q apart (src/kernel/table.h,
 * batch_scalars.h), and the keys for which two nodes that are added stand for the same point or for opposite ones.
 *
 * A payer who knows its key's logarithm can make these; nobody else can. For tests and bench:verify; C has a crafter of its own
 * (test/kernel/craft.h) for tests without Node, which asks the kernel itself for its digits where this one is told them. Any
 * thread.
 */
import { inverse, LAMBDA, modulo, ORDER, type Tuple, withScalars } from './curve.ts';

/** Windows of a key's table: how many, and their bits. */
const TABLES = {
  tiny: { windows: 43, width: 3 },
  small: { windows: 26, width: 5 },
  large: { windows: 16, width: 8 },
  huge: { windows: 13, width: 10 },
} as const;
export type SizeOfTable = keyof typeof TABLES;
export const SIZES_OF_TABLES = Object.keys(TABLES) as SizeOfTable[];
const GENERATOR = { windows: 10, width: 13 };
const HALF_BITS = 129;

/** The short lattice basis of the endomorphism: a1 + b1 lambda = a2 + b2 lambda = 0 mod n. */
const A1 = 0x3086d221_a7d46bcd_e86c90e4_9284eb15n;
const B1 = -0xe4437ed6_010e8828_6f547fa9_0abfe4c3n;
const A2 = 0x1_14ca50f7_a8e2f3f6_57c1108d_9d44cfd8n;
const B2 = A1;

/** What a node stands for: q Q + g G, mod n. */
interface Node {
  q: bigint;
  g: bigint;
}
/** A key, and where its signature with the scalars u1 and u2 makes two nodes meet. */
export interface Meeting {
  privateKey: bigint;
  where: string;
}

const rounded = (value: bigint) => (2n * value + ORDER) / (2n * ORDER);

/** Two odd numbers of 129 bits, the second to be taken times lambda, whose sum is `value` mod n. */
function halves(value: bigint): [bigint, bigint] {
  const middle = modulo((value - 1n - LAMBDA) * inverse(2n));
  const [c1, c2] = [rounded(middle * B2), rounded(middle * -B1)];
  return [2n * (middle - c1 * A1 - c2 * A2) + 1n, 2n * (-c1 * B1 - c2 * B2) + 1n];
}

/** The odd digits of a half, each times its power of two: they add up to it. */
function digits(half: bigint, { windows, width }: { windows: number; width: number }): bigint[] {
  const bits = (half - 1n) / 2n + (1n << 128n);
  return Array.from({ length: windows }, (_, window) => {
    const offset = window * width;
    const size = BigInt(window === windows - 1 ? HALF_BITS - offset : width);
    const digit = (bits >> BigInt(offset)) & ((1n << size) - 1n);
    return (2n * digit - (1n << size) + 1n) << BigInt(offset);
  });
}

/** The leaves of both halves, the key's first; lambda is not counted. */
function leaves(kind: SizeOfTable, u1: bigint, u2: bigint): [Node[], Node[]] {
  const fromGenerator = halves(u1);
  const fromKey = halves(u2);
  const ofHalf = (half: 0 | 1): Node[] => [
    ...digits(fromKey[half], TABLES[kind]).map((q) => ({ q, g: 0n })),
    ...digits(fromGenerator[half], GENERATOR).map((g) => ({ q: 0n, g })),
  ];
  return [ofHalf(0), ofHalf(1)];
}

const sum = (left: Node, right: Node): Node => ({ q: left.q + right.q, g: left.g + right.g });
const timesLambda = ({ q, g }: Node): Node => ({ q: q * LAMBDA, g: g * LAMBDA });

/** Keys Q = d G that make the two nodes equal, and opposite. */
function* meetings(left: Node, right: Node, where: string): Generator<Meeting> {
  for (const [sign, name] of [
    [1n, 'equal'],
    [-1n, 'opposite'],
  ] as const) {
    const slope = modulo(left.q - sign * right.q);
    const offset = modulo(sign * right.g - left.g);
    if (slope !== 0n && offset !== 0n)
      yield { privateKey: modulo(offset * inverse(slope)), where: `${where}, ${name}` };
  }
}

/** Every node of the tree that a batch adds up by: neighbours level by level, an odd one out waits in front. */
export function* treeMeetings(kind: SizeOfTable, u1: bigint, u2: bigint): Generator<Meeting> {
  const roots = leaves(kind, u1, u2).map(function* (nodes, half): Generator<Meeting, Node> {
    let row = nodes;
    for (let level = 0; row.length > 1; level++) {
      const odd = row.length % 2;
      const next = row.slice(0, odd);
      for (let index = odd; index < row.length; index += 2) {
        const [left, right] = [row[index]!, row[index + 1]!];
        yield* meetings(left, right, `half ${half}, level ${level}, node ${index}`);
        next.push(sum(left, right));
      }
      row = next;
    }
    return row[0]!;
  });
  const plain = yield* roots[0]!;
  const mixed = yield* roots[1]!;
  yield* meetings(plain, timesLambda(mixed), 'the two halves');
}

/** Points added one by one in `lanes` sums, which are then added to each other: one signature alone, or one sum. */
export function* orderMeetings(lanes: number, kind: SizeOfTable, u1: bigint, u2: bigint): Generator<Meeting> {
  const [plain, mixed] = leaves(kind, u1, u2);
  const sums: Node[] = [];
  for (const [index, node] of [...mixed.map(timesLambda), ...plain].entries()) {
    const lane = index % lanes;
    const before = sums[lane];
    if (before !== undefined) yield* meetings(before, node, `${lanes} lanes, point ${index}`);
    sums[lane] = before === undefined ? node : sum(before, node);
  }
  for (let width = lanes / 2; width >= 1; width /= 2)
    for (let lane = 0; lane < width; lane++) {
      yield* meetings(sums[lane]!, sums[lane + width]!, `${lanes} lanes, sums ${lane} and ${lane + width}`);
      sums[lane] = sum(sums[lane]!, sums[lane + width]!);
    }
}

/** Valid signatures for the meetings; where a sum would be infinity there is none. */
export function collidingTuples(found: Iterable<Meeting>, u1: bigint, u2: bigint): { tuple: Tuple; where: string }[] {
  const made: { tuple: Tuple; where: string }[] = [];
  for (const { privateKey, where } of found) {
    const tuple = withScalars(privateKey, u1, u2);
    if (tuple !== undefined) made.push({ tuple, where });
  }
  return made;
}

/**
 * The loop of a fuzzer that is guided by coverage, in a worker thread: it keeps an input that takes a branch which no input took before,
 * or takes it more often (by powers of two), and makes new inputs of those kept. The main thread watches that each run ends.
 */
import { workerData } from 'node:worker_threads';
import { random } from '../support/random.ts';
import { type Compared, Mutator } from './mutate.ts';
import type { Target } from './target.ts';

export interface LoopInput {
  program: string;
  corpus: Uint8Array[];
  literals: (number | string)[];
  edges: number;
  seconds: number;
  seed: number;
  /** What is being run: a count of runs, the length, and the bytes. */
  current: SharedArrayBuffer;
}
export interface LoopResult {
  runs: number;
  /** Branches taken at least once. */
  edges: number;
  /** Inputs which together take all that was taken. */
  kept: Uint8Array[];
  failure?: { bytes: Uint8Array; text: string };
}

const COMPARED_MAX = 64;
const KEPT_FROM_LAST = 3;

const { program, corpus, literals, edges, seconds, seed, current } = workerData as LoopInput;
const hits = new Uint32Array(edges);
const touched = new Uint32Array(edges);
const seen = new Uint8Array(edges);
let touchedCount = 0;
let compared: Compared[] = [];
let isComparing = false;

(globalThis as Record<string, unknown>).__fuzz = {
  hit(edge: number): void {
    if (hits[edge]!++ === 0) touched[touchedCount++] = edge;
  },
  same(left: unknown, right: unknown): boolean {
    const isSame = left === right;
    if (isComparing && !isSame && compared.length < COMPARED_MAX) compared.push([left, right]);
    return isSame;
  },
};

/** Which power of two a count is near, as one bit. */
function bucket(count: number): number {
  return 1 << Math.min(7, 31 - Math.clz32(count));
}

/** Whether the last run did what none did before; notes it. Forgets the run. */
function isNew(): boolean {
  let found = false;
  for (let index = 0; index < touchedCount; index++) {
    const edge = touched[index]!;
    const bit = bucket(hits[edge]!);
    if ((seen[edge]! & bit) === 0) {
      seen[edge]! |= bit;
      found = true;
    }
    hits[edge] = 0;
  }
  touchedCount = 0;
  return found;
}

const { target } = (await import(program)) as { target: Target };
const result: LoopResult = { runs: 0, edges: 0, kept: [] };
isNew();

const words = new Int32Array(current, 0, 2);
const shared = new Uint8Array(current, 8);
/** Runs an input. True when it is worth keeping. */
async function run(bytes: Uint8Array): Promise<boolean> {
  shared.set(bytes);
  words[1] = bytes.length;
  Atomics.add(words, 0, 1);
  result.runs++;
  try {
    const done = target.run(bytes);
    if (done !== undefined) await done;
  } catch (error) {
    result.failure = { bytes, text: error instanceof Error ? `${error.stack}` : String(error) };
  }
  return isNew();
}

async function comparisonsOf(bytes: Uint8Array): Promise<Compared[]> {
  compared = [];
  isComparing = true;
  await run(bytes);
  isComparing = false;
  return compared;
}

/** Runs inputs until the time is over, or one fails. */
export async function loop(): Promise<LoopResult> {
  const from = random(seed);
  const mutator = new Mutator(from, literals, target.bytesMax);
  const { kept } = result;
  for (const bytes of [...corpus, ...target.seeds()].toSorted((left, right) => left.length - right.length)) {
    if (await run(bytes)) kept.push(bytes);
    if (result.failure !== undefined) return result;
  }
  if (kept.length === 0) kept.push(new Uint8Array(1));
  const end = performance.now() + 1_000 * seconds;
  while (performance.now() < end && result.failure === undefined) {
    const isRecent = from.below(3) === 0;
    const base = kept[isRecent ? Math.max(0, kept.length - 1 - from.below(KEPT_FROM_LAST)) : from.below(kept.length)]!;
    const pairs = await comparisonsOf(base);
    for (let count = 0; count < 100 && result.failure === undefined; count++) {
      const bytes = mutator.mutate(base, kept[from.below(kept.length)]!, pairs);
      if (await run(bytes)) kept.push(bytes);
    }
  }
  result.edges = seen.reduce((sum, bits) => sum + Number(bits !== 0), 0);
  return result;
}

/** The smallest of these inputs that together take every branch that they all take. */
export async function smallest(inputs: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const chosen: Uint8Array[] = [];
  const taken = new Set<number>();
  for (const bytes of inputs.toSorted((left, right) => left.length - right.length)) {
    shared.set(bytes);
    words[1] = bytes.length;
    Atomics.add(words, 0, 1);
    await target.run(bytes);
    const found = [...touched.subarray(0, touchedCount)].filter((edge) => !taken.has(edge));
    isNew();
    for (const edge of found) taken.add(edge);
    if (found.length > 0) chosen.push(bytes);
  }
  return chosen;
}

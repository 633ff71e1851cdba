/**
 * bench:verify's forced collisions: the cost of one for a verifier, and how much 300 a second slow other claims. Runs in the
 * main thread of a process. A payer cannot choose a claim's digest, and has to try claims until one collides. Here
 * `verifyMany` is given crafted digests instead, which is the kernel's worst case, and more than a payer can do.
 */

import { assert } from '../../src/errors.ts';
import { KERNEL_PATHS, type Kernel, type KernelPath } from '../../src/verify/kernel.ts';
import { collidingTuples, orderMeetings, treeMeetings } from '../../test/support/collisions.ts';
import { modulo, scalar } from '../../test/support/curve.ts';
import type { Figures } from '../harness.ts';
import { BATCH, median, type SignedClaim, seeded } from './claims.ts';

/** Forced claims per second that a payer may send, and that the node must tolerate. */
const PER_SECOND = 300;
const ROUNDS = 5;
/** Of one batch, of which the median counts. */
const CALLS = 15;
/** Calls after which a key has the table that is made for it at the end of the first one. */
const WARM_ROUNDS = 2;
/** Elements of each kernel (VEC in src/kernel/vector_*.h). */
const LANES: Readonly<Record<string, number>> = { avx512ifma: 8, avx512f: 8, avx2: 4, scalar: 1, wasm: 4 };

type Claim = Omit<SignedClaim, 'isValid'>;

/** Claims one after the other, in the form of `verifyMany`. */
class Tuples {
  readonly #digests: Uint8Array;
  readonly #signatures: Uint8Array;
  readonly #keys: Uint8Array;
  readonly #verdicts: Uint8Array;
  readonly #isValid: boolean[];
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, claims: readonly SignedClaim[]) {
    this.#kernel = kernel;
    this.#digests = new Uint8Array(32 * claims.length);
    this.#signatures = new Uint8Array(64 * claims.length);
    this.#keys = new Uint8Array(33 * claims.length);
    this.#verdicts = new Uint8Array(claims.length);
    this.#isValid = claims.map((claim) => claim.isValid);
    for (const [index, claim] of claims.entries()) this.put(index, claim, claim.isValid);
  }

  put(index: number, { digest, signature, publicKey }: Claim, isValid = true): void {
    this.#digests.set(digest, 32 * index);
    this.#signatures.set(signature, 64 * index);
    this.#keys.set(publicKey, 33 * index);
    this.#isValid[index] = isValid;
  }

  /** Microseconds of one call, checked. */
  verify(path: KernelPath): number {
    this.#verdicts.fill(0);
    const begin = performance.now();
    this.#kernel.verifyMany(this.#digests, this.#signatures, this.#keys, this.#verdicts, path);
    const microseconds = (performance.now() - begin) * 1_000;
    for (let index = 0; index < this.#verdicts.length; index++)
      if ((this.#verdicts[index] === 1) !== this.#isValid[index])
        throw new Error(`tuple ${index}: expected ${this.#isValid[index]}, got verdict ${this.#verdicts[index]}`);
    return microseconds;
  }

  /** Median of a few calls, and of how many of their signatures took the complete path each time. */
  measure(path: KernelPath, calls: number): { microseconds: number; slowPaths: number } {
    const before = this.#kernel.stats().slowPaths;
    const microseconds = median(Array.from({ length: calls }, () => this.verify(path)));
    return { microseconds, slowPaths: (this.#kernel.stats().slowPaths - before) / calls };
  }
}

function filled(claim: Claim): SignedClaim[] {
  return new Array<SignedClaim>(BATCH).fill({ ...claim, isValid: true });
}

/** Microseconds that `forced` adds to a batch of honest claims. The batch is timed with and without it in turns. */
function addedToBatch(kernel: Kernel, honest: readonly SignedClaim[], forced: Claim): number {
  const plain = new Tuples(kernel, honest.slice(0, BATCH));
  const mixed = new Tuples(kernel, honest.slice(0, BATCH));
  mixed.put(BATCH / 2, forced);
  const differences = Array.from({ length: ROUNDS }, () => {
    const without = plain.measure(KERNEL_PATHS.batch, CALLS);
    const along = mixed.measure(KERNEL_PATHS.batch, CALLS);
    assert(along.slowPaths === without.slowPaths + 1, 'a crafted signature collides in the batch');
    return along.microseconds - without.microseconds * (1 - 1 / BATCH);
  });
  return median(differences);
}

/** By how many percent other claims slow down: measured with one forced claim in each batch, and scaled to PER_SECOND. */
function slowdownOfOthers(kernel: Kernel, honest: readonly SignedClaim[], forced: Claim): number {
  const batches = Math.floor(honest.length / BATCH);
  const plain = new Tuples(kernel, honest);
  const mixed = new Tuples(kernel, honest);
  for (let batch = 0; batch < batches; batch++) mixed.put(batch * BATCH + BATCH / 2, forced);
  const losses = Array.from({ length: ROUNDS }, () => {
    const without = honest.length / plain.measure(KERNEL_PATHS.batch, 3).microseconds;
    const { microseconds, slowPaths } = mixed.measure(KERNEL_PATHS.batch, 3);
    assert(slowPaths >= batches, 'every batch has its collision');
    const loss = 1 - (honest.length - batches) / microseconds / without;
    return (100 * loss * PER_SECOND) / ((batches / microseconds) * 1e6);
  });
  return median(losses);
}

/**
 * A collision for each place where a batch's tree can have one, and one where a signature alone has it. The code above asserts
 * that they happen, so that a kernel which adds in another order is noticed.
 */
function craftCollisions(lanes: number): { batch: Claim[]; single: Claim } {
  const [u1, u2] = [modulo(scalar(seeded('u1'))), modulo(scalar(seeded('u2')))];
  const made = (meetings: ReturnType<typeof treeMeetings>) =>
    collidingTuples(meetings, u1, u2).map(({ tuple: { key, ...signed } }) => ({ ...signed, publicKey: key }));
  return { batch: made(treeMeetings('large', u1, u2)), single: made(orderMeetings(lanes, 'large', u1, u2))[0]! };
}

/**
 * @param honest claims of hot keys, a multiple of BATCH
 * What one forced claim costs is the worst of three: among honest ones (the whole batch is repaired), alone on a quiet
 * node, and in a batch of nothing else.
 */
export function measureCollisions(
  kernel: Kernel,
  honest: readonly SignedClaim[],
  note: (line: string) => void,
): Figures {
  // The crafted keys keep a large table, for which their collisions were made; honest ones keep what they have.
  kernel.forceTables('large');
  try {
    return collisionFigures(kernel, honest, note);
  } finally {
    kernel.forceTables(undefined);
  }
}

function collisionFigures(kernel: Kernel, honest: readonly SignedClaim[], note: (line: string) => void): Figures {
  const lanes = LANES[kernel.kernelName];
  assert(lanes !== undefined, `the lanes of kernel ${kernel.kernelName} are known`);
  const { batch, single } = craftCollisions(lanes);
  for (const claim of [...batch, single]) new Tuples(kernel, filled(claim)).measure(KERNEL_PATHS.batch, WARM_ROUNDS);

  const added = batch.map((forced) => addedToBatch(kernel, honest, forced));
  const amongHonest = Math.max(...added);
  const worst = batch[added.indexOf(amongHonest)]!;
  const alone = new Tuples(kernel, [{ ...single, isValid: true }]).measure(KERNEL_PATHS.single, 1_000);
  assert(alone.slowPaths === 1, 'a crafted signature collides alone');
  const nothingElse = new Tuples(kernel, filled(worst)).measure(KERNEL_PATHS.batch, 100);
  assert(nothingElse.slowPaths === BATCH, 'every crafted signature collides');
  const inBatch = nothingElse.microseconds / BATCH;

  const figures = [amongHonest, alone.microseconds, inBatch];
  const microseconds = Math.max(...figures);
  const [first, second, third] = figures.map((value) => value.toFixed(1));
  note(
    `forced collision: among honest ones ${first} us (worst of ${batch.length}), alone ${second}, all forced ${third}`,
  );
  return {
    'verify.collision.microseconds': microseconds,
    'verify.collision.corePercentAt300': (100 * PER_SECOND * microseconds) / 1e6,
    'verify.collision.othersSlowdownPercent': slowdownOfOthers(kernel, honest, worst),
  };
}

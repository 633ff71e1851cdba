/** Verification in one thread, and what each idea behind it buys. Processes of their own. */

import { xrplDigest, xrplPreimage } from '../../../protocol/digest.ts';
import {
  CLAIM_BYTES,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  PROFILE_XRPL,
  SIGNATURE_BYTES,
} from '../../../protocol/layout.ts';
import { assert } from '../../../src/errors.ts';
import { DuplicateFilter } from '../../../src/path/duplicate-filter.ts';
import { SLOT_BYTES } from '../../../src/ring/arena.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { KERNEL_PATHS, type KernelPath } from '../../../src/verify/kernel.ts';
import { OpensslVerifier } from '../../../src/verify/openssl.ts';
import { coreSeconds, inTurns } from '../measure.ts';
import type { PartArgs, PartResult } from '../part.ts';
import { VerifyRig } from '../verify-rig.ts';

const KEYS = 1_000;
const CACHE_BYTES = 256 * 2 ** 20;
/** Of this cache, 100 keys have large tables and 1,000 small ones; 4,096 keys in turn evict each other. */
const CACHE_BYTES_SMALL = 32 * 2 ** 20;
const KEYS_HELD = 100;
const KEYS_EVICTED = 4_096;
/** Claims of one call (src/verify/kernel-backend.ts). */
const BATCH = 1_024;
const WARM_SECONDS = 5;
const OPENSSL_CLAIMS = 64;
/** The textbook takes 100 µs a claim. */
const SLOW_CLAIMS = 256;
/** One claim in so many is a copy of the one before. */
const COPY_EVERY = 4;
const higher = { unit: 'claims/s', better: 'higher' as const };

export async function measureVerify({ effort }: PartArgs): Promise<PartResult> {
  const rig = new VerifyRig(KEYS, CACHE_BYTES);
  rig.warm(KEYS, WARM_SECONDS);
  const rate = (seconds: number, claims = rig.slots) => claims / seconds;
  const copied = { ...higher, name: 'verify.copiedPerSecond', measure: () => rate(copyingPass(rig)) };
  const tuples = tuplesOf(rig);
  const values = await inTurns(
    [
      { ...higher, name: 'verify.opensslPerSecond', measure: () => opensslRate(rig) },
      { ...higher, name: 'verify.perSecond', measure: () => rate(rig.pass(BATCH)) },
      { ...higher, name: 'verify.oneACallPerSecond', measure: () => rate(oneACall(rig)) },
      { ...higher, name: 'verify.sharedPerSecond', measure: () => tuples(KERNEL_PATHS.batch, rig.slots) },
      { ...higher, name: 'verify.alonePerSecond', measure: () => tuples(KERNEL_PATHS.single, rig.slots) },
      { ...higher, name: 'verify.textbookPerSecond', measure: () => tuples(KERNEL_PATHS.slow, SLOW_CLAIMS) },
      copied,
    ],
    effort,
  );
  rig.attach(rig.ring);
  return { ...Object.fromEntries(values), ...(await measureFilter(rig, effort)) };
}

/** One claim a call, in the kernel's best way for one alone: what a node without batches would do. */
function oneACall(rig: VerifyRig): number {
  return rig.judged(() => {
    for (let index = 0; index < rig.slots; index++) rig.kernel.verifySlot(index);
  });
}

/** A verifier with a queue of its own: slots are copied there, judged, and their verdicts copied back. */
function copyingPass(rig: VerifyRig): number {
  const { ring, other, arena } = rig;
  rig.attach(other);
  const seconds = rig.judged(() => {
    for (let first = 0; first < rig.slots; first += BATCH) {
      for (let index = first; index < first + BATCH; index++) {
        const slot = ring.slot(index);
        arena.bytes.copyWithin(other.slot(index), slot, slot + SLOT_BYTES);
      }
      rig.kernel.verifySlots(first, BATCH);
      for (let index = first; index < first + BATCH; index++)
        Atomics.store(arena.ints, (ring.slot(index) + SLOT_VERDICT) >>> 2, other.verdict(index));
    }
  });
  rig.attach(ring);
  return seconds;
}

/** Claims a second of the first `count`, given as digests, signatures and keys. Digests are made beforehand. */
function tuplesOf(rig: VerifyRig): (path: KernelPath, count: number) => number {
  const { arena, ring, table, slots, kernel } = rig;
  const digests = new Uint8Array(32 * slots);
  const signatures = new Uint8Array(SIGNATURE_BYTES * slots);
  const keys = new Uint8Array(33 * slots);
  for (let index = 0; index < slots; index++) {
    const slot = ring.slot(index);
    const row = arena.words[(slot + SLOT_ROW) >>> 2]!;
    digests.set(xrplDigest(table.ledgerId(row), arena.bytes, slot), 32 * index);
    signatures.set(arena.bytes.subarray(slot + CLAIM_SIGNATURE, slot + CLAIM_TIMESTAMP), SIGNATURE_BYTES * index);
    keys.set(table.publicKey(row), 33 * index);
  }
  return (path, count) => {
    let valid = 0;
    const seconds = coreSeconds(() => {
      for (let first = 0; first < count; first += BATCH) {
        const end = Math.min(first + BATCH, count);
        const verdicts = new Uint8Array(end - first);
        const part = (bytes: Uint8Array, size: number) => bytes.subarray(first * size, end * size);
        kernel.verifyMany(part(digests, 32), part(signatures, SIGNATURE_BYTES), part(keys, 33), verdicts, path);
        for (const verdict of verdicts) valid += verdict === VERDICT_VALID ? 1 : 0;
      }
    });
    assert(valid === count - Math.ceil(count / 64), `all but the spoilt are valid, got ${valid} of ${count}`);
    return count / seconds;
  };
}

/** The floor: OpenSSL, which every Node has, digest included as in the kernel. */
function opensslRate(rig: VerifyRig): number {
  const { arena, ring, table } = rig;
  const verifier = new OpensslVerifier();
  let valid = 0;
  const claims = Array.from({ length: OPENSSL_CLAIMS }, (_, index) => {
    const slot = ring.slot(index + 1);
    const row = arena.words[(slot + SLOT_ROW) >>> 2]!;
    return { claim: arena.bytes.slice(slot, slot + CLAIM_BYTES), row };
  });
  const seconds = coreSeconds(() => {
    for (const { claim, row } of claims) {
      const preimage = xrplPreimage(table.ledgerId(row), claim, 0);
      const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP);
      if (verifier.verify(PROFILE_XRPL, preimage, signature, table.publicKey(row).slice())) valid++;
    }
  });
  assert(valid === OPENSSL_CLAIMS - Math.floor(OPENSSL_CLAIMS / 64), `OpenSSL agrees, got ${valid}`);
  return OPENSSL_CLAIMS / seconds;
}

/** A quarter of the claims are copies in flight: with the filter each costs a look, without it a verification. */
async function measureFilter(rig: VerifyRig, effort: PartArgs['effort']): Promise<PartResult> {
  const { arena, ring, slots } = rig;
  for (let index = COPY_EVERY - 1; index < slots; index += COPY_EVERY) {
    const from = ring.slot(index - 1);
    arena.bytes.copyWithin(ring.slot(index), from, from + SLOT_VERDICT);
  }
  const filtered = () => {
    const filter = new DuplicateFilter(arena, ring, nodeSystem.random);
    let copies = 0;
    const seconds = rig.judgedWhileFilled((slot, index) => {
      const isCopy = filter.enter(slot) >= 0;
      if (isCopy) copies++;
      return isCopy && index % COPY_EVERY === COPY_EVERY - 1;
    }, BATCH);
    assert(copies === slots / COPY_EVERY, `each copy is found, got ${copies}`);
    return slots / seconds;
  };
  const unfiltered = () => slots / rig.judgedWhileFilled(() => false, BATCH);
  return Object.fromEntries(
    await inTurns(
      [
        { ...higher, name: 'filter.onPerSecond', measure: filtered },
        { ...higher, name: 'filter.offPerSecond', measure: unfiltered },
      ],
      effort,
    ),
  );
}

/**
 * Keys that stay in the cache, and more keys than it holds, so that every claim's table is made anew; in turns, each after
 * passes that are not counted and bring the cache into its state.
 */
export async function measureKeyTables({ effort }: PartArgs): Promise<PartResult> {
  const rig = new VerifyRig(KEYS_EVICTED, CACHE_BYTES_SMALL);
  let [lookUps, misses] = [0, 0];
  const held = () => {
    rig.warm(KEYS_HELD, WARM_SECONDS);
    // Two, since a pass of warm keys is several times as short as one of cold keys.
    return (2 * rig.slots) / (rig.pass(BATCH) + rig.pass(BATCH));
  };
  const evicted = () => {
    rig.sign(KEYS_EVICTED, 'in order');
    rig.pass(BATCH);
    const before = rig.kernel.stats();
    const seconds = rig.pass(BATCH);
    const after = rig.kernel.stats();
    const all = (stats: typeof before) =>
      stats.hitsHuge + stats.hitsLarge + stats.hitsSmall + stats.hitsTiny + stats.misses;
    lookUps += all(after) - all(before);
    misses += after.misses - before.misses;
    return rig.slots / seconds;
  };
  const values = await inTurns(
    [
      { ...higher, name: 'tables.onPerSecond', measure: held },
      { ...higher, name: 'tables.offPerSecond', measure: evicted },
    ],
    effort,
  );
  return { ...Object.fromEntries(values), missShare: [misses / lookUps] };
}

/** By the number of keys that send: claims a second. */
export function measureKeys({ effort, quick }: PartArgs): PartResult {
  const counts = quick ? [1, 10, 100, 1_000, 4_000] : [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000];
  const most = counts.at(-1)!;
  const rig = new VerifyRig(
    most,
    quick ? CACHE_BYTES : 4 * CACHE_BYTES,
    Math.max(8_192, 2 ** Math.ceil(Math.log2(most))),
  );
  const result: Required<PartResult> = { keys: [], perSecond: [] };
  const end = performance.now() + effort.seconds * 1_000;
  for (const keys of counts) {
    if (performance.now() > end) break;
    rig.warm(keys, effort.seconds / counts.length / 2);
    const rates = Array.from({ length: effort.roundsMin }, () => rig.slots / rig.pass(BATCH));
    result.keys!.push(keys);
    result.perSecond!.push(rates.toSorted((left, right) => left - right)[rates.length >> 1]!);
  }
  return result;
}

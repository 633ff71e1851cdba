/**
 * Project Wycheproof's secp256k1 cases through every backend, where they are present: the strict answer is
 * `valid and s ≤ n/2`.
 *
 * The files are third-party data and not part of this repository (they lie beside a checkout, in ../shared/vectors).
 * What they taught is rewritten in protocol/vectors/ecdsa.json, which is checked everywhere.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { verifyDigest } from '../../src/verify/noble.ts';
import { HALF_ORDER, publicKey, sign, type Tuple } from '../support/curve.ts';
import { KERNELS, KernelProcesses } from '../support/kernel-process.ts';
import { packTuples } from '../support/tuples.ts';

const DIRECTORY = new URL('../../../shared/vectors/wycheproof/', import.meta.url);
/** Every code path of a kernel, with calls of one tuple, some and all. */
const ROADS = [
  { path: 'batch', sizes: [1, 2, 5, 400] },
  { path: 'single', sizes: [400] },
  { path: 'complete', sizes: [400] },
  { path: 'slow', sizes: [400] },
] as const;

interface Group {
  publicKey: { uncompressed: string };
  tests: { tcId: number; comment: string; msg: string; sig: string; result: 'valid' | 'invalid' | 'acceptable' }[];
}
interface Case extends Tuple {
  name: string;
  isExpected: boolean;
  isHighS: boolean;
}

/** 04 ‖ x ‖ y as 02 or 03 ‖ x. */
function compressed(uncompressed: string): Uint8Array {
  const [x, y] = [uncompressed.slice(2, 66), uncompressed.slice(66)];
  const prefix = Number.parseInt(y.slice(-1), 16) % 2 === 0 ? '02' : '03';
  return Uint8Array.from(Buffer.from(prefix + x, 'hex'));
}

/** The cases of a file; where it is absent, says so loudly and skips the test. */
function casesOf(hash: string, context: TestContext): Case[] {
  const url = new URL(`ecdsa_secp256k1_${hash}_p1363_test.json`, DIRECTORY);
  if (!existsSync(url)) {
    const message = `WYCHEPROOF VECTORS ABSENT: ${hash} cases NOT checked (expected ${url.pathname})`;
    console.warn(message);
    context.skip(message);
  }
  const groups: Group[] = JSON.parse(readFileSync(url, 'utf8')).testGroups;
  return groups.flatMap(({ publicKey: { uncompressed }, tests }) =>
    tests.map(({ tcId, comment, msg, sig, result }) => {
      const isHighS = sig.length === 128 && BigInt(`0x${sig.slice(64)}`) > HALF_ORDER;
      return {
        name: `case ${tcId}: ${comment}`,
        key: compressed(uncompressed),
        signature: Uint8Array.from(Buffer.from(sig, 'hex')),
        // SHA-512 is cut to its first 32 bytes, as the ledger and ECDSA both do.
        digest: createHash(hash).update(Buffer.from(msg, 'hex')).digest().subarray(0, 32),
        isExpected: result === 'valid' && !isHighS,
        isHighS: isHighS && result === 'valid',
      };
    }),
  );
}

/** The number of cases, of valid ones with a high s, and of ones that are not 64 bytes long, counted by hand. */
const FILES = [
  { hash: 'sha256', cases: 252, highS: 72, otherLength: 18 },
  { hash: 'sha512', cases: 322, highS: 107, otherLength: 18 },
];

let kernels: KernelProcesses;
beforeAll(async () => {
  kernels = await KernelProcesses.start();
});
afterAll(() => kernels?.stop());

describe.each(FILES)('wycheproof p1363 $hash', ({ hash, ...counted }) => {
  it('noble answers valid and s ≤ n/2, and takes no signature of another length', (context) => {
    const cases = casesOf(hash, context);
    for (const { name, signature, digest, key, isExpected } of cases)
      expect(verifyDigest(signature, digest, key), name).toBe(isExpected);
    expect({
      cases: cases.length,
      highS: cases.filter(({ isHighS }) => isHighS).length,
      otherLength: cases.filter(({ signature }) => signature.length !== 64).length,
    }).toEqual(counted);
  });

  describe.each(ROADS)('$path path', ({ path, sizes }) => {
    it.for(KERNELS)('%s answers valid and s ≤ n/2', async (kernel, context) => {
      const cases = casesOf(hash, context).filter(({ signature }) => signature.length === 64);
      expect(cases.length).toBe(counted.cases - counted.otherLength);
      const { verdicts } = await kernels.get(kernel, context).judge(packTuples(cases), path, sizes);
      const wrong = cases.filter(({ isExpected }, index) => (verdicts[index] === 1) !== isExpected);
      expect(wrong.map(({ name }) => name)).toEqual([]);
    });
  });
});

// A slot has exactly 64 bytes for a signature; only tuples can have signatures of another length.
it.for(KERNELS)('%s refuses tuples of less than 64 bytes a signature', async (kernel, context) => {
  const process = kernels.get(kernel, context);
  const digest = new Uint8Array(32).fill(1);
  const tuple = { digest, signature: sign(digest, 7n), key: publicKey(7n) };
  expect((await process.judge(packTuples([tuple]), 'batch', [1])).verdicts).toEqual(Uint8Array.of(1));
  for (const length of [0, 32, 63]) {
    const short = packTuples([{ ...tuple, signature: tuple.signature.subarray(0, length) }]);
    await expect(process.judge(short, 'batch', [1]), `${length} bytes`).rejects.toThrow(/64/);
  }
});

/**
 * Project Wycheproof's secp256k1 cases, where they are present: the strict answer is `valid and s ≤ n/2`.
 *
 * The files are third-party data and not part of this repository (they lie beside a checkout, in ../shared/vectors).
 * What they taught is rewritten in protocol/vectors/ecdsa.json, which is checked everywhere.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { verifyDigest } from '../../src/verify/noble.ts';

const DIRECTORY = new URL('../../../shared/vectors/wycheproof/', import.meta.url);
const HALF_ORDER = 0x7fffffff_ffffffff_ffffffff_ffffffff_5d576e73_57a4501d_dfe92f46_681b20a0n;

interface Group {
  publicKey: { uncompressed: string };
  tests: { tcId: number; comment: string; msg: string; sig: string; result: 'valid' | 'invalid' | 'acceptable' }[];
}

/** 04 ‖ x ‖ y as 02 or 03 ‖ x. */
function compressed(uncompressed: string): Uint8Array {
  const [x, y] = [uncompressed.slice(2, 66), uncompressed.slice(66)];
  const prefix = Number.parseInt(y.slice(-1), 16) % 2 === 0 ? '02' : '03';
  return Uint8Array.from(Buffer.from(prefix + x, 'hex'));
}

/** Cases, those valid but high-S, and those of another length than 64 bytes: as counted once by hand. */
const FILES = [
  { hash: 'sha256', cases: 252, highS: 72, otherLength: 18 },
  { hash: 'sha512', cases: 322, highS: 107, otherLength: 18 },
];

describe.each(FILES)('wycheproof p1363 $hash', ({ hash, ...counted }) => {
  const url = new URL(`ecdsa_secp256k1_${hash}_p1363_test.json`, DIRECTORY);

  it('the reference verifier answers valid and s ≤ n/2', (context) => {
    if (!existsSync(url)) {
      const message = `WYCHEPROOF VECTORS ABSENT: ${hash} cases NOT checked (expected ${url.pathname})`;
      console.warn(message);
      context.skip(message);
    }
    const groups: Group[] = JSON.parse(readFileSync(url, 'utf8')).testGroups;
    const seen = { cases: 0, highS: 0, otherLength: 0 };
    for (const { publicKey, tests } of groups) {
      const key = compressed(publicKey.uncompressed);
      for (const { tcId, comment, msg, sig, result } of tests) {
        const signature = Uint8Array.from(Buffer.from(sig, 'hex'));
        // SHA-512 is cut to its first 32 bytes, as the ledger and ECDSA both do.
        const digest = createHash(hash).update(Buffer.from(msg, 'hex')).digest().subarray(0, 32);
        const isHighS = signature.length === 64 && BigInt(`0x${sig.slice(64)}`) > HALF_ORDER;
        seen.cases += 1;
        if (isHighS && result === 'valid') seen.highS += 1;
        if (signature.length !== 64) seen.otherLength += 1;
        const expected = result === 'valid' && !isHighS;
        expect(verifyDigest(signature, digest, key), `case ${tcId}: ${comment}`).toBe(expected);
      }
    }
    expect(seen).toEqual(counted);
  });
});

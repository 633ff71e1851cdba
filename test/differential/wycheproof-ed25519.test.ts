/**
 * Project Wycheproof's Ed25519 cases, where they are present: the answer is the file's own `result`.
 *
 * The file is third-party data and not part of this repository (it lies beside a checkout, in ../shared/vectors). What
 * it taught is written anew in unit/ed25519.test.ts and protocol/vectors, which are checked everywhere.
 */
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { KeyCheck } from '../../src/channel/parse.ts';
import { Ed25519Verifier } from '../../src/verify/ed25519.ts';

const FILE = new URL('../../../shared/vectors/wycheproof/ed25519_test.json', import.meta.url);
/** The number of cases, of valid ones, and of ones that are not 64 bytes long, counted by hand. */
const COUNTED = { cases: 151, valid: 88, otherLength: 12 };

interface Group {
  publicKey: { pk: string };
  tests: { tcId: number; comment: string; msg: string; sig: string; result: 'valid' | 'invalid' }[];
}

it('wycheproof Ed25519: the verifier answers as the file does', (context) => {
  if (!existsSync(FILE)) {
    const message = `WYCHEPROOF VECTORS ABSENT: Ed25519 cases NOT checked (expected ${FILE.pathname})`;
    console.warn(message);
    context.skip(message);
  }
  const groups: Group[] = JSON.parse(readFileSync(FILE, 'utf8')).testGroups;
  const verifier = new Ed25519Verifier();
  const keys = new KeyCheck();
  const seen = { cases: 0, valid: 0, otherLength: 0 };
  for (const { publicKey, tests } of groups) {
    const key = keys.check(`ed${publicKey.pk}`, 'publicKey');
    for (const { tcId, comment, msg, sig, result } of tests) {
      const signature = Uint8Array.from(Buffer.from(sig, 'hex'));
      seen.cases += 1;
      if (result === 'valid') seen.valid += 1;
      if (signature.length !== 64) seen.otherLength += 1;
      const message = Uint8Array.from(Buffer.from(msg, 'hex'));
      expect(verifier.verify(message, signature, key), `case ${tcId}: ${comment}`).toBe(result === 'valid');
    }
  }
  expect(seen).toEqual(COUNTED);
});

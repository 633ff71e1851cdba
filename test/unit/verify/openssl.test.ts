/** The verifier over OpenSSL, which takes more signatures than the ledger does. Test's thread. */
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { PROFILE_XRPL } from '../../../protocol/layout.ts';
import { OpensslVerifier } from '../../../src/verify/openssl.ts';

const ORDER = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_fffe_baae_dce6_af48_a03b_bfd2_5e8c_d036_4141n;

test('of the two signatures with s and n − s the one with the higher is refused: the ledger would pay nothing for it', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const isOdd = Buffer.from(y!, 'base64url').at(-1)! & 1;
  const compressed = Buffer.concat([Buffer.of(2 + isOdd), Buffer.from(x!, 'base64url')]);
  const message = Buffer.from('a claim');
  const made = sign('sha512', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const s = BigInt(`0x${made.toString('hex', 32)}`);
  const withS = (value: bigint) =>
    Buffer.from(made.toString('hex', 0, 32) + value.toString(16).padStart(64, '0'), 'hex');
  const [low, high] = s < ORDER - s ? [withS(s), withS(ORDER - s)] : [withS(ORDER - s), withS(s)];
  // OpenSSL itself takes both.
  for (const each of [low, high])
    expect(verify('sha512', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, each)).toBe(true);
  const verifier = new OpensslVerifier();
  expect(verifier.verify(PROFILE_XRPL, message, low, compressed)).toBe(true);
  expect(verifier.verify(PROFILE_XRPL, message, high, compressed)).toBe(false);
});

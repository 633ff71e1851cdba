/**
 * The peers of bench:verify and bench:sign: others that verify and make secp256k1 signatures, given digests, signatures and keys ready to use, so that
 * they are timed without hashing while the verifying kernel is timed with it. Main thread of a process.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { assert } from '../../src/errors.ts';
import { coreSeconds, type SignedClaim } from './claims.ts';

interface Secp256k1 {
  publicKeyCreate(privateKey: Uint8Array, compressed: true): Uint8Array;
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
}
interface TinySecp256k1 {
  sign(digest: Uint8Array, privateKey: Uint8Array): Uint8Array;
  verify(digest: Uint8Array, publicKey: Uint8Array, signature: Uint8Array, strict: true): boolean;
}

const require = createRequire(import.meta.url);
/** The C library. The package's JavaScript fallback would be no fair comparison. */
export const secp256k1 = require('secp256k1/bindings') as Secp256k1;
export const tinySecp256k1 = require('tiny-secp256k1') as TinySecp256k1;

type Verify = (claim: SignedClaim) => boolean;
export const verifyBySecp256k1: Verify = ({ signature, digest, publicKey }) =>
  secp256k1.ecdsaVerify(signature, digest, publicKey);
export const verifyByTinySecp256k1: Verify = ({ signature, digest, publicKey }) =>
  tinySecp256k1.verify(digest, publicKey, signature, true);

/** `secp256k1 5.0.2, tiny-secp256k1 2.2.4`. */
export function peerVersions(): string {
  const names = ['secp256k1', 'tiny-secp256k1'];
  const folder = new URL('../../../node_modules/', import.meta.url);
  const version = (name: string) => JSON.parse(readFileSync(new URL(`${name}/package.json`, folder), 'utf8')).version;
  return names.map((name) => `${name} ${version(name)}`).join(', ');
}

/** Claims per second of processor time, in one pass over `claims`; every verdict is compared. */
export function peerPass(verify: Verify, claims: readonly SignedClaim[]): number {
  let wrong = 0;
  const seconds = coreSeconds(() => {
    for (const claim of claims) if (verify(claim) !== claim.isValid) wrong++;
  });
  assert(wrong === 0, `expected the peer to judge ${claims.length} claims as they are, got ${wrong} otherwise`);
  return claims.length / seconds;
}

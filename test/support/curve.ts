/**
 * secp256k1 for tests: npm `secp256k1` (libsecp256k1) as the oracle and the signer, and scalars as BigInt. Any thread.
 *
 * libsecp256k1 knows nothing of this project's kernel. What we ask beyond it: s at most n/2, and a compressed key.
 */
import { createRequire } from 'node:module';

interface Secp256k1 {
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  publicKeyCreate(privateKey: Uint8Array, compressed?: boolean): Uint8Array;
  publicKeyVerify(publicKey: Uint8Array): boolean;
  publicKeyCombine(keys: Uint8Array[], compressed?: boolean): Uint8Array;
  publicKeyTweakMul(key: Uint8Array, tweak: Uint8Array, compressed?: boolean): Uint8Array;
}
/** CommonJS without types of its own. */
const require = createRequire(import.meta.url);
const secp256k1 = require('secp256k1') as Secp256k1;

export const ORDER = 0xffffffff_ffffffff_ffffffff_fffffffe_baaedce6_af48a03b_bfd25e8c_d0364141n;
export const FIELD = 2n ** 256n - 0x1_000003d1n;
export const HALF_ORDER = ORDER >> 1n;
/** The endomorphism (x, y) -> (beta x, y) is multiplication by this. */
export const LAMBDA = 0x5363ad4c_c05c30e0_a5261c02_8812645a_122e22ea_20816678_df02967c_1b23bd72n;

/** A digest, a signature and a key, whatever they are worth. */
export interface Tuple {
  digest: Uint8Array;
  signature: Uint8Array;
  key: Uint8Array;
}

export function bytes32(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'));
}
export function scalar(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}
export function modulo(value: bigint, modulus = ORDER): bigint {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
}
/** 1/value mod n; `value` is not a multiple of n. */
export function inverse(value: bigint): bigint {
  let [rest, next] = [ORDER, modulo(value)];
  let [factor, nextFactor] = [0n, 1n];
  while (next !== 0n) {
    const quotient = rest / next;
    [rest, next] = [next, rest - quotient * next];
    [factor, nextFactor] = [nextFactor, factor - quotient * nextFactor];
  }
  return modulo(factor);
}

/** r‖s. */
export function signatureOf(r: bigint, s: bigint): Uint8Array {
  return new Uint8Array(Buffer.concat([bytes32(r), bytes32(s)]));
}
export function publicKey(privateKey: bigint): Uint8Array {
  return secp256k1.publicKeyCreate(bytes32(privateKey), true);
}
export function sign(digest: Uint8Array, privateKey: bigint): Uint8Array {
  return secp256k1.ecdsaSign(digest, bytes32(privateKey)).signature;
}

/** What every backend must answer: libsecp256k1's verdict, and s at most n/2. */
export function isValid({ digest, signature, key }: Tuple): boolean {
  if (signature.length !== 64 || key.length !== 33 || scalar(signature.subarray(32)) > HALF_ORDER) return false;
  try {
    return secp256k1.ecdsaVerify(signature, digest, key);
  } catch {
    return false;
  }
}

/** Whether 33 bytes are a point in compressed form. */
export function isKey(key: Uint8Array): boolean {
  return key.length === 33 && (key[0] === 2 || key[0] === 3) && secp256k1.publicKeyVerify(key);
}

/** A valid tuple whose z/s and r/s are u1 and u2 (both negated where that takes s down to n/2); none at infinity. */
export function withScalars(privateKey: bigint, u1: bigint, u2: bigint): Tuple | undefined {
  const nonce = modulo(u1 + u2 * privateKey);
  if (nonce === 0n || modulo(u2) === 0n) return undefined;
  const r = modulo(scalar(publicKey(nonce).subarray(1)));
  return { ...sameScalars(r, u1, u2), key: publicKey(privateKey) };
}
/** Digest and signature with the r given, and z/s = u1, r/s = u2: valid only if r is right. */
export function sameScalars(r: bigint, u1: bigint, u2: bigint): Omit<Tuple, 'key'> {
  const s = modulo(r * inverse(u2));
  const z = modulo(u1 * s);
  return { digest: bytes32(z), signature: signatureOf(r, s > HALF_ORDER ? ORDER - s : s) };
}

/**
 * A valid tuple whose r is this small: the nonce point has x = r + n, which only r < p - n leaves room for. The key's
 * logarithm is nobody's: Q = (R - u1 G)/u2. None where r + n is no x of the curve.
 */
export function withSmallR(r: bigint, u1: bigint, u2: bigint): Tuple | undefined {
  const point = Uint8Array.of(2, ...bytes32(r + ORDER));
  if (r + ORDER >= FIELD || !secp256k1.publicKeyVerify(point)) return undefined;
  const difference = secp256k1.publicKeyCombine([point, publicKey(modulo(-u1))], true);
  return { ...sameScalars(r, u1, u2), key: secp256k1.publicKeyTweakMul(difference, bytes32(inverse(u2)), true) };
}

/**
 * What the vector builders share: deterministic signing with the reference library, DER by hand, hex.
 *
 * Keys here are public test keys: never fund them.
 */
import { createPrivateKey, createPublicKey, sign as nodeSign } from 'node:crypto';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import * as secp from '@noble/secp256k1';

secp.hashes.sha256 = sha256;
secp.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

export const ORDER = secp.Point.CURVE().n;
export const FIELD = secp.Point.CURVE().p;

/** Public test keys, by what they are used for. */
export const TEST_KEYS = {
  payer: 'c1a155e7000000000000000000000000000000000000000000000000000000a1',
  foreign: 'c1a155e7000000000000000000000000000000000000000000000000000000f0',
  edSeed: 'c1a155e7000000000000000000000000000000000000000000000000000000ed',
  edForeign: 'c1a155e70000000000000000000000000000000000000000000000000000edf0',
};

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

export function sha256Hex(bytes: Uint8Array): string {
  return hex(sha256(bytes));
}

/** `value` as 32 big-endian bytes in hex. */
export function hex32(value: bigint): string {
  return value.toString(16).padStart(64, '0');
}

export function modulo(value: bigint, modulus = ORDER): bigint {
  return ((value % modulus) + modulus) % modulus;
}

export function invert(value: bigint): bigint {
  return secp.etc.invert(modulo(value), ORDER);
}

export function publicKeyOf(privateKey: string): string {
  return hex(secp.getPublicKey(unhex(privateKey), true));
}

/** RFC 6979, low-S, compact. */
export function signDigest(digest: Uint8Array, privateKey: string): Uint8Array {
  return secp.sign(digest, unhex(privateKey), { prehash: false, lowS: true });
}

/** The signature with s replaced by n − s: as valid to ECDSA, refused by the ledger. */
export function highSTwin(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${hex(signature.subarray(32))}`);
  return unhex(hex(signature.subarray(0, 32)) + hex32(ORDER - s));
}

/** r‖s as the DER the ledger wants: leading zeros stripped, 00 before a set top bit. */
export function derOf(signature: Uint8Array): string {
  const integers = [signature.subarray(0, 32), signature.subarray(32)].map((bytes) => {
    const digits = BigInt(`0x${hex(bytes)}`).toString(16);
    const even = digits.length % 2 === 0 ? digits : `0${digits}`;
    const signed = even >= '8' ? `00${even}` : even;
    return `02${(signed.length / 2).toString(16).padStart(2, '0')}${signed}`;
  });
  const body = integers.join('');
  return `30${(body.length / 2).toString(16).padStart(2, '0')}${body}`;
}

/** Order of Ed25519's group, RFC 8032. */
const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The Ed25519 signature with S replaced by S + L: the same modulo L, and so refused. */
export function ed25519Twin(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${hex(signature.slice(32).reverse())}`);
  return unhex(hex(signature.subarray(0, 32)) + hex(unhex(hex32(s + ED25519_ORDER)).reverse()));
}

const ED25519_PKCS8_PREFIX = '302e020100300506032b657004220420';

/** An Ed25519 key as the ledger writes it (ED ‖ 32 bytes) and a signature of `message` by it. */
export function signEd25519(message: Uint8Array, seed: string): { publicKey: string; signature: Uint8Array } {
  const key = createPrivateKey({ key: Buffer.from(ED25519_PKCS8_PREFIX + seed, 'hex'), format: 'der', type: 'pkcs8' });
  const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { publicKey: `ed${hex(point)}`, signature: nodeSign(null, message, key) };
}

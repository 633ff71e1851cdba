/**
 * A channel's key as text, and the signer made of it, in Node and in a page alike. No message here ever has a private key.
 */
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { utils } from '@noble/secp256k1';
import { ED25519_KEY_PREFIX } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import { type KeySigner, Secp256k1Signer } from './secp256k1-signer.ts';

/** A key in upper-case hex. */
export interface KeyPair {
  /** 64 digits: secp256k1's scalar, or Ed25519's seed. */
  privateKey: string;
  /** 66 digits, as in a PaymentChannelClaim's PublicKey: a compressed point, or ED and 32 bytes. */
  publicKey: string;
}

/** A new random secp256k1 key. */
export function secp256k1Key(): KeyPair {
  const privateKey = utils.randomSecretKey();
  const pair = keyPair(privateKey, new Secp256k1Signer(privateKey));
  privateKey.fill(0);
  return pair;
}

export function keyPair(privateKey: Uint8Array, signer: KeySigner): KeyPair {
  return { privateKey: upperHex(privateKey), publicKey: upperHex(signer.publicKey) };
}

/** What makes signers of private keys of 32 bytes, which are overwritten afterwards; a page has none of Ed25519. */
interface SignerMakers {
  readonly secp256k1: (privateKey: Uint8Array) => KeySigner;
  readonly ed25519?: (seed: Uint8Array) => KeySigner;
}

const PORTABLE: SignerMakers = { secp256k1: (privateKey) => new Secp256k1Signer(privateKey) };

/** A signer for a key pair. Throws ClaimwireError KEY_FILE_INVALID where a half is no key, or they do not match. */
export function pairSigner(key: KeyPair, { secp256k1, ed25519 }: SignerMakers = PORTABLE): KeySigner {
  const publicKey = checkedDigits(key.publicKey, 'publicKey', 66);
  const isEd25519 = Number.parseInt(publicKey.slice(0, 2), 16) === ED25519_KEY_PREFIX;
  if (isEd25519 && ed25519 === undefined)
    throw keyError('publicKey: expected secp256k1 (02 or 03 first), got Ed25519; give a Signer of your own for it');
  const privateKey = hexToBytes(checkedDigits(key.privateKey, 'privateKey', 64));
  if (!isEd25519 && !utils.isValidSecretKey(privateKey))
    throw keyError('privateKey: expected 1..n-1 of secp256k1, got another number');
  const signer = isEd25519 ? ed25519!(privateKey) : secp256k1(privateKey);
  privateKey.fill(0);
  const derived = upperHex(signer.publicKey);
  if (derived !== publicKey) throw keyError(`publicKey: expected ${derived} (the private key's), got ${publicKey}`);
  return signer;
}

function checkedDigits(value: unknown, name: string, length: number): string {
  if (typeof value === 'string' && value.length === length && /^[0-9A-F]+$/.test(value)) return value;
  const got = typeof value === 'string' ? `${value.length} characters` : typeof value;
  throw keyError(`${name}: expected ${length} hex digits (upper case), got ${got}`);
}

export function upperHex(bytes: Uint8Array): string {
  return bytesToHex(bytes).toUpperCase();
}

export function keyError(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('KEY_FILE_INVALID', `key: ${message}`, {}, { cause });
}

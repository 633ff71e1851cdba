/**
 * Key files: `{"privateKey": HEX64, "publicKey": HEX66}`, of mode 0600 and never overwritten. The public key's first byte
 * tells its type: 02 or 03 is secp256k1, ED is Ed25519. Cold path, synchronous. No message here ever has a private key.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { utils } from '@noble/secp256k1';
import { ED25519_KEY_PREFIX } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import { FileFault, readSmallFile, type SmallFile } from '../../system/regular-file.ts';
import { Ed25519Signer, Secp256k1Signer, type Signer } from './signer.ts';

export const KEY_TYPES = ['secp256k1', 'ed25519'] as const;
/** Which curve a key is of. */
export type KeyType = (typeof KEY_TYPES)[number];

/** A key in upper-case hex. */
export interface KeyPair {
  /** 64 digits: secp256k1's scalar, or Ed25519's seed. */
  privateKey: string;
  /** 66 digits, as in a PaymentChannelClaim's PublicKey: a compressed point, or ED and 32 bytes. */
  publicKey: string;
}

const KEY_FILE_BYTES_MAX = 4096;
const OTHERS_MODE_BITS = 0o077;

/** A new random key. */
export function generateKey(type: KeyType = 'secp256k1'): KeyPair {
  const isEd25519 = type === 'ed25519';
  const privateKey = isEd25519 ? randomBytes(32) : utils.randomSecretKey();
  const signer = isEd25519 ? new Ed25519Signer(privateKey) : new Secp256k1Signer(privateKey);
  return { privateKey: hex(privateKey), publicKey: hex(signer.publicKey) };
}

/** A signer for a key pair. Throws ClaimwireError KEY_FILE_INVALID where a half is no key, or they do not match. */
export function keySigner(key: KeyPair): Signer {
  const publicKey = checkedDigits(key.publicKey, 'publicKey', 66);
  const isEd25519 = Number.parseInt(publicKey.slice(0, 2), 16) === ED25519_KEY_PREFIX;
  const privateKey = Buffer.from(checkedDigits(key.privateKey, 'privateKey', 64), 'hex');
  if (!isEd25519 && !utils.isValidSecretKey(privateKey))
    throw keyError('privateKey: expected 1..n-1 of secp256k1, got another number');
  const signer = isEd25519 ? new Ed25519Signer(privateKey) : new Secp256k1Signer(privateKey);
  const derived = hex(signer.publicKey);
  if (derived !== publicKey) throw keyError(`publicKey: expected ${derived} (the private key's), got ${publicKey}`);
  return signer;
}

/** Reads a key file. Throws ClaimwireError KEY_FILE_INVALID where that fails, or others than its owner may access it. */
export function loadKeyFile(path: string): KeyPair {
  let file: SmallFile;
  try {
    file = readSmallFile(path, KEY_FILE_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    const remedy = 'make one with claimwire keygen --out FILE';
    throw keyError(`expected a readable file, got ${error.reason} for ${path}, ${remedy}`, error);
  }
  const { bytes, mode } = file;
  if ((mode & OTHERS_MODE_BITS) !== 0)
    throw keyError(`expected mode 0600, got 0${mode.toString(8)}, do chmod 600 ${path}`);
  let key: unknown;
  try {
    key = JSON.parse(bytes.toString());
  } catch {
    throw keyError(`expected JSON {"privateKey", "publicKey"}, got something else in ${path}`);
  }
  const { privateKey, publicKey } = (key ?? {}) as Partial<KeyPair>;
  const pair = { privateKey: upper(privateKey), publicKey: upper(publicKey) };
  keySigner(pair);
  return pair;
}

/** Writes a new key file of mode 0600, synced. Throws ClaimwireError KEY_FILE_INVALID where `path` exists. */
export function writeKeyFile(path: string, key: KeyPair): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'wx', 0o600);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw keyError(`expected a path where a new file can be made, got ${reason} for ${path}, choose another`, error);
  }
  try {
    fchmodSync(descriptor, 0o600);
    writeFileSync(descriptor, `${JSON.stringify(key)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function checkedDigits(value: unknown, name: string, length: number): string {
  if (typeof value === 'string' && value.length === length && /^[0-9A-F]+$/.test(value)) return value;
  const got = typeof value === 'string' ? `${value.length} characters` : typeof value;
  throw keyError(`${name}: expected ${length} hex digits (upper case), got ${got}`);
}

/** Hex is read in either case. Anything else is refused by the check that follows. */
function upper(value: unknown): string {
  return typeof value === 'string' ? value.toUpperCase() : (value as string);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

function keyError(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('KEY_FILE_INVALID', `key: ${message}`, {}, { cause });
}

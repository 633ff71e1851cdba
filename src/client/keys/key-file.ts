/**
 * Key files: `{"privateKey": HEX64, "publicKey": HEX66}`, of mode 0600 and never overwritten. The public key's first byte
 * tells its type: 02 or 03 is secp256k1, ED is Ed25519. Cold path, synchronous. No message here ever has a private key.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import { FileFault, readSmallFile, type SmallFile } from '../../system/regular-file.ts';
import { type KeyPair, keyError, keyPair, pairSigner, secp256k1Key } from './key-pair.ts';
import type { KeySigner } from './secp256k1-signer.ts';
import { Ed25519Signer, Secp256k1Signer } from './signer.ts';

export type { KeyPair } from './key-pair.ts';
export const KEY_TYPES = ['secp256k1', 'ed25519'] as const;
/** Which curve a key is of. */
export type KeyType = (typeof KEY_TYPES)[number];

const KEY_FILE_BYTES_MAX = 4096;
const OTHERS_MODE_BITS = 0o077;

/** A new random key. */
export function generateKey(type: KeyType = 'secp256k1'): KeyPair {
  if (type === 'secp256k1') return secp256k1Key();
  const seed = randomBytes(32);
  const pair = keyPair(seed, new Ed25519Signer(seed));
  seed.fill(0);
  return pair;
}

/** A signer for a key pair. Throws ClaimwireError KEY_FILE_INVALID where a half is no key, or they do not match. */
export function keySigner(key: KeyPair): KeySigner {
  return pairSigner(key, {
    secp256k1: (privateKey) => new Secp256k1Signer(privateKey),
    ed25519: (seed) => new Ed25519Signer(seed),
  });
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

/** Hex is read in either case. Anything else is refused by the check that follows. */
function upper(value: unknown): string {
  return typeof value === 'string' ? value.toUpperCase() : (value as string);
}

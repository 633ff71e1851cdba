/**
 * The payee's, or payer's, wallet: it signs transactions with the key in a file, or by a command of the operator (an HSM, a
 * machine of its own). Main thread. No message here ever has a secret.
 *
 * A wallet file has mode 0600 and one line, apart from empty ones and those that begin with #: a family seed (s…, or sEd…
 * for Ed25519), 64 hex digits (a private key of secp256k1), or ED and 64 hex digits (one of Ed25519).
 */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { getPublicKey, utils } from '@noble/secp256k1';
import { upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import { FileFault, readSmallFile, type SmallFile } from '../system/regular-file.ts';
import { checkSigned } from './signed-transaction.ts';
import type { Wallet } from './signing.ts';
import type { XrplLibrary } from './xrpl-library.ts';

const WALLET_FILE_BYTES_MAX = 4_096;
const OTHERS_MODE_BITS = 0o077;
const FORMS = 'a family seed (s…), 64 hex digits, or ED and 64 hex digits';
/** An Ed25519 private key as PKCS #8, before its 32 bytes. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export function walletError(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('WALLET_INVALID', `wallet: ${message}`, {}, { cause });
}

/** A wallet with the key in a file. Throws WALLET_INVALID where others may read it, or it holds no key. */
export function fileWallet(path: string, xrpl: XrplLibrary): Wallet {
  const wallet = walletOf(secretOf(readWallet(path), path), xrpl);
  if (wallet === undefined) throw walletError(`expected ${FORMS}, got something else in ${path}`);
  const { address } = wallet;
  return {
    address,
    sign: async (transaction) => {
      if (transaction.Account !== address)
        throw walletError(`expected a transaction of its own account ${address}, got one of ${transaction.Account}`);
      const { tx_blob: blob, hash } = wallet.sign(transaction as never);
      return checkSigned(transaction, { blob, hash }, xrpl);
    },
  };
}

function readWallet(path: string): SmallFile {
  let file: SmallFile;
  try {
    file = readSmallFile(path, WALLET_FILE_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    throw walletError(`expected a readable file, got ${error.reason} for ${path}`);
  }
  if (process.platform !== 'win32' && (file.mode & OTHERS_MODE_BITS) !== 0)
    throw walletError(`expected mode 0600, got 0${file.mode.toString(8)}; others may have read it, chmod 600 ${path}`);
  return file;
}

function secretOf({ bytes }: SmallFile, path: string): string {
  const lines = bytes.toString('latin1').split(/\r?\n/);
  const said = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  if (said.length !== 1) throw walletError(`expected one line with ${FORMS}, got ${said.length} lines in ${path}`);
  return said[0]!;
}

/** The wallet of a secret, or undefined. The causes of errors are left out, since they may quote the secret. */
function walletOf(secret: string, { Wallet }: XrplLibrary): InstanceType<XrplLibrary['Wallet']> | undefined {
  try {
    if (/^[0-9a-f]{64}$/i.test(secret)) {
      const key = Buffer.from(secret, 'hex');
      if (!utils.isValidSecretKey(key)) return undefined;
      return new Wallet(upperHex(getPublicKey(key, true)), `00${secret.toUpperCase()}`);
    }
    if (/^ED[0-9a-f]{64}$/i.test(secret)) {
      const key = Buffer.concat([ED25519_PKCS8, Buffer.from(secret.slice(2), 'hex')]);
      const { x } = createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
      return new Wallet(`ED${upperHex(Buffer.from(x!, 'base64url'))}`, secret.toUpperCase());
    }
    // A seed says itself which kind of key it makes; xrpl.js would make Ed25519 keys of all.
    const algorithm = secret.startsWith('sEd') ? 'ed25519' : 'ecdsa-secp256k1';
    return Wallet.fromSeed(secret, { algorithm: algorithm as never });
  } catch {
    return undefined;
  }
}

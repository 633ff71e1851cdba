/**
 * The kernel's batch signer (src/kernel/sign.h) as the addon binds it: constant-time ECDSA over secp256k1 with the nonces of
 * RFC 6979, so its bytes are noble's, and every signature is verified before it leaves. The thread that opened a signer uses it.
 *
 * The key lies in C alone, in memory that is not swapped where the system allows that. It is overwritten when the signer is
 * closed, or else when it is collected or its thread ends.
 */
import { randomFillSync } from 'node:crypto';
import { freemem } from 'node:os';
import { ClaimwireError } from '../errors.ts';
import { loadAddon } from './addon.ts';

/** The most claims or digests of one call. */
export const NATIVE_BATCH_MAX = 256;
const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PUBLIC_KEY_BYTES = 33;
/**
 * The kernel is started once a process, with room for a node's key tables, since a node may be opened in this process later. Room
 * that is not used is only address space. As a node's default (src/config.ts).
 */
const CACHE_BYTES_MAX = 2 ** 30;

/** What src/native/sign_node.c exports. */
interface SigningAddon {
  start(cacheBytes: number): void;
  kernelName(): string;
  signerOpen(privateKey: Uint8Array, blind: Uint8Array): object | undefined;
  signerClose(signer: object): void;
  signerPublic(signer: object, key: Uint8Array): void;
  signerNote(signer: object): string;
  signDigests(signer: object, digests: Uint8Array, signatures: Uint8Array): boolean;
  signClaims(
    signer: object,
    claims: Uint8Array,
    ledgerChannelIds: Uint8Array,
    areLink: Uint8Array,
    count: number,
  ): boolean;
}

/** Why the addon cannot sign here, or undefined where it can. It is not started for the question. */
export function nativeSigningFault(): string | undefined {
  try {
    const { signerOpen } = loadAddon<Partial<SigningAddon>>();
    return signerOpen === undefined
      ? 'expected an addon that signs, got an older build; make native builds it'
      : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export class NativeSigner {
  readonly publicKey = new Uint8Array(PUBLIC_KEY_BYTES);
  /** The instruction set that signs: avx512ifma, avx512f, avx2, neon or scalar. */
  readonly kernelName: string;
  /** Empty, or what the system refused to do for the key's memory. */
  readonly note: string;
  readonly #addon: SigningAddon;
  readonly #signer: object;

  /**
   * Starts the kernel where nothing has yet, which takes some 20 ms.
   * @param privateKey 32 bytes, 1..n-1; copied. Throws ClaimwireError INPUT_INVALID on any other, BACKEND_UNAVAILABLE without
   *   an addon that signs, or where the kernel does not start
   * @param addon another one, for tests
   */
  constructor(privateKey: Uint8Array, addon = signingAddon()) {
    if (privateKey.length !== DIGEST_BYTES) throw keyError(`${privateKey.length} bytes`);
    try {
      addon.start(Math.min(CACHE_BYTES_MAX, Math.floor(freemem() / 4)));
    } catch (cause) {
      throw new ClaimwireError('BACKEND_UNAVAILABLE', `native signer: ${(cause as Error).message}`, {}, { cause });
    }
    const blind = randomFillSync(new Uint8Array(DIGEST_BYTES));
    const signer = addon.signerOpen(privateKey, blind);
    blind.fill(0);
    if (signer === undefined) throw keyError('another number, or no memory');
    this.#addon = addon;
    this.#signer = signer;
    addon.signerPublic(signer, this.publicKey);
    this.kernelName = addon.kernelName();
    this.note = addon.signerNote(signer);
  }

  /** The 64 bytes r‖s, s ≤ n/2, of each of at most NATIVE_BATCH_MAX digests of 32 bytes. Throws ClaimwireError SIGNER_FAILED. */
  signDigests(digests: Uint8Array): Uint8Array {
    const count = digests.length / DIGEST_BYTES;
    if (!Number.isInteger(count) || count > NATIVE_BATCH_MAX)
      throw new RangeError(
        `digests: expected at most ${NATIVE_BATCH_MAX} of ${DIGEST_BYTES} bytes, got ${digests.length} bytes`,
      );
    const signatures = new Uint8Array(count * SIGNATURE_BYTES);
    if (!this.#addon.signDigests(this.#signer, digests, signatures)) throw signingError();
    return signatures;
  }

  /** See Signer.signBatch. Throws ClaimwireError SIGNER_FAILED: then none of the claims has changed. */
  signClaims(claims: Uint8Array, ledgerChannelIds: Uint8Array, areLink: Uint8Array, count: number): void {
    if (!this.#addon.signClaims(this.#signer, claims, ledgerChannelIds, areLink, count)) throw signingError();
  }

  /** Overwrites the key. The signer is of no use from now on. */
  close(): void {
    this.#addon.signerClose(this.#signer);
  }
}

function signingAddon(): SigningAddon {
  const fault = nativeSigningFault();
  if (fault !== undefined) throw new ClaimwireError('BACKEND_UNAVAILABLE', `native signer: ${fault}`);
  return loadAddon<SigningAddon>();
}

function keyError(got: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `private key: expected 32 bytes in 1..n-1 of secp256k1, got ${got}`);
}

function signingError(): ClaimwireError {
  const message =
    'signer: expected signatures that verify, got one that does not, so none was given out: ' +
    'this machine computes wrongly; test its memory and its processor';
  return new ClaimwireError('SIGNER_FAILED', message);
}

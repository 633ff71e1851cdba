/**
 * The kernel's batch signer as WebAssembly, for machines without the addon. It promises NO constant time: an engine compiles
 * the code as it likes, so whoever can measure how long signing takes might learn something of the key. No payer takes it by
 * itself.
 *
 * Each signer has a memory of its own of some 25 MiB, since a table of the generator lies there. One thread uses it.
 */
import { randomFillSync } from 'node:crypto';
import { ClaimwireError } from '../errors.ts';
import { WASM_PAGE_BYTES, type WasmExports, wasmInstance, wasmKernelBytes } from './wasm.ts';

const DIGEST_BYTES = 32;
const SIGNATURE_BYTES = 64;
const PUBLIC_KEY_BYTES = 33;
/** Nothing is verified but its own signatures, so its cache of key tables is as small as can be. */
const KERNEL = { cacheBytes: 1, threads: 1 };

export class WasmSigner {
  /** Compressed, 33 bytes. */
  publicKey = new Uint8Array();
  readonly #exports: WasmExports;
  readonly #memory: WebAssembly.Memory;
  readonly #context: number;
  /** 0 while it has no key. */
  #signer = 0;

  /** @param privateKey as `open` takes it. Throws ClaimwireError BACKEND_UNAVAILABLE too. */
  constructor(privateKey: Uint8Array) {
    const kernelBytes = wasmKernelBytes(KERNEL, 0, 1);
    const pages = kernelBytes / WASM_PAGE_BYTES;
    this.#memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#exports = wasmInstance(this.#memory, 0);
    this.#bytes(this.#exports.seed_at(), DIGEST_BYTES).set(randomFillSync(new Uint8Array(DIGEST_BYTES)));
    const isStarted = this.#exports.start(kernelBytes, KERNEL.threads, KERNEL.cacheBytes) === 0;
    this.#context = isStarted ? this.#exports.context_new() : 0;
    if (this.#context === 0) throw new ClaimwireError('BACKEND_UNAVAILABLE', 'wasm signer: expected room, got none');
    this.open(privateKey);
  }

  /**
   * Takes another key in the place of its key, which is overwritten.
   * @param privateKey 32 bytes, 1..n-1; copied. Throws ClaimwireError INPUT_INVALID on any other, and has no key then.
   */
  open(privateKey: Uint8Array): void {
    this.close();
    if (privateKey.length !== DIGEST_BYTES) throw keyError(`${privateKey.length} bytes`);
    const inbox = this.#exports.digests_at(this.#context);
    this.#bytes(inbox, DIGEST_BYTES).set(privateKey);
    this.#bytes(inbox + DIGEST_BYTES, DIGEST_BYTES).set(randomFillSync(new Uint8Array(DIGEST_BYTES)));
    this.#signer = this.#exports.signer_open(this.#context);
    if (this.#signer === 0) throw keyError('another number');
    this.#exports.signer_public(this.#context, this.#signer);
    this.publicKey = this.#bytes(this.#exports.keys_at(this.#context), PUBLIC_KEY_BYTES).slice();
  }

  /** The 64 bytes r‖s, s ≤ n/2, of each of at most 256 digests of 32 bytes. Throws ClaimwireError SIGNER_FAILED. */
  signDigests(digests: Uint8Array): Uint8Array {
    const count = digests.length / DIGEST_BYTES;
    if (this.#signer === 0 || !Number.isInteger(count) || count > this.#exports.inbox())
      throw new RangeError(`digests: expected an open signer and at most 256 of 32 bytes, got ${digests.length} bytes`);
    this.#bytes(this.#exports.digests_at(this.#context), digests.length).set(digests);
    if (this.#exports.sign_digests(this.#context, this.#signer, count) !== 1)
      throw new ClaimwireError('SIGNER_FAILED', 'signer: expected signatures that verify, got one that does not');
    return this.#bytes(this.#exports.signatures_at(this.#context), count * SIGNATURE_BYTES).slice();
  }

  /** Overwrites the key. The signer is of no use from now on, unless it opens another. */
  close(): void {
    if (this.#signer !== 0) this.#exports.signer_close(this.#signer);
    this.#signer = 0;
  }

  #bytes(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, at >>> 0, length);
  }
}

function keyError(got: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `private key: expected 32 bytes in 1..n-1 of secp256k1, got ${got}`);
}

/**
 * The throw-away keys of a run and the signing with them, for load and for nothing else. Signing takes variable time and
 * uses known nonces again, so it gives away the private key. Hence all keys come from the run's seed, and no other can be
 * given.
 *
 * Each claim still has a different, valid ECDSA signature, and costs the node a full verification. The same C signs as
 * the addon or, without one, as WebAssembly. Signing runs on the generator thread, the rest on any.
 */
import { Secp256k1Signer } from '../client/keys/signer.ts';
import { assert } from '../errors.ts';
import { loadAddon } from '../native/addon.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { NativeKernel } from '../verify/native.ts';
import { WasmKernel, wasmKernelBytes } from '../verify/wasm.ts';
import { BATCH_CLAIMS_MAX } from './batch.ts';
import { seededBytes } from './random.ts';

/** The kernel signs here and never verifies, so its cache of key tables is as small as can be. */
const KERNEL = { cacheBytes: 1, threads: 1 };
/** A wasm kernel signs some 100 claims a millisecond. */
const WASM_BATCH_MAX = 64;

/** What the kernel exports for signing, native or wasm. Key row i of the arena signs with private key and nonce i. */
interface ThrowawayKernel {
  throwawaySigner(privateKeys: Uint8Array, nonces: Uint8Array): void;
  /** Returns how many claims were signed. */
  throwawaySignSlots(first: number, count: number): number;
}

/** What the addon exports as well (src/native/addon.c). */
interface ThrowawayAddon extends ThrowawayKernel {
  throwawayKey(privateKey: Uint8Array): Uint8Array;
}

/** The arena and the ring whose slots hold the claims, as LoadChannels has them. */
interface Slots {
  arena: Arena;
  ring: ClaimRing;
}

export interface LoadSigner {
  readonly name: 'native' | 'wasm';
  /** How many claims to sign at once, so that a turn takes about a millisecond at most. */
  readonly batchMax: number;
  /** Signs the claims in slots 0..count-1 of the ring; all other fields are set, the channel as SLOT_ROW. */
  sign(count: number): void;
}

export class KernelSigner implements LoadSigner {
  readonly name: 'native' | 'wasm';
  readonly batchMax: number;
  readonly #kernel: ThrowawayKernel;

  constructor(seed: number, keys: number, channels: Slots) {
    const addon = throwawayAddon();
    this.name = addon === undefined ? 'wasm' : 'native';
    this.batchMax = addon === undefined ? WASM_BATCH_MAX : BATCH_CLAIMS_MAX;
    const wasm = addon ? undefined : new WasmKernel(channels.arena, { ...KERNEL, thread: 0 });
    if (wasm === undefined) attachAddon(channels);
    else wasm.attach(channels.arena, channels.ring);
    this.#kernel = (addon ?? wasm)!;
    const all = (name: string) =>
      new Uint8Array(Buffer.concat(Array.from({ length: keys }, (_, key) => seededBytes(seed, `${name} ${key}`))));
    this.#kernel.throwawaySigner(all('key'), all('nonce'));
  }

  sign(count: number): void {
    assert(this.#kernel.throwawaySignSlots(0, count) === count, 'every slot has a channel, and every channel a key');
  }
}

/** Makes the ring of `channels` the one that this thread's addon signs in and gathers from. */
export function attachAddon(channels: Slots): void {
  new NativeKernel(KERNEL.cacheBytes).attach(channels.arena, channels.ring);
}

export function throwawayPublicKey(seed: number, key: number): Uint8Array {
  const privateKey = seededBytes(seed, `key ${key}`);
  return throwawayAddon()?.throwawayKey(privateKey) ?? new Secp256k1Signer(privateKey).publicKey;
}

/** Bytes that the signer of so many keys needs at the start of the channels' arena: none where the addon signs. */
export function signerBytes(keys: number): number {
  return throwawayAddon() === undefined ? wasmKernelBytes(KERNEL, keys) : 0;
}

function throwawayAddon(): ThrowawayAddon | undefined {
  try {
    return loadAddon<ThrowawayAddon>();
  } catch {
    return undefined;
  }
}

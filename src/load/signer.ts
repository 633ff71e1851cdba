/**
 * Signing for load, and for nothing else: variable-time, nonces known and used again, so the private key of anybody who
 * signed with it would be public. Hence the keys come from the run's seed alone, and no other can be given.
 *
 * Each claim still is a full, different, valid ECDSA signature, and costs the node a full verification. The same C signs
 * as the addon or, without one, as WebAssembly. Generator thread.
 */

import { assert } from '../errors.ts';
import { kernelLayout } from '../verify/kernel.ts';
import { NativeKernel } from '../verify/native.ts';
import { WasmKernel } from '../verify/wasm.ts';
import { BATCH_CLAIMS_MAX } from './batch.ts';
import type { LoadChannels } from './channels.ts';
import { seededBytes } from './random.ts';
import { SIGNER_KERNEL, type ThrowawayKernel, throwawayAddon } from './throwaway-keys.ts';

/** A wasm kernel signs some 100 claims a millisecond: what keeps a turn within about one. */
const WASM_BATCH_MAX = 64;

export interface LoadSigner {
  readonly name: 'native' | 'wasm';
  /** Claims worth signing at once: what keeps a turn within about a millisecond. */
  readonly batchMax: number;
  /** Signs the claims in slots 0..count-1 of the ring, all other fields being set, the channel as SLOT_ROW. */
  sign(count: number): void;
}

export class KernelSigner implements LoadSigner {
  readonly name: 'native' | 'wasm';
  readonly batchMax: number;
  readonly #kernel: ThrowawayKernel;

  constructor(seed: number, keys: number, channels: LoadChannels) {
    const addon = throwawayAddon();
    this.name = addon === undefined ? 'wasm' : 'native';
    this.batchMax = addon === undefined ? WASM_BATCH_MAX : BATCH_CLAIMS_MAX;
    this.#kernel = addon ?? attachWasm(channels);
    if (addon !== undefined) attachAddon(channels);
    const all = (name: string) =>
      new Uint8Array(Buffer.concat(Array.from({ length: keys }, (_, key) => seededBytes(seed, `${name} ${key}`))));
    this.#kernel.throwawaySigner(all('key'), all('nonce'));
  }

  sign(count: number): void {
    assert(this.#kernel.throwawaySignSlots(0, count) === count, 'every slot has a channel, and every channel a key');
  }
}

/** Makes the ring of `channels` the one that this thread's addon signs in and gathers from. */
export function attachAddon(channels: LoadChannels): void {
  new NativeKernel(SIGNER_KERNEL.cacheBytes).attach(channels.arena, kernelLayout(channels.arena, channels.ring));
}

function attachWasm({ arena, ring }: LoadChannels): WasmKernel {
  const kernel = new WasmKernel(arena, { ...SIGNER_KERNEL, thread: 0 });
  kernel.attach(arena, kernelLayout(arena, ring));
  return kernel;
}

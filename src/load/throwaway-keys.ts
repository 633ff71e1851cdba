/**
 * The public keys of a run's throw-away channels: from its seed alone, so that no other key can be given. Any thread.
 */
import { Secp256k1Signer } from '../client/keys/signer.ts';
import { loadAddon } from '../native/addon.ts';
import { wasmKernelBytes } from '../verify/wasm.ts';
import { seededBytes } from './random.ts';

/** The kernel is asked to sign, never to verify: the smallest cache of key tables there is, in the generator thread. */
export const SIGNER_KERNEL = { cacheBytes: 1, threads: 1 };

/** What the kernel does for this, native or wasm. Key row i of the arena signs with private key and nonce i. */
export interface ThrowawayKernel {
  throwawaySigner(privateKeys: Uint8Array, nonces: Uint8Array): void;
  /** How many were signed. */
  throwawaySignSlots(first: number, count: number): number;
}

/** What the addon exports for this (src/native/addon.c). */
export interface ThrowawayAddon extends ThrowawayKernel {
  throwawayKey(privateKey: Uint8Array): Uint8Array;
}

export function throwawayPublicKey(seed: number, key: number): Uint8Array {
  const addon = throwawayAddon();
  const privateKey = seededBytes(seed, `key ${key}`);
  return addon === undefined ? new Secp256k1Signer(privateKey).publicKey : addon.throwawayKey(privateKey);
}

/** Bytes that the signer of so many keys needs at the start of the channels' arena: none where the addon signs. */
export function signerBytes(keys: number): number {
  return throwawayAddon() === undefined ? wasmKernelBytes(SIGNER_KERNEL, keys) : 0;
}

/** Undefined where there is no addon. */
export function throwawayAddon(): ThrowawayAddon | undefined {
  try {
    return loadAddon<ThrowawayAddon>();
  } catch {
    return undefined;
  }
}

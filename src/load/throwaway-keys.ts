/**
 * The public keys of a run's throw-away channels: from its seed alone, so that no other key can be given. Any thread.
 */
import { Secp256k1Signer } from '../client/keys/signer.ts';
import { loadAddon } from '../native/addon.ts';
import { seededBytes } from './random.ts';

/** What the addon exports for this (src/native/addon.c). Key row i of the arena signs with private key and nonce i. */
export interface ThrowawayAddon {
  throwawaySigner(privateKeys: Uint8Array, nonces: Uint8Array): void;
  /** How many were signed. */
  throwawaySignSlots(first: number, count: number): number;
  throwawayKey(privateKey: Uint8Array): Uint8Array;
}

export function throwawayPublicKey(seed: number, key: number): Uint8Array {
  const addon = throwawayAddon();
  const privateKey = seededBytes(seed, `key ${key}`);
  return addon === undefined ? new Secp256k1Signer(privateKey).publicKey : addon.throwawayKey(privateKey);
}

/** Undefined where there is no addon. */
export function throwawayAddon(): ThrowawayAddon | undefined {
  try {
    return loadAddon<ThrowawayAddon>();
  } catch {
    return undefined;
  }
}

/**
 * Signing for load, and for nothing else: variable-time, nonces known and used again, so the private key of anybody who
 * signed with it would be public. Hence the keys come from the run's seed alone, and no other can be given.
 *
 * Each claim still is a full, different, valid ECDSA signature, and costs the node a full verification. Without the
 * addon the payer's own signer (noble) stands in, which signs some thousands a second. Generator thread.
 */

import { Secp256k1Signer } from '../client/keys/signer.ts';
import { assert } from '../errors.ts';
import { SLOT_ROW } from '../ring/slot.ts';
import { NativeKernel } from '../verify/native.ts';
import { BATCH_CLAIMS_MAX } from './batch.ts';
import type { LoadChannels } from './channels.ts';
import { seededBytes } from './random.ts';
import { type ThrowawayAddon, throwawayAddon } from './throwaway-keys.ts';

export interface LoadSigner {
  readonly name: 'native' | 'noble';
  /** Claims worth signing at once: what keeps a turn within about a millisecond. */
  readonly batchMax: number;
  /** Signs the claims in slots 0..count-1 of the ring, all other fields being set, the channel as SLOT_ROW. */
  sign(count: number): void;
}

/** The kernel is asked to sign, never to verify: the smallest cache of key tables there is. */
const CACHE_BYTES = 1;

export function createSigner(seed: number, keys: number, channels: LoadChannels): LoadSigner {
  const addon = throwawayAddon();
  return addon === undefined ? new NobleSigner(seed, keys, channels) : new NativeSigner(seed, keys, channels, addon);
}

/** Makes the ring of `channels` the one that this thread's addon signs in and gathers from. */
export function attachAddon(channels: LoadChannels): void {
  new NativeKernel(CACHE_BYTES).attach(channels.arena, channels.ring);
}

class NativeSigner implements LoadSigner {
  readonly name = 'native';
  readonly batchMax = BATCH_CLAIMS_MAX;
  readonly #addon: ThrowawayAddon;

  constructor(seed: number, keys: number, channels: LoadChannels, addon: ThrowawayAddon) {
    this.#addon = addon;
    attachAddon(channels);
    const all = (name: string) =>
      new Uint8Array(Buffer.concat(Array.from({ length: keys }, (_, key) => seededBytes(seed, `${name} ${key}`))));
    addon.throwawaySigner(all('key'), all('nonce'));
  }

  sign(count: number): void {
    assert(this.#addon.throwawaySignSlots(0, count) === count, 'every slot has a channel, and every channel a key');
  }
}

class NobleSigner implements LoadSigner {
  readonly name = 'noble';
  readonly batchMax = 4;
  readonly #signers: Secp256k1Signer[];
  readonly #channels: LoadChannels;

  constructor(seed: number, keys: number, channels: LoadChannels) {
    this.#channels = channels;
    this.#signers = Array.from({ length: keys }, (_, key) => new Secp256k1Signer(seededBytes(seed, `key ${key}`)));
  }

  sign(count: number): void {
    const { ring, arena, table } = this.#channels;
    for (let index = 0; index < count; index++) {
      const slot = ring.slot(index);
      const channel = arena.words[(slot + SLOT_ROW) >>> 2]!;
      this.#signers[channel % this.#signers.length]!.signClaim(arena.bytes, slot, table.ledgerId(channel), 'xrpl');
    }
  }
}

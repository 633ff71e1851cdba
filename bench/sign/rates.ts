/**
 * Signatures a second of each signer, and of its peer in turns with it, for bench:sign. Rates are per second of processor time.
 * Main thread of a process: the bench's own, or one of a kernel that is not this CPU's best (process.ts).
 */
import { createHash } from 'node:crypto';
import { assert } from '../../src/errors.ts';
import { coreSeconds, median, seeded } from '../verify/claims.ts';
import { secp256k1, tinySecp256k1 } from '../verify/peers.ts';

/** What a signer of digests is to the bench: 64 bytes for each of `digests`. */
export type SignDigests = (digests: Uint8Array) => Uint8Array;

export const BATCH = 256;
const ROUNDS = 7;
const PEER_DIGESTS = 512;
export const PRIVATE_KEY = seeded('bench:sign key');

/** Digests that no other pass has. */
let made = 0;
export function newDigests(count: number): Uint8Array {
  const digests = new Uint8Array(32 * count);
  for (let index = 0; index < count; index++)
    digests.set(createHash('sha256').update(`bench:sign ${made++}`).digest(), 32 * index);
  return digests;
}

export const bySecp256k1: SignDigests = (digests) =>
  eachDigest(digests, (digest) => secp256k1.ecdsaSign(digest, PRIVATE_KEY).signature);
export const byTinySecp256k1: SignDigests = (digests) =>
  eachDigest(digests, (digest) => tinySecp256k1.sign(digest, PRIVATE_KEY));

export function eachDigest(digests: Uint8Array, sign: (digest: Uint8Array) => Uint8Array): Uint8Array {
  const signatures = new Uint8Array(2 * digests.length);
  for (let at = 0; at < digests.length; at += 32) signatures.set(sign(digests.subarray(at, at + 32)), 2 * at);
  return signatures;
}

/** Signatures a second of processor time over `count` digests, `batch` a call. */
export function pass(sign: SignDigests, count: number, batch: number): number {
  const digests = newDigests(count);
  const seconds = coreSeconds(() => {
    for (let first = 0; first < count; first += batch) sign(digests.subarray(32 * first, 32 * (first + batch)));
  });
  return count / seconds;
}

/** The medians of both, measured in turns. */
export function besidePeer(
  sign: SignDigests,
  peer: SignDigests,
  count: number,
  peerCount = PEER_DIGESTS,
): { perSecond: number; peerPerSecond: number } {
  const rates: number[] = [];
  const peerRates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rates.push(pass(sign, count, BATCH));
    peerRates.push(pass(peer, peerCount, 1));
  }
  return { perSecond: median(rates), peerPerSecond: median(peerRates) };
}

/** Says what was signed: the peer verified each of these signatures and made the same bytes. */
export function proven(sign: SignDigests): string {
  const digests = newDigests(BATCH);
  const signatures = sign(digests);
  const publicKey = secp256k1.publicKeyCreate(PRIVATE_KEY, true);
  for (let at = 0; at < digests.length; at += 32) {
    const signature = signatures.subarray(2 * at, 2 * at + 64);
    assert(
      secp256k1.ecdsaVerify(signature, digests.subarray(at, at + 32), publicKey),
      'the peer verifies what is signed',
    );
  }
  const [ours, theirs] = [signatures, bySecp256k1(digests)].map((bytes) =>
    createHash('sha256').update(bytes).digest('hex'),
  );
  assert(ours === theirs, 'the peer makes the same signatures');
  return `${BATCH} signatures verified by secp256k1 and equal to its own; checksum ${ours!.slice(0, 16)}`;
}

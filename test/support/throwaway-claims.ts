/**
 * Claims signed by the hundred thousand: ECDSA with one nonce per key, so that a signature is a hash and two products.
 *
 * Whoever sees two such signatures knows the key, and nothing here is constant-time: for tests alone. It is written from
 * protocol/README.md and shares nothing with the node's code or its client, which are what the claims are for: points are
 * libsecp256k1's, the rest is here. Test's thread.
 */
import { createHash } from 'node:crypto';
import { inverse, ORDER as N, publicKey as pointOf } from './curve.ts';

export const CLAIM_SIZE = 93;
const AMOUNT = 13;
const SIGNATURE = 21;
const TIMESTAMP = 85;

export type Profile = 'xrpl' | 'link';

export interface ClaimFields {
  sequence?: number;
  /** The eight bytes as they lie on the wire; any bits may be there. */
  timestampBits?: bigint;
}

/** A channel, the payer's key with it. */
export class ThrowawayChannel {
  readonly channelId: bigint;
  readonly ledgerChannelId = new Uint8Array(32).fill(0xa5);
  readonly profile: Profile;
  readonly publicKey: Uint8Array;
  readonly #preimage: Buffer;
  /** r of every signature, r times the key, and the nonce's inverse. */
  readonly #r: bigint;
  readonly #rTimesKey: bigint;
  readonly #nonceInverse: bigint;

  /** @param keyOf whose key it has: that of another channel, or its own */
  constructor(channelId: bigint, profile: Profile = 'xrpl', keyOf = channelId) {
    this.channelId = channelId;
    this.profile = profile;
    new DataView(this.ledgerChannelId.buffer).setBigUint64(0, channelId);
    const key = scalar(`key ${keyOf}`);
    const nonce = scalar(`nonce ${keyOf}`);
    this.publicKey = pointOf(key);
    this.#r = number(pointOf(nonce).subarray(1)) % N;
    this.#rTimesKey = (this.#r * key) % N;
    this.#nonceInverse = inverse(nonce);
    const prefix = profile === 'xrpl' ? 'CLM\0' : 'claimwire/link/1';
    this.#preimage = Buffer.concat([
      Buffer.from(prefix),
      this.ledgerChannelId,
      Buffer.alloc(profile === 'xrpl' ? 8 : 29),
    ]);
  }

  /** A sound claim. */
  claim(amount: bigint, fields: ClaimFields = {}): Uint8Array {
    const claim = new Uint8Array(CLAIM_SIZE);
    this.writeClaim(claim, 0, amount, fields);
    return claim;
  }

  /** The same at `offset` of `target`. */
  writeClaim(
    target: Uint8Array,
    offset: number,
    amount: bigint,
    { sequence = 1, timestampBits = 0n }: ClaimFields,
  ): void {
    const view = new DataView(target.buffer, target.byteOffset + offset, CLAIM_SIZE);
    view.setUint8(0, 1);
    view.setBigUint64(1, this.channelId);
    view.setUint32(9, sequence);
    view.setBigUint64(AMOUNT, amount);
    view.setBigUint64(TIMESTAMP, timestampBits);
    const signature = this.#signClaim(target.subarray(offset, offset + CLAIM_SIZE));
    target.set(signature, offset + SIGNATURE);
  }

  /** What `resume` asks for, over the connection's nonce. */
  signResume(nonce: Uint8Array): Buffer {
    return this.#sign('sha256', Buffer.concat([Buffer.from('claimwire/resume/1'), this.ledgerChannelId, nonce]));
  }

  /** A root of claims of this key, over the 64 bytes that it covers. */
  signRoot(preimage: Uint8Array): Buffer {
    return this.#sign('sha256', preimage);
  }

  #signClaim(claim: Uint8Array): Buffer {
    const preimage = this.#preimage;
    if (this.profile === 'xrpl') {
      preimage.set(claim.subarray(AMOUNT, SIGNATURE), 36);
      return this.#sign('sha512', preimage);
    }
    preimage.set(claim.subarray(0, SIGNATURE), 48);
    preimage.set(claim.subarray(TIMESTAMP), 69);
    return this.#sign('sha256', preimage);
  }

  #sign(hash: 'sha256' | 'sha512', preimage: Uint8Array): Buffer {
    const digest = createHash(hash).update(preimage).digest().subarray(0, 32);
    const s = ((number(digest) + this.#rTimesKey) * this.#nonceInverse) % N;
    return Buffer.from(hex(this.#r) + hex(s > N / 2n ? N - s : s), 'hex');
  }
}

/** The claim with its signature's other form, s replaced by n − s: the equation holds, the ledger refuses it. */
export function withHighS(claim: Uint8Array): Uint8Array {
  const copy = claim.slice();
  copy.set(Buffer.from(hex(N - number(copy.subarray(SIGNATURE + 32, TIMESTAMP))), 'hex'), SIGNATURE + 32);
  return copy;
}

/** The claim with one bit of its signature flipped. */
export function withBadSignature(claim: Uint8Array): Uint8Array {
  const copy = claim.slice();
  copy[TIMESTAMP - 1]! ^= 1;
  return copy;
}

const hex = (value: bigint): string => value.toString(16).padStart(64, '0');
const number = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);
const scalar = (name: string): bigint =>
  number(createHash('sha256').update(`claimwire/throwaway/${name}`).digest()) % N;

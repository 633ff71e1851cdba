/**
 * Keys and signatures of a world. By default a double of real ones: the SHA-512 over a secret, the public key, and what a real
 * signature covers. It keeps their contract (who does not know the secret makes none; any bit changed, and it is not valid), and
 * costs microseconds. The public keys are real, so a share of the seeds has real signatures of the same keys.
 */
import { hash } from 'node:crypto';
import { sha256 } from '@noble/hashes/sha2.js';
import { claimBytes } from '../../protocol/claim.ts';
import { linkDigest, linkPreimage, xrplDigest, xrplPreimage } from '../../protocol/digest.ts';
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP, type ProfileName } from '../../protocol/layout.ts';
import { type Channel, hasClaim } from '../../src/channel/row.ts';
import type { ChannelTable } from '../../src/channel/table.ts';
import type { Signer } from '../../src/client/keys/signer.ts';
import type { Arena } from '../../src/ring/arena.ts';
import type { ClaimRing } from '../../src/ring/claim-ring.ts';
import type { Counters } from '../../src/ring/counters.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';
import { FrameJudge } from '../../src/verify/frame-judge.ts';
import type { Kernel } from '../../src/verify/kernel.ts';
import { verifyDigest } from '../../src/verify/noble.ts';
import { judgeSlot, ReferenceBackend } from '../../src/verify/reference-backend.ts';
import type { MerkleFrames } from '../../src/verify/tree-hash.ts';
import { testSigner } from '../support/test-signer.ts';

const SECRET = Buffer.from('simulated payers sign with this');
/** More payers than that share keys. */
const KEYS = 4;
const REAL = Array.from({ length: KEYS }, (_, index) => testSigner(new Uint8Array(32).fill(index + 1)));

function doubleOf(preimage: Uint8Array, publicKey: Uint8Array): Buffer {
  const double = hash('sha512', Buffer.concat([SECRET, publicKey, preimage]), 'buffer');
  // As the ledger wants it: both halves above 0, the second one low.
  double[0]! |= 1;
  double[32]! = (double[32]! & 0x3f) | 1;
  return double;
}

class DoubleSigner implements Signer {
  readonly publicKey: Uint8Array;
  constructor(publicKey: Uint8Array) {
    this.publicKey = publicKey;
  }
  signClaim(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void {
    const preimage = (profile === 'link' ? linkPreimage : xrplPreimage)(ledgerChannelId, claim, offset);
    claim.set(doubleOf(preimage, this.publicKey), offset + CLAIM_SIGNATURE);
  }
  signMessage(message: Uint8Array): Uint8Array {
    return messageDouble(message, this.publicKey);
  }
}
/** Of a root: a double of what is signed over its digest. */
function messageDouble(message: Uint8Array, publicKey: Uint8Array): Buffer {
  return doubleOf(sha256(message), publicKey);
}

const DOUBLES = REAL.map(({ publicKey }) => new DoubleSigner(publicKey));

/** Verifies the double's signatures, in slots like any backend. */
class DoubleBackend implements VerifyBackend {
  readonly name = 'noble';
  readonly batchMax: number;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;

  constructor(arena: Arena, ring: ClaimRing, table: ChannelTable, batchMax: number) {
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
    this.batchMax = batchMax;
  }

  verifySlots(first: number, count: number): void {
    for (let index = 0; index < count; index++)
      judgeSlot(this.#arena, this.#table, this.#ring.slot(first + index), (_profile, preimage, signature, publicKey) =>
        doubleOf(preimage, publicKey).equals(signature),
      );
  }
}

/** What a thread has. */
interface FrameParts {
  arena: Arena;
  ring: ClaimRing;
  table: ChannelTable;
  counters: Counters;
}

export class Signatures {
  readonly isReal: boolean;

  constructor(isReal: boolean) {
    this.isReal = isReal;
  }

  /** The double's signature of a claim as the ledger sees it. Names in hex. */
  overAmount(ledgerChannelId: string, amount: bigint, publicKey: string): Uint8Array {
    const message = `434C4D00${ledgerChannelId}${amount.toString(16).padStart(16, '0')}`;
    return doubleOf(Buffer.from(message, 'hex'), Buffer.from(publicKey, 'hex'));
  }

  signer(number: number): Signer {
    return (this.isReal ? REAL : DOUBLES)[number % KEYS]!;
  }

  backend(arena: Arena, ring: ClaimRing, table: ChannelTable, batchMax: number): VerifyBackend {
    return this.isReal ? new ReferenceBackend(arena, ring, table) : new DoubleBackend(arena, ring, table, batchMax);
  }

  /** Judges the frames of roots; its checks are those of the world's signatures. */
  judge(parts: FrameParts, seed: number, native: MerkleFrames | undefined): FrameJudge {
    const { arena, ring, table, counters } = parts;
    const verifyMany: Kernel['verifyMany'] = (digests, signatures, keys, verdicts) => {
      for (let index = 0; index < verdicts.length; index++) {
        const signature = signatures.subarray(64 * index, 64 * index + 64);
        const digest = digests.subarray(32 * index, 32 * index + 32);
        verdicts[index] = this.isDigestSigned(signature, digest, keys.subarray(33 * index, 33 * index + 33)) ? 1 : 0;
      }
    };
    return new FrameJudge(arena, ring, table, counters, { verifyMany } as Kernel, seed, native);
  }

  /** Whether the signature of a root's digest is valid. */
  isDigestSigned(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
    return this.isReal ? verifyDigest(signature, digest, publicKey) : doubleOf(digest, publicKey).equals(signature);
  }

  /** Whether a claim's signature is valid, by the same means as the node's. */
  isValid(claim: Uint8Array, offset: number, of: Pick<Channel, 'ledgerChannelId' | 'publicKey' | 'profile'>): boolean {
    const { ledgerChannelId, publicKey, profile } = of;
    const signature = claim.subarray(offset + CLAIM_SIGNATURE, offset + CLAIM_TIMESTAMP);
    const isLink = profile === 'link';
    if (this.isReal)
      return verifyDigest(signature, (isLink ? linkDigest : xrplDigest)(ledgerChannelId, claim, offset), publicKey);
    const preimage = (isLink ? linkPreimage : xrplPreimage)(ledgerChannelId, claim, offset);
    return doubleOf(preimage, publicKey).equals(signature);
  }

  /** Whether a row has the claim, with its signature, that states what it says is committed. */
  isRedeemable(channel: Channel): boolean {
    if (!hasClaim(channel)) return false;
    const { channelId, sequence, committed, signature, timestampBits } = channel;
    const bytes = claimBytes({ channelId, sequence, amount: committed, signature, timestamp: 0 });
    new DataView(bytes.buffer).setBigUint64(CLAIM_TIMESTAMP, timestampBits);
    return this.isValid(bytes, 0, channel);
  }
}

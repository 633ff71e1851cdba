/**
 * How a payer without state asks its node for the channel's best claim, and checks it by its own signature on it. Cold
 * path, payer's thread.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { hexToBytes } from '@noble/hashes/utils.js';
import { verify as verifySecp256k1 } from '@noble/secp256k1';
import { encodeClaim } from '../../protocol/claim.ts';
import { type ControlAnswer, isBestClaimResult, resumePreimage } from '../../protocol/control.ts';
import { linkPreimage, xrplDigest, xrplPreimage } from '../../protocol/digest.ts';
import { CLAIM_BYTES, CLAIM_TIMESTAMP, ED25519_KEY_PREFIX, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { invalid } from './claim-errors.ts';
import type { FlowIdentity } from './flow.ts';
import { upperHex } from './keys/key-pair.ts';
import type { AskedRequest } from './links/peer-link.ts';

/** A channel's best claim at the node, its signature checked. */
export interface ResumedChannel {
  /** Cumulative drops; 0 where nothing is committed. */
  committed: bigint;
  sequence: number;
  /** 64 bytes; undefined where nothing is committed. */
  signature: Uint8Array | undefined;
}

/** The request, once it is signed. Throws or rejects with what the signer does. */
export function resumeRequest(identity: FlowIdentity, nonce: string): AskedRequest | Promise<AskedRequest> {
  const { channelId, ledgerChannelId, signer } = identity;
  if (signer.signMessage === undefined) throw invalid('resume: expected a signer with signMessage, got one without');
  const request = (bytes: Uint8Array): AskedRequest => ({
    type: 'resume',
    channelId: String(channelId),
    signature: upperHex(bytes),
  });
  const signed = signer.signMessage(resumePreimage(ledgerChannelId, hexToBytes(nonce)));
  return signed instanceof Promise ? signed.then(request) : request(signed);
}

/** Checks an Ed25519 signature. @param key 32 bytes */
export type VerifyEd25519 = (message: Uint8Array, signature: Uint8Array, key: Uint8Array) => boolean | Promise<boolean>;

export async function checkBestClaim(
  identity: FlowIdentity,
  answer: ControlAnswer,
  verifyEd25519: VerifyEd25519,
): Promise<ResumedChannel> {
  const { channelId } = identity;
  if (!isBestClaimResult(answer) || answer.channelId !== String(channelId))
    throw doubtful('expected the best claim of the channel, got something else');
  const { sequence, timestamp } = answer;
  const committed = BigInt(answer.committed);
  if (answer.signature === null) return { committed, sequence, signature: undefined };
  const signature = hexToBytes(answer.signature);
  const claim = new Uint8Array(CLAIM_BYTES);
  const view = new DataView(claim.buffer);
  encodeClaim(view, 0, { channelId, sequence, amount: committed, signature, timestamp: 0 });
  view.setBigUint64(CLAIM_TIMESTAMP, BigInt(`0x${timestamp}`));
  if (!(await holds(identity, claim, signature, verifyEd25519)))
    throw doubtful('expected a claim signed by the channel, got another signature');
  return { committed, sequence, signature: signature };
}

async function holds(
  { ledgerChannelId, profile, signer }: FlowIdentity,
  claim: Uint8Array,
  signature: Uint8Array,
  verifyEd25519: VerifyEd25519,
): Promise<boolean> {
  const { publicKey } = signer;
  if (signature.length !== SIGNATURE_BYTES) return false;
  if (publicKey[0] === ED25519_KEY_PREFIX) {
    const preimage = profile === 'link' ? linkPreimage : xrplPreimage;
    return await verifyEd25519(preimage(ledgerChannelId, claim), signature, publicKey.subarray(1));
  }
  const digest = profile === 'link' ? sha256(linkPreimage(ledgerChannelId, claim)) : xrplDigest(ledgerChannelId, claim);
  return verifySecp256k1(signature, digest, publicKey, { prehash: false });
}

function doubtful(message: string): ClaimwireError {
  return new ClaimwireError('NODE_FAILED', `resume: ${message}; do not go on from it`);
}

/**
 * A payer's signer for tests that are about something else than signing: libsecp256k1, many times as fast as the client's
 * own. Test's thread.
 */
import { createHash } from 'node:crypto';
import { linkDigest, xrplDigest } from '../../protocol/digest.ts';
import { CLAIM_SIGNATURE } from '../../protocol/layout.ts';
import type { KeySigner } from '../../src/client/keys/signer.ts';
import { publicKey, scalar, sign } from './curve.ts';

/** @param privateKey 32 bytes, 1..n-1 */
export function testSigner(privateKey: Uint8Array): KeySigner {
  const key = scalar(privateKey);
  return {
    publicKey: publicKey(key),
    signClaim: (claim, offset, ledgerChannelId, profile) => {
      const digest = profile === 'link' ? linkDigest : xrplDigest;
      claim.set(sign(digest(ledgerChannelId, claim, offset), key), offset + CLAIM_SIGNATURE);
    },
    signMessage: (message) => sign(createHash('sha256').update(message).digest(), key),
  };
}

/**
 * A payer whose many channels sign together, over UDP at a real node: every claim is committed, and what the node would redeem is
 * what noble would have signed. The node runs the compiled code.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { CLAIM_SIGNATURE, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { generateKey, keySigner, Payer, type PaymentChannel } from '../../src/client/index.ts';
import { pairSigner } from '../../src/client/keys/key-pair.ts';
import { nativeSigningFault } from '../../src/native/batch-signer.ts';

const CHANNELS = 300;
const CLAIMS_EACH = 4;
const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-signing-'));
let node: ClaimwireNode;

beforeAll(async () => {
  const udp = { host: '127.0.0.1', port: 0 };
  node = await ClaimwireNode.start({ data: ROOT, udp, channelsMax: 1 << 12, segmentBytes: 1 << 20 });
}, 60_000);
afterAll(async () => {
  await node?.stop();
  rmSync(ROOT, { recursive: true, force: true });
});

it('claims of 300 channels are signed in a few calls, all are committed, and the node has redeemable ones', async () => {
  const key = generateKey();
  const publicKey = Uint8Array.from(Buffer.from(key.publicKey, 'hex'));
  const ids = Array.from({ length: CHANNELS }, () => Uint8Array.from(randomBytes(32)));
  const profileOf = (index: number) => (index % 10 === 9 ? 'link' : 'xrpl');
  await node.openChannels(
    ids.map((ledgerChannelId, index) => ({
      channelId: Buffer.from(ledgerChannelId).readBigUInt64BE(),
      ledgerChannelId,
      publicKey,
      capacity: 1_000n,
      profile: profileOf(index),
      expiresAt: 0,
    })),
  );
  const signer = keySigner(key);
  const batches: number[] = [];
  const counted = {
    publicKey: signer.publicKey,
    signClaim: signer.signClaim.bind(signer),
    get signBatch(): typeof signer.signBatch {
      const { signBatch } = signer;
      if (signBatch === undefined) return undefined;
      return (...claims) => {
        batches.push(claims[3]);
        signBatch.apply(signer, claims);
      };
    },
  };
  const payer = await Payer.open({ to: `udp://${node.udp}` });
  const channels = ids.map((ledgerChannelId, index) =>
    payer.channel({ ledgerChannelId, key: counted, profile: profileOf(index) }),
  );
  const payAll = async (channel: PaymentChannel) => {
    for (let paid = 1; paid <= CLAIMS_EACH; paid += 1) await channel.claim(BigInt(paid));
  };
  await Promise.all(channels.map(payAll));
  // As a page has it: noble's alone.
  const noble = pairSigner(key);
  for (const [index, channel] of channels.entries()) {
    const kept = node.channel(channel.channelId)!;
    expect(kept.committed).toBe(BigInt(CLAIMS_EACH));
    // noble takes a third of a millisecond for each.
    if (index % 10 < 8) continue;
    const claim = channel.lastClaim()!;
    noble.signClaim(claim, 0, ids[index]!, profileOf(index));
    const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
    expect(Buffer.from(kept.signature).equals(signature)).toBe(true);
  }
  expect(payer.stats().acks).not.toHaveProperty('BAD_SIGNATURE');
  await payer.close();
  if (nativeSigningFault() === undefined) {
    const signed = batches.reduce((sum, count) => sum + count, 0);
    expect(signed).toBeGreaterThan((CHANNELS * CLAIMS_EACH) / 2);
    expect(signed / batches.length).toBeGreaterThan(8);
  }
});

/** A node that takes signed roots and is killed: every leaf it has acknowledged can be proven after the next start. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import { type LeafProofJson, leafProofHolds, parseLeafProof } from '../../src/channel/leaf-proof.ts';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { verifyDigest } from '../../src/verify/noble.ts';
import {
  adminFlags,
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  temporaryFolders,
} from '../support/node-process.ts';
import { framesOf } from '../support/root-frames.ts';
import { testSigner } from '../support/test-signer.ts';
import { openingJson, openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const folder = temporaryFolders();
const PAYER = testSigner(new Uint8Array(32).fill(7));
const CHANNELS = Array.from({ length: 100 }, (_, index) => BigInt(index + 1));
const EXPOSURE = 50_000n;
const FLAGS = ['--root-exposure', String(EXPOSURE), '--channels-max', '256'];

const frames = (amount: bigint, sequence: number) =>
  framesOf(
    PAYER,
    CHANNELS.map((channelId) => {
      const { ledgerChannelId } = openingOf(channelId);
      return { channelId, amount: amount + channelId, ledgerChannelId };
    }),
    { sequence },
  );

test('what was acknowledged of roots is there after kill -9, provable, and never what is redeemed', async () => {
  const data = join(folder('roots'), 'data');
  let node = new NodeProcess(data, FLAGS);
  let ready = await node.ready;
  await openChannels(
    ready,
    data,
    CHANNELS.map((channelId) => openingJson(channelId)),
  );
  const peer = await WirePeer.to(ready.udp);
  await peer.send(signedClaim(7n, 5n));
  await peer.ack((ack) => ack.amount === 5n);
  // Roots as fast as they go; the node dies among them.
  let sequence = 1;
  while (peer.acks.length < 1_000) {
    for (let root = 0; root < 5; root++, sequence++)
      for (const frame of frames(BigInt(sequence), sequence)) await peer.send(frame);
    await new Promise(setImmediate);
  }
  node.kill('SIGKILL');
  await node.exit;
  const acknowledged = new Map<bigint, bigint>();
  for (const { status, channelId, amount } of peer.acks)
    if (status === STATUS.COMMITTED && amount > (acknowledged.get(channelId) ?? 0n))
      acknowledged.set(channelId, amount);
  peer.close();
  expect(acknowledged.size).toBe(CHANNELS.length);

  // Without a start the folder has them, and stays as it is.
  const offline = await claimwire('prove', '9', '--data', data);
  expect(offline.code).toBe(0);
  const unstarted = JSON.parse(offline.stdout) as LeafProofJson;
  expect(BigInt(unstarted.amount)).toBeGreaterThanOrEqual(acknowledged.get(9n)!);
  expect(leafProofHolds(parseLeafProof(unstarted), { secp256k1: verifyDigest, ed25519: () => false })).toBe(true);

  // The first start has the proofs from the journal; the second, after another kill, from its checkpoint.
  for (let start = 0; start < 2; start++) {
    node = new NodeProcess(data, FLAGS);
    ready = await node.ready;
    const token = execFileSync('cat', [join(data, 'admin-token')], { encoding: 'utf8' }).trim();
    for (const [channelId, amount] of acknowledged) {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`http://${ready.http}/channels/${channelId}/proof`, { headers });
      const json = (await response.json()) as LeafProofJson;
      expect(BigInt(json.amount)).toBeGreaterThanOrEqual(amount);
      // The ledger id is the channel's, the key the payer's; one in ten is verified, the others are of the same frames.
      const proof = parseLeafProof(json);
      expect(json.ledgerChannelId).toBe(openingJson(channelId).ledgerChannelId);
      if (channelId % 10n === 0n)
        expect(leafProofHolds(proof, { secp256k1: verifyDigest, ed25519: () => false })).toBe(true);
    }
    const { committed, rooted } = await getJson<ChannelJson>(ready, '/channels/7');
    expect(BigInt(committed)).toBeGreaterThanOrEqual(acknowledged.get(7n)!);
    expect(rooted).toMatchObject({ committed: '5', sequence: 1 });
    if (start === 0) {
      const proven = await claimwire('prove', '9', ...adminFlags(ready, data));
      expect([proven.code, JSON.parse(proven.stdout)]).toEqual([0, unstarted]);
      // A running node is asked, not its folder.
      expect((await claimwire('prove', '9', '--data', data)).stderr).toContain('DATA_LOCKED');
    }
    node.kill('SIGKILL');
    await node.exit;
  }
  const kept = await claimwire('prove', openingJson(9n).ledgerChannelId, '--data', data);
  expect([kept.code, JSON.parse(kept.stdout)]).toEqual([0, unstarted]);
  expect((await claimwire('prove', '101', '--data', data)).stderr).toContain('CHANNEL_UNKNOWN');
});

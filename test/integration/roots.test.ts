/** Merkle batches to a node over UDP: two lanes and a pipeline, C and portable steps, frames lost, altered and beside claims. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { STATUS } from '../../protocol/layout.ts';
import { framesOf } from '../support/root-frames.ts';
import { testSigner } from '../support/test-signer.ts';
import { WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-roots-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
let folders = 0;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const CHANNELS = 300;
const PAYER = testSigner(new Uint8Array(32).fill(7));
const idOf = (channelId: bigint) => {
  const id = Buffer.alloc(32, 9);
  id.writeBigUInt64BE(channelId);
  return new Uint8Array(id);
};
const channels = Array.from({ length: CHANNELS }, (_, index) => BigInt(index + 1));

async function nodeWith(options: NodeOptions): Promise<ClaimwireNode> {
  const node = await ClaimwireNode.start({
    data: join(ROOT, String(folders++)),
    udp: { host: '127.0.0.1', port: 0 },
    channelsMax: 1_024,
    segmentBytes: 2 << 20,
    roots: true,
    logger: { info() {}, warn() {}, error() {} },
    ...options,
  });
  ends.push(() => node.stop());
  const { publicKey } = PAYER;
  const opening = { publicKey, capacity: 1_000_000n, profile: 'link' as const, expiresAt: 0 };
  await node.openChannels(channels.map((channelId) => ({ ...opening, channelId, ledgerChannelId: idOf(channelId) })));
  return node;
}

/** The next `count` acks. */
async function take(peer: WirePeer, count: number) {
  await peer.ack(() => peer.acks.length >= count);
  return peer.acks.splice(0);
}

const LAYOUTS: [string, NodeOptions][] = [
  ['two lanes over C', { layout: 'lanes', lanes: 2 }],
  ['a pipeline of portable steps', { layout: 'pipeline', verifiers: 2, path: 'portable', sockets: 'dgram' }],
];

test.each(LAYOUTS)('%s', async (_, options) => {
  const node = await nodeWith(options);
  const peers = await Promise.all([0, 1].map(() => WirePeer.to(node.udp)));
  for (const peer of peers) ends.push(() => peer.close());
  const leaves = (amount: bigint) =>
    channels.map((channelId) => ({ channelId, amount, ledgerChannelId: idOf(channelId) }));
  // Of five frames, every other one is lost, and one of the rest comes altered first.
  const frames = framesOf(PAYER, leaves(100n), { sequence: 1 });
  const altered = frames[0]!.map((byte, index) => (index === 30 ? byte ^ 1 : byte));
  await peers[0]!.send(altered);
  const refused = await take(peers[0]!, Math.floor(altered.length / 32));
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([STATUS.BAD_SIGNATURE]));
  await peers[0]!.send(frames[4]!);
  await peers[1]!.send(frames[2]!);
  await peers[0]!.send(frames[0]!);
  const first = [...(await take(peers[0]!, 44 + 64)), ...(await take(peers[1]!, 64))];
  expect(new Set(first.map(({ status, amount }) => `${status} ${amount}`))).toEqual(new Set(['0 100']));
  const standing = channels.filter((channelId) => node.channel(channelId)?.committed === 100n);
  expect(standing).toEqual(channels.filter((channelId) => ((Number(channelId) - 1) >> 6) % 2 === 0));
  // The next root has all of them; an ordinary claim of one is for less, and covers.
  const next = framesOf(PAYER, leaves(200n), { sequence: 3 });
  const claim = new Uint8Array(93);
  claim[0] = 1;
  const view = new DataView(claim.buffer);
  view.setBigUint64(1, 1n);
  view.setUint32(9, 2);
  view.setBigUint64(13, 150n);
  PAYER.signClaim(claim, 0, idOf(1n), 'link');
  for (const frame of next) await peers[0]!.send(frame);
  expect(await take(peers[0]!, CHANNELS)).toHaveLength(CHANNELS);
  await peers[0]!.send(claim);
  expect((await take(peers[0]!, 1))[0]).toMatchObject({ status: STATUS.COMMITTED, amount: 150n });
  const channel = node.channel(1n)!;
  expect([channel.committed, channel.rooted?.committed]).toEqual([200n, 150n]);
  expect(channel.signature).toEqual(claim.slice(21, 85));
  const { roots, committed } = node.stats().counters as unknown as { roots: Record<string, number>; committed: number };
  expect(roots).toMatchObject({ frames: 9, failed: 1, repeated: 0, unjudged: 0 });
  expect(committed).toBe(64 + 64 + 44 + CHANNELS + 1);
});

/**
 * Removed channels in a whole node: while claims come in, over kill -9 and starts again. A claim of a removed channel in
 * the journal must not keep a node from starting, and an amount must not come back to a channel opened anew.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { statusName } from '../../protocol/layout.ts';
import {
  adminFlags,
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  type ReadyLine,
  temporaryFolders,
} from '../support/node-process.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const folder = temporaryFolders();
/** Several starts each, on a machine that may be busy. */
const STARTS_MS_MAX = 120_000;

async function answer(peer: WirePeer, claim: Uint8Array): Promise<[string, bigint]> {
  const { status, amount } = await peer.ask(claim);
  return [statusName(status), amount];
}

const openingJson = (id: bigint, throwAway: boolean) => ({
  ledgerChannelId: Buffer.from(openingOf(id).ledgerChannelId).toString('hex'),
  publicKey: Buffer.from(openingOf(id).publicKey).toString('hex'),
  capacity: '1000000',
  throwAway,
});

async function startOn(data: string, options: NodeOptions = {}): Promise<{ node: ClaimwireNode; peer: WirePeer }> {
  const udp = { host: '127.0.0.1', port: 0 };
  const node = await ClaimwireNode.start({ data, udp, ...storeUnderTest.options(data), channelsMax: 512, ...options });
  return { node, peer: await WirePeer.to(node.udp) };
}

test('kill -9 with a removed channel’s claims in the journal: the node starts, and knows it no more', {
  timeout: STARTS_MS_MAX,
}, async () => {
  const data = folder('remove-killed');
  const node = new NodeProcess(data);
  const ready = await node.ready;
  await openChannels(ready, data, [openingJson(1n, true), openingJson(2n, true), openingJson(3n, false)]);
  const peer = await WirePeer.to(ready.udp);
  for (const id of [1n, 2n, 3n]) expect(await answer(peer, signedClaim(id, 500n))).toEqual(['COMMITTED', 500n]);
  const flags = adminFlags(ready, data);
  const removed = await claimwire('channel', 'remove', '1', '2', '3', '--json', ...flags);
  expect(JSON.parse(removed.stdout)).toMatchObject({ removed: 2, refused: [{ id: '3', code: 'CHANNEL_UNREDEEMED' }] });
  expect(await answer(peer, signedClaim(1n, 600n))).toEqual(['CHANNEL_CLOSED', 600n]);
  expect(await getJson<{ channels: number }>(ready, '/stats')).toMatchObject({ channels: 1 });
  // Channel 2 comes back, with what it had.
  await openChannels(ready, data, [openingJson(2n, true)]);
  expect(await answer(peer, signedClaim(2n, 400n))).toEqual(['ALREADY', 400n]);
  expect(await answer(peer, signedClaim(2n, 700n))).toEqual(['COMMITTED', 700n]);
  node.kill('SIGKILL');
  await node.exit;
  peer.close();

  const next = new NodeProcess(data);
  const line = await next.ready;
  expect(line.channels).toBe(2);
  const rows = await getJson<{ channelId: string; committed: string }[]>(line, '/channels');
  expect(rows.map(({ channelId, committed }) => [channelId, committed])).toEqual([
    ['2', '700'],
    ['3', '500'],
  ]);
  const other = await WirePeer.to(line.udp);
  expect(await answer(other, signedClaim(1n, 600n))).toEqual(['UNKNOWN_CHANNEL', 0n]);
  // Opened anew it begins at nothing, in the row that came free, and stays so over another kill.
  await openChannels(line, data, [openingJson(1n, false)]);
  expect(await answer(other, signedClaim(1n, 5n))).toEqual(['COMMITTED', 5n]);
  next.kill('SIGKILL');
  await next.exit;
  other.close();

  const { node: last, peer: asking } = await startOn(data);
  expect([1n, 2n, 3n].map((id) => last.channel(id)?.committed)).toEqual([5n, 700n, 500n]);
  expect(last.channels(0, 10)).toHaveLength(3);
  asking.close();
  await last.stop();
});

test('killed at any moment of removals and openings, a node starts and has every acknowledged amount', {
  timeout: STARTS_MS_MAX,
}, async () => {
  const data = folder('remove-torn');
  const kept = Array.from({ length: 10 }, (_, index) => BigInt(1_000 + index));
  const passing = Array.from({ length: 200 }, (_, index) => BigInt(index + 1));
  const acknowledged = new Map<bigint, bigint>();
  let isFresh = true;
  for (const delayMs of [5, 60, 200]) {
    const node = new NodeProcess(data);
    const ready = await node.ready;
    if (isFresh)
      await openChannels(
        ready,
        data,
        kept.map((id) => openingJson(id, false)),
      );
    isFresh = false;
    const rows = await getJson<{ channelId: string; committed: string }[]>(ready, '/channels?limit=1000');
    const committed = new Map(rows.map(({ channelId, committed }) => [BigInt(channelId), BigInt(committed)]));
    for (const [id, amount] of acknowledged) expect(committed.get(id)).toBeGreaterThanOrEqual(amount);
    const peer = await WirePeer.to(ready.udp);
    const ids = passing.map(String);
    const churn = async () => {
      for (let round = 1; ; round++) {
        await openChannels(
          ready,
          data,
          passing.map((id) => openingJson(id, true)),
        );
        for (const id of [...kept, ...passing.slice(0, 20)])
          await peer.send(signedClaim(id, BigInt(delayMs * 1_000 + round)));
        const removed = await claimwireRemove(ready, data, ids);
        expect(removed).toEqual({ removed: 200, refusedCount: 0, refused: [] });
      }
    };
    const killed = churn().catch((error: Error) => error);
    await peer.ack(({ status, channelId }) => statusName(status) === 'COMMITTED' && channelId >= 1_000n);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    node.kill('SIGKILL');
    await node.exit;
    // The churn ends with its connection, never with an answer that is wrong.
    expect(String(await killed)).toMatch(/fetch failed|terminated/);
    for (const { status, channelId, amount } of peer.acks)
      if (statusName(status) === 'COMMITTED' && channelId >= 1_000n) acknowledged.set(channelId, amount);
    peer.close();
  }
  const last = await startOn(data);
  for (const [id, amount] of acknowledged) expect(last.node.channel(id)!.committed).toBeGreaterThanOrEqual(amount);
  expect(acknowledged.size).toBeGreaterThan(0);
  last.peer.close();
  await last.node.stop();
});

async function claimwireRemove(ready: ReadyLine, data: string, ids: string[]): Promise<unknown> {
  const response = await fetch(`http://${ready.http}/channels/remove`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(join(data, 'admin-token'), 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ ids }),
  });
  return response.json();
}

describe.each(['lanes', 'pipeline'] as const)('%s', (layout) => {
  test('removal while claims are in flight: none is committed after it, and opening again loses none', async () => {
    const { node, peer } = await startOn(folder('remove-flight'), { layout, verifiers: 2 });
    const ids = Array.from({ length: 20 }, (_, index) => BigInt(index + 1));
    await node.openChannels(ids.map((id) => ({ ...openingOf(id), throwAway: true })));
    for (let round = 1; round <= 5; round++) {
      for (const id of ids)
        for (let step = 1; step <= 5; step++) void peer.send(signedClaim(id, BigInt(round * 100 + step)));
      const { removed, refused } = await node.removeChannels(ids);
      expect({ removed, refused }).toEqual({ removed: 20, refused: [] });
      const after = node.channels(0, 100);
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(node.channels(0, 100)).toEqual(after);
      expect(after.every(({ state }) => state === 'removed')).toBe(true);
      expect(ids.map((id) => node.channel(id))).toEqual(ids.map(() => undefined));
      expect((await node.openChannels(ids.map((id) => ({ ...openingOf(id), throwAway: true })))).opened).toBe(20);
      for (const [index, id] of ids.entries())
        expect(node.channel(id)!.committed).toBeGreaterThanOrEqual(after[index]!.committed);
    }
    for (const id of ids) expect(await answer(peer, signedClaim(id, 9_000n))).toEqual(['COMMITTED', 9_000n]);
    peer.close();
    await node.stop();
    await expect(node.removeChannels(ids)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
  });
});

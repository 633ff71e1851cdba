/**
 * How a node ends: with claims in flight, overloaded, with an operator's change under way, and when its journal fails.
 * Runs the compiled code, since threads cannot run TypeScript.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeStartOptions } from '../../dist/src/index.js';
import { STATUS } from '../../protocol/layout.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-stop-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

/** No more threads than a test asks for: the one peer would come to one of several lanes (lanes.test.ts stops those). */
const LAYOUTS = [
  { name: 'pipeline', layout: 'pipeline', sockets: 'dgram', verifiers: 1 },
  { name: 'lanes', layout: 'lanes', sockets: 'native', lanes: 1 },
  { name: 'a lane over dgram', layout: 'lanes', sockets: 'dgram' },
] as const;
const CHANNELS = 40;
/** So many that opening them is still under way when the node stops. */
const MANY = 5_000;

async function start(data: string, options: NodeStartOptions): Promise<{ node: ClaimwireNode; peer: WirePeer }> {
  const udp = { host: '127.0.0.1', port: 0 };
  const store = storeUnderTest.options(data);
  const limits = { channelsMax: 1 << 18, segmentBytes: 1 << 20 };
  const node = await ClaimwireNode.start({ data, udp, ...store, ...limits, ...options });
  return { node, peer: await WirePeer.to(node.udp) };
}

/** Sends `rounds` claims for each of `CHANNELS` channels, amounts rising, 10 a datagram. */
async function flood(
  peer: WirePeer,
  rounds: number,
  makeClaim: (id: bigint, amount: bigint) => Uint8Array,
): Promise<void> {
  for (let amount = 1; amount <= rounds; amount++)
    for (let id = 0; id < CHANNELS; id += 10) {
      const claims = Array.from({ length: 10 }, (_, index) => makeClaim(BigInt(id + index + 1), BigInt(amount)));
      await peer.send(new Uint8Array(Buffer.concat(claims)));
    }
}

/** Highest amount acknowledged as durable, by channel. */
function acknowledged(peer: WirePeer): Map<bigint, bigint> {
  const best = new Map<bigint, bigint>();
  for (const { status, channelId, amount } of peer.acks)
    if (status === STATUS.COMMITTED || status === STATUS.ALREADY)
      if (amount > (best.get(channelId) ?? 0n)) best.set(channelId, amount);
  return best;
}

const openings = Array.from({ length: CHANNELS }, (_, index) => openingOf(BigInt(index + 1)));

describe.each(LAYOUTS)('$name', ({ name, ...layout }) => {
  test('a stop drains what is in, acknowledges it, and checkpoints: nothing is left to replay', async () => {
    const data = join(ROOT, `drain-${name}`);
    const { node, peer } = await start(data, { ...layout, verifiers: 2 });
    await node.openChannels(openings);
    const claims = new Map<string, Uint8Array>();
    for (let amount = 1; amount <= 5; amount++)
      for (const { channelId } of openings)
        claims.set(`${channelId}/${amount}`, signedClaim(channelId, BigInt(amount)));
    await flood(peer, 5, (id, amount) => claims.get(`${id}/${amount}`)!);
    while ((node.stats().counters.received as number) < 5 * CHANNELS)
      await new Promise((resolve) => setTimeout(resolve, 1));
    const totals = await node.stop();
    const counters = totals.counters as Record<string, number>;
    expect(counters.committed! + counters.already!).toBe(5 * CHANNELS);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const acks = acknowledged(peer);
    for (const { channelId } of openings) expect(acks.get(channelId)).toBe(5n);
    peer.close();
    const again = await start(data, layout);
    for (const { channelId } of openings) expect(again.node.channel(channelId)!.committed).toBe(5n);
    again.peer.close();
    await again.node.stop();
  });

  test('claims that still wait for a refused twin do not hold up a stop', async () => {
    const { node, peer } = await start(join(ROOT, `twins-${name}`), { ...layout, verifiers: 2 });
    await node.openChannels(openings);
    const bad = signedClaim(1n, 7n);
    bad[60]! ^= 1;
    const count = 300;
    for (let sent = 0; sent < count; sent += 10)
      await peer.send(new Uint8Array(Buffer.concat(new Array(10).fill(bad))));
    while ((node.stats().counters.received as number) < count) await new Promise((resolve) => setTimeout(resolve, 1));
    const began = Date.now();
    const { counters } = await node.stop();
    expect(Date.now() - began).toBeLessThan(4_000);
    expect((counters.refused as Record<string, number>).badSignature).toBe(count);
    peer.close();
  });

  test('a stop while overloaded is bounded, and what was acknowledged is there again', async () => {
    const data = join(ROOT, `overload-${name}`);
    // The reference backend has seconds of work in what the ring holds.
    const overloaded = { ...layout, verifiers: 1, backend: 'noble', ringSlots: 8_192 } as const;
    const { node, peer } = await start(data, { ...overloaded, drainMsMax: 300 });
    await node.openChannels(openings);
    let sequence = 0;
    const good = openings.map(({ channelId }) => signedClaim(channelId, 1n));
    await peer.send(new Uint8Array(Buffer.concat(good.slice(0, 10))));
    await expect.poll(() => acknowledged(peer).size, { timeout: 15_000 }).toBe(10);
    await flood(peer, 45, (id, amount) => {
      const claim = good[Number(id) - 1]!.slice();
      new DataView(claim.buffer).setBigUint64(13, amount + 1n);
      new DataView(claim.buffer).setUint32(40, sequence++);
      return claim;
    });
    while (node.stats().ring.depth < 1_200) await new Promise((resolve) => setTimeout(resolve, 5));
    const began = Date.now();
    await node.stop();
    const took = Date.now() - began;
    expect(took).toBeGreaterThan(250);
    expect(took).toBeLessThan(5_000);
    let isFailed = false;
    node.failed.catch(() => {
      isFailed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isFailed).toBe(false);
    const acks = acknowledged(peer);
    expect(acks.size).toBe(10);
    peer.close();
    const again = await start(data, layout);
    for (const [channelId, amount] of acks) expect(again.node.channel(channelId)!.committed).toBe(amount);
    again.peer.close();
    await again.node.stop();
  }, 60_000);

  test('a change that is under way when the node stops ends too', async () => {
    const data = join(ROOT, `change-${name}`);
    const { node, peer } = await start(data, layout);
    await node.openChannels(openings);
    peer.close();
    const many = Array.from({ length: MANY }, (_, index) => openingOf(BigInt(index + 1_000)));
    const opening = node.openChannels(many);
    const closing = node.closeChannel(3n);
    const lowering = node.updateChannel(4n, { capacity: 10n });
    await node.stop();
    expect((await opening).opened).toBe(MANY);
    expect(await closing).toMatchObject({ state: 'closed' });
    expect(await lowering).toMatchObject({ capacity: 10n });
    const again = await start(data, layout);
    expect(again.node.channelCount).toBe(MANY + CHANNELS);
    expect(again.node.channel(3n)!.state).toBe('closed');
    expect(again.node.channel(4n)!.capacity).toBe(10n);
    again.peer.close();
    await again.node.stop();
  });

  test.runIf(storeUnderTest.isEmbedded)(
    'when the journal fails the node says so, ends in bounded time, and keeps what it acknowledged',
    async () => {
      const data = join(ROOT, `failure-${name}`);
      const { node, peer } = await start(data, {
        ...layout,
        ...(layout.layout === 'pipeline' ? { verifiers: 2 } : {}),
      });
      const failed = node.failed.catch((error: { code: string; message: string }) => error);
      await node.openChannels(openings);
      // A file that is no segment stands where the next one belongs.
      writeFileSync(join(data, 'journal', '0', '000000000002.seg'), 'not a segment');
      let amount = 0n;
      let error: Awaited<typeof failed> | undefined;
      void failed.then((value) => {
        error = value;
      });
      // Each claim alone makes a group of a sector: 1 MiB of them.
      for (; error === undefined && amount < 5_000n; amount++) {
        const claim = signedClaim(1n, amount + 1n);
        await peer.send(claim);
        await Promise.race([peer.ack((ack) => ack.amount === amount + 1n), failed]);
        peer.acks.splice(0, peer.acks.length - 1);
      }
      expect(error).toMatchObject({ code: 'NODE_FAILED' });
      expect(error!.message).toContain('000000000002.seg');
      expect(node.ready).toBe(false);
      await expect(node.closeChannel(1n)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
      await node.stop();
      const [best] = [...acknowledged(peer).values()];
      peer.close();
      rmSync(join(data, 'journal', '0', '000000000002.seg'));
      const again = await start(data, layout);
      expect(again.node.channel(1n)!.committed).toBe(best);
      again.peer.close();
      await again.node.stop();
    },
    60_000,
  );
});

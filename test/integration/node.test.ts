/**
 * A whole node in this process, over UDP: what open, update, close, stop and start again promise, in both layouts and
 * with both backends. Runs the compiled code, since threads cannot run TypeScript.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { statusName } from '../../protocol/layout.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { openingOf, signedClaim, WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-node-'));
const DIST = resolve(import.meta.dirname, '../../dist/src/index.js');
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

const running = new Set<ClaimwireNode>();
const peers = new Set<WirePeer>();
afterEach(async () => {
  for (const peer of peers) peer.close();
  peers.clear();
  await Promise.all([...running].map((node) => node.stop()));
  running.clear();
});

let folders = 0;
const freshFolder = () => join(ROOT, String(folders++));

/** One lane, as one peer would come to only one of several (lanes.test.ts has those). */
async function start(data: string, options: NodeOptions = {}): Promise<{ node: ClaimwireNode; peer: WirePeer }> {
  const udp = { host: '127.0.0.1', port: 0 };
  const threads = options.layout === 'pipeline' ? { verifiers: 2 } : ({ layout: 'lanes', lanes: 1 } as const);
  const node = await ClaimwireNode.start({
    data,
    udp,
    ...storeUnderTest.options(data),
    ...threads,
    channelsMax: 256,
    segmentBytes: 1 << 20,
    ...options,
  });
  running.add(node);
  const peer = await WirePeer.to(node.udp);
  peers.add(peer);
  return { node, peer };
}

/** Status name and amount of the answer to a claim. */
async function answer(peer: WirePeer, claim: Uint8Array): Promise<[string, bigint]> {
  const { status, amount } = await peer.ask(claim);
  return [statusName(status), amount];
}

const LAYOUTS = ['pipeline', 'lanes'] as const;
/** Each backend, and either kind of socket and path with a fast backend and with a slow one. */
const PARTS = [
  { backend: 'native', sockets: 'native', path: 'native' },
  { backend: 'native', sockets: 'dgram', path: 'portable' },
  { backend: 'wasm', sockets: 'native', path: 'portable' },
  { backend: 'noble', sockets: 'dgram', path: 'native' },
] as const;
const COMBINATIONS = LAYOUTS.flatMap((layout) => PARTS.map((parts) => ({ layout, ...parts })));

/** Each claim that was committed has its time in every stage, and the stages add up to its way: threads share one clock. */
function expectMeasured(node: ClaimwireNode, committed: number): void {
  for (const { ack, stages, sync, group, ringDepth } of node.measures().filter((lane) => lane.group.count > 0)) {
    expect([ringDepth, ack.count, group.sum]).toEqual([0, committed, committed]);
    expect(Object.values(stages).map(({ count }) => count)).toEqual(new Array(6).fill(committed));
    expect(Object.values(stages).reduce((sum, stage) => sum + stage.sum, 0)).toBeCloseTo(ack.sum, 9);
    expect(sync.count).toBe(group.count);
    expect(stages.queue.sum === 0).toBe(node.config.sockets === 'dgram' || stages.queue.bounds.every((us) => us === 0));
  }
}

describe.each(COMBINATIONS)('$layout, $backend, $sockets sockets, $path path', (options) => {
  test('opens, commits, refuses, closes; a start again keeps it all', async () => {
    const data = freshFolder();
    const { node, peer } = await start(data, options);
    expect(node.ready).toBe(true);
    expect(node.stats()).toMatchObject(options);
    const openings = [
      openingOf(1n),
      openingOf(2n, { profile: 'link' }),
      openingOf(3n),
      openingOf(4n, { expiresAt: 1 }),
    ];
    expect(await node.openChannels(openings)).toEqual({ opened: 4, unchanged: 0, refused: [] });
    expect(await node.openChannels(openings)).toEqual({ opened: 0, unchanged: 4, refused: [] });
    expect(await answer(peer, signedClaim(1n, 500n))).toEqual(['COMMITTED', 500n]);
    expect(await answer(peer, signedClaim(1n, 400n))).toEqual(['ALREADY', 400n]);
    expect(await answer(peer, signedClaim(1n, 1_000_001n))).toEqual(['OVER_CAPACITY', 1_000_000n]);
    expect(await answer(peer, signedClaim(2n, 70n, 5, 'link'))).toEqual(['COMMITTED', 70n]);
    expect(await answer(peer, signedClaim(2n, 80n, 5, 'link'))).toEqual(['BAD_SEQUENCE', 80n]);
    expect(await answer(peer, signedClaim(2n, 90n, 6, 'xrpl'))).toEqual(['BAD_SIGNATURE', 90n]);
    expect(await answer(peer, signedClaim(4n, 5n))).toEqual(['CHANNEL_CLOSED', 5n]);
    expect(await answer(peer, signedClaim(9n, 5n))).toEqual(['UNKNOWN_CHANNEL', 0n]);
    expect(await answer(peer, signedClaim(3n, 30n))).toEqual(['COMMITTED', 30n]);
    expect(await node.closeChannel(3n)).toMatchObject({ state: 'closed', committed: 30n });
    expect(await answer(peer, signedClaim(3n, 40n))).toEqual(['CHANNEL_CLOSED', 40n]);
    expectMeasured(node, 3);
    const rows = node.channels(0, 10);
    const { counters } = (await node.stop()) as { counters: Record<string, unknown> };
    expect(counters.committed).toBe(3);

    const again = await start(data, options);
    expect(again.node.channels(0, 10)).toEqual(rows);
    expect(again.node.channel(1n)!.signature).toEqual(signedClaim(1n, 500n).subarray(21, 85));
    expect(await answer(again.peer, signedClaim(3n, 40n))).toEqual(['CHANNEL_CLOSED', 40n]);
    expect(await answer(again.peer, signedClaim(1n, 500n))).toEqual(['ALREADY', 500n]);
    expect(await answer(again.peer, signedClaim(1n, 600n))).toEqual(['COMMITTED', 600n]);
  });
});

describe('update', () => {
  test('raises, lowers, and refuses what is below the committed amount', async () => {
    const data = freshFolder();
    const { node, peer } = await start(data);
    await node.openChannels([openingOf(1n, { capacity: 100n })]);
    expect(await answer(peer, signedClaim(1n, 101n))).toEqual(['OVER_CAPACITY', 100n]);
    expect(await node.updateChannel(1n, { capacity: 2n ** 33n })).toMatchObject({ capacity: 2n ** 33n });
    expect(await answer(peer, signedClaim(1n, 300n))).toEqual(['COMMITTED', 300n]);
    await expect(node.updateChannel(1n, { capacity: 299n })).rejects.toMatchObject({
      code: 'CAPACITY_BELOW_COMMITTED',
    });
    expect(node.channel(1n)!.capacity).toBe(2n ** 33n);
    expect(await node.updateChannel(1n, { capacity: 300n })).toMatchObject({ capacity: 300n });
    expect(await answer(peer, signedClaim(1n, 301n))).toEqual(['OVER_CAPACITY', 300n]);
    // Wider in one field and narrower in the other.
    const soon = Math.floor(Date.now() / 1_000) + 3_600;
    expect(await node.updateChannel(1n, { capacity: 400n, expiresAt: soon })).toMatchObject({
      capacity: 400n,
      expiresAt: soon,
    });
    expect(await answer(peer, signedClaim(1n, 400n))).toEqual(['COMMITTED', 400n]);
    await node.updateChannel(1n, { expiresAt: 1 });
    expect(await answer(peer, signedClaim(1n, 399n))).toEqual(['CHANNEL_CLOSED', 399n]);
    await node.updateChannel(1n, { expiresAt: 0, capacity: 500n });
    expect(await answer(peer, signedClaim(1n, 450n))).toEqual(['COMMITTED', 450n]);
    await expect(node.updateChannel(2n, {})).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    await node.closeChannel(1n);
    await expect(node.updateChannel(1n, { capacity: 900n })).rejects.toMatchObject({ code: 'CHANNEL_CLOSED' });
    await node.stop();
    await expect(node.updateChannel(1n, {})).rejects.toMatchObject({ code: 'NODE_STOPPING' });
    const again = await start(data);
    expect(again.node.channel(1n)).toMatchObject({ capacity: 500n, committed: 450n, expiresAt: 0, state: 'closed' });
  });

  test.each(LAYOUTS)(
    'lowering and closing while claims are in flight hold from the moment they resolve (%s)',
    async (layout) => {
      const { node, peer } = await start(freshFolder(), { layout });
      const rounds = 12;
      await node.openChannels(Array.from({ length: rounds * 2 }, (_, index) => openingOf(BigInt(index + 1))));
      const outcomes = { lowered: 0, refused: 0 };
      for (let round = 0; round < rounds; round++) {
        const [lowered, closed] = [BigInt(round * 2 + 1), BigInt(round * 2 + 2)];
        const claims = Array.from({ length: 12 }, (_, index) => [
          signedClaim(lowered, BigInt(index * 100 + 100)),
          signedClaim(closed, BigInt(index * 100 + 100)),
        ]).flat();
        for (let index = 0; index < claims.length; index += 4) {
          void peer.send(new Uint8Array(Buffer.concat(claims.slice(index, index + 4))));
          if (index === 8) await new Promise((resolve) => setTimeout(resolve, round));
        }
        const update = node.updateChannel(lowered, { capacity: 650n }).then(
          ({ capacity }) => {
            outcomes.lowered++;
            expect(capacity).toBe(650n);
            expect(node.channel(lowered)!.committed).toBeLessThanOrEqual(650n);
            return 650n;
          },
          (error: { code: string }) => {
            outcomes.refused++;
            expect(error.code).toBe('CAPACITY_BELOW_COMMITTED');
            return 1_000_000n;
          },
        );
        const row = await node.closeChannel(closed);
        const capacity = await update;
        await new Promise((resolve) => setTimeout(resolve, 30));
        expect(node.channel(closed)).toEqual(row);
        expect(node.channel(lowered)!.committed).toBeLessThanOrEqual(capacity);
      }
      expect(outcomes.lowered + outcomes.refused).toBe(rounds);
      expect(outcomes.lowered).toBeGreaterThan(0);
    },
  );
});

test('a bulk opening takes one handle per ledger channel, within the call too, and no more than fit', async () => {
  const { node } = await start(freshFolder(), { channelsMax: 6 });
  const one = openingOf(1n);
  const other = { ...openingOf(2n), ledgerChannelId: one.ledgerChannelId };
  const third = { ...openingOf(3n), ledgerChannelId: openingOf(77n).ledgerChannelId };
  const fourth = { ...third, channelId: 4n };
  const fifth = openingOf(77n);
  const result = await node.openChannels([one, other, third, fourth, fifth]);
  expect(result.opened).toBe(2);
  expect(result.refused.map(({ index, code }) => [index, code])).toEqual([
    [1, 'CHANNEL_EXISTS'],
    [3, 'CHANNEL_EXISTS'],
    [4, 'CHANNEL_EXISTS'],
  ]);
  const more = await node.openChannels([other, fifth, ...[10n, 11n, 12n, 13n, 14n].map((id) => openingOf(id))]);
  expect(more.opened).toBe(4);
  expect(more.refused.map(({ code }) => code)).toEqual(['CHANNEL_EXISTS', 'CHANNEL_EXISTS', 'TABLE_FULL']);
});

test('a key that is no point of its curve opens nothing, and the others stand', async () => {
  const { node } = await start(freshFolder());
  const offCurve = { ...openingOf(2n), publicKey: new Uint8Array(33).fill(0xff).fill(2, 0, 1) };
  const result = await node.openChannels([openingOf(1n), offCurve, openingOf(3n), openingOf(1n, { capacity: 7n })]);
  expect(result.opened).toBe(2);
  expect(result.refused.map(({ index, code }) => [index, code])).toEqual([
    [1, 'INPUT_INVALID'],
    [3, 'CHANNEL_EXISTS'],
  ]);
  expect(node.channel(2n)).toBeUndefined();
  expect(node.channel(3n)).toBeDefined();
});

describe('a data folder has one node', () => {
  test('in another process and in this one', async () => {
    const data = freshFolder();
    const { node, peer } = await start(data);
    await node.openChannels([openingOf(1n)]);
    const script = `import { ClaimwireNode } from ${JSON.stringify(DIST)};
      try { await ClaimwireNode.start(${JSON.stringify({ data, udp: { host: '127.0.0.1', port: 0 }, ...storeUnderTest.options(data) })}); console.log('started'); }
      catch (error) { console.log(error.code); } process.exit();`;
    const other = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(other.stdout.trim()).toBe('DATA_LOCKED');
    const udp = { host: '127.0.0.1', port: 0 };
    await expect(
      ClaimwireNode.start({ data: `${data}/.`, udp, ...storeUnderTest.options(data) }),
    ).rejects.toMatchObject({ code: 'DATA_LOCKED' });
    expect(await answer(peer, signedClaim(1n, 5n))).toEqual(['COMMITTED', 5n]);
    await node.stop();
    const again = await start(data);
    expect(again.node.channel(1n)!.committed).toBe(5n);
  });

  test('a start that fails lets go of it', async () => {
    const data = freshFolder();
    const { node } = await start(freshFolder());
    const port = Number(node.udp.split(':')[1]);
    const taken = { host: '127.0.0.1', port };
    await expect(ClaimwireNode.start({ data, udp: taken, ...storeUnderTest.options(data) })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    const small = { data, udp: { host: '127.0.0.1', port: 0 }, ...storeUnderTest.options(data), segmentBytes: 4_096 };
    await expect(ClaimwireNode.start(small)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect((await start(data)).node.ready).toBe(true);
  });
});

/**
 * Several lanes behind one UDP address: claims spread over sockets and journals, balances that are a maximum whatever the
 * lane, restarts with other layouts, damage in one journal, and a failure in one lane. Runs the compiled code, since
 * threads cannot run TypeScript.
 */
import dgram from 'node:dgram';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { claimAmountHigh, claimAmountLow, claimChannelLow } from '../../protocol/claim.ts';
import { STATUS } from '../../protocol/layout.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import { recoverJournal } from '../../src/journal/walk.ts';
import { walkRegistry } from '../../src/registry/check.ts';
import { getJson, NodeProcess, openChannels } from '../support/node-process.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { ThrowawayChannel, withBadSignature } from '../support/throwaway-claims.ts';
import { WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-lanes-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

let folders = 0;
const freshFolder = () => join(ROOT, String(folders++));
const running = new Set<{ stop(): Promise<unknown> }>();
const peers = new Set<WirePeer>();
afterEach(async () => {
  for (const peer of peers) peer.close();
  peers.clear();
  await Promise.all([...running].map((node) => node.stop()));
  running.clear();
});

const LOCAL = { host: '127.0.0.1', port: 0 };

async function start(data: string, options: NodeOptions = {}): Promise<ClaimwireNode> {
  const settings = { channelsMax: 4_096, segmentBytes: 1 << 20, checkpointSeconds: 86_400 };
  const lanes = options.layout === 'pipeline' ? {} : { lanes: 3 };
  const node = await ClaimwireNode.start({
    data,
    udp: LOCAL,
    ...storeUnderTest.options(data),
    ...lanes,
    ...settings,
    ...options,
  });
  running.add(node);
  return node;
}

async function peersTo(udp: string, count: number): Promise<WirePeer[]> {
  const made = await Promise.all(Array.from({ length: count }, () => WirePeer.to(udp)));
  for (const peer of made) peers.add(peer);
  return made;
}

const openingsOf = (payers: readonly ThrowawayChannel[]) =>
  payers.map(({ channelId, ledgerChannelId, publicKey }) => ({
    channelId,
    ledgerChannelId,
    publicKey,
    capacity: 1_000_000_000n,
    profile: 'xrpl' as const,
    expiresAt: 0,
  }));
const payersOf = (count: number) =>
  Array.from({ length: count }, (_, index) => new ThrowawayChannel(BigInt(index + 1)));
const concat = (claims: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(claims));
const laneFolder = (data: string, lane: number) => join(data, 'journal', String(lane));

/** What lane `lane` has written: groups, and the highest amount of each channel. */
async function written(data: string, lane: number): Promise<{ groups: number; best: Map<bigint, bigint> }> {
  const best = new Map<bigint, bigint>();
  const take = (bytes: Uint8Array, offset: number) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const channelId = BigInt(claimChannelLow(view, offset));
    const amount = (BigInt(claimAmountHigh(view, offset)) << 32n) | BigInt(claimAmountLow(view, offset));
    if (amount > (best.get(channelId) ?? 0n)) best.set(channelId, amount);
  };
  if (storeUnderTest.isEmbedded)
    return { groups: recoverJournal(laneFolder(data, lane), take, { sync: false }).groups, best };
  const groups = await storeUnderTest.databases.groupsOf(data, lane);
  for (const records of groups)
    for (let offset = 0; offset < records.length; offset += RECORD_BYTES) take(records, offset);
  return { groups: groups.length, best };
}
const writtenByLane = (data: string) => Promise.all([0, 1, 2].map((lane) => written(data, lane)));

/** Highest amount each channel was told is durable. */
function acknowledged(heard: Iterable<WirePeer>): Map<bigint, bigint> {
  const best = new Map<bigint, bigint>();
  for (const { acks } of heard)
    for (const { status, channelId, amount } of acks)
      if ((status === STATUS.COMMITTED || status === STATUS.ALREADY) && amount > (best.get(channelId) ?? 0n))
        best.set(channelId, amount);
  return best;
}

/** Each peer pays its own channel, and is answered. */
async function payAll(paying: readonly WirePeer[], payers: readonly ThrowawayChannel[], amount: bigint): Promise<void> {
  await Promise.all(
    paying.map((peer, index) => peer.ack((ack) => ack.amount === amount, payers[index]!.claim(amount))),
  );
}

test('peers spread over the lanes, each lane has a journal, and every answer comes from the one address', async () => {
  const data = freshFolder();
  const node = await start(data);
  expect(node.config).toMatchObject({ layout: 'lanes', sockets: 'native', lanes: 3 });
  const payers = payersOf(64);
  await node.openChannels(openingsOf(payers));
  const sockets = payers.map(() => dgram.createSocket('udp4'));
  const [host, port] = node.udp.split(':') as [string, string];
  // Not connected: an answer from any other address would be taken too.
  const origins = await Promise.all(
    sockets.map(async (socket, index) => {
      const origin = new Promise<string>((resolve) =>
        socket.once('message', (_, from) => resolve(`${from.address}:${from.port}`)),
      );
      const again = setInterval(() => socket.send(payers[index]!.claim(5n), Number(port), host), 300);
      socket.send(payers[index]!.claim(5n), Number(port), host);
      const from = await origin;
      clearInterval(again);
      return from;
    }),
  );
  // The ports that the system picked say how many come to each lane.
  const expected = [0, 0, 0];
  for (const socket of sockets) expected[socket.address().port % 3]!++;
  for (const socket of sockets) socket.close();
  expect(new Set(origins)).toEqual(new Set([node.udp]));
  const lanes = await writtenByLane(data);
  for (const { groups } of lanes) expect(groups).toBeGreaterThan(0);
  // A peer stays with one lane, so its channel is in one journal.
  expect(lanes.map(({ best }) => best.size).toSorted()).toEqual(expected.toSorted());
  const { counters, ring } = node.stats();
  expect(counters).toMatchObject({ committed: 64, groupCommits: lanes.reduce((sum, { groups }) => sum + groups, 0) });
  expect(ring.depth).toBe(0);
});

test('a channel paid through many sockets at once never falls and ends at the maximum', async () => {
  const data = freshFolder();
  const node = await start(data);
  const [payer] = payersOf(1) as [ThrowawayChannel];
  await node.openChannels(openingsOf([payer]));
  const paying = await peersTo(node.udp, 24);
  const rounds = 60;
  const claims = Array.from({ length: rounds * paying.length }, (_, index) => payer.claim(BigInt(index + 1)));
  let seen = 0n;
  const look = () => {
    const { committed } = node.channel(1n)!;
    expect(committed).toBeGreaterThanOrEqual(seen);
    seen = committed;
    // An ack is never ahead of what is durable, whichever lane it came from.
    const told = acknowledged(paying).get(1n) ?? 0n;
    expect(node.channel(1n)!.committed).toBeGreaterThanOrEqual(told);
  };
  for (let round = 0; round < rounds; round++) {
    // Amounts of one round go out in any order, so that lanes hold higher and lower ones at the same time.
    const batch = claims.slice(round * paying.length, (round + 1) * paying.length);
    await Promise.all(paying.map((peer, index) => peer.send(batch[(index * 7 + round) % batch.length]!)));
    look();
    await new Promise(setImmediate);
    look();
  }
  const last = claims.at(-1)!;
  const end = BigInt(claims.length);
  await Promise.all(paying.map((peer) => peer.ack(({ amount }) => amount === end, last)));
  look();
  expect(node.channel(1n)).toMatchObject({ committed: end, signature: last.slice(21, 85) });
  // More than one lane had a part in it.
  expect((await writtenByLane(data)).filter(({ groups }) => groups > 0).length).toBeGreaterThan(1);
  await node.stop();
  const again = await start(data);
  expect(again.channel(1n)).toMatchObject({ committed: end, signature: last.slice(21, 85) });
});

test('kill -9 and other layouts: 3 lanes, 1, a pipeline, 2: every lane’s log is replayed, then emptied', async () => {
  const data = freshFolder();
  const payers = payersOf(48);
  const told = new Map<bigint, bigint>();
  const layouts = [
    ['--lanes', '3'],
    ['--lanes', '1'],
    ['--layout', 'pipeline'],
    ['--lanes', '2'],
    ['--lanes', '3'],
  ];
  for (const [index, flags] of layouts.entries()) {
    const node = new NodeProcess(data, [...flags, '--channels-max', '4096']);
    const ready = await node.ready;
    if (index === 0)
      await openChannels(
        ready,
        data,
        payers.map(({ channelId, ledgerChannelId, publicKey }) => ({
          channelId: String(channelId),
          ledgerChannelId: Buffer.from(ledgerChannelId).toString('hex').toUpperCase(),
          publicKey: Buffer.from(publicKey).toString('hex').toUpperCase(),
          capacity: '1000000000',
        })),
      );
    const rows = await getJson<{ channelId: string; committed: string }[]>(ready, '/channels?limit=1000');
    expect(rows).toHaveLength(payers.length);
    for (const { channelId, committed } of rows) {
      const amount = told.get(BigInt(channelId)) ?? -5n;
      // What was in flight when the node was killed may be there or not.
      expect(
        amount > 0n && amount % 10n === 5n ? [amount] : [amount, amount + 5n],
        `${channelId} after ${layouts[index - 1]}`,
      ).toContain(BigInt(committed));
    }
    const paying = await peersTo(ready.udp, payers.length);
    const amount = BigInt(index * 10 + 10);
    await payAll(paying, payers, amount);
    for (const payer of payers) told.set(payer.channelId, amount);
    await Promise.all(paying.map((peer, place) => peer.send(payers[place]!.claim(amount + 5n))));
    node.kill('SIGKILL');
    expect((await node.exit).signal).toBe('SIGKILL');
    for (const peer of paying) {
      peer.close();
      peers.delete(peer);
    }
    for (const [channelId, best] of acknowledged(paying)) told.set(channelId, best);
    const used = flags[0] === '--layout' ? 1 : Number(flags[1]);
    for (const [lane, { groups }] of (await writtenByLane(data)).entries())
      expect(groups > 0, `lane ${lane} with ${flags}`).toBe(lane < used);
  }
}, 60_000);

describe.runIf(storeUnderTest.isEmbedded)('a damaged journal in one lane', () => {
  /** A folder that a node with 3 lanes was killed over, two groups or more in each; channels of each lane. */
  async function killed(): Promise<{ data: string; byLane: Map<bigint, bigint>[]; segment: string }> {
    const data = freshFolder();
    const node = new NodeProcess(data, ['--lanes', '3', '--channels-max', '4096']);
    const ready = await node.ready;
    const payers = payersOf(48);
    await openChannels(
      ready,
      data,
      payers.map(({ channelId, ledgerChannelId, publicKey }) => ({
        channelId: String(channelId),
        ledgerChannelId: Buffer.from(ledgerChannelId).toString('hex').toUpperCase(),
        publicKey: Buffer.from(publicKey).toString('hex').toUpperCase(),
        capacity: '1000000000',
      })),
    );
    const paying = await peersTo(ready.udp, payers.length);
    for (const amount of [10n, 20n, 30n]) await payAll(paying, payers, amount);
    node.kill('SIGKILL');
    await node.exit;
    const byLane = (await writtenByLane(data)).map(({ best }) => best);
    return { data, byLane, segment: join(laneFolder(data, 1), '000000000001.seg') };
  }
  const everything = (data: string) =>
    [0, 1, 2].flatMap((lane) =>
      readdirSync(laneFolder(data, lane))
        .sort()
        .filter((name) => name.endsWith('.seg'))
        .map((name) => readFileSync(join(laneFolder(data, lane), name))),
    );

  function rows(data: string): Buffer {
    const found: Buffer[] = [];
    walkRegistry(join(data, 'registry'), (row) => found.push(Buffer.from(row)));
    return Buffer.concat(found);
  }

  test('refuses the start and changes nothing; the cut takes that lane’s damaged part, and only it', async () => {
    const { data, byLane, segment } = await killed();
    const bytes = readFileSync(segment);
    bytes[4_096 + 40]! ^= 0x40;
    writeFileSync(segment, bytes);
    const before = everything(data);
    const rowsBefore = rows(data);
    await expect(start(data)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' });
    // A lane that would not be used is looked at all the same.
    await expect(start(data, { lanes: 1 })).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' });
    expect(everything(data).every((file, index) => file.equals(before[index]!))).toBe(true);
    // Lanes that were sound have been replayed, and that is not written either.
    expect(rows(data).equals(rowsBefore)).toBe(true);

    const node = await start(data, { lanes: 2, cutJournal: true });
    for (const [lane, best] of byLane.entries()) {
      expect(best.size).toBeGreaterThan(0);
      for (const channelId of best.keys()) expect(node.channel(channelId)!.committed).toBe(lane === 1 ? 0n : 30n);
      expect(existsSync(join(laneFolder(data, lane), 'damaged-1'))).toBe(lane === 1);
    }
    expect(readFileSync(join(laneFolder(data, 1), 'damaged-1', '000000000001.seg')).equals(bytes)).toBe(true);
  }, 60_000);
});

describe('a second node on the same UDP address', () => {
  let node: ClaimwireNode;
  const payers = payersOf(30);
  beforeAll(async () => {
    node = await start(freshFolder());
    // It is there for every case.
    running.delete(node);
    await node.openChannels(openingsOf(payers));
  });
  afterAll(() => node.stop());

  test.each([
    ['lanes', { lanes: 2 }],
    ['one lane', { lanes: 1 }],
    ['pipeline', { layout: 'pipeline' }],
    ['dgram', { layout: 'pipeline', sockets: 'dgram' }],
  ] as const)('is refused although lanes share theirs (%s)', async (_, options) => {
    const udp = { host: '127.0.0.1', port: Number(node.udp.split(':')[1]) };
    const second = freshFolder();
    const before = node.stats().counters.committed as number;
    const settings = { data: second, ...storeUnderTest.options(second), channelsMax: 64, ...options, udp };
    await expect(ClaimwireNode.start(settings)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^--udp .*EADDRINUSE/),
    });
    // Nobody's claims went to it.
    await payAll(await peersTo(node.udp, payers.length), payers, BigInt(before + 7));
    expect(node.stats().counters).toMatchObject({ committed: before + payers.length });
  });

  test('nor may lanes join a node that has one socket', async () => {
    const node = await start(freshFolder(), { layout: 'pipeline', sockets: 'dgram' });
    const udp = { host: '127.0.0.1', port: Number(node.udp.split(':')[1]) };
    await expect(start(freshFolder(), { udp })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('the fence', () => {
  test('what closing and lowering return holds, claims coming in through every lane', async () => {
    const node = await start(freshFolder());
    const rounds = 10;
    const payers = payersOf(rounds * 2);
    await node.openChannels(openingsOf(payers));
    const paying = await peersTo(node.udp, 12);
    const outcomes = { lowered: 0, refused: 0 };
    for (let round = 0; round < rounds; round++) {
      const [closed, lowered] = [payers[round * 2]!, payers[round * 2 + 1]!];
      const each = 60;
      const datagrams = paying.map((_, index) =>
        Array.from({ length: each }, (__, step) => {
          const amount = BigInt(step * paying.length + index + 1);
          return concat([closed.claim(amount), lowered.claim(amount)]);
        }),
      );
      let isOver = false;
      const load = paying.map(async (peer, index) => {
        for (let step = 0; step < each && !isOver; step++) await peer.send(datagrams[index]![step]!);
      });
      // At once in every other round, so that some are lowered in time however fast the node is.
      if (round % 2 === 1) await new Promise((resolve) => setTimeout(resolve, round));
      const limit = 300n;
      const update = node.updateChannel(lowered.channelId, { capacity: limit }).then(
        ({ committed }) => {
          outcomes.lowered++;
          expect(committed).toBeLessThanOrEqual(limit);
          return limit;
        },
        (error: { code: string }) => {
          expect(error.code).toBe('CAPACITY_BELOW_COMMITTED');
          outcomes.refused++;
          return 1_000_000_000n;
        },
      );
      const row = await node.closeChannel(closed.channelId);
      expect(row.state).toBe('closed');
      const capacity = await update;
      await Promise.all(load);
      isOver = true;
      while (node.stats().ring.depth > 0) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(node.channel(closed.channelId)).toEqual(row);
      expect(node.channel(lowered.channelId)!.committed).toBeLessThanOrEqual(capacity);
      expect(acknowledged(paying).get(closed.channelId) ?? 0n).toBeLessThanOrEqual(row.committed);
    }
    expect(outcomes.lowered + outcomes.refused).toBe(rounds);
    expect(outcomes.lowered).toBeGreaterThan(0);
  });

  test('many at once are all passed, with nothing coming in', async () => {
    const node = await start(freshFolder());
    const payers = payersOf(40);
    await node.openChannels(openingsOf(payers));
    const rows = await Promise.all(payers.map(({ channelId }) => node.closeChannel(channelId)));
    expect(rows.every(({ state }) => state === 'closed')).toBe(true);
  });
});

/** A database is always waited for. */
const QUICKLY = storeUnderTest.isEmbedded ? { durability: 'os' } : {};

describe.each([
  ['lanes', { lanes: 2 }],
  ['pipeline', { layout: 'pipeline', verifiers: 2 }],
  // A ring that wraps all the time: slots change hands while a batch is being judged.
  ['pipeline, a small ring', { layout: 'pipeline', verifiers: 3, ringSlots: 32, ...QUICKLY }],
] as const)('%s under load', (_, layout) => {
  test.each(['every', 'newest'] as const)(
    'every claim is accounted for, verified %s, up to the stop',
    async (verify) => {
      const data = freshFolder();
      const node = await start(data, { verifiers: 2, ...layout, verify } as NodeOptions);
      const payers = payersOf(6);
      await node.openChannels(openingsOf(payers));
      const paying = await peersTo(node.udp, 6);
      const forged = new Set<string>();
      const highest = new Map<bigint, bigint>();
      const datagrams = Array.from({ length: 200 }, (__, round) => {
        const claims: Uint8Array[] = [];
        for (let index = 0; index < 12; index++) {
          const payer = payers[(round + (index >> 2)) % payers.length]!;
          // Rising, falling, some twice, some forged, the highest of a datagram too.
          const amount = BigInt(round * 4 + ((index * 5) % 7) + 1);
          const claim = payer.claim(amount);
          const isForged = (round * 12 + index) % 9 === 0;
          if (isForged) forged.add(`${payer.channelId}/${amount}`);
          else if (amount > (highest.get(payer.channelId) ?? 0n)) highest.set(payer.channelId, amount);
          claims.push(isForged ? withBadSignature(claim) : claim);
        }
        return concat(claims);
      });
      await Promise.all(
        paying.map(async (peer, index) => {
          for (let round = index; round < datagrams.length; round += paying.length) await peer.send(datagrams[round]!);
        }),
      );
      const { counters } = (await node.stop()) as unknown as {
        counters: Record<string, number> & { refused: Record<string, number>; dropped: Record<string, number> };
      };
      running.delete(node);
      const refused = Object.values(counters.refused).reduce((sum, count) => sum + count, 0);
      const settled = counters.committed! + counters.already! + counters.superseded! + refused;
      expect(settled).toBe(counters.received);
      const measured = node.measures().map(({ stages, group }) => [stages.sync.count, group.sum]);
      const total = (which: number) => measured.reduce((sum, counts) => sum + counts[which]!, 0);
      expect([total(0), total(1)]).toEqual([counters.committed, counters.committed]);
      expect(counters.received).toBeGreaterThan(0);
      if (verify === 'every') expect(counters.superseded).toBe(0);
      else expect(counters.superseded).toBeGreaterThan(0);
      const told = acknowledged(paying);
      const again = await start(data, { lanes: 1 });
      for (const { channelId } of payers) {
        const { committed, signature } = again.channel(channelId)!;
        expect(committed).toBeGreaterThanOrEqual(told.get(channelId) ?? 0n);
        expect(committed).toBeLessThanOrEqual(highest.get(channelId)!);
        // What is on record is the payer's own signature, never a forged one.
        if (committed > 0n) expect(signature).toEqual(payers[Number(channelId) - 1]!.claim(committed).slice(21, 85));
      }
    },
  );
});

test('a stop under load acknowledges what it took in, and every lane lets go of the address', async () => {
  const data = freshFolder();
  const node = await start(data);
  const payers = payersOf(12);
  await node.openChannels(openingsOf(payers));
  const paying = await peersTo(node.udp, payers.length);
  let isOver = false;
  let sent = 0;
  const load = paying.map(async (peer, index) => {
    for (let amount = 1n; !isOver && amount < 3_000n; amount++) {
      await peer.send(payers[index]!.claim(amount));
      sent++;
    }
  });
  while (sent < 300) await new Promise((resolve) => setTimeout(resolve, 1));
  const totals = (await node.stop()) as unknown as { counters: Record<string, number> };
  running.delete(node);
  isOver = true;
  await Promise.all(load);
  const { received, committed, already } = totals.counters as { received: number; committed: number; already: number };
  expect(committed + already).toBe(received);
  // The same address, at once.
  const again = await start(data, { udp: { host: '127.0.0.1', port: Number(node.udp.split(':')[1]) } });
  for (const [channelId, amount] of acknowledged(paying))
    expect(again.channel(channelId)!.committed).toBeGreaterThanOrEqual(amount);
});

test.runIf(storeUnderTest.isEmbedded)(
  'when one lane’s journal fails the whole node ends, and what any lane acknowledged is there again',
  async () => {
    const data = freshFolder();
    const node = await start(data, { lanes: 2 });
    // A file that is no segment stands where lane 1's next one belongs.
    const obstacle = join(laneFolder(data, 1), '000000000002.seg');
    writeFileSync(obstacle, 'not a segment');
    const failed = node.failed.catch((error: { code: string; message: string }) => error);
    let failure: Awaited<typeof failed> | undefined;
    void failed.then((error) => {
      failure = error;
    });
    const payers = payersOf(60);
    await node.openChannels(openingsOf(payers));
    const paying = await peersTo(node.udp, 16);
    const told = new Map<bigint, bigint>();
    const heard = (peer: WirePeer) => {
      for (const [channelId, amount] of acknowledged([peer]))
        if (amount > (told.get(channelId) ?? 0n)) told.set(channelId, amount);
      peer.acks.length = 0;
    };
    // A segment has room for 180 rounds of 60 records, or less; each waits for its answers, or they would share groups.
    for (let amount = 1n; failure === undefined && amount <= 3_000n; amount++) {
      const peer = paying[Number(amount) % paying.length]!;
      const claims = payers.map((payer) => payer.claim(amount));
      for (let at = 0; at < claims.length; at += 15) await peer.send(concat(claims.slice(at, at + 15)));
      await Promise.race([failed, peer.ack((ack) => ack.channelId === 60n && ack.amount === amount, claims.at(-1))]);
      heard(peer);
    }
    expect(await failed).toMatchObject({ code: 'NODE_FAILED' });
    expect(failure!.message).toContain(obstacle);
    expect(failure!.message).toMatch(/^lane thread/);
    expect(node.ready).toBe(false);
    await expect(node.closeChannel(1n)).rejects.toMatchObject({ code: 'NODE_STOPPING' });
    await node.stop();
    running.delete(node);
    for (const peer of paying) heard(peer);
    expect(told.size).toBe(payers.length);
    rmSync(obstacle);
    const again = await start(data, { lanes: 2 });
    for (const [channelId, amount] of told) expect(again.channel(channelId)!.committed).toBeGreaterThanOrEqual(amount);
  },
  60_000,
);

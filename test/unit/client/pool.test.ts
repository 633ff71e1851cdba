/** The pool's rules, on a manual clock and sockets in memory. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { TcpLink } from '../../../src/client/links/link-tcp.ts';
import { Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { ConnectionPool } from '../../../src/client/pool/pool.ts';
import type { PoolOptions } from '../../../src/client/pool/pool-options.ts';
import { FakeNetwork } from '../../support/client-fakes.ts';
import { framed, ledgerId } from '../../support/client-node.ts';
import { ackOf, ManualClock, payMore, rootSigner, stubSigner } from '../../support/payer-fakes.ts';

let clock: ManualClock;
let network: FakeNetwork;
let pool: ConnectionPool;
let payers: Payer[];

function openPool(options: Partial<PoolOptions> = {}): void {
  const { connect } = network;
  pool = new ConnectionPool({ to: 'tcp://node:1', clock, random: () => 0, connect, ...options });
}

/** With a time-out that never comes, unless told. */
function openPayer(limits: PayerLimits = {}): Payer {
  const rto = { initialMs: 1e6, minMs: 1e6, maxMs: 1e7 };
  const link = new TcpLink(pool, false);
  const payer = new Payer({ link, clock, random: () => 0, rto, ackTimeoutMs: 1e8, ...limits });
  payers.push(payer);
  return payer;
}

function channelsOf(payer: Payer, count: number, from = 0): PaymentChannel[] {
  return Array.from({ length: count }, (_, index) =>
    payer.channel({ ledgerChannelId: ledgerId(from + index), key: stubSigner }),
  );
}

const ignore = (promise: Promise<unknown>): void => void promise.catch(() => {});
const payAll = (channels: PaymentChannel[]) => Promise.all(channels.map((channel) => payMore(channel, 1n)));

async function allUp(): Promise<void> {
  for (const socket of network.open) socket.up();
  await network.settle();
}

beforeEach(() => {
  clock = new ManualClock();
  network = new FakeNetwork(clock);
  payers = [];
  openPool();
});
afterEach(async () => {
  for (const payer of payers) await payer.close();
  await pool.close();
  clock.turn();
  expect(network.open).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

describe('frames of Merkle batches', () => {
  const leavesOf = (payer: Payer, count: number, from = 0): PaymentChannel[] =>
    Array.from({ length: count }, (_, index) =>
      payer.channel({ ledgerChannelId: ledgerId(from + index), key: rootSigner }),
    );

  it('go by one connection each, and what was lost with it goes by another, in a new root', async () => {
    openPool({ connectionsMin: 2, connectionsMax: 2 });
    const payer = openPayer({ roots: { everyMs: 5 } });
    const channels = leavesOf(payer, 70);
    await allUp();
    const paid = payAll(channels);
    await network.advance(5);
    const [first, second] = network.sockets;
    const lost = second!.takeClaims();
    expect([first!.commit(), lost.length]).toEqual([64, 6]);
    second!.refuse('ECONNRESET');
    await network.settle();
    await network.advance(5);
    const again = first!.takeClaims();
    expect(again.map(({ channelId, sequence }) => [channelId, sequence])).toEqual(
      lost.map(({ channelId, sequence }) => [channelId, sequence + 1]),
    );
    first!.answer(...again.map((claim) => ackOf(claim)));
    await network.settle();
    expect((await paid).map(({ amount }) => amount)).toEqual(channels.map(() => 1n));
    expect(payer.stats()).toMatchObject({ rootsSigned: 2, waiting: 0, inFlight: 0, pool: { channels: 70 } });
    // Over a new connection some of the channels go there; a later root has them in another order, and its frames go whole all the same.
    await network.advance(100);
    await allUp();
    for (const socket of network.open) socket.commit();
    ignore(payAll(channels.toReversed()));
    await network.advance(5);
    expect(network.open.map((socket) => socket.commit()).reduce((sum, count) => sum + count)).toBe(70);
    await network.settle();
    expect(payer.stats().waiting).toBe(0);
  });

  it('wait for a connection, and for room on it, without a time-out', async () => {
    openPool({ connectionsMax: 1 });
    const payer = openPayer({ roots: { everyMs: 5 } });
    const paid = payAll(leavesOf(payer, 3));
    await network.advance(5);
    expect(pool.stats()).toMatchObject({ connections: 0, waiting: 3 });
    await allUp();
    await network.advance(5);
    const [socket] = network.sockets;
    expect(socket!.commit()).toBe(3);
    await network.settle();
    await paid;
    Object.defineProperty(socket!, 'writableLength', { value: 1 << 20, configurable: true });
    const more = payAll(leavesOf(payer, 3, 3));
    await network.advance(5);
    expect([pool.stats().held, socket!.commit()]).toEqual([3, 0]);
    Reflect.deleteProperty(socket!, 'writableLength');
    socket!.emit('drain');
    await network.advance(5);
    expect(socket!.commit()).toBe(3);
    await network.settle();
    await more;
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
  });
});

describe('connections', () => {
  it('are opened to the minimum by the first payer, and to the maximum by load', async () => {
    openPool({ connectionsMin: 2, connectionsMax: 3 });
    expect(network.sockets).toHaveLength(0);
    const payer = openPayer();
    expect(network.sockets).toHaveLength(2);
    await allUp();
    ignore(payAll(channelsOf(payer, 128)));
    expect(network.sockets).toHaveLength(2);
    ignore(payAll(channelsOf(payer, 200, 1_000)));
    expect(network.sockets).toHaveLength(3);
    await allUp();
    ignore(payAll(channelsOf(payer, 400, 2_000)));
    expect(network.sockets).toHaveLength(3);
    expect(pool.stats()).toMatchObject({ connections: 3, opened: 3, channels: 728 });
  });

  it('get the next channel where fewest are, and keep it', async () => {
    openPool({ connectionsMin: 3 });
    const channels = channelsOf(openPayer(), 30);
    await allUp();
    const homes = new Map<bigint, number>();
    for (let round = 0; round < 3; round += 1) {
      ignore(payAll(channels));
      await network.settle();
      network.sockets.forEach((socket, index) => {
        const claims = socket.takeClaims();
        expect(claims).toHaveLength(10);
        for (const { channelId } of claims) expect(homes.get(channelId) ?? index).toBe(index);
        for (const { channelId } of claims) homes.set(channelId, index);
      });
    }
    expect(pool.stats()).toMatchObject({ reused: 30, waits: 0 });
  });

  it('share the channels with one that joins', async () => {
    const channels = channelsOf(openPayer(), 100);
    await allUp();
    ignore(payAll(channels));
    await allUp();
    // What the moved ones had on their way goes out again: the connection they left may be lost with it.
    expect(network.sockets.map((socket) => socket.commit())).toEqual([100, 50]);
    await network.settle();
    const paid = payAll(channels);
    await network.settle();
    expect(network.sockets.map((socket) => socket.commit())).toEqual([50, 50]);
    await network.settle();
    await paid;
  });

  it('are replaced when lost: what is unacknowledged goes out on the others at once, acknowledged claims do not', async () => {
    openPool({ connectionsMin: 2 });
    const channels = channelsOf(openPayer(), 10);
    await allUp();
    const paid = payAll(channels);
    await network.settle();
    const [first, second] = network.sockets;
    const claims = first!.takeClaims();
    second!.takeClaims();
    first!.answer(ackOf(claims[0]!), ackOf(claims[1]!));
    await network.settle();
    first!.refuse('ECONNRESET');
    await network.settle();
    expect(network.sockets).toHaveLength(3);
    const again = second!.takeClaims();
    expect(again.map(({ channelId }) => channelId)).toEqual(claims.slice(2).map(({ channelId }) => channelId));
    second!.answer(...again.map((claim) => ackOf(claim)));
    expect(pool.stats()).toMatchObject({ resets: 1, openFailures: 0 });
    expect(payers[0]!.stats()).toMatchObject({ retransmits: 3, claimsSent: 13, socketErrors: 1 });
    ignore(paid);
  });

  it('are tried again after a back-off that grows to a bound', async () => {
    ignore(payMore(channelsOf(openPayer({ waitForNode: true }), 1)[0]!, 1n));
    const delays: number[] = [];
    for (let tries = 1; tries <= 8; tries += 1) {
      const from = clock.time;
      network.sockets.at(-1)!.refuse();
      await network.settle();
      while (network.sockets.length === tries) await network.advance(1);
      delays.push(clock.time - from);
    }
    expect(delays).toEqual([50, 100, 200, 400, 800, 1_000, 1_000, 1_000]);
    expect(pool.stats()).toMatchObject({ openFailures: 8, opened: 0, waiting: 1, waits: 1 });
    // One that comes up and goes without a word is no better; one that acknowledged is replaced at once.
    await allUp();
    network.sockets.at(-1)!.refuse();
    await network.settle();
    expect(network.open).toHaveLength(0);
    await network.advance(1_000);
    await allUp();
    network.open[0]!.commit();
    await network.settle();
    network.open[0]!.refuse();
    await network.settle();
    expect(network.open).toHaveLength(1);
  });

  it('that do not come up in time are given up', async () => {
    openPool({ connectTimeoutMs: 1_000 });
    ignore(payMore(channelsOf(openPayer(), 1)[0]!, 1n));
    await network.advance(900);
    expect(network.open).toHaveLength(1);
    await network.advance(400);
    expect(network.sockets[0]!.destroyed).toBe(true);
    expect(network.sockets.length).toBeGreaterThan(1);
    expect(pool.stats()).toMatchObject({ openFailures: 1, resets: 0 });
  });

  it('above the minimum are closed when idle, and their channels find another', async () => {
    openPool({ idleTimeoutMs: 5_000 });
    const channels = channelsOf(openPayer(), 100);
    await allUp();
    ignore(payAll(channels));
    await allUp();
    for (const socket of network.sockets) socket.commit();
    await network.settle();
    expect(pool.stats().connections).toBe(2);
    await network.advance(5_500);
    expect(pool.stats()).toMatchObject({ connections: 1, evicted: 1, resets: 0 });
    const paid = payAll(channels);
    await network.settle();
    expect(network.open[0]!.claims).toHaveLength(100);
    ignore(paid);
  });

  it('that are idle are asked hello, and cut without an answer', async () => {
    openPayer();
    await allUp();
    const [socket] = network.sockets;
    await network.advance(8_500);
    expect(socket!.controls).toEqual([expect.objectContaining({ type: 'hello', versions: [1] })]);
    socket!.answersHello = false;
    await network.advance(8_500);
    expect(socket!.controls).toHaveLength(2);
    expect(pool.stats()).toMatchObject({ probes: 2, cutSilent: 0 });
    await network.advance(2_500);
    expect(socket!.destroyed).toBe(true);
    expect(pool.stats()).toMatchObject({ cutSilent: 1, resets: 1 });
    expect(network.open).toHaveLength(1);
  });

  it('that owe an answer are cut after a few time-outs, and not while they say something', async () => {
    const payer = openPayer({ rto: { initialMs: 1_000, minMs: 1_000 } });
    const [channel, other] = channelsOf(payer, 2);
    await allUp();
    const [socket] = network.sockets;
    const paid = payMore(channel!, 1n);
    for (let second = 0; second < 6; second += 1) {
      ignore(payMore(other!, 1n));
      await network.settle();
      const claims = socket!.takeClaims().filter(({ channelId }) => channelId === other!.channelId);
      socket!.answer(...claims.map((claim) => ackOf(claim)));
      await network.advance(1_000);
    }
    expect(socket!.destroyed).toBe(false);
    await network.advance(4_500);
    expect(socket!.destroyed).toBe(true);
    expect(pool.stats().cutSilent).toBe(1);
    await allUp();
    network.open[0]!.commit();
    await network.settle();
    await paid;
  });

  it('that speak no protocol are cut, and what they carried goes on elsewhere', async () => {
    openPool({ connectionsMin: 2 });
    const channels = channelsOf(openPayer(), 2);
    await allUp();
    const paid = payAll(channels);
    await network.settle();
    const [first, second] = network.sockets;
    first!.push(Buffer.from([0, 0, 0, 0]));
    await network.settle();
    expect(first!.destroyed).toBe(true);
    expect(second!.commit()).toBe(2);
    await network.settle();
    await paid;
    second!.push(framed(Uint8Array.of(0x90)));
    await network.settle();
    expect(second!.destroyed).toBe(true);
    expect(pool.stats()).toMatchObject({ cutGarbage: 2, resets: 2 });
  });

  it('with a payload of unknown frames go on, and count it', async () => {
    const [channel] = channelsOf(openPayer(), 1);
    await allUp();
    const paid = payMore(channel!, 1n);
    await network.settle();
    const [socket] = network.sockets;
    socket!.push(framed(Uint8Array.of(0x55, 1, 2)));
    socket!.push(framed(new Uint8Array(31).fill(2)));
    socket!.push(framed(new Uint8Array(93).fill(1)));
    socket!.push(framed(Uint8Array.of(0x80, 1, 2)));
    socket!.commit();
    await network.settle();
    await paid;
    expect(pool.stats()).toMatchObject({ malformed: 3, unmatched: 1, resets: 0 });
  });
});

describe('waiting', () => {
  it('for a connection is measured, and what waits is asked for its newest claim only', async () => {
    const [channel] = channelsOf(openPayer(), 1);
    ignore(payMore(channel!, 1n));
    await network.advance(300);
    ignore(payMore(channel!, 1n));
    await network.advance(100);
    await allUp();
    expect(network.sockets[0]!.claims.map(({ amount }) => amount)).toEqual([2n]);
    expect(pool.stats()).toMatchObject({ waits: 1, waitMs: 400, waiting: 0, waitTimeouts: 0 });
    expect(payers[0]!.stats()).toMatchObject({ retransmits: 0, claimsSent: 1 });
  });

  it('ends after the acquire time-out, of which the payer hears; its own time-out tries again', async () => {
    openPool({ acquireTimeoutMs: 1_000, connectTimeoutMs: 60_000 });
    const payer = openPayer({ rto: { initialMs: 1_500, minMs: 1_500 } });
    ignore(payMore(channelsOf(payer, 1)[0]!, 1n));
    await network.advance(1_300);
    expect(pool.stats()).toMatchObject({ waiting: 0, waitTimeouts: 1 });
    expect(payer.stats()).toMatchObject({ socketErrors: 1, waiting: 1 });
    await network.advance(300);
    expect(pool.stats()).toMatchObject({ waiting: 1, waits: 2 });
    await allUp();
    expect(network.sockets[0]!.claims).toHaveLength(1);
  });

  it('for room keeps no claims: unsent bytes are bounded, and newer amounts replace older ones', async () => {
    openPool({ connectionsMax: 1 });
    const channels = channelsOf(openPayer({ window: 1e6 }), 4_000);
    await allUp();
    const [socket] = network.sockets;
    socket!.stalled = true;
    ignore(payAll(channels));
    await network.settle();
    const { held } = pool.stats();
    expect(held).toBeGreaterThan(1_000);
    expect(socket!.writableLength).toBeLessThan(300_000);
    ignore(payAll(channels));
    await network.settle();
    expect(socket!.writableLength).toBeLessThan(300_000);
    socket!.drain();
    await network.settle();
    const newest = new Map(socket!.takeClaims().map(({ channelId, amount }) => [channelId, amount]));
    expect([...newest.values()].filter((amount) => amount === 2n).length).toBeGreaterThanOrEqual(held);
    expect(newest.size).toBe(4_000);
    expect(payers[0]!.stats().claimsSent).toBeLessThan(8_000 - held + 1);
  });
});

describe('payers of one pool', () => {
  it('each get their own acks, however those are mixed', async () => {
    const [one, two] = [openPayer(), openPayer()];
    const mine = channelsOf(one, 5);
    const yours = channelsOf(two, 5, 100);
    await allUp();
    const paid = [payAll(mine), payAll(yours)];
    await network.settle();
    const [socket] = network.sockets;
    const claims = socket!.takeClaims();
    expect(claims).toHaveLength(10);
    const mixed = [0, 5, 6, 1, 2, 7, 3, 8, 9, 4].map((index) => claims[index]!);
    socket!.answer(...mixed.map((claim) => ackOf(claim)), ackOf(claims[0]!, { channelId: 77n }));
    await network.settle();
    await Promise.all(paid);
    for (const payer of [one, two])
      expect(payer.stats()).toMatchObject({ acks: { COMMITTED: 5 }, unmatched: 0, malformed: 0 });
    expect(pool.stats().unmatched).toBe(1);
  });

  it('leave nothing behind', async () => {
    const [one, two] = [openPayer(), openPayer()];
    const [mine] = channelsOf(one, 1);
    const [yours] = channelsOf(two, 1, 1);
    ignore(payMore(mine!, 1n));
    ignore(payMore(yours!, 1n));
    await one.close();
    expect(pool.stats().waiting).toBe(1);
    await allUp();
    expect(network.sockets[0]!.takeClaims().map(({ channelId }) => channelId)).toEqual([yours!.channelId]);
    expect(pool.stats().channels).toBe(1);
    const [again] = channelsOf(two, 1);
    ignore(payMore(again!, 3n));
    await network.settle();
    const [claim] = network.sockets[0]!.takeClaims();
    network.sockets[0]!.answer(ackOf(claim!, { status: STATUS.ALREADY }));
    await network.settle();
    expect(again!.committed).toBe(3n);
  });
});

describe('bad use', () => {
  it.each([
    [{ to: 'udp://h:1' }, 'to: expected tcp://HOST:PORT (or tls), got udp://h:1'],
    [{ connectionsMax: 0 }, 'connectionsMax: expected a whole number of at least 1, got 0'],
    [{ connectionsMin: 5, connectionsMax: 4 }, 'connectionsMax: expected a whole number of at least 5'],
    [{ connectionsMin: -1 }, 'connectionsMin: expected'],
    [{ idleTimeoutMs: 0 }, 'idleTimeoutMs: expected'],
  ])('%j is told what was expected', (options, message) => {
    expect(() => new ConnectionPool({ to: 'tcp://h:1', ...options })).toThrow(message);
  });
});

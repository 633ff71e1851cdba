/** `auto://`: UDP while it gets through, TCP while it does not; on a manual clock, and on loopback. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Claim } from '../../../protocol/claim.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { AutoLink } from '../../../src/client/links/link-auto.ts';
import { TcpLink } from '../../../src/client/links/link-tcp.ts';
import { UdpLink } from '../../../src/client/links/link-udp.ts';
import { Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { ConnectionPool } from '../../../src/client/pool/pool.ts';
import { FakeNetwork } from '../../support/client-fakes.ts';
import { ledgerId, ModelNode, until } from '../../support/client-node.ts';
import { ackOf, ManualClock, MemorySocket, payMore, rootSigner, stubSigner } from '../../support/payer-fakes.ts';

const ignore = (promise: Promise<unknown>): void => void promise.catch(() => {});

describe('auto, by its rules', () => {
  let clock: ManualClock;
  let network: FakeNetwork;
  let udp: MemorySocket;
  let payer: Payer;
  let channels: PaymentChannel[];
  beforeEach(() => open());

  function open(limits: PayerLimits = {}): void {
    clock = new ManualClock();
    network = new FakeNetwork(clock);
    udp = new MemorySocket();
    const pool = new ConnectionPool({ to: 'tcp://node:1', clock, random: () => 0, connect: network.connect });
    const link = new AutoLink(new UdpLink(udp, clock), new TcpLink(pool, true), clock);
    payer = new Payer({ link, clock, random: () => 0, ackTimeoutMs: 1e8, ...limits });
    channels = Array.from({ length: 20 }, (_, number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: limits.roots === undefined ? stubSigner : rootSigner }),
    );
  }
  afterEach(async () => {
    await payer.close();
    clock.turn();
    expect(clock.pendingTimers).toBe(0);
  });

  const transport = () => [payer.stats().transport, payer.stats().transportSwitches];

  function answerUdp(claims: Claim[]): void {
    if (claims.length > 0) udp.deliver(...claims.map((claim) => ackOf(claim)));
  }

  /** Pays every 100 ms; each transport answers or not. */
  async function payFor(milliseconds: number, answers: { udp: boolean; tcp: boolean }): Promise<void> {
    for (let elapsed = 0; elapsed < milliseconds; elapsed += 100) {
      for (const channel of channels) ignore(payMore(channel, 1n));
      await network.settle();
      const byUdp = udp.takeClaims();
      if (answers.udp) answerUdp(byUdp);
      for (const socket of network.open) {
        socket.up();
        await network.settle();
        if (answers.tcp) socket.commit();
      }
      await network.settle();
      await network.advance(100);
    }
  }

  it('opens no connection while UDP answers', async () => {
    await payFor(5_000, { udp: true, tcp: false });
    expect(transport()).toEqual(['udp', 0]);
    expect(network.sockets).toHaveLength(0);
    expect(payer.stats()).toMatchObject({ retransmits: 0 });
  });

  it('is on TCP after 250 ms without any answer, with all that is unacknowledged', async () => {
    // With a time-out that never comes: the switch itself sends it again.
    await payer.close();
    open({ rto: { initialMs: 1e6, minMs: 1e6, maxMs: 1e7 } });
    const paid = Promise.all(channels.map((channel) => payMore(channel, 2n)));
    await network.settle();
    expect(udp.takeClaims()).toHaveLength(20);
    await network.advance(240);
    expect(transport()).toEqual(['udp', 0]);
    await network.advance(20);
    expect(transport()).toEqual(['tcp', 1]);
    network.open[0]!.up();
    await network.settle();
    expect(network.open[0]!.commit()).toBe(20);
    await network.settle();
    await paid;
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0, pool: { opened: 1 } });
  });

  it('carries roots by either, and finds its way back by them', async () => {
    await payer.close();
    open({ roots: { everyMs: 5 } });
    await payFor(1_000, { udp: false, tcp: true });
    expect(transport()).toEqual(['tcp', 1]);
    expect(payer.stats().rootsSigned).toBeGreaterThan(1);
    expect(channels.every(({ committed }) => committed > 0n)).toBe(true);
    await payFor(6_000, { udp: true, tcp: true });
    expect(transport()).toEqual(['udp', 2]);
  });

  it('waits for a few of the round trips it has measured', async () => {
    for (let count = 0; count < 20; count += 1) {
      ignore(payMore(channels[0]!, 1n));
      await network.settle();
      await network.advance(400);
      answerUdp(udp.takeClaims().slice(-1));
    }
    const { rtoMs } = payer.stats();
    expect(rtoMs).toBeGreaterThan(400);
    const switches = payer.stats().transportSwitches;
    ignore(payMore(channels[0]!, 1n));
    await network.settle();
    await network.advance(2 * rtoMs - 60);
    expect(payer.stats().transportSwitches).toBe(switches);
    await network.advance(200);
    expect(payer.stats()).toMatchObject({ transport: 'tcp', transportSwitches: switches + 1 });
  });

  it('goes back when UDP answers several probes in a row, of one a second', async () => {
    await payFor(400, { udp: false, tcp: true });
    await payFor(600, { udp: false, tcp: true });
    udp.takeClaims();
    await payFor(4_000, { udp: false, tcp: true });
    expect(transport()).toEqual(['tcp', 1]);
    const probes = udp.datagrams.length;
    expect(probes).toBe(0);
    await payFor(1_500, { udp: true, tcp: true });
    expect(transport()).toEqual(['tcp', 1]);
    // An answer that does not come: counted from the beginning.
    await payFor(1_000, { udp: false, tcp: true });
    await payFor(2_000, { udp: true, tcp: true });
    expect(transport()).toEqual(['tcp', 1]);
    await payFor(2_000, { udp: true, tcp: true });
    expect(transport()).toEqual(['udp', 2]);
    await payFor(1_000, { udp: true, tcp: false });
    expect(transport()).toEqual(['udp', 2]);
  });

  it('takes longer to go back each time UDP fails again soon', async () => {
    const secondsOnTcp: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      while (payer.stats().transport === 'udp') await payFor(100, { udp: false, tcp: true });
      let seconds = 0;
      for (; payer.stats().transport === 'tcp'; seconds += 1) await payFor(1_000, { udp: true, tcp: true });
      secondsOnTcp.push(seconds);
    }
    expect(secondsOnTcp[1]).toBeGreaterThanOrEqual(secondsOnTcp[0]! + 3);
    expect(secondsOnTcp[2]).toBeGreaterThanOrEqual(secondsOnTcp[1]! + 6);
  });

  it('loses nothing where TCP is the one that is blocked', async () => {
    const paid = payMore(channels[0]!, 1n);
    await network.settle();
    udp.takeClaims();
    await network.advance(400);
    expect(transport()).toEqual(['tcp', 1]);
    for (let second = 0; second < 3; second += 1) {
      await network.advance(1_000);
      answerUdp(udp.takeClaims());
      await network.settle();
    }
    await paid;
    await payFor(10_000, { udp: true, tcp: false });
    expect(payer.stats()).toMatchObject({ transport: 'udp', transportSwitches: 2 });
  });
});

describe('auto, on loopback', () => {
  it('pays through a UDP black hole, and goes back when it opens; nothing lost, nothing paid twice', {
    timeout: 30_000,
  }, async () => {
    const node = await ModelNode.open({ udp: true });
    node.udpMuted = true;
    const payer = await Payer.open({ to: node.url('auto') });
    const channels = Array.from({ length: 50 }, (_, number) =>
      payer.channel({ ledgerChannelId: ledgerId(number), key: stubSigner }),
    );
    const paid = channels.map(() => 0n);
    let over = false;
    const streams = channels.map(async (channel, index) => {
      while (!over) {
        paid[index] = (await payMore(channel, 3n)).amount;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    await until(() => channels.every(({ committed }) => committed > 0n));
    expect(payer.stats()).toMatchObject({ transport: 'tcp', transportSwitches: 1 });
    expect(node.byUdp).toBe(0);
    node.udpMuted = false;
    await until(() => payer.stats().transport === 'udp');
    node.udpMuted = true;
    await until(() => payer.stats().transport === 'tcp');
    node.udpMuted = false;
    over = true;
    await Promise.all(streams);
    channels.forEach(({ channelId, committed, claimed }, index) => {
      expect(node.best.get(channelId)).toBe(paid[index]);
      expect([committed, claimed]).toEqual([paid[index], paid[index]]);
    });
    expect(payer.stats()).toMatchObject({ transportSwitches: 3, waiting: 0, inFlight: 0, unmatched: 0 });
    await payer.close();
    await node.close();
  });
});

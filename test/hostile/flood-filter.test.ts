/**
 * Floods faster than a lane reads, and what the kernel's filter makes of them: who is in good standing pays on, who is new gets
 * in, every datagram is counted, and afterwards all is as before. Real sockets of loopback, steered time.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NativeUdp } from '../../src/transport/udp-native.ts';
import { FloodedLane, type Payer } from '../support/flooded-lane.ts';
import { describeNative } from '../support/native-only.ts';

/** Sent in a round, of which the lane reads 40 with those of the payers. */
const FLOOD = 150;

let lane: FloodedLane;
let payers: Payer[];
beforeEach(async () => {
  lane = await FloodedLane.open();
  payers = [await lane.payer(), await lane.payer(), await lane.payer('127.3.2.1')];
  for (let round = 0; round < 3; round++) lane.round();
});
afterEach(() => lane.close());

function rounds(count: number, attackers: readonly NativeUdp[], kind?: 'junk'): void {
  for (let round = 0; round < count; round++) {
    for (let sent = 0; sent < FLOOD; sent++) lane.attack(attackers[sent % attackers.length]!, kind);
    lane.round();
  }
}
/** After how many of these rounds each waited for long. */
function lateIn(paying: readonly Payer[], play: () => void): number[] {
  const before = paying.map(({ late }) => late);
  play();
  return paying.map(({ late }, index) => late - before[index]!);
}
/** What was sent is read, or counted where the kernel dropped it. */
function expectAllCounted(): void {
  lane.rest(100);
  const counted = ['datagrams', 'dropped.socketBuffer', 'dropped.floodFilter'] as const;
  expect(counted.reduce((sum, name) => sum + lane.rig.counter(name), 0)).toBe(lane.sent);
}
const peers = (host: string, count: number) => Promise.all(Array.from({ length: count }, () => lane.peer(host)));

describeNative('a flood', () => {
  test.each([undefined, 'junk' as const])(
    'of one source is kept from the buffer, and payers pay on (%s)',
    async (kind) => {
      const attackers = await peers('127.0.0.1', 1);
      rounds(12, attackers, kind);
      expect(lane.flood.isAttached).toBe(true);
      const before = lane.rig.counter('datagrams');
      const lost = lateIn(payers, () => rounds(100, attackers, kind));
      expect(lost).toEqual([0, 0, 0]);
      expect(lane.rig.counter('datagrams') - before).toBeLessThan((60 * FLOOD) / 10);
      expectAllCounted();
    },
  );

  test('of one source hinders no new payer, not even of the same address', async () => {
    const attackers = await peers('127.0.0.1', 1);
    rounds(40, attackers);
    const fresh = await lane.payer();
    expect(lateIn([fresh], () => rounds(10, attackers))).toEqual([0]);
    expect(fresh.acked).toBeGreaterThan(5n);
    expect(lane.rig.counter('dropped.floodFilter')).toBeGreaterThan(0);
  });

  test('of many sources of a network: payers pay on, and a new one from elsewhere too', async () => {
    const attackers = await peers('127.0.0.1', 40);
    rounds(60, attackers);
    expect(lane.flood.level).toBeGreaterThan(0);
    expect(lateIn(payers, () => rounds(40, attackers))).toEqual([0, 0, 0]);
    const fresh = await lane.payer('127.9.9.9');
    expect(lateIn([fresh], () => rounds(10, attackers))).toEqual([0]);
  });

  test('of sources never seen before: payers pay on, and a new one gets in by sending again', async () => {
    const hosts = ['127.8.1.1', '127.10.4.1'];
    const forge = async (count: number, paying = lane.payers) => {
      for (let round = 0; round < count; round++) {
        const sources = await Promise.all(hosts.map((host) => lane.peer(host)));
        for (let sent = 0; sent < FLOOD; sent++) lane.attack(sources[sent % sources.length]!);
        lane.round(paying);
        lane.leave(sources);
      }
    };
    await forge(30);
    expect(lane.flood.level).toBeGreaterThan(1);
    const before = payers.map(({ late }) => late);
    await forge(10);
    expect(payers.map(({ late }) => late)).toEqual(before);
    const fresh = await lane.payer('127.200.9.9');
    for (let tried = 0; tried < 40 && fresh.acked === 0n; tried++) await forge(10);
    expect(fresh.acked).toBeGreaterThan(0n);
    // It stands when the next program is made.
    await forge(15);
    expect(fresh.amount - fresh.acked).toBeLessThan(5n);
  });

  test("under a payer's own address and port is that payer's harm alone, and ends with it", async () => {
    const [victim, ...others] = payers as [Payer, ...Payer[]];
    rounds(20, [victim.socket]);
    expect(lateIn(others, () => rounds(60, [victim.socket]))).toEqual([0, 0]);
    lane.rest(3_000);
    for (let round = 0; round < 10; round++) lane.round();
    expect(payers.map(({ amount, acked }) => amount - acked)).toEqual([0n, 0n, 0n]);
  });

  test('that ends leaves nothing behind: strangers pass at once, and the filter goes away', async () => {
    const attackers = await peers('127.0.0.1', 40);
    rounds(60, attackers);
    lane.rest(500);
    expect(lane.flood.level).toBe(0);
    lane.rest(2_500);
    expect([lane.flood.isAttached, lane.clock.pending]).toEqual([false, 0]);
    lane.attack(attackers[0]!);
    const before = lane.rig.counter('datagrams');
    lane.round();
    expect(lane.rig.counter('datagrams') - before).toBe(1 + payers.length);
    expectAllCounted();
  });
});

describeNative('without a flood', () => {
  test('a buffer that payers fill alone gets no filter', () => {
    for (let round = 0; round < 30; round++) {
      for (let sent = 0; sent < 100; sent++) lane.round(payers, 0);
      lane.round(payers, 40);
    }
    expect(lane.rig.counter('dropped.socketBuffer')).toBeGreaterThan(0);
    expect(lane.flood.isAttached).toBe(false);
    expectAllCounted();
  });

  test('nobody is told from anybody with --strangers 100', async () => {
    lane.close();
    lane = await FloodedLane.open(1);
    const attackers = await peers('127.0.0.1', 1);
    rounds(30, attackers);
    expect([lane.flood.isAttached, lane.rig.counter('dropped.floodFilter')]).toEqual([false, 0]);
    expectAllCounted();
  });
});

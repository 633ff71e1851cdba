/** The budget of slow paths: who makes the kernel take them is held back, and nobody else. */
import { beforeEach, describe, expect, test } from 'vitest';
import { CLAIM_SIGNATURE, STATUS } from '../../../protocol/layout.ts';
import { HELD_SECONDS, SLOW_PATHS_MAX } from '../../../src/path/slow-paths.ts';
import { BUDGET_FAILURES, SLOW_FAILURES } from '../../../src/path/standing.ts';
import { VERDICT_INVALID, VERDICT_SLOWLY, VERDICT_TABLELESS, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_TCP } from '../../../src/transport/transport.ts';
import { claimOf, Rig, StubBackend, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('192.0.2.1', 5_001);
const BOB = sourceOf('198.51.100.1', 5_001);
const MALLORY = sourceOf('203.0.113.1', 6_666);
const SLOTS = 512;
/** Verdicts of the kernel, as the third byte of a signature says. */
const VALID_SLOWLY = VERDICT_VALID + VERDICT_SLOWLY;
const INVALID_SLOWLY = VERDICT_INVALID + VERDICT_SLOWLY;
const FORGED_SLOWLY = INVALID_SLOWLY + VERDICT_TABLELESS;

describe.each(['portable', 'native'] as const)('%s path', (path) => {
  let rig: Rig;
  let amount: bigint;
  beforeEach(() => {
    rig = new Rig({
      path,
      ringSlots: SLOTS,
      strangers: 0.5,
      random: (count) => Buffer.alloc(count, 7),
      backend: (arena, ring) => new StubBackend(arena, ring, (slot) => arena.bytes[slot + CLAIM_SIGNATURE + 2]!),
    });
    for (let id = 1n; id <= 50n; id++) rig.open({ channelId: id });
    amount = 0n;
  });

  /** The statuses that as many claims are answered, a turn each. */
  function send(source: Uint32Array, channelId: bigint, verdict: number = VERDICT_VALID, count = 1): number[] {
    return Array.from({ length: count }, () => {
      const claim = claimOf({ channelId, amount: ++amount });
      claim[CLAIM_SIGNATURE + 2] = verdict;
      rig.datagram(claim, source);
      rig.turn();
      return rig.takeAcks().map(({ status }) => status);
    }).flat();
  }
  const times = (count: number, status: number) => new Array<number>(count).fill(status);
  const { COMMITTED, OVERLOADED, BAD_SIGNATURE } = STATUS;

  test('a channel over its budget is not verified for a while, whoever sends; its neighbours are', () => {
    expect(send(MALLORY, 1n)).toEqual([COMMITTED]);
    expect(send(MALLORY, 1n, VALID_SLOWLY, SLOW_PATHS_MAX)).toEqual(times(SLOW_PATHS_MAX, COMMITTED));
    expect(send(MALLORY, 1n)).toEqual([COMMITTED]);
    expect(send(MALLORY, 1n, VALID_SLOWLY)).toEqual([COMMITTED]);
    const connection = sourceOf('203.0.113.1', 6_666);
    connection[0] = sourceHead(TRANSPORT_TCP, 6_666);
    const { next } = rig.ring;
    expect([...send(MALLORY, 1n), ...send(BOB, 1n)]).toEqual(times(2, OVERLOADED));
    // A connection's answer goes to another socket.
    send(connection, 1n);
    expect(rig.ring.next).toBe(next);
    expect([rig.counter('slowPaths.heldBack'), rig.counter('refused.overloaded')]).toEqual([3, 3]);
    expect([...send(MALLORY, 2n), ...send(ALICE, 3n)]).toEqual(times(2, COMMITTED));
    rig.now += 1_000 * (HELD_SECONDS - 1);
    expect(send(MALLORY, 1n)).toEqual([OVERLOADED]);
    rig.now += 1_000;
    expect(send(MALLORY, 1n, VERDICT_VALID, 2)).toEqual(times(2, COMMITTED));
    expect(rig.counter('slowPaths.heldBack')).toBe(4);
  });

  test('a few in each second hold nobody back', () => {
    for (let second = 0; second < 5; second++, rig.now += 1_000)
      expect(send(ALICE, 1n, VALID_SLOWLY, SLOW_PATHS_MAX)).toEqual(times(SLOW_PATHS_MAX, COMMITTED));
    expect(rig.counter('slowPaths.heldBack')).toBe(0);
  });

  test('what only the payer can have made counts though it is not valid; what anybody can does not', () => {
    const many = 3 * SLOW_PATHS_MAX;
    expect(send(MALLORY, 1n, FORGED_SLOWLY, many)).toEqual(times(many, BAD_SIGNATURE));
    expect(send(ALICE, 1n)).toEqual([COMMITTED]);
    send(MALLORY, 2n, INVALID_SLOWLY, SLOW_PATHS_MAX + 1);
    expect(send(ALICE, 2n)).toEqual([OVERLOADED]);
    // Without a table too, a valid one is the payer's.
    send(MALLORY, 3n, VALID_SLOWLY + VERDICT_TABLELESS, SLOW_PATHS_MAX + 1);
    expect(send(MALLORY, 3n)).toEqual([OVERLOADED]);
  });

  test('a slow path counts as several failures of its pair and of its network', () => {
    const enters = (source: Uint32Array, channelId: bigint) => {
      const { next } = rig.ring;
      rig.datagram(claimOf({ channelId, amount: ++amount }), source);
      return rig.ring.next !== next;
    };
    send(ALICE, 1n);
    send(MALLORY, 2n);
    const forgeries = BUDGET_FAILURES / (SLOW_FAILURES + 1) + 1;
    for (let index = 0; index < forgeries; index++) send(MALLORY, BigInt(10 + (index % 40)), FORGED_SLOWLY);
    // Eight of its own make a pair a stranger.
    send(MALLORY, 2n, VALID_SLOWLY, 11);
    for (let index = 0; index < SLOTS / 4; index++) enters(BOB, BigInt(3 + (index % 40)));
    expect([enters(ALICE, 1n), enters(MALLORY, 2n), enters(MALLORY, 40n)]).toEqual([true, false, false]);
    expect(rig.counter('strangers.overBudget')).toBe(2);
  });
});

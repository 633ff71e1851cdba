/**
 * The steps of the claim path, one situation at a time: each refusal and what its ack carries, echoes, packing,
 * duplicates, overload, the committer's second look, and a disk that fails.
 */
import { describe, expect, test } from 'vitest';
import { ACK_BYTES, STATUS, statusName, U64_MAX } from '../../../protocol/layout.ts';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import type { CounterName } from '../../../src/ring/counters.ts';
import { HeldShards } from '../../../src/ring/held-shards.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const BOB = sourceOf('127.0.0.2', 5002);
const FULL = 10n ** 17n;

/** Sends datagrams from Alice, runs the steps, returns the acks. */
function answers(rig: Rig, ...datagrams: Uint8Array[]) {
  for (const datagram of datagrams) rig.datagram(datagram, ALICE);
  rig.turn();
  return rig.takeAcks();
}

const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe('every refusal has its status, its amount and its counter', () => {
  const cases: [string, Uint8Array, number, bigint, CounterName][] = [
    ['unknown channel', claimOf({ channelId: 99n, amount: 5n }), STATUS.UNKNOWN_CHANNEL, 0n, 'refused.unknownChannel'],
    ['unknown, amount 0', claimOf({ channelId: 99n, amount: 0n }), STATUS.BAD_AMOUNT, 0n, 'refused.badAmount'],
    ['amount 0', claimOf({ channelId: 1n, amount: 0n }), STATUS.BAD_AMOUNT, 0n, 'refused.badAmount'],
    ['over 10^17', claimOf({ channelId: 4n, amount: FULL + 1n }), STATUS.BAD_AMOUNT, FULL + 1n, 'refused.badAmount'],
    ['over capacity', claimOf({ channelId: 1n, amount: 1_001n }), STATUS.OVER_CAPACITY, 1_000n, 'refused.overCapacity'],
    ['signature', claimOf({ channelId: 1n, amount: 9n }, false), STATUS.BAD_SIGNATURE, 9n, 'refused.badSignature'],
    ['closed', claimOf({ channelId: 2n, amount: 2_000n }), STATUS.CHANNEL_CLOSED, 2_000n, 'refused.channelClosed'],
    ['expired', claimOf({ channelId: 3n, amount: 7n }), STATUS.CHANNEL_CLOSED, 7n, 'refused.channelClosed'],
    ['already', claimOf({ channelId: 5n, amount: 400n }, false), STATUS.ALREADY, 400n, 'already'],
    [
      'sequence',
      claimOf({ channelId: 6n, amount: 501n, sequence: 7 }),
      STATUS.BAD_SEQUENCE,
      501n,
      'refused.badSequence',
    ],
  ];
  test.each(cases)('%s', (_, claim, status, amount, counter) => {
    const rig = new Rig();
    rig.open({ channelId: 1n, capacity: 1_000n });
    rig.open({ channelId: 2n, capacity: 1_000n, state: 'closed' });
    rig.open({ channelId: 3n, expiresAt: rig.now / 1_000 });
    rig.open({ channelId: 4n, capacity: U64_MAX });
    rig.open({ channelId: 5n, committed: 500n });
    rig.open({ channelId: 6n, committed: 500n, sequence: 7, profile: 'link' });
    const [ack, ...more] = answers(rig, claim);
    expect(more).toEqual([]);
    expect(statusName(ack!.status)).toBe(statusName(status));
    expect(ack!.amount).toBe(amount);
    expect(ack!.to).toBe('127.0.0.1:5001');
    expect(rig.counter(counter)).toBe(1);
    expect(rig.settled()).toBe(1);
    expect(rig.journaled()).toEqual([]);
  });

  test('the largest amounts pass', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n, capacity: U64_MAX });
    rig.open({ channelId: 2n, capacity: U64_MAX, profile: 'link' });
    rig.open({ channelId: 3n, capacity: 1_000n, expiresAt: rig.now / 1_000 + 1 });
    const claims = [claimOf({ channelId: 1n, amount: FULL }), claimOf({ channelId: 2n, amount: U64_MAX })];
    const acks = answers(rig, ...claims, claimOf({ channelId: 3n, amount: 1_000n }));
    expect(acks.map(({ status, amount }) => [status, amount])).toEqual([
      [STATUS.COMMITTED, FULL],
      [STATUS.COMMITTED, U64_MAX],
      [STATUS.COMMITTED, 1_000n],
    ]);
    expect(rig.journaled()).toHaveLength(3);
  });
});

describe('a node whose right to write the database has not confirmed for long', () => {
  const [VERSION, STANDS_MS] = [2 ** 33 + 5, 1_000];
  const FINAL: [string, Uint8Array, string][] = [
    ['an unknown channel', claimOf({ channelId: 99n, amount: 5n }), 'UNKNOWN_CHANNEL'],
    ['amount 0', claimOf({ channelId: 1n, amount: 0n }), 'BAD_AMOUNT'],
    ['above the capacity', claimOf({ channelId: 1n, amount: 1_001n }), 'OVER_CAPACITY'],
    ['a bad signature', claimOf({ channelId: 1n, amount: 9n }, false), 'BAD_SIGNATURE'],
    ['a closed channel', claimOf({ channelId: 2n, amount: 5n }), 'CHANNEL_CLOSED'],
    ['an expired one', claimOf({ channelId: 3n, amount: 5n }), 'CHANNEL_CLOSED'],
    ['a sequence', claimOf({ channelId: 6n, amount: 501n, sequence: 7 }), 'BAD_SEQUENCE'],
  ];

  function doubtful(): Rig {
    const rig = new Rig();
    rig.open({ channelId: 1n, capacity: 1_000n });
    rig.open({ channelId: 2n, state: 'closed' });
    rig.open({ channelId: 3n, expiresAt: rig.now / 1_000 });
    rig.open({ channelId: 5n, committed: 500n });
    rig.open({ channelId: 6n, committed: 500n, sequence: 7, profile: 'link' });
    const shards = new HeldShards(rig.arena);
    shards.hold(Array(SHARDS).keys(), VERSION);
    // Near where the time wraps around in shared memory.
    rig.monotonic = 2 ** 32 - 500;
    shards.confirm(rig.monotonic, STANDS_MS);
    return rig;
  }

  test.each(FINAL)('says nothing final of %s, and says it again once it is confirmed', (_, claim, final) => {
    const rig = doubtful();
    rig.monotonic += STANDS_MS - 1;
    expect(statusName(answers(rig, claim)[0]!.status)).toBe(final);
    rig.monotonic += 1;
    const [ack] = answers(rig, claim);
    expect([statusName(ack!.status), ack!.amount]).toEqual(['MOVED', BigInt(VERSION)]);
    expect(rig.counter('refused.moved')).toBe(1);
    new HeldShards(rig.arena).confirm(rig.monotonic, STANDS_MS);
    expect(statusName(answers(rig, claim)[0]!.status)).toBe(final);
  });

  test('says what stays true: what it has committed is committed, also by its claim of now, which its log decides', () => {
    const rig = doubtful();
    rig.monotonic += STANDS_MS;
    const acks = answers(rig, claimOf({ channelId: 5n, amount: 400n }), claimOf({ channelId: 5n, amount: 600n }));
    expect(acks.map(({ status }) => statusName(status))).toEqual(['ALREADY', 'COMMITTED']);
  });
});

describe('a shard that another node holds', () => {
  const VERSION = 2 ** 33 + 5;

  test('a claim of an unknown channel is MOVED, with the version of the map; one of 0 drops is BAD_AMOUNT still', () => {
    const rig = new Rig();
    new HeldShards(rig.arena).hold([shardOfChannel(1n)], VERSION);
    const moved = answers(rig, claimOf({ channelId: 99n, amount: 5n }), claimOf({ channelId: 99n, amount: 0n }));
    expect(moved.map(({ status, amount }) => [statusName(status), amount])).toEqual([
      ['MOVED', BigInt(VERSION)],
      ['BAD_AMOUNT', 0n],
    ]);
    expect(rig.counter('refused.moved')).toBe(1);
    expect(answers(rig, claimOf({ channelId: 1n, amount: 5n }))[0]!.status).toBe(STATUS.UNKNOWN_CHANNEL);
  });

  test('a channel that was given away and is no longer open is MOVED; a closed one of a shard held here is closed', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n, state: 'closed' });
    rig.open({ channelId: 2n, state: 'closed' });
    new HeldShards(rig.arena).hold([shardOfChannel(2n)], VERSION);
    const acks = answers(rig, claimOf({ channelId: 1n, amount: 5n }), claimOf({ channelId: 2n, amount: 5n }));
    expect(acks.map(({ status }) => statusName(status))).toEqual(['MOVED', 'CHANNEL_CLOSED']);
  });

  test('a claim received before and staged after is MOVED as well, and nothing is journaled', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n }), ALICE);
    new HeldShards(rig.arena).hold([], VERSION);
    rig.table.change(rig.table.find(0, 1), { open: false });
    rig.turn();
    expect(rig.takeAcks().map(({ status, amount }) => [statusName(status), amount])).toEqual([
      ['MOVED', BigInt(VERSION)],
    ]);
    expect(rig.journaled()).toEqual([]);
    expect(rig.settled()).toBe(1);
  });

  test('a channel that is open here is served, whatever the map says: opening and closing rows is the rule', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    new HeldShards(rig.arena).hold([], VERSION);
    expect(answers(rig, claimOf({ channelId: 1n, amount: 5n }))[0]!.status).toBe(STATUS.COMMITTED);
  });

  test('MOVED is limited in rate like every refusal', () => {
    const rig = new Rig();
    new HeldShards(rig.arena).hold([], VERSION);
    for (let index = 0; index < 5_000; index++) rig.datagram(claimOf({ channelId: 99n, amount: 5n }), ALICE);
    rig.turn();
    expect(rig.takeAcks()).toHaveLength(4_000);
    expect(rig.counter('dropped.refusalLimited')).toBe(1_000);
  });
});

test.each([true, false])('sequence and timestamp come back bit for bit, NaN payloads too (valid: %s)', (isValid) => {
  const rig = new Rig();
  rig.open({ channelId: 0xfedc_ba98_7654_3210n });
  const claim = claimOf({ channelId: 0xfedc_ba98_7654_3210n, amount: 12n, sequence: 0xfffe_fdfc }, isValid);
  const odd = [0x7f, 0xf0, 0xde, 0xad, 0xbe, 0xef, 0x00, 0x01];
  claim.set(odd, 85);
  rig.datagram(claim, ALICE);
  rig.turn();
  const [datagram] = rig.transport.datagrams;
  expect([...datagram!.bytes.subarray(24, 32)]).toEqual(odd);
  expect(datagram!.acks[0]!.sequence).toBe(0xfffe_fdfc);
  expect(datagram!.acks[0]!.channelId).toBe(0xfedc_ba98_7654_3210n);
});

describe('acks', () => {
  test('one per channel, source and group: the newest claim stands for all', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    rig.open({ channelId: 2n });
    for (let amount = 1n; amount <= 20n; amount++) {
      rig.datagram(claimOf({ channelId: 1n, amount, sequence: Number(amount), timestamp: Number(amount) }), ALICE);
      rig.datagram(claimOf({ channelId: 2n, amount }), amount % 2n === 0n ? ALICE : BOB);
    }
    rig.turn();
    const acks = rig.takeAcks().map(({ to, channelId, amount, status }) => ({ to, channelId, amount, status }));
    expect(acks).toHaveLength(3);
    const status = STATUS.COMMITTED;
    expect(acks).toContainEqual({ to: '127.0.0.1:5001', channelId: 1n, amount: 20n, status });
    expect(acks).toContainEqual({ to: '127.0.0.1:5001', channelId: 2n, amount: 20n, status });
    expect(acks).toContainEqual({ to: '127.0.0.2:5002', channelId: 2n, amount: 20n, status });
    expect(rig.counter('committed')).toBe(40);
    expect(rig.counter('syncs')).toBe(1);
    expect(rig.journaled()).toHaveLength(2);
  });

  test('45 share a datagram, whatever bytes their claims end in', () => {
    const rig = new Rig({ channelsMax: 256 });
    for (let id = 1n; id <= 200n; id++) rig.open({ channelId: id });
    for (let id = 1n; id <= 200n; id++) {
      const claim = claimOf({ channelId: id, amount: 3n });
      claim[92] = Number(id); // The byte a slot's source block shares with its claim.
      rig.datagram(claim, ALICE);
    }
    rig.turn();
    expect(rig.transport.datagrams.map(({ acks }) => acks.length)).toEqual([45, 45, 45, 45, 20]);
  });

  test('many payers interleaved: each gets its own, and nobody more acks than it sent claims', () => {
    const rig = new Rig({ ringSlots: 1_024 });
    rig.open({ channelId: 1n, capacity: U64_MAX });
    rig.open({ channelId: 2n });
    const sent = new Map<string, number>();
    for (let index = 0; index < 900; index++) {
      const port = 1_000 + (index % 300);
      const kind = index % 3;
      const source = sourceOf('10.0.0.7', port);
      const claim =
        kind === 0
          ? claimOf({ channelId: 1n, amount: BigInt(index + 1) })
          : claimOf({ channelId: BigInt(kind * 7), amount: 3n }, kind !== 1);
      rig.datagram(claim, source);
      sent.set(`10.0.0.7:${port}`, (sent.get(`10.0.0.7:${port}`) ?? 0) + 1);
    }
    rig.turn();
    const acks = rig.takeAcks();
    const received = new Map<string, number>();
    for (const { to } of acks) received.set(to, (received.get(to) ?? 0) + 1);
    for (const [to, count] of received) expect(count).toBeLessThanOrEqual(sent.get(to)!);
    expect(received.size).toBe(300);
    expect(rig.counter('acked')).toBe(acks.length);
    const bytes = rig.transport.datagrams.reduce((sum, datagram) => sum + datagram.acks.length * ACK_BYTES, 0);
    expect(bytes).toBeLessThan(900 * 93);
  });

  test('a socket that does not keep up drops acks, counted, and goes on', () => {
    const rig = new Rig();
    for (let id = 1n; id <= 5n; id++) rig.open({ channelId: id });
    rig.transport.packetsLeft = 2;
    for (let id = 1n; id <= 5n; id++)
      rig.datagram(claimOf({ channelId: id, amount: 1n }), sourceOf('10.0.0.1', 100 + Number(id)));
    rig.turn();
    expect(rig.takeAcks().length + rig.counter('dropped.sendQueueFull')).toBe(5);
    expect(rig.counter('dropped.sendQueueFull')).toBeGreaterThan(0);
    rig.datagram(claimOf({ channelId: 1n, amount: 1n }), ALICE);
    rig.turn();
    expect(rig.takeAcks().map(({ status }) => status)).toEqual([STATUS.ALREADY]);
  });

  test('a full ack ring drops acks, counted; what is durable stays so', () => {
    const rig = new Rig({ ackSlots: 4 });
    for (let id = 1n; id <= 10n; id++) rig.open({ channelId: id });
    const claims = Array.from({ length: 10 }, (_, index) => claimOf({ channelId: BigInt(index + 1), amount: 9n }));
    expect(answers(rig, ...claims)).toHaveLength(4);
    expect(rig.counter('dropped.ackRingFull')).toBe(6);
    expect(answers(rig, ...claims).every(({ status }) => status === STATUS.ALREADY)).toBe(true);
  });
});

describe('refusals are kept to a rate per address', () => {
  const flood = (rig: Rig, count: number, source = ALICE) => {
    for (let index = 0; index < count; index++)
      rig.datagram(claimOf({ channelId: 9n, amount: BigInt(index + 1) }), source);
    rig.turn();
    return rig.takeAcks().length;
  };

  test('a burst, then so many a second; other sources and good claims go on', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    expect(flood(rig, 5_000)).toBe(4_000);
    expect(rig.counter('dropped.refusalLimited')).toBe(1_000);
    expect(flood(rig, 100, sourceOf('127.0.0.1', 7))).toBe(0); // Another port is the same source.
    expect(flood(rig, 100, sourceOf('127.0.0.9', 7))).toBe(100);
    expect(answers(rig, claimOf({ channelId: 1n, amount: 5n }))[0]!.status).toBe(STATUS.COMMITTED);
    expect(answers(rig, claimOf({ channelId: 1n, amount: 5n }))[0]!.status).toBe(STATUS.ALREADY);
    rig.now += 500;
    expect(flood(rig, 5_000)).toBe(1_000);
    rig.now -= 60_000; // A clock set back costs nobody anything.
    expect(flood(rig, 10)).toBe(0);
    rig.now += 1_000;
    expect(flood(rig, 2_500)).toBe(2_000);
    expect(rig.counter('refused.unknownChannel')).toBe(rig.settled() - 2);
  });

  test('refusals the committer decides count against it too', () => {
    const rig = new Rig({ ringSlots: 8_192, ackSlots: 16_384 });
    rig.open({ channelId: 1n });
    for (let amount = 1n; amount <= 5_000n; amount++) {
      const claim = claimOf({ channelId: 1n, amount }, false);
      new DataView(claim.buffer).setUint32(50, Number(amount) * 0x9e3779b1);
      rig.datagram(claim, ALICE);
    }
    rig.turn();
    expect(rig.takeAcks()).toHaveLength(4_000);
    expect(rig.counter('refused.badSignature')).toBe(5_000);
  });
});

test('frames before a bad one stand; the rest of that datagram is dropped and counted', () => {
  const rig = new Rig();
  rig.open({ channelId: 1n });
  const good = claimOf({ channelId: 1n, amount: 1n });
  const better = claimOf({ channelId: 1n, amount: 2n });
  const ack = Uint8Array.from({ length: 32 }, (_, index) => (index === 0 ? 2 : 0));
  rig.datagram(concat(good, Uint8Array.of(0x7f), better), ALICE);
  rig.datagram(concat(ack, better, good.subarray(0, 92)), ALICE);
  rig.datagram(new Uint8Array(0), ALICE);
  rig.turn();
  expect(rig.takeAcks().map(({ status, amount }) => [status, amount])).toEqual([[STATUS.COMMITTED, 2n]]);
  const names: CounterName[] = [
    'datagrams',
    'received',
    'dropped.unknownType',
    'dropped.cutFrame',
    'dropped.emptyDatagram',
  ];
  expect([...names, 'dropped.unexpectedAck' as const].map((name) => rig.counter(name))).toEqual([3, 2, 1, 1, 1, 1]);
});

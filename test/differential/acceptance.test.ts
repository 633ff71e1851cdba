/**
 * The steps against a model of protocol/README.md's acceptance order that shares no code with them: BigInt, a Map, one
 * claim at a time. First claim by claim, where every ack must be the model's; then in bursts with groups, duplicates and a
 * full ring, where the durable state must be the model's.
 */
import { expect, test } from 'vitest';
import type { Ack } from '../../protocol/ack.ts';
import { type Claim, claimBytes, decodeClaim } from '../../protocol/claim.ts';
import type { ProfileName } from '../../protocol/layout.ts';
import { highHalf, lowHalf } from '../../src/channel/table.ts';
import { type Random, random } from '../support/random.ts';
import { Rig, sourceOf } from '../support/rig.ts';

/** The statuses of the specification's table, written by hand. */
const [COMMITTED, ALREADY, UNKNOWN, BAD_SIGNATURE, OVER_CAPACITY, CLOSED, BAD_AMOUNT, OVERLOADED, BAD_SEQUENCE] = [
  0, 1, 16, 17, 18, 19, 20, 21, 22,
] as const;
const ALL = [COMMITTED, ALREADY, UNKNOWN, BAD_SIGNATURE, OVER_CAPACITY, CLOSED, BAD_AMOUNT, OVERLOADED, BAD_SEQUENCE];

interface ModelChannel {
  profile: ProfileName;
  capacity: bigint;
  isOpen: boolean;
  expiresAt: number;
  /** The best claim, as its bytes. */
  best: Uint8Array | undefined;
}

class Model {
  readonly channels = new Map<bigint, ModelChannel>();

  /** Rules 2 to 8; moves the channel when all hold. */
  judge(bytes: Uint8Array, now: number): { status: number; amount: bigint } {
    const claim = decodeClaim(new DataView(bytes.buffer), 0);
    const channel = this.channels.get(claim.channelId);
    const own = (status: number) => ({ status, amount: claim.amount });
    if (claim.amount === 0n) return own(BAD_AMOUNT);
    if (channel?.profile === 'xrpl' && claim.amount > 10n ** 17n) return own(BAD_AMOUNT);
    if (channel === undefined) return { status: UNKNOWN, amount: 0n };
    if (!channel.isOpen || (channel.expiresAt !== 0 && now / 1_000 >= channel.expiresAt)) return own(CLOSED);
    if (claim.amount > channel.capacity) return { status: OVER_CAPACITY, amount: channel.capacity };
    const best = channel.best === undefined ? undefined : decodeClaim(new DataView(channel.best.buffer), 0);
    if (best !== undefined && claim.amount <= best.amount) return own(ALREADY);
    if (claim.signature[0]! % 2 !== 0) return own(BAD_SIGNATURE);
    if (channel.profile === 'link' && best !== undefined && claim.sequence <= best.sequence) return own(BAD_SEQUENCE);
    channel.best = bytes;
    return own(COMMITTED);
  }
}

const IDS = Array.from({ length: 24 }, (_, index) => (index % 3 === 0 ? BigInt(index) : BigInt(index) << 57n));
const ALICE = sourceOf('192.0.2.1', 4_000);
const SOURCES = [ALICE, sourceOf('192.0.2.1', 4_001), sourceOf('2001:db8::7', 4_000)];
const SOURCE_NAMES = ['192.0.2.1:4000', '192.0.2.1:4001', '2001:db8:0:0:0:0:0:7:4000'];

function populated(rig: Rig, from: Random): Model {
  const model = new Model();
  for (const channelId of IDS.slice(0, 22)) {
    const profile = from.below(2) === 0 ? 'xrpl' : 'link';
    const capacity = [50_000n, 2n ** 33n, 2n ** 64n - 1n, 10n ** 17n][from.below(4)]!;
    const expiresAt = from.below(6) === 0 ? Math.floor(rig.now / 1_000) + from.below(2_000) : 0;
    rig.open({ channelId, profile, capacity, expiresAt });
    model.channels.set(channelId, { profile, capacity, isOpen: true, expiresAt, best: undefined });
  }
  return model;
}

/** A claim near an edge of its channel's state; its timestamp is its number, so that refusals can be told apart. */
function nextClaim(model: Model, from: Random, number: number): Uint8Array {
  const channelId = IDS[from.below(IDS.length)]!;
  const channel = model.channels.get(channelId);
  const best = channel?.best && decodeClaim(new DataView(channel.best.buffer), 0);
  const committed = best?.amount ?? 0n;
  const capacity = channel?.capacity ?? 100n;
  const step = BigInt(1 + from.below(40));
  const amounts = [
    committed + step,
    committed + step,
    committed + step,
    committed,
    committed - step,
    capacity,
    capacity + 1n,
  ];
  amounts.push(0n, 10n ** 17n, 10n ** 17n + 1n, (((committed >> 32n) + 1n) << 32n) | BigInt(from.below(3)), from.u64());
  const weights = [40, 0, 0, 3, 4, 1, 3, 1, 1, 2, 1, 1];
  let pick = from.below(weights.reduce((sum, weight) => sum + weight));
  let kind = 0;
  while (pick >= weights[kind]!) pick -= weights[kind++]!;
  const signature = from.bytes(64);
  signature[0] = from.below(8) === 0 ? 1 : 2;
  const last = best?.sequence ?? 0;
  const claim: Claim = {
    channelId,
    sequence: from.below(6) === 0 ? Math.max(0, last - from.below(2)) : Math.min(0xffff_ffff, last + 1 + from.below(3)),
    amount: BigInt.asUintN(64, amounts[kind]! < 0n ? 0n : amounts[kind]!),
    signature,
    timestamp: number,
  };
  return claimBytes(claim);
}

/** What an operator may do meanwhile; it is done to both. */
function operate(rig: Rig, model: Model, from: Random): void {
  const channelId = IDS[from.below(22)]!;
  const channel = model.channels.get(channelId)!;
  const row = rig.table.find(highHalf(channelId), lowHalf(channelId));
  const committed = rig.table.read(row).committed;
  if (from.below(3) === 0) channel.isOpen = !channel.isOpen;
  else if (from.below(2) === 0)
    channel.expiresAt = from.below(2) === 0 ? 0 : Math.floor(rig.now / 1_000) + from.below(500);
  else channel.capacity = committed + BigInt(from.below(1_000)) * (from.below(3) === 0 ? 2n ** 30n : 1n);
  rig.table.change(row, { capacity: channel.capacity, expiresAt: channel.expiresAt, open: channel.isOpen });
}

function expectSameState(rig: Rig, model: Model): void {
  for (const [channelId, { best }] of model.channels) {
    const row = rig.table.read(rig.table.find(highHalf(channelId), lowHalf(channelId)));
    const claim = best === undefined ? undefined : decodeClaim(new DataView(best.buffer), 0);
    expect(row.committed).toBe(claim?.amount ?? 0n);
    if (claim === undefined) continue;
    expect(Buffer.compare(row.signature, claim.signature)).toBe(0);
    expect(row.sequence).toBe(claim.sequence);
    expect(row.timestampBits).toBe(new DataView(best!.buffer).getBigUint64(85));
    expect(row.committed).toBeLessThanOrEqual(
      rig.table.read(rig.table.find(highHalf(channelId), lowHalf(channelId))).capacity,
    );
  }
}

/** Replays the journal into an empty table and compares balance, sequence and signature with the live one. */
function expectSameAfterRecovery(rig: Rig): void {
  const again = new Rig();
  for (let row = 0; row < rig.table.rows; row++)
    again.open({
      ...rig.table.read(row),
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
    });
  for (const claim of rig.journaled()) {
    const { channelId } = decodeClaim(new DataView(claim.buffer), 0);
    const row = again.table.find(highHalf(channelId), lowHalf(channelId));
    again.table.commit(row, new DataView(claim.buffer), 0);
  }
  for (let row = 0; row < rig.table.rows; row++) expect(again.table.read(row)).toEqual(rig.table.read(row));
}

test('claim by claim: every ack is the model’s', () => {
  const from = random(20_260);
  const rig = new Rig();
  const model = populated(rig, from);
  const reached = new Map<number, number>();
  for (let number = 1; number <= 8_000; number++) {
    if (from.below(40) === 0) operate(rig, model, from);
    rig.now += from.below(50);
    const bytes = nextClaim(model, from, number);
    const expected = model.judge(bytes, rig.now);
    rig.datagram(bytes, SOURCES[number % 3]!);
    rig.turn();
    const [ack, ...more] = rig.takeAcks();
    expect(more).toEqual([]);
    const claim = decodeClaim(new DataView(bytes.buffer), 0);
    const { channelId, sequence } = claim;
    const to = SOURCE_NAMES[number % 3]!;
    expect(ack, `claim ${number}`).toEqual({ ...expected, channelId, sequence, timestamp: number, to });
    reached.set(expected.status, (reached.get(expected.status) ?? 0) + 1);
    if (number % 1_000 === 0) expectSameState(rig, model);
  }
  for (const status of ALL.filter((status) => status !== OVERLOADED))
    expect(reached.get(status) ?? 0).toBeGreaterThan(40);
  expectSameState(rig, model);
  expectSameAfterRecovery(rig);
  expect(rig.settled()).toBe(8_000);
});

/** What was answered to claim `number`, if it was answered alone. */
const answerTo = (acks: (Ack & { to: string })[]) => {
  const byNumber = new Map<number, number>();
  for (const ack of acks) if (ack.status !== COMMITTED) byNumber.set(ack.timestamp, ack.status);
  return byNumber;
};

test('in bursts: the durable state is the model’s, and every claim is answered for', () => {
  const from = random(31_337);
  const rig = new Rig({ ringSlots: 16, batchMax: 7 });
  const model = populated(rig, from);
  const reached = new Set<number>();
  let number = 0;
  let overtaken = 0;
  for (let burst = 0; burst < 500; burst++) {
    if (from.below(10) === 0) operate(rig, model, from);
    rig.now += 100;
    const claims: { bytes: Uint8Array; number: number; source: number; isTwin: boolean }[] = [];
    for (let size = 1 + from.below(45); size > 0; size--) {
      const twin = from.below(12) === 0 ? claims[from.below(claims.length)] : undefined;
      const bytes = twin === undefined ? nextClaim(model, from, ++number) : twin.bytes.slice();
      if (twin !== undefined) new DataView(bytes.buffer).setFloat64(85, ++number);
      const source = from.below(3);
      claims.push({ bytes, number, source, isTwin: twin !== undefined });
      rig.datagram(bytes, SOURCES[source]!);
    }
    rig.turn();
    const acks = rig.takeAcks();
    expect(acks.length).toBeLessThanOrEqual(claims.length);
    const answered = answerTo(acks);
    for (const { bytes, number, source, isTwin } of claims) {
      const got = answered.get(number);
      if (got !== undefined) reached.add(got);
      // The steps did not judge this claim, so the model does not either.
      if (got === OVERLOADED) continue;
      const { amount, channelId, signature } = decodeClaim(new DataView(bytes.buffer), 0);
      const { status } = model.judge(bytes, rig.now);
      const isCovered = () =>
        acks.some(
          (ack) =>
            ack.status === COMMITTED &&
            ack.channelId === channelId &&
            ack.amount >= amount &&
            ack.to === SOURCE_NAMES[source],
        );
      const about = `claim ${number}: expected ${status}, got ${got}`;
      if (status === COMMITTED) expect(got === undefined && isCovered(), about).toBe(true);
      else if (status === ALREADY) {
        // Below a better claim of its own group: covered by that one, if its signature is good.
        if (got === undefined) overtaken++;
        expect(
          got === ALREADY || (got === undefined ? isCovered() : signature[0] === 1 && got === BAD_SIGNATURE),
          about,
        ).toBe(true);
      } else if (isTwin) expect([status, ALREADY], about).toContain(got);
      else expect(got, about).toBe(status);
    }
    for (const ack of acks.filter(({ status }) => status === COMMITTED)) {
      const { best } = model.channels.get(ack.channelId)!;
      expect(ack.amount).toBe(decodeClaim(new DataView(best!.buffer), 0).amount);
      reached.add(COMMITTED);
    }
    expectSameState(rig, model);
    expect(rig.settled()).toBe(number);
  }
  expect(number).toBeGreaterThan(10_000);
  expect([...reached].sort((left, right) => left - right)).toEqual([...ALL]);
  expect(overtaken).toBeGreaterThan(40);
  expect(rig.counter('deferred')).toBeGreaterThan(20);
  expect(rig.counter('syncs')).toBeLessThan(rig.counter('committed'));
  expectSameAfterRecovery(rig);
});

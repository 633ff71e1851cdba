/** Redeeming by itself: when it is due, and that it comes before the channel ends, however often the ledger is away. */
import { expect, test } from 'vitest';
import type { Channel } from '../../../src/channel/row.ts';
import type { LedgerState, RedemptionResult } from '../../../src/control/ledger-control.ts';
import {
  type PolicyChannel,
  policyChannel,
  RedeemPolicy,
  type RedeemPolicyOptions,
  type RedeemPolicySettings,
  redemptionDue,
} from '../../../src/ledger/redeem-policy.ts';
import type { Redeemer } from '../../../src/ledger/redeemer.ts';
import { deferred } from '../../../src/meter/deferred.ts';
import { type ChainConnection, PAYEE, settled } from '../../support/chain-rig.ts';
import { RedeemRig } from '../../support/redeem-rig.ts';
import { SteeredClock } from '../../support/steered-clock.ts';

const XRP = 1_000_000n;
const NOW = 2_000_000_000;
const DAY = 86_400;
const silent = { info: () => {}, warn: () => {}, error: () => {} };

function channel(change: Partial<PolicyChannel> = {}): PolicyChannel {
  return { channelId: 1n, committed: 5n * XRP, redeemed: 2n * XRP, expiration: 0, cancelAfter: 0, ...change };
}

const NO_FACTS = { now: NOW, paidAt: 0, startedAt: NOW - DAY, noticedAt: NOW, isNew: false };

test('it is due when the payer asked to close, at once', () => {
  const due = (change: Partial<PolicyChannel>, facts = {}) =>
    redemptionDue(channel(change), {}, { ...NO_FACTS, ...facts });
  expect(due({})).toBeUndefined();
  expect(due({ expiration: NOW + 30 * DAY })).toMatchObject({ reason: 'the payer asked to close it' });
  expect(due({ expiration: NOW + 30 * DAY, committed: 2n * XRP })).toBeUndefined();
  expect(due({ expiration: NOW })).toBeUndefined();
  // Paid in the very second in which the payer asked, for another reason.
  expect(due({ expiration: NOW + 3_600 }, { paidAt: NOW, isNew: true })).toBeDefined();
});

test('what leaves of signed roots have paid is not due: it cannot be redeemed', () => {
  const state = { redeemed: 2n * XRP, expiration: NOW + 30 * DAY, cancelAfter: 0 } as LedgerState;
  const row = { channelId: 1n, committed: 9n * XRP } as Channel;
  const own = { committed: 2n * XRP, sequence: 1, timestampBits: 0n };
  const rooted = policyChannel({ ...row, rooted: own }, state);
  expect([rooted.committed, redemptionDue(rooted, {}, NO_FACTS)]).toEqual([2n * XRP, undefined]);
  expect(redemptionDue(policyChannel(row, state), {}, NO_FACTS)).toBeDefined();
});

test('a payer that goes on paying meanwhile has it redeemed again when half of what was left has passed', () => {
  const expiration = NOW + 3_600;
  const due = (now: number, paidAt: number) => redemptionDue(channel({ expiration }), {}, { ...NO_FACTS, now, paidAt });
  expect(due(NOW + 10, NOW + 8)).toBeUndefined();
  expect(due(NOW + 1_790, NOW)).toBeUndefined();
  expect(due(NOW + 1_800, NOW)).toBeDefined();
  expect(due(NOW + 2_600, NOW + 1_800)).toBeUndefined();
  expect(due(NOW + 2_700, NOW + 1_800)).toBeDefined();
});

test('before CancelAfter it is due with a margin, and at the earlier of both ends', () => {
  const due = (change: Partial<PolicyChannel>, settings: RedeemPolicySettings = {}) =>
    redemptionDue(channel(change), settings, NO_FACTS);
  expect(due({ cancelAfter: NOW + DAY + 1 })).toBeUndefined();
  expect(due({ cancelAfter: NOW + DAY })).toMatchObject({ reason: 'it is cancelled soon', end: NOW + DAY });
  expect(due({ cancelAfter: NOW + 601 }, { marginSeconds: 600 })).toBeUndefined();
  expect(due({ cancelAfter: NOW + 60, expiration: NOW + 600 })).toMatchObject({ end: NOW + 60 });
});

test('above an exposure and at intervals', () => {
  const due = (settings: RedeemPolicySettings, facts = {}) =>
    redemptionDue(channel(), settings, { ...NO_FACTS, ...facts });
  expect(due({ aboveDrops: 3n * XRP })).toMatchObject({ reason: 'its exposure is 3000000 drops', end: 0 });
  expect(due({ aboveDrops: 3n * XRP + 1n })).toBeUndefined();
  expect(due({ everySeconds: DAY })).toBeDefined();
  expect(due({ everySeconds: DAY + 1 })).toBeUndefined();
  expect(due({ everySeconds: 60 }, { paidAt: NOW - 59 })).toBeUndefined();
  expect(due({ everySeconds: 60 }, { paidAt: NOW - 60 })).toBeDefined();
});

interface Watched {
  policy: RedeemPolicy;
  redeemer: Redeemer;
}

/** A policy over what a watcher of the rig's ledger would see now. */
function watch(rig: RedeemRig, settings: RedeemPolicySettings = {}): Watched {
  const redeemer = rig.redeemer();
  const views = new Map<bigint, PolicyChannel>();
  const look = async (row: Channel) => {
    const { channel: seen } = await rig.connection.channel(row.ledgerChannelId);
    const { channelId, committed } = rig.rows.channel(row.channelId)!;
    if (seen === undefined) views.delete(channelId);
    else views.set(channelId, { ...seen, channelId, committed, redeemed: seen.balance });
  };
  // It polls every ledger; what it cannot see stays as it was.
  rig.connection.onLedger(() => {
    for (const row of rig.rows) look(row).catch(() => {});
  });
  const policy = new RedeemPolicy({
    ...settings,
    channels: () => views.values(),
    redeem: (channelId) => redeemer.redeem(channelId),
    paidAt: (channelId) => redeemer.paidAt(channelId),
    clock: rig.clock,
    logger: silent,
  });
  return { policy, redeemer };
}

/** Some seconds of calm, one at a time, with a ledger every four. */
async function pass(rig: RedeemRig, seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 4) await rig.step();
}

test('a payer that asks to close: the best claim is paid within ten seconds', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const { policy } = watch(rig);
  await pass(rig, 40);
  expect(rig.paidOut(row)).toBe(0n);
  rig.rows.commit(row, 9n * XRP);
  await rig.askToClose(row);
  const shownAt = rig.now;
  for (let step = 0; rig.paidOut(row) === 0n && step < 10; step++) await rig.step(2);
  expect(rig.paidOut(row)).toBe(9n * XRP);
  expect(rig.now - shownAt).toBeLessThan(10);
  // No second fee while nothing new is committed.
  await pass(rig, 400);
  expect(rig.transactionsOf(PAYEE.address)).toHaveLength(1);
  policy.stop();
});

test('a ledger that is 60 s behind, with three dropped connections: still before the channel ends', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP, settleDelay: 300 });
  rig.connection.lagLedgers = 15;
  await pass(rig, 80);
  const { policy } = watch(rig);
  const drop = async (connection: ChainConnection, seconds: number) => {
    connection.isDown = true;
    await pass(rig, seconds);
    connection.isDown = false;
  };
  await rig.askToClose(row);
  const end = rig.now + 300;
  await pass(rig, 40);
  await drop(rig.connection, 20);
  await pass(rig, 4);
  await drop(rig.connection, 20);
  await pass(rig, 4);
  await drop(rig.connection, 20);
  while (rig.paidOut(row) === 0n && rig.now < end) await pass(rig, 4);
  expect(rig.paidOut(row)).toBe(5n * XRP);
  expect(rig.now).toBeLessThan(end - 60);
  await pass(rig, 120);
  expect(rig.transactionsOf(PAYEE.address)).toHaveLength(1);
  policy.stop();
});

test('a payer that asks while a redemption is under way: what is new is redeemed right after it', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const { policy } = watch(rig, { aboveDrops: 5n * XRP });
  rig.chain.holdSubmissions = true;
  await pass(rig, 12);
  rig.rows.commit(row, 9n * XRP);
  rig.chain.holdSubmissions = false;
  await rig.askToClose(row);
  expect(rig.paidOut(row)).toBe(5n * XRP);
  await pass(rig, 12);
  expect(rig.paidOut(row)).toBe(9n * XRP);
  policy.stop();
});

test('before a channel is cancelled it is redeemed, although nobody asked', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP, cancelAfter: rig.now + 2_000 });
  const { policy } = watch(rig, { marginSeconds: 600 });
  await rig.step(1_300);
  await pass(rig, 60);
  expect(rig.paidOut(row)).toBe(0n);
  await pass(rig, 60);
  expect(rig.paidOut(row)).toBe(5n * XRP);
  policy.stop();
});

test('an exposure that has grown is redeemed', async () => {
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5n * XRP });
  const { policy } = watch(rig, { aboveDrops: 6n * XRP });
  await pass(rig, 20);
  expect(rig.paidOut(row)).toBe(0n);
  rig.rows.commit(row, 6n * XRP);
  await pass(rig, 20);
  expect(rig.paidOut(row)).toBe(6n * XRP);
  rig.rows.commit(row, 11n * XRP);
  await pass(rig, 20);
  expect(rig.paidOut(row)).toBe(6n * XRP);
  policy.stop();
});

/** A policy over one channel, whose redemptions go as `outcome` says; counts them. */
function counted(
  outcome: (channelId: bigint) => Promise<Partial<RedemptionResult>>,
  view: PolicyChannel,
  clock: SteeredClock,
  others: Partial<RedeemPolicyOptions> = {},
) {
  const at: number[] = [];
  const policy = new RedeemPolicy({
    channels: () => [view],
    redeem: async (channelId) => {
      at.push(clock.wall() / 1_000 - NOW);
      return (await outcome(channelId)) as RedemptionResult;
    },
    paidAt: () => 0,
    clock,
    logger: silent,
    aboveDrops: 1n,
    ...others,
  });
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      await settled();
    }
  };
  return { at, pass, policy };
}

test('while the ledger is not reached it tries again, ever later; near the end more often', async () => {
  const unreachable = () => Promise.reject(new Error('no server'));
  const clock = new SteeredClock(NOW * 1_000);
  const calm = counted(unreachable, channel(), clock);
  await calm.pass(150);
  expect(calm.at).toEqual([1, 2, 4, 8, 16, 32, 62, 92, 122]);
  calm.policy.stop();
  const late = new SteeredClock(NOW * 1_000);
  const hurried = counted(unreachable, channel({ expiration: NOW + 80 }), late);
  await hurried.pass(82);
  expect(hurried.at.filter((second) => second > 40).length).toBeGreaterThan(15);
  expect(hurried.at.every((second) => second < 80)).toBe(true);
  hurried.policy.stop();
});

test('what fails for good costs a fee each time, so it is tried ever more rarely', async () => {
  const clock = new SteeredClock(NOW * 1_000);
  const { at, pass: run, policy } = counted(async () => ({ outcome: 'failed', reason: 'tecNO_DST' }), channel(), clock);
  await run(700);
  expect(at).toEqual([1, 31, 91, 211, 451]);
  policy.stop();
  await run(3);
  expect(at).toHaveLength(5);
});

test('a payer that asks while a redemption is under way is not taken for paid by it, and once redeemed again it is', async () => {
  const clock = new SteeredClock(NOW * 1_000);
  const view = channel();
  const first = deferred<Partial<RedemptionResult>>();
  let paidAt = 0;
  const outcome = async () => {
    const result = at.length === 1 ? await first.promise : ({ outcome: 'paid' } as const);
    paidAt = clock.wall() / 1_000;
    return result;
  };
  const { at, pass: run, policy } = counted(outcome, view, clock, { aboveDrops: 3n * XRP, paidAt: () => paidAt });
  await run(2);
  view.expiration = NOW + 3_600;
  await run(4);
  // Something new came meanwhile, too little for any other reason to redeem it.
  view.redeemed = 4n * XRP;
  first.resolve({ outcome: 'paid' });
  await run(3);
  expect(at).toEqual([1, 8]);
  await run(60);
  expect(at).toEqual([1, 8]);
  policy.stop();
});

test('a channel that ends finds a place beside redemptions that do not', async () => {
  const clock = new SteeredClock(NOW * 1_000);
  const views = Array.from({ length: 12 }, (_, index) => channel({ channelId: BigInt(index) }));
  const begun: bigint[] = [];
  const endless = (channelId: bigint) => {
    begun.push(channelId);
    return new Promise<never>(() => {});
  };
  const { pass: run, policy } = counted(endless, channel(), clock, { channels: () => views });
  await run(2);
  expect(begun).toEqual([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n]);
  views[11]!.expiration = NOW + 3_600;
  await run(2);
  expect(begun.slice(8)).toEqual([11n]);
  policy.stop();
});

test('a payer that asks to close ends the wait after earlier failures', async () => {
  const clock = new SteeredClock(NOW * 1_000);
  const view = channel();
  const { at, pass: run, policy } = counted(async () => ({ outcome: 'failed', reason: 'tecNO_DST' }), view, clock);
  await run(460);
  expect(at).toEqual([1, 31, 91, 211, 451]);
  view.expiration = NOW + 3_600;
  await run(1);
  expect(at.slice(5)).toEqual([461]);
  policy.stop();
});

test('many channels are looked at bit by bit', () => {
  const clock = new SteeredClock(NOW * 1_000);
  let seen = 0;
  const policy = new RedeemPolicy({
    *channels() {
      for (; seen < 1e6; seen++) yield channel({ channelId: BigInt(seen) });
    },
    redeem: () => Promise.reject(new Error('not due')),
    paidAt: () => 0,
    clock,
    logger: silent,
  });
  clock.advance(1_000);
  expect(seen).toBeLessThan(1_001);
  clock.advance(1_000);
  expect(seen).toBeGreaterThan(1_000);
  policy.stop();
});

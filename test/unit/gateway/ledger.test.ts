/** A payer asks for its channel to be closed: what the ledger's side says to that becomes the answer. */
import { expect, test } from 'vitest';
import type { RedemptionResult } from '../../../src/control/ledger-control.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import type { GatewayOptions } from '../../../src/gateway/gateway.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { gatewayRig, TestPayer } from '../../support/gateway-rig.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const HASH = 'AB'.repeat(32);
const REDEEMED = { reason: 'expected a claim above 25 drops', paid: 0n, feeDrops: 12n, hash: HASH } as const;

/** A gateway whose ledger answers a redemption so, and a way to ask it to close. */
async function closing(redeem: (call: number) => Partial<RedemptionResult>) {
  const calls: unknown[] = [];
  const notUsed = () => Promise.reject(new Error('expected no other question to the ledger'));
  const ledger = {
    openFromLedger: notUsed,
    createChannel: notUsed,
    redeem: async (channelId: bigint, options: { close?: boolean } = {}) => {
      calls.push([channelId, options.close]);
      return { channelId, outcome: 'paid', ...REDEEMED, ...redeem(calls.length) } as RedemptionResult;
    },
  } satisfies GatewayOptions['ledger'];
  const clock = new ManualClock();
  const rig = await gatewayRig({ ledger, system: { ...nodeSystem, clock } });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const challenge = await rig.challenge();
  const close = () => rig.get('/', { headers: { authorization: payer.pay(challenge, 25n, { action: 'close' }) } });
  return { rig, payer, calls, clock, close };
}

test('a channel that the ledger closed: what it paid, and a receipt', async () => {
  const { rig, payer, calls, close } = await closing(() => ({ paid: 25n }));
  await using _ = rig;
  const reply = await close();
  expect([reply.status, JSON.parse(reply.body)]).toEqual([200, { closed: true, paid: '25', hash: HASH }]);
  expect(reply.headers['payment-receipt']).toBeDefined();
  expect([calls, rig.seen.length]).toEqual([[[payer.channelId, true]], 0]);
  // What was committed first is redeemed.
  expect(rig.node.channel(payer.channelId)!.committed).toBe(25n);
});

test.each<[string, (call: number) => Partial<RedemptionResult>]>([
  ['a transaction that failed', () => ({ outcome: 'failed', reason: 'tecNO_TARGET' })],
  ['nothing that was sent', () => ({ outcome: 'nothing', hash: null, reason: 'not worth a fee' })],
  [
    'a refusal',
    () => {
      throw new ClaimwireError('LEDGER_REFUSED', 'the channel pays another account');
    },
  ],
])('403 with the reason for %s', async (_name, redeem) => {
  const { rig, close } = await closing(redeem);
  await using _ = rig;
  const reply = await close();
  expect(reply.status).toBe(403);
  expect(JSON.parse(reply.body).detail).toMatch(
    /^the ledger did not close the channel: (tecNO_TARGET|not worth a fee|the channel pays another account)$/,
  );
  expect([reply.headers['payment-receipt'], rig.gateway.counters.closed]).toEqual([undefined, 0]);
});

test('503 and a time to come again where the ledger has none now; then the same request closes it', async () => {
  const faults = [
    ...(['LEDGER_UNREACHABLE', 'NODE_BUSY', 'REGISTRY_FULL'] as const).map(
      (code) => new ClaimwireError(code, 'not now'),
    ),
    new DOMException('late', 'TimeoutError'),
  ];
  const { rig, clock, close } = await closing((call) => {
    const fault = faults[call - 1];
    if (fault !== undefined) throw fault;
    return { paid: 25n };
  });
  await using _ = rig;
  for (const fault of faults) {
    const reply = await close();
    expect([reply.status, reply.headers['retry-after']], fault.message).toEqual([503, '1']);
  }
  // The fifth question in a second does not go to the ledger.
  expect([(await close()).status, rig.gateway.counters.busy]).toEqual([503, 5]);
  clock.advance(1_000);
  expect((await close()).status).toBe(200);
});

test('a fault of our own is 500, and its text stays here', async () => {
  const { rig, close } = await closing(() => {
    throw new Error('secret words');
  });
  await using _ = rig;
  const reply = await close();
  expect(reply).toMatchObject({ status: 500, body: expect.not.stringContaining('secret') });
});

test.each([0, 1, 3])(
  'a close that comes after %i of 3 vouchers: who is served is charged once, and all that was charged is redeemed',
  async (before) => {
    let redeemed = 0n;
    const { rig, payer } = await closing(() => {
      // As a redemption does: no claim is taken from here on, and the best one of all until then is redeemed.
      const row = rig.node.rows.get(payer.channelId)!;
      row.state = 'closed';
      redeemed = row.committed;
      return { paid: redeemed };
    });
    await using _ = rig;
    const challenge = await rig.challenge();
    const ask = (amount: bigint, change = {}) =>
      rig.get('/', { headers: { authorization: payer.pay(challenge, amount, change) } });
    const vouchers = [25n, 50n, 75n].map((amount) => () => ask(amount));
    const asked = vouchers.toSpliced(before, 0, () => ask(60n, { action: 'close' })).map((request) => request());
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.splice(before, 1)).toEqual([200]);
    const served = statuses.filter((status) => status === 200).length;
    expect(statuses.every((status) => status === 200 || status === 402)).toBe(true);
    expect([rig.seen.length, rig.node.spent(payer.channelId)]).toEqual([served, 25n * BigInt(served)]);
    expect(redeemed >= rig.node.spent(payer.channelId) && redeemed >= 60n).toBe(true);
    // What comes later is not charged.
    expect((await ask(100n)).status).toBe(402);
    expect([rig.seen.length, rig.node.channel(payer.channelId)!.committed]).toEqual([served, redeemed]);
  },
);

test('a voucher whose claim reaches the node just after the close is refused and pays for nothing', async () => {
  const { rig, payer, close } = await closing(() => ({ paid: 25n }));
  await using _ = rig;
  const challenge = await rig.challenge();
  const submit = rig.node.submit.bind(rig.node);
  rig.node.submit = async (claim) => {
    rig.node.submit = submit;
    // The close overtakes the voucher here: both had seen an open channel.
    expect((await close()).status).toBe(200);
    rig.node.rows.get(payer.channelId)!.state = 'closed';
    return submit(claim);
  };
  const reply = await rig.get('/', { headers: { authorization: payer.pay(challenge, 50n) } });
  expect([reply.status, JSON.parse(reply.body).type]).toEqual([402, expect.stringMatching(/channel-finalized$/)]);
  expect([rig.seen.length, rig.node.spent(payer.channelId), rig.gateway.counters.drops]).toEqual([0, 0n, 0n]);
  expect(rig.node.channel(payer.channelId)!.committed).toBe(25n);
});

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

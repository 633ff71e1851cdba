/** A refund follows its channel to the node that holds it now, once; a charge does not. */
import { expect, test } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { MovingMeter, type RefundAtHolder } from '../../../src/gateway/moving-meter.ts';
import { FakePaidNode, gatewayRig, TestPayer } from '../../support/gateway-rig.ts';

const moved = () => new ClaimwireError('MOVED', 'channel: another node holds it');

/** The first meter holds the channel until `leave`; then the second does, which fails so often first. */
function twoMeters(failures: ClaimwireError[] = []) {
  const here = new FakePaidNode();
  const there = new FakePaidNode();
  const asked: string[] = [];
  const said: string[] = [];
  const atHolder: RefundAtHolder = (channelId, drops, key) => {
    asked.push(key);
    const failure = failures.shift();
    return failure === undefined ? there.charge(channelId, drops, { key }) : Promise.reject(failure);
  };
  const meter = new MovingMeter(here, atHolder, { error: (line) => said.push(line) }, 0);
  const leave = async (channelId: bigint) => {
    there.rows.set(channelId, { ...here.rows.get(channelId)! });
    await there.charge(channelId, here.spent(channelId));
    here.charge = async () => {
      throw moved();
    };
  };
  return { here, there, meter, asked, said, leave };
}

test('a service that fails after the channel has gone: the holder gives back what was charged, and the client is told', async () => {
  const { here, there, meter, asked, leave } = twoMeters([
    moved(),
    new ClaimwireError('NODE_UNREACHABLE', 'no answer'),
  ]);
  const payer = new TestPayer('alice');
  here.open(payer);
  const service = (_: unknown, response: { destroy(): void }) =>
    void leave(payer.channelId).then(() => response.destroy());
  await using rig = await gatewayRig({ node: here, meter, service });
  const authorization = payer.pay(await rig.challenge(), 25n);
  const reply = await rig.get('/', { method: 'POST', headers: { authorization } });
  expect(reply.status).toBe(502);
  expect([there.spent(payer.channelId), asked.length, new Set(asked).size]).toEqual([0n, 3, 1]);
  expect(rig.gateway.counters).toMatchObject({ refunded: 1, drops: 0n, failed: 0 });
});

test('charges that are refused as MOVED stay so, and refunds of channels that are here are made here', async () => {
  const { here, meter, asked, leave } = twoMeters();
  const payer = new TestPayer('bob');
  here.open(payer, { committed: 100n });
  await meter.charge(payer.channelId, 60n);
  expect(await meter.charge(payer.channelId, -20n)).toMatchObject({ spent: 40n });
  expect(meter.spent(payer.channelId)).toBe(40n);
  await leave(payer.channelId);
  await expect(meter.charge(payer.channelId, 10n)).rejects.toMatchObject({ code: 'MOVED' });
  expect(asked).toEqual([]);
});

test('a refund that nobody takes is told in the log, with what makes it by hand', async () => {
  const { here, meter, asked, said, leave } = twoMeters(Array.from({ length: 100 }, moved));
  const payer = new TestPayer('carol');
  here.open(payer, { committed: 100n });
  await meter.charge(payer.channelId, 60n);
  await leave(payer.channelId);
  await expect(meter.charge(payer.channelId, -60n, { key: 'k-r' })).rejects.toMatchObject({ code: 'MOVED' });
  expect(asked.length).toBe(40);
  expect(said.join()).toContain(`claimwire charge ${payer.channelId} 60 --refund --key k-r`);
});

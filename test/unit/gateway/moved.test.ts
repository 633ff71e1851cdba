/** A channel that another node holds: nothing is charged, the client is told to come again, and then pays once. */
import { expect, test } from 'vitest';
import { encodeSessionToken, sessionPreimage } from '../../../protocol/session.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { challengesOf, gatewayRig, REALM, type Reply, type Rig, TestPayer } from '../../support/gateway-rig.ts';

async function rigWithPayer() {
  const rig = await gatewayRig();
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  return { rig, payer };
}
const paid = (rig: Rig, authorization: string) => rig.get('/', { headers: { authorization } });
const expectMoved = ({ status, headers, body }: Reply) => {
  expect([status, headers['retry-after'], headers['www-authenticate']]).toEqual([503, '1', undefined]);
  expect(JSON.parse(body).detail).toContain('another node holds this channel');
};

test('a voucher is not charged while its channel is elsewhere, and once when it is back', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const credential = payer.pay(await rig.challenge(), 25n);
  rig.node.isElsewhere = true;
  // Its row may be gone already, or closed since it is about to go.
  for (const state of ['open', 'closed'] as const) {
    rig.node.rows.get(payer.channelId)!.state = state;
    expectMoved(await paid(rig, credential));
  }
  const row = rig.node.rows.get(payer.channelId)!;
  rig.node.rows.clear();
  expectMoved(await paid(rig, credential));
  expect([rig.node.spent(payer.channelId), rig.seen.length, rig.gateway.counters.busy]).toEqual([0n, 0, 3]);
  rig.node.rows.set(payer.channelId, { ...row, state: 'open' });
  rig.node.isElsewhere = false;
  expect((await paid(rig, credential)).status).toBe(200);
  expect((await paid(rig, credential)).status).toBe(200);
  expect([rig.node.spent(payer.channelId), rig.gateway.counters.replayed]).toEqual([25n, 1]);
});

test('a claim or a charge that is refused as MOVED is no fault of the voucher', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const credential = payer.pay(await rig.challenge(), 25n);
  const { submit, charge } = rig.node;
  rig.node.submit = async () => ({ status: 'MOVED', committed: 7n });
  expectMoved(await paid(rig, credential));
  rig.node.submit = submit;
  rig.node.charge = async () => {
    throw new ClaimwireError('MOVED', 'channel: another node holds it');
  };
  expectMoved(await paid(rig, credential));
  rig.node.charge = charge;
  expect([rig.node.spent(payer.channelId), rig.seen.length]).toEqual([0n, 0]);
});

test('a session goes on where its channel comes back', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  await rig.node.submit(payer.claim(60n));
  const session = challengesOf(await rig.get('/'))['Claimwire-Session']!;
  const nonce = Buffer.from(session.nonce!, 'base64url');
  const said = { ledgerChannelId: payer.ledgerChannelId, expires: BigInt(rig.node.ruleSeconds + 60), nonce };
  const signature = payer.signer.signMessage!(sessionPreimage(said, REALM));
  const token = `Claimwire-Session ${Buffer.from(encodeSessionToken({ ...said, signature })).toString('base64url')}`;
  const row = rig.node.rows.get(payer.channelId)!;
  rig.node.rows.clear();
  rig.node.isElsewhere = true;
  expectMoved(await paid(rig, token));
  rig.node.rows.set(payer.channelId, row);
  rig.node.isElsewhere = false;
  expect((await paid(rig, token)).status).toBe(200);
  rig.node.isElsewhere = true;
  expectMoved(await paid(rig, token));
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

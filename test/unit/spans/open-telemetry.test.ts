/** Spans of charges, redemptions and requests of the gateway, as a collector gets them: here a double of one. */
import { expect, test } from 'vitest';
import { AmountWatch } from '../../../src/meter/amount-watch.ts';
import { spannedCharge } from '../../../src/meter/charge-span.ts';
import { Charges } from '../../../src/meter/charges.ts';
import { openSpans } from '../../../src/spans/open-telemetry.ts';
import type { SpanOptions } from '../../../src/spans/settings.ts';
import type { Spans } from '../../../src/spans/spans.ts';
import { PAYEE } from '../../support/chain-rig.ts';
import { FakePaidNode, gatewayRig, TestPayer } from '../../support/gateway-rig.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';
import { OtlpReceiverDouble } from '../../support/otlp-receiver.ts';
import { RedeemRig } from '../../support/redeem-rig.ts';
import { FakeSource } from '../meter/fake-source.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const SERVER = 2;
const ERROR = 2;

function opened(receiver: OtlpReceiverDouble, change: Partial<SpanOptions> = {}, warned: string[] = []) {
  const warn = (line: string) => warned.push(line);
  return openSpans({ url: receiver.url, ...change }, { warn, version: '1.2.3', chance: () => 0.5 });
}

test('a charge: the round that made it durable, and its result; one that is refused says why', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  const spans = await opened(receiver);
  const source = new FakeSource();
  source.commit([1n, 100n]);
  const charges = new Charges(source, new MemorySideTables(), new AmountWatch(source));
  const charge = (drops: bigint, key: string) =>
    spannedCharge(spans.begin('charge')!, charges, 1n, drops, { key, wait: false });
  await Promise.all([charge(40n, 'a'), charge(30n, 'b')]);
  await charge(40n, 'a');
  await expect(charge(31n, 'c')).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  await spans.close();

  expect(receiver.paths).toContain('/v1/traces');
  expect(receiver.resource).toMatchObject({ 'service.name': 'claimwire', 'service.version': '1.2.3' });
  const [first, second, repeated, refused] = receiver.named('charge').sort(byStart);
  expect(first!.attributes).toMatchObject({
    'claimwire.channel': '1',
    'claimwire.drops': '40',
    'claimwire.result': 'made',
    'claimwire.spent': '40',
    'claimwire.committed': '100',
  });
  expect(repeated!.attributes).toMatchObject({ 'claimwire.result': 'repeated' });
  expect(refused!.attributes).toMatchObject({ 'claimwire.result': 'refused', 'error.type': 'PAYMENT_REQUIRED' });
  expect(refused!.status.code).toBe(ERROR);
  // Both were made durable by one round, whose commit is below each of them.
  const commits = receiver.named('commit');
  expect(new Set(commits.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([first!.spanId, second!.spanId]));
  expect(commits.map(({ attributes }) => attributes['claimwire.round.charges'])).toEqual([2, 2]);
  expect(spans.counters).toMatchObject({ begun: 4, exported: 6, dropped: 0, failed: 0, queued: 0 });
});

test('a redemption: each step, with fee, hash and result', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  const spans = await opened(receiver, { ratio: 0 });
  const rig = new RedeemRig();
  const row = await rig.opened({ committed: 5_000_000n });
  const redeemer = rig.redeemer({ spans });
  await rig.until(redeemer.redeem(row.channelId));
  await rig.until(redeemer.redeem(row.channelId));
  await spans.close();

  const { hash } = rig.transactionsOf(PAYEE.address)[0]!;
  const [paid, nothing] = receiver.named('redeem').sort(byStart);
  expect(paid!.events.map(({ name }) => name)).toEqual(['prepared', 'submitted', 'validated', 'final']);
  expect(paid!.events[0]!.attributes).toMatchObject({ 'xrpl.hash': hash, 'xrpl.fee_drops': '10' });
  expect(paid!.attributes).toMatchObject({
    'claimwire.channel': String(row.channelId),
    'claimwire.result': 'paid',
    'claimwire.paid_drops': '5000000',
    'xrpl.hash': hash,
  });
  expect(nothing!.attributes).toMatchObject({ 'claimwire.result': 'nothing' });
  expect(redeemer.totals).toEqual({
    paid: 1,
    nothing: 0,
    failed: 0,
    never: 0,
    pending: 0,
    drops: 5_000_000n,
    feeDrops: 10n,
  });
});

/** A node whose charges have spans, as the real one's. */
class SpannedNode extends FakePaidNode {
  spans!: Spans;
  override async charge(...args: Parameters<FakePaidNode['charge']>) {
    const span = this.spans.begin('charge');
    const result = await super.charge(...args);
    span?.end();
    return result;
  }
}

test('a request of the gateway is below its caller, its charge below it, and the service gets its context', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  const spans = await opened(receiver, { ratio: 0 });
  const node = new SpannedNode();
  node.spans = spans;
  const payer = new TestPayer('traced');
  node.open(payer);
  await using rig = await gatewayRig({ node, spans });
  const authorization = payer.pay(await rig.challenge('/a'), 25n);
  const sent = { authorization, traceparent: `00-${TRACE}-${CALLER}-01`, tracestate: 'vendor=1' };
  expect((await rig.get('/a?secret=1', { headers: sent })).status).toBe(200);
  // Who does not take spans is not asked to.
  const unsampled = `00-${TRACE}-${CALLER}-00`;
  const next = { authorization: payer.pay(await rig.challenge('/b'), 50n), traceparent: unsampled };
  expect((await rig.get('/b', { headers: next })).status).toBe(200);
  await spans.close();

  const [request] = receiver.named('gateway request');
  expect(request).toMatchObject({ traceId: TRACE, parentSpanId: CALLER, kind: SERVER });
  expect(request!.attributes).toEqual({
    'http.request.method': 'GET',
    'url.path': '/a',
    'claimwire.price_drops': '25',
    'claimwire.verdict': 'paid by voucher',
    'claimwire.channel': String(payer.channelId),
    'http.response.status_code': 200,
  });
  expect(receiver.named('charge')).toMatchObject([{ traceId: TRACE, parentSpanId: request!.spanId }]);
  expect(receiver.spans).toHaveLength(2);
  expect(rig.seen[0]!.headers).toMatchObject({
    traceparent: `00-${TRACE}-${request!.spanId}-01`,
    tracestate: 'vendor=1',
  });
  expect(rig.seen[1]!.headers.traceparent).toBe(unsampled);
});

test('a share, a limit a second, and a caller that decides', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  const none = await opened(receiver, { ratio: 0.5 });
  expect(none.begin('charge')).toBeUndefined();
  none.under(`00-${TRACE}-${CALLER}-01`, () => none.begin('charge')!.end());
  none.under('not a traceparent', () => expect(none.begin('charge')).toBeUndefined());
  none.within(undefined, () =>
    expect(none.begin('charge', { traceparent: `00-${TRACE}-${CALLER}-01` })).toBeUndefined(),
  );
  await none.close();
  expect(receiver.spans).toMatchObject([{ name: 'charge', traceId: TRACE, parentSpanId: CALLER }]);

  const few = await opened(receiver, { ratio: 1, perSecondMax: 3 });
  const taken = Array.from({ length: 10 }, () => few.begin('charge')).filter((span) => span !== undefined);
  expect(taken).toHaveLength(3);
  // Redemptions are few and dear: the limit is not for them.
  expect(few.begin('redeem', { isRare: true })).toBeDefined();
  expect(few.counters).toMatchObject({ begun: 4, limited: 7 });
  await few.close();
});

test('a collector that refuses costs spans, which are counted, and one line', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  receiver.status = 400;
  const warned: string[] = [];
  const spans = await opened(receiver, { perSecondMax: 10_000 }, warned);
  for (let count = 0; count < 600; count++) spans.begin('charge')!.end();
  await spans.close();
  const { failed, dropped, queued } = spans.counters;
  expect(failed).toBeGreaterThan(0);
  expect(failed + dropped + queued).toBe(600);
  expect(warned).toHaveLength(1);
});

function byStart(left: { startTimeUnixNano: string }, right: { startTimeUnixNano: string }): number {
  return Number(BigInt(left.startTimeUnixNano) - BigInt(right.startTimeUnixNano));
}

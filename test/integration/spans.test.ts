/** `serve` with spans: a charge over HTTP is below the trace of the service that asks for it, and all are sent at the stop. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type * as Library from '../../src/index.ts';
import { temporaryFolders } from '../support/node-process.ts';
import { OtlpReceiverDouble } from '../support/otlp-receiver.ts';

const folder = temporaryFolders();
// Threads run compiled code.
const { serve } = (await import('../../dist/src/index.js' as string)) as typeof Library;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';

test('a charge of a service that sends traceparent', async () => {
  await using receiver = await OtlpReceiverDouble.start();
  const data = folder('spans');
  const loopback = { host: '127.0.0.1', port: 0 };
  const logger = { info: () => {}, warn: () => {}, error: () => {} };
  const otel = { url: receiver.url, ratio: 0 };
  const options = { data, udp: loopback, http: loopback, backend: 'noble', sockets: 'dgram', logger, otel } as const;
  const serving = await serve(options);
  const { node } = serving;
  const publicKey = '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798';
  await node.openChannels([{ ledgerChannelId: '07'.repeat(32), publicKey, capacity: '1000', channelId: '7' }]);
  await expect(node.charge(7n, 1n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  const refused = await fetch(`http://${serving.http}/charge`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${readFileSync(join(data, 'admin-token'), 'utf8').trim()}`,
      'content-type': 'application/json',
      traceparent: `00-${TRACE}-${CALLER}-01`,
    },
    body: JSON.stringify({ channelId: '7', drops: '25' }),
  });
  expect(refused.status).toBe(402);
  expect((node.stats() as unknown as { spans: object }).spans).toMatchObject({ begun: 1 });
  await serving.stop();
  expect(receiver.spans).toMatchObject([{ name: 'charge', traceId: TRACE, parentSpanId: CALLER }]);
  expect(receiver.spans[0]!.attributes).toMatchObject({ 'claimwire.drops': '25', 'error.type': 'PAYMENT_REQUIRED' });
});

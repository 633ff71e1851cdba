/**
 * protocol/openapi.json describes the whole HTTP interface: its operations are the server's routes, and what the server answers
 * is what it says, field by field.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { FakeClusterControl } from '../../support/fake-cluster-control.ts';
import { FakeLedgerControl, record } from '../../support/fake-ledger-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { receiptRig } from '../../support/receipts.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const ledgerId = (index: number) => index.toString(16).padStart(16, '0').padEnd(64, 'A').toUpperCase();
const opening = (index: number) => ({ ledgerChannelId: ledgerId(index), publicKey: KEY, capacity: '1000' });

interface Body {
  content?: Record<string, { schema: object }>;
}
interface Operation {
  operationId: string;
  security: Record<string, string[]>[];
  requestBody?: Body;
  responses: Record<string, Body & { $ref?: string }>;
}
interface Description {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Body>; schemas: object };
}

const text = readFileSync(join(ROOT, 'protocol/openapi.json'), 'utf8');
const description = JSON.parse(text) as Description;

/** Closed for the test: a field that the file does not tell of is a fault here, while clients have to bear it. */
function closed(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(closed);
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  return 'properties' in copy && !('additionalProperties' in copy) ? { ...copy, additionalProperties: false } : copy;
}
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'api', ...(closed({ components: description.components }) as object) });
const schemaOf = (schema: object) =>
  JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/components/', '"api#/components/')) as object;

function expectValid(schema: object, value: unknown, what: string): void {
  const isValid = ajv.validate(schemaOf(schema), value);
  expect(isValid ? [] : ajv.errors, `${what}: ${JSON.stringify(value)}`).toEqual([]);
}

const ledger = new FakeLedgerControl();
const { receipts, source, clock: turned } = receiptRig();
let admin: FakeAdmin;
beforeAll(async () => {
  admin = await startFakeAdmin(undefined, undefined, { ledger, cluster: new FakeClusterControl(), receipts });
});
afterAll(() => admin.close());

/** What was answered as described, by operation. */
const answered = new Map<string, Set<number>>();

/** Asks, and holds the answer to the file. */
async function ask(
  method: string,
  path: string,
  template: string,
  body?: unknown,
  options: { bearer?: string; type?: string } = {},
) {
  const { bearer = admin.token, type = 'application/json' } = options;
  const headers = { authorization: `Bearer ${bearer}`, ...(body === undefined ? {} : { 'content-type': type }) };
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  const payload = body === undefined ? null : isRaw ? (body as string) : JSON.stringify(body);
  const response = await fetch(admin.url + path, { method, headers, body: payload });
  const operation = description.paths[template]![method.toLowerCase()]!;
  const { status } = response;
  const described = operation.responses[status];
  expect(described, `${method} ${template} ${status}`).toBeDefined();
  const { content } = described!.$ref === undefined ? described! : description.components.responses[`E${status}`]!;
  const given = await response.text();
  const contentType = response.headers.get('content-type');
  if (content === undefined) expect(given).toBe('');
  else {
    expect(Object.keys(content), `${method} ${template}`).toContain(contentType);
    if (contentType === 'application/json')
      expectValid(content[contentType]!.schema, JSON.parse(given), `${method} ${template} ${status}`);
  }
  const request = operation.requestBody?.content?.[type];
  if (response.ok && !isRaw && request !== undefined)
    expectValid(request.schema, body, `body of ${method} ${template}`);
  const seen = answered.get(`${method} ${template}`) ?? new Set();
  answered.set(`${method} ${template}`, seen.add(status));
  return given === '' || contentType !== 'application/json'
    ? undefined
    : (JSON.parse(given) as Record<string, unknown>);
}

test('each route is in the file with its scope and its body, and nothing else is', () => {
  const routes = admin.server.routes.map(({ method, path, scope, takesBody }) => [
    `${method} ${path}`,
    scope,
    takesBody,
  ]);
  const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'parameters')
      .map(([method, { security, requestBody }]) => [
        `${method.toUpperCase()} ${path}`,
        security[0]?.token?.[0],
        requestBody !== undefined,
      ]),
  );
  expect(operations.sort()).toEqual(routes.sort());
  const names = Object.values(description.paths).flatMap((methods) =>
    Object.values(methods).flatMap(({ operationId }) => operationId ?? []),
  );
  expect(new Set(names).size).toBe(names.length);
});

test('what it refers to is there, and it is served as it is', async () => {
  const parts = [...text.matchAll(/"\$ref": "#\/([^"]+)"/g)].map(([, path]) => path!.split('/'));
  for (const path of parts) {
    const found = path.reduce<unknown>((part, name) => (part as Record<string, unknown>)?.[name], description);
    expect(found, path.join('/')).toBeDefined();
  }
  expect(await (await fetch(`${admin.url}/openapi.json`)).text()).toBe(text);
});

test('what each route answers is what the file says', async () => {
  const one = '/channels/{id}';
  await ask('POST', '/channels', '/channels', opening(1));
  await ask('POST', '/channels', '/channels', opening(1));
  await ask('POST', '/channels', '/channels', [opening(2), { ...opening(2), capacity: '5' }]);
  await ask('POST', '/channels', '/channels', JSON.stringify(opening(3)), { type: 'application/x-ndjson' });
  await ask('POST', '/channels', '/channels', { ...opening(1), capacity: '5' });
  await ask('POST', '/channels', '/channels', { ledgerChannelId: opening(1).ledgerChannelId });
  await ask('POST', '/channels', '/channels', { ledgerChannelId: ledgerId(6) });
  await ask('GET', '/channels', '/channels');
  await ask('GET', '/channels?limit=x', '/channels');
  await ask('GET', '/channels/1', one);
  await ask('GET', '/channels/1', one, undefined, { bearer: '' });
  await ask('GET', '/channels/99', one);
  const rooted = admin.node.rows.get(2n)!;
  const [place, bits] = [
    { lane: 0, segment: 1, offset: 0, leaf: 0 },
    { sequence: 1, timestampBits: 0n },
  ];
  rooted.rooted = { committed: 0n, ...bits, leaf: { amount: 5n, ...bits, place } };
  await ask('GET', '/channels/2', one);
  const { publicKey, ledgerChannelId } = rooted;
  const zeros = { timestamp: new Uint8Array(8), path: new Uint8Array(0), signature: new Uint8Array(64) };
  const leafProof = { publicKey, ledgerChannelId, amount: 5n, sequence: 1, leaves: 1, index: 0, ...zeros };
  admin.node.leafProof = ({ channelId }) => (channelId === 2n ? leafProof : undefined);
  for (const id of [1, 2, 99]) await ask('GET', `/channels/${id}/proof`, '/channels/{id}/proof');
  await ask('GET', '/channels/2/proof', '/channels/{id}/proof', undefined, { bearer: '' });
  await ask('PATCH', '/channels/1', one, { capacity: '2000', expiresAt: '2030-01-01T00:00:00Z' });
  await ask('PATCH', '/channels/1', one, '{', {});
  await ask('PATCH', '/channels/1', one, '{}', { type: 'text/plain' });
  await ask('POST', '/channels', '/channels', opening(4), { bearer: '' });
  admin.meter.commit([1n, 100n]);
  const claim = claimBytes({ channelId: 2n, sequence: 1, amount: 5n, signature: new Uint8Array(64), timestamp: 0 });
  await ask('POST', '/claims', '/claims', { claim: Buffer.from(claim).toString('hex') });
  await ask('POST', '/claims', '/claims', claim, { type: 'application/octet-stream' });
  await ask('POST', '/claims', '/claims', { claim: '' });
  await ask('POST', '/charge', '/charge', { channelId: '1', drops: '60', key: 'a', wait: '1s' });
  await ask('POST', '/charge', '/charge', { channelId: '1', drops: '-6' });
  await ask('POST', '/charge', '/charge', { channelId: '1', drops: '50' });
  await ask('POST', '/charge', '/charge', { channelId: '1', drops: '1', key: 'a' });
  await ask('POST', '/charge', '/charge', { channelId: '99', drops: '1' });
  await ask('POST', '/charge', '/charge', { channelId: '1', drops: '1' }, { bearer: admin.tokenOf('read') });
  await ask('POST', '/charges', '/charges', { charges: [1, 99].map((id) => ({ channelId: `${id}`, drops: '1' })) });
  await ask('GET', '/channels/1/wait?amount=100', '/channels/{id}/wait');
  await ask('GET', '/channels/1/wait?amount=101&timeout=1ms', '/channels/{id}/wait');
  await ask('GET', '/channels/1/wait', '/channels/{id}/wait');
  source.grow([1n, 100n]);
  const turning = setInterval(() => turned.advance(100), 1);
  await ask('GET', '/channels/1/receipt', '/channels/{id}/receipt', undefined, { bearer: '' });
  await ask('GET', '/channels/1/receipt?amount=60', '/channels/{id}/receipt');
  await ask('GET', '/channels/1/receipt?amount=101', '/channels/{id}/receipt');
  clearInterval(turning);
  await ask('GET', '/channels/1/receipt?amount=x', '/channels/{id}/receipt');
  await ask('GET', '/channels/1/receipt?drops=5', '/channels/{id}/receipt');
  await ask('GET', '/channels/99/receipt', '/channels/{id}/receipt');
  await ask('DELETE', '/channels/3', one);
  await ask('POST', '/channels/remove', '/channels/remove', { ids: ['1', '3', '99'] });
  ledger.outcome = async (channelId) => ({
    channelId,
    outcome: 'paid',
    reason: 'tesSUCCESS',
    paid: 5n,
    feeDrops: 10n,
    hash: 'A'.repeat(64),
  });
  ledger.records = [record(2n)];
  await ask('POST', '/redemptions', '/redemptions', { id: '2', close: true });
  await ask('POST', '/redemptions', '/redemptions', { id: '99' });
  await ask('POST', '/redemptions', '/redemptions', { id: '2' }, { bearer: admin.tokenOf('charge') });
  await ask('GET', '/redemptions?limit=5', '/redemptions');
  await ask('GET', '/redemptions?limit=0', '/redemptions');
  for (const path of ['/healthz', '/readyz', '/stats', '/metrics', '/ledger', '/cluster', '/openapi.json'])
    await ask('GET', path, path);
  await ask('POST', '/cluster', '/cluster', { action: 'move', shards: [7], to: 'b' });
  await ask('POST', '/cluster', '/cluster', { action: 'stop' });
  await ask('POST', '/cluster', '/cluster', { action: 'leave' }, { bearer: admin.tokenOf('read') });
  admin.node.ready = false;
  await ask('GET', '/readyz', '/readyz');
  await ask('POST', '/channels', '/channels', opening(5));
  admin.node.ready = true;
  const stream = await fetch(`${admin.url}/events`, { headers: { authorization: `Bearer ${admin.token}` } });
  expect(stream.headers.get('content-type')).toBe('text/event-stream');
  expect(description.paths['/events']!.get!.responses['200']!.content).toHaveProperty('text/event-stream');
  await stream.body!.cancel();
  answered.set('GET /events', new Set([200]));
  for (const method of ['GET', 'HEAD']) {
    await ask(method, '/', '/');
    await ask(method, '/page/style.css', '/page/{id}');
  }
  await ask('GET', '/page/none.css', '/page/{id}');
  await ask('GET', '/channels?sort=exposure&limit=3', '/channels');
  admin.sampler.listen(() => {});
  admin.clock.advance(1_000);
  const feed = await fetch(`${admin.url}/feed?history=1`);
  expect(feed.headers.get('content-type')).toBe('text/event-stream');
  const [, sample] = /^data: (.*)$/m.exec(Buffer.from((await feed.body!.getReader().read()).value!).toString())!;
  expectValid({ $ref: '#/components/schemas/Sample' }, JSON.parse(sample!), 'a sample');
  answered.set('GET /feed', new Set([200]));
  await ask('POST', '/profile?seconds=1', '/profile');
  await ask('POST', '/profile?format=html', '/profile');
  await ask('POST', '/profile?seconds=61', '/profile');
  await ask('POST', '/profile', '/profile', undefined, { bearer: admin.tokenOf('charge') });
  const headers = { authorization: `Bearer ${admin.token}` };
  const trace = await (await fetch(`${admin.url}/channels/2/trace?seconds=1`, { headers })).text();
  const told = [...trace.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data]) => [name!, data!] as const);
  expect(told.map(([name]) => name)).toEqual(['claim', 'summary']);
  const schemas = { claim: 'TracedClaim', summary: 'TraceSummary' } as Record<string, string>;
  for (const [name, data] of told)
    expectValid({ $ref: `#/components/schemas/${schemas[name]}` }, JSON.parse(data), `a ${name}`);
  answered.set('GET /channels/{id}/trace', new Set([200]));
  const operations = admin.server.routes.map(({ method, path }) => `${method} ${path}`);
  expect(operations.filter((name) => ![...(answered.get(name) ?? [])].some((status) => status < 300))).toEqual([]);
});

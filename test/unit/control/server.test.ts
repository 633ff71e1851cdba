/**
 * Control messages carried out: who may ask what, by token, signature and connection; and how messages cross between threads.
 */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type ControlReply, type ControlRequest, resumePreimage } from '../../../protocol/control.ts';
import { parseRoute } from '../../../protocol/route.ts';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import type { ChannelOpening } from '../../../src/channel/changes.ts';
import { channelJson, upperHex } from '../../../src/channel/parse.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { Secp256k1Signer } from '../../../src/client/keys/signer.ts';
import type { NodeControl, NodeStats } from '../../../src/control/node-control.ts';
import { noReceipts, type ReceiptControl } from '../../../src/control/receipt-control.ts';
import { RemoteControl } from '../../../src/control/remote.ts';
import { RouteBoard } from '../../../src/control/route-control.ts';
import { ControlServer } from '../../../src/control/server.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import type { ControlSession } from '../../../src/transport/control-port.ts';
import { receiptRig, settled } from '../../support/receipts.ts';

const TOKEN = 'c3'.repeat(32);
const SIGNER = new Secp256k1Signer(new Uint8Array(32).fill(9));
const OTHER = new Secp256k1Signer(new Uint8Array(32).fill(8));
const LOCAL: ControlSession = { nonce: '5e'.repeat(16), isProtected: true };
const REMOTE: ControlSession = { nonce: '5e'.repeat(16), isProtected: false };

function channelOf(channelId: bigint, fields: Partial<Channel> = {}): Channel {
  return {
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId)),
    publicKey: SIGNER.publicKey,
    capacity: 2n ** 60n,
    committed: 2n ** 59n + 1n,
    sequence: 41,
    timestampBits: 0x0a0b_0c0dn,
    signature: new Uint8Array(64).fill(0xab),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
    ...fields,
  };
}

function serverOver(
  channels: Channel[],
  fields: Partial<NodeControl> = {},
  route?: RouteBoard,
  receipts?: ReceiptControl,
) {
  const byId = new Map(channels.map((channel) => [channel.channelId, channel]));
  const openings: ChannelOpening[] = [];
  const control = {
    ready: true,
    channel: (id: bigint) => byId.get(id),
    openChannels: async ([opening]: ChannelOpening[]) => {
      openings.push(opening!);
      const isTaken = byId.has(opening!.channelId);
      const refused = isTaken ? [{ index: 0, code: 'CHANNEL_EXISTS', message: 'taken' }] : [];
      return { opened: isTaken ? 0 : 1, unchanged: 0, refused };
    },
    closeChannel: async (id: bigint) => {
      if (byId.get(id)!.state === 'closed') throw new ClaimwireError('CHANNEL_CLOSED', 'closed already');
      return { ...byId.get(id)!, state: 'closed' as const };
    },
    stats: () =>
      ({ backend: 'noble', counters: { received: 2 ** 40, refused: { badAmount: 1 } } }) as unknown as NodeStats,
  } as unknown as NodeControl;
  // With its getters, which a spread would read once.
  Object.defineProperties(control, Object.getOwnPropertyDescriptors(fields));
  const transports = { udp: 1, tcp: 2 };
  const options = { control, receipts, token: TOKEN, server: 'claimwire/test', transports, idleMsMax: 60_000 };
  const server = new ControlServer({ ...options, ...(route && { route }) });
  return { server, openings };
}

const resume = (channelId: string, signature: Uint8Array): ControlRequest => ({
  id: 5,
  type: 'resume',
  channelId,
  signature: Buffer.from(signature).toString('hex'),
});
const digestOf = (channel: Channel, nonce: string) =>
  createHash('sha256')
    .update(resumePreimage(channel.ledgerChannelId, Buffer.from(nonce, 'hex')))
    .digest();

test('hello: version, nonce, limits; no common version is said so', async () => {
  const { server } = serverOver([]);
  expect(await server.request({ id: 9, type: 'hello', client: 'x', versions: [3, 1] }, LOCAL)).toEqual({
    id: 9,
    ok: true,
    version: 1,
    server: 'claimwire/test',
    nonce: LOCAL.nonce,
    profiles: ['xrpl', 'link'],
    transports: { udp: 1, tcp: 2 },
    limits: { payloadBytes: 65_536, controlBytes: 4_096, controlOutstanding: 16, controlPerSecond: 64, idleMs: 60_000 },
  });
  const refusal = await server.request({ id: 9, type: 'hello', client: 'x', versions: [2] }, LOCAL);
  expect(refusal).toMatchObject({ id: 9, ok: false, code: 'UNSUPPORTED_VERSION' });
});

test('status tells a stranger nothing of what was spent', async () => {
  const { server } = serverOver([channelOf(1n), channelOf(2n, { state: 'closed', expiresAt: 86_400 })]);
  const status = (channelId: string) => server.request({ id: 1, type: 'status', channelId }, REMOTE);
  const capacity = (2n ** 60n).toString();
  const open = { id: 1, ok: true, state: 'open', profile: 'xrpl', capacity, expiresAt: null };
  expect(await status('1')).toEqual(open);
  expect(await status('2')).toEqual({ ...open, state: 'closed', expiresAt: '1970-01-02T00:00:00Z' });
  expect(await status('3')).toEqual({ id: 1, ok: true, state: 'unknown' });
});

test('status says that a channel has expired, from the second of its expiry on, unless it is closed', async () => {
  let ruleSeconds = 86_399;
  const channels = [channelOf(1n, { expiresAt: 86_400 }), channelOf(2n, { state: 'closed', expiresAt: 86_400 })];
  const { server } = serverOver(channels, {
    get ruleSeconds() {
      return ruleSeconds;
    },
  });
  const state = async (channelId: string) =>
    ((await server.request({ id: 1, type: 'status', channelId }, REMOTE)) as unknown as { state: string }).state;
  expect([await state('1'), await state('2')]).toEqual(['open', 'closed']);
  ruleSeconds = 86_400;
  expect([await state('1'), await state('2')]).toEqual(['expired', 'closed']);
});

test('receipt: signed, of the amount that was asked about; what is refused has a code: NO_RECEIPTS, RECEIPT_NOT_YET, MOVED', async () => {
  const { receipts, source, clock } = receiptRig();
  source.grow([7n, 100n]);
  const { server } = serverOver([channelOf(7n)], {}, undefined, receipts);
  const receipt = (channelId: string, amount: string) =>
    server.request({ id: 4, type: 'receipt', channelId, amount }, REMOTE);
  const given = await receipt('7', '60');
  expect(given).toMatchObject({ id: 4, ok: true, amount: '60', leaf: 0, leaves: 1, path: [] });
  // Nothing tells a stranger that 100 are committed.
  expect(JSON.stringify(given)).not.toContain('"100"');
  const late = receipt('7', '101');
  await settled();
  clock.advance(100);
  await settled();
  clock.advance(100);
  expect(await late).toMatchObject({ id: 4, ok: false, code: 'RECEIPT_NOT_YET' });
  expect(await receipt('8', '1')).toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  const without = serverOver([channelOf(7n)]).server;
  const asked = { id: 4, type: 'receipt', channelId: '7', amount: '60' } as const;
  expect(await without.request(asked, LOCAL)).toMatchObject({ id: 4, ok: false, code: 'NO_RECEIPTS' });
  const busy = { receipt: async () => Promise.reject(new ClaimwireError('NODE_BUSY', 'too many')) };
  const full = serverOver([channelOf(7n)], {}, undefined, busy).server;
  expect(await full.request(asked, REMOTE)).toMatchObject({ id: 4, ok: false, code: 'OVERLOADED' });
  const none = serverOver([channelOf(7n)], {}, undefined, { receipt: async () => Promise.reject(noReceipts()) }).server;
  expect(await none.request(asked, REMOTE)).toMatchObject({ code: 'NO_RECEIPTS' });
});

test("resume: the channel key's signature over this connection's nonce, and no other", async () => {
  const channel = channelOf(7n);
  const fresh = channelOf(8n, { committed: 0n, signature: new Uint8Array(64) });
  const { server } = serverOver([channel, fresh]);
  const signature = SIGNER.sign(digestOf(channel, REMOTE.nonce));
  expect(await server.request(resume('7', signature), REMOTE)).toEqual({
    id: 5,
    ok: true,
    channelId: '7',
    committed: (2n ** 59n + 1n).toString(),
    sequence: 41,
    timestamp: '000000000A0B0C0D',
    signature: 'AB'.repeat(64),
  });
  const ofFresh = await server.request(resume('8', SIGNER.sign(digestOf(fresh, REMOTE.nonce))), REMOTE);
  expect(ofFresh).toMatchObject({ ok: true, committed: '0', signature: null });

  const high = signature.slice();
  const s = 0xffffffff_ffffffff_ffffffff_fffffffe_baaedce6_af48a03b_bfd25e8c_d0364141n;
  const low = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
  high.set(Buffer.from((s - low).toString(16).padStart(64, '0'), 'hex'), 32);
  const wrong = [
    resume('8', signature),
    resume('7', OTHER.sign(digestOf(channel, REMOTE.nonce))),
    resume('7', SIGNER.sign(digestOf(channel, '00'.repeat(16)))),
    resume('7', SIGNER.sign(createHash('sha256').update(channel.ledgerChannelId).digest())),
    resume('7', high),
    resume('7', new Uint8Array(64)),
  ];
  for (const request of wrong)
    expect(await server.request(request, REMOTE)).toMatchObject({ ok: false, code: 'UNAUTHORIZED' });
  const replayed = await server.request(resume('7', signature), { ...REMOTE, nonce: '01'.repeat(16) });
  expect(replayed).toMatchObject({ ok: false, code: 'UNAUTHORIZED' });
  expect(await server.request(resume('9', signature), REMOTE)).toMatchObject({ ok: false, code: 'CHANNEL_UNKNOWN' });
});

test('resume of an Ed25519 channel: its key signs the 66 bytes themselves', async () => {
  const seed = Buffer.alloc(32, 4);
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = key.export({ format: 'jwk' }) as { x: string };
  const channel = channelOf(7n, { publicKey: Uint8Array.of(0xed, ...Buffer.from(x, 'base64url')) });
  const { server } = serverOver([channel]);
  const preimage = resumePreimage(channel.ledgerChannelId, Buffer.from(REMOTE.nonce, 'hex'));
  expect(await server.request(resume('7', sign(null, preimage, key)), REMOTE)).toMatchObject({ ok: true });
  const overDigest = sign(null, digestOf(channel, REMOTE.nonce), key);
  expect(await server.request(resume('7', overDigest), REMOTE)).toMatchObject({ ok: false, code: 'UNAUTHORIZED' });
});

test('signatures are checked at a bounded rate, whoever asks', async () => {
  const { server } = serverOver([channelOf(7n)]);
  const codes = new Map<string, number>();
  const start = performance.now();
  for (let count = 0; count < 2_000; count++) {
    const reply = await server.request(resume('7', new Uint8Array(64).fill(1)), LOCAL);
    const code = (reply as { code: string }).code;
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  const seconds = Math.floor((performance.now() - start) / 1_000) + 2;
  expect(codes.get('UNAUTHORIZED')).toBeLessThanOrEqual(500 * seconds);
  if (seconds < 4) expect(codes.get('OVERLOADED')).toBeGreaterThan(0);
});

test('open, close and stats take the token, and only where nobody can read it on its way', async () => {
  const { server, openings } = serverOver([channelOf(1n), channelOf(2n, { state: 'closed' })]);
  const channel = {
    ledgerChannelId: '0A'.repeat(32),
    publicKey: upperHex(SIGNER.publicKey),
    capacity: '18014398509481985',
  };
  const requests: ControlRequest[] = [
    { id: 1, type: 'open', token: TOKEN, channel },
    // Hex is taken in either case.
    { id: 2, type: 'close', token: TOKEN.toUpperCase(), channelId: '1' },
    { id: 3, type: 'stats', token: TOKEN },
  ];
  for (const request of requests) {
    const { id } = request;
    expect(await server.request(request, REMOTE)).toMatchObject({ id, ok: false, code: 'UNAUTHORIZED' });
    const wrong = { ...request, token: TOKEN.replace('c', 'd') } as ControlRequest;
    expect(await server.request(wrong, LOCAL)).toMatchObject({ id, ok: false, code: 'UNAUTHORIZED' });
    expect(openings.length).toBe(0);
  }
  const handle = String(0x0a0a0a0a0a0a0a0an);
  expect(await server.request(requests[0]!, LOCAL)).toEqual({ id: 1, ok: true, opened: true, channelId: handle });
  expect(openings[0]).toMatchObject({ capacity: 18014398509481985n, profile: 'xrpl' });
  const closed = await server.request(requests[1]!, LOCAL);
  const { committed, signature } = channelJson(channelOf(1n));
  expect(closed).toMatchObject({ id: 2, ok: true, channelId: '1', committed, signature });
  expect(await server.request(requests[2]!, LOCAL)).toMatchObject({
    ok: true,
    stats: { counters: { received: 2 ** 40 } },
  });

  const refused: [ControlRequest, string][] = [
    [{ id: 4, type: 'open', token: TOKEN, channel: { ...channel, channelId: '1' } }, 'CHANNEL_EXISTS'],
    [{ id: 4, type: 'open', token: TOKEN, channel: { ...channel, capacity: '0' } }, 'INPUT_INVALID'],
    [{ id: 4, type: 'open', token: TOKEN, channel: { ...channel, more: 1 } as never }, 'INPUT_INVALID'],
    [{ id: 4, type: 'close', token: TOKEN, channelId: '2' }, 'CHANNEL_CLOSED'],
    [{ id: 4, type: 'close', token: TOKEN, channelId: '3' }, 'CHANNEL_UNKNOWN'],
  ];
  for (const [request, code] of refused)
    expect(await server.request(request, LOCAL)).toMatchObject({ id: 4, ok: false, code });
});

test.each([2n ** 64n - 1n, 5, [2n ** 63n], { more: 2n ** 60n }, new Uint8Array(3), null, 1.5])(
  'a field of another type (%s) is refused by name, whatever MessagePack made of it',
  async (odd) => {
    const { server, openings } = serverOver([]);
    const channel = { ledgerChannelId: '0A'.repeat(32), publicKey: upperHex(SIGNER.publicKey), capacity: '10' };
    for (const field of ['ledgerChannelId', 'publicKey', 'capacity', 'profile', 'expiresAt', 'channelId']) {
      // Absent means the default here.
      if (odd === null && (field === 'expiresAt' || field === 'profile')) continue;
      const request = { id: 4, type: 'open', token: TOKEN, channel: { ...channel, [field]: odd } } as never;
      const reply = await server.request(request, LOCAL);
      expect(reply).toMatchObject({ id: 4, ok: false, code: 'INPUT_INVALID' });
      expect((reply as { message: string }).message).toContain(field);
    }
    expect(openings).toEqual([]);
  },
);

test('a fault of the node is a reply too, and tells nothing of its inside', async () => {
  const throwing = serverOver([], {
    stats: () => {
      throw new Error('/secret/path');
    },
  });
  const stats: ControlRequest = { id: 6, type: 'stats', token: TOKEN };
  const reply = await throwing.server.request(stats, LOCAL);
  expect(reply).toMatchObject({ id: 6, ok: false, code: 'NODE_FAILED' });
  expect(JSON.stringify(reply)).not.toContain('secret');
  const stopping = serverOver([channelOf(1n)], { ready: false });
  const close: ControlRequest = { id: 6, type: 'close', token: TOKEN, channelId: '1' };
  expect(await stopping.server.request(close, LOCAL)).toMatchObject({ code: 'NODE_STOPPING' });
});

test('between threads: replies find their askers, a bounded number waits, for a bounded time', async () => {
  const { port1, port2 } = new MessageChannel();
  const remote = new RemoteControl(port1, 300);
  const status = (id: number, channelId: string) => remote.request({ id, type: 'status', channelId }, REMOTE);
  // Nobody serves yet: 64 wait, the next is told to come again.
  const waiting = Array.from({ length: 64 }, (_, index) => status(index, String(index)));
  expect(await status(99, '1')).toMatchObject({ id: 99, code: 'OVERLOADED' });
  const late = await Promise.all(waiting);
  expect(late.map((reply) => (reply as { code: string }).code)).toEqual(new Array(64).fill('TIMED_OUT'));
  expect(late[63]).toMatchObject({ id: 63, ok: false });

  serverOver([channelOf(1n)]).server.serve(port2);
  // The answers to those that gave up come first, and are for nobody.
  const replies: ControlReply[] = await Promise.all([status(1, '1'), status(1, '2'), status(3, '1')]);
  expect(replies).toMatchObject([{ state: 'open' }, { state: 'unknown' }, { id: 3, state: 'open' }]);
  remote.close();
  await once(port2, 'close');
});

const NODES = [
  { name: 'one', places: ['udp://192.0.2.1:9393', 'tcp://192.0.2.1:9393'] },
  { name: 'two', places: ['tls://two.example:9393'] },
];

/** Node `one` of two, which holds the shards of channel 7 and no other. */
function cluster(): RouteBoard {
  const route = new RouteBoard({ hold: () => {}, confirm: () => {} });
  const holders: string[] = Array.from({ length: SHARDS }, (_, shard) =>
    shard === shardOfChannel(7n) ? 'one' : 'two',
  );
  holders[0] = 'gone';
  route.hold([shardOfChannel(7n)], 12);
  route.show({ version: 12, node: 'one', nodes: NODES, holders });
  return route;
}

test('route: the map in runs, from a node of a cluster alone; hello says that it is one', async () => {
  const { server } = serverOver([], {}, cluster());
  const reply = await server.request({ id: 3, type: 'route' }, REMOTE);
  expect(reply).toMatchObject({ id: 3, ok: true, version: '12', node: 'one', nodes: NODES });
  const map = parseRoute(reply as never)!;
  expect([map.version, map.holders[0], map.holders[1], map.holders[shardOfChannel(7n)]]).toEqual([12n, -1, 1, 0]);
  const hello = await server.request({ id: 4, type: 'hello', client: '', versions: [1] }, REMOTE);
  expect(hello).toMatchObject({ ok: true, cluster: { node: 'one', version: '12' } });
  const alone = await serverOver([]).server.request({ id: 3, type: 'route' }, REMOTE);
  expect(alone).toMatchObject({ ok: false, code: 'NO_CLUSTER' });
});

test('a channel that another node holds is MOVED to every request, with the version; the token is looked at before', async () => {
  const { server, openings } = serverOver([channelOf(1n), channelOf(7n)], {}, cluster());
  const moved = { ok: false, code: 'MOVED', version: '12' };
  expect(await server.request({ id: 1, type: 'status', channelId: '1' }, REMOTE)).toMatchObject(moved);
  expect(await server.request(resume('1', new Uint8Array(64)), REMOTE)).toMatchObject(moved);
  expect(await server.request({ id: 1, type: 'close', token: TOKEN, channelId: '1' }, LOCAL)).toMatchObject(moved);
  const { publicKey, ledgerChannelId } = channelOf(1n);
  const channel = { ledgerChannelId: upperHex(ledgerChannelId), publicKey: upperHex(publicKey), capacity: '5' };
  expect(await server.request({ id: 1, type: 'open', token: TOKEN, channel }, LOCAL)).toMatchObject(moved);
  expect(openings).toEqual([]);
  const wrong = 'd4'.repeat(32);
  const refused = await server.request({ id: 1, type: 'close', token: wrong, channelId: '1' }, LOCAL);
  expect(refused).toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await server.request({ id: 1, type: 'status', channelId: '7' }, REMOTE)).toMatchObject({ state: 'open' });
});

test('a map over a limit is refused where it is set, not where it is sent', () => {
  const route = cluster();
  const show = (nodes: { name: string; places: string[] }[]) =>
    route.show({ version: 13, node: 'one', nodes, holders: [] });
  const many = (count: number, places: string[]) =>
    Array.from({ length: count }, (_, index) => ({ name: `node-${index}`, places }));
  const place = `udp://${'a'.repeat(100)}:1`;
  expect(() => show(many(257, []))).toThrow(/INPUT_INVALID|at most 256 nodes/);
  expect(() => show(many(1, Array(9).fill(place)))).toThrow(/8 places/);
  expect(() => show(many(256, Array(8).fill(place)))).toThrow(/bytes in all/);
  expect(() => show([{ name: 'a b', places: [] }])).toThrow(/expected/);
  expect(() => show([])).toThrow(/expected/);
  expect(() => route.hold([1_024], 1)).toThrow(/expected 0..1023/);
  expect(route.shown?.version).toBe('12');
  expect(() => show(many(256, ['udp://192.0.2.1:9393', 'tcp://192.0.2.1:9393']))).not.toThrow();
});

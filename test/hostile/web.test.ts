/**
 * Any peer at the web listener: every one accounted for, nothing thrown, an honest peer beside them served.
 *
 *   accepted = closed + open now; every refusal and every cut by the node has its counter
 *
 * The front runs in this process, over a stand-in for the node that answers each claim. Those that come and go by the
 * thousand are in web-churn.test.ts.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { afterEach, expect, test } from 'vitest';
import WebSocket from 'ws';
import type { ControlReply, ControlRequest } from '../../protocol/control.ts';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { BatchWriter, eachRecord } from '../../src/transport/web-batch.ts';
import { Front } from '../../src/web/front.ts';
import { REQUESTS_PER_ADDRESS_MAX, WAITING_BYTES_MAX, type WebLimits, WINDOW_BYTES } from '../../src/web/limits.ts';
import type { WebCall } from '../../src/web/messages.ts';
import { random } from '../support/random.ts';
import type { Wire } from '../support/wire-client.ts';
import { openRtcWire, openWebSocketWire, soundOffer } from '../support/wire-web.ts';

const ORIGIN = 'https://shop.example';
const CLAIM = new Uint8Array(93).fill(1);

/** Answers every claim of a payload at once with one ack of 32 bytes. */
class StandIn {
  isTaking = true;
  bytes = 0;
  calls = 0;
  acksPerMessage = 1;
  /** The batch that came last. */
  last = new Uint8Array(0);
  front!: Front;

  readonly ask = ({ call, request, nonce }: WebCall): void => {
    this.calls++;
    if (this.isTaking) this.front.peers.control.answer(call, { id: request.id, ok: true, nonce });
  };

  readonly take = (ring: number, batch: Uint8Array): void => {
    this.bytes += batch.length;
    this.last = batch.slice();
    if (!this.isTaking) return;
    const acks = new BatchWriter();
    const ack = new Uint8Array(32 * this.acksPerMessage);
    for (let offset = 0; offset < ack.length; offset += 32) ack[offset] = 2;
    eachRecord(batch, (slot, generation) => acks.add(slot, generation, ack, 0, ack.length));
    this.front.peers.answers(ring, batch.length, acks.take());
  };
}

let node: StandIn;
let front: Front;
let place: string;

async function start(limits: Partial<WebLimits> = {}, webrtc = false, clock?: () => number): Promise<void> {
  node = new StandIn();
  const listen = { host: '127.0.0.1', port: 0 };
  const settings = { listen, tls: undefined, origins: [ORIGIN], webrtc, iceServers: [], rings: 2, limits };
  front = await Front.open(settings, { send: node.take, ask: node.ask }, clock);
  node.front = front;
  place = `127.0.0.1:${front.address.port}`;
}

afterEach(async () => {
  await front.close();
  expect(front.peers.peerCount).toBe(0);
  expect(front.counts.closed).toBe(front.counts.accepted);
});

async function expectServed(wire: Wire): Promise<void> {
  const before = wire.inbox.acks.length;
  await wire.send(CLAIM);
  await expect.poll(() => wire.inbox.acks.length).toBeGreaterThan(before);
}

/** The status of an upgrade that is refused. */
async function statusOf(path: string, protocol: string, origin?: string): Promise<number | undefined> {
  const socket = new WebSocket(`ws://${place}${path}`, protocol, { ...(origin && { origin }) });
  const [, response] = await once(socket, 'unexpected-response');
  socket.on('error', () => {});
  socket.terminate();
  return response.statusCode;
}

function offer(body: string | Uint8Array, headers: Record<string, string> = {}, path = '/rtc'): Promise<number> {
  return fetch(`http://${place}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp', ...headers },
    body,
  }).then(
    ({ status }) => status,
    () => 0,
  );
}

test('peers that say nothing are cut, and those that speak are not', async () => {
  // Peers are as silent as the test says. Connections without a request have two seconds of the system's clock.
  let now = 0;
  await start({ helloMsMax: 2_000, idleMsMax: 4_000 }, false, () => now);
  const mute = Array.from({ length: 20 }, () => net.connect(front.address.port));
  for (const socket of mute) socket.on('error', () => {});
  const honest = await openWebSocketWire(place);
  await expectServed(honest);
  const silent = await Promise.all(Array.from({ length: 20 }, () => openWebSocketWire(place)));
  const idle = await openWebSocketWire(place);
  await expectServed(idle);
  expect(front.peers.peerCount).toBe(22);
  now = 2_000;
  front.peers.tick();
  expect(front.peers.peerCount).toBe(22);
  now = 2_001;
  front.peers.tick();
  expect([front.counts.cutSilent, front.counts.cutIdle, front.peers.peerCount]).toEqual([20, 0, 2]);
  await expectServed(honest);
  now = 4_000;
  front.peers.tick();
  expect(front.peers.peerCount).toBe(2);
  now = 4_001;
  front.peers.tick();
  expect([front.counts.cutSilent, front.counts.cutIdle, front.peers.peerCount]).toEqual([20, 1, 1]);
  await expect.poll(() => [...silent, idle].some(({ isOpen }) => isOpen), { timeout: 10_000 }).toBe(false);
  const isClosed = () => mute.every(({ readyState }) => readyState === 'closed');
  await expect.poll(isClosed, { timeout: 20_000, interval: 100 }).toBe(true);
  expect(front.counts.refusedRequest).toBe(20);
  await expectServed(honest);
  honest.close();
});

test('requests that are none, of pages that are not listed, and junk', async () => {
  await start({}, true);
  const honest = await openWebSocketWire(place);
  expect(await statusOf('/other', 'claimwire.1')).toBe(404);
  expect(await statusOf('/', 'other.1')).toBe(400);
  expect(await statusOf('/', 'claimwire.1', 'https://evil.example')).toBe(403);
  expect(await offer('v=0', { origin: 'https://evil.example' })).toBe(403);
  expect(await offer('v=0', { 'content-type': 'text/plain' })).toBe(415);
  expect(await offer('v=0', {}, '/stats')).toBe(404);
  expect(await offer('x'.repeat(17_000))).toBe(413);
  expect(front.counts).toMatchObject({ refusedOrigin: 2, refusedRequest: 5 });
  const page = new WebSocket(`ws://${place}/`, 'claimwire.1', { origin: ORIGIN });
  await once(page, 'open');
  page.terminate();
  const from = random(13);
  for (let count = 0; count < 50; count++) {
    const socket = net.connect(front.address.port, '127.0.0.1');
    socket.on('error', () => {});
    const head = count % 2 === 0 ? '' : 'GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n';
    socket.write(Buffer.concat([Buffer.from(head), from.bytes(1 + from.below(2_000))]));
    // Some close in the middle of the handshake.
    if (count % 3 === 0) socket.destroySoon();
    else setTimeout(() => socket.destroy(), 50);
  }
  await expectServed(honest);
  await expect.poll(() => front.counts.refusedRequest).toBeGreaterThan(25);
  honest.close();
});

test('unsound frames, texts and messages that are too long end that connection and no other', async () => {
  await start();
  const honest = await openWebSocketWire(place);
  const attacks: ((socket: WebSocket) => void)[] = [
    (socket) => socket.send('a text'),
    (socket) => socket.send(new Uint8Array(65_537)),
    // Not masked, a reserved bit, a length of 2^63.
    (socket) => rawOf(socket).write(Uint8Array.of(0x82, 0x01, 0xff)),
    (socket) => rawOf(socket).write(Uint8Array.of(0xc2, 0x81, 0, 0, 0, 0, 1)),
    (socket) => rawOf(socket).write(Uint8Array.of(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4)),
  ];
  for (const attack of attacks) {
    const socket = new WebSocket(`ws://${place}/`, 'claimwire.1');
    socket.on('error', () => {});
    await once(socket, 'open');
    attack(socket);
    await once(socket, 'close');
    await expectServed(honest);
  }
  expect(front.counts.cutUnsound).toBe(attacks.length);
  const largest = await openWebSocketWire(place);
  await largest.send(new Uint8Array(65_536).fill(1));
  await expect.poll(() => largest.inbox.acks.length).toBe(1);
  honest.close();
  largest.close();
});

test('a peer that does not read loses acks, not memory', async () => {
  await start();
  const honest = await openWebSocketWire(place);
  const deaf = await openWebSocketWire(place);
  node.acksPerMessage = 45;
  const socket = new WebSocket(`ws://${place}/`, 'claimwire.1', { perMessageDeflate: false });
  await once(socket, 'open');
  socket.pause();
  for (let count = 0; count < 20_000 && front.counts.acksDropped === 0; count++) {
    socket.send(CLAIM);
    if (count % 500 === 0) await new Promise(setImmediate);
  }
  await expect.poll(() => front.counts.acksDropped, { timeout: 10_000 }).toBeGreaterThan(0);
  await expectServed(honest);
  socket.terminate();
  deaf.close();
  honest.close();
});

test('acks for a peer that has gone reach nobody, though its place is taken again, and are counted', async () => {
  await start();
  node.isTaking = false;
  const gone = await openWebSocketWire(place);
  await gone.send(CLAIM);
  await expect.poll(() => node.bytes).toBeGreaterThan(0);
  gone.close();
  await expect.poll(() => front.peers.peerCount).toBe(0);
  const next = await openWebSocketWire(place);
  const acks = new BatchWriter();
  eachRecord(node.last, (slot, generation) => acks.add(slot, generation, new Uint8Array(64), 0, 64));
  front.peers.answers(0, node.last.length, acks.take());
  expect(front.counts.acksGone).toBe(2);
  expect(next.inbox.acks).toHaveLength(0);
  next.close();
});

test('while the node takes nothing, WebSockets wait, data channels lose, and a fixed number of bytes is on its way', async () => {
  await start({}, true);
  node.isTaking = false;
  const message = new Uint8Array(60_000).fill(1);
  const [socket, channel] = [await openWebSocketWire(place), await openRtcWire(place)];
  for (let count = 0; count < 40; count++) {
    void socket.send(message);
    void channel.send(message);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await expect
    .poll(() => [front.counts.paused, front.counts.messagesDropped > 0], { timeout: 10_000 })
    .toEqual([1, true]);
  // Each peer is served by the thread of its slot; a window may be overrun by one message.
  expect(node.bytes).toBeLessThanOrEqual(2 * (WINDOW_BYTES + WAITING_BYTES_MAX / 2));
  // And of each a few wait here; the others are still in the sockets, or lost.
  expect(front.counts.messages).toBeLessThan(25);
  socket.close();
  channel.close();
});

test('tiny messages that wait are few as well', async () => {
  await start();
  node.isTaking = false;
  const socket = await openWebSocketWire(place);
  for (let count = 0; count < 40_000; count++) void socket.send(CLAIM.subarray(0, 1));
  await expect.poll(() => front.counts.paused > 0 && node.bytes >= WINDOW_BYTES, { timeout: 10_000 }).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // Beyond a window, whose records are of 13 bytes, and what was read with the message that paused it.
  expect(front.counts.messages).toBeLessThan(WINDOW_BYTES / 13 + 12_000);
  socket.close();
});

test('offers over the rate, unsound ones, and peers that never connect', async () => {
  await start({ offersPerSecond: 40, rtcPeersMax: 6, helloMsMax: 2_000 }, true);
  const honest = await openWebSocketWire(place);
  await expectServed(honest);
  const junk = random(14);
  const statuses = await Promise.all(
    Array.from({ length: 300 }, (_, count) => offer(count % 2 === 0 ? junk.bytes(200) : 'v=0\r\no=- 1 1 IN IP4 x\r\n')),
  );
  const tally = (status: number) => statuses.filter((other) => other === status).length;
  expect(tally(429)).toBeGreaterThan(200);
  expect(tally(400)).toBeGreaterThan(10);
  expect(tally(200)).toBe(0);
  expect(front.counts).toMatchObject({ refusedRate: tally(429), refusedOffer: tally(400) });
  expect(front.peers.peerCount).toBe(1);
  await expectServed(honest);
  // Sound offers, and nothing after them.
  await expect
    .poll(async () => (await offer(await soundOffer())) === 503, { timeout: 10_000, interval: 60 })
    .toBe(true);
  expect(front.peers.peerCount).toBe(7);
  await expect
    .poll(
      async () => {
        await honest.send(CLAIM);
        return front.peers.peerCount;
      },
      { timeout: 10_000, interval: 100 },
    )
    .toBe(1);
  expect(front.counts.cutSilent).toBe(6);
  honest.close();
});

test('control messages: junk, floods, and more at a time than are answered', async () => {
  await start();
  const honest = await openWebSocketWire(place);
  await expectServed(honest);
  const from = random(15);
  const hello = (id: number) => encodeControl({ id, type: 'hello', client: '', versions: [1] });
  const replies: ControlReply[] = [];
  const socket = new WebSocket(`ws://${place}/`, 'claimwire.1');
  await once(socket, 'open');
  socket.on('message', (bytes: Buffer) => replies.push(decodeControl(bytes, 1, bytes.length) as ControlReply));
  const codes = () => replies.map((reply) => (reply.ok ? 'ok' : reply.code));
  socket.send(hello(7));
  await expect.poll(() => replies).toMatchObject([{ id: 7, ok: true, nonce: expect.stringMatching(/^[0-9A-F]{32}$/) }]);
  // Sound, and too long.
  const sound: ControlRequest = { id: 8, type: 'hello', client: '', versions: [1] };
  socket.send(encodeControl(Object.assign(sound, { more: 'x'.repeat(4_097) })));
  for (const length of [0, 1, 40, 65_535]) socket.send(Buffer.concat([Uint8Array.of(0x80), from.bytes(length)]));
  await expect.poll(() => replies.length).toBe(6);
  expect(codes().slice(1)).toEqual(Array(5).fill('MALFORMED'));
  expect([node.calls, front.counts.control, front.counts.controlRefused]).toEqual([1, 6, 5]);

  // The node does not answer: sixteen wait, and the next is told so. Claims go on beside them.
  node.isTaking = false;
  for (let id = 0; id < 17; id++) socket.send(hello(id));
  await expect.poll(() => replies.at(-1)).toMatchObject({ id: 16, code: 'OVERLOADED' });
  expect(node.calls).toBe(17);
  node.isTaking = true;
  await expectServed(honest);

  // Over the rate they are told so, and over twice the rate not even that.
  const { controlDropped } = front.counts;
  for (let id = 0; id < 300; id++) socket.send(hello(id));
  await expect.poll(() => front.counts.control + front.counts.controlDropped - controlDropped).toBe(6 + 17 + 300);
  expect(front.counts.controlDropped).toBeGreaterThan(20);
  expect(node.calls).toBeLessThanOrEqual(3 * 64);
  await expectServed(honest);
  socket.terminate();
  honest.close();
});

test('there is room for so many peers, and for the next one when one has gone', async () => {
  await start({ peersMax: 3 });
  const wires = await Promise.all([1, 2, 3].map(() => openWebSocketWire(place)));
  expect(await statusOf('/', 'claimwire.1')).toBe(503);
  expect(front.counts).toMatchObject({ refusedFull: 1, refusedAddress: 0 });
  wires.pop()!.close();
  await expect.poll(() => front.peers.peerCount).toBe(2);
  wires.push(await openWebSocketWire(place));
  await expectServed(wires.at(-1)!);
  for (const wire of wires) wire.close();
});

test('nobody makes the node send packets to an address of their choice', async () => {
  await start({}, true);
  const victim = createSocket('udp4');
  let packets = 0;
  victim.on('message', () => packets++);
  victim.bind(0, '127.0.0.1');
  await once(victim, 'listening');
  const candidate = `a=candidate:1 1 UDP 2114977791 127.0.0.1 ${victim.address().port} typ host\r\n`;
  const named = (await soundOffer()).replace(/a=candidate:.*\r\n/g, '') + candidate;
  expect(await offer(named)).toBe(200);
  // The library would try it within 50 ms, and again every 50.
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(packets).toBe(0);
  victim.close();
});

test('who is refused, or says nothing, keeps no place at the listener', async () => {
  await start({ peersPerAddressMax: 3 });
  // Never closed by these peers.
  const refused = Array.from({ length: 20 }, () => net.connect({ port: front.address.port, allowHalfOpen: true }));
  const head = 'GET /other HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
  for (const socket of refused) socket.on('error', () => {}).write(head);
  await expect.poll(() => front.counts.refusedRequest).toBe(20);
  await expect.poll(() => front.connections).toBe(0);
  for (const socket of refused) socket.destroy();
  // One address has its peers, and a share of the requests.
  const mute = Array.from({ length: 3 + REQUESTS_PER_ADDRESS_MAX + 5 }, () => net.connect(front.address.port));
  for (const socket of mute) socket.on('error', () => {});
  await expect.poll(() => front.counts.refusedAddress).toBe(5);
  expect(front.connections).toBe(3 + REQUESTS_PER_ADDRESS_MAX);
  for (const socket of mute) socket.destroy();
  await expect.poll(() => front.connections).toBe(0);
  const honest = await openWebSocketWire(place);
  await expectServed(honest);
  honest.close();
});

test('each address has its share', async () => {
  await start({ peersPerAddressMax: 3 });
  const wires = await Promise.all([1, 2, 3].map(() => openWebSocketWire(place)));
  expect(await statusOf('/', 'claimwire.1')).toBe(503);
  expect(front.counts.refusedAddress).toBe(1);
  wires[0]!.close();
  await expect.poll(() => front.peers.peerCount).toBe(2);
  const next = await openWebSocketWire(place);
  await expectServed(next);
  for (const wire of [...wires, next]) wire.close();
});

function rawOf(socket: WebSocket): net.Socket {
  return (socket as unknown as { _socket: net.Socket })._socket;
}

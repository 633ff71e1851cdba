/**
 * The TCP listener at real sockets: every claim once and in order however the stream is cut and however little room
 * there is, answers on the connection they belong to, peers that do not keep the bounds cut and counted.
 */
import net from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { SOURCE_GENERATION, SOURCE_SLOT } from '../../../src/transport/tcp-connection.ts';
import type { TcpOptions } from '../../../src/transport/tcp-options.ts';
import { random } from '../../support/random.ts';
import { bareClaim, framed, TcpPeer, TcpRig, TEST_TLS, until } from '../../support/tcp.ts';

const open: { rigs: TcpRig[]; peers: TcpPeer[] } = { rigs: [], peers: [] };

async function start(options: Omit<TcpOptions, 'listen'> = {}): Promise<TcpRig> {
  const rig = await TcpRig.start(options);
  open.rigs.push(rig);
  return rig;
}

async function connect(rig: TcpRig, options: { tls?: boolean } = {}): Promise<TcpPeer> {
  const peer = await TcpPeer.to(rig.port, options);
  open.peers.push(peer);
  return peer;
}

afterEach(async () => {
  for (const peer of open.peers.splice(0)) peer.close();
  for (const rig of open.rigs.splice(0)) await rig.transport.close();
});

const soon = () => new Promise((resolve) => setImmediate(resolve));
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + index);

/** Payloads of 1 to `most` claims of a channel, sequences from 1 to `count`. */
function stream(channelId: bigint, count: number, most: number, seed: number): Uint8Array {
  const rng = random(seed);
  const messages: Uint8Array[] = [];
  for (let sequence = 1; sequence <= count; ) {
    const size = Math.min(1 + rng.below(most), count - sequence + 1);
    messages.push(framed(...numbers(size, sequence).map((each) => bareClaim(channelId, each))));
    sequence += size;
  }
  return Buffer.concat(messages);
}

test.each([1, 5, 93, 96, 97, 1_000])('streams in pieces of %i bytes: each peer gets its own acks', async (size) => {
  const rig = await start();
  const peers = [await connect(rig), await connect(rig)];
  const streams = peers.map((_, index) => stream(BigInt(index + 1), 12, 4, 5));
  for (let offset = 0; offset < streams[0]!.length; offset += size) {
    for (const [index, peer] of peers.entries()) peer.write(streams[index]!.subarray(offset, offset + size));
    await soon();
  }
  await until(() => peers.every(({ acks }) => acks.length === 12));
  for (const [index, peer] of peers.entries()) {
    expect(peer.acks.map(({ channelId }) => channelId)).toEqual(numbers(12).map(() => BigInt(index + 1)));
    expect(peer.acks.map(({ sequence }) => sequence)).toEqual(numbers(12));
  }
  expect(rig.counter('tcp.accepted')).toBe(2);
});

test('with little room everything arrives once, in order, and never more than there is room for', async () => {
  const rig = await start();
  rig.roomPerTurn = 0;
  rig.room = 0;
  const peers = [];
  for (let index = 0; index < 4; index++) {
    const peer = await connect(rig);
    peers.push(peer);
    peer.write(stream(BigInt(index), 3_000, index % 2 === 0 ? 5 : 700, index));
  }
  await until(() => rig.counter('tcp.paused') === 4);
  const rng = random(3);
  while (peers.some(({ acks }) => acks.length < 3_000)) {
    rig.roomPerTurn = rng.below(40);
    rig.turn();
    await soon();
  }
  for (let index = 0; index < 4; index++) expect(rig.taken.get(BigInt(index))).toEqual(numbers(3_000));
  expect(rig.overfull).toBe(0);
  expect(rig.brokenWalks).toBe(0);
});

test('without room a stream is not read on; with room again all of it comes', async () => {
  const rig = await start();
  rig.roomPerTurn = 0;
  rig.room = 0;
  const peer = await connect(rig);
  // More than the kernel keeps for both ends.
  const one = stream(1n, 700, 700, 1);
  for (let count = 0; count < 700; count++) peer.write(one);
  let left = -1;
  while (left !== peer.socket.writableLength) {
    left = peer.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(left).toBeGreaterThan(0);
  expect(rig.claims).toBe(0);
  rig.roomPerTurn = 2_000;
  rig.turn();
  await until(() => rig.claims === 490_000);
  expect(rig.overfull).toBe(0);
});

test('who waits has its turn: a large backlog does not keep another connection out', async () => {
  const rig = await start();
  rig.roomPerTurn = 0;
  rig.room = 0;
  const greedy = await connect(rig);
  for (let count = 0; count < 40; count++) greedy.write(stream(1n, 700, 700, 1));
  await until(() => rig.counter('tcp.paused') === 1);
  const modest = await connect(rig);
  modest.write(framed(bareClaim(2n, 1)));
  await until(() => rig.counter('tcp.paused') === 2);
  rig.roomPerTurn = 300;
  rig.turn();
  await until(() => rig.taken.has(2n));
  expect(rig.claimsBefore.get(2n)).toBeLessThan(300);
  await until(() => rig.claims === 28_001);
});

test('while somebody waits, room is not for whoever comes first', async () => {
  const rig = await start();
  rig.roomPerTurn = 0;
  rig.room = 0;
  (await connect(rig)).write(framed(bareClaim(1n, 1)));
  await until(() => rig.counter('tcp.paused') === 1);
  rig.room = 1;
  // Its turn would set the room anew.
  rig.roomPerTurn = 1;
  rig.schedule = () => {};
  (await connect(rig)).write(framed(bareClaim(2n, 1)));
  await until(() => rig.claims > 0 || rig.counter('tcp.paused') === 2);
  expect(rig.claims).toBe(0);
  rig.turn();
  expect([...rig.taken.keys()]).toEqual([1n]);
  rig.turn();
  expect([...rig.taken.keys()]).toEqual([1n, 2n]);
});

test('a peer that does not read its acks is cut, and nobody else', async () => {
  const rig = await start({ limits: { writeQueueBytesMax: 64 << 10 } });
  rig.acksPerClaim = 45;
  const slow = await connect(rig);
  const other = await connect(rig);
  slow.socket.pause();
  const claims = stream(1n, 500, 500, 1);
  const timer = setInterval(() => slow.socket.writableLength === 0 && slow.write(claims), 1);
  await until(() => rig.counter('tcp.cutSlowReader') === 1);
  clearInterval(timer);
  await until(() => rig.counter('tcp.closed') === 1);
  rig.acksPerClaim = 1;
  await other.ask(2n, 1);
});

test('connections in all and per address are bounded; places are free again', async () => {
  const rig = await start({ limits: { connectionsMax: 3 } });
  const peers = [await connect(rig), await connect(rig), await connect(rig)];
  await (await connect(rig)).closed();
  expect(rig.counter('tcp.refusedFull')).toBe(1);
  peers[0]!.close();
  await until(() => rig.counter('tcp.closed') === 1);
  await (await connect(rig)).ask(1n, 1);

  const shared = await start({ limits: { connectionsPerAddressMax: 2 } });
  const first = await connect(shared);
  await (await connect(shared)).ask(1n, 1);
  await (await connect(shared)).closed();
  expect(shared.counter('tcp.refusedAddress')).toBe(1);
  first.close();
  await until(() => shared.counter('tcp.closed') === 1);
  await (await connect(shared)).ask(1n, 2);
  expect(shared.counter('tcp.refusedFull')).toBe(0);
});

test('a peer that says nothing, or a byte at a time, is cut; whole messages keep a connection', async () => {
  const rig = await start({ limits: { helloMsMax: 800, idleMsMax: 800 } });
  const [silent, slow, idle, busy] = [await connect(rig), await connect(rig), await connect(rig), await connect(rig)];
  await idle.ask(1n, 1);
  const message = framed(...numbers(60).map((each) => bareClaim(2n, each)));
  let sent = 0;
  const timer = setInterval(() => slow.write(message.subarray(sent, ++sent)), 10);
  for (let sequence = 1; !silent.isClosed || !slow.isClosed || !idle.isClosed; sequence++) {
    await busy.ask(3n, sequence);
    busy.acks.length = 0;
    await soon();
  }
  clearInterval(timer);
  expect(rig.counter('tcp.cutSilent')).toBe(2);
  expect(rig.counter('tcp.cutIdle')).toBe(1);
  await busy.ask(3n, 0);
});

test.each([
  ['a length of 0', [0, 0, 0, 0], 'tcp.cutLength'],
  ['a length of 65,537', [0, 1, 0, 1], 'tcp.cutLength'],
  ['a length of 2^32 - 1', [255, 255, 255, 255], 'tcp.cutLength'],
] as const)(
  '%s ends the connection, counted; claims before it stand, bytes behind it do not',
  async (_, bad, counter) => {
    const rig = await start();
    const peer = await connect(rig);
    peer.write(Buffer.concat([framed(bareClaim(1n, 1)), Uint8Array.from(bad), framed(bareClaim(1n, 2))]));
    await peer.closed();
    expect(rig.taken.get(1n)).toEqual([1]);
    expect(rig.counter(counter)).toBe(1);
    await until(() => rig.counter('tcp.closed') === 1);
    expect(rig.counter('tcp.endedInside')).toBe(0);
  },
);

test('what is no frame is the sink to count, and the connection goes on; an end inside a message is counted', async () => {
  const rig = await start();
  const peer = await connect(rig);
  peer.write(framed(bareClaim(1n, 1), Uint8Array.of(0x7f, 1, 2), bareClaim(1n, 2)));
  for (const type of [0, 0x7f, 0x81, 0xff]) peer.write(framed(Uint8Array.of(type), bareClaim(1n, 2)));
  await peer.ask(1n, 3);
  expect(rig.taken.get(1n)).toEqual([1, 3]);
  expect(rig.brokenWalks).toBe(5);
  peer.socket.end(framed(bareClaim(1n, 4)).subarray(0, 60));
  await until(() => rig.counter('tcp.closed') === 1);
  expect(rig.counter('tcp.endedInside')).toBe(1);
});

test('an ack for a connection that is gone reaches nobody, though its place is taken again', async () => {
  const rig = await start();
  const first = await connect(rig);
  await first.ask(1n, 1);
  const words = rig.source.slice();
  first.close();
  await until(() => rig.counter('tcp.closed') === 1);
  const second = await connect(rig);
  await second.ask(1n, 2);
  expect(rig.source[SOURCE_SLOT]).toBe(words[SOURCE_SLOT]);
  expect(rig.source[SOURCE_GENERATION]).not.toBe(words[SOURCE_GENERATION]);
  const packet = rig.transport.acquire()!;
  packet.length = 64;
  rig.transport.send(packet, words, 0);
  rig.transport.flush();
  expect(rig.counter('dropped.connectionGone')).toBe(2);
  await second.ask(1n, 3);
  expect(second.acks.length).toBe(2);
});

test('packets never run out: the pool frees itself', async () => {
  const rig = await start();
  const peer = await connect(rig);
  await peer.ask(1n, 1);
  peer.acks.length = 0;
  const words = rig.source.slice();
  for (let count = 0; count < 1_000; count++) {
    const packet = rig.transport.acquire()!;
    expect(packet.length).toBe(0);
    packet.bytes[0] = 2;
    packet.length = 32;
    rig.transport.send(packet, words, 0);
  }
  rig.transport.flush();
  await until(() => peer.acks.length === 1_000);
});

test('stopping: nothing more is taken in, what was answered arrives, peers that stay are cut', async () => {
  const rig = await start();
  const peer = await connect(rig);
  await peer.ask(1n, 1);
  const staying = net.connect({ host: '127.0.0.1', port: rig.port, allowHalfOpen: true });
  staying.on('error', () => {});
  await until(() => rig.counter('tcp.accepted') === 2);
  const words = rig.source.slice();
  rig.transport.stopReceiving();
  peer.write(framed(bareClaim(1n, 2)));
  const packet = rig.transport.acquire()!;
  packet.bytes[0] = 2;
  packet.length = 32;
  rig.transport.send(packet, words, 0);
  await rig.transport.close();
  await peer.closed();
  expect(peer.acks.length).toBe(2);
  expect(rig.taken.get(1n)).toEqual([1]);
  expect(rig.counter('tcp.closed')).toBe(2);
  expect((await TcpPeer.to(rig.port)).isClosed).toBe(true);
  staying.destroy();
});

test('peers that end with the node are not waited for, whatever they were still sending', async () => {
  const rig = await start();
  const peer = await connect(rig);
  await peer.ask(1n, 1);
  rig.transport.stopReceiving();
  for (let count = 0; count < 50; count++) peer.write(stream(1n, 700, 700, 1));
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    // With no timer to cut them.
    await rig.transport.close();
  } finally {
    vi.useRealTimers();
  }
  expect(rig.claims).toBe(1);
});

test('TLS: the same over a handshake; other bytes are counted and give their place back', async () => {
  const rig = await start({ tls: TEST_TLS, limits: { connectionsPerAddressMax: 2, helloMsMax: 400 } });
  const peer = await connect(rig, { tls: true });
  peer.write(stream(1n, 2_000, 100, 1));
  await until(() => peer.acks.length === 2_000);
  expect(peer.acks.map(({ sequence }) => sequence)).toEqual(numbers(2_000));
  for (let failed = 1; failed <= 3; failed++) {
    const plain = await connect(rig);
    plain.write(framed(bareClaim(1n, 1)));
    await plain.closed();
    await until(() => rig.counter('tcp.tlsFailed') === failed);
  }
  // Says nothing at all: the handshake is bounded in time.
  await (await connect(rig)).closed();
  expect(rig.counter('tcp.tlsFailed')).toBe(4);
  peer.close();
  await until(() => rig.counter('tcp.closed') === 1);
  expect(rig.counter('tcp.accepted')).toBe(1);
});

test('what cannot be listened on is said so', async () => {
  const rig = await start();
  const twice = TcpRig.start.bind(TcpRig);
  await expect(twice({ tls: { cert: 'no', key: 'pem' } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  const { TcpTransport } = await import('../../../src/transport/tcp.ts');
  const again = TcpTransport.open(
    { listen: { host: '127.0.0.1', port: rig.port } },
    rig.transport.counters,
    rig.transport.control,
  );
  await expect(again).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('a connection that the system cannot accept is counted, and the next one is served', async () => {
  const listen = vi.spyOn(net.Server.prototype, 'listen');
  const rig = await start();
  const server = listen.mock.contexts[0] as net.Server & { _handle: { onconnection(status: number): void } };
  listen.mockRestore();
  // What libuv says where accept fails: EMFILE.
  server._handle.onconnection(-24);
  expect(rig.counter('tcp.acceptFailed')).toBe(1);
  const peer = await connect(rig);
  peer.write(framed(bareClaim(1n, 1)));
  await until(() => peer.acks.length === 1);
});

/**
 * Many connections at one listener, at real sockets: what they hand in between two turns of its owner is bounded and
 * shared evenly, control messages too, and so is what waits for peers that do not read.
 */
import { afterEach, expect, test } from 'vitest';
import { encodeControl } from '../../../protocol/control-codec.ts';
import { KeptBytes } from '../../../src/transport/tcp-kept.ts';
import type { TcpOptions } from '../../../src/transport/tcp-options.ts';
import { READ_BYTES } from '../../../src/transport/tcp-reader.ts';
import { CLAIMS_PER_TURN_MAX } from '../../../src/transport/tcp-turns.ts';
import { bareClaim, framed, TcpPeer, TcpRig, until } from '../../support/tcp.ts';

const open: { rigs: TcpRig[]; peers: TcpPeer[] } = { rigs: [], peers: [] };
afterEach(async () => {
  for (const peer of open.peers.splice(0)) peer.close();
  for (const rig of open.rigs.splice(0)) await rig.transport.close();
});

async function start(options: Omit<TcpOptions, 'listen'> = {}): Promise<TcpRig> {
  const rig = await TcpRig.start(options);
  open.rigs.push(rig);
  return rig;
}
async function connect(rig: TcpRig): Promise<TcpPeer> {
  const peer = await TcpPeer.to(rig.port);
  open.peers.push(peer);
  return peer;
}
const connectAll = (rig: TcpRig, count: number) => Promise.all(Array.from({ length: count }, () => connect(rig)));

/** `messages` messages of 50 claims each. */
function flood(channelId: bigint, messages: number): Uint8Array {
  const claims = Array.from({ length: 50 }, (_, sequence) => bareClaim(channelId, sequence));
  return Buffer.concat(new Array(messages).fill(framed(...claims)));
}

test('50 connections with plenty to read: a turn is bounded though the ring has all room, and all have their share', async () => {
  const rig = await start();
  rig.room = 0;
  rig.roomPerTurn = 0;
  // Nobody pays: those that do have turns of their own.
  rig.acksPerClaim = 0;
  const peers = await connectAll(rig, 50);
  for (const [index, peer] of peers.entries()) peer.write(flood(BigInt(index), 100));
  await until(() => rig.counter('tcp.paused') === 50);
  rig.roomPerTurn = Number.POSITIVE_INFINITY;
  rig.turn();
  await until(() => rig.claims === 50 * 5_000);
  expect(rig.claimsInTurnMax).toBeLessThanOrEqual(CLAIMS_PER_TURN_MAX);
  expect(rig.turns).toBeGreaterThan((50 * 5_000) / CLAIMS_PER_TURN_MAX);
  // What each has read by now is good for four quanta: until it is gone, nobody has one more than all others had.
  const quanta = rig.visits.map(({ channelId }) => channelId).filter((id, index, all) => id !== all[index - 1]);
  for (let round = 0; round < 3; round++) expect(new Set(quanta.slice(round * 50, (round + 1) * 50)).size).toBe(50);
});

test('messages of a byte cost a turn as much as claims do', async () => {
  const rig = await start();
  rig.room = 0;
  rig.roomPerTurn = 0;
  const peer = await connect(rig);
  const small = Buffer.concat(Array.from({ length: 50_000 }, () => framed(Uint8Array.of(0x7f))));
  peer.write(Buffer.concat([framed(bareClaim(1n, 1)), small]));
  await until(() => rig.counter('tcp.paused') === 1);
  rig.roomPerTurn = Number.POSITIVE_INFINITY;
  let before = 0;
  let most = 0;
  const turn = rig.turn.bind(rig);
  rig.turn = () => {
    most = Math.max(most, rig.brokenWalks - before);
    before = rig.brokenWalks;
    turn();
  };
  rig.turn();
  await until(() => rig.brokenWalks === 50_000);
  expect(most).toBeLessThanOrEqual(CLAIMS_PER_TURN_MAX);
});

test('a payer that was acknowledged goes before those that only flood', async () => {
  const rig = await start();
  const payer = await connect(rig);
  await payer.ask(777n, 1);
  rig.room = 0;
  rig.roomPerTurn = 0;
  rig.acksPerClaim = 0;
  const peers = await connectAll(rig, 40);
  for (const [index, peer] of peers.entries()) peer.write(flood(BigInt(index), 100));
  await until(() => rig.counter('tcp.paused') === 40);
  payer.write(framed(bareClaim(777n, 2)));
  await until(() => rig.counter('tcp.paused') === 41);
  rig.visits.length = 0;
  rig.roomPerTurn = 100;
  rig.turn();
  expect(rig.visits[0]).toEqual({ channelId: 777n, claims: 1 });
});

test('what is kept of a connection has one place, made once', () => {
  const kept = new KeptBytes();
  const first = kept.keep(70, new Uint8Array(READ_BYTES).fill(1));
  const neighbour = kept.keep(71, new Uint8Array(READ_BYTES).fill(2));
  // What is left of it goes to the front of the same place.
  const rest = kept.keep(70, first.subarray(5_000));
  expect(rest.buffer).toBe(first.buffer);
  expect(rest.byteOffset).toBe(first.byteOffset);
  expect([rest.length, rest.every((byte) => byte === 1)]).toEqual([READ_BYTES - 5_000, true]);
  expect(neighbour.every((byte) => byte === 2)).toBe(true);
  // TLS may bring more at once.
  expect(kept.keep(70, new Uint8Array(READ_BYTES + 1)).length).toBe(READ_BYTES + 1);
});

test('what waits for its turn comes in order and whole, from a hundred connections', async () => {
  const rig = await start();
  rig.room = 0;
  rig.roomPerTurn = 0;
  const peers = await connectAll(rig, 100);
  for (const [index, peer] of peers.entries()) peer.write(flood(BigInt(index), 40));
  await until(() => rig.counter('tcp.paused') === 100);
  rig.roomPerTurn = 500;
  rig.turn();
  await until(() => rig.claims === 100 * 2_000);
  for (let index = 0; index < 100; index++)
    expect(rig.taken.get(BigInt(index))).toEqual(Array.from({ length: 2_000 }, (_, at) => at % 50));
});

test('control messages are bounded over all connections: each within its rate, together held, an operator among them', async () => {
  const rig = await start();
  const message = (id: number) => framed(encodeControl({ id, type: 'status', channelId: '1' }));
  const peers = await connectAll(rig, 20);
  const operator = await connect(rig);
  const all = Buffer.concat(Array.from({ length: 60 }, (_, id) => message(id)));
  for (const peer of peers) peer.write(all);
  await until(() => rig.counter('tcp.controlHeld') > 0);
  operator.write(message(61));
  await until(() => operator.replies.length === 1);
  const answered = () => peers.reduce((sum, { replies }) => sum + replies.length, 0);
  expect(answered()).toBeLessThan(20 * 60);
  // Claims go on meanwhile, and nothing that was held is lost.
  await (await connect(rig)).ask(5n, 1);
  await until(() => answered() === 20 * 60);
  for (const { replies } of peers) expect(new Set(replies.map(({ id }) => id)).size).toBe(60);
});

test('many peers that do not read: their queues are bounded together, the longest are cut, and who reads stays', async () => {
  const rig = await start({ limits: { writeQueueBytesMax: 1 << 20, writeQueuesBytesMax: 1 << 20 } });
  const reader = await connect(rig);
  await reader.ask(1n, 1);
  rig.acksPerClaim = 45;
  const peers = await connectAll(rig, 30);
  let most = 0;
  for (const { socket } of peers) socket.pause();
  const floods = peers.map((_, index) => flood(BigInt(index), 4));
  const timer = setInterval(() => {
    for (const [index, peer] of peers.entries())
      if (!peer.isClosed && peer.socket.writableLength === 0) peer.write(floods[index]!);
  }, 1);
  const check = rig.transport.checkOutboxes.bind(rig.transport);
  rig.transport.checkOutboxes = () => {
    check();
    most = Math.max(most, rig.transport.outboxes.bytes);
  };
  await until(() => rig.counter('tcp.cutQueuesFull') >= 10);
  clearInterval(timer);
  expect(most).toBeLessThanOrEqual(1 << 20);
  rig.acksPerClaim = 1;
  await reader.ask(1n, 2);
  for (const peer of peers) peer.close();
  await until(() => rig.counter('tcp.closed') === 30);
  expect(rig.transport.outboxes.bytes).toBe(0);
});

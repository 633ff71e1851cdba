/**
 * Any peer at the TCP listener: every connection accounted for, nothing thrown, an honest peer beside them served.
 *
 *   accepted = closed + open now; every close by the node has its counter
 */
import { readFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeControl } from '../../protocol/control-codec.ts';
import type { TcpLimits } from '../../src/transport/tcp-options.ts';
import { random } from '../support/random.ts';
import { bareClaim, framed, TcpPeer, TcpRig, until } from '../support/tcp.ts';

let rig: TcpRig;
let honest: TcpPeer;
let sequence = 0;

async function start(limits: Partial<TcpLimits> = {}): Promise<void> {
  rig = await TcpRig.start({ limits });
  honest = await TcpPeer.to(rig.port);
  await ask();
}

/** The honest peer is answered. */
const ask = () => honest.ask(77n, ++sequence);
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Connects, writes, ends its side when `ends`, and goes when the node has closed. */
async function attack(bytes: Uint8Array, ends: boolean): Promise<void> {
  const peer = await TcpPeer.to(rig.port);
  if (ends) peer.socket.end(bytes);
  else peer.write(bytes);
  await peer.closed();
}

beforeEach(() => {
  sequence = 0;
});
afterEach(async () => {
  honest.close();
  await rig.transport.close();
  expect(rig.counter('tcp.closed')).toBe(rig.counter('tcp.accepted'));
});

test('bad lengths, in bulk', async () => {
  await start();
  for (let count = 0; count < 100; count++) {
    const sound = framed(bareClaim(1n, count));
    await Promise.all([
      attack(Uint8Array.of(0, 0, 0, 0, 1), false),
      attack(Uint8Array.of(255, 255, 255, 255), false),
      attack(Buffer.concat([sound, Uint8Array.of(0, 1, 0, 1)]), false),
    ]);
    if (count % 20 === 0) await ask();
  }
  expect(rig.counter('tcp.cutLength')).toBe(300);
  expect(rig.taken.get(1n)!.length).toBe(100);
  await ask();
});

test('a message cut anywhere: what was whole stands, the end is counted', async () => {
  await start();
  const whole = framed(bareClaim(1n, 1), bareClaim(1n, 2));
  let inside = 0;
  for (let end = 0; end <= whole.length; end++) {
    await attack(whole.subarray(0, end), true);
    if (end > 0 && end < whole.length) inside++;
  }
  await until(() => rig.counter('tcp.closed') === rig.counter('tcp.accepted') - 1);
  expect(rig.counter('tcp.endedInside')).toBe(inside);
  expect(rig.taken.get(1n)).toEqual([1, 2]);
  await ask();
});

test('noise, framed and not, damaged claims and control messages among it', async () => {
  await start();
  const rng = random(21);
  const control = encodeControl({ id: 1, type: 'status', channelId: '1' });
  for (let seed = 0; seed < 1_500; seed++) {
    const parts: Uint8Array[] = [];
    for (let count = 1 + rng.below(4); count > 0; count--) {
      const kind = rng.below(5);
      const noise = rng.bytes(1 + rng.below(300));
      if (kind === 0) parts.push(noise);
      else if (kind === 1) parts.push(framed(noise));
      else if (kind === 2) parts.push(framed(Uint8Array.of(0x80), noise));
      else {
        const payload = kind === 3 ? bareClaim(1n, seed) : control.slice();
        payload[rng.below(payload.length)]! ^= 1 << rng.below(8);
        parts.push(framed(payload));
      }
    }
    const stream = Buffer.concat(parts);
    await attack(rng.below(3) === 0 ? stream.subarray(0, rng.below(stream.length)) : stream, true);
    if (seed % 100 === 0) await ask();
  }
  for (const name of ['tcp.cutLength', 'tcp.endedInside', 'tcp.controlRefused'] as const)
    expect(rig.counter(name), name).toBeGreaterThan(50);
  expect(rig.brokenWalks).toBeGreaterThan(50);
  await ask();
});

test('peers that say nothing, or a byte now and then, are gone in bounded time', async () => {
  await start({ helloMsMax: 500, idleMsMax: 100_000 });
  const silent = await Promise.all(numbers(100).map(() => TcpPeer.to(rig.port)));
  const slow = await Promise.all(numbers(100).map(() => TcpPeer.to(rig.port)));
  const message = framed(new Uint8Array(60_000).fill(1));
  let sent = 0;
  const timer = setInterval(() => {
    for (const { socket } of slow) socket.write(message.subarray(sent, sent + 1));
    sent++;
  }, 20);
  await until(() => [...silent, ...slow].every(({ isClosed }) => isClosed));
  clearInterval(timer);
  expect(rig.counter('tcp.cutSilent')).toBe(200);
  await ask();
});

test('announced lengths cost nothing: only what was sent is kept', async () => {
  await start();
  const before = process.memoryUsage();
  const peers = await Promise.all(numbers(1_000).map(() => TcpPeer.to(rig.port)));
  for (const peer of peers) peer.write(Uint8Array.of(0, 1, 0, 0, 1, 2, 3));
  await until(() => rig.counter('tcp.accepted') === 1_001);
  await ask();
  const after = process.memoryUsage();
  // 64 KiB for each would be 64 MB.
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(16 << 20);
  for (const peer of peers) peer.close();
});

test('5,000 connections, or what descriptors allow: over the table they are closed and counted', async () => {
  const descriptors = Number(/open files +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1_024);
  // Both ends live in this process.
  const wanted = Math.min(5_000, Math.floor((descriptors - 500) / 2));
  const table = Math.floor(wanted * 0.8);
  // On a busy machine connecting takes longer than a silent connection may live by default.
  const patience = { helloMsMax: 600_000, idleMsMax: 600_000 };
  await start({ connectionsMax: table, connectionsPerAddressMax: wanted, ...patience });
  const met = () => rig.counter('tcp.accepted') + rig.counter('tcp.refusedFull');
  let gone = 0;
  const sockets: Socket[] = [];
  for (let count = 0; count < wanted; count++) {
    const socket = net.connect(rig.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => gone++);
    sockets.push(socket);
    if (count % 250 === 0) await ask();
    // No more at a time than the system's queue holds: one that overflows is made good by it only after many seconds.
    if (count % 100 === 99 || count === wanted - 1) await until(() => met() === count + 2);
  }
  expect(rig.counter('tcp.accepted')).toBe(table);
  await until(() => gone === rig.counter('tcp.refusedFull'));
  await ask();
  for (const socket of sockets) socket.destroy();
  await until(() => rig.counter('tcp.closed') === table - 1);
  await new TcpPeer(net.connect(rig.port, '127.0.0.1')).ask(5n, 1);
  await ask();
});

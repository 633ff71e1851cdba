/** The sockets of a thread: what could not be sent, and what the kernel had no room for, is counted for /stats. */
import dgram from 'node:dgram';
import { MessageChannel } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Arena } from '../../../src/ring/arena.ts';
import { type CounterName, Counters, readCounters } from '../../../src/ring/counters.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import type { ThreadContext } from '../../../src/threads/context.ts';
import { Sockets } from '../../../src/threads/sockets.ts';
import { SourceCodec, sourceHead } from '../../../src/transport/source.ts';
import type { StreamSink } from '../../../src/transport/transport.ts';
import { isNativeTested } from '../../support/native-only.ts';

/** Sockets of a net thread on loopback, whose payloads are counted and nothing else. */
async function open(kind: ThreadContext['sockets']) {
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 8 });
  const { port1, port2 } = new MessageChannel();
  const tcp = { listen: undefined, isShared: false, tls: undefined, limits: {} };
  const udp = { host: '127.0.0.1', port: 0, isShared: false };
  const context = { role: 'net', sockets: kind, measuring: false, udp, tcp, controlPort: port1 };
  const { clock, random } = nodeSystem;
  const counters = new Counters(arena, 0);
  const parts = { counters, clock, random, standing: undefined, now: () => Date.now() };
  const sockets = await Sockets.open(context as unknown as ThreadContext, parts);
  const seen = { payloads: 0 };
  const sink: StreamSink = { payload: () => void seen.payloads++, room: 8, slots: 8, next: 0, committed: 0 };
  const dropped = (name: CounterName) =>
    (readCounters(arena).dropped as Record<string, number>)[name.replace('dropped.', '')];
  const close = async () => {
    await sockets.close();
    port2.close();
  };
  return { sockets, sink, seen, dropped, close };
}

test.each(isNativeTested ? (['dgram', 'native'] as const) : (['dgram'] as const))(
  'an answer that cannot be sent over %s is counted as dropped.sendFailed',
  async (kind) => {
    const { sockets, dropped, close } = await open(kind);
    const udp = sockets.transports[0]!;
    const nobody = new Uint32Array(SOURCE_WORDS);
    new SourceCodec().parse('127.0.0.1', nobody);
    nobody[0] = sourceHead(0, 0);
    for (let count = 0; count < 3; count++) {
      const packet = udp.acquire()!;
      packet.length = 32;
      udp.send(packet, nobody, 0);
    }
    udp.flush();
    expect(dropped('dropped.sendFailed')).toBe(3);
    await close();
  },
);

test.skipIf(!isNativeTested)(
  'datagrams that the kernel had no room for are counted as dropped.socketBuffer, each once',
  async () => {
    const { sockets, sink, seen, dropped, close } = await open('native');
    const { receiveBufferBytes, udp } = sockets.bound;
    const sender = dgram.createSocket('udp4');
    const bytes = new Uint8Array(60_000);
    const sent = Math.ceil((2 * receiveBufferBytes) / bytes.length) + 4;
    for (let count = 0; count < sent; count++)
      await new Promise((done) => sender.send(bytes, udp.port, udp.host, done));
    sockets.startReceiving(sink, () => {});
    await expect.poll(() => seen.payloads, { interval: 1 }).toBeGreaterThan(0);
    await expect
      .poll(() => {
        sockets.afterTurn();
        return seen.payloads + dropped('dropped.socketBuffer')!;
      })
      .toBe(sent);
    expect(dropped('dropped.socketBuffer')).toBeGreaterThan(0);
    sockets.afterTurn();
    expect(seen.payloads + dropped('dropped.socketBuffer')!).toBe(sent);
    sender.close();
    await close();
  },
);

/**
 * What only batched native UDP does: bounded turns, trains joined and cut by the kernel, shared addresses, drops told,
 * what a socket survives, and the load generator's sender.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import { loadAddon } from '../../../src/native/addon.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { laneSteering } from '../../../src/transport/lane-steering.ts';
import { SourceCodec, sourceHead } from '../../../src/transport/source.ts';
import type { TransportSink } from '../../../src/transport/transport.ts';
import { type BatchUdpOptions, BatchUdpTransport } from '../../../src/transport/udp-batch.ts';
import { NativeUdp, READABLE, WRITABLE } from '../../../src/transport/udp-native.ts';
import { NativeKernel } from '../../../src/verify/native.ts';
import { describeNative } from '../../support/native-only.ts';
import { random } from '../../support/random.ts';

const HOST = '127.0.0.1';

async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!isTrue() && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
  expect(isTrue()).toBe(true);
}

/** Keeps what came: payloads in order, and how many claims each readable callback brought. */
class Collector implements TransportSink {
  readonly payloads: Buffer[] = [];
  readonly turns: number[] = [];
  sources = new Set<number>();
  readonly readable = () => {
    this.turns.push(0);
  };
  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void {
    expect(view.buffer).toBe(bytes.buffer);
    this.payloads.push(Buffer.from(bytes.subarray(offset, offset + length)));
    this.turns[this.turns.length - 1]! += length / CLAIM_BYTES;
    this.sources.add(source[0]!);
  }
}

async function pair(options: Partial<BatchUdpOptions> = {}, stagingBytes = 1 << 20) {
  const collector = new Collector();
  const errors: undefined[] = [];
  const { host = HOST } = options;
  const transport = await BatchUdpTransport.open({ port: 0, ...options, host }, () => errors.push(undefined));
  transport.startReceiving(collector, collector.readable);
  const sender = await NativeUdp.connect({ host, port: transport.address.port }, stagingBytes);
  const close = async () => {
    sender.close();
    await transport.close();
  };
  return { collector, transport, sender, errors, close };
}

describeNative('native UDP', () => {
  test.each([true, false])('trains arrive whole and in order, whatever the segment (gro: %s)', async (gro) => {
    const from = random(5);
    const { collector, sender, close } = await pair({ gro, claimsPerTurnMax: 1e6 });
    for (const [bytes, segment] of [
      [93 * 300, 93],
      [93 * 300 + 1, 93],
      [1_395 * 100, 1_395],
      [1_395 * 46 + 7, 1_395],
      [65_507, 65_507],
      [1, 1],
      [100, 1],
      [50_000, 40_000],
    ] as const) {
      collector.payloads.length = 0;
      const sent = from.bytes(bytes);
      sender.sending.set(sent, 11);
      const datagrams = Math.ceil(bytes / segment);
      expect(sender.sendSegments(11, bytes, segment)).toBe(datagrams);
      await until(() => collector.payloads.length === datagrams);
      expect(Buffer.concat(collector.payloads).equals(sent)).toBe(true);
      expect(collector.payloads.slice(0, -1).every(({ length }) => length === segment)).toBe(true);
    }
    expect(collector.sources).toEqual(new Set([sourceHead(0, sender.address.port)]));
    await close();
  });

  test('a sink that takes trains gets the rest of each as payloads, and no train that is not of whole claims', async () => {
    const from = random(6);
    const { collector, sender, close } = await pair({ claimsPerTurnMax: 1e6 });
    const trains: Buffer[] = [];
    Object.assign(collector, {
      train(bytes: Uint8Array, offset: number, length: number, segment: number): number {
        expect([length % CLAIM_BYTES, segment % CLAIM_BYTES, segment < length]).toEqual([0, 0, true]);
        const taken = from.below(length / CLAIM_BYTES + 1) * CLAIM_BYTES;
        trains.push(Buffer.from(bytes.subarray(offset, offset + taken)));
        return taken;
      },
    });
    const all = () => Buffer.concat([...trains, ...collector.payloads]);
    for (const [bytes, segment, isTrain] of [
      [45 * CLAIM_BYTES, 15 * CLAIM_BYTES, true],
      [37 * CLAIM_BYTES, 3 * CLAIM_BYTES, true],
      [2 * CLAIM_BYTES, CLAIM_BYTES, true],
      [40 * CLAIM_BYTES + 7, 15 * CLAIM_BYTES, false],
      [20 * CLAIM_BYTES, CLAIM_BYTES / 3, false],
    ] as const) {
      trains.length = collector.payloads.length = 0;
      const sent = from.bytes(bytes);
      sender.sending.set(sent, 0);
      sender.sendSegments(0, bytes, segment);
      await until(() => all().length === bytes);
      expect(all().equals(sent)).toBe(true);
      expect(trains.length).toBe(isTrain ? 1 : 0);
      // Behind what is left of a datagram each payload is a whole one, and the last may be shorter.
      let at = trains[0]?.length ?? 0;
      for (const { length } of collector.payloads.slice(0, -1)) {
        at += length;
        expect(at % segment).toBe(0);
      }
    }
    await close();
  });

  test('a turn takes in what it may, to the message, and the next ones bring the rest', async () => {
    const { collector, sender, close } = await pair({ claimsPerTurnMax: 100 });
    // The first turn learns how large messages are.
    sender.sendSegments(0, 1_395, 1_395);
    await until(() => collector.payloads.length === 1);
    for (let train = 0; train < 20; train++) expect(sender.sendSegments(0, 93 * 30, 93)).toBe(30);
    await until(() => collector.payloads.length === 601);
    // Rounded up to trains, and once by what the sudden change of size lets through.
    expect(collector.turns.length).toBeGreaterThanOrEqual(5);
    expect(collector.turns.slice(2).every((claims) => claims <= 120)).toBe(true);
    await close();
  });

  test('acks to one peer leave as one train, and a shorter one in between does not tear it', async () => {
    const { collector, transport, sender, errors, close } = await pair();
    sender.sendSegments(0, 1, 1);
    await until(() => collector.payloads.length === 1);
    const to = new Uint32Array(SOURCE_WORDS);
    new SourceCodec().parse(HOST, to);
    const lengths = [1_440, 1_440, 32, 1_440, 1_440, 1_440, 64, 64, 0, 96];
    for (const [index, length] of lengths.entries()) {
      const packet = transport.acquire()!;
      packet.bytes.fill(index, 0, length);
      packet.length = length;
      // A source's first byte is a claim's last one and means nothing.
      to[0] = sourceHead(0, sender.address.port) + index;
      transport.send(packet, to, 0);
    }
    transport.flush();
    const answers: Buffer[] = [];
    let messages = 0;
    const sink: TransportSink = {
      payload: (bytes, _view, offset, length) => answers.push(Buffer.from(bytes.subarray(offset, offset + length))),
    };
    while (answers.length < lengths.length && sender.wait(1_000_000, false) === READABLE) {
      sender.receiveInto(sink, 1);
      messages++;
    }
    expect(answers.map(({ length }) => length)).toEqual(lengths);
    expect(answers.every((answer, index) => answer.every((byte) => byte === index))).toBe(true);
    expect(messages).toBeLessThan(lengths.length);
    expect(errors.length).toBe(0);
    await close();
  });

  test('how long each message waited in the socket is told before its payload, where it was asked for', async () => {
    const waits: number[] = [];
    const sink = { payload: () => {}, waited: (us: number) => waits.push(us) };
    const pause = new Int32Array(new SharedArrayBuffer(4));
    const local = { host: HOST, port: 0 };
    const memory = { sendingBytes: 64, packetsMax: 1 };
    const timed = await NativeUdp.open({ local, ...memory, times: true });
    const plain = await NativeUdp.open({ local, ...memory });
    for (const socket of [timed, plain]) {
      const sender = await NativeUdp.connect(socket.address, 64);
      // The system begins to note times a moment after the first socket asked for them.
      for (let tries = 0; tries < 50 && (waits[0] ?? 0) < 15_000; tries++) {
        waits.length = 0;
        const began = performance.now();
        sender.sendSegments(0, 1, 1);
        Atomics.wait(pause, 0, 0, 20);
        sender.sendSegments(0, 2, 2);
        expect(socket.wait(1_000_000, false)).toBe(READABLE);
        socket.receiveInto(sink);
        const elapsedUs = (performance.now() - began) * 1_000;
        for (const us of waits) expect(us).toBeLessThanOrEqual(elapsedUs);
        if (socket === plain) break;
      }
      if (socket === timed) {
        expect(waits.length).toBe(2);
        expect(waits[0]! - waits[1]!).toBeGreaterThanOrEqual(15_000);
      } else expect(waits).toEqual([]);
      waits.length = 0;
      sender.close();
      socket.close();
    }
  });

  test('a sink hears that something was read, its wait, its payload, and then that what others bring has no wait', async () => {
    const heard: string[] = [];
    const transport = await BatchUdpTransport.open({ host: HOST, port: 0, times: true }, () => {});
    const sink: TransportSink = {
      read: () => heard.push('read'),
      waited: (us) => heard.push(us === 0 ? 'no wait' : 'wait'),
      payload: () => heard.push('payload'),
    };
    transport.startReceiving(sink, () => {});
    const sender = await NativeUdp.connect(transport.address, 64);
    sender.sendSegments(0, 1, 1);
    await until(() => heard.includes('payload'));
    expect(heard.filter((what) => what !== 'wait')).toEqual(
      heard.includes('wait') ? ['read', 'payload', 'no wait'] : ['read', 'no wait', 'payload', 'no wait'],
    );
    // Told before the payload or not, as was asked for last.
    for (const hasTimes of [false, true, false]) {
      transport.hasTimes = hasTimes;
      heard.length = 0;
      sender.sendSegments(0, 1, 1);
      await until(() => heard.includes('payload'));
      expect(heard.slice(0, heard.indexOf('payload')).length, String(hasTimes)).toBe(hasTimes ? 2 : 1);
    }
    sender.close();
    await transport.close();
  });

  test('peers with one port at two addresses each get their own', async () => {
    const { transport, errors, close } = await pair();
    const got: string[][] = [[], []];
    const peers = [dgram.createSocket('udp4'), dgram.createSocket('udp4')] as const;
    peers[0].on('message', (message) => got[0]!.push(String(message)));
    peers[1].on('message', (message) => got[1]!.push(String(message)));
    peers[0].bind(0, HOST);
    await once(peers[0], 'listening');
    const { port } = peers[0].address();
    peers[1].bind(port, '127.0.0.2');
    await once(peers[1], 'listening');
    const to = new Uint32Array(SOURCE_WORDS);
    to[0] = sourceHead(0, port);
    for (const digit of [0, 0, 1, 0, 1, 1]) {
      new SourceCodec().parse(`127.0.0.${digit + 1}`, to);
      const packet = transport.acquire()!;
      packet.bytes[0] = 0x30 + digit;
      packet.length = 1;
      transport.send(packet, to, 0);
    }
    transport.flush();
    await until(() => got[0]!.length + got[1]!.length === 6);
    expect(got).toEqual([
      ['0', '0', '0'],
      ['1', '1', '1'],
    ]);
    expect(errors.length).toBe(0);
    for (const peer of peers) peer.close();
    await close();
  });

  test('stopped receiving, the loop is left alone', async () => {
    const { collector, transport, sender, close } = await pair();
    sender.sendSegments(0, 93, 93);
    await until(() => collector.payloads.length === 1);
    transport.stopReceiving();
    const turns = collector.turns.length;
    sender.sendSegments(0, 93, 93);
    for (let count = 0; count < 20; count++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(collector.turns.length).toBe(turns);
    await close();
  });

  test('one address, several lanes: each peer stays with one, and a stranger is refused', async () => {
    const first = await pair({ reusePort: true, exclusive: true });
    const port = first.transport.address.port;
    const second = await pair({ port, reusePort: true });
    const peers = await Promise.all(Array.from({ length: 32 }, () => NativeUdp.connect({ host: HOST, port }, 64)));
    for (const peer of peers) for (let count = 0; count < 10; count++) expect(peer.sendSegments(0, 1, 1)).toBe(1);
    await until(() => first.collector.payloads.length + second.collector.payloads.length === 320);
    expect(first.collector.sources.size).toBeGreaterThan(0);
    expect(second.collector.sources.size).toBeGreaterThan(0);
    expect(first.collector.sources.size + second.collector.sources.size).toBe(32);
    // Another node, lanes or not, and dgram's way of binding.
    await expect(pair({ port, reusePort: true, exclusive: true })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(pair({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    for (const peer of peers) peer.close();
    await second.close();
    await first.close();
    const later = await pair({ port, reusePort: true, exclusive: true });
    await later.close();
  });

  test.each(['127.0.0.1', '::1'])(
    'sockets on consecutive ports of %s are dealt out over three lanes in turns',
    async (host) => {
      const first = await pair({ host, reusePort: true, exclusive: true });
      const { port } = first.transport.address;
      const lanes = [first, await pair({ host, port, reusePort: true }), await pair({ host, port, reusePort: true })];
      for (const { transport } of lanes.slice(1)) expect(transport.steer(laneSteering(3))).toBe(true);
      const peers: NativeUdp[] = [];
      for (let local = 40_000; peers.length < 12; local++) {
        const opening = NativeUdp.open({
          local: { host, port: local },
          peer: { host, port },
          sendingBytes: 64,
          packetsMax: 0,
        });
        const peer = await opening.catch(() => undefined);
        // As many for each lane, though another program may have a port between them.
        if (peer !== undefined && peers.filter(({ address }) => address.port % 3 === local % 3).length < 4)
          peers.push(peer);
        else peer?.close();
      }
      for (const peer of peers) expect(peer.sendSegments(0, 1, 1)).toBe(1);
      await until(() => lanes.every(({ collector }) => collector.payloads.length === 4));
      for (const peer of peers) peer.close();
      for (const lane of lanes) await lane.close();
    },
  );

  test('a program that the system does not take leaves the choice to its hash', async () => {
    const first = await pair({ reusePort: true, exclusive: true });
    // Nobody shares the address yet.
    expect(first.transport.steer(laneSteering(2))).toBe(false);
    expect(first.transport.steer(new Uint32Array(0))).toBe(false);
    first.sender.sendSegments(0, 1, 1);
    await until(() => first.collector.payloads.length === 1);
    await first.close();
  });

  test('what the receive buffer has no room for is told', async () => {
    const { collector, transport, sender, close } = await pair({ receiveBufferBytes: 4_096 });
    expect(transport.receiveBufferBytes).toBeGreaterThanOrEqual(4_096);
    expect(transport.drops).toBe(0);
    for (let count = 0; count < 100; count++) expect(sender.sendSegments(0, 1_000, 1_000)).toBe(1);
    const { drops } = transport;
    expect(drops).toBeGreaterThan(0);
    await until(() => collector.payloads.length === 100 - drops);
    expect(transport.drops).toBe(drops);
    await close();
  });

  test('nobody listening is counted, and waiting ends', async () => {
    const { sender, transport, close } = await pair();
    expect(sender.wait(0, false)).toBe(0);
    expect(sender.wait(1_000, true)).toBe(WRITABLE);
    await transport.close();
    const sink = { payload: () => {} };
    sender.sendSegments(0, 93, 93);
    expect(sender.wait(1_000_000, false)).toBe(READABLE);
    sender.receiveInto(sink);
    expect(sender.refusals).toBe(1);
    sender.sendSegments(0, 93, 93);
    expect(sender.sendSegments(0, 93, 93)).toBe(0);
    expect(sender.refusals).toBe(2);
    expect(() => sender.sendSegments(0, 70_000, 65_508)).toThrow('udpSendSegments');
    sender.close();
    await expect(close()).rejects.toThrow('udp: expected the handle');
  });

  test('an error stops no polling', async () => {
    const first = await pair();
    const port = first.transport.address.port;
    await first.close();
    const polled = await NativeUdp.open({ peer: { host: HOST, port }, sendingBytes: 1, packetsMax: 0 });
    let received = 0;
    polled.poll(() => {
      received += Math.max(0, polled.receive(1));
    });
    // Nobody is there: the refusal comes back before the call does, and the loop hears of it.
    expect(polled.sendSegments(0, 1, 1)).toBe(1);
    for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve));
    const later = await pair({ port });
    expect(polled.sendSegments(0, 1, 1)).toBe(1);
    await until(() => later.collector.payloads.length === 1);
    const to = new Uint32Array(SOURCE_WORDS);
    new SourceCodec().parse(HOST, to);
    to[0] = [...later.collector.sources][0]!;
    later.transport.send(later.transport.acquire()!, to, 0);
    later.transport.flush();
    await until(() => received === 1);
    polled.close();
    await later.close();
  });

  test('claims are gathered out of the ring, around its end too', async () => {
    const shape = { kernelBytes: 0, rings: 1, ringSlots: 64, ackSlots: 64, threads: 1, channelsMax: 16 };
    const arena = Arena.create(shape);
    const ring = new ClaimRing(arena, 0);
    arena.bytes.set(random(3).bytes(64 * 128), ring.base);
    const { sender, close } = await pair({}, 93 * 64 + 8);
    const kernel = new NativeKernel(1 << 20);
    kernel.attach(arena, ring);
    for (const [first, count] of [
      [0, 64],
      [60, 10],
      [2 ** 32 - 3, 7],
      [5, 1],
      [5, 0],
    ] as const) {
      sender.sending.fill(0xee);
      sender.gather(8, first, count);
      for (let index = 0; index < count; index++) {
        const slot = ring.base + ((first + index) % 64) * 128;
        const claim = arena.bytes.subarray(slot, slot + 93);
        expect(Buffer.compare(claim, sender.sending.subarray(8 + index * 93, 8 + (index + 1) * 93))).toBe(0);
      }
      expect(sender.sending.subarray(8 + count * 93).every((byte) => byte === 0xee)).toBe(true);
    }
    expect(() => sender.gather(9, 0, 64)).toThrow('udpGather');
    expect(() => sender.gather(0, 0, 65)).toThrow('udpGather');
    await close();
  });

  test('a wrong handle, wrong arguments and a wrong packet throw', async () => {
    const addon = loadAddon<Record<string, (...values: unknown[]) => unknown>>();
    const names = Object.keys(addon).filter((name) => name.startsWith('udp'));
    expect(names.length).toBe(15);
    const { transport, close } = await pair();
    await close();
    for (const name of names)
      for (const handle of [0, 1, 64, 2 ** 31, -1, Number.NaN, undefined, 'x', transport, 2n])
        expect(() => addon[name]!(handle, 1, 1, 1, 1), `${name}(${String(handle)})`).toThrow(/^udp/);
    const arrays = () =>
      [new Uint8Array(65_664), new Uint32Array(8), new Uint8Array(100), new Uint32Array(16)] as const;
    const open = (...memory: readonly unknown[]) => addon.udpOpen!(HOST, '', 0, 0, 0, 0, ...memory) as number;
    expect(() => open(...arrays().slice(1))).toThrow('udpOpen');
    expect(() => open(...arrays().slice(1), new Uint8Array(1))).toThrow('udpOpen');
    const memory = arrays();
    const handle = open(...memory);
    memory[3].set([50, 51]);
    expect(() => addon.udpSend!(handle, 1)).toThrow('inside the sending memory');
    memory[3].set([2 ** 32 - 1, 2]);
    expect(() => addon.udpSend!(handle, 1)).toThrow('inside the sending memory');
    expect(() => addon.udpSend!(handle, 3)).toThrow('as many packets as there are records');
    expect(() => addon.udpSendSegments!(handle, 2 ** 32 - 1, 2 ** 32 - 1, 1)).toThrow('udpSendSegments');
    expect(() => addon.udpSendSegments!(handle, 0, 1, 0)).toThrow('udpSendSegments');
    expect(addon.udpReceive!(handle, 2 ** 32 - 1)).toBe(0);
    addon.udpClose!(handle);
    // The place is used again, the handle is not.
    const next = open(...arrays());
    expect(next).not.toBe(handle);
    expect(() => addon.udpClose!(handle)).toThrow('udp: expected the handle');
    addon.udpClose!(next);
  });

  test('the sockets of a thread have a limit', async () => {
    const senders: NativeUdp[] = [];
    const open = () => NativeUdp.connect({ host: HOST, port: 9 }, 1);
    while (senders.length < 64) senders.push(await open());
    await expect(open()).rejects.toMatchObject({ code: 'EMFILE' });
    for (const sender of senders) sender.close();
    (await open()).close();
  });
});

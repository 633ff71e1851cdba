/**
 * Any datagrams at the native transport, and answers to any source: what was sent is what arrives, datagram by
 * datagram; a flood of nothing ends a turn as claims do; and whatever cannot be sent is counted while packets come back.
 * Seeded; loopback only.
 */
import dgram from 'node:dgram';
import { expect, test } from 'vitest';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { SOURCE_WORDS } from '../../src/ring/slot.ts';
import { SourceCodec, sourceHead, sourcePort } from '../../src/transport/source.ts';
import type { TransportSink } from '../../src/transport/transport.ts';
import { BatchUdpTransport } from '../../src/transport/udp-batch.ts';
import { NativeUdp } from '../../src/transport/udp-native.ts';
import { describeNative } from '../support/native-only.ts';
import { type Random, random } from '../support/random.ts';

const HOST = '127.0.0.1';

async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!isTrue() && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
  expect(isTrue()).toBe(true);
}

/** Bytes and the segments they are cut into; three of them fit the smallest receive buffer a system grants, 416 KiB. */
function train(from: Random): { bytes: Uint8Array; segment: number } {
  const segment = 1 + from.below([3, 100, 1_500, 65_507][from.below(4)]!);
  return { bytes: from.bytes(1 + from.below(Math.min(30_000, segment * 60))), segment };
}

describeNative('native UDP', () => {
  test.each([true, false])('random trains of several peers arrive as they were sent (gro: %s)', async (gro) => {
    const from = random(71);
    const arrived = new Map<number, Buffer[]>();
    let datagrams = 0;
    const sink: TransportSink = {
      payload: (bytes, _view, offset, length, source) => {
        arrived.get(sourcePort(source[0]!))!.push(Buffer.from(bytes.subarray(offset, offset + length)));
        datagrams++;
      },
    };
    const options = { host: HOST, port: 0, gro, claimsPerTurnMax: 1 + from.below(2_000) };
    const transport = await BatchUdpTransport.open(options, () => {});
    transport.startReceiving(sink, () => {});
    const open = () => NativeUdp.connect({ host: HOST, port: transport.address.port }, 30_000);
    const senders = await Promise.all([open(), open(), open()]);
    for (let round = 0; round < 100; round++) {
      for (const sender of senders) arrived.set(sender.address.port, []);
      datagrams = 0;
      const sent = senders.map(() => train(from));
      const counts = sent.map(({ bytes, segment }, index) => {
        senders[index]!.sending.set(bytes);
        return senders[index]!.sendSegments(0, bytes.length, segment);
      });
      expect(counts).toEqual(sent.map(({ bytes, segment }) => Math.ceil(bytes.length / segment)));
      await until(() => datagrams === counts.reduce((sum, count) => sum + count, 0) || transport.drops > 0);
      if (transport.drops > 0) throw new Error('expected a receive buffer that holds three trains, got drops');
      for (const [index, { bytes, segment }] of sent.entries()) {
        const payloads = arrived.get(senders[index]!.address.port)!;
        expect(Buffer.concat(payloads).equals(bytes)).toBe(true);
        expect(payloads.slice(0, -1).every(({ length }) => length === segment)).toBe(true);
      }
    }
    for (const sender of senders) sender.close();
    await transport.close();
  });

  test('empty and tiny datagrams are handed in, and end a turn as claims do', async () => {
    const turns: number[] = [];
    let received = 0;
    const sink: TransportSink = {
      payload: (_bytes, _view, _offset, length) => {
        received++;
        turns[turns.length - 1]!++;
        expect(length).toBeLessThan(2);
      },
    };
    const options = { host: HOST, port: 0, claimsPerTurnMax: 10 };
    const transport = await BatchUdpTransport.open(options, () => {});
    transport.startReceiving(sink, () => turns.push(0));
    const peer = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => peer.connect(transport.address.port, HOST, resolve));
    // Nothing is awaited: the transport finds them all at once.
    for (let count = 0; count < 300; count++) peer.send(new Uint8Array(count % 2));
    await until(() => received === 300);
    expect(Math.max(...turns)).toBeLessThanOrEqual(10);
    peer.close();
    const sender = await NativeUdp.connect({ host: HOST, port: transport.address.port }, 320);
    turns.length = 0;
    sender.sendSegments(0, 320, 1);
    await until(() => received === 620);
    // A train is never divided: 64 datagrams of a byte cost what 64 claims do, so there are few in a turn.
    expect(Math.max(...turns)).toBeLessThanOrEqual(64 * 10);
    expect(turns.slice(1).every((datagrams) => datagrams * CLAIM_BYTES <= 64 * CLAIM_BYTES)).toBe(true);
    sender.close();
    await transport.close();
  });

  test.each(['127.0.0.1', '::1'])(
    'answers to any source from %s: sent or counted, and packets come back',
    async (host) => {
      const from = random(72);
      let errors = 0;
      let received = 0;
      const sink = { payload: () => received++ };
      let transport: BatchUdpTransport;
      try {
        transport = await BatchUdpTransport.open({ host, port: 0 }, () => errors++);
        transport.startReceiving(sink, () => {});
      } catch (error) {
        // A machine without IPv6.
        expect(host).toBe('::1');
        expect((error as { code: string }).code).toMatch(/EADDRNOTAVAIL|EAFNOSUPPORT/);
        return;
      }
      const codec = new SourceCodec();
      const words = new Uint32Array(SOURCE_WORDS);
      for (let round = 0; round < 100; round++) {
        errors = 0;
        received = 0;
        let isOwn = 0;
        const packets = 1 + from.below(128);
        for (let index = 0; index < packets; index++) {
          const packet = transport.acquire()!;
          expect(packet.length).toBe(0);
          packet.length = from.below(1_441);
          const to = from.below(8) > 0 ? host : ['255.255.255.255', '::1', '127.0.0.2', '0.0.0.0'][from.below(4)]!;
          codec.parse(to, words);
          const port = to === host ? transport.address.port : from.below(2);
          words[0] = sourceHead(0, port) | from.below(256);
          if (to === host) isOwn++;
          transport.send(packet, words, 0);
        }
        transport.flush();
        expect(errors).toBeLessThanOrEqual(packets - isOwn);
        // What went to ourselves may at most have found the receive buffer full.
        await until(() => received + transport.drops >= isOwn);
        if (transport.drops > 0) throw new Error('expected a receive buffer that holds a flush, got drops');
        expect(received).toBe(isOwn);
      }
      await transport.close();
    },
  );
});

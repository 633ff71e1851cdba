/**
 * Addresses as words and back, and the UDP transport at a real socket: packets come back to the pool, answers reach
 * IPv4 peers of an IPv6 socket too, and a source that cannot be answered is counted.
 */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { SOURCE_WORDS } from '../../src/ring/slot.ts';
import { SourceCodec, sourceHead, sourcePort } from '../../src/transport/source.ts';
import { UdpTransport } from '../../src/transport/udp.ts';
import { random } from './protocol-random.ts';

test('addresses keep their bytes both ways', () => {
  const codec = new SourceCodec();
  const words = new Uint32Array(SOURCE_WORDS);
  const roundTrip = (address: string, prefix = '') => {
    codec.parse(address, words);
    return codec.format(words, 0, prefix);
  };
  expect(roundTrip('127.0.0.1')).toBe('127.0.0.1');
  expect([...new Uint8Array(words.buffer, 4)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);
  expect(roundTrip('::ffff:10.1.2.3')).toBe('10.1.2.3');
  expect(new SourceCodec().format(words, 0, '::ffff:')).toBe('::ffff:10.1.2.3');
  expect(roundTrip('::1')).toBe('0:0:0:0:0:0:0:1');
  expect(roundTrip('fe80::1%eth0')).toBe('fe80:0:0:0:0:0:0:1');
  expect(roundTrip('2001:db8::ff00:42:8329')).toBe('2001:db8:0:0:0:ff00:42:8329');
  const from = random(8);
  for (let count = 0; count < 10_000; count++) {
    const v4 = [from.below(256), from.below(256), from.below(256), from.below(256)].join('.');
    expect(roundTrip(v4)).toBe(v4);
    const groups = Array.from({ length: 8 }, () => (1 + from.below(0xffff)).toString(16)).join(':');
    expect(roundTrip(groups)).toBe(groups);
  }
  expect(sourcePort(sourceHead(0xff, 65_535))).toBe(65_535);
  expect(sourceHead(0, 1) & 0xff).toBe(0);
});

/** Binds a transport, sends it a datagram from an IPv4 socket, and answers it with what came. */
async function echo(host: string): Promise<string> {
  let transport: UdpTransport | undefined;
  const sink = {
    payload: (bytes: Uint8Array, _view: DataView, offset: number, length: number, source: Uint32Array) => {
      const packet = transport!.acquire()!;
      packet.bytes.set(bytes.subarray(offset, offset + length));
      packet.length = length;
      transport!.send(packet, source, 0);
    },
  };
  transport = await UdpTransport.open({ host, port: 0 }, sink, () => {});
  const peer = dgram.createSocket('udp4');
  try {
    return await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('expected an answer within 5 s, got none')), 5_000);
      peer.once('message', (message) => {
        clearTimeout(timer);
        resolve(String(message));
      });
      peer.send('hello', Number(transport!.address.split(':').at(-1)), '127.0.0.1');
    });
  } finally {
    peer.close();
    await transport.close();
  }
}

test('an answer reaches an IPv4 peer', async () => {
  expect(await echo('127.0.0.1')).toBe('hello');
});

test('an answer reaches an IPv4 peer of a dual-stack socket, where the machine has IPv6', async () => {
  const hasV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => isIPv6(address)));
  expect(await echo(hasV6 ? '::' : '0.0.0.0')).toBe('hello');
});

test('the pool is bounded and refills; a source with port 0 is counted, not thrown', async () => {
  let errors = 0;
  const transport = await UdpTransport.open({ host: '127.0.0.1', port: 0 }, { payload: () => {} }, () => errors++);
  const source = new Uint32Array(SOURCE_WORDS);
  new SourceCodec().parse('127.0.0.1', source);
  const packets = [];
  for (let packet = transport.acquire(); packet !== undefined; packet = transport.acquire()) packets.push(packet);
  expect(packets.length).toBe(1_024);
  for (const packet of packets.slice(0, 10)) {
    packet.length = 32;
    transport.send(packet, source, 0);
  }
  expect(errors).toBe(10);
  expect(transport.acquire()!.length).toBe(0);
  await transport.close();
});

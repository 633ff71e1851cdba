/**
 * Addresses as words and back, and the UDP transports at real sockets, one list of cases for all: packets come back to
 * the pool, answers reach IPv4 peers of an IPv6 socket too, and a source that cannot be answered is counted.
 */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { hostPortText } from '../../../src/host-port.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { SourceCodec, sourceHead, sourcePort } from '../../../src/transport/source.ts';
import type { Packet, Transport, TransportSink } from '../../../src/transport/transport.ts';
import { UdpTransport } from '../../../src/transport/udp.ts';
import { BatchUdpTransport } from '../../../src/transport/udp-batch.ts';
import { isNativeTested } from '../../support/native-only.ts';
import { random } from '../../support/random.ts';

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

interface Kind {
  name: string;
  open(host: string, port: number, sink: TransportSink, onSendError: () => void): Promise<Transport>;
}

const DGRAM: Kind = {
  name: 'dgram',
  open: async (host, port, sink, onSendError) => {
    const transport = await UdpTransport.open({ host, port }, onSendError);
    transport.startReceiving(sink, () => {});
    return transport;
  },
};
const NATIVE: Kind = {
  name: 'native',
  open: async (host, port, sink, onSendError) => {
    const transport = await BatchUdpTransport.open({ host, port }, onSendError);
    transport.startReceiving(sink, () => {});
    return transport;
  },
};

const hasV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => isIPv6(address)));
const loopback = new Uint32Array(SOURCE_WORDS);
new SourceCodec().parse('127.0.0.1', loopback);

describe.each(isNativeTested ? [DGRAM, NATIVE] : [DGRAM])('$name', ({ open }) => {
  /** Binds, lets a peer send `payloads`, and collects what comes back: every payload in a packet of its own. */
  async function echo(host: string, payloads: string[]): Promise<string[]> {
    let errors = 0;
    let transport: Transport | undefined;
    const sink: TransportSink = {
      payload: (bytes, _view, offset, length, source) => {
        const packet = transport!.acquire()!;
        packet.bytes.set(bytes.subarray(offset, offset + length));
        packet.length = length;
        transport!.send(packet, source, 0);
        setImmediate(() => transport!.flush());
      },
    };
    transport = await open(host, 0, sink, () => errors++);
    const peer = dgram.createSocket('udp4');
    const answers: string[] = [];
    try {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`expected ${payloads.length} answers, got ${answers}`)), 5_000);
        peer.on('message', (message) => {
          if (answers.push(String(message)) < payloads.length) return;
          clearTimeout(timer);
          resolve();
        });
        for (const payload of payloads) peer.send(payload, transport.address.port, '127.0.0.1');
      });
    } finally {
      peer.close();
      await transport.close();
    }
    expect(errors).toBe(0);
    return answers;
  }

  test('answers reach an IPv4 peer, one datagram each, whatever their lengths', async () => {
    const payloads = ['hello', '', 'x'.repeat(1_440), 'y'.repeat(1_440), 'short', 'z'];
    expect(await echo('127.0.0.1', payloads)).toEqual(payloads);
  });

  test('an answer reaches an IPv4 peer of a dual-stack socket, where the machine has IPv6', async () => {
    expect(await echo(hasV6 ? '::' : '0.0.0.0', ['hello', 'again'])).toEqual(['hello', 'again']);
  });

  test('a name is looked up, and the port picked is told', async () => {
    const transport = await open('localhost', 0, { payload: () => {} }, () => {});
    expect(transport.address).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(transport.address.port).toBeGreaterThan(0);
    expect(transport.receiveBufferBytes).toBeGreaterThanOrEqual(1 << 16);
    await transport.close();
  });

  test('an address in use is refused with the system’s code, and one that is not here', async () => {
    const first = await open('127.0.0.1', 0, { payload: () => {} }, () => {});
    const { address } = first;
    const second = open('127.0.0.1', first.address.port, { payload: () => {} }, () => {});
    await expect(second).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: `bind EADDRINUSE ${hostPortText(address)}`,
    });
    await first.close();
    const elsewhere = open('192.0.2.1', 0, { payload: () => {} }, () => {});
    await expect(elsewhere).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  test('the pool is bounded and refills; a source with port 0 is counted, not thrown', async () => {
    let errors = 0;
    const transport = await open('127.0.0.1', 0, { payload: () => {} }, () => errors++);
    const packets = drained(transport);
    expect(packets.length).toBe(1_024);
    for (const packet of packets.slice(0, 10)) {
      packet.length = 32;
      transport.send(packet, loopback, 0);
    }
    expect(errors).toBe(10);
    expect(transport.acquire()!.length).toBe(0);
    await transport.close();
  });

  test('packets that cannot be sent are counted one by one, the others leave, and all come back', async () => {
    let errors = 0;
    let received = 0;
    const transport = await open('127.0.0.1', 0, { payload: () => received++ }, () => errors++);
    const own = loopback.slice();
    own[0] = sourceHead(0, transport.address.port);
    // Sending to the broadcast address takes a permission no transport asks for; IPv6 takes an IPv6 socket.
    const forbidden = [own.slice(), own.slice()];
    new SourceCodec().parse('255.255.255.255', forbidden[0]!);
    new SourceCodec().parse('::7f00:1', forbidden[1]!);
    const packets = drained(transport).slice(0, 256);
    for (const [index, packet] of packets.entries()) {
      packet.length = 32;
      transport.send(packet, forbidden[(index % 64) >> 1] ?? own, 0);
    }
    transport.flush();
    await until(() => errors === 16 && received === packets.length - 16);
    const again = drained(transport);
    expect(again.length).toBe(packets.length);
    expect(again.every(({ length }) => length === 0)).toBe(true);
    await transport.close();
  });

  test('after stopReceiving nothing is handed in, and what is sent still leaves', async () => {
    let received = 0;
    let answers = 0;
    const transport = await open('127.0.0.1', 0, { payload: () => received++ }, () => {});
    const peer = dgram.createSocket('udp4').on('message', () => answers++);
    await new Promise<void>((resolve) => peer.bind(0, '127.0.0.1', resolve));
    const source = loopback.slice();
    source[0] = sourceHead(0, peer.address().port);
    await new Promise((resolve) => peer.send('one', transport.address.port, '127.0.0.1', resolve));
    await until(() => received === 1);
    transport.stopReceiving();
    await new Promise((resolve) => peer.send('two', transport.address.port, '127.0.0.1', resolve));
    transport.send(transport.acquire()!, source, 0);
    transport.flush();
    await until(() => answers === 1);
    expect(received).toBe(1);
    peer.close();
    await transport.close();
  });
});

function drained(transport: Transport): Packet[] {
  const packets: Packet[] = [];
  for (let packet = transport.acquire(); packet !== undefined; packet = transport.acquire()) packets.push(packet);
  return packets;
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!isTrue() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isTrue()).toBe(true);
}

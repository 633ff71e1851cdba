/**
 * The capture reader and writer: every link type and byte order by hand-built packets, then hostile files.
 */
import { describe, expect, it } from 'vitest';
import { ClaimwireError } from '../../src/errors.ts';
import { looksLikeCapture, PcapReader, readPcap, type UdpDatagram, writePcap } from '../../src/pcap.ts';
import { random } from '../support/random.ts';

const PAYLOAD = [1, 2, 3, 4, 5];
const UDP = [0x9c, 0x40, 0x24, 0xb1, 0, 13, 0, 0, ...PAYLOAD];

function ipv4(payload: number[], { fragment = [0, 0], options = 0, protocol = 17 } = {}): number[] {
  const header = [0x45 + options, 0, 0, 20 + 4 * options + payload.length, 0, 0, ...fragment, 64, protocol, 0, 0];
  return [...header, 10, 0, 0, 1, 10, 0, 0, 2, ...Array<number>(4 * options).fill(0), ...payload];
}

const SOURCE_IPV6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

function ipv6(next: number, payload: number[], source = SOURCE_IPV6): number[] {
  const target = [...Array<number>(15).fill(0), 1];
  return [0x60, 0, 0, 0, 0, payload.length, next, 64, ...source, ...target, ...payload];
}

function file(linkType: number, packets: number[][], { little = true, nanoseconds = false, cut = 0 } = {}): Uint8Array {
  const u32 = (value: number): number[] => {
    const bytes = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    return little ? bytes.reverse() : bytes;
  };
  const magic = nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
  const records = packets.flatMap((packet) => [
    ...[...u32(1_700_000_000), ...u32(123_456)],
    ...[...u32(packet.length - cut), ...u32(packet.length), ...packet.slice(0, packet.length - cut)],
  ]);
  return Uint8Array.from([
    ...u32(magic),
    ...u32(0),
    ...u32(0),
    ...u32(0),
    ...u32(65_535),
    ...u32(linkType),
    ...records,
  ]);
}

function read(bytes: Uint8Array): { datagrams: UdpDatagram[]; notUdp: number; fragment: number } {
  const skipped = { notUdp: 0, fragment: 0 };
  return { datagrams: [...readPcap(bytes, skipped)], ...skipped };
}

const MAC = Array<number>(12).fill(0xaa);

describe('readPcap', () => {
  it('finds UDP over IPv4 behind every link type, in both byte orders and both units of time', () => {
    const before: [number, number[]][] = [
      [0, [2, 0, 0, 0]],
      [1, [...MAC, 8, 0]],
      [1, [...MAC, 0x81, 0, 0, 7, 8, 0]],
      [1, [...MAC, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0]],
      [101, []],
      [108, [0, 0, 0, 2]],
      [113, [...Array<number>(14).fill(0), 8, 0]],
      [276, [8, 0, ...Array<number>(18).fill(0)]],
    ];
    for (const [linkType, link] of before)
      for (const little of [true, false])
        for (const nanoseconds of [true, false]) {
          const padded = [...link, ...ipv4(UDP), 0, 0, 0];
          const { datagrams, ...skipped } = read(file(linkType, [padded], { little, nanoseconds }));
          expect(skipped).toEqual({ notUdp: 0, fragment: 0 });
          expect(datagrams, `link type ${linkType}`).toEqual([
            {
              seconds: 1_700_000_000,
              nanoseconds: nanoseconds ? 123_456 : 123_456_000,
              source: '10.0.0.1',
              sourcePort: 40_000,
              target: '10.0.0.2',
              targetPort: 9393,
              payload: Uint8Array.from(PAYLOAD),
              missingBytes: 0,
            },
          ]);
        }
  });

  it('reads IPv4 options, IPv6 and its extension headers', () => {
    const hopByHop = [60, 0, 0, 0, 0, 0, 0, 0];
    const options = [17, 1, ...Array<number>(14).fill(0)];
    const packets = [ipv4(UDP, { options: 3 }), ipv6(17, UDP), ipv6(0, [...hopByHop, ...options, ...UDP])];
    const { datagrams } = read(file(101, packets));
    expect(datagrams.map(({ source, target }) => `${source} ${target}`)).toEqual([
      '10.0.0.1 10.0.0.2',
      '2001:db8::1 ::1',
      '2001:db8::1 ::1',
    ]);
    for (const { payload } of datagrams) expect([...payload]).toEqual(PAYLOAD);
  });

  it('writes IPv6 addresses as RFC 5952 has them', () => {
    const addresses: [number[], string][] = [
      [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
      [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
      [[1, 0, 0, 2, 0, 0, 0, 3], '1:0:0:2::3'],
      [[0xfe80, 0, 0, 0, 0, 0, 0, 0], 'fe80::'],
      [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    ];
    for (const [groups, text] of addresses) {
      const source = groups.flatMap((group) => [group >>> 8, group & 0xff]);
      expect(read(file(101, [ipv6(17, UDP, source)])).datagrams[0]?.source).toBe(text);
    }
  });

  it('counts what it passes over', () => {
    const arp = [...MAC, 8, 6, ...Array<number>(28).fill(0)];
    const mangled = [ipv4(UDP).slice(0, 19), ipv4(UDP).slice(0, 24), [0x40, ...ipv4(UDP).slice(1)], [], [0x70]];
    const udpLengthZero = ipv4([0x9c, 0x40, 0x24, 0xb1, 0, 0, 0, 0]);
    expect(read(file(1, [arp]))).toEqual({ datagrams: [], notUdp: 1, fragment: 0 });
    expect(read(file(101, [...mangled, udpLengthZero, ipv4(UDP, { protocol: 6 }), ipv6(6, UDP)])).notUdp).toBe(8);
    const fragments = [ipv4(UDP, { fragment: [0x20, 0] }), ipv4(UDP, { fragment: [0, 5] }), ipv6(44, [17, 0, ...UDP])];
    expect(read(file(101, fragments))).toEqual({ datagrams: [], notUdp: 0, fragment: 3 });
  });

  it('says how much of a payload a snap length cut off', () => {
    const { datagrams } = read(file(101, [ipv4(UDP)], { cut: 2 }));
    expect(datagrams.map(({ payload, missingBytes }) => [[...payload], missingBytes])).toEqual([[[1, 2, 3], 2]]);
  });

  it('names the offset of what makes no sense', () => {
    const sound = file(101, [ipv4(UDP)]);
    const huge = sound.slice();
    huge.set([0xff, 0xff, 0xff, 0xff], 32);
    const linkType = sound.slice();
    linkType[20] = 147;
    const cases: [Uint8Array, number, string][] = [
      [sound.subarray(0, 23), 0, 'expected a 24-byte pcap header, got 23'],
      [Uint8Array.from([0, ...sound.subarray(1)]), 0, 'expected the magic number'],
      [Uint8Array.from([0x0a, 0x0d, 0x0d, 0x0a, ...sound.subarray(4)]), 8, 'expected the byte-order magic of pcapng'],
      [linkType, 20, 'got 147'],
      [sound.subarray(0, 30), 24, 'expected a 16-byte record header, got 6'],
      [huge, 32, 'expected a packet of at most 262144 bytes'],
      [sound.subarray(0, -1), 40, 'expected 33 bytes of packet, got 32'],
    ];
    for (const [bytes, offset, message] of cases) {
      let caught: unknown;
      try {
        read(bytes);
      } catch (error) {
        caught = error;
      }
      expect(caught, message).toBeInstanceOf(ClaimwireError);
      const { code, details, message: said } = caught as ClaimwireError;
      expect([code, details.offset]).toEqual(['INPUT_INVALID', offset]);
      expect(said).toContain(message);
    }
  });

  it('throws nothing else on noise, and reads nothing outside the file', () => {
    const rng = random(31);
    const packets = [ipv4(UDP, { options: 2 }), ipv6(0, [17, 0, 0, 0, 0, 0, 0, 0, ...UDP]), ipv4(UDP)];
    for (let round = 0; round < 4_000; round++) {
      const linkType = [0, 1, 101, 108, 113, 276][rng.below(6)]!;
      const around = Uint8Array.from([...rng.bytes(16), ...file(linkType, packets, { little: round % 2 === 0 })]);
      for (let flips = rng.below(8); flips > 0; flips--) around[16 + rng.below(around.length - 16)] = rng.u32() & 0xff;
      const bytes = around.subarray(16, around.length - rng.below(60));
      try {
        for (const { payload } of read(bytes).datagrams)
          expect(payload.byteOffset + payload.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ClaimwireError);
      }
    }
  });
});

describe('PcapReader', () => {
  const packets = [ipv4(UDP), ipv4([]), ipv4(UDP, { options: 3 }), [1, 2, 3]];

  /** What comes of a file in pieces of `size`. */
  function inPieces(bytes: Uint8Array, size: number) {
    const skipped = { notUdp: 0, fragment: 0 };
    const reader = new PcapReader(skipped);
    const datagrams: UdpDatagram[] = [];
    let fault = '';
    try {
      for (let at = 0; at < bytes.length; at += size) datagrams.push(...reader.push(bytes.slice(at, at + size)));
      reader.end();
    } catch (error) {
      fault = (error as Error).message;
    }
    return { datagrams, skipped, fault };
  }

  it('finds the same in pieces of any size, and the same fault where the file is cut', () => {
    const whole = file(101, packets);
    for (let length = 0; length <= whole.length; length += 11) {
      const bytes = whole.slice(0, length);
      const expected = inPieces(bytes, length + 1);
      for (const size of [1, 7, 24, 100]) expect(inPieces(bytes, size)).toEqual(expected);
    }
    expect(inPieces(whole, 5)).toMatchObject({ fault: '', datagrams: [{}, {}], skipped: { notUdp: 2 } });
  });

  it('keeps no more than a packet, however long the file is', () => {
    const [header, packet] = [file(101, []), file(101, [ipv4(UDP)]).slice(24)];
    const piece = Buffer.concat(Array.from({ length: 1_000 }, () => packet));
    const reader = new PcapReader({ notUdp: 0, fragment: 0 });
    let count = [...reader.push(header)].length;
    for (let pieces = 0; pieces < 100; pieces += 1) for (const _ of reader.push(piece)) count += 1;
    reader.end();
    expect(count).toBe(100_000);
  });
});

describe('writePcap', () => {
  it('writes what the reader reads back, with checksums that sum to FFFF', () => {
    const rng = random(41);
    const ends = { source: '127.0.0.1', sourcePort: 1, target: '192.168.255.9', targetPort: 65_535 };
    const datagrams = [0, 1, 93, 1395, 65_507].map((size, index) => ({
      ...{ seconds: 2 ** 32 - 1, nanoseconds: index, ...ends },
      payload: rng.bytes(size),
    }));
    const bytes = writePcap(datagrams);
    expect(looksLikeCapture(bytes)).toBe(true);
    const back = read(bytes).datagrams;
    expect(back.length).toBe(5);
    for (const [index, { payload, missingBytes, ...rest }] of back.entries()) {
      const { payload: written, ...expected } = datagrams[index]!;
      expect(rest).toEqual(expected);
      expect(Buffer.compare(payload, written)).toBe(0);
      expect(missingBytes).toBe(0);
    }
    // The first record: IPv4 header at 40, then 8 bytes of UDP over the pseudo-header of addresses, 17 and length 8.
    const words = (from: number, to: number): number => {
      let sum = 0;
      for (let at = from; at < to; at += 2) sum += bytes[at]! * 256 + bytes[at + 1]!;
      return sum;
    };
    expect(words(40, 60) % 0xffff).toBe(0);
    expect((words(52, 68) + 17 + 8) % 0xffff).toBe(0);
  });

  it('refuses what no IPv4 datagram can be', () => {
    const sound = {
      seconds: 0,
      nanoseconds: 0,
      source: '127.0.0.1',
      sourcePort: 1,
      target: '127.0.0.1',
      targetPort: 2,
    };
    expect(() => writePcap([{ ...sound, payload: new Uint8Array(65_508) }])).toThrow('at most 65507');
    for (const source of ['::1', '1.2.3', '1.2.3.256', 'x'])
      expect(() => writePcap([{ ...sound, source, payload: new Uint8Array(1) }])).toThrow('expected IPv4');
  });
});

/**
 * pcapng: files that Wireshark's own tools made from captures of ours, then blocks built by hand, then hostile ones.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ClaimwireError } from '../../src/errors.ts';
import { looksLikeCapture, PcapReader, readPcap, type UdpDatagram, writePcap } from '../../src/pcap.ts';
import { random } from '../support/random.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-pcapng-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PAYLOAD = [1, 2, 3, 4, 5];
const UDP = [0x9c, 0x40, 0x24, 0xb1, 0, 13, 0, 0, ...PAYLOAD];
const IP = [0x45, 0, 0, 33, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, ...UDP];
const ETHERNET = [...Array<number>(12).fill(0xaa), 8, 0, ...IP];

/** Makes blocks in one byte order. */
class Blocks {
  readonly bytes: number[] = [];
  readonly #little: boolean;

  constructor(little = true) {
    this.#little = little;
    this.block(0x0a0d0d0a, [...this.u32(0x1a2b3c4d), ...this.u16(1), ...this.u16(0), ...Array<number>(8).fill(0xff)]);
  }
  u16(value: number): number[] {
    const bytes = [(value >>> 8) & 255, value & 255];
    return this.#little ? bytes.reverse() : bytes;
  }
  u32(value: number): number[] {
    const bytes = [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    return this.#little ? bytes.reverse() : bytes;
  }
  block(type: number, body: number[]): this {
    const padded = [...body, ...Array<number>(-body.length & 3).fill(0)];
    const length = this.u32(padded.length + 12);
    this.bytes.push(...this.u32(type), ...length, ...padded, ...length);
    return this;
  }
  /** @param options code and value */
  interface(linkType: number, snap = 0, options: [number, number[]][] = []): this {
    const list = options.flatMap(([code, value]) => [
      ...this.u16(code),
      ...this.u16(value.length),
      ...value,
      ...Array<number>(-value.length & 3).fill(0),
    ]);
    return this.block(1, [...this.u16(linkType), 0, 0, ...this.u32(snap), ...list]);
  }
  enhanced(from: number, packet: number[], [high, low]: [number, number] = [0, 0], captured = packet.length): this {
    const head = [from, high, low, captured, packet.length].flatMap((value) => this.u32(value));
    return this.block(6, [...head, ...packet]);
  }
  simple(packet: number[], original = packet.length): this {
    return this.block(3, [...this.u32(original), ...packet]);
  }
}

function read(bytes: Uint8Array | number[]): { datagrams: UdpDatagram[]; notUdp: number; fragment: number } {
  const skipped = { notUdp: 0, fragment: 0 };
  return { datagrams: [...readPcap(Uint8Array.from(bytes), skipped)], ...skipped };
}
const payloads = (bytes: number[]) => read(bytes).datagrams.map(({ payload }) => [...payload]);

const hasEditcap = spawnSync('editcap', ['--version']).status === 0;

describe.skipIf(!hasEditcap)('what Wireshark writes', () => {
  it('reads a capture that editcap has made pcapng as it reads the classic one', () => {
    const classic = join(folder, 'classic.pcap');
    const next = join(folder, 'next.pcapng');
    const ends = { source: '10.0.0.1', sourcePort: 40_000, target: '10.0.0.2', targetPort: 9393 };
    const payload = (index: number) => Uint8Array.from({ length: index * 7 }, (_, at) => (at + index) & 0xff);
    const datagrams = Array.from({ length: 50 }, (_, index) => ({
      ...ends,
      payload: payload(index),
      seconds: 1_767_323_045 + index,
      nanoseconds: 123_456_789,
    }));
    writeFileSync(classic, writePcap(datagrams));
    const run = spawnSync('editcap', ['-F', 'pcapng', classic, next], { encoding: 'utf8' });
    expect(run.status, run.stderr).toBe(0);
    const made = readFileSync(next);
    expect(looksLikeCapture(made)).toBe(true);
    const plain = (each: UdpDatagram) => ({ ...each, payload: [...each.payload] });
    expect(read(made).datagrams.map(plain)).toEqual(read(readFileSync(classic)).datagrams.map(plain));
  });
});

describe('blocks', () => {
  it.each([true, false])('finds enhanced and simple packets, little-endian %s, over several interfaces', (little) => {
    const file = new Blocks(little).interface(101).interface(1).enhanced(1, ETHERNET).enhanced(0, IP).simple(IP);
    expect(payloads(file.bytes)).toEqual([PAYLOAD, PAYLOAD, PAYLOAD]);
  });

  it('skips blocks that it does not know, and packets of links that it does not know', () => {
    const file = new Blocks().interface(101).block(4, [1, 2, 3]).block(0x0bad, Array<number>(4_000).fill(7));
    file.interface(147).enhanced(1, IP).block(5, []).enhanced(0, IP);
    const { datagrams, notUdp } = read(file.bytes);
    expect([datagrams.length, notUdp]).toEqual([1, 1]);
  });

  it('begins anew with each section, also in the other byte order', () => {
    const first = new Blocks(true).interface(101).enhanced(0, IP);
    const second = new Blocks(false).interface(1).enhanced(0, ETHERNET);
    expect(payloads([...first.bytes, ...second.bytes])).toEqual([PAYLOAD, PAYLOAD]);
  });

  it('tells the time in the units of the interface', () => {
    const time = (options: [number, number[]][], units: bigint) => {
      const file = new Blocks()
        .interface(101, 0, options)
        .enhanced(0, IP, [Number(units >> 32n), Number(units & 0xffffffffn)]);
      const [{ seconds, nanoseconds } = { seconds: -1, nanoseconds: -1 }] = read(file.bytes).datagrams;
      return [seconds, nanoseconds];
    };
    expect(time([], 1_700_000_000_123_456n)).toEqual([1_700_000_000, 123_456_000]);
    expect(time([[9, [9]]], 1_700_000_000_123_456_789n)).toEqual([1_700_000_000, 123_456_789]);
    expect(time([[9, [0x80 | 10]]], (1_700_000_000n << 10n) + 512n)).toEqual([1_700_000_000, 500_000_000]);
    expect(
      time(
        [
          [9, [3]],
          [14, [10, 0, 0, 0, 0, 0, 0, 0]],
        ],
        5_001n,
      ),
    ).toEqual([15, 1_000_000]);
  });

  it('says how much of a simple packet the snap length cut off', () => {
    const file = new Blocks().interface(101, IP.length - 2).simple(IP.slice(0, -2), IP.length);
    expect(read(file.bytes).datagrams.map(({ missingBytes }) => missingBytes)).toEqual([2]);
  });
});

describe('hostile files', () => {
  const sound = () => new Blocks().interface(101).enhanced(0, IP);
  const changed = (at: number, ...bytes: number[]) => {
    const file = sound().bytes;
    file.splice(at, bytes.length, ...bytes);
    return file;
  };
  // The section takes 28 bytes, the interface 20: the packet begins at 48.
  it.each([
    [sound().bytes.slice(0, 20), 0, 'a whole block, got 20 before the end'],
    [changed(8, 1), 8, 'byte-order magic'],
    [changed(4, 4), 4, 'a block of 12 to 16777216 bytes, in fours, got 4'],
    [changed(4, 12, 0, 0, 0), 8, "the block's length 12 again"],
    [changed(52, 0xff, 0xff, 0xff, 0xff), 52, 'a block of 12 to 16777216 bytes, in fours, got 4294967295'],
    [changed(52, 67), 52, 'in fours, got 67'],
    [changed(56, 9), 48, 'a packet of one of the 1 interfaces, got number 9'],
    [changed(68, 0xff, 0xff, 0xff, 0x7f), 68, "a packet of at most the block's 36 bytes, got 2147483647"],
    [[...new Blocks().bytes, ...new Blocks().interface(101).block(6, [1, 2]).bytes.slice(28)], 52, 'at least 32 bytes'],
    [new Blocks().simple(IP).bytes, 28, 'one of the 0 interfaces'],
    [sound().bytes.slice(0, -1), 48, 'a block of 68 bytes, got 67 before the end'],
    [sound().bytes.slice(0, 51), 48, 'a whole block, got 3 before the end'],
  ])('%# names the offset of what makes no sense', (bytes, offset, message) => {
    let caught: unknown;
    try {
      read(bytes);
    } catch (error) {
      caught = error;
    }
    expect(caught, message).toBeInstanceOf(ClaimwireError);
    expect((caught as ClaimwireError).message).toContain(message);
    expect((caught as ClaimwireError).details.offset).toBe(offset);
  });

  it('keeps no more than so many interfaces', () => {
    const file = new Blocks();
    for (let index = 0; index <= 4_096; index++) file.interface(101);
    expect(() => read(file.bytes)).toThrow(/at most 4096 interfaces/);
  });

  it('throws nothing else on noise, and reads nothing outside the file', () => {
    const rng = random(77);
    for (let round = 0; round < 3_000; round++) {
      const file = new Blocks(round % 2 === 0).interface(101, 0, [[9, [rng.u32() & 0xff]]]).interface(1);
      file.enhanced(0, IP, [rng.u32(), rng.u32()]).simple(IP).enhanced(1, ETHERNET);
      const around = Uint8Array.from([...rng.bytes(16), ...file.bytes]);
      for (let flips = rng.below(8); flips > 0; flips--) around[16 + rng.below(around.length - 16)] = rng.u32() & 0xff;
      const bytes = around.subarray(16, around.length - rng.below(60));
      try {
        for (const { payload } of readPcap(bytes, { notUdp: 0, fragment: 0 }))
          expect(payload.byteOffset + payload.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ClaimwireError);
      }
    }
  });

  it('finds the same in pieces of any size, and the same fault where the file is cut', () => {
    const whole = Uint8Array.from(
      new Blocks().interface(101).enhanced(0, IP).block(99, [1, 2, 3, 4, 5]).simple(IP).bytes,
    );
    const inPieces = (bytes: Uint8Array, size: number) => {
      const reader = new PcapReader({ notUdp: 0, fragment: 0 });
      const datagrams: UdpDatagram[] = [];
      let fault = '';
      try {
        for (let at = 0; at < bytes.length; at += size) datagrams.push(...reader.push(bytes.slice(at, at + size)));
        reader.end();
      } catch (error) {
        fault = (error as Error).message;
      }
      return { datagrams, fault };
    };
    for (let length = 0; length <= whole.length; length += 9) {
      const bytes = whole.slice(0, length);
      const expected = inPieces(bytes, length + 1);
      for (const size of [1, 7, 28, 100]) expect(inPieces(bytes, size)).toEqual(expected);
    }
    expect(inPieces(whole, 5)).toMatchObject({ fault: '', datagrams: [{}, {}] });
  });
});

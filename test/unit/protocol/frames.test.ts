/**
 * The datagram walk and the TCP stream parser: every cut, every chunking, and plain noise.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import {
  encodeStreamHeader,
  STREAM_LENGTH_OVER_MAX,
  STREAM_LENGTH_ZERO,
  STREAM_SOUND,
  StreamParser,
} from '../../../protocol/stream.ts';
import { random } from '../../support/random.ts';

const SIZES: Record<number, number> = { 1: 93, 2: 32 };

/** What a walk should do, written without the code under test. */
function slowWalk(bytes: Uint8Array): { frames: string[]; end: number } {
  const frames: string[] = [];
  if (bytes.length === 0) return { frames, end: WALK_EMPTY };
  for (let offset = 0; offset < bytes.length; ) {
    const size = SIZES[bytes[offset]!];
    if (size === undefined) return { frames, end: WALK_UNKNOWN_TYPE };
    if (bytes.length - offset < size) return { frames, end: WALK_CUT_FRAME };
    frames.push(`${bytes[offset]}@${offset}`);
    offset += size;
  }
  return { frames, end: WALK_WHOLE };
}

/** Walks `bytes` as they lie inside a larger buffer full of type bytes, so that reading past the end would show. */
function walk(bytes: Uint8Array): { frames: string[]; end: number } {
  const start = 7;
  const around = new Uint8Array(bytes.length + 200).fill(1);
  around.set(bytes, start);
  const frames: string[] = [];
  const end = walkFrames(around, start, start + bytes.length, {
    claim: (_, offset) => void frames.push(`1@${offset - start}`),
    ack: (_, offset) => void frames.push(`2@${offset - start}`),
  });
  return { frames, end };
}

describe('walk', () => {
  it('hands out the whole frames before every cut of a mixed datagram, and says how it ended', () => {
    const rng = random(5);
    const types = [1, 2, 2, 1, 1, 2];
    const datagram = Uint8Array.from(types.flatMap((type) => [type, ...rng.bytes(SIZES[type]! - 1)]));
    const ends = new Set<number>();
    for (let cut = 0; cut <= datagram.length; cut++) {
      const part = datagram.subarray(0, cut);
      expect(walk(part)).toEqual(slowWalk(part));
      ends.add(walk(part).end);
    }
    expect([...ends].sort()).toEqual([WALK_WHOLE, WALK_EMPTY, WALK_CUT_FRAME]);
  });

  it('stops at every unknown type and keeps what lay before', () => {
    for (let type = 0; type < 256; type++) {
      const datagram = new Uint8Array(93 + 93);
      datagram[0] = 1;
      datagram[93] = type;
      const { frames, end } = walk(datagram);
      // After an ack (32 bytes) a zero follows, which is no type either.
      expect(end).toBe(type === 1 ? WALK_WHOLE : WALK_UNKNOWN_TYPE);
      expect(frames).toEqual(type === 1 ? ['1@0', '1@93'] : type === 2 ? ['1@0', '2@93'] : ['1@0']);
    }
  });

  it('hands out frames of Merkle batches to a sink that takes them; to others the type is unknown', () => {
    const claim = Uint8Array.of(1, ...new Uint8Array(92));
    const { vectors } = JSON.parse(
      readFileSync(new URL('../../../protocol/vectors/merkle.json', import.meta.url), 'utf8'),
    );
    const frame = Uint8Array.from(Buffer.from(vectors[3].frames[0].wire, 'hex'));
    const datagram = Uint8Array.of(...claim, ...frame, ...claim, ...frame);
    const ends = new Map<number, number>();
    for (let cut = 1; cut <= datagram.length; cut++) {
      const seen: string[] = [];
      const end = walkFrames(datagram, 0, cut, {
        claim: (_, offset) => void seen.push(`1@${offset}`),
        ack: () => void seen.push('2'),
        merkle: (_, offset, size) => void seen.push(`3@${offset}+${size}`),
      });
      const whole = [
        '1@0',
        `3@93+${frame.length}`,
        `1@${93 + frame.length}`,
        `3@${186 + frame.length}+${frame.length}`,
      ];
      const edges = [93, 93 + frame.length, 186 + frame.length, datagram.length];
      const count = edges.filter((edge) => edge <= cut).length;
      expect(seen).toEqual(whole.slice(0, count));
      expect(end).toBe(edges.includes(cut) ? WALK_WHOLE : WALK_CUT_FRAME);
      ends.set(end, cut);
    }
    expect(ends.size).toBe(2);
    expect(walk(datagram)).toEqual({ frames: ['1@0'], end: WALK_UNKNOWN_TYPE });
    const unsound = datagram.slice();
    unsound[94] = 1;
    const sink = { claim: () => {}, ack: () => {}, merkle: () => expect.unreachable() };
    expect(walkFrames(unsound, 0, unsound.length, sink)).toBe(WALK_UNKNOWN_TYPE);
  });

  it('agrees with the slow walk on noise, mostly made of type bytes', () => {
    const rng = random(6);
    for (let round = 0; round < 5_000; round++) {
      const noise = rng.bytes(rng.below(400));
      for (let index = 0; index < noise.length; index++) if (rng.below(3) > 0) noise[index] = 1 + rng.below(2);
      expect(walk(noise)).toEqual(slowWalk(noise));
    }
  });
});

/** Messages of a stream, framed back to back. */
function framed(payloads: readonly Uint8Array[]): Uint8Array {
  const stream = new Uint8Array(payloads.reduce((sum, payload) => sum + 4 + payload.length, 0));
  let offset = 0;
  for (const payload of payloads) {
    encodeStreamHeader(new DataView(stream.buffer), offset, payload.length);
    stream.set(payload, offset + 4);
    offset += 4 + payload.length;
  }
  return stream;
}

/** A sink that copies what it is handed, and counts what lay in the pushed chunk itself. */
class Collector {
  readonly payloads: Uint8Array[] = [];
  inPlace = 0;
  chunk: Uint8Array | undefined;

  payload(bytes: Uint8Array, start: number, end: number): void {
    if (bytes === this.chunk) this.inPlace += 1;
    this.payloads.push(bytes.slice(start, end));
  }

  push(parser: StreamParser, chunk: Uint8Array): number {
    this.chunk = chunk;
    return parser.push(chunk, this);
  }
}

describe('stream', () => {
  const rng = random(7);

  it('gives the same messages for every way of cutting the stream in two, and for chunks of every size', () => {
    const payloads = [1, 93, 2, 32, 1].map((size) => rng.bytes(size));
    const stream = framed(payloads);
    for (let cut = 0; cut <= stream.length; cut++) {
      const [parser, collector] = [new StreamParser(), new Collector()];
      for (const part of [stream.slice(0, cut), stream.slice(cut)])
        expect(collector.push(parser, part)).toBe(STREAM_SOUND);
      expect(collector.payloads).toEqual(payloads);
      expect(parser.atBoundary).toBe(true);
    }
    for (let size = 1; size <= stream.length; size++) {
      const [parser, collector] = [new StreamParser(), new Collector()];
      for (let offset = 0; offset < stream.length; offset += size)
        collector.push(parser, stream.slice(offset, offset + size));
      expect(collector.payloads).toEqual(payloads);
    }
  });

  it('gives the same messages under seeded random chunking of large ones, the longest among them', () => {
    const payloads = [65_536, 1, 65_535, 4_000, 65_536].map((size) => rng.bytes(size));
    const stream = framed(payloads);
    for (let round = 0; round < 20; round++) {
      const [parser, collector] = [new StreamParser(), new Collector()];
      for (let offset = 0; offset < stream.length; ) {
        const end = offset + 1 + rng.below(round % 2 === 0 ? 100_000 : 5_000);
        expect(collector.push(parser, stream.slice(offset, end))).toBe(STREAM_SOUND);
        offset = end;
      }
      // Compared as buffers: a deep comparison of 65,536 elements would take longer than the parser.
      const equal = payloads.map((payload, index) => Buffer.compare(payload, collector.payloads[index]!) === 0);
      expect(equal).toEqual([true, true, true, true, true]);
      expect(collector.payloads.length).toBe(payloads.length);
    }
  });

  it('hands a payload out where it lies when one chunk holds it whole', () => {
    const [parser, collector] = [new StreamParser(), new Collector()];
    const stream = framed([rng.bytes(93), rng.bytes(93), rng.bytes(93)]);
    collector.push(parser, stream);
    expect(collector.inPlace).toBe(3);
    // A header alone does not spoil it: the payload still comes in one piece.
    collector.push(parser, stream.subarray(0, 4));
    collector.push(parser, stream.subarray(4, 97));
    expect(collector.inPlace).toBe(4);
    // The second of these spans two chunks, the third lies in one again.
    collector.push(parser, stream.subarray(0, 150));
    collector.push(parser, stream.subarray(150));
    expect(collector.inPlace).toBe(6);
    expect(collector.payloads.length).toBe(7);
  });

  it('says when the stream stands inside a message', () => {
    const parser = new StreamParser();
    const sink = new Collector();
    const stream = framed([rng.bytes(2)]);
    const seen = [...stream].map((byte) => {
      sink.push(parser, Uint8Array.of(byte));
      return parser.atBoundary;
    });
    expect(seen).toEqual([false, false, false, false, false, true]);
  });

  it('faults on length 0 and over 65,536, keeps what came before, and stays faulted', () => {
    const lengths: [number[], number][] = [
      [[0, 0, 0, 0], STREAM_LENGTH_ZERO],
      [[0, 1, 0, 1], STREAM_LENGTH_OVER_MAX],
      [[0x80, 0, 0, 0], STREAM_LENGTH_OVER_MAX],
      [[0xff, 0xff, 0xff, 0xff], STREAM_LENGTH_OVER_MAX],
    ];
    for (const [header, fault] of lengths)
      for (const size of [1, 3, 1000]) {
        const [parser, collector] = [new StreamParser(), new Collector()];
        const stream = Uint8Array.from([...framed([rng.bytes(93)]), ...header, ...framed([rng.bytes(93)])]);
        let last: number = STREAM_SOUND;
        for (let offset = 0; offset < stream.length; offset += size)
          last = collector.push(parser, stream.slice(offset, offset + size));
        expect(last).toBe(fault);
        expect(collector.payloads.length).toBe(1);
        expect(collector.push(parser, framed([rng.bytes(1)]))).toBe(fault);
        expect(collector.payloads.length).toBe(1);
      }
  });

  it('takes noise without throwing, in bounded memory', () => {
    for (let round = 0; round < 2_000; round++) {
      const [parser, collector] = [new StreamParser(), new Collector()];
      const noise = rng.bytes(rng.below(300));
      if (rng.below(2) === 0) noise.fill(0, 0, Math.min(2, noise.length));
      for (let offset = 0; offset < noise.length; offset += 50)
        collector.push(parser, noise.subarray(offset, offset + 50));
      for (const payload of collector.payloads) expect(payload.length).toBeGreaterThan(0);
    }
  });

  it('writes no header of a length the parser refuses', () => {
    const view = new DataView(new ArrayBuffer(4));
    for (const length of [0, -1, 65_537, 1.5, Number.NaN])
      expect(() => encodeStreamHeader(view, 0, length)).toThrow(`expected 1..65536, got ${length}`);
    encodeStreamHeader(view, 0, 65_536);
    expect(view.getUint32(0)).toBe(65_536);
  });
});

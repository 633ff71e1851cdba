/**
 * A stream over TCP, cut into chunks anyhow: the messages that come out are those of a plain reading of all its bytes at once, with the
 * same end; a reader that stops and goes on reads the same; and a payload divided by framesEnd has the frames of the whole.
 */
import assert from 'node:assert/strict';
import { claimBytes } from '../../../protocol/claim.ts';
import { walkFrames } from '../../../protocol/frames.ts';
import { STREAM_HEADER_BYTES, STREAM_PAYLOAD_BYTES_MAX } from '../../../protocol/layout.ts';
import {
  STREAM_LENGTH_OVER_MAX,
  STREAM_LENGTH_ZERO,
  STREAM_SOUND,
  type StreamFault,
  StreamParser,
} from '../../../protocol/stream.ts';
import { framesEnd } from '../../../src/transport/frames-end.ts';
import type { Target } from '../target.ts';

/** The first bytes say how the rest is cut: lengths of chunks, in turns. */
const CUTS = 4;

export const target: Target = {
  bytesMax: 2_000,
  seeds: () => {
    const claim = claimBytes({ channelId: 7n, sequence: 1, amount: 5n, timestamp: 0, signature: new Uint8Array(64) });
    const ack = new Uint8Array(32);
    ack[0] = 2;
    return [
      streamOf([claim]),
      streamOf([new Uint8Array([...claim, ...claim, ...ack, ...claim])]),
      streamOf([Uint8Array.of(0x80, 0x80), claim.subarray(0, 40), Uint8Array.of(9)]),
      new Uint8Array([1, 2, 3, 255, 0, 0, 0, 0]),
      new Uint8Array([9, 9, 9, 9, 255, 255, 255, 255]),
    ];
  },
  run(bytes) {
    const stream = bytes.subarray(CUTS);
    const expected = plainly(stream);
    for (const isStopping of [false, true]) assert.deepEqual(parsed(bytes, isStopping), expected);
    for (const payload of expected.payloads) divided(payload, 1 + (bytes[0] ?? 0));
  },
};

function streamOf(payloads: readonly Uint8Array[]): Uint8Array {
  const messages = payloads.map((payload) => {
    const header = Buffer.alloc(STREAM_HEADER_BYTES);
    header.writeUInt32BE(payload.length);
    return Buffer.concat([header, payload]);
  });
  return new Uint8Array(Buffer.concat([Uint8Array.of(50, 3, 200, 7), ...messages]));
}

interface Read {
  payloads: Uint8Array[];
  fault: StreamFault;
  atBoundary: boolean;
}

/** The specification. */
function plainly(stream: Uint8Array): Read {
  const payloads: Uint8Array[] = [];
  let at = 0;
  while (stream.length - at >= STREAM_HEADER_BYTES) {
    const length = new DataView(stream.buffer, stream.byteOffset + at).getUint32(0);
    const fault =
      length === 0 ? STREAM_LENGTH_ZERO : length > STREAM_PAYLOAD_BYTES_MAX ? STREAM_LENGTH_OVER_MAX : STREAM_SOUND;
    if (fault !== STREAM_SOUND) return { payloads, fault, atBoundary: false };
    if (at + STREAM_HEADER_BYTES + length > stream.length) break;
    payloads.push(stream.slice(at + STREAM_HEADER_BYTES, at + STREAM_HEADER_BYTES + length));
    at += STREAM_HEADER_BYTES + length;
  }
  return { payloads, fault: STREAM_SOUND, atBoundary: at === stream.length };
}

function parsed(bytes: Uint8Array, isStopping: boolean): Read {
  const parser = new StreamParser();
  const payloads: Uint8Array[] = [];
  const sink = {
    payload: (chunk: Uint8Array, start: number, end: number) => {
      payloads.push(chunk.slice(start, end));
      if (isStopping) parser.stop();
    },
  };
  let fault: StreamFault = STREAM_SOUND;
  for (let at = CUTS, cut = 0; at < bytes.length; cut++) {
    const length = 1 + bytes[cut % CUTS]!;
    const chunk = bytes.slice(at, at + length);
    let from = 0;
    do {
      fault = parser.push(chunk, sink, from);
      from = parser.consumed;
    } while (from < chunk.length && fault === STREAM_SOUND);
    at += length;
  }
  return { payloads, fault, atBoundary: parser.atBoundary };
}

/** The frames of a payload that is handed in at most `claimsMax` claims at a time are those of the payload. */
function divided(payload: Uint8Array, claimsMax: number): void {
  const whole = framesOf(payload, 0, payload.length);
  const parts: string[] = [];
  for (let at = 0; at < payload.length; ) {
    const end = framesEnd(payload, at, payload.length, claimsMax);
    assert(end > at, 'it goes on');
    const part = framesOf(payload, at, Math.min(end, payload.length));
    assert(part.filter((frame) => frame.startsWith('claim')).length <= claimsMax, 'no more claims than asked for');
    parts.push(...part);
    at = end;
  }
  assert.deepEqual(parts, whole);
}

function framesOf(bytes: Uint8Array, start: number, end: number): string[] {
  const frames: string[] = [];
  walkFrames(bytes, start, end, {
    claim: (_bytes, offset) => frames.push(`claim ${offset}`),
    ack: (_bytes, offset) => frames.push(`ack ${offset}`),
  });
  return frames;
}

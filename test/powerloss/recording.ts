/**
 * The log that recorder.c writes, record by record, and what was answered in it.
 *
 * Read whole into memory: a recording of some seconds is some tens of megabytes. Payloads are views of it.
 */
import { readFileSync } from 'node:fs';
import { assert } from '../../src/errors.ts';

/** The same numbers as in recorder.c. */
export const KIND = {
  start: 1,
  open: 2,
  close: 3,
  dup: 4,
  write: 5,
  zeros: 6,
  truncate: 7,
  syncBegin: 8,
  syncEnd: 9,
  rename: 10,
  link: 11,
  unlink: 12,
  mkdir: 13,
  rmdir: 14,
  sent: 15,
  unknown: 16,
  bind: 17,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

export const FLAG = { dsync: 1, dataOnly: 2, stream: 4, created: 8 } as const;

export interface LogRecord {
  kind: Kind;
  flags: number;
  /** Ties the end of a sync to its beginning; 0 elsewhere. */
  call: number;
  fd: number;
  offset: number;
  length: number;
  payload: Buffer;
}

/** u32 bytes ‖ u16 kind ‖ u16 flags ‖ u32 call ‖ i32 fd ‖ i64 offset ‖ i64 length, little-endian, then the payload. */
const HEADER_BYTES = 32;

/** Throws Error where the recorder met a call it cannot follow: such a recording proves nothing. */
export function readRecording(file: string): LogRecord[] {
  const log = readFileSync(file);
  const records: LogRecord[] = [];
  // A process that was killed may leave its last record cut off: what it says had not happened, or has its sync to come.
  for (let at = 0; at + HEADER_BYTES <= log.length; ) {
    const bytes = log.readUInt32LE(at);
    assert(bytes >= HEADER_BYTES, 'a record has a header');
    if (at + bytes > log.length) break;
    const record: LogRecord = {
      kind: log.readUInt16LE(at + 4) as Kind,
      flags: log.readUInt16LE(at + 6),
      call: log.readUInt32LE(at + 8),
      fd: log.readInt32LE(at + 12),
      offset: Number(log.readBigInt64LE(at + 16)),
      length: Number(log.readBigInt64LE(at + 24)),
      payload: log.subarray(at + HEADER_BYTES, at + bytes),
    };
    if (record.kind === KIND.unknown)
      throw new Error(`recording: expected calls the recorder can follow, got ${record.payload}; teach recorder.c`);
    records.push(record);
    at += bytes;
  }
  return records;
}

const ACK_BYTES = 32;
const ACK_TYPE = 2;
/** Statuses below it say that the claim is durable. */
const REFUSALS_FROM = 16;
const STREAM_HEADER_BYTES = 4;
const HTTP_SUCCESS = /^HTTP\/1\.1 2/;

/** What the outside was told up to some point of a recording. */
export class Answers {
  /** The highest amount said to be durable, by channel. */
  readonly acknowledged = new Map<bigint, bigint>();
  acks = 0;
  /** HTTP answers that said yes. */
  granted = 0;

  take({ flags, payload }: LogRecord): void {
    if ((flags & FLAG.stream) === 0) this.#takeFrames(payload);
    else if (payload[0] === 0) this.#takeStream(payload);
    else if (HTTP_SUCCESS.test(payload.toString('latin1', 0, 16))) this.granted++;
  }

  #takeStream(payload: Buffer): void {
    for (let at = 0; at + STREAM_HEADER_BYTES < payload.length; ) {
      const end = at + STREAM_HEADER_BYTES + payload.readUInt32BE(at);
      this.#takeFrames(payload.subarray(at + STREAM_HEADER_BYTES, end));
      at = end;
    }
  }

  #takeFrames(frames: Buffer): void {
    for (let at = 0; at + ACK_BYTES <= frames.length && frames[at] === ACK_TYPE; at += ACK_BYTES) {
      if (frames[at + 1]! >= REFUSALS_FROM) continue;
      const channelId = frames.readBigUInt64BE(at + 8);
      const amount = frames.readBigUInt64BE(at + 16);
      this.acks++;
      if (amount > (this.acknowledged.get(channelId) ?? 0n)) this.acknowledged.set(channelId, amount);
    }
  }
}

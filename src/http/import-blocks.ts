/**
 * The requests of an import: an NDJSON file, or openings, in blocks of whole lines. Main thread of a tool's process.
 *
 * One block is in memory at a time, and the next is read or made when the node has answered to the last.
 */
import { createReadStream } from 'node:fs';
import { ClaimwireError } from '../errors.ts';

/** Size of a block: each answer is a report of progress, and none takes minutes. */
const IMPORT_BYTES = 16 << 20;
const READ_BYTES = 1 << 20;
/** Openings that become text at once, some 250 bytes each. */
const OPENINGS_AT_ONCE = 1_000;
export const NEWLINE = 0x0a;

/** @param source the path of an NDJSON file, or what is to become its lines */
export async function* blocksOf(source: string | Iterable<object> | AsyncIterable<object>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const part of typeof source === 'string' ? partsOfFile(source) : partsOfOpenings(source)) {
    const end = part.lastIndexOf(NEWLINE) + 1;
    if (end === 0 && length > IMPORT_BYTES)
      throw new ClaimwireError('INPUT_INVALID', `${source}: expected JSON objects, one a line, got a line over 16 MiB`);
    if (length + end < IMPORT_BYTES || end === 0) {
      parts.push(part);
      length += part.length;
      continue;
    }
    yield Buffer.concat([...parts, part.subarray(0, end)]);
    parts = [part.subarray(end)];
    length = part.length - end;
  }
  if (length > 0) yield Buffer.concat(parts);
}

async function* partsOfFile(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClaimwireError('INPUT_INVALID', `${file}: expected a readable NDJSON file, got ${code ?? message}`);
  }
}

async function* partsOfOpenings(openings: Iterable<object> | AsyncIterable<object>): AsyncGenerator<Buffer> {
  let lines: string[] = [];
  for await (const opening of openings) {
    if (lines.push(`${JSON.stringify(opening)}\n`) < OPENINGS_AT_ONCE) continue;
    yield Buffer.from(lines.join(''));
    lines = [];
  }
  if (lines.length > 0) yield Buffer.from(lines.join(''));
}

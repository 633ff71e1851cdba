/**
 * NDJSON lines to openings, as packed registry rows: the pure part of a bulk import.
 *
 * Runs in an import worker (or in place, in tests). Rows are the registry's own 176 bytes, because they are packed,
 * transferable and already have a codec; the result's buffers are fresh and belong to the caller.
 */
import { ClaimwireError } from '../errors.ts';
import { KeyCheck, parseOpening } from './parse.ts';
import { type Channel, encodeRow, ROW_BYTES } from './row.ts';

export interface ParsedLines {
  /** The sound lines' channels, in order, ROW_BYTES each. */
  rows: Uint8Array<ArrayBuffer>;
  /** For each row its 0-based line within the block. */
  lines: Uint32Array<ArrayBuffer>;
  refused: { line: number; code: string; message: string }[];
}

/** One per thread: a key is checked once in each. */
const keys = new KeyCheck();
const NO_SIGNATURE = new Uint8Array(64);

/** Parses a block of whole lines. Empty lines are skipped. Never throws for what the lines hold. */
export function parseLines(block: Uint8Array): ParsedLines {
  const texts = Buffer.from(block.buffer, block.byteOffset, block.length).toString('utf8').split('\n');
  const rows = new Uint8Array(texts.length * ROW_BYTES);
  const lines = new Uint32Array(texts.length);
  const refused: ParsedLines['refused'] = [];
  let count = 0;
  for (let line = 0; line < texts.length; line++) {
    const text = texts[line]!.trim();
    if (text === '') continue;
    try {
      encodeRow(parseLine(text), rows, count * ROW_BYTES);
      lines[count++] = line;
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      refused.push({ line, code: error.code, message: error.message });
    }
  }
  return { rows: rows.slice(0, count * ROW_BYTES), lines: lines.slice(0, count), refused };
}

function parseLine(text: string): Channel {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const shown = text.length <= 60 ? text : `${text.slice(0, 60)}…`;
    throw new ClaimwireError('INPUT_INVALID', `line: expected a JSON object, got ${JSON.stringify(shown)}`);
  }
  const opening = parseOpening(value, keys);
  return { ...opening, committed: 0n, sequence: 0, timestampBits: 0n, signature: NO_SIGNATURE, state: 'open' };
}

/**
 * NDJSON lines to openings, as packed registry rows: the pure part of a bulk import.
 *
 * Runs in an import worker (or in place, in tests). Rows are the registry's own 176 bytes, because they are packed,
 * transferable and already have a codec; the result's buffers are fresh and belong to the caller.
 */

import { parseJson } from '../channel/json.ts';
import { KeyCheck, parseOpening } from '../channel/parse.ts';
import { type Channel, encodeRow, ROW_BYTES } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';

export interface ParsedLines {
  /** The sound lines' channels, in order, ROW_BYTES each. */
  rows: Uint8Array<ArrayBuffer>;
  /** For each row its 0-based line within the block. */
  lines: Uint32Array<ArrayBuffer>;
  /** At most REFUSED_MAX: after so many no further line of the block is looked at. */
  refused: { line: number; code: string; message: string }[];
}

/** An import stops after so many refused lines: it is the wrong file, and each costs as much as ten sound ones. */
export const REFUSED_MAX = 1_000;
/** The shortest opening: its two hex strings and the names of its three fields. Rows are bounded by the block's bytes. */
const OPENING_BYTES_MIN = '{"ledgerChannelId":"","publicKey":"","capacity":"1"}'.length + 64 + 66;

/** One per thread: a key is checked once in each. */
const keys = new KeyCheck();
const NO_SIGNATURE = new Uint8Array(64);

/** Parses a block of whole lines. Empty lines are skipped. Never throws for what the lines hold. */
export function parseLines(block: Uint8Array): ParsedLines {
  const all = Buffer.from(block.buffer, block.byteOffset, block.length).toString('utf8');
  const rowsMax = Math.floor(block.length / OPENING_BYTES_MIN);
  const rows = new Uint8Array(rowsMax * ROW_BYTES);
  const lines = new Uint32Array(rowsMax);
  const refused: ParsedLines['refused'] = [];
  let count = 0;
  for (let line = 0, start = 0; start < all.length && refused.length < REFUSED_MAX; line++) {
    const newline = all.indexOf('\n', start);
    const end = newline < 0 ? all.length : newline;
    const text = all.slice(start, end).trim();
    start = end + 1;
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
  const opening = parseOpening(parseJson(text, 'line'), keys);
  return { ...opening, committed: 0n, sequence: 0, timestampBits: 0n, signature: NO_SIGNATURE, state: 'open' };
}

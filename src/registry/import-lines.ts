/**
 * Parses NDJSON lines of channel openings into packed registry rows: the pure part of a bulk import.
 *
 * Runs in an import worker. Rows are the registry's own, since they are packed, transferable and already have a codec. The
 * result's buffers are new and belong to the caller.
 */
import { parseJson } from '../channel/json.ts';
import { KeyCheck, parseOpening } from '../channel/parse.ts';
import { encodeRow, ROW_BYTES, UNUSED } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';

export interface ParsedLines {
  /** The sound lines' channels, in order, ROW_BYTES each. */
  rows: Uint8Array<ArrayBuffer>;
  /** For each row its 0-based line within the block. */
  lines: Uint32Array<ArrayBuffer>;
  /** At most REFUSED_MAX; the rest of the block is not parsed then. */
  refused: { line: number; code: string; message: string }[];
}

/** An import stops after so many refused lines: it is the wrong file, and a refusal costs as much as ten sound lines. */
export const REFUSED_MAX = 1_000;
/** Length of the shortest opening, its two hex strings included. It bounds the rows of a block. */
const OPENING_BYTES_MIN = '{"ledgerChannelId":"","publicKey":"","capacity":"1"}'.length + 64 + 66;

/** One per thread, so each thread checks a key once. */
const keys = new KeyCheck();

/** Parses a block of whole lines, and skips empty ones. Faulty lines are reported and never throw. */
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
      encodeRow({ ...parseOpening(parseJson(text, 'line'), keys), ...UNUSED }, rows, count * ROW_BYTES);
      lines[count++] = line;
    } catch (error) {
      if (!(error instanceof ClaimwireError)) throw error;
      refused.push({ line, code: error.code, message: error.message });
    }
  }
  return { rows: rows.slice(0, count * ROW_BYTES), lines: lines.slice(0, count), refused };
}

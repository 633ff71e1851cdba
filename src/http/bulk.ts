/**
 * Bulk opening: an NDJSON body of any length, in bounded memory.
 *
 * Main thread. The body is cut into blocks of whole lines; workers check them, several at once; the node opens them in
 * the order of the lines. The request is read no faster than that goes, so a fast sender waits.
 */

import type { ParsedLines } from '../channel/import-lines.ts';
import type { LineParser } from '../channel/import-pool.ts';
import type { NodeControl, OpeningResult } from '../control.ts';

/** Some 17,000 lines: large commits cost less per row, and one takes the event loop for some tens of milliseconds. */
const BLOCK_BYTES = 4 << 20;
/** Blocks read but not opened yet: memory is bounded by this many blocks and their rows. */
const BLOCKS_AHEAD = 3;
/** An opening has at most about 330 bytes. */
export const LINE_BYTES_MAX = 4096;
export const REFUSED_LISTED_MAX = 100;
const NEWLINE = 0x0a;

/** Lines count from 1. At most REFUSED_LISTED_MAX refusals are listed, all are counted. */
export interface BulkResult {
  opened: number;
  unchanged: number;
  refusedCount: number;
  refused: { line: number; code: string; message: string }[];
}

interface Block {
  bytes: Uint8Array<ArrayBuffer>;
  /** 0-based number of the block's first line. */
  firstLine: number;
}

export function emptyResult(): BulkResult {
  return { opened: 0, unchanged: 0, refusedCount: 0, refused: [] };
}

/** Adds an opening's outcome; `lineOf` turns an index among the openings into a line. */
export function addResult(total: BulkResult, result: OpeningResult, lineOf: (index: number) => number): void {
  total.opened += result.opened;
  total.unchanged += result.unchanged;
  for (const { index, code, message } of result.refused) addRefused(total, lineOf(index), code, message);
}

export function addRefused(total: BulkResult, line: number, code: string, message: string): void {
  total.refusedCount++;
  if (total.refused.length < REFUSED_LISTED_MAX) total.refused.push({ line, code, message });
}

/**
 * Opens the channels of an NDJSON stream. `total` is up to date at any time, also after a rejection (of the stream or
 * of the node): what it counts as opened is opened.
 */
export async function openLines(
  source: AsyncIterable<Buffer>,
  control: NodeControl,
  parser: LineParser,
  total: BulkResult,
): Promise<void> {
  const ahead: { block: Block; parsed: Promise<ParsedLines> }[] = [];
  const openNext = async () => {
    const { block, parsed } = ahead.shift()!;
    await openBlock(await parsed, block.firstLine, control, total);
  };
  try {
    for await (const block of blocksOf(source, total)) {
      const parsed = parser.parse(block.bytes);
      // Awaited later, in order; until then a rejection is not an unhandled one.
      parsed.catch(() => {});
      ahead.push({ block, parsed });
      if (ahead.length > BLOCKS_AHEAD) await openNext();
    }
    while (ahead.length > 0) await openNext();
  } finally {
    total.refused.sort((a, b) => a.line - b.line);
  }
}

async function openBlock(
  parsed: ParsedLines,
  firstLine: number,
  control: NodeControl,
  total: BulkResult,
): Promise<void> {
  for (const { line, code, message } of parsed.refused) addRefused(total, firstLine + line + 1, code, message);
  if (parsed.rows.length === 0) return;
  const result = await control.openRows(parsed.rows);
  addResult(total, result, (index) => firstLine + parsed.lines[index]! + 1);
}

/** Cuts the stream into blocks that end at a line's end; a line over LINE_BYTES_MAX is refused and left out. */
async function* blocksOf(source: AsyncIterable<Buffer>, total: BulkResult): AsyncGenerator<Block> {
  let block = new Uint8Array(BLOCK_BYTES + LINE_BYTES_MAX);
  let used = 0;
  let firstLine = 0;
  let line = 0;
  // Bytes of the line being read that are in the block; -1 while the rest of a too long line is thrown away.
  let lineBytes = 0;
  for await (const part of source) {
    let start = 0;
    while (start < part.length) {
      const newline = part.indexOf(NEWLINE, start);
      const end = newline < 0 ? part.length : newline + 1;
      if (lineBytes >= 0 && lineBytes + end - start <= LINE_BYTES_MAX) {
        block.set(part.subarray(start, end), used);
        used += end - start;
        lineBytes += end - start;
      } else if (lineBytes >= 0) {
        addRefused(total, line + 1, 'INPUT_INVALID', `line: expected at most ${LINE_BYTES_MAX} bytes, got more`);
        // Leaves an empty line behind, so that the lines after it keep their numbers.
        used -= lineBytes;
        lineBytes = -1;
      }
      start = end;
      if (newline < 0) continue;
      if (lineBytes < 0) block[used++] = NEWLINE;
      line++;
      lineBytes = 0;
      if (used < BLOCK_BYTES) continue;
      yield { bytes: block.slice(0, used), firstLine };
      block = new Uint8Array(BLOCK_BYTES + LINE_BYTES_MAX);
      used = 0;
      firstLine = line;
    }
  }
  if (used > 0) yield { bytes: block.slice(0, used), firstLine };
}

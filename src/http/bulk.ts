/**
 * Bulk opening: an NDJSON body of any length, in bounded memory.
 *
 * Main thread. The body is cut into blocks of whole lines. Workers check several blocks at once, and the node opens them
 * in the order of the lines. The request is read no faster, so a fast sender waits.
 */
import type { OpeningResult } from '../channel/changes.ts';
import { ROW_BYTES } from '../channel/row.ts';
import type { NodeControl } from '../control/node-control.ts';
import { type ParsedLines, REFUSED_MAX } from '../registry/import-lines.ts';
import type { LineParser } from '../registry/import-pool.ts';

/**
 * Some 4,300 lines. Larger commits cost less per row, but one of this size keeps the event loop busy for some ten
 * milliseconds already, and other imports wait for it.
 */
const BLOCK_BYTES = 1 << 20;
/** Blocks read but not opened yet. They and their rows are the memory that an import needs. */
const BLOCKS_AHEAD = 3;
/** An opening has at most about 330 bytes. */
export const LINE_BYTES_MAX = 4096;
export const REFUSED_LISTED_MAX = 100;
const NEWLINE = 0x0a;

/** Lines count from 1. All refusals are counted, and at most REFUSED_LISTED_MAX are listed. */
export interface BulkResult {
  opened: number;
  unchanged: number;
  refusedCount: number;
  refused: { line: number; code: string; message: string }[];
  /** The last line that was read, where the import stopped at REFUSED_MAX refusals; null where all lines were read. */
  stoppedAt: number | null;
}

interface Block {
  bytes: Uint8Array<ArrayBuffer>;
  /** 0-based number of the block's first line. */
  firstLine: number;
  lineCount: number;
  /** Lines over LINE_BYTES_MAX, counted from the block's first; they are empty in `bytes`. At most REFUSED_MAX. */
  tooLong: number[];
}

export function emptyResult(): BulkResult {
  return { opened: 0, unchanged: 0, refusedCount: 0, refused: [], stoppedAt: null };
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
 * Opens the channels of an NDJSON stream, until REFUSED_MAX lines were refused. `total` is always up to date, also after
 * an error of the stream or the node: the channels that it counts as opened are open.
 */
export async function openLines(
  source: AsyncIterable<Buffer>,
  control: NodeControl,
  parser: LineParser,
  total: BulkResult,
): Promise<void> {
  const importer = {};
  const ahead: { block: Block; parsed: Promise<ParsedLines> }[] = [];
  const openNext = async () => {
    const { block, parsed } = ahead.shift()!;
    await openBlock(await parsed, block, control, total);
  };
  try {
    for await (const block of blocksOf(source)) {
      const parsed = parser.parse(block.bytes, importer);
      // It is awaited later; without this a rejection before then would end the process.
      parsed.catch(() => {});
      ahead.push({ block, parsed });
      if (ahead.length > BLOCKS_AHEAD) await openNext();
      if (total.stoppedAt !== null) break;
    }
    while (ahead.length > 0 && total.stoppedAt === null) await openNext();
  } finally {
    total.refused.sort((a, b) => a.line - b.line);
  }
}

async function openBlock(parsed: ParsedLines, block: Block, control: NodeControl, total: BulkResult): Promise<void> {
  const { firstLine } = block;
  let { rows } = parsed;
  const message = `line: expected at most ${LINE_BYTES_MAX} bytes, got more`;
  const refused = [...parsed.refused, ...block.tooLong.map((line) => ({ line, code: 'INPUT_INVALID', message }))]
    .sort((a, b) => a.line - b.line)
    .slice(0, REFUSED_MAX - total.refusedCount);
  for (const { line, code, message } of refused) addRefused(total, firstLine + line + 1, code, message);
  if (total.refusedCount >= REFUSED_MAX) {
    const last = refused.at(-1)?.line ?? -1;
    total.stoppedAt = firstLine + last + 1;
    const before = parsed.lines.findIndex((line) => line > last);
    if (before >= 0) rows = rows.subarray(0, before * ROW_BYTES);
  }
  if (rows.length === 0) return;
  const result = await control.openRows(rows);
  addResult(total, result, (index) => firstLine + parsed.lines[index]! + 1);
  if (total.refusedCount >= REFUSED_MAX) total.stoppedAt ??= firstLine + block.lineCount;
}

/** Cuts the stream into blocks of whole lines. A line over LINE_BYTES_MAX is replaced by an empty one. */
async function* blocksOf(source: AsyncIterable<Buffer>): AsyncGenerator<Block> {
  let block = new Uint8Array(BLOCK_BYTES + LINE_BYTES_MAX);
  let used = 0;
  let firstLine = 0;
  let line = 0;
  // Bytes of the current line that are in the block; -1 while the rest of a too long line is thrown away.
  let lineBytes = 0;
  let tooLong: number[] = [];
  const whole = (lineCount: number): Block => ({ bytes: block.slice(0, used), firstLine, lineCount, tooLong });
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
        tooLong.push(line - firstLine);
        // The line is left empty, so that the lines after it keep their numbers.
        used -= lineBytes;
        lineBytes = -1;
      }
      start = end;
      if (newline < 0) continue;
      if (lineBytes < 0) block[used++] = NEWLINE;
      line++;
      lineBytes = 0;
      if (used < BLOCK_BYTES && tooLong.length < REFUSED_MAX) continue;
      yield whole(line - firstLine);
      block = new Uint8Array(BLOCK_BYTES + LINE_BYTES_MAX);
      used = 0;
      firstLine = line;
      tooLong = [];
    }
  }
  const hasRest = lineBytes !== 0;
  if (used > 0 || hasRest) yield whole(line - firstLine + (hasRest ? 1 : 0));
}

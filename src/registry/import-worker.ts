/**
 * Worker thread of a bulk import: takes a block of NDJSON lines, gives packed rows back (ParsedLines).
 *
 * Owns the block it is handed (transferred in) until it returns, and nothing after: the result is transferred out.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { parseLines } from './import-lines.ts';

export default function task(block: Uint8Array): unknown {
  const parsed = parseLines(block);
  return move({ [transferableSymbol]: [parsed.rows.buffer, parsed.lines.buffer], [valueSymbol]: parsed } as never);
}

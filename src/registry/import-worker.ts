/**
 * Worker thread of a bulk import: turns a block of NDJSON lines into packed rows (ParsedLines). The block is transferred
 * in, and the result is transferred out.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { parseLines } from './import-lines.ts';

export default function task(block: Uint8Array): unknown {
  const parsed = parseLines(block);
  return move({ [transferableSymbol]: [parsed.rows.buffer, parsed.lines.buffer], [valueSymbol]: parsed } as never);
}

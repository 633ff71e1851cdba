/**
 * A payer's state file as text: a title line, then lines with records of channels. A channel's last record is valid.
 *
 *     claimwire payer state 1, LINES #CRC32
 *     LEDGER_ID,COMMITTED,SIGNED,SEQUENCE … #CRC32
 *
 * The first LINES lines of records were complete when the file got its name. Each later line was written by one call, and
 * synced before anything in it was signed. So if the last one is cut or damaged, nobody has relied on it. Any other damage
 * is refused.
 */
import { crc32 } from 'node:zlib';
import { U64_MAX } from '../../../protocol/layout.ts';
import { type StateRecord, stateError } from './payer-state.ts';

const STATE_TITLE = 'claimwire payer state 1';
const RECORDS_PER_LINE = 1_000;
const SEQUENCE_MAX = 2 ** 32 - 1;

/** A whole file. @param records by ledger channel id, 64 upper-case hex digits */
export function stateText(records: ReadonlyMap<string, StateRecord>): string {
  const all = [...records];
  const lines: string[] = [];
  for (let start = 0; start < all.length; start += RECORDS_PER_LINE)
    lines.push(stateLine(all.slice(start, start + RECORDS_PER_LINE)));
  return checked(`${STATE_TITLE}, ${lines.length}`) + lines.join('');
}

/** A line to append. */
export function stateLine(records: Iterable<readonly [string, StateRecord]>): string {
  const texts: string[] = [];
  for (const [id, { committed, signed, sequence }] of records) texts.push(`${id},${committed},${signed},${sequence}`);
  return checked(texts.join(' '));
}

function checked(text: string): string {
  return `${text} #${crc32(text).toString(16).padStart(8, '0')}\n`;
}

/** The text before the checksum, or undefined where that is wrong. */
function unchecked(line: string): string | undefined {
  const parts = /^(.+) #([0-9a-f]{8})$/.exec(line);
  return parts !== null && crc32(parts[1]!) === Number.parseInt(parts[2]!, 16) ? parts[1] : undefined;
}

/** Throws ClaimwireError STATE_INVALID. */
export function parseState(text: string, path: string): Map<string, StateRecord> {
  const records = new Map<string, StateRecord>();
  const lines = text.split('\n');
  // After the last newline there is nothing, or what a crash left of a write.
  const isCut = lines.pop() !== '';
  const title = /^(.*), (\d{1,9})$/.exec(unchecked(lines.shift() ?? '') ?? '');
  if (title?.[1] !== STATE_TITLE)
    throw stateError(`expected a payer's state (${STATE_TITLE}), got something else in ${path}, choose another file`);
  const wholeLines = Number(title[2]);
  for (const [index, line] of lines.entries()) {
    const found = parseLine(line);
    const isLast = index === lines.length - 1 && !isCut;
    if (found === undefined && isLast && index >= wholeLines) return records;
    if (found === undefined) throw damaged(`line ${index + 2} to be sound, got a damaged one`, path);
    for (const [id, record] of found) records.set(id, record);
  }
  if (lines.length < wholeLines) throw damaged(`${wholeLines + 1} lines, got ${lines.length + 1}`, path);
  return records;
}

function damaged(fault: string, path: string): Error {
  const remedy = 'remove the file only where resume() can ask the node, which has the newest claim';
  return stateError(`expected ${fault} in ${path}; ${remedy}`);
}

function parseLine(line: string): [string, StateRecord][] | undefined {
  const sound = unchecked(line);
  if (sound === undefined) return undefined;
  const found: [string, StateRecord][] = [];
  for (const text of sound.split(' ')) {
    const fields = /^([0-9A-F]{64}),(\d{1,20}),(\d{1,20}),(\d{1,10})$/.exec(text);
    if (fields === null) return undefined;
    const record = { committed: BigInt(fields[2]!), signed: BigInt(fields[3]!), sequence: Number(fields[4]) };
    if (record.committed > record.signed || record.signed > U64_MAX || record.sequence > SEQUENCE_MAX) return undefined;
    found.push([fields[1]!, record]);
  }
  return found;
}

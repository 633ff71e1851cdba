/** How commands print. */
import { once } from 'node:events';

/** Whether the command prints JSON, by its flag or its --config file. */
export const output = { json: false };

/** Prints a long list without keeping it in memory while its reader is slow. */
export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** One JSON line; a BigInt becomes a text. */
export function writeJson(value: unknown): void {
  process.stdout.write(
    `${JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? String(item) : item))}\n`,
  );
}

const ROW_COLUMNS_MAX = 100;
const LABEL_COLUMNS = 9;

/** A label with its text beside it, in lines that fit the terminal. */
export function rowText(label: string, text: string): string {
  const columns = Math.min(process.stdout.columns ?? ROW_COLUMNS_MAX, ROW_COLUMNS_MAX) - LABEL_COLUMNS;
  return label.padEnd(LABEL_COLUMNS) + wrapped(text, columns).replaceAll('\n', `\n${' '.repeat(LABEL_COLUMNS)}`);
}

/** Breaks text between words into lines of less than `columns`. */
export function wrapped(text: string, columns: number): string {
  let line = '';
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + word.length >= columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Breaks paragraphs into lines that fit; indented lines stay as they are. */
export function paragraphs(text: string, columns: number): string {
  return text.trim().replace(/(?<=^|\n)\S[^\n]*(?:\n(?!\s)[^\n]+)*/g, (paragraph) => wrapped(paragraph, columns));
}

/** A label, as in "latency      p50 5 ms". */
const LABEL = /^ {0,2}[a-z]+(?: [a-z]+)* {2,}/;
const HANGING = '  ';

/**
 * Formats text for a terminal: large figures get thousands separators, and long lines are broken between words and continued
 * with the indentation of their text.
 */
export function forTerminal(text: string, columns: number): string {
  // Ports and addresses are left as they are.
  const apart = text.replace(/(?<![\d.:/])\d{5,}/g, (digits) => digits.replace(/\B(?=(\d{3})+$)/g, ','));
  return apart
    .split('\n')
    .map((line) => brokenLine(line, columns))
    .join('\n');
}

function brokenLine(line: string, columns: number): string {
  if (line.length < columns) return line;
  const indent = ' '.repeat(LABEL.exec(line)?.[0].length ?? HANGING.length);
  const lines: string[] = [];
  let rest = line;
  while (rest.length >= columns) {
    const at = rest.lastIndexOf(' ', columns - 1);
    if (at <= indent.length) break;
    lines.push(rest.slice(0, at).trimEnd());
    rest = indent + rest.slice(at).trimStart();
  }
  return [...lines, rest].join('\n');
}

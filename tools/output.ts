/** How commands print. */
import { once } from 'node:events';

/** The parts of a terminal that printing uses; tests provide their own. */
export interface TextStream {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

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

/** Prints a text for people, on a terminal in lines that fit it. */
export function say(text: string, stream: TextStream = process.stdout): void {
  stream.write(stream.isTTY ? forTerminal(text, columnsOf(stream)) : text);
}

/** Says on stderr what is wrong, or went on beside the result. Figures stay as they are, since some of them are ids. */
export function complain(text: string, stream: TextStream = process.stderr): void {
  stream.write(`${stream.isTTY ? brokenLines(text, columnsOf(stream)) : text}\n`);
}

/** Fields of one thing, a line each, their values below each other. */
export function fieldLines(fields: object, prefix = ''): string {
  return Object.entries(fields)
    .map(([name, value]) => `${(prefix + name).padEnd(FIELD_COLUMNS + (prefix === '' ? 0 : 2))} ${value ?? '-'}\n`)
    .join('');
}

function columnsOf({ columns = 80 }: TextStream): number {
  // A terminal that does not know its size says 0.
  return columns > 0 ? columns : 80;
}

const FIELD_COLUMNS = 16;
const ROW_COLUMNS_MAX = 100;
const LABEL_COLUMNS = 9;

/** A label with its text beside it, in lines that fit the terminal. */
export function rowText(label: string, text: string): string {
  const columns = Math.min(process.stdout.columns || ROW_COLUMNS_MAX, ROW_COLUMNS_MAX) - LABEL_COLUMNS;
  const figures = process.stdout.isTTY ? withSeparators(text) : text;
  return label.padEnd(LABEL_COLUMNS) + wrapped(figures, columns).replaceAll('\n', `\n${' '.repeat(LABEL_COLUMNS)}`);
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
  return brokenLines(withSeparators(text), columns);
}

function brokenLines(text: string, columns: number): string {
  return text
    .split('\n')
    .map((line) => brokenLine(line, columns))
    .join('\n');
}

/** A line of a table: figures alone, each at the right end of its column. */
const FIGURES = /^[ \d.-]+$/;

/** Ports, addresses, ids and longer words are left as they are. */
function withSeparators(text: string): string {
  const separated = (digits: string) => digits.replace(/\B(?=(\d{3})+$)/g, ',');
  return text
    .split('\n')
    .map((line) => {
      if (!FIGURES.test(line)) return line.replace(/(?<![\w.:/-]|pid )\d{5,18}(?![\w:-])/g, separated);
      // Separators take the place of the spaces before, so that columns stay below each other.
      return line.replace(/( ?)( *)(?<![\d.])(\d{5,18})/g, (cell, first: string, _, digits: string) => {
        return first + separated(digits).padStart(cell.length - first.length);
      });
    })
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

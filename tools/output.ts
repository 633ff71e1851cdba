/** What commands print, and how. */
import { once } from 'node:events';

/** Whether the command that runs was asked for JSON, by its flag or by its --config file. */
export const output = { json: false };

/** Printing long lists: a million rows must not pile up in memory before a slow reader. */
export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/** One JSON line; amounts beyond a number's are texts. */
export function writeJson(value: unknown): void {
  process.stdout.write(
    `${JSON.stringify(value, (_key, item: unknown) => (typeof item === 'bigint' ? String(item) : item))}\n`,
  );
}

/** Words in lines of at most `columns`; what follows the first line is indented. */
export function wrapped(text: string, columns: number, indent = ''): string {
  let line = '';
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + word.length >= columns) {
      lines.push(line);
      line = indent + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Paragraphs in lines that fit; lines that are indented stay as they are. */
export function paragraphs(text: string, columns: number): string {
  return text.trim().replace(/(?<=^|\n)\S[^\n]*(?:\n(?!\s)[^\n]+)*/g, (paragraph) => wrapped(paragraph, columns));
}

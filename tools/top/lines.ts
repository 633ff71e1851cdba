/** Lines of a screen: pieces of text, each in a style, cut to the width of the terminal. */

type Style = 'plain' | 'title' | 'label' | 'good' | 'warn' | 'bad' | 'bars';
export type Piece = string | readonly [text: string, style: Style];
export type Line = readonly Piece[];

export const LABEL_COLUMNS = 11;

export function labelled(label: string, ...pieces: Piece[]): Line {
  return [[label.padEnd(LABEL_COLUMNS), 'label'], ...pieces];
}

const CODES: Record<Style, string> = {
  plain: '',
  title: '1;7',
  label: '36',
  good: '32',
  warn: '33',
  bad: '1;31',
  bars: '34',
};
const CONTROL = /\p{Cc}/gu;

function textOf(piece: Piece): string {
  // What came from a server must not steer the terminal.
  return (typeof piece === 'string' ? piece : piece[0]).replace(CONTROL, '');
}

function lengthOf(line: Line): number {
  return line.reduce((sum, piece) => sum + textOf(piece).length, 0);
}

/** The line in at most `columns` columns, with or without colours. */
export function lineText(line: Line, columns: number, inColour: boolean): string {
  let left = columns;
  let text = '';
  for (const piece of line) {
    const part = textOf(piece).slice(0, left);
    left -= part.length;
    const code = typeof piece === 'string' ? '' : CODES[piece[1]];
    text += inColour && code !== '' && part !== '' ? `\x1b[${code}m${part}\x1b[0m` : part;
  }
  return text;
}

/** Two columns of lines as one; the left one is `columns` wide. */
export function beside(left: readonly Line[], right: readonly Line[], columns: number): Line[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => {
    const first = cut(left[index] ?? [], columns - 2);
    return [...first, ' '.repeat(columns - lengthOf(first)), ...(right[index] ?? [])];
  });
}

function cut(line: Line, columns: number): Piece[] {
  let left = columns;
  return line.map((piece) => {
    const part = textOf(piece).slice(0, left);
    left -= part.length;
    return typeof piece === 'string' ? part : [part, piece[1]];
  });
}

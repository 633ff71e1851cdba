/**
 * Puts a counter into every branch of a bundled program, and notes the operands of its comparisons: what a fuzzer is guided by. By
 * text, at the places that the parser names, so that the program stays as it was otherwise.
 */
import { parseAst } from 'rolldown/parseAst';

interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}
/** Text to be inserted. At one place, what closes comes before what opens; what was opened last is closed first. */
interface Insertion {
  at: number;
  text: string;
  order: number;
}

export interface Instrumented {
  code: string;
  /** How many counters there are. */
  edges: number;
  /** The numbers and short texts of the program. */
  literals: (number | string)[];
}

const HEAD = 'const __hit = globalThis.__fuzz.hit, __same = globalThis.__fuzz.same;\n';
const TEXT_MAX = 32;
const OPERATOR_CHARACTERS = 3;

/** Only modules whose banner, as esbuild writes it, begins with one of `folders` get counters. */
export function instrument(code: string, folders: readonly string[]): Instrumented {
  const insertions: Insertion[] = [];
  const literals = new Set<number | string>();
  const counted = countedRanges(code, folders);
  let edges = 0;
  const open = (at: number, text: string) => insertions.push({ at, text, order: insertions.length });
  const close = (at: number, text: string) => insertions.push({ at, text, order: -insertions.length });
  const hit = () => `__hit(${edges++})`;
  const countStatement = (node: Node | null | undefined) => {
    if (node === null || node === undefined) return;
    if (node.type === 'BlockStatement') open(node.start + 1, `${hit()};`);
    else {
      open(node.start, `{${hit()};`);
      close(node.end, '}');
    }
  };
  const countExpression = (node: Node) => {
    open(node.start, `(${hit()},`);
    close(node.end, ')');
  };
  const branches: Record<string, (node: Node) => void> = {
    IfStatement: ({ consequent, alternate }) => {
      countStatement(consequent as Node);
      countStatement(alternate as Node | null);
    },
    ConditionalExpression: ({ consequent, alternate }) => {
      countExpression(consequent as Node);
      countExpression(alternate as Node);
    },
    LogicalExpression: ({ right }) => countExpression(right as Node),
    SwitchCase: (node) => {
      const first = (node.consequent as Node[])[0];
      if (first !== undefined) open(first.start, `${hit()};`);
    },
    CatchClause: ({ body }) => countStatement(body as Node),
    FunctionDeclaration: ({ body }) => countStatement(body as Node),
    FunctionExpression: ({ body }) => countStatement(body as Node),
    ArrowFunctionExpression: ({ body }) => {
      if ((body as Node).type === 'BlockStatement') countStatement(body as Node);
    },
    BinaryExpression: ({ operator, left, right, start, end }) => {
      if (operator !== '===' && operator !== '!==') return;
      open(start, operator === '===' ? '__same(' : '!__same(');
      const at = code.indexOf(operator, (left as Node).end);
      if (at < (right as Node).start) operators.push(at);
      close(end, ')');
    },
    Literal: ({ value }) => {
      if (typeof value === 'number' || (typeof value === 'string' && value.length <= TEXT_MAX)) literals.add(value);
    },
  };
  for (const loop of ['ForStatement', 'ForOfStatement', 'ForInStatement', 'WhileStatement', 'DoWhileStatement'])
    branches[loop] = ({ body }) => countStatement(body as Node);
  /** Where === and !== stand, which become commas. */
  const operators: number[] = [];
  visit(parseAst(code) as unknown as Node, (node) => {
    if (counted(node.start)) branches[node.type]?.(node);
  });
  return { code: HEAD + inserted(code, insertions, operators), edges, literals: [...literals] };
}

/** Whether a place belongs to a module that is counted: esbuild writes `// path` before each. */
function countedRanges(code: string, folders: readonly string[]): (at: number) => boolean {
  const banners = [...code.matchAll(/^\/\/ (\S+\.[cm]?[jt]s)$/gm)].map((found) => ({
    at: found.index,
    is: folders.some((folder) => found[1]!.startsWith(folder)),
  }));
  return (at) => banners.findLast((banner) => banner.at <= at)?.is ?? false;
}

function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const value of Object.values(node))
    for (const child of Array.isArray(value) ? value : [value])
      if (typeof child === 'object' && child !== null && typeof (child as Node).type === 'string')
        visit(child as Node, see);
}

function inserted(code: string, insertions: Insertion[], operators: number[]): string {
  insertions.sort((left, right) => left.at - right.at || left.order - right.order);
  operators.sort((left, right) => left - right);
  const parts: string[] = [];
  let at = 0;
  let next = 0;
  const copyTo = (end: number) => {
    for (; next < operators.length && operators[next]! < end; next++) {
      parts.push(code.slice(at, operators[next]), ',');
      at = operators[next]! + OPERATOR_CHARACTERS;
    }
    parts.push(code.slice(at, end));
    at = end;
  };
  for (const insertion of insertions) {
    copyTo(insertion.at);
    parts.push(insertion.text);
  }
  copyTo(code.length);
  return parts.join('');
}

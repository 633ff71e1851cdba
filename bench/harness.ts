/**
 * What all benches share: flags, repeats, medians and printing.
 *
 * Main thread. `--json` prints exactly one object on stdout; otherwise a table. Notes (checksums of the work, the
 * filesystem, the floor measured beside a figure) go with the table, or to stderr under `--json`.
 */
import { cpus, release, type } from 'node:os';
import { parseArgs } from 'node:util';

/** Figures by name, as they appear in `--json`; every repeat returns the same names. */
export type Figures = Record<string, number>;

export interface BenchContext {
  /** `--quick`: the whole bench with all repeats takes less than 50 s. */
  readonly quick: boolean;
  /** Flags of the bench's own that were given. */
  readonly flags: ReadonlySet<string>;
  /** Numbers of the bench's own that were given, by the names of their flags. */
  readonly numbers: ReadonlyMap<string, number>;
  /** 0-based number of this repeat. */
  readonly repeat: number;
  /** Prints something about the run that is not a figure. */
  note(line: string): void;
}

export interface BenchOptions {
  /** The subject, as in `bench:NAME`. */
  name: string;
  /** The verification backend that is measured; `none` where no signature is checked. */
  backend?: string;
  /** How many repeats a figure is the median of; 3 with `--quick`. */
  repeats?: number;
  /** Flags of its own, without the dashes. */
  flags?: readonly string[];
  /** The same of flags that take a number. */
  numbers?: readonly string[];
  /** The figures as a table of the docs, for `--markdown`. */
  markdown?: (figures: Figures) => string;
}

interface Flags {
  json: boolean;
  quick: boolean;
  markdown: boolean;
  own: ReadonlySet<string>;
  numbers: ReadonlyMap<string, number>;
}

const REPEATS = 5;
const REPEATS_QUICK = 3;

/**
 * Runs `measure` several times and prints the median of each figure. Sets the exit code: 1 when a repeat threw, 2 for
 * wrong flags.
 */
export async function runBench(
  options: BenchOptions,
  measure: (context: BenchContext) => Figures | Promise<Figures>,
): Promise<void> {
  const flags = parseFlags(options);
  if (flags === undefined) return;
  const repeats = Math.min(options.repeats ?? REPEATS, flags.quick ? REPEATS_QUICK : Number.POSITIVE_INFINITY);
  const note = (line: string) => (flags.json || flags.markdown ? process.stderr : process.stdout).write(`${line}\n`);
  const runs: Figures[] = [];
  try {
    for (let repeat = 0; repeat < repeats; repeat++)
      runs.push(await measure({ quick: flags.quick, flags: flags.own, numbers: flags.numbers, repeat, note }));
  } catch (error) {
    process.stderr.write(`bench ${options.name}: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`);
    process.exitCode = 1;
    return;
  }
  const subject = { machine: machineName(), node: process.version, backend: options.backend ?? 'none' };
  if (flags.json) process.stdout.write(`${JSON.stringify({ ...subject, figures: medians(runs) })}\n`);
  else if (flags.markdown) printMarkdown(options, subject, medians(runs));
  else printTable(options.name, subject, runs);
}

/** CPU model, cores and kernel release in one line. */
function machineName(): string {
  const cores = cpus();
  return `${cores[0]?.model.trim() ?? 'unknown CPU'}, ${cores.length} cores, ${type()} ${release()}`;
}

function parseFlags({ name, flags = [], numbers = [], markdown }: BenchOptions): Flags | undefined {
  const known = ['json', 'quick', ...(markdown ? ['markdown'] : []), ...flags];
  const usage = [...known, ...numbers.map((flag) => `${flag} N`)].map((flag) => `[--${flag}]`).join(' ');
  try {
    const { values } = parseArgs({
      options: {
        ...Object.fromEntries(known.map((flag) => [flag, { type: 'boolean' as const, default: false }])),
        ...Object.fromEntries(numbers.map((flag) => [flag, { type: 'string' as const }])),
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const given = new Set(Object.keys(values).filter((flag) => values[flag as keyof typeof values]));
    const own = new Set(flags.filter((flag) => given.has(flag)));
    const read = numbers
      .filter((flag) => given.has(flag))
      .map((flag) => [flag, Number((values as Record<string, unknown>)[flag])] as const);
    for (const [flag, value] of read)
      if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${flag}: expected a whole number, got another`);
    if (!given.has('help'))
      return {
        numbers: new Map(read),
        json: given.has('json'),
        quick: given.has('quick'),
        markdown: given.has('markdown'),
        own,
      };
    process.stdout.write(`usage: npm run bench:${name} -- ${usage}\n`);
  } catch (error) {
    process.stderr.write(`bench ${name}: expected ${usage}: ${(error as Error).message}\n`);
    process.exitCode = 2;
  }
  return undefined;
}

function printMarkdown({ name, markdown }: BenchOptions, subject: Record<string, string>, figures: Figures): void {
  const from = `${subject.machine}, Node ${subject.node}, backend ${subject.backend}`;
  process.stdout.write(`${markdown!(figures)}\n\n\`npm run bench:${name}\` on ${from}.\n`);
}

function sorted(runs: readonly Figures[], name: string): number[] {
  // A repeat lacks the figures that it could not measure.
  const values = runs.map((run) => run[name]).filter((value) => value !== undefined && Number.isFinite(value));
  return (values as number[]).sort((left, right) => left - right);
}

/** The lower median, so that a figure is always one that was measured. */
function middle(values: readonly number[]): number {
  return values[(values.length - 1) >> 1] ?? Number.NaN;
}

/** The medians of all figures that at least one repeat could measure. */
function namesOf(runs: readonly Figures[]): string[] {
  return [...new Set(runs.flatMap((run) => Object.keys(run)))].filter((name) => sorted(runs, name).length > 0);
}

function medians(runs: readonly Figures[]): Figures {
  return Object.fromEntries(namesOf(runs).map((name) => [name, middle(sorted(runs, name))]));
}

function printTable(name: string, subject: Record<string, string>, runs: readonly Figures[]): void {
  const rows = namesOf(runs).map((figure) => {
    const values = sorted(runs, figure);
    return [figure, ...[values[0]!, middle(values), values.at(-1)!].map(readable)];
  });
  const table = [['figure', 'min', 'median', 'max'], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => row[column]!.length)));
  const line = (row: string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ');
  process.stdout.write(`bench ${name}: ${subject.machine}, Node ${subject.node}, backend ${subject.backend}\n`);
  process.stdout.write(`${runs.length} repeats\n${table.map(line).join('\n')}\n`);
}

/** Four significant digits below 10,000, whole numbers with separators above. */
export function readable(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 10_000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(4)));
}

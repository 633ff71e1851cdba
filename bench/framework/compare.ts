/** What changed between two reports, figure by figure. Pure. */
import { figure, share } from './page/numbers.ts';
import { type BenchReport, type FigureReport, SCHEMA_VERSION } from './schema.ts';
import type { Interval } from './statistics.ts';

/**
 * `better` and `worse`: the intervals have nothing in common. `different`: the same of a figure that has no better side.
 * `same`: they overlap, so the runs do not tell them apart. `machine`: another processor, so an absolute figure says nothing.
 */
export type Change = 'better' | 'worse' | 'different' | 'same' | 'machine' | 'missing';

export interface Compared {
  name: string;
  unit: string;
  before: number | null;
  after: number | null;
  /** After as a share of before. */
  ratio: number | null;
  change: Change;
}

export interface Comparison {
  isSameMachine: boolean;
  machines: [string, string];
  figures: Compared[];
}

/** Fewer runs make an interval that is too narrow to tell anything apart by. */
const RUNS_MIN = 3;

/** A parsed file, checked to be a report. Throws with "expected …, got …". */
export function expectReport(value: unknown, name: string): BenchReport {
  const report = value as Partial<BenchReport> | null;
  if (typeof report !== 'object' || report === null || report.kind !== 'claimwire bench')
    throw new Error(`${name}: expected a report of claimwire bench --json, got something else`);
  if (report.schema !== SCHEMA_VERSION)
    throw new Error(
      `${name}: expected a report of schema ${SCHEMA_VERSION}, got ${String(report.schema)}; measure again`,
    );
  const isFigure = (one: Partial<FigureReport> | null) =>
    typeof one?.name === 'string' &&
    Number.isFinite(one.median) &&
    Number.isFinite(one.interval?.low) &&
    Number.isFinite(one.interval?.high);
  if (
    !Array.isArray(report.figures) ||
    !report.figures.every(isFigure) ||
    typeof report.machine?.processor !== 'string'
  )
    throw new Error(`${name}: expected figures with medians and intervals, got a report that was cut or changed`);
  return report as BenchReport;
}

export function compare(before: BenchReport, after: BenchReport): Comparison {
  const machineOf = ({ machine }: BenchReport) => `${machine.processor}, ${machine.cores} cores, ${machine.kernel}`;
  const machines: [string, string] = [machineOf(before), machineOf(after)];
  const isSameMachine = machines[0] === machines[1];
  const gains = (report: BenchReport): FigureReport[] =>
    report.optimisations.flatMap(({ name, measured }) =>
      measured === undefined
        ? []
        : [
            {
              ...measured.gain,
              part: 'optimisations',
              name: `gain of ${name}`,
              unit: 'times',
              better: 'higher' as const,
              floor: 'without it',
            },
          ],
    );
  const [old, now] = [before, after].map(
    (report) => new Map([...report.figures, ...gains(report)].map((one) => [one.name, one])),
  );
  const names = [...new Set([...old!.keys(), ...now!.keys()])];
  return {
    isSameMachine,
    machines,
    figures: names.map((name) => compared(old!.get(name), now!.get(name), isSameMachine)),
  };
}

function compared(before: FigureReport | undefined, after: FigureReport | undefined, isSameMachine: boolean): Compared {
  const { name, unit } = (after ?? before)!;
  const [left, right] = [before?.median ?? null, after?.median ?? null];
  const ratio = left === null || right === null || left === 0 ? null : right / left;
  return { name, unit, before: left, after: right, ratio, change: changeOf(before, after, isSameMachine) };
}

function changeOf(before: FigureReport | undefined, after: FigureReport | undefined, isSameMachine: boolean): Change {
  if (before === undefined || after === undefined) return 'missing';
  // A ratio to a floor of the same run outlives the machine.
  if (!isSameMachine && after.floor === undefined) return 'machine';
  if (before.runs < RUNS_MIN || after.runs < RUNS_MIN || overlap(before.interval, after.interval)) return 'same';
  if (after.better === 'neither') return 'different';
  return after.median > before.median === (after.better === 'higher') ? 'better' : 'worse';
}

function overlap(left: Interval, right: Interval): boolean {
  return left.low <= right.high && right.low <= left.high;
}

const WORDS: Readonly<Record<Change, string>> = {
  better: 'changed: better',
  worse: 'changed: worse',
  different: 'changed',
  same: 'not distinguishable',
  machine: 'CPU differs',
  missing: 'in one of them alone',
};

/** A table for the terminal. */
export function comparisonText({ isSameMachine, machines, figures }: Comparison): string {
  const value = (number: number | null) => (number === null ? '-' : figure(number));
  const rows = figures.map(({ name, before, after, ratio, change, unit }) => [
    name,
    value(before),
    value(after),
    unit,
    ratio === null ? '-' : share(ratio),
    WORDS[change],
  ]);
  const table = [['figure', 'A', 'B', 'unit', 'B of A', ''], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  const isNumber = (column: number) => column === 1 || column === 2 || column === 4;
  const line = (row: string[]) =>
    row
      .map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  const head = isSameMachine
    ? `Both on ${machines[0]}`
    : `A on ${machines[0]}\nB on ${machines[1]}\nThe processors differ: only ratios to floors of the same run are compared.`;
  return `${head}\n${table.map(line).join('\n')}\n`;
}

/**
 * `make coverage`: which lines and branches of the parts that must not fail were run by their own tests. Prints a table, and fails
 * where a folder is below LINES_MIN or BRANCHES_MIN. The lines that nothing ran are in build/coverage.
 */
import { parseArgs } from 'node:util';
import { runC, summaryOfC, uncoveredOfC } from './c.ts';
import { type Folder, folderRows, type Lines } from './folders.ts';
import { runTypeScript, summaryOfTypeScript, uncoveredOfTypeScript } from './typescript.ts';

const LINES_MIN = 95;
const BRANCHES_MIN = 90;
const HELP = `make coverage ARGS="…"

  --files    a row for each file that is not covered whole, with the lines that nothing ran
  --again    the table of the last run
`;
const { values } = parseArgs({
  options: {
    files: { type: 'boolean', default: false },
    again: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = main();

function main(): number {
  if (!values.again) {
    const hasC = runC();
    runTypeScript(hasC);
  }
  const files = [...summaryOfTypeScript(), ...summaryOfC()];
  const rows = folderRows(files);
  for (const row of rows) say(text(row));
  if (values.files) for (const line of [...uncoveredOfTypeScript(), ...uncoveredOfC()]) say(fileText(line));
  const low = rows.filter(({ lines, branches }) => share(lines) < LINES_MIN || share(branches) < BRANCHES_MIN);
  for (const { name } of low)
    say(`TOO LITTLE: ${name}: expected ${LINES_MIN} % of its lines and ${BRANCHES_MIN} % of its branches, got less`);
  return low.length === 0 ? 0 : 1;
}

function share({ total, covered }: Folder['lines']): number {
  return total === 0 ? 100 : (100 * covered) / total;
}

function text({ name, lines, branches }: Folder): string {
  const of = (part: Folder['lines']) => `${share(part).toFixed(1).padStart(5)} % of ${String(part.total).padStart(5)}`;
  return `${name.padEnd(16)} lines ${of(lines)}   branches ${of(branches)}`;
}

function fileText({ file, lines, branches }: Lines): string {
  return `${file}\n    lines: ${lines.join(' ') || 'all ran'}\n    branches at lines: ${branches.join(' ') || 'all taken'}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

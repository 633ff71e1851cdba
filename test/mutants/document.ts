/** docs/mutants.md: every mutant with the test that kills it, made from the list that `make mutants` goes through. */
import { killerText, type Mutation } from './mutation.ts';
import type { Part } from './mutations.ts';

export const DOCUMENT = 'docs/mutants.md';

export function documentText(parts: readonly Part[]): string {
  const count = parts.reduce((sum, { mutations }) => sum + mutations.length, 0);
  const languages = parts.flatMap(({ mutations }) => mutations).filter(({ file }) => /\.[ch]$/.test(file)).length;
  return `# Mutants

<!-- Made by \`make mutants ARGS=--write\`; a test compares it with the list. -->

A test that nobody has seen fail may test nothing. Here are ${count} ways in which the node would lose or give away money, ${languages} of them in
C. \`make mutants\` makes each of them, one at a time, in a copy of the source, and runs the test that is to notice: the test
has to fail, by what it expects. A mutant that survives ends the command with exit code 1.

\`\`\`
make mutants                                  all of them
make mutants ARGS="--only ack-before-sync"    one, with what its test says
make mutants ARGS=--list                      their names
make mutants ARGS=--json                      the verdicts as JSON
\`\`\`

What a mutant changes, to the letter, is in \`test/mutants/mutations\`.
${parts.map(partText).join('')}`;
}

function partText({ title, mutations }: Part): string {
  const rows = [['mutant', 'what it would do', 'file', 'killed by'], ...mutations.map(cells)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [head, ...others] = rows;
  const rule = widths.map((width) => '-'.repeat(width));
  return `\n## ${title}\n\n${[head!, rule, ...others].map(line).join('\n')}\n`;
}

function cells({ name, harm, file, killer }: Mutation): string[] {
  return [`\`${name}\``, harm, `\`${file}\``, killerCell(killerText(killer))];
}

/** The test's file, then its words. */
function killerCell(text: string): string {
  const [file, ...words] = text.split(': ');
  return `\`${file}\`: ${words.join(': ').replaceAll('|', '\\|')}`;
}

/** What was covered, added up by folder. Types of the two languages' reports. */

interface Part {
  total: number;
  covered: number;
}

/** What was covered of a file, or of a folder with its files. */
export interface Folder {
  name: string;
  lines: Part;
  branches: Part;
}

/** Of a file: the lines that nothing ran, and those with a branch that nothing took. */
export interface Lines {
  file: string;
  lines: number[];
  branches: number[];
}

export const BUILT = 'build/coverage';
/** The folders that are counted; in TypeScript, then in C. */
export const TYPESCRIPT = ['protocol', 'src/path', 'src/journal', 'src/channel', 'src/registry', 'src/ring'];
export const C = ['src/kernel', 'src/native'];

/** The rows of the table: files added up by folder. Of folders without a measured file there is none. */
export function folderRows(files: readonly Folder[]): Folder[] {
  const rows = new Map<string, Folder>();
  for (const { name, lines, branches } of files) {
    const folder = [...TYPESCRIPT, ...C].find((start) => name.startsWith(`${start}/`));
    if (folder === undefined) continue;
    const row = rows.get(folder) ?? { name: folder, lines: none(), branches: none() };
    add(row.lines, lines);
    add(row.branches, branches);
    rows.set(folder, row);
  }
  return [...rows.values()];
}

function none(): Part {
  return { total: 0, covered: 0 };
}

function add(sum: Part, { total, covered }: Part): void {
  sum.total += total;
  sum.covered += covered;
}

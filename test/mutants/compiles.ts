/**
 * Whether the mutants of TypeScript compile: many at once, since the compiler needs as long for one. Those that change the same
 * text take turns.
 */
import { isC, type Mutation } from './mutation.ts';
import { run } from './process.ts';
import type { Tree } from './tree.ts';

const OPTIONS = ['--noEmit', '--pretty', 'false', '--noUnusedLocals', 'false', '--noUnusedParameters', 'false'];

/** Returns what the compiler says against them; nothing where all compile. */
export async function compileFaults(tree: Tree, mutations: readonly Mutation[], limitMs: number): Promise<string[]> {
  const faults: string[] = [];
  for (let waiting = mutations.filter((mutation) => !isC(mutation)); waiting.length > 0; ) {
    try {
      waiting = applied(tree, waiting);
      const args = ['node_modules/.bin/tsc', '-p', 'tsconfig.json', ...OPTIONS];
      const { code, output } = await run(process.execPath, args, tree.root, limitMs);
      if (code !== 0) faults.push(output.trim());
    } finally {
      tree.restore();
    }
  }
  return faults;
}

/** Applies the first mutation and those that can be applied beside it; returns the others. */
function applied(tree: Tree, [first, ...others]: readonly Mutation[]): Mutation[] {
  tree.apply(first!);
  return others.filter((mutation) => {
    try {
      tree.apply(mutation);
      return false;
    } catch {
      return true;
    }
  });
}

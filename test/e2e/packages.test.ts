/**
 * What is published: the tarballs of claimwire and of this platform's package, installed as a user installs them, in an
 * empty folder and with no compiler on the PATH; node and load generator are native there. A tampered addon is refused.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeNative } from '../support/native-only.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const PACKAGES = join(ROOT, 'build/packages');
const MINUTES = 60_000;
/** What npm and the installed program may find: no cc, no make. */
const TOOLS = ['node', 'npx', 'sh', 'env'];

describeNative('the tarballs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-packages-'));
  const bin = join(folder, 'bin');
  const app = join(folder, 'app');
  const env = { ...process.env, PATH: bin };
  const byNpx = (...args: string[]) => run('npx', ['--offline', 'claimwire', ...args], { cwd: app, env });
  /** What npx runs. */
  const claimwire = (...args: string[]) => run(join(app, 'node_modules/.bin/claimwire'), args, { cwd: app, env });
  /** The installed node in a folder, its log, and what the installed generator says of it. */
  const loaded = async (name: string, ...pace: string[]) => {
    const data = join(app, name);
    const cli = join(app, 'node_modules/claimwire/dist/tools/cli.js');
    const options = ['--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    const node = spawn('node', [cli, 'node', ...options], { cwd: app, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    node.stderr.on('data', (chunk) => {
      log += String(chunk);
    });
    try {
      const [line] = (await once(node.stdout, 'data')) as [Buffer];
      const ready = JSON.parse(line.toString()) as { udp: string; http: string };
      const to = ['--to', `udp://${ready.udp}`, '--http', `http://${ready.http}`];
      const more = ['--token-file', join(data, 'admin-token'), '--slo', '5000', '--json'];
      const load = await claimwire('load', ...to, ...more, ...pace);
      const result = JSON.parse(load.stdout.trim().split('\n').at(-1)!) as { verdict: string[] };
      return { ready, log, result };
    } finally {
      node.kill();
      await once(node, 'exit');
    }
  };
  const addon = () => {
    const scope = join(app, 'node_modules/@claimwire');
    return join(scope, readdirSync(scope)[0]!, 'claimwire.node');
  };

  beforeAll(async () => {
    await run('make', ['-s', 'packages', 'PLATFORMS=$(patsubst linux-%,linux-%-gnu,$(HOST))'], { cwd: ROOT });
    for (const path of [bin, app]) mkdirSync(path);
    for (const tool of TOOLS) {
      const { stdout } = await run('sh', ['-c', `command -v ${tool}`]);
      symlinkSync(realpathSync(stdout.trim()), join(bin, tool));
    }
    const tarballs = readdirSync(PACKAGES).filter((name) => name.endsWith('.tgz'));
    const name = (file: string) =>
      /-linux|-darwin/.test(file) ? `@claimwire/${/(linux|darwin)-\w+(-gnu|-musl)?/.exec(file)![0]}` : 'claimwire';
    const entries = tarballs.map((file) => [name(file), `file:${join(PACKAGES, file)}`]);
    const main = entries.filter(([package_]) => package_ === 'claimwire');
    const platform = entries.filter(([package_]) => package_ !== 'claimwire');
    writeFileSync(
      join(app, 'package.json'),
      JSON.stringify({ dependencies: Object.fromEntries(main), optionalDependencies: Object.fromEntries(platform) }),
    );
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts'], { cwd: app });
  }, 5 * MINUTES);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('leave the checkout as it was', async () => {
    const manifest = readFileSync(join(ROOT, 'package.json'), 'utf8');
    expect(manifest).not.toContain('@claimwire/');
    expect(existsSync(join(ROOT, 'dist/platform-packages.json'))).toBe(false);
  });

  it('name the platform packages by exact version', () => {
    const installed = JSON.parse(readFileSync(join(app, 'node_modules/claimwire/package.json'), 'utf8'));
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const names = Object.entries(installed.optionalDependencies);
    expect(names.length).toBeGreaterThan(0);
    for (const [name, wanted] of names) expect([name.startsWith('@claimwire/'), wanted]).toEqual([true, version]);
  });

  it('run natively without a compiler: node, demo and load generator', { timeout: 2 * MINUTES }, async () => {
    const compilers = 'command -v cc || command -v gcc || command -v clang || command -v make';
    await expect(run('sh', ['-c', compilers], { env })).rejects.toThrow();
    const demo = await byNpx('demo', '--seconds', '1', '--load-seconds', '0', '--data', join(app, 'demo'));
    expect(demo.stdout).toContain('backend native');
    const { ready, log, result } = await loaded('data', '--rate', '2000', '--duration', '1', '--channels', '50');
    expect(ready).toMatchObject({ backend: 'native', sockets: 'native', layout: 'lanes' });
    expect(log).toMatch(/backend native \(\w+ of @claimwire\/\S+ \d+\.\d+\.\d+\)/);
    expect(result).toMatchObject({ outcome: 'PASS', sender: 'native', signer: 'native' });
  });

  it('refuse an addon that is not the one packed', { timeout: MINUTES }, async () => {
    const bytes = readFileSync(addon());
    try {
      appendFileSync(addon(), 'x');
      const failed = await claimwire(
        'node',
        '--backend',
        'native',
        '--data',
        join(app, 'data'),
        '--udp',
        '127.0.0.1:0',
      ).catch((error) => error as { code: number; stderr: string });
      expect(failed).toMatchObject({ code: 1 });
      expect(failed.stderr).toMatch(/as packed with this version \(SHA-256 [0-9a-f]{64}\), got/);
    } finally {
      writeFileSync(addon(), bytes);
    }
  });

  it('have the shape that npm, Node.js and TypeScript ask for', { timeout: MINUTES }, async () => {
    const tarball = join(PACKAGES, readdirSync(PACKAGES).find((name) => /^claimwire-\d/.test(name))!);
    const tool = (name: string, ...args: string[]) =>
      run(join(ROOT, 'node_modules/.bin', name), args, { cwd: ROOT, env: { ...process.env, NO_COLOR: '1' } });
    expect((await tool('publint', tarball, '--strict')).stdout).toContain('All good!');
    // Exit code 0 is its word. There is no CommonJS: a package with shared memory and one process-wide kernel should not be there twice.
    await tool('attw', tarball, '--profile', 'esm-only');
  });

  it.each(['nodenext', 'bundler'])(
    'have types that compile by %s without skipLibCheck',
    { timeout: MINUTES },
    async (name) => {
      for (const path of ['@types/node', 'undici-types'])
        cpSync(join(ROOT, 'node_modules', path), join(app, 'node_modules', path), { recursive: true });
      const source = [
        "import { ClaimwireNode } from 'claimwire';",
        "import { Payer } from 'claimwire/client';",
        "import { claimBytes } from 'claimwire/protocol';",
        "import { xrplSession } from 'claimwire/mpp';",
        'export const all: { start: unknown }[] = [ClaimwireNode]; export const others = [Payer, claimBytes];',
      ];
      writeFileSync(join(app, 'types.mts'), source.join('\n'));
      const module = name === 'bundler' ? 'esnext' : name;
      const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--types', 'node'];
      const tsc = join(ROOT, 'node_modules/.bin/tsc');
      await run(tsc, [...options, '--module', module, '--moduleResolution', name, 'types.mts'], { cwd: app });
    },
  );

  it('go on as WebAssembly without the platform package, signing too, and say what brings it', {
    timeout: MINUTES,
  }, async () => {
    rmSync(join(app, 'node_modules/@claimwire'), { recursive: true });
    // A kernel that is compiled in every thread at first use takes its time: few claims show that it verifies and signs.
    const pace = ['--rate', '200', '--duration', '0.5', '--warmup', '0', '--channels', '4', '--keys', '4'];
    const { ready, log, result } = await loaded('wasm', ...pace);
    expect(ready).toMatchObject({ backend: 'wasm', sockets: 'dgram' });
    expect(log).toMatch(
      /expected the package @claimwire\/\S+, got none; npm install without --omit=optional brings it/,
    );
    expect(result).toMatchObject({ outcome: 'PASS', sender: 'dgram', signer: 'wasm' });
    expect(result.verdict.join(' ')).toContain('signed in WebAssembly, because there is no addon');
  });

  it('have a client and a protocol that load without store, pool or anything native', {
    timeout: MINUTES,
  }, async () => {
    const heavy = ['lmdb', 'piscina', '@lmdb', '@claimwire', '@napi-rs', 'msgpackr-extract'];
    for (const path of heavy) rmSync(join(app, 'node_modules', path), { recursive: true, force: true });
    const source = `
      import { Payer } from 'claimwire/client';
      import { claimBytes } from 'claimwire/protocol';
      const native = process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'));
      console.log(typeof Payer, typeof claimBytes, native.length);`;
    const { stdout } = await run('node', ['--input-type=module', '--eval', source], { cwd: app, env });
    expect(stdout.trim()).toBe('function function 0');
    await expect(
      run('node', ['--input-type=module', '--eval', "import 'claimwire'"], { cwd: app, env }),
    ).rejects.toThrow(/lmdb|piscina/);
  });
});

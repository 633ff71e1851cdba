// The npm packages: claimwire itself, and one with the prebuilt addon for each platform.
//   node tools/packages.mjs make      build/packages/NAME/ of every build/prebuilt/NAME/claimwire.node, and their tarballs
//   node tools/packages.mjs stamp     prepack: writes their versions into package.json, their hashes into dist/
//   node tools/packages.mjs restore   postpack: takes both out again
// The platform packages are in package.json only while it is packed, so that npm install in a checkout never asks a registry
// for names that somebody else might own.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '..');
const PREBUILT = join(ROOT, 'build/prebuilt');
const PACKAGES = join(ROOT, 'build/packages');
const MANIFEST = join(ROOT, 'package.json');
/** The original package.json, kept while it is packed. */
const UNSTAMPED = join(ROOT, 'build/package.json');
const HASHES = join(ROOT, 'dist/platform-packages.json');
const SCOPE = '@claimwire/';

const read = () => JSON.parse(readFileSync(MANIFEST, 'utf8'));
const platforms = () =>
  existsSync(PREBUILT)
    ? readdirSync(PREBUILT).filter((name) => existsSync(join(PREBUILT, name, 'claimwire.node')))
    : [];

/** The fields that npm compares with the machine it installs on, from a name like linux-x64-musl. */
function constraints(name) {
  const [os, cpu, libc] = name.split('-');
  return { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc === 'gnu' ? 'glibc' : libc] }) };
}

function makePackage(name) {
  const { version, license, repository, engines } = read();
  const folder = join(PACKAGES, name);
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(PREBUILT, name, 'claimwire.node'), join(folder, 'claimwire.node'));
  copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(
    join(folder, 'README.md'),
    `# ${SCOPE}${name}\n\nThe native part of [claimwire](https://www.npmjs.com/package/claimwire) for ${name}. Installed with it; nothing to use by itself.\n`,
  );
  const description = `claimwire's native kernel and sockets for ${name}`;
  const manifest = { name: SCOPE + name, version, description, license, repository, engines, ...constraints(name) };
  writeFileSync(
    join(folder, 'package.json'),
    `${JSON.stringify({ ...manifest, main: 'claimwire.node', files: ['claimwire.node'] }, null, 2)}\n`,
  );
  pack(folder);
}

function pack(folder) {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', PACKAGES], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function stamp() {
  restore();
  cpSync(MANIFEST, UNSTAMPED, { preserveTimestamps: true });
  const manifest = read();
  const names = platforms();
  if (names.length === 0)
    console.error('packages: no prebuilt addon in build/prebuilt: this package will run on wasm alone');
  const versions = Object.fromEntries(names.map((name) => [SCOPE + name, manifest.version]));
  const stamped = { ...manifest, optionalDependencies: { ...manifest.optionalDependencies, ...versions } };
  writeFileSync(MANIFEST, `${JSON.stringify(stamped, null, 2)}\n`);
  const hash = (name) =>
    createHash('sha256')
      .update(readFileSync(join(PREBUILT, name, 'claimwire.node')))
      .digest('hex');
  const hashes = Object.fromEntries(names.map((name) => [SCOPE + name, hash(name)]));
  writeFileSync(HASHES, `${JSON.stringify(hashes, null, 2)}\n`);
}

function restore() {
  if (!existsSync(UNSTAMPED)) return;
  cpSync(UNSTAMPED, MANIFEST, { preserveTimestamps: true });
  rmSync(UNSTAMPED);
  rmSync(HASHES, { force: true });
}

const TASKS = {
  make() {
    rmSync(PACKAGES, { recursive: true, force: true });
    mkdirSync(PACKAGES, { recursive: true });
    for (const name of platforms()) makePackage(name);
    pack(ROOT);
    for (const file of readdirSync(PACKAGES).filter((name) => name.endsWith('.tgz')))
      console.log(join('build/packages', file));
  },
  stamp,
  restore,
};
const task = TASKS[process.argv[2]];
if (task === undefined) {
  console.error(`packages: expected ${Object.keys(TASKS).join(', ')}, got ${process.argv[2] ?? 'nothing'}`);
  process.exit(2);
}
task();

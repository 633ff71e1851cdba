/**
 * Finds and loads the C addon: build/claimwire.node where this package was built here, else the one of the platform package
 * (@claimwire/linux-x64-gnu and the like) that npm installed beside it. Main thread first, then any worker.
 *
 * Which platform packages belong to this one is written down when it is packed (tools/packages.mjs), with the SHA-256 of
 * each addon: a checkout knows of none, so no package of such a name is ever loaded there, and an addon that is not the one
 * packed is refused. What the addon exports is typed by who uses it: verify/native.ts, transport/udp-native.ts.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** By package name, the SHA-256 of its claimwire.node in hex. */
type PackedAddons = Record<string, string>;

/** Where an addon was found; `package` is the platform package's name and version, or undefined for one built here. */
interface Found {
  path: string;
  package?: string;
}

const require = createRequire(import.meta.url);
const HERE = dirname(fileURLToPath(import.meta.url));
/** The root of this package, seen from the source and from dist/. */
const ROOT = ['../..', '../../..']
  .map((path) => join(HERE, path))
  .find((path) => existsSync(join(path, 'package.json')))!;
let found: Found | undefined;

/** Throws Error, saying what is missing. */
export function loadAddon<Exports>(): Exports {
  found ??= findAddon();
  return require(found.path) as Exports;
}

/** What was loaded, for people: `build/claimwire.node`, or `@claimwire/linux-x64-gnu 0.1.0`. Undefined: nothing yet. */
export function addonOrigin(): string | undefined {
  return found && (found.package ?? 'build/claimwire.node');
}

function findAddon(): Found {
  const local = join(ROOT, 'build/claimwire.node');
  if (existsSync(local)) return { path: local };
  const list = join(ROOT, 'dist/platform-packages.json');
  if (!existsSync(list)) throw new Error('expected build/claimwire.node, got none; make native builds it');
  return packedAddon(JSON.parse(readFileSync(list, 'utf8')) as PackedAddons);
}

function packedAddon(packed: PackedAddons): Found {
  const name = `@claimwire/${platformName()}`;
  const hash = packed[name];
  if (hash === undefined)
    throw new Error(
      `expected an addon for ${platformName()}, got those for ${Object.keys(packed).join(', ') || 'none'}`,
    );
  let path: string;
  try {
    path = require.resolve(`${name}/claimwire.node`);
  } catch {
    throw new Error(`expected the package ${name}, got none; npm install without --omit=optional brings it`);
  }
  const got = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (got !== hash)
    throw new Error(
      `expected ${path} as packed with this version (SHA-256 ${hash}), got ${got}; install claimwire again`,
    );
  const { version } = require(`${name}/package.json`) as { version: string };
  return { path, package: `${name} ${version}` };
}

/** As in the names of platform packages: linux-x64-gnu, linux-x64-musl, darwin-arm64. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return `linux-${arch}-${header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

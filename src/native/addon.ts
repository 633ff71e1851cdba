/**
 * Finds and loads the C addon: build/claimwire.node where this package was built here, else the one of the platform package
 * (@claimwire/linux-x64-gnu and the like) that npm installed beside it. Main thread first, then any worker.
 *
 * When this package is packed (tools/packages.mjs), the names of its platform packages and the SHA-256 of each addon are
 * written into it. A checkout has no such list, so it never loads a package of such a name, and an addon that is not the
 * one packed is refused. The modules that use the addon type its exports: verify/native.ts, transport/udp-native.ts.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** By package name, the SHA-256 of its claimwire.node in hex. */
type PackedAddons = Record<string, string>;

/** Where an addon was found. `package` is the name and version of its platform package; undefined for one built here. */
interface Found {
  path: string;
  package?: string;
}

const require = createRequire(import.meta.url);
/** The root of this package, as seen from its source or, compiled, from dist/. */
const ROOT = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../..' : '../../..', import.meta.url));
let found: Found | undefined;

/** Loads the addon, or throws an Error that says what is missing. */
export function loadAddon<Exports>(): Exports {
  found ??= findAddon();
  return require(found.path) as Exports;
}

/** Why there is no addon and what brings one, or undefined where there is one. */
export function addonFault(): string | undefined {
  try {
    loadAddon();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What was loaded, for people: `build/claimwire.node`, or `@claimwire/linux-x64-gnu 0.1.0`; undefined before that. */
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

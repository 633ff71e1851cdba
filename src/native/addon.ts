/**
 * Finds and loads the C addon, build/claimwire.node of the package, whether this file runs compiled or as source.
 *
 * Main thread first, then any worker. What it exports is typed by who uses it: verify/native.ts, transport/udp-native.ts.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Throws Error, saying what is missing. */
export function loadAddon<Exports>(): Exports {
  const here = dirname(fileURLToPath(import.meta.url));
  const paths = ['../../build/claimwire.node', '../../../build/claimwire.node'].map((path) => join(here, path));
  const path = paths.find(existsSync);
  if (path === undefined) throw new Error('expected build/claimwire.node, got none; make native builds it');
  return createRequire(import.meta.url)(path) as Exports;
}

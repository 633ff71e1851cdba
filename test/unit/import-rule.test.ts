/**
 * Who may import whom (DESIGN): the wire protocol nobody, the claim path's folders only downward, threads only from
 * the node, tools from nowhere. A folder's line lists what it may reach besides itself.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

const MAY_IMPORT: Record<string, string[]> = {
  protocol: [],
  'src/ring': ['protocol', 'src/errors.ts'],
  'src/transport': ['protocol', 'src/ring', 'src/addon.ts', 'src/errors.ts'],
  'src/channel': ['protocol', 'src/ring', 'src/errors.ts', 'src/control.ts'],
  'src/verify': ['protocol', 'src/ring', 'src/channel', 'src/addon.ts', 'src/errors.ts'],
  'src/journal': ['protocol', 'src/channel', 'src/verify', 'src/errors.ts'],
  'src/threads': [
    'protocol',
    'src/ring',
    'src/transport',
    'src/channel',
    'src/verify',
    'src/journal',
    'src/errors.ts',
    'src/reject.ts',
    'src/config.ts',
    'src/control/remote.ts',
    'src/addon.ts',
  ],
  'src/client': ['protocol', 'src/errors.ts'],
  'src/ledger': ['protocol', 'src/channel', 'src/errors.ts'],
  'src/control': [
    'protocol',
    'src/transport/control-port.ts',
    'src/channel',
    'src/verify',
    'src/http/token.ts',
    'src/control.ts',
    'src/errors.ts',
    'src/log.ts',
  ],
  'src/load': [
    'protocol',
    'src/ring',
    'src/transport',
    'src/channel/table.ts',
    'src/verify',
    'src/client/signer.ts',
    'src/http/client.ts',
    'src/addon.ts',
    'src/errors.ts',
    'src/pcap.ts',
  ],
  'src/http': ['protocol', 'src/channel', 'src/control.ts', 'src/errors.ts', 'src/log.ts'],
};
/** Files of src itself that start threads, or watch over them. */
const THREAD_STARTERS = ['src/node.ts', 'src/housekeeping.ts'];

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** Relative imports of a file, as paths from the root. */
function imports(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map((match) =>
    relative(ROOT, resolve(ROOT, dirname(file), match[1]!)),
  );
}

test.each(Object.entries(MAY_IMPORT))('%s imports only what lies below it', (folder, allowed) => {
  const files = sources(folder);
  expect(files.length).toBeGreaterThan(0);
  const wrong = files.flatMap((file) =>
    imports(file)
      .filter((target) => ![folder, ...allowed].some((may) => target === may || target.startsWith(`${may}/`)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('only the node imports threads, and nobody imports tools', () => {
  const wrong = sources('src').flatMap((file) =>
    imports(file)
      .filter(
        (target) =>
          target.startsWith('tools/') ||
          (target.startsWith('src/threads/') && !file.startsWith('src/threads/') && !THREAD_STARTERS.includes(file)),
      )
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

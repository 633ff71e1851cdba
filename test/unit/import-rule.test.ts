/**
 * Who may import whom (DESIGN): the wire protocol nobody, the claim path's folders only downward, threads only from
 * the node, tools from nowhere. A folder's line lists what it may reach besides itself.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

/** Lowest first: a folder's line names folders that stand above it here, or none. */
const MAY_IMPORT: Record<string, string[]> = {
  protocol: [],
  'src/native': ['src/errors.ts', 'src/log-buckets.ts'],
  'src/system': [],
  'src/spans': ['src/system', 'src/errors.ts'],
  'src/pkcs11': ['src/system/regular-file.ts', 'src/errors.ts', 'src/optional-libraries.ts'],
  'src/ring': ['protocol', 'src/errors.ts', 'src/log-buckets.ts'],
  'src/transport': ['protocol', 'src/system', 'src/native', 'src/ring', 'src/errors.ts', 'src/host-port.ts'],
  'src/web': [
    'protocol',
    'src/native',
    'src/transport',
    'src/errors.ts',
    'src/host-port.ts',
    'src/optional-libraries.ts',
  ],
  'src/channel': ['protocol', 'src/ring', 'src/errors.ts'],
  'src/verify': ['protocol', 'src/native', 'src/ring', 'src/channel', 'src/errors.ts'],
  'src/registry': ['protocol', 'src/native', 'src/system', 'src/channel', 'src/errors.ts'],
  'src/folder': ['src/system', 'src/registry', 'src/errors.ts', 'src/log.ts'],
  'src/journal': ['protocol', 'src/system', 'src/channel', 'src/verify', 'src/registry', 'src/errors.ts', 'src/log.ts'],
  'src/store': [
    'protocol',
    'src/system',
    'src/channel',
    'src/registry',
    'src/journal',
    'src/folder',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log.ts',
    'src/optional-libraries.ts',
    'src/config.ts',
  ],
  'src/path': [
    'protocol',
    'src/native',
    'src/ring',
    'src/transport',
    'src/channel',
    'src/verify',
    'src/journal',
    'src/system',
    'src/errors.ts',
    'src/config.ts',
    'src/log.ts',
  ],
  'src/control': [
    'protocol',
    'src/system',
    'src/transport/control-port.ts',
    'src/channel',
    'src/verify',
    'src/store/claim-database.ts',
    'src/store/store-figures.ts',
    'src/errors.ts',
    'src/log.ts',
  ],
  'src/ledger': [
    'protocol',
    'src/system',
    'src/pkcs11',
    'src/channel',
    'src/registry/side-tables.ts',
    'src/control',
    'src/spans/spans.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log.ts',
  ],
  'src/meter': [
    'protocol',
    'src/registry/side-tables.ts',
    'src/registry/raised.ts',
    'src/control',
    'src/spans/spans.ts',
    'src/errors.ts',
  ],
  'src/cluster': [
    'src/system',
    'src/store/claim-database.ts',
    'src/store/heartbeat.ts',
    'src/control',
    'src/errors.ts',
    'src/log.ts',
  ],
  'src/threads': [
    'protocol',
    'src/native',
    'src/system',
    'src/ring',
    'src/transport',
    'src/channel',
    'src/verify',
    'src/journal',
    'src/path',
    'src/store',
    'src/web/counters.ts',
    'src/web/messages.ts',
    'src/control/remote.ts',
    'src/control/inspect-control.ts',
    'src/control/meter-control.ts',
    'src/control/measure-control.ts',
    'src/control/tune-control.ts',
    'src/registry/channel-store.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log.ts',
    'src/config.ts',
  ],
  'src/inspect': ['src/control/inspect-control.ts', 'src/errors.ts'],
  'src/metrics': ['src/system', 'src/control', 'src/errors.ts'],
  'src/tune': ['src/system', 'src/control', 'src/metrics', 'src/errors.ts', 'src/log.ts'],
  'src/page': ['src/metrics/sample.ts'],
  'src/http': [
    'protocol',
    'src/native/hiccups.ts',
    'src/channel',
    'src/registry',
    'src/control',
    'src/inspect',
    'src/metrics',
    'src/spans/spans.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log.ts',
  ],
  'src/gateway': [
    'protocol',
    'src/system',
    'src/channel',
    'src/verify',
    'src/control',
    'src/spans/spans.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log.ts',
  ],
  'src/client': [
    'protocol',
    'src/pkcs11',
    'src/native',
    'src/system/regular-file.ts',
    'src/transport/udp-native.ts',
    'src/verify/tree-hash.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log-buckets.ts',
    'src/optional-libraries.ts',
  ],
  'src/receipts': [
    'protocol',
    'src/system',
    'src/pkcs11',
    'src/verify/tree-hash.ts',
    'src/control',
    'src/meter/committed-source.ts',
    'src/client/keys',
    'src/errors.ts',
  ],
  'src/load': [
    'protocol',
    'src/system/regular-file.ts',
    'src/native',
    'src/ring',
    'src/transport',
    'src/channel/row.ts',
    'src/channel/table.ts',
    'src/verify',
    'src/client/keys/signer.ts',
    'src/client/links',
    'src/client/pool/pool.ts',
    'src/client/route/seeds.ts',
    'src/http/client.ts',
    'src/errors.ts',
    'src/host-port.ts',
    'src/log-buckets.ts',
    'src/pcap.ts',
  ],
};
/** What runs in a simulator as it is: its files, clock and random numbers are handed in (src/system). */
const SIMULATED = [
  'src/system',
  'src/folder',
  'src/journal',
  'src/control/token.ts',
  'src/threads/housekeeping.ts',
  'src/cluster',
];

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

test('no line of the rule names what stands below it', () => {
  const order = Object.keys(MAY_IMPORT);
  const upward = order.flatMap((folder, place) =>
    MAY_IMPORT[folder]!.filter(
      (name) => order.findIndex((other) => name === other || name.startsWith(`${other}/`)) >= place,
    ),
  );
  expect(upward).toEqual([]);
});

test('no files import each other in a circle', () => {
  const graph = new Map([...sources('protocol'), ...sources('src')].map((file) => [file, imports(file)]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(' > '));
    if (way.includes(file) || done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  expect(circles).toEqual([]);
});

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
          (target.startsWith('src/threads/') && !file.startsWith('src/threads/') && !file.startsWith('src/node/')),
      )
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('files, time and random numbers come in through src/system alone', () => {
  const ports = ['src/system/files.ts', 'src/system/system.ts'];
  const files = sources('src').filter((file) => SIMULATED.some((may) => file === may || file.startsWith(`${may}/`)));
  expect(files).toEqual(expect.arrayContaining([...ports, 'src/journal/writer.ts', 'src/control/token.ts']));
  const direct =
    /'node:fs(\/promises)?'|\brandom(Bytes|Int|UUID)\b|\bDate\.now\b|new Date\(\)|\bperformance\.now\b|Math\.random/;
  expect(files.filter((file) => direct.test(readFileSync(join(ROOT, file), 'utf8')))).toEqual(ports);
  const text = readFileSync(join(ROOT, ports[1]!), 'utf8');
  expect(text).not.toContain('node:fs');
});

test('xrpl.js is optional: one file imports it, and only when asked', () => {
  const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');
  const files = [...sources('src'), ...sources('tools')];
  expect(files.filter((file) => /^import (?!type\b).*from 'xrpl'/m.test(text(file)))).toEqual([]);
  expect(files.filter((file) => text(file).includes("await import('xrpl')"))).toEqual(['src/ledger/xrpl-library.ts']);
});

test('prom-client, and with it what watches the process, is loaded by the first scrape: one file imports it', () => {
  const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');
  const files = [...sources('src'), ...sources('tools')];
  expect(files.filter((file) => /^import (?!type\b).*from 'prom-client'/m.test(text(file)))).toEqual([]);
  expect(files.filter((file) => text(file).includes("import('prom-client')"))).toEqual(['src/metrics/exposition.ts']);
});

test('ws, node-datachannel and pg are optional: one file imports them, and only when asked', () => {
  const text = (file: string) => readFileSync(join(ROOT, file), 'utf8');
  const files = [...sources('src'), ...sources('tools')];
  const library = "'(ws|pg|node-datachannel(/polyfill)?)'";
  expect(files.filter((file) => new RegExp(`^import (?!type\\b).*from ${library}`, 'm').test(text(file)))).toEqual([]);
  const dynamic = new RegExp(`=> import\\(${library}\\)`);
  expect(files.filter((file) => dynamic.test(text(file)))).toEqual(['src/optional-libraries.ts']);
});

test('carriers run in browsers: no modules of Node', () => {
  const text = (file: string) => readFileSync(join(ROOT, 'src/client/links', file), 'utf8');
  for (const file of ['carrier.ts', 'carrier-websocket.ts', 'carrier-webrtc.ts', 'link-udp.ts', 'peer-link.ts'])
    expect(text(file), file).not.toMatch(/^import (?!type\b).*from '(node:|\.\/transport-udp)/m);
});

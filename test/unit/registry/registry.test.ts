/** The registry as a store: rows in, rows out, durable, and owned by one process at a time. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Channel, decodeRow, encodeRow, ROW_BYTES } from '../../../src/channel/row.ts';
import { checkRegistry } from '../../../src/registry/check.ts';
import { openEnvironment } from '../../../src/registry/environment.ts';
import { ownerOf } from '../../../src/registry/owner.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { compiled } from '../../support/compiled.ts';
import { openRow } from '../../support/open-channel.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-registry-'));
let folders = 0;
let dist = '';
const freshFolder = () => join(work, `data-${folders++}`, 'registry');

beforeAll(() => {
  dist = compiled('registry', ['src/registry/registry.ts', 'src/registry/check.ts']);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function packed(channels: Channel[]): Uint8Array {
  const rows = new Uint8Array(channels.length * ROW_BYTES);
  channels.forEach((row, index) => {
    encodeRow(row, rows, index * ROW_BYTES);
  });
  return rows;
}

function openRegistry(directory: string): Registry {
  mkdirSync(dirname(directory), { recursive: true });
  return Registry.open(directory);
}

test('keeps every field of a channel over close and open, and replaces by position', async () => {
  const directory = freshFolder();
  let registry = openRegistry(directory);
  const full = openRow(2n ** 64n - 1n, {
    committed: 2n ** 64n - 1n,
    capacity: 2n ** 64n - 1n,
    sequence: 2 ** 32 - 1,
    timestampBits: 0x7ff8_0000_0000_0001n,
    signature: new Uint8Array(64).fill(9),
    profile: 'link',
    state: 'closed',
    expiresAt: 2 ** 32 - 1,
  });
  await registry.replace([], packed([openRow(9n), openRow(256n)]));
  await registry.replace([], packed([full]));
  await registry.replace([1], packed([openRow(256n, { capacity: 7n })]));
  expect(registry.count).toBe(3);
  await registry.close();
  registry = Registry.open(directory);
  expect(registry.count).toBe(3);
  const rows: Uint8Array[] = [];
  expect(registry.forEachRow((row) => rows.push(row.slice()))).toBe(3);
  expect(decodeRow(rows[2]!)).toEqual(full);
  expect(decodeRow(rows[1]!).capacity).toBe(7n);
  const expected = new Uint8Array(ROW_BYTES);
  encodeRow(openRow(9n), expected);
  expect(Buffer.from(rows[0]!)).toEqual(Buffer.from(expected));
  await registry.close();
});

test('the meta record is made once and changes field by field', async () => {
  const directory = freshFolder();
  let registry = openRegistry(directory);
  const { journalId, createdAt } = registry.meta;
  expect(journalId).toMatch(/^[0-9a-f]{32}$/);
  registry.setMeta({ replayFrom: [3, 5] });
  await registry.close();
  registry = Registry.open(directory);
  expect(registry.meta).toEqual({ format: 1, createdAt, journalId, replayFrom: [3, 5] });
  expect(registry.count).toBe(0);
  await registry.close();
  expect(readdirSync(join(directory, '..'))).toEqual(['registry']);
});

test('what was resolved is in the file when the process is killed right after', () => {
  const directory = freshFolder();
  const program = join(work, 'kill.mjs');
  writeFileSync(
    program,
    `import { mkdirSync } from 'node:fs';
     import { dirname } from 'node:path';
     import { Registry } from ${JSON.stringify(join(dist, 'src/registry/registry.js'))};
     import { encodeRow, ROW_BYTES } from ${JSON.stringify(join(dist, 'src/channel/row.js'))};
     const directory = process.argv[2];
     mkdirSync(dirname(directory), { recursive: true });
     const registry = Registry.open(directory);
     registry.acquireLock();
     const rows = new Uint8Array(500 * ROW_BYTES);
     for (let id = 0; id < 500; id++)
       encodeRow({ channelId: BigInt(id) << 40n, ledgerChannelId: new Uint8Array(32), publicKey: new Uint8Array(33),
         capacity: 9n, committed: 0n, sequence: 0, timestampBits: 0n, signature: new Uint8Array(64), profile: 'xrpl',
         state: 'open', expiresAt: 0 }, rows, id * ROW_BYTES);
     await registry.replace([], rows);
     process.kill(process.pid, 'SIGKILL');`,
  );
  const run = spawnSync(process.execPath, [program, directory], { timeout: 30_000, encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.signal).toBe('SIGKILL');
  expect(checkRegistry(directory)).toBe(500);
});

test('refuses a folder that a living process owns, and takes it over when that process is dead', async () => {
  const registry = openRegistry(freshFolder());
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  registry.acquireLock(ownerOf(other.pid!));
  expect(() => registry.acquireLock()).toThrow(
    expect.objectContaining({ code: 'DATA_LOCKED', message: expect.stringContaining(`process ${other.pid}`) }),
  );
  other.kill('SIGKILL');
  await once(other, 'exit');
  registry.acquireLock();
  registry.acquireLock();
  registry.releaseLock();
  expect(registry.count).toBe(0);
  await registry.close();
});

test('another process that has the pid of a dead owner does not keep the folder locked', async () => {
  const registry = openRegistry(freshFolder());
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  registry.acquireLock({ ...ownerOf(other.pid!), startTicks: '1' });
  registry.acquireLock();
  registry.acquireLock({ ...ownerOf(other.pid!), bootId: 'another boot' });
  registry.acquireLock();
  other.kill('SIGKILL');
  await registry.close();
});

test('of several processes that race for a dead owner’s folder exactly one gets it', async () => {
  const directory = freshFolder();
  const registry = openRegistry(directory);
  registry.acquireLock({ ...ownerOf(process.pid), pid: 2 ** 22 + 1 });
  await registry.close();
  const program = join(work, 'race.mjs');
  writeFileSync(
    program,
    `import { Registry } from ${JSON.stringify(join(dist, 'src/registry/registry.js'))};
     const registry = Registry.open(process.argv[2]);
     try { registry.acquireLock(); console.log('owner'); } catch (error) { console.log(error.code); }
     process.stdin.resume().on('end', () => process.exit(0));`,
  );
  const racers = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const answers = await Promise.all(racers.map(async ({ stdout }) => String((await once(stdout, 'data'))[0]).trim()));
  for (const { stdin } of racers) stdin.end();
  await Promise.all(racers.map((racer) => once(racer, 'exit')));
  expect(answers.sort()).toEqual(['DATA_LOCKED', 'DATA_LOCKED', 'DATA_LOCKED', 'owner']);
});

test('a reader that finds a writer’s pages says that the folder is in use, never that it is damaged', async () => {
  const directory = freshFolder();
  const registry = openRegistry(directory);
  await registry.replace([], packed(Array.from({ length: 2000 }, (_, id) => openRow(BigInt(id)))));
  const program = join(work, 'reader.mjs');
  writeFileSync(
    program,
    `import { checkRegistry } from ${JSON.stringify(join(dist, 'src/registry/check.js'))};
     const codes = new Set();
     const end = Date.now() + 1500;
     while (Date.now() < end) {
       try { codes.add(checkRegistry(process.argv[2]) >= 2000 ? 'sound' : 'short'); } catch (error) { codes.add(error.code); }
     }
     console.log(JSON.stringify([...codes]));`,
  );
  const reader = spawn(process.execPath, [program, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  reader.stdout.on('data', (data) => {
    output += data;
  });
  const ended = once(reader, 'exit');
  let running = true;
  void ended.then(() => {
    running = false;
  });
  for (let round = 1; running; round++) {
    const positions = Array.from({ length: 40 }, (_, id) => (id * 37 + round) % 2000);
    await registry.replace(positions, packed(positions.map((position) => openRow(BigInt(position)))));
  }
  const codes = JSON.parse(output) as string[];
  expect(codes).toContain('sound');
  for (const code of codes) expect(['sound', 'DATA_LOCKED']).toContain(code);
  await registry.close();
});

test('read-only opening makes nothing', () => {
  const directory = freshFolder();
  expect(() => Registry.open(directory, { readOnly: true })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
  expect(existsSync(directory)).toBe(false);
  expect(checkRegistry(directory)).toBe(0);
});

test('closing waits for the commit under way, whose rows are counted in the open database', async () => {
  const registry = Registry.open(join(work, 'closing'));
  const { database } = registry as unknown as { database: { batch(act: () => void): Promise<boolean> } };
  const batch = database.batch.bind(database);
  // On a busy machine the answer to a commit comes late.
  database.batch = async (act) => {
    const isDone = await batch(act);
    await new Promise((resolve) => setTimeout(resolve, 20));
    return isDone;
  };
  const row = new Uint8Array(ROW_BYTES);
  const written = registry.replace([], row);
  const closed = registry.close();
  expect(await Promise.allSettled([written, closed])).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
  expect(registry.count).toBe(1);
});

test('a registry of another format is refused with what it is, and one without a format record', async () => {
  const directory = freshFolder();
  const registry = openRegistry(directory);
  registry.setMeta({ format: 99 } as never);
  await registry.close();
  expect(() => openRegistry(directory)).toThrow(
    expect.objectContaining({
      code: 'REGISTRY_CORRUPT',
      message: expect.stringContaining('expected format 1, got 99'),
    }),
  );
  const bare = join(freshFolder(), 'registry');
  mkdirSync(bare, { recursive: true });
  const database = openEnvironment(bare, 1 << 20, false);
  database.putSync(Buffer.from('x'), Buffer.from('y'));
  await database.close();
  expect(() => Registry.open(bare)).toThrow(
    expect.objectContaining({ code: 'REGISTRY_CORRUPT', message: expect.stringContaining('expected a format record') }),
  );
});

test('a folder that LMDB cannot open says so with its path', () => {
  const directory = freshFolder();
  mkdirSync(dirname(directory), { recursive: true });
  writeFileSync(directory, 'no folder');
  expect(() => openEnvironment(directory, 1 << 20, false)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(directory) }),
  );
});

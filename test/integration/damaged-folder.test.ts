/**
 * Folders of a killed node with one file cut, flipped, swapped, removed or read-only: the node says with a code what is wrong and
 * overwrites nothing, or it starts with everything that was acknowledged. The last group of a journal alone may be torn, and
 * then the node says so and keeps the segment.
 *
 * DAMAGES and SEED choose how many and which (`make rounds`).
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { walkRegistry } from '../../src/registry/check.ts';
import { brieflyOrAtLength } from '../support/length.ts';
import { getJson, NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { type Random, random } from '../support/random.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

const DAMAGES = Number(process.env.DAMAGES || brieflyOrAtLength(1, 30));
const SEED = Number(process.env.SEED || 1);
const CHANNELS = 20;
const AMOUNTS = 10;
const KINDS = ['swapped', 'flipped', 'cut', 'removed'] as const;
/** Of a segment the part that claims can be in here. */
const USED_BYTES = 64 * 1_024;
const COMPARED_BYTES = 1 << 20;
const FLAGS = ['--layout', 'lanes', '--lanes', '2'];

const folder = temporaryFolders();
let killed: string;

beforeAll(async () => {
  killed = folder('damage');
  const node = new NodeProcess(killed, FLAGS);
  const ready = await node.ready;
  await openChannels(
    ready,
    killed,
    channels().map((id) => openingJson(id)),
  );
  const peers = await Promise.all(Array.from({ length: 4 }, () => WirePeer.to(ready.udp)));
  for (let amount = 1; amount <= AMOUNTS; amount++)
    for (const id of channels())
      expect((await peers[Number(id) % peers.length]!.ask(signedClaim(id, BigInt(amount)))).status).toBe(0);
  for (const peer of peers) peer.close();
  node.kill('SIGKILL');
  await node.exit;
}, 60_000);

function channels(): bigint[] {
  return Array.from({ length: CHANNELS }, (_, index) => BigInt(index + 1));
}

/** Its holes stay holes. */
function copied(name: string): string {
  const copy = join(folder(name), 'data');
  const run = spawnSync('cp', ['-a', '--sparse=always', killed, copy], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  return copy;
}

/** Rows alone, of a registry that can be read: a start notes in another record that it has the folder. */
function registryRows(path: string): Buffer {
  const hash = createHash('sha256');
  try {
    walkRegistry(dirname(path), (row) => hash.update(row));
    return hash.digest();
  } catch {
    return readFileSync(path);
  }
}

/** Files that keep money. */
function filesOf(data: string): string[] {
  return readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(data.length + 1))
    .filter((name) => !/(^|\/)lock|\.tmp$/.test(name))
    .sort();
}

/** The size and what was written: a segment is 64 MiB, of which claims take the beginning. */
function written(path: string): Buffer {
  const file = openSync(path, 'r');
  const bytes = Buffer.alloc(COMPARED_BYTES);
  bytes.writeDoubleLE(statSync(path).size, COMPARED_BYTES - 8);
  readSync(file, bytes, 0, COMPARED_BYTES - 8, 0);
  closeSync(file);
  return bytes;
}

/** By path a hash. */
function contents(data: string): Map<string, string> {
  const bytes = (name: string) => (name === 'registry/data.mdb' ? registryRows : written)(join(data, name));
  return new Map(filesOf(data).map((name) => [name, createHash('sha256').update(bytes(name)).digest('hex')]));
}

function damage(data: string, kind: (typeof KINDS)[number], draw: Random): string {
  const paths = filesOf(data);
  const name = paths[draw.below(paths.length)]!;
  const path = join(data, name);
  const { size } = statSync(path);
  const place = draw.below(Math.max(1, Math.min(size, name.endsWith('.seg') ? USED_BYTES : size)));
  if (kind === 'removed') rmSync(path);
  else if (kind === 'swapped') {
    const other = join(data, paths[(paths.indexOf(name) + 1 + draw.below(paths.length - 1)) % paths.length]!);
    renameSync(path, `${path}.swapping`);
    renameSync(other, path);
    renameSync(`${path}.swapping`, other);
    return `${name} swapped with ${other.slice(data.length + 1)}`;
  } else {
    const file = openSync(path, 'r+');
    if (kind === 'cut') ftruncateSync(file, place);
    else {
      const byte = new Uint8Array(1);
      readSync(file, byte, 0, 1, place);
      byte[0]! ^= 1 << draw.below(8);
      writeSync(file, byte, 0, 1, place);
    }
    closeSync(file);
  }
  return `${name} ${kind} at ${place} of ${size}`;
}

/** What the refusal names: one of the stable codes. */
function codeIn(stderr: string): string | undefined {
  const code = /\(([A-Z_]+)\)\s*$/.exec(stderr.trim())?.[1];
  return ERROR_CODES.find((known) => known === code);
}

async function judge(data: string, what: string): Promise<'refused' | 'recovered' | 'torn'> {
  const before = contents(data);
  const node = new NodeProcess(data, FLAGS);
  const ready = await node.ready.catch(() => undefined);
  if (ready === undefined) {
    expect((await node.exit).code, `${what}: ${node.stderr}`).toBe(1);
    expect(codeIn(node.stderr), `${what}: ${node.stderr}`).toBeDefined();
    const after = contents(data);
    // A token that is wrong is found when the journal is in the registry already, which harms nothing.
    for (const [name, hash] of before)
      if (!what.includes('admin-token') || name === 'admin-token')
        expect(after.get(name), `${what}: ${name} was not overwritten: ${node.stderr}`).toBe(hash);
    return 'refused';
  }
  const rows = await getJson<ChannelJson[]>(ready, '/channels?limit=1000');
  await node.stop();
  const isTorn = readdirSync(data, { recursive: true }).some((path) => /torn/.test(String(path)));
  if (isTorn) expect(node.stderr, what).toMatch(/torn/);
  expect(rows.length, `${what}: ${node.stderr}`).toBe(CHANNELS);
  for (const { committed, channelId } of rows) {
    if (isTorn) expect(Number(committed), `${what}: channel ${channelId}`).toBeLessThanOrEqual(AMOUNTS);
    else expect(committed, `${what}: channel ${channelId}: ${node.stderr}`).toBe(String(AMOUNTS));
  }
  return isTorn ? 'torn' : 'recovered';
}

test(`${DAMAGES} folders with a file cut, flipped, swapped or removed: refused with a code, or all that was acknowledged is there`, {
  timeout: 60_000 + DAMAGES * 10_000,
}, async () => {
  const counts: Record<string, number> = {};
  for (let round = 0; round < DAMAGES; round++) {
    const draw = random(SEED * 1_000 + round);
    const data = copied('damaged');
    const what = `SEED=${SEED}, round ${round}: ${damage(data, KINDS[round % KINDS.length]!, draw)}`;
    const outcome = await judge(data, what);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (process.env.DAMAGES) console.log(`${outcome.padEnd(9)} ${what}`);
    rmSync(data, { recursive: true, force: true });
  }
  console.log(JSON.stringify(counts));
});

const isRoot = process.getuid?.() === 0;
const mounted: string[] = [];
afterAll(() => {
  for (const path of mounted) spawnSync('umount', ['-l', path]);
});

test('a folder that can only be read is refused with a code', async () => {
  const data = copied('read-only');
  if (isRoot) {
    // Root may write what the mode forbids.
    spawnSync('mount', ['--bind', data, data]);
    mounted.push(data);
    const { status, stderr } = spawnSync('mount', ['-o', 'remount,bind,ro', data], { encoding: 'utf8' });
    if (status !== 0) {
      console.warn(`READ-ONLY FOLDERS NOT CHECKED HERE: ${stderr}`);
      return;
    }
  } else chmodSync(data, 0o500);
  const before = contents(data);
  const node = new NodeProcess(data, FLAGS);
  await node.ready.catch(() => undefined);
  expect((await node.exit).code).not.toBe(0);
  expect(codeIn(node.stderr), node.stderr).toBeDefined();
  expect(contents(data)).toEqual(before);
  expect(existsSync(join(data, 'registry', 'data.mdb'))).toBe(true);
  if (!isRoot) chmodSync(data, 0o700);
});

/** A meta page that a loss of power made garbage: put back where the other snapshot is sound, and nowhere else. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeRow, ROW, ROW_BYTES } from '../../../src/channel/row.ts';
import { checkRegistry, walkRegistry } from '../../../src/registry/check.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { restoreTornMeta } from '../../../src/registry/restore.ts';
import { random } from '../../support/random.ts';

const PAGE = 4096;
const ROWS = 60;
const work = mkdtempSync(join(tmpdir(), 'claimwire-restore-'));
const sound = join(work, 'sound');
let copies = 0;

function row(index: number, committed: bigint): Uint8Array {
  const bytes = new Uint8Array(ROW_BYTES);
  encodeRow(
    {
      channelId: BigInt(index + 1),
      ledgerChannelId: new Uint8Array(32).fill(index),
      publicKey: new Uint8Array(33).fill(3),
      capacity: 1_000_000n,
      committed,
      sequence: index,
      timestampBits: 0n,
      signature: new Uint8Array(64).fill(index),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    },
    bytes,
  );
  return bytes;
}

const rowsOf = (committed: bigint) =>
  new Uint8Array(Buffer.concat(Array.from({ length: ROWS }, (_, index) => row(index, committed))));
const everyRow = Array.from({ length: ROWS }, (_, index) => index);

/** What every row has committed, the same for all. */
function committedIn(directory: string): bigint {
  const seen = new Set<bigint>();
  walkRegistry(directory, (bytes) =>
    seen.add(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(ROW.committed, true)),
  );
  expect(seen.size).toBe(1);
  return [...seen][0]!;
}

function copied(change: (data: Buffer) => void): { directory: string; data: Buffer } {
  const directory = join(work, `copy-${copies++}`);
  cpSync(sound, directory, { recursive: true });
  const data = readFileSync(join(directory, 'data.mdb'));
  change(data);
  writeFileSync(join(directory, 'data.mdb'), data);
  return { directory, data };
}
const bytesOf = (directory: string) => readFileSync(join(directory, 'data.mdb'));
const garbage = (seed: number, page: number) => (data: Buffer) => void data.set(random(seed).bytes(PAGE), page * PAGE);
const newestMeta = (data: Buffer) => (data.readBigUInt64LE(152) > data.readBigUInt64LE(PAGE + 152) ? 0 : 1);

beforeAll(async () => {
  const registry = Registry.open(sound);
  await registry.replace([], rowsOf(1n));
  // The last two commits differ by this alone.
  for (const committed of [2n, 3n, 4n]) await registry.replace(everyRow, rowsOf(committed));
  await registry.close();
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

test('the page that a commit was writing: the commit before stands, and the registry goes on', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { directory, data } = copied((bytes) => garbage(seed, newestMeta(bytes))(bytes));
    expect(() => checkRegistry(directory)).toThrow(expect.objectContaining({ code: 'REGISTRY_CORRUPT' }));
    const kept = restoreTornMeta(directory)!;
    const page = newestMeta(readFileSync(join(sound, 'data.mdb')));
    expect(readFileSync(kept).equals(data.subarray(page * PAGE, (page + 1) * PAGE))).toBe(true);
    expect(committedIn(directory)).toBe(3n);
    const registry = Registry.open(directory);
    // Both meta pages are written again, one after the other.
    for (const committed of [5n, 6n, 7n]) {
      await registry.replace(everyRow, rowsOf(committed));
      expect(committedIn(directory)).toBe(committed);
    }
    await registry.close();
    expect(restoreTornMeta(directory)).toBeUndefined();
  }
});

test('the older page: nothing is lost at all', () => {
  const { directory } = copied((bytes) => garbage(1, 1 - newestMeta(bytes))(bytes));
  expect(restoreTornMeta(directory)).toBeDefined();
  expect(committedIn(directory)).toBe(4n);
});

test('a page put back holds no snapshot to fall back on', () => {
  const { directory } = copied((bytes) => garbage(1, 1 - newestMeta(bytes))(bytes));
  restoreTornMeta(directory);
  const data = bytesOf(directory);
  garbage(2, newestMeta(data))(data);
  writeFileSync(join(directory, 'data.mdb'), data);
  expect(restoreTornMeta(directory)).toBeUndefined();
  expect(() => checkRegistry(directory)).toThrow(expect.objectContaining({ code: 'REGISTRY_CORRUPT' }));
});

test('a sound registry, flipped bits, a damaged snapshot and two garbage pages stay as they are', () => {
  const root = (data: Buffer) => Number(data.readBigUInt64LE((1 - newestMeta(data)) * PAGE + 136)) * PAGE;
  const changes: ((data: Buffer) => void)[] = [
    () => {},
    (data) => {
      garbage(1, 0)(data);
      garbage(2, 1)(data);
    },
    (data) => {
      const tree = root(data);
      garbage(1, newestMeta(data))(data);
      data.set(random(3).bytes(64), tree + PAGE - 64);
    },
  ];
  for (const page of [0, 1])
    for (let bit = 0; bit < 168 * 8; bit += 5)
      changes.push((data) => {
        data[page * PAGE + (bit >> 3)]! ^= 1 << (bit & 7);
      });
  for (const change of changes) {
    const { directory, data } = copied(change);
    expect(restoreTornMeta(directory)).toBeUndefined();
    expect(bytesOf(directory).equals(data)).toBe(true);
    rmSync(directory, { recursive: true });
  }
});

test('no folder, no file', () => {
  expect(restoreTornMeta(join(work, 'nowhere'))).toBeUndefined();
});

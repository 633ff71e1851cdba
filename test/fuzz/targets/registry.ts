/**
 * A registry's file with any bytes written over it: it is read as sound, or refused as an LmdbFault; nothing else is thrown, and nothing
 * is asked for that the file has not. An input is patches: page, offset in it, length, bytes.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROW_BYTES } from '../../../src/channel/row.ts';
import { walkRows } from '../../../src/registry/check.ts';
import { garbageMeta, LmdbFault, olderMetaPage, readLmdbMeta } from '../../../src/registry/lmdb-meta.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { packedRows } from '../../support/packed-rows.ts';
import type { Target } from '../target.ts';

const PAGE_BYTES = 4_096;
const ROWS = 60;
const PATCH_HEADER_BYTES = 4;

const folder = mkdtempSync(join(tmpdir(), 'claimwire-fuzz-'));
const sound = await soundFile();
const fd = openSync(join(folder, 'fuzzed.mdb'), 'w+');
writeSync(fd, sound, 0, sound.length, 0);
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

export const target: Target = {
  bytesMax: 256,
  seeds: () => [
    Uint8Array.of(),
    patch(0, 24, 4),
    patch(1, 152, 8),
    patch(2, 0, 24),
    patch(3, 20, 4),
    patch(4, 24, 16),
    patch(5, 10, 14),
    new Uint8Array([...patch(0, 40, 8), ...patch(1, 40, 8)]),
    new Uint8Array([...patch(0, 96, 48), ...patch(1, 96, 48)]),
  ],
  run(bytes) {
    const pages = patched(bytes);
    try {
      for (const step of [read, readOlder])
        try {
          step();
        } catch (error) {
          if (!(error instanceof LmdbFault)) throw error;
        }
    } finally {
      for (const page of pages) writeSync(fd, sound, page * PAGE_BYTES, PAGE_BYTES, page * PAGE_BYTES);
    }
  },
};

function read(): void {
  const meta = readLmdbMeta(fd);
  const rows = walkRows(fd, meta, (row) => assert.equal(row.length, ROW_BYTES));
  assert(rows <= ROWS, 'no row is made up');
}

/** What a start does about a meta page that is garbage (restore.ts). */
function readOlder(): void {
  const garbage = garbageMeta(fd);
  if (garbage === undefined) return;
  const page = olderMetaPage(fd, garbage.index, garbage.sound);
  assert.equal(page.length, garbage.sound.pageBytes);
}

/** Writes the patches into the file; returns the pages that have some. */
function patched(bytes: Uint8Array): Set<number> {
  const pages = new Set<number>();
  for (let at = 0; at + PATCH_HEADER_BYTES <= bytes.length; ) {
    const page = bytes[at]! % (sound.length / PAGE_BYTES);
    const offset = ((bytes[at + 1]! << 8) | bytes[at + 2]!) % PAGE_BYTES;
    const length = Math.min(bytes[at + 3]!, bytes.length - at - PATCH_HEADER_BYTES, PAGE_BYTES - offset);
    at += PATCH_HEADER_BYTES;
    if (length > 0) writeSync(fd, bytes, at, length, page * PAGE_BYTES + offset);
    at += length;
    pages.add(page);
  }
  return pages;
}

/** A patch that changes nothing, so that a change of it is a small change of the file. */
function patch(page: number, offset: number, length: number): Uint8Array {
  const start = page * PAGE_BYTES + offset;
  return new Uint8Array([page, offset >> 8, offset & 0xff, length, ...sound.subarray(start, start + length)]);
}

async function soundFile(): Promise<Buffer> {
  const directory = join(folder, 'sound');
  const registry = Registry.open(directory);
  await registry.replace([], packedRows(0, ROWS, 4n));
  for (let round = 0; round < 4; round++)
    await registry.replace([round, round * 9], packedRows(round, 2, BigInt(round + 5)));
  registry.setMeta({ replayFrom: [1, 2] });
  await registry.close();
  const file = readFileSync(join(directory, 'data.mdb'));
  assert.equal(file.length % PAGE_BYTES, 0);
  return file;
}

/**
 * The registry's file with damage in its leaf pages, read with C and without: the same rows, or refused by both. Checksums of rows are
 * made right again after most changes, so that what lies behind that check is reached.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { packedRows, ROW, ROW_BYTES } from '../../../src/channel/row.ts';
import { rowOfLeaf, walkRows } from '../../../src/registry/check.ts';
import { LmdbFault, type LmdbMeta, readLmdbMeta } from '../../../src/registry/lmdb-meta.ts';
import { nativeLeafCheck } from '../../../src/registry/native-rows.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { random } from '../../support/random.ts';

const CASES = brieflyOrAtLength(500, 100_000);
const ROWS = 60;
const HEADER_BYTES = 24;
/** Bytes of a node before its row: its header, and its key. */
const ROW_AT = 8 + 5;
const work = mkdtempSync(join(tmpdir(), 'claimwire-native-rows-fuzz-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));
const from = random(11);

function channelOf() {
  const ledgerChannelId = from.bytes(32);
  return {
    channelId: new DataView(ledgerChannelId.buffer).getBigUint64(0),
    ledgerChannelId,
    publicKey: Uint8Array.of(2, ...from.bytes(32)),
    capacity: from.u64(),
    committed: from.u64(),
    sequence: from.u32(),
    timestampBits: from.u64(),
    signature: from.bytes(64),
    profile: 'xrpl' as const,
    state: 'open' as const,
    expiresAt: from.u32(),
  };
}

/** All rows, or 'refused'; `byPage` counts the rows that C took. */
function read(fd: number, meta: LmdbMeta, isNative: boolean): { rows: string; byPage: number } {
  const rows: Uint8Array[] = [];
  let byPage = 0;
  const visit = (row: Uint8Array) => rows.push(row.slice());
  const visitLeaf = (page: Uint8Array, count: number) => {
    for (let row = 0; row < count; row++) visit(rowOfLeaf(page, row));
    byPage += count;
  };
  try {
    walkRows(fd, meta, visit, isNative ? visitLeaf : undefined);
  } catch (error) {
    if (!(error instanceof LmdbFault)) throw error;
    return { rows: 'refused', byPage };
  }
  return { rows: Buffer.concat(rows).toString('latin1'), byPage };
}

/** Where the nodes of a page lie. */
function offsetsOf(page: Buffer): number[] {
  const count = page.readUInt16LE(20) >> 1;
  return Array.from({ length: count }, (_, index) => HEADER_BYTES + page.readUInt16LE(HEADER_BYTES + 2 * index));
}

const WORDS = [0, 1, 2, 3, 5, 8, 176, 177, 0x7fff, 0x8000, 0xfff0, 0xffff];

/** Changes one thing or some in a page, mostly where a check looks. */
function damage(page: Buffer): void {
  const nodes = offsetsOf(page);
  for (let changes = 1 + from.below(3); changes > 0; changes--) {
    const node = nodes[from.below(nodes.length)]!;
    const word = from.below(3) === 0 ? from.below(0x10000) : WORDS[from.below(WORDS.length)]!;
    const kind = from.below(7);
    if (kind === 0) page.writeUInt16LE(word, 2 * from.below(12));
    else if (kind === 1) page.writeUInt16LE(word, HEADER_BYTES + 2 * from.below(nodes.length));
    else if (kind === 2) page.writeUInt16LE(word, node + 2 * from.below(4));
    else if (kind === 3) page[node + 8 + from.below(5)] = word;
    else if (kind === 4) page[node + ROW_AT + from.below(3)] = from.below(2) === 0 ? word : 0x80 | from.below(4);
    else if (kind === 5) page[node + ROW_AT + from.below(ROW_BYTES)]! ^= 1 << from.below(8);
    else page.copyWithin(node, nodes[from.below(nodes.length)]!, nodes[0]! + ROW_AT + ROW_BYTES);
  }
  if (from.below(8) === 0) return;
  for (const node of nodes) {
    const row = page.subarray(node + ROW_AT, node + ROW_AT + ROW_BYTES);
    if (row.length === ROW_BYTES) row.writeUInt32LE(crc32(row.subarray(0, ROW.crc)), ROW.crc);
  }
}

test.skipIf(nativeLeafCheck() === undefined)(
  'a damaged page is refused with C and without, or has the same rows for both',
  async () => {
    const registry = Registry.open(join(work, 'rows'));
    await registry.replace([], packedRows(Array.from({ length: ROWS }, channelOf)));
    await registry.close();
    const file = join(work, 'rows', 'data.mdb');
    const sound = readFileSync(file);
    const fd = openSync(file, 'r+');
    const meta = readLmdbMeta(fd);
    const { pageBytes } = meta;
    const isLeaf = (page: number) => {
      const at = page * pageBytes;
      return (
        sound.readBigUInt64LE(at) === BigInt(page) &&
        sound.readUInt16LE(at + 18) === 2 &&
        sound[at + pageBytes - ROW_AT - ROW_BYTES] !== 0
      );
    };
    const leaves = Array.from({ length: meta.lastPage - 1 }, (_, index) => index + 2).filter(isLeaf);
    expect(read(fd, meta, true)).toMatchObject({ rows: read(fd, meta, false).rows });
    expect(read(fd, meta, true).byPage).toBeGreaterThan(ROWS / 2);
    const seen = { refused: 0, taken: 0, byPage: 0 };
    for (let cases = 0; cases < CASES; cases++) {
      const at = leaves[from.below(leaves.length)]! * pageBytes;
      const page = Buffer.from(sound.subarray(at, at + pageBytes));
      damage(page);
      writeSync(fd, page, 0, pageBytes, at);
      const portable = read(fd, meta, false);
      const native = read(fd, meta, true);
      expect(native.rows === portable.rows, `case ${cases}`).toBe(true);
      if (portable.rows === 'refused') seen.refused++;
      else seen.taken++;
      if (native.rows !== 'refused' && native.byPage > ROWS / 2) seen.byPage++;
      writeSync(fd, sound, at, pageBytes, at);
    }
    closeSync(fd);
    // Both ways are reached.
    expect(Math.min(seen.refused, seen.taken, seen.byPage)).toBeGreaterThan(CASES / 50);
  },
  brieflyOrAtLength(60_000, 900_000),
);

test.skipIf(nativeLeafCheck() === undefined)(
  'C is asked about no page of a transaction that no number says exactly',
  () => {
    const check = nativeLeafCheck()!;
    for (const transaction of [-1, Number.NaN, 2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY])
      expect(() => check(new Uint8Array(4_096), 2, transaction, 0)).toThrow(/expected a page and three numbers/);
  },
);

/** A damaged registry is refused before LMDB sees it, or the damage lies where nothing is stored. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkRegistry, walkRegistry } from '../../../src/registry/check.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { packedRows } from '../../support/packed-rows.ts';

const PAGE = 4096;
const ROWS = 400;
const work = mkdtempSync(join(tmpdir(), 'claimwire-damage-'));
const sound = join(work, 'sound');
let bytes: Buffer;
let rowsBefore: string;
let copies = 0;

// A fixed generator, so that a failure comes back.
let seed = 0x2545f491;
function random(bound: number): number {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) % bound;
}

const allRows = (directory: string): string => {
  const parts: Buffer[] = [];
  walkRegistry(directory, (row) => parts.push(Buffer.from(row)));
  return Buffer.concat(parts).toString('base64');
};

beforeAll(async () => {
  const registry = Registry.open(sound);
  // Several commits, so that there are a free list and two snapshots.
  await registry.replace([], packedRows(0, ROWS, 4n));
  for (let round = 0; round < 6; round++) {
    const positions = Array.from({ length: 30 }, (_, index) => index * 13 + round);
    await registry.replace(positions, packedRows(0, positions.length, BigInt(round + 5)));
  }
  registry.setMeta({ replayFrom: [1, 2] });
  await registry.close();
  bytes = readFileSync(join(sound, 'data.mdb'));
  rowsBefore = allRows(sound);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

function copyWith(data: Uint8Array): string {
  const directory = join(work, `copy-${copies++}`);
  mkdirSync(directory);
  writeFileSync(join(directory, 'data.mdb'), data);
  return directory;
}

/** Every bit of both meta pages at length; briefly one or two of each byte. */
const META_BIT_STEP = brieflyOrAtLength(5, 1);
/** Which snapshot is the newer one is said by the last bytes of the transaction number, which stands here. */
const TRANSACTION_BITS = 152 * 8;
const TRIALS = brieflyOrAtLength(300, 1_500);
const COMMITTED_OVER = brieflyOrAtLength(15, 60);

const corrupt = expect.objectContaining({ code: 'REGISTRY_CORRUPT' });

test('a sound copy passes', () => {
  expect(bytes.length).toBeGreaterThan(20 * PAGE);
  expect(checkRegistry(copyWith(bytes))).toBe(ROWS);
});

test('an empty, missing, garbage or zeroed file is refused', () => {
  const missing = copyWith(bytes);
  rmSync(join(missing, 'data.mdb'));
  expect(() => checkRegistry(missing)).toThrow(corrupt);
  expect(() => checkRegistry(copyWith(new Uint8Array(0)))).toThrow(corrupt);
  expect(() => checkRegistry(copyWith(new Uint8Array(bytes.length)))).toThrow(corrupt);
  expect(() => checkRegistry(copyWith(Buffer.from('not a database '.repeat(9000))))).toThrow(corrupt);
});

test('a file cut short is refused wherever pages are missing', () => {
  for (const cut of [1, 100, PAGE - 1, PAGE, 2 * PAGE, 3 * PAGE + 7, bytes.length - 2 * PAGE, bytes.length - PAGE]) {
    const directory = copyWith(bytes);
    truncateSync(join(directory, 'data.mdb'), cut);
    refusedOrSame(directory, `cut at ${cut}`);
  }
  const half = copyWith(bytes.subarray(0, bytes.length >> 1));
  expect(() => checkRegistry(half)).toThrow(corrupt);
});

test('a zeroed page is refused, or it was free', () => {
  let refused = 0;
  for (let page = 0; page < bytes.length / PAGE; page++) {
    const data = Buffer.from(bytes);
    data.fill(0, page * PAGE, (page + 1) * PAGE);
    if (refusedOrSame(copyWith(data), `page ${page} zeroed`)) refused++;
  }
  expect(refused).toBeGreaterThan(10);
});

test('no flipped bit in a meta page sets the registry back to an older snapshot', { timeout: 60_000 }, async () => {
  for (const page of [0, 1])
    for (
      let bit = 0;
      bit < 168 * 8;
      bit += bit >= TRANSACTION_BITS - META_BIT_STEP && bit < TRANSACTION_BITS + 64 ? 1 : META_BIT_STEP
    ) {
      const data = Buffer.from(bytes);
      data[page * PAGE + (bit >> 3)]! ^= 1 << (bit & 7);
      const directory = copyWith(data);
      if (refusedOrSame(directory, `meta page ${page}, bit ${bit}`) || bit % (11 * META_BIT_STEP) !== 0) continue;
      const registry = Registry.open(directory);
      await registry.replace([], packedRows(5000, 1, 77n));
      expect(registry.forEachRow(() => {})).toBe(ROWS + 1);
      await registry.close();
    }
});

test('flipped bits anywhere are refused, or the rows are what they were and stay so over a commit', {
  timeout: 60_000,
}, async () => {
  const accepted: string[] = [];
  let refused = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const data = Buffer.from(bytes);
    const bit = random(bytes.length * 8);
    data[bit >> 3]! ^= 1 << (bit & 7);
    const directory = copyWith(data);
    if (refusedOrSame(directory, `bit ${bit}`)) refused++;
    else if (accepted.length < COMMITTED_OVER) accepted.push(directory);
    else rmSync(directory, { recursive: true });
  }
  expect(refused).toBeGreaterThan(TRIALS / 10);
  expect(accepted.length).toBe(COMMITTED_OVER);
  for (const directory of accepted) {
    const registry = Registry.open(directory);
    await registry.replace([], packedRows(5000, 30, 77n));
    await registry.replace([0, 77, 150, 399, 429], packedRows(5000, 5, 78n));
    expect(registry.forEachRow(() => {})).toBe(ROWS + 30);
    await registry.close();
    expect(checkRegistry(directory)).toBe(ROWS + 30);
  }
});

test('swapped, repeated and foreign pages are refused', () => {
  for (let trial = 0; trial < 60; trial++) {
    const data = Buffer.from(bytes);
    const pages = bytes.length / PAGE;
    const [target, source] = [2 + random(pages - 2), random(pages)];
    if (target === source) continue;
    bytes.copy(data, target * PAGE, source * PAGE, (source + 1) * PAGE);
    refusedOrSame(copyWith(data), `page ${source} over page ${target}`);
  }
});

test('a record of the registry that changed without its checksum is refused', () => {
  const directory = join(work, 'other');
  cpSync(sound, directory, { recursive: true });
  const data = readFileSync(join(directory, 'data.mdb'), 'latin1');
  expect(data).toContain('"format":1');
  writeFileSync(join(directory, 'data.mdb'), data.replaceAll('"format":1', '"format":2'), 'latin1');
  expect(() => checkRegistry(directory)).toThrow(corrupt);
});

/** Where things lie in the newest snapshot; the layout is LMDB's, written down here a second time on purpose. */
function newest() {
  const [slot] = [0, 1].sort((a, b) =>
    Number(bytes.readBigUInt64LE(b * PAGE + 152) - bytes.readBigUInt64LE(a * PAGE + 152)),
  );
  const meta = slot! * PAGE;
  const page = (offset: number) => Number(bytes.readBigUInt64LE(meta + offset)) * PAGE;
  return { meta, transaction: bytes.readBigUInt64LE(meta + 152), freeRoot: page(88), mainRoot: page(136) };
}

function refuses(change: (data: Buffer) => void, message: string): void {
  const data = Buffer.from(bytes);
  change(data);
  expect(data.equals(bytes)).toBe(false);
  expect(() => checkRegistry(copyWith(data))).toThrow(
    expect.objectContaining({ code: 'REGISTRY_CORRUPT', message: expect.stringContaining(message) }),
  );
}

test('the newest snapshot cannot be hidden by changing its transaction number', () => {
  const { meta, transaction } = newest();
  const set = (value: bigint) => (data: Buffer) => void data.writeBigUInt64LE(value, meta + 152);
  refuses(set(transaction - 2n), 'expected a transaction up to');
  for (const value of [0n, transaction - 1n, transaction + 1n, transaction + 2n, 2n ** 64n - 1n])
    refuses(set(value), 'meta pages one transaction apart');
});

test('a free list that names a page in use, or one past the end, is refused', () => {
  const { freeRoot, mainRoot } = newest();
  const node = freeRoot + 24 + bytes.readUInt16LE(freeRoot + 24);
  const list = node + 8 + bytes.readUInt16LE(node + 6);
  const count = Number(bytes.readBigUInt64LE(list));
  expect(bytes.readUInt16LE(freeRoot + 18)).toBe(2);
  expect(count).toBeGreaterThan(0);
  const last = list + count * 8;
  refuses((data) => void data.writeBigInt64LE(BigInt(mainRoot / PAGE), last), 'also used elsewhere');
  refuses((data) => void data.writeBigInt64LE(BigInt(freeRoot / PAGE), last), 'also used elsewhere');
  refuses((data) => void data.writeBigInt64LE(1n << 40n, last), 'expected a page of 2..');
  refuses((data) => void data.writeBigInt64LE(-(1n << 40n), last), 'expected a page number');
  refuses((data) => void data.writeBigUInt64LE(1n << 40n, list), 'expected as many page numbers as it says');
});

test('branch keys that would send a look-up to the wrong page are refused, though all rows can still be read', () => {
  const { mainRoot } = newest();
  expect(bytes.readUInt16LE(mainRoot + 18)).toBe(1);
  const count = bytes.readUInt16LE(mainRoot + 20) >> 1;
  expect(count).toBeGreaterThan(3);
  for (let index = 1; index < count; index++) {
    const key = mainRoot + 24 + bytes.readUInt16LE(mainRoot + 24 + index * 2) + 8;
    const value = bytes.readUInt32BE(key + 1);
    refuses((data) => void data.writeUInt32BE(value + 1, key + 1), "keys not below its parent's");
    refuses((data) => void data.writeUInt32BE(value - 1, key + 1), "keys below its parent's next");
  }
});

test('two branches to one page, a loop and a wrong depth are refused', () => {
  const { meta, mainRoot } = newest();
  const child = (index: number) => mainRoot + 24 + bytes.readUInt16LE(mainRoot + 24 + index * 2);
  refuses((data) => void data.writeUInt32LE(bytes.readUInt32LE(child(1)), child(0)), 'expected keys below');
  refuses((data) => void data.writeUInt32LE(mainRoot / PAGE, child(0)), 'also used elsewhere');
  for (const depth of [1, 3, 16]) refuses((data) => void data.writeUInt16LE(depth, meta + 102), 'page flags');
  refuses((data) => void data.writeBigUInt64LE(BigInt(ROWS), meta + 128), `got ${ROWS + 1}`);
});

test('a page whose bounds leave a gap is refused: LMDB moves bytes by them', () => {
  const { mainRoot } = newest();
  const upper = bytes.readUInt16LE(mainRoot + 22);
  refuses((data) => void data.writeUInt16LE(upper - 2, mainRoot + 22), 'bytes of nodes');
});

/** True when refused; otherwise asserts that what is read is what was stored. */
function refusedOrSame(directory: string, what: string): boolean {
  let rows: string;
  try {
    rows = allRows(directory);
  } catch (error) {
    expect((error as { code?: string }).code, `${what}: ${error}`).toBe('REGISTRY_CORRUPT');
    rmSync(directory, { recursive: true });
    return true;
  }
  expect(rows === rowsBefore, `${what}: rows as before`).toBe(true);
  return false;
}

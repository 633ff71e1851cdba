/** One list of cases for every registry: the one in LMDB and its twin in memory. Test's thread. */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { decodeRow, encodeRow, ROW_BYTES } from '../../../src/channel/row.ts';
import { Registry } from '../../../src/registry/registry.ts';
import type { RegistryStore } from '../../../src/registry/registry-store.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { openingOf } from '../../support/wire.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-store-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A registry, and what may happen to it. */
interface Subject {
  readonly registry: RegistryStore;
  /** The next commit finds no room on the disk. */
  failNext(): void;
  /** The process is killed now; `registry` is then another process's. */
  kill(): void;
  close(): Promise<void>;
}

let folders = 0;
const freshFolder = () => join(work, String(folders++), 'registry');

class InLmdb implements Subject {
  registry: Registry;
  readonly #opened: Registry[] = [];

  constructor() {
    this.registry = this.#open(freshFolder());
  }
  #open(directory: string): Registry {
    mkdirSync(dirname(directory), { recursive: true });
    const registry = Registry.open(directory);
    this.#opened.push(registry);
    return registry;
  }
  failNext(): void {
    const { database } = this.registry as unknown as { database: Record<string, unknown> };
    const fail = (name: string, act: () => unknown) => {
      const real = database[name];
      database[name] = () => {
        database[name] = real;
        return act();
      };
    };
    const full = () => Object.assign(new Error('no space left on device'), { code: 28 });
    fail('batch', () => Promise.reject(full()));
    fail('transactionSync', () => {
      throw full();
    });
  }
  /** Another process sees what the file holds at this moment. */
  kill(): void {
    const copy = freshFolder();
    cpSync(this.registry.directory, copy, { recursive: true });
    rmSync(join(copy, 'lock.mdb'), { force: true });
    this.registry = this.#open(copy);
  }
  async close(): Promise<void> {
    for (const registry of this.#opened) await registry.close();
  }
}

class InMemory implements Subject {
  registry = new MemoryRegistry();
  failNext(): void {
    this.registry.failures = 1;
  }
  kill(): void {
    this.registry = this.registry.kill();
  }
  async close(): Promise<void> {}
}

function packed(...rows: [channelId: bigint, committed: bigint][]): Uint8Array {
  const bytes = new Uint8Array(rows.length * ROW_BYTES);
  for (const [index, [channelId, committed]] of rows.entries()) {
    const unused = { sequence: 0, timestampBits: 0n, signature: new Uint8Array(64), state: 'open' } as const;
    encodeRow({ ...openingOf(channelId), ...unused, committed }, bytes, index * ROW_BYTES);
  }
  return bytes;
}

describe.each([
  ['in LMDB', () => new InLmdb()],
  ['in memory', () => new InMemory()],
] as const)('a registry %s', (_, make: () => Subject) => {
  let subject: Subject;
  afterEach(() => subject.close());
  const fresh = () => {
    subject = make();
    return subject;
  };
  const rowsOf = () => {
    const rows: [bigint, bigint][] = [];
    const count = subject.registry.forEachRow((row) => {
      const { channelId, committed } = decodeRow(row);
      rows.push([channelId, committed]);
    });
    expect([count, subject.registry.count]).toEqual([rows.length, rows.length]);
    return rows;
  };

  test('is empty at first, and belongs to a journal', () => {
    const { registry } = fresh();
    expect(rowsOf()).toEqual([]);
    expect(registry.meta).toMatchObject({ format: 1, replayFrom: [] });
    expect(registry.meta.journalId).toMatch(/^[0-9a-f]{32}$/);
  });

  test('appends rows in order, and replaces them by position, both in one commit', async () => {
    const { registry } = fresh();
    await registry.replace([], packed([9n, 0n], [256n, 0n], [3n, 0n]));
    await registry.replace([2, 0], packed([3n, 33n], [9n, 99n], [7n, 0n], [8n, 0n]));
    await registry.replace([], new Uint8Array());
    const expected = [
      [9n, 99n],
      [256n, 0n],
      [3n, 33n],
      [7n, 0n],
      [8n, 0n],
    ];
    expect(rowsOf()).toEqual(expected);
    subject.kill();
    expect(rowsOf()).toEqual(expected);
  });

  test('copies rows before the call returns', async () => {
    const { registry } = fresh();
    const rows = packed([1n, 5n]);
    const written = registry.replace([], rows);
    rows.fill(0xff);
    await written;
    expect(rowsOf()).toEqual([[1n, 5n]]);
  });

  test('takes whole rows at positions that are there alone', async () => {
    const { registry } = fresh();
    const asked = async (positions: number[], rows: Uint8Array) => registry.replace(positions, rows);
    await expect(asked([0], packed([1n, 0n]))).rejects.toThrow('rows replaced are there, got 0');
    await expect(asked([], new Uint8Array(ROW_BYTES + 1))).rejects.toThrow(`rows are ${ROW_BYTES} bytes each`);
    await registry.replace([], packed([1n, 0n]));
    await expect(asked([0, 0], packed([1n, 0n]))).rejects.toThrow('a row for each position');
    expect(rowsOf()).toEqual([[1n, 0n]]);
  });

  test('changes its meta record field by field, for good', () => {
    const { registry } = fresh();
    const { createdAt, journalId } = registry.meta;
    registry.setMeta({ replayFrom: [3, 5] });
    registry.setMeta({ segmentsThere: [3, 0] });
    subject.kill();
    const { meta } = subject.registry;
    expect(meta).toEqual({ format: 1, createdAt, journalId, replayFrom: [3, 5], segmentsThere: [3, 0] });
  });

  test('a commit that failed left nothing, and the next one goes through', async () => {
    const { registry } = fresh();
    await registry.replace([], packed([1n, 0n], [2n, 0n]));
    subject.failNext();
    await expect(registry.replace([1], packed([2n, 20n], [3n, 0n]))).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    expect(rowsOf()).toEqual([
      [1n, 0n],
      [2n, 0n],
    ]);
    await registry.replace([1], packed([2n, 21n]));
    expect(rowsOf()).toEqual([
      [1n, 0n],
      [2n, 21n],
    ]);
  });

  test('a change of the meta record that failed left the one before', () => {
    const { registry } = fresh();
    subject.failNext();
    expect(() => registry.setMeta({ replayFrom: [9] })).toThrow(expect.objectContaining({ code: 'REGISTRY_FULL' }));
    expect(registry.meta.replayFrom).toEqual([]);
    registry.setMeta({ replayFrom: [2] });
    expect(registry.meta.replayFrom).toEqual([2]);
  });

  test('what was committed is there after a kill; of what was under way all or nothing', async () => {
    const { registry } = fresh();
    await registry.replace([], packed([1n, 0n], [2n, 0n]));
    void registry.replace([0], packed([1n, 10n], [3n, 0n]));
    subject.kill();
    const left = rowsOf();
    expect([
      [
        [1n, 0n],
        [2n, 0n],
      ],
      [
        [1n, 10n],
        [2n, 0n],
        [3n, 0n],
      ],
    ]).toContainEqual(left);
    // The other process's commits are its own: what the dead one had under way never comes after them.
    await subject.registry.replace([1], packed([2n, 7n]));
    expect(rowsOf()).toEqual(left.map(([id, amount]) => [id, id === 2n ? 7n : amount]));
  });
});

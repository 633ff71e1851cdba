/**
 * A registry in memory, held to the contract of the one in LMDB (unit/registry/registry-store.test.ts). What has been
 * committed outlives the process that did it; commits may be told to fail. Test's thread.
 */
import { ROW_BYTES, rowFault } from '../../src/channel/row.ts';
import { assert, ClaimwireError } from '../../src/errors.ts';
import type { RegistryMeta, RegistryStore } from '../../src/registry/registry-store.ts';
import { type CommitDisk, NEXT_TURN } from './commit-disk.ts';

/** What is on stable storage. */
interface Committed {
  rows: Uint8Array[];
  meta: RegistryMeta;
}
const NEW_META = { format: 1, createdAt: '2026-01-01T00:00:00.000Z', journalId: '5a'.repeat(16), replayFrom: [] };

export class MemoryRegistry implements RegistryStore {
  /** So many commits fail from now on, as on a full disk. */
  failures = 0;
  readonly #committed: Committed;
  readonly #disk: CommitDisk;
  #isKilled = false;

  constructor(committed: Committed = { rows: [], meta: NEW_META }, disk: CommitDisk = NEXT_TURN) {
    this.#committed = committed;
    this.#disk = disk;
  }

  get count(): number {
    return this.#committed.rows.length;
  }
  get meta(): RegistryMeta {
    return structuredClone(this.#committed.meta);
  }
  setMeta(change: Partial<RegistryMeta>): void {
    this.#failWhereAsked();
    this.#disk.now(() => {
      this.#committed.meta = structuredClone({ ...this.#committed.meta, ...change });
    });
  }

  forEachRow(visit: (row: Uint8Array) => void): number {
    for (const row of this.#committed.rows) {
      assert(rowFault(row) === undefined, 'only sound rows are stored');
      visit(row.slice());
    }
    return this.count;
  }

  async replace(positions: readonly number[], rows: Uint8Array): Promise<void> {
    assert(positions.length <= rows.length / ROW_BYTES, 'a row for each position');
    for (const position of positions) assert(position < this.count, `rows replaced are there, got ${position}`);
    assert(rows.length % ROW_BYTES === 0, `rows are ${ROW_BYTES} bytes each, got ${rows.length}`);
    if (rows.length === 0) return;
    const next = this.#committed.rows.slice();
    for (let index = 0; index * ROW_BYTES < rows.length; index++)
      next[positions[index] ?? next.length] = rows.slice(index * ROW_BYTES, (index + 1) * ROW_BYTES);
    await this.#disk.later(() => {
      if (this.#isKilled) return;
      this.#failWhereAsked();
      this.#committed.rows = next;
    });
    // A killed process neither commits nor goes on.
    if (this.#isKilled) await new Promise(() => {});
  }

  /** The process is killed: another one finds what was committed, and nothing of what was under way. */
  kill(disk?: CommitDisk): MemoryRegistry {
    this.#isKilled = true;
    return new MemoryRegistry(this.#committed, disk);
  }

  #failWhereAsked(): void {
    if (this.failures === 0) return;
    this.failures--;
    throw new ClaimwireError('REGISTRY_FULL', 'registry in memory: expected room on the disk, got none');
  }
}

/**
 * Side tables in memory, held to the contract of those in LMDB (unit/registry/side-tables.test.ts). What has been committed
 * outlives the process that did it; commits may be told to fail. Test's thread.
 */
import { ClaimwireError } from '../../src/errors.ts';
import type { SideChange, SideTables } from '../../src/registry/side-tables.ts';
import { type CommitDisk, NEXT_TURN } from './commit-disk.ts';

/** What is on stable storage: for each table its values by the key in hex. */
type Committed = Map<string, Map<string, Uint8Array>>;

export class MemorySideTables implements SideTables {
  /** So many commits fail from now on, as on a full disk. */
  failures = 0;
  readonly #committed: Committed;
  readonly #disk: CommitDisk;
  #isKilled = false;

  constructor(committed: Committed = new Map(), disk: CommitDisk = NEXT_TURN) {
    this.#committed = committed;
    this.#disk = disk;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#committed.get(table)?.get(hex(key))?.slice();
  }

  *entries(table: string, from?: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    const rows = [...(this.#committed.get(table) ?? [])].sort(([left], [right]) => (left < right ? -1 : 1));
    const first = from === undefined ? '' : hex(from);
    for (const [key, value] of rows)
      if (key >= first) yield [new Uint8Array(Buffer.from(key, 'hex')), value.slice()] as const;
  }

  async commit(changes: readonly SideChange[]): Promise<void> {
    const copies = changes.map(({ table, key, value }) => ({ table, key: hex(key), value: value?.slice() }));
    await this.#disk.later(() => {
      if (this.#isKilled) return;
      if (this.failures > 0) {
        this.failures--;
        throw new ClaimwireError('REGISTRY_FULL', 'side tables in memory: expected room on the disk, got none');
      }
      for (const { table, key, value } of copies) {
        const rows = this.#committed.get(table) ?? new Map<string, Uint8Array>();
        if (value === undefined) rows.delete(key);
        else rows.set(key, value);
        this.#committed.set(table, rows);
      }
    });
    // A killed process neither commits nor goes on.
    if (this.#isKilled) await new Promise(() => {});
  }

  /** The process is killed: another one finds what was committed, and nothing of what was under way. */
  kill(disk?: CommitDisk): MemorySideTables {
    this.#isKilled = true;
    return new MemorySideTables(this.#committed, disk);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

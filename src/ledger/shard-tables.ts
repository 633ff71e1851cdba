/**
 * The side tables as the ledger's side writes them, where shards come and go: entries of a shard that is being given away are
 * written no more, and those under way are known, so that the giver can wait for them. Main thread.
 *
 * The database refuses what a node writes of a shard that it has given away. This holds also where the shard has come back
 * meanwhile: nothing that was begun before may be written after.
 */
import { ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';

export class ShardTables implements SideTables {
  readonly isSharded: boolean;
  readonly #tables: SideTables;
  readonly #drained = new Set<number>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(tables: SideTables) {
    this.#tables = tables;
    this.isSharded = tables.isSharded ?? false;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#tables.get(table, key);
  }
  entries(table: string, from?: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    return this.#tables.entries(table, from);
  }

  async commit(changes: readonly SideChange[]): Promise<void> {
    for (const { shard } of changes) if (shard !== undefined && this.#drained.has(shard)) throw moved(shard);
    const commit = this.#tables.commit(changes);
    const ended = commit.catch(() => {}).finally(() => this.#underWay.delete(ended));
    this.#underWay.add(ended);
    await commit;
  }

  /** Refuses changes of these shards from now on. Resolves when no commit under way has one: a moment, as commits are. */
  async drain(shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#drained.add(shard);
    await Promise.all(this.#underWay);
    // Who waited for them has taken note.
    await new Promise(setImmediate);
  }

  /** Takes changes of these shards. */
  serve(shards: readonly number[]): void {
    for (const shard of shards) this.#drained.delete(shard);
  }
}

function moved(shard: number): ClaimwireError {
  return new ClaimwireError(
    'MOVED',
    `ledger: expected one of this node's shards, got shard ${shard}, which is given to another node; ask for the route`,
  );
}

/** Whether it says that another node has the channel: what was under way here goes on there. */
export function isMoved(error: unknown): boolean {
  return error instanceof ClaimwireError && error.code === 'MOVED';
}

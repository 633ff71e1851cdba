/**
 * What a service has spent on channels, as their shards come and go: the side entries, the raises and the accounts over them, in the
 * order that keeps them together. Main thread.
 */

import type { Charges } from './meter/charges.ts';
import type { RaisedAmounts } from './registry/raised.ts';
import type { ShardSide } from './store/claim-database.ts';
import type { DatabaseSides } from './store/database-sides.ts';

interface ShardAccountsParts {
  sides: Pick<DatabaseSides, 'take' | 'drop'>;
  charges: Pick<Charges, 'drainShards' | 'serveShards' | 'dropShards'>;
  raised: Pick<RaisedAmounts, 'reload'>;
}

export class ShardAccounts {
  readonly #parts: ShardAccountsParts;

  constructor(parts: ShardAccountsParts) {
    this.#parts = parts;
  }

  load(side: ShardSide): void {
    this.#parts.sides.take(side);
  }
  /** All entries of the shards are loaded. */
  serve(shards: readonly number[]): void {
    this.#parts.raised.reload();
    this.#parts.charges.serveShards(shards);
  }
  drain(shards: readonly number[]): Promise<void> {
    return this.#parts.charges.drainShards(shards);
  }
  drop(shards: readonly number[]): void {
    this.#parts.sides.drop(shards);
    this.#parts.raised.reload();
    this.#parts.charges.dropShards(shards);
  }
}

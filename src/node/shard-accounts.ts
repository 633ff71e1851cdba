/**
 * What is kept of channels beside their rows, as their shards come and go: the side entries, what a service has spent, the raises,
 * and what the ledger's side knows (src/ledger), in the order that keeps them together. Main thread.
 */

import type { ShardFollower } from '../control/shard-control.ts';
import type { Charges } from '../meter/charges.ts';
import type { RaisedAmounts } from '../registry/raised.ts';
import type { ShardSide } from '../store/claim-database.ts';
import type { DatabaseSides } from '../store/database-sides.ts';

interface ShardAccountsParts {
  sides: Pick<DatabaseSides, 'take' | 'drop'>;
  charges: Pick<Charges, 'drainShards' | 'serveShards' | 'dropShards'>;
  raised: Pick<RaisedAmounts, 'reload'>;
}

export class ShardAccounts {
  readonly #parts: ShardAccountsParts;
  readonly #followers: ShardFollower[] = [];

  constructor(parts: ShardAccountsParts) {
    this.#parts = parts;
  }

  /** Has another part go with the shards; before any comes or goes. */
  follow(follower: ShardFollower): void {
    this.#followers.push(follower);
  }

  load(side: ShardSide): void {
    this.#parts.sides.take(side);
    for (const follower of this.#followers) follower.load(side);
  }
  /** All entries of the shards are loaded. */
  serve(shards: readonly number[]): void {
    this.#parts.raised.reload();
    this.#parts.charges.serveShards(shards);
    for (const follower of this.#followers) follower.serve(shards);
  }
  async drain(shards: readonly number[]): Promise<void> {
    const drains = this.#followers.map((follower) => follower.drain(shards));
    await Promise.all([this.#parts.charges.drainShards(shards), ...drains]);
  }
  drop(shards: readonly number[]): void {
    for (const follower of this.#followers) follower.drop(shards);
    this.#parts.sides.drop(shards);
    this.#parts.raised.reload();
    this.#parts.charges.dropShards(shards);
  }
}

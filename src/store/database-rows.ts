/** The channels of a node in a database: rows are found by their channel's handle, so positions say nothing. Main thread. */
import type { RowStore } from '../registry/channel-store.ts';
import type { ClaimDatabase } from './claim-database.ts';
import type { HeldFence } from './held-fence.ts';

export class DatabaseRows implements RowStore {
  readonly #database: Pick<ClaimDatabase, 'replaceChannels' | 'readRemoved'>;
  readonly #fence: HeldFence;

  constructor(database: Pick<ClaimDatabase, 'replaceChannels' | 'readRemoved'>, fence: HeldFence) {
    this.#database = database;
    this.#fence = fence;
  }

  readRemoved(channelIds: readonly bigint[]): Promise<Uint8Array> {
    return this.#database.readRemoved(this.#fence.fence, channelIds);
  }

  async replace(_positions: readonly number[], rows: Uint8Array): Promise<void> {
    if (rows.length === 0) return;
    // The write may wait for a handover, and the caller reuses its buffer.
    const copy = rows.slice();
    await this.#fence.write((fence) => this.#database.replaceChannels(fence, copy));
  }
}

/**
 * The log of one lane in a database: each group is one call of `append`, which nothing waits for inline. The lane fills its
 * other group meanwhile: with 4,096 claims a group and 5 ms a round trip that is 819,000 claims/s, so two groups are enough.
 *
 * Runs in the thread that commits, which owns the group and leaves its records alone until the call has ended. After any error
 * the log refuses everything: the database retries what can be retried by itself, so what comes through is the end. What was
 * under way then may be stored, and is not acknowledged.
 */
import { assert, ClaimwireError } from '../errors.ts';
import type { JournalGroup } from '../journal/group.ts';
import type { GroupLog } from '../journal/group-log.ts';
import { GROUP_HEADER_BYTES } from '../journal/record.ts';
import type { ClaimDatabase } from './claim-database.ts';
import type { HeldFence } from './held-fence.ts';

/** Groups in a segment, the unit in which a lane says how far the channel table is: 100 MB at most. */
export const SEGMENT_GROUPS = 256;

export class DatabaseLog implements GroupLog {
  readonly syncsInline = false;
  bytesWritten = 0;
  readonly #database: ClaimDatabase;
  readonly #fence: HeldFence;
  readonly #lane: number;
  /** Number of the next group; the one before is under way where `#isSyncing`. */
  #group = 1;
  /** Written, and not synced yet. */
  #records: Uint8Array | undefined;
  #isSyncing = false;
  #failure: Error | undefined;

  /** @param database this log's own handle, which it closes */
  constructor(database: ClaimDatabase, fence: HeldFence, lane: number) {
    this.#database = database;
    this.#fence = fence;
    this.#lane = lane;
  }

  get segment(): number {
    const oldest = this.#records === undefined ? this.#group : this.#group - 1;
    return Math.floor(oldest / SEGMENT_GROUPS);
  }

  get isSyncing(): boolean {
    return this.#isSyncing;
  }

  write(group: JournalGroup): void {
    this.refuseAfterFailure();
    assert(this.#records === undefined, 'a group is synced before the next is written');
    if (group.count === 0) return;
    this.#records = group.bytes.subarray(GROUP_HEADER_BYTES, group.length);
    this.#group++;
    this.bytesWritten += this.#records.length;
  }

  sync(): never {
    throw new Error('assertion failed: a database is not waited for inline');
  }

  skipSync(): never {
    throw new Error('assertion failed: no group of a database is done without its answer');
  }

  syncLater(done: (error: Error | undefined) => void): void {
    this.refuseAfterFailure();
    const records = this.#records;
    assert(records !== undefined && !this.#isSyncing, 'there is a group to sync');
    this.#isSyncing = true;
    const end = (error: Error | undefined): void => {
      this.#isSyncing = false;
      this.#failure ??= error;
      if (error === undefined) this.#records = undefined;
      done(error);
    };
    const number = this.#group - 1;
    const call = this.#fence.write((fence) => this.#database.append(fence, this.#lane, number, records));
    // What `done` throws is no failure of the call: it ends the thread, as it does behind a journal.
    call.then(
      () => queueMicrotask(() => end(undefined)),
      (error: Error) => queueMicrotask(() => end(error)),
    );
  }

  refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  close(): void {
    this.#failure ??= new ClaimwireError('STORE_FAILED', 'store: expected an open log, got one that is closed');
    // What fails here failed in the calls before, or is the end of the connection that was asked for.
    this.#database.close().catch(() => {});
  }
}

/**
 * Where the commit step puts its groups: a journal on this machine's disk (writer.ts), or a database (store/database-log.ts).
 * The interface. Runs in the thread that commits; one group at a time is on its way.
 */
import type { JournalGroup } from './group.ts';

export interface GroupLog {
  /** Whether `sync` and `skipSync` are there. Where not, every group goes by `syncLater`. */
  readonly syncsInline: boolean;
  /** Rises with the groups: every group of lower segments is in the channel table, once a step has ended. */
  readonly segment: number;
  /** Whether a sync is under way beside this thread. */
  readonly isSyncing: boolean;
  /** Bytes of the groups written. */
  readonly bytesWritten: number;
  /**
   * Writes the group; an empty one is ignored. A sync has to follow and complete before the next write, and the group is left
   * alone until then.
   * @param nowMs wall clock, milliseconds since 1970
   */
  write(group: JournalGroup, nowMs: number): void;
  /** Makes the written group durable. */
  sync(): void;
  /** Treats the written group as synced, without a sync. */
  skipSync(): void;
  /** Makes the written group durable beside this thread. `done` is called in this thread, with the error if it failed. */
  syncLater(done: (error: Error | undefined) => void): void;
  /** Throws if an earlier call failed: nothing may be acknowledged on this log any more. */
  refuseAfterFailure(): void;
  /** Closes it. A sync of a log that syncs inline has ended before; another log gives up what is under way. */
  close(): void;
}

/**
 * Keeps a lane's segments: makes the next ones ahead of the writer, and removes those that a checkpoint has made needless.
 *
 * Main thread, asynchronous, so that filling 64 MiB with zeros delays neither claims nor the event loop. The writer never
 * waits for it: if a segment is not ready in time, the writer makes it itself, and the first of the two to link it wins.
 */
import { join } from 'node:path';
import { expectWhole, type Files, hasCode, later } from '../system/files.ts';
import type { Clock } from '../system/system.ts';
import { BLOCK_BYTES } from './record.ts';
import {
  assertSegment,
  draftName,
  journalFailed,
  type LaneJournal,
  segmentName,
  segmentNumber,
  segmentWrites,
} from './segment.ts';

/** The lane's folder exists. */
interface SegmentKeeperOptions extends LaneJournal {
  files: Files;
  clock: Pick<Clock, 'wall'>;
}

export class SegmentKeeper {
  readonly #options: SegmentKeeperOptions;
  /** The end of the last call: calls run one at a time, in their order. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SegmentKeeperOptions) {
    assertSegment(options.segmentBytes, 1, options.journalId, options.blockBytes, options.hasFrames);
    this.#options = options;
  }

  /** Makes the segment, filled with zeros and synced, unless it exists. Rejects with JOURNAL_FAILED. */
  prepare(nextNumber: number): Promise<void> {
    return this.#queue(() => this.#prepare(nextNumber));
  }

  /** Removes the segments below `number` and resolves to their number. Rejects with JOURNAL_FAILED. */
  removeBelow(number: number): Promise<number> {
    return this.#queue(() => this.#removeBelow(number));
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #prepare(number: number): Promise<void> {
    const { directory, files } = this.#options;
    const path = join(directory, segmentName(number));
    const made = draftName(path, 'keeper');
    try {
      if (!(await this.#names()).includes(segmentName(number))) {
        await this.#synced(made, 'w', (fd) => this.#fill(fd, number));
        await later((done) => files.link(made, path, done)).catch((error) => {
          if (!hasCode(error, 'EEXIST')) throw error;
        });
      }
      // Also where it is there already: a run that was killed may have made it, and not come to this.
      await this.#syncFolder();
    } catch (error) {
      throw journalFailed('prepare', path, error);
    } finally {
      await later((done) => files.unlink(made, done)).catch(() => undefined);
    }
  }

  async #fill(fd: number, number: number): Promise<void> {
    const { files, clock, segmentBytes, blockBytes = BLOCK_BYTES, hasFrames, journalId } = this.#options;
    const header = { number, segmentBytes, blockBytes, hasFrames, journalId, createdAt: clock.wall() };
    for (const { bytes, length, position } of segmentWrites(header)) {
      expectWhole(await later<number>((done) => files.write(fd, bytes, 0, length, position, done)), length);
      // A sync per chunk: one sync of the whole segment would delay the writer's syncs.
      await later((done) => files.fdatasync(fd, done));
    }
  }

  async #removeBelow(number: number): Promise<number> {
    const { directory, files } = this.#options;
    let removed = 0;
    try {
      // Oldest first, so that an interruption leaves no gap.
      for (const name of (await this.#names()).sort()) {
        const found = segmentNumber(name);
        if (found === undefined || found >= number) continue;
        await later((done) => files.unlink(join(directory, name), done));
        removed++;
      }
      if (removed > 0) await this.#syncFolder();
    } catch (error) {
      throw journalFailed('remove old segments from', directory, error);
    }
    return removed;
  }

  #names(): Promise<string[]> {
    return later((done) => this.#options.files.readdir(this.#options.directory, done));
  }

  #syncFolder(): Promise<void> {
    return this.#synced(this.#options.directory, 'r');
  }

  /** Opens a file or a folder and syncs it, after `work` on it. */
  async #synced(path: string, flags: string, work?: (fd: number) => Promise<void>): Promise<void> {
    const { files } = this.#options;
    const fd = await later<number>((done) => files.open(path, flags, done));
    try {
      await work?.(fd);
      await later((done) => files.fsync(fd, done));
    } finally {
      await later((done) => files.close(fd, done));
    }
  }
}

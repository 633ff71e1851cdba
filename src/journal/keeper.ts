/**
 * Keeps a lane's segments: prepares the next ones ahead of the writer, removes those a checkpoint has made needless.
 *
 * Main thread, asynchronous, so that filling 64 MiB with zeros delays neither claims nor the event loop. The writer
 * never waits for it: where a segment is not there in time, it makes the segment itself, and whichever of the two links
 * the name first wins.
 */

import * as fs from 'node:fs';
import { type FileHandle, link, open, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BLOCK_BYTES } from './record.ts';
import {
  assertSegment,
  draftName,
  encodeSegmentHeader,
  journalFailed,
  makeFolder,
  segmentName,
  segmentNumber,
  ZERO_CHUNK_BYTES,
} from './segment.ts';

export interface SegmentKeeperOptions {
  /** The lane's folder; made if it is not there. */
  directory: string;
  segmentBytes: number;
  /** What groups are aligned to (record.ts); default 4,096. */
  blockBytes?: number | undefined;
  /** 16 bytes. */
  journalId: Uint8Array;
}

export class SegmentKeeper {
  readonly #options: SegmentKeeperOptions;
  #isFolderMade = false;
  /** One piece of work at a time, in the order asked for. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SegmentKeeperOptions) {
    assertSegment(options.segmentBytes, 1, options.journalId, options.blockBytes);
    this.#options = options;
  }

  /** Resolves when the segment is there, zero-filled and synced; at once when it already is. Throws JOURNAL_FAILED. */
  prepare(nextNumber: number): Promise<void> {
    return this.#queue(() => this.#prepare(nextNumber));
  }

  /** Removes the segments below `number` and resolves to how many there were. Throws JOURNAL_FAILED. */
  removeBelow(number: number): Promise<number> {
    return this.#queue(() => this.#removeBelow(number));
  }

  #queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #prepare(number: number): Promise<void> {
    const { directory } = this.#options;
    const path = join(directory, segmentName(number));
    const made = draftName(path, 'keeper');
    try {
      if (!this.#isFolderMade) makeFolder(fs, directory);
      this.#isFolderMade = true;
      if ((await readdir(directory)).includes(segmentName(number))) return;
      const handle = await open(made, 'w');
      try {
        await this.#fill(handle, number);
      } finally {
        await handle.close();
      }
      await link(made, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await syncFolderAsync(directory);
    } catch (error) {
      throw journalFailed('prepare', path, error);
    } finally {
      await unlink(made).catch(() => undefined);
    }
  }

  async #fill(handle: FileHandle, number: number): Promise<void> {
    const { segmentBytes, blockBytes = BLOCK_BYTES, journalId } = this.#options;
    const write = async (bytes: Uint8Array, length: number, position: number) => {
      const { bytesWritten } = await handle.write(bytes, 0, length, position);
      if (bytesWritten === length) return;
      // A file takes less than it was given where the disk is full.
      const short = new Error(`expected ${length} bytes written, got ${bytesWritten}`);
      throw Object.assign(short, { code: 'ENOSPC' });
    };
    const head = encodeSegmentHeader({ number, segmentBytes, blockBytes, journalId, createdAt: Date.now() });
    await write(head, head.length, 0);
    const zeros = new Uint8Array(ZERO_CHUNK_BYTES);
    for (let offset = head.length; offset < segmentBytes; offset += ZERO_CHUNK_BYTES) {
      await write(zeros, Math.min(ZERO_CHUNK_BYTES, segmentBytes - offset), offset);
      // Little by little: one sync of it all would hold up the writer's syncs behind it.
      await handle.datasync();
    }
    await handle.sync();
  }

  async #removeBelow(number: number): Promise<number> {
    const { directory } = this.#options;
    let removed = 0;
    try {
      // Oldest first: a stop in the middle leaves no gap.
      for (const name of (await readdir(directory)).sort()) {
        const found = segmentNumber(name);
        if (found === undefined || found >= number) continue;
        await unlink(join(directory, name));
        removed++;
      }
      if (removed > 0) await syncFolderAsync(directory);
    } catch (error) {
      throw journalFailed('remove old segments from', directory, error);
    }
    return removed;
  }
}

async function syncFolderAsync(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Reads whole small files that an operator names: keys, tokens, certificates, a payer's state. Cold path, synchronous.
 *
 * Only regular files are read, up to a limit: a pipe without a writer would block, and a device may have no end.
 */
import { type Files, nodeFiles, READ_WITHOUT_WAITING } from './files.ts';

/** Why a file was not read; `reason` follows "got". */
export class FileFault extends Error {
  readonly reason: string;

  constructor(reason: string, cause?: unknown) {
    super(`expected a regular file that can be read, got ${reason}`, { cause });
    this.reason = reason;
  }
}

export interface SmallFile {
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

const GROWTH_BYTES = 4_096;

/** Opens a regular file for reading, and never blocks. Throws FileFault. */
export function openRegularFile(path: string, files: Files = nodeFiles): number {
  const descriptor = guarded(() => files.openSync(path, READ_WITHOUT_WAITING));
  try {
    const stat = guarded(() => files.fstatSync(descriptor));
    if (stat.isFile()) return descriptor;
    throw new FileFault(stat.isDirectory() ? 'a folder' : stat.isFIFO() ? 'a pipe' : 'a device');
  } catch (error) {
    files.closeSync(descriptor);
    throw error;
  }
}

/** Reads a regular file of at most `bytesMax` bytes. Throws FileFault. */
export function readSmallFile(path: string, bytesMax: number, files: Files = nodeFiles): SmallFile {
  const descriptor = openRegularFile(path, files);
  try {
    const { mode, size } = files.fstatSync(descriptor);
    // One byte more than expected: the file may grow meanwhile, and files of /proc have a size of 0.
    let bytes = Buffer.alloc(Math.min(size, bytesMax) + 1);
    let length = 0;
    for (;;) {
      const read = guarded(() => files.readSync(descriptor, bytes, length, bytes.length - length, length));
      length += read;
      if (read === 0) break;
      if (length > bytesMax) throw new FileFault(`more than ${bytesMax} bytes`);
      if (length === bytes.length) bytes = Buffer.concat([bytes], Math.min(2 * length + GROWTH_BYTES, bytesMax + 1));
    }
    return { bytes: bytes.subarray(0, length), mode: mode & 0o777 };
  } finally {
    files.closeSync(descriptor);
  }
}

function guarded<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new FileFault((error as NodeJS.ErrnoException).code ?? (error as Error).message, error);
  }
}

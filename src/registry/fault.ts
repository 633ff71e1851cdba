/**
 * What a write to LMDB failed with, as the operator is told it: a disk without room (the change was not made, nothing
 * else happened), or anything else (what the file holds now is not known, so the node must not go on).
 *
 * Main thread.
 */
import { statfsSync } from 'node:fs';
import { ClaimwireError } from '../errors.ts';

/** MDB_MAP_FULL and MDB_TXN_FULL: limits of LMDB itself. The commit was given up as for a full disk. */
const FULL_CODES = [28, 122, -30792, -30788];
const EIO = 5;
/** A commit may write its rows, the pages above them and the free list; LMDB says EIO where it could write only some. */
const COMMIT_BYTES = 1 << 20;

/** REGISTRY_FULL or REGISTRY_FAILED. @param bytes what was to be written */
export async function registryFault(directory: string, error: unknown, bytes: number): Promise<ClaimwireError> {
  // lmdb-js rejects every write of a commit alike, with a promise of the reason.
  const { commitError } = error as { commitError?: Promise<never> };
  return writeFault(directory, commitError === undefined ? error : await commitError.catch((reason) => reason), bytes);
}

/** The same for an error that LMDB gave itself. */
export function writeFault(directory: string, cause: unknown, bytes: number): ClaimwireError {
  if (cause instanceof ClaimwireError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (isFull(directory, (cause as { code?: unknown }).code, bytes))
    return new ClaimwireError(
      'REGISTRY_FULL',
      `registry ${directory}: expected room on the disk, got: ${reason}; nothing was changed; make room and try again`,
      { directory },
      { cause },
    );
  return new ClaimwireError(
    'REGISTRY_FAILED',
    `registry ${directory}: expected the disk to take it, got: ${reason}; check the disk, then start again`,
    { directory },
    { cause },
  );
}

function isFull(directory: string, code: unknown, bytes: number): boolean {
  if (FULL_CODES.includes(code as number)) return true;
  if (code !== EIO) return false;
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize < 2 * bytes + COMMIT_BYTES;
  } catch {
    return false;
  }
}

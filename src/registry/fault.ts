/**
 * The errors of a failed write to LMDB: REGISTRY_FULL where the disk has no room (the change was not made, and nothing is
 * damaged), or REGISTRY_FAILED (it is not known what the file holds, so the node must stop). Main thread.
 */
import { statfsSync } from 'node:fs';
import { ClaimwireError } from '../errors.ts';

/** ENOSPC, EDQUOT, and LMDB's own limits MDB_MAP_FULL and MDB_TXN_FULL: all abort the commit alike. */
const FULL_CODES = [28, 122, -30792, -30788];
const EIO = 5;
/** Room for the pages above the rows and the free list. LMDB reports EIO where it could write only a part of a commit. */
const COMMIT_BYTES = 1 << 20;

/** REGISTRY_FULL or REGISTRY_FAILED. @param bytes size of the rows to be written */
export async function registryFault(directory: string, error: unknown, bytes: number): Promise<ClaimwireError> {
  // lmdb-js rejects every write of a failed commit with the same error, which has a promise of the reason.
  const { commitError } = error as { commitError?: Promise<never> };
  return writeFault(directory, commitError === undefined ? error : await commitError.catch((reason) => reason), bytes);
}

/** As `registryFault`, for an error that is already the reason. */
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

/**
 * The operator's token: 32 random bytes in a file that only its owner can read. Main thread, and tools.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { dirname, join } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import { type Files, nodeFiles, syncFolder, withFile, writeWhole } from '../system/files.ts';
import { FileFault, readSmallFile, type SmallFile } from '../system/regular-file.ts';
import type { System } from '../system/system.ts';

const TOKEN_BYTES = 32;
const TOKEN_FILE_BYTES_MAX = 4_096;
const ADMIN_TOKEN_FILE = 'admin-token';
const REMEDY = 'remove it, and the node makes a new one';

/**
 * The token of a data folder, made at the first start.
 * @returns 64 hex digits
 * @throws ClaimwireError CONFIG_INVALID where the file holds something else, or others may read it
 */
export function loadAdminToken(directory: string, system: System): string {
  const path = join(directory, ADMIN_TOKEN_FILE);
  return createToken(path, system) ?? readToken(path, system.files);
}

/** Reads a token file of a node. Throws CONFIG_INVALID, saying what was expected. */
export function readToken(path: string, files: Files = nodeFiles): string {
  let file: SmallFile;
  try {
    file = readSmallFile(path, TOKEN_FILE_BYTES_MAX, files);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    const help = 'start a node once, or name its file with --token-file';
    throw invalid(path, `expected a readable file, got ${error.reason}; ${help}`);
  }
  const { bytes, mode } = file;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    throw invalid(path, `expected mode 600, got ${mode.toString(8)}; others may have read it: ${REMEDY}`);
  const token = bytes.toString().trim();
  if (/^[0-9a-f]{64}$/.test(token)) return token;
  throw invalid(path, `expected 64 hex digits, got ${token.length} characters; ${REMEDY}`);
}

function invalid(path: string, message: string): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `token file ${path}: ${message}`);
}

/**
 * Makes the file with a new token, and returns undefined where the file exists. The file gets its name when it is whole
 * and synced, since with half a token no later start would succeed.
 */
function createToken(path: string, { files, random }: System): string | undefined {
  if (files.existsSync(path)) return undefined;
  const token = random(TOKEN_BYTES).toString('hex');
  const line = Buffer.from(`${token}\n`);
  const made = `${path}.new`;
  try {
    const write = (fd: number) => {
      writeWhole(files, fd, line, line.length, 0);
      files.fsyncSync(fd);
    };
    withFile(files, made, 'w', write, 0o600);
    files.renameSync(made, path);
    syncFolder(files, dirname(path));
    return token;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw invalid(path, `expected to make it, got ${code ?? message}`);
  }
}

/** Whether an Authorization header has the token, in either case. The time taken does not tell how much of it is right. */
export function isAuthorized(header: string | undefined, token: string): boolean {
  if (header === undefined) return false;
  const given = /^Bearer +(\S+) *$/i.exec(header)?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given.toLowerCase()), digest(token)) && given !== '';
}

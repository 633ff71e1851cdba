/**
 * Checks of single values of a command line.
 *
 * Every fault is a ClaimwireError USAGE, "flag: expected X, got Y", for which the program exits with code 2.
 */
import { parseDecimal, parseExpiry, parseHex, upperHex } from '../src/channel/parse.ts';
import { ClaimwireError } from '../src/errors.ts';
import { type HostPort, parseHostPort } from '../src/host-port.ts';
import { FileFault, readSmallFile } from '../src/system/regular-file.ts';

export function usage(message: string): never {
  throw new ClaimwireError('USAGE', message);
}

/** Runs a check made for JSON; its INPUT_INVALID becomes USAGE. */
export function asUsage<Result>(check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    if (error instanceof ClaimwireError) return usage(error.message);
    throw error;
  }
}

export function drops(text: string, flag: string, minimum: bigint, maximum: bigint): bigint {
  return asUsage(() => parseDecimal(text, minimum, maximum, flag));
}

/** Hex of any case as upper-case hex. */
export function hex(text: string, byteLength: number, flag: string): string {
  return asUsage(() => upperHex(parseHex(text, byteLength, flag)));
}

/** An ISO 8601 time, as given. */
export function isoDate(text: string, flag: string): string {
  asUsage(() => parseExpiry(text, flag));
  return text;
}

/** HOST:PORT or [IPv6]:PORT; port 0 picks a free one. */
export function hostPort(text: string, flag: string): HostPort {
  const expected = `${flag}: expected HOST:PORT like 127.0.0.1:9393, got ${JSON.stringify(text)}`;
  return parseHostPort(text) ?? usage(expected);
}

/** For certificates, chains and keys; a system's whole bundle is a quarter of that. */
const FLAG_FILE_BYTES_MAX = 1 << 20;

/** A text file named by a flag. */
export function readFile(path: string, flag: string): string {
  try {
    return readSmallFile(path, FLAG_FILE_BYTES_MAX).bytes.toString();
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    return usage(`${flag} ${path}: expected a readable file, got ${error.reason}`);
  }
}

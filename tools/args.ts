/**
 * Reading command lines: node's parseArgs with this program's errors, and checks of single values.
 *
 * Every fault is a ClaimwireError USAGE, "flag: expected X, got Y", which the command line ends with exit code 2.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { parseDecimal, parseExpiry, parseHex, upperHex } from '../src/channel/parse.ts';
import type { HostPort } from '../src/config.ts';
import { ClaimwireError } from '../src/errors.ts';
import { FileFault, readSmallFile } from '../src/system/regular-file.ts';

/** Flags of every command that talks to a node. */
export const NODE_FLAGS = {
  http: { type: 'string', default: 'http://127.0.0.1:9394' },
  'token-file': { type: 'string', default: './data/admin-token' },
} as const;

export const COMMON_FLAGS = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h' },
} as const;

export const NODE_FLAGS_HELP = `  --http URL         the node's admin interface; default http://127.0.0.1:9394
  --token-file FILE  its token, for changes; default ./data/admin-token
  --json             for machines
  --help             this text`;

export function usage(message: string): never {
  throw new ClaimwireError('USAGE', message);
}

type Parsed<Options extends NonNullable<ParseArgsConfig['options']>> = ReturnType<
  typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true }>
>;

/** parseArgs, strict, with positionals; a fault is USAGE in one line. */
export function readArgs<const Options extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  options: Options,
): Parsed<Options> {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    return usage(`${(error as Error).message.split(/\.? To specify|\n/)[0]}; expected what --help shows`);
  }
}

/** Runs a check made for JSON; its INPUT_INVALID becomes USAGE. */
function asUsage<Result>(check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    if (error instanceof ClaimwireError) return usage(error.message);
    throw error;
  }
}

/** The flag's value, which must be there. */
export function required(value: string | undefined, flag: string, what: string): string {
  return value ?? usage(`${flag}: expected ${what}, got nothing`);
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

export function wholeNumber(text: string, flag: string, minimum: number, maximum: number): number {
  const expected = `${flag}: expected a whole number from ${minimum} to ${maximum}, got ${JSON.stringify(text)}`;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= minimum && value <= maximum ? value : usage(expected);
}

/** HOST:PORT or [IPv6]:PORT; port 0 picks a free one. */
export function hostPort(text: string, flag: string): HostPort {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535)
    usage(`${flag}: expected HOST:PORT like 127.0.0.1:9393, got ${JSON.stringify(text)}`);
  return { host: parts[1] ?? parts[2]!, port };
}

/** Certificates, chains and their keys: a bundle of a system's is a quarter of that. */
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

/** Bytes, with K, M or G for powers of 1,024. */
export function byteSize(text: string, flag: string): number {
  const parts = /^(\d{1,12})([KMG]?)$/i.exec(text);
  if (parts === null) usage(`${flag}: expected a size like 512M or 1G, got ${JSON.stringify(text)}`);
  return Number(parts[1]) * 1_024 ** ' KMG'.indexOf(parts[2]!.toUpperCase() || ' ');
}

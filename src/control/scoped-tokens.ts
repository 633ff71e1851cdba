/**
 * Tokens of smaller scopes than the operator's: `tokens` in the data folder, mode 0600, has a hash of each. The command line
 * changes the file, and a running node reads it again. Main thread, and tools.
 *
 * The node looks at the file when a token is presented, at most once a second. So a new token is good, and a revoked one is
 * no longer, after a second at most.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { dirname, join } from 'node:path';
import { U64_MAX } from '../../protocol/layout.ts';
import { got, parseDecimal } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { syncFolder, withFile, writeWhole } from '../system/files.ts';
import { FileFault, readSmallFile } from '../system/regular-file.ts';
import type { System } from '../system/system.ts';
import type { Access, Scope } from './access.ts';

const FILE = 'tokens';
const FILE_BYTES_MAX = 1 << 20;
const TOKENS_MAX = 256;
const CHANNELS_MAX = 256;
const TOKEN_BYTES = 32;
const REREAD_MS = 1_000;
/** Scopes that these tokens may have: the operator's own token has a file of its own. */
export const TOKEN_SCOPES = ['read', 'charge'] as const;

/** A token as the file has it: enough to know it again, and not enough to use it. */
export interface TokenEntry {
  name: string;
  scope: Exclude<Scope, 'admin'>;
  /** Handles in decimal; null: all channels. */
  channels: string[] | null;
  /** SHA-256 of the token's 64 hex digits, in hex. */
  sha256: string;
  /** ISO 8601. */
  createdAt: string;
}

/** The tokens of a running node's data folder. */
export class ScopedTokens {
  readonly #path: string;
  readonly #system: System;
  readonly #logger: Logger;
  #tokens: { digest: Buffer; access: Access }[] = [];
  #text: string | undefined;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(directory: string, system: System, logger: Logger) {
    this.#path = join(directory, FILE);
    this.#system = system;
    this.#logger = logger;
  }

  /** What an Authorization header's token allows. The time taken does not tell how much of a token is right. */
  find(header: string | undefined): Access | undefined {
    const given = /^Bearer +([0-9a-f]{64}) *$/i.exec(header ?? '')?.[1];
    if (given === undefined) return undefined;
    this.#reread();
    const digest = digestOf(given);
    let found: Access | undefined;
    for (const token of this.#tokens) if (timingSafeEqual(token.digest, digest)) found = token.access;
    return found;
  }

  /** Where the file is damaged no token is good until it is mended: a revoked one could be among those read before. */
  #reread(): void {
    const now = this.#system.clock.monotonic();
    if (now - this.#readAt < REREAD_MS) return;
    this.#readAt = now;
    try {
      const text = readText(this.#path, this.#system);
      if (text === this.#text) return;
      this.#tokens = parse(text, this.#path).map(({ name, scope, channels, sha256 }) => ({
        digest: Buffer.from(sha256, 'hex'),
        access: { name, scope, channels: channels === null ? null : new Set(channels.map(BigInt)) },
      }));
      this.#text = text;
    } catch (error) {
      if (this.#text !== '' || this.#tokens.length > 0) this.#logger.error(`http: ${(error as Error).message}`);
      this.#tokens = [];
      this.#text = '';
    }
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token.toLowerCase()).digest();
}

/** The tokens of a data folder; none where there is no file. Throws CONFIG_INVALID. */
export function listTokens(directory: string, system: System): TokenEntry[] {
  const path = join(directory, FILE);
  return parse(readText(path, system), path);
}

/**
 * Adds a token to a data folder.
 * @param channels the handles that it is for; null: all
 * @returns the token, which nothing keeps, and its entry
 */
export function createToken(
  directory: string,
  { name, scope, channels }: { name?: string | undefined; scope: TokenEntry['scope']; channels: bigint[] | null },
  system: System,
): { token: string; entry: TokenEntry } {
  const tokens = listTokens(directory, system);
  const token = system.random(TOKEN_BYTES).toString('hex');
  const sha256 = digestOf(token).toString('hex');
  const entry: TokenEntry = {
    name: name ?? sha256.slice(0, 8),
    scope,
    channels: channels?.map(String) ?? null,
    sha256,
    createdAt: new Date(system.clock.wall()).toISOString(),
  };
  if (tokens.some((other) => other.name === entry.name))
    throw new ClaimwireError('INPUT_INVALID', `token: expected a name that no other has, got ${got(entry.name)}`);
  if (tokens.length >= TOKENS_MAX)
    throw new ClaimwireError('INPUT_INVALID', `tokens: expected at most ${TOKENS_MAX}, got one more; revoke some`);
  const path = join(directory, FILE);
  const text = textOf([...tokens, entry]);
  // What would not be read back is refused now.
  parse(text, path);
  write(path, text, system);
  return { token, entry };
}

/** Revokes the token of this name. Throws INPUT_INVALID where there is none. */
export function revokeToken(directory: string, name: string, system: System): TokenEntry {
  const tokens = listTokens(directory, system);
  const entry = tokens.find((token) => token.name === name);
  if (entry === undefined) {
    const names =
      tokens.length === 0 ? 'this folder has none' : `expected ${tokens.map((token) => token.name).join(', ')}`;
    throw new ClaimwireError('INPUT_INVALID', `token: ${names}, got ${got(name)}`);
  }
  write(join(directory, FILE), textOf(tokens.filter((token) => token !== entry)), system);
  return entry;
}

/** A line for each token. */
function textOf(tokens: readonly TokenEntry[]): string {
  return tokens.map((token) => `${JSON.stringify(token)}\n`).join('');
}

/** The file gets its name when it is whole and synced, so that a node reads the old tokens or the new ones. */
function write(path: string, text: string, { files }: System): void {
  const made = `${path}.new`;
  const bytes = Buffer.from(text);
  try {
    const fill = (fd: number) => {
      if (bytes.length > 0) writeWhole(files, fd, bytes, bytes.length, 0);
      files.fsyncSync(fd);
    };
    withFile(files, made, 'w', fill, 0o600);
    files.renameSync(made, path);
    syncFolder(files, dirname(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw fault(path, `expected to write it, got ${code ?? message}`);
  }
}

function readText(path: string, { files }: System): string {
  if (!files.existsSync(path)) return '';
  try {
    const { bytes, mode } = readSmallFile(path, FILE_BYTES_MAX, files);
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw fault(path, `expected mode 600, got ${mode.toString(8)}; others may have changed it: chmod 600 it`);
    return bytes.toString();
  } catch (error) {
    if (error instanceof FileFault) throw fault(path, `expected a readable file, got ${error.reason}`);
    throw error;
  }
}

function parse(text: string, path: string): TokenEntry[] {
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length > TOKENS_MAX) throw fault(path, `expected at most ${TOKENS_MAX} lines, got ${lines.length}`);
  return lines.map((line, index) => {
    try {
      return entryOf(JSON.parse(line));
    } catch (error) {
      throw fault(path, `line ${index + 1}: ${(error as Error).message}; "claimwire token create" writes them`);
    }
  });
}

function entryOf(value: unknown): TokenEntry {
  const { name, scope, channels, sha256, createdAt } = Object(value) as Record<string, unknown>;
  if (typeof name !== 'string' || !/^[\w.-]{1,64}$/.test(name))
    throw new Error(`expected a name of 1 to 64 letters, digits, dots and hyphens, got ${got(name)}`);
  const known = TOKEN_SCOPES.find((each) => each === scope);
  if (known === undefined) throw new Error(`expected scope ${TOKEN_SCOPES.join(' or ')}, got ${got(scope)}`);
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    throw new Error(`expected sha256 of 64 hex digits, got ${got(sha256)}`);
  if (channels !== null && (!Array.isArray(channels) || channels.length === 0 || channels.length > CHANNELS_MAX))
    throw new Error(`expected 1 to ${CHANNELS_MAX} channels or null, got ${got(channels)}`);
  const handles = channels?.map((handle) => String(parseDecimal(handle, 0n, U64_MAX, 'channels'))) ?? null;
  return { name, scope: known, channels: handles, sha256, createdAt: String(createdAt) };
}

function fault(path: string, message: string): ClaimwireError {
  return new ClaimwireError('CONFIG_INVALID', `tokens ${path}: ${message}`);
}

/**
 * `claimwire token …`: makes, lists and revokes the tokens of smaller scopes in a node's data folder.
 *
 * Main thread of its own process. It changes a file of the folder, beside the node if that is running, which sees it within
 * a second.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { U64_MAX } from '../protocol/layout.ts';
import { createToken, listTokens, revokeToken, TOKEN_SCOPES, type TokenEntry } from '../src/control/scoped-tokens.ts';
import { ClaimwireError } from '../src/errors.ts';
import { nodeSystem } from '../src/system/system.ts';
import { drops, usage } from './args.ts';
import { defineCommand, defineGroup } from './command.ts';
import { DATA_OPTION } from './options.ts';
import { writeJson } from './output.ts';

const EXIT_NOTE = 'Exit code: 0 fine, 1 failed, 2 usage.';
const SEEN_NOTE = 'A running node sees it within a second.';

const creating = defineCommand({
  name: 'token create',
  summary: 'makes a token',
  description: 'makes a token and prints it, once: the data folder keeps only its hash.',
  options: {
    scope: {
      value: 'NAME',
      description: 'read: signatures, waiting, events; charge: charges and refunds too',
      choices: TOKEN_SCOPES,
      required: 'read or charge',
    },
    name: { value: 'NAME', description: 'by which it is listed and revoked', defaultText: 'the begin of its hash' },
    channels: {
      value: 'U64,…',
      description: 'the handles of the channels that it is for, at most 256; without it all channels',
      read: (text: string, flag: string) => text.split(',').map((id) => drops(id, flag, 0n, U64_MAX)),
    },
    out: { value: 'FILE', description: 'writes it to a new file of mode 0600 for --token-file, and does not print it' },
    data: DATA_OPTION,
  },
  examples: [
    ['claimwire token create --scope charge --name shop --out shop-token', 'for a service that charges'],
    ['claimwire token create --scope read --channels 6750926077978654334', 'for one who watches one channel'],
  ],
  notes: `${SEEN_NOTE}\n\nWith --json {token, name, scope, channels, sha256, createdAt}; with --out path stands for token.\n\n${EXIT_NOTE}`,
  act: async ({ scope, name, channels, out, data, json }) => {
    expectFolder(data);
    if (out !== undefined && existsSync(out)) usage(`--out: expected a new file, got ${out}, which exists`);
    const { token, entry } = createToken(data, { scope, name, channels: channels ?? null }, nodeSystem);
    if (out !== undefined) keep(out, token, () => revokeToken(data, entry.name, nodeSystem));
    if (json) writeJson(out === undefined ? { token, ...entry } : { path: out, ...entry });
    else process.stdout.write(`${out ?? token}\n`);
    return 0;
  },
});

const listing = defineCommand({
  name: 'token list',
  summary: 'lists tokens: name, scope, channels, and when each was made',
  options: { data: DATA_OPTION },
  examples: [['claimwire token list', 'a line for each']],
  notes: `With --json an array of {name, scope, channels, sha256, createdAt}.\n\n${EXIT_NOTE}`,
  act: async ({ data, json }) => {
    expectFolder(data);
    const tokens = listTokens(data, nodeSystem);
    if (json) writeJson(tokens);
    else process.stdout.write(tokens.length === 0 ? 'no tokens\n' : tokens.map(lineOf).join(''));
    return 0;
  },
});

const revoking = defineCommand({
  name: 'token revoke',
  summary: 'ends a token',
  operands: { name: 'NAME', count: 'one' },
  options: { data: DATA_OPTION },
  examples: [['claimwire token revoke shop', 'nobody can use it any more']],
  notes: `${SEEN_NOTE}\n\nWith --json {name, scope, channels, sha256, createdAt}.\n\n${EXIT_NOTE}`,
  act: async ({ data, json }, [name]) => {
    expectFolder(data);
    const entry = revokeToken(data, name!, nodeSystem);
    if (json) writeJson(entry);
    else process.stdout.write(`revoked ${entry.name}\n`);
    return 0;
  },
});

export const command = defineGroup({
  name: 'token',
  summary: "makes, lists and revokes tokens of smaller scopes than the operator's",
  commands: [creating, listing, revoking],
  notes: `The operator's own token, of scope admin, is the file admin-token.\n\n${EXIT_NOTE}`,
});
export const { run } = command;

function expectFolder(data: string): void {
  if (!existsSync(data))
    throw new ClaimwireError('INPUT_INVALID', `--data ${data}: expected a node's data folder, got nothing there`);
}

/** Writes the token to its file. Where that fails nobody has the token, so it is revoked. */
function keep(path: string, token: string, revoke: () => void): void {
  try {
    writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    revoke();
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ClaimwireError('INPUT_INVALID', `--out ${path}: expected to write it, got ${code ?? message}`);
  }
}

function lineOf({ name, scope, channels, createdAt }: TokenEntry): string {
  return `${name} ${scope} ${channels?.join(',') ?? 'all channels'} ${createdAt}\n`;
}

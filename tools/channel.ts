/**
 * `claimwire channel …`: opens, imports, lists, shows, updates, closes and removes a node's channels over its admin interface.
 *
 * Main thread of its own process.
 */
import { U64_MAX } from '../protocol/layout.ts';
import type { ChannelJson } from '../src/channel/parse.ts';
import { capacityMax } from '../src/channel/parse.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient, type OpeningJson } from '../src/http/client.ts';
import { COMMON_FLAGS, drops, hex, isoDate, NODE_FLAGS, NODE_FLAGS_HELP, readArgs, required, usage } from './args.ts';
import { write } from './output.ts';

const HELP = `Usage: claimwire channel open --ledger-channel HEX64 --public-key HEX66 --capacity DROPS
                             [--expires ISO] [--profile xrpl|link] [--channel U64]
       claimwire channel import FILE.ndjson
       claimwire channel list [--state open|closed]
       claimwire channel show ID
       claimwire channel update ID [--capacity DROPS] [--expires ISO|never]
       claimwire channel close ID
       claimwire channel remove ID… [--force]

ID is a channel's u64 handle, or its 64-hex ledger id where the handle was not chosen.
A channel's expiry is the earlier of the ledger's Expiration and CancelAfter.

An import's file has one JSON object a line, the fields as in HTTP's POST /channels:
  {"ledgerChannelId": HEX64, "publicKey": HEX66, "capacity": "DROPS",
   "profile"?: "xrpl"|"link", "expiresAt"?: ISO|null, "channelId"?: "U64",
   "throwAway"?: true}
A throw-away channel is one made to try the node out: it is never settled.
Lines that cannot be opened are refused one by one; the others stand. After 1,000 refused
lines the import stops; what it opened stays open. Importing the same file again changes
nothing.

remove closes channels and forgets them, with the claims that redeem them. A channel with
a committed amount is refused until --force says that it is redeemed, or given up; a
throw-away channel needs none. The node's room for a channel comes free at its next start;
until then the same ID opens again only with the same key, and with the amount it had.
After that start it opens at 0, and claims of before count as new: remove for good only
what is gone from the ledger too.

  --expires ISO      claims after that time are refused, like 2030-01-31T00:00:00Z
  --channel U64      handle on the wire; default: first 8 bytes of the ledger id
${NODE_FLAGS_HELP}

With --json: open, show, update and close print the channel's row as one object, list an
array with a row a line, import {opened, unchanged, refusedCount, refused: [{line, code,
message}], stoppedAt: LINE|null} and remove {removed, refusedCount, refused: [{id, code,
message}]}, both with at most 100 refusals. Exit code: 0 fine, 1 failed or anything
refused, 2 usage.
`;

const OPTIONS = {
  ...NODE_FLAGS,
  ...COMMON_FLAGS,
  'ledger-channel': { type: 'string' },
  'public-key': { type: 'string' },
  capacity: { type: 'string' },
  expires: { type: 'string' },
  profile: { type: 'string' },
  channel: { type: 'string' },
  state: { type: 'string' },
  force: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof readArgs<typeof OPTIONS>>['values'];
type Action = (admin: AdminClient, operand: string, values: Values, operands: string[]) => Promise<number>;

/** An operand that may be given several times. */
const IDS = 'ID…';

/** Each action's operand (null for none), the flags it takes beside the common ones, and what it does. */
const ACTIONS: Record<string, { operand: string | null; flags: (keyof Values)[]; act: Action }> = {
  open: {
    operand: null,
    flags: ['ledger-channel', 'public-key', 'capacity', 'expires', 'profile', 'channel'],
    act: open,
  },
  import: { operand: 'FILE.ndjson', flags: [], act: importFile },
  list: { operand: null, flags: ['state'], act: list },
  show: { operand: 'ID', flags: [], act: async (admin, id, values) => printRow(await admin.channel(id), values.json) },
  update: { operand: 'ID', flags: ['capacity', 'expires'], act: update },
  close: {
    operand: 'ID',
    flags: [],
    act: async (admin, id, values) => printRow(await admin.closeChannel(id), values.json),
  },
  remove: { operand: IDS, flags: ['force'], act: remove },
};

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, ...operands] = positionals;
  if (name === undefined || !Object.hasOwn(ACTIONS, name))
    usage(`channel: expected one of ${Object.keys(ACTIONS).join(', ')}, got ${JSON.stringify(name ?? 'nothing')}`);
  const { operand, flags, act } = ACTIONS[name]!;
  const common = Object.keys({ ...NODE_FLAGS, ...COMMON_FLAGS });
  for (const flag of Object.keys(values) as (keyof Values)[])
    if (!common.includes(flag) && !flags.includes(flag)) usage(`channel ${name}: expected no --${flag}, got one`);
  if (operand === IDS ? operands.length === 0 : operands.length !== (operand === null ? 0 : 1))
    usage(`channel ${name}: expected ${operand === null ? 'no operand' : `one ${operand}`}, got ${operands.length}`);
  const admin = AdminClient.open({ http: values.http, tokenFile: values['token-file'] });
  return act(admin, operands[0] ?? '', values, operands);
}

async function remove(admin: AdminClient, _operand: string, values: Values, ids: string[]): Promise<number> {
  const { json, force = false } = values;
  const result = await admin.removeChannels(ids, force);
  process.stdout.write(
    `${json ? JSON.stringify(result) : `${result.removed} removed, ${result.refusedCount} refused`}\n`,
  );
  for (const { id, code, message } of result.refused) process.stderr.write(`${id}: ${code} ${message}\n`);
  return result.refusedCount === 0 ? 0 : 1;
}

async function open(admin: AdminClient, _operand: string, values: Values): Promise<number> {
  const profile = values.profile ?? 'xrpl';
  if (profile !== 'xrpl' && profile !== 'link')
    usage(`--profile: expected xrpl or link, got ${JSON.stringify(profile)}`);
  const opening: OpeningJson = {
    ledgerChannelId: hex(
      required(values['ledger-channel'], '--ledger-channel', '64 hex digits'),
      32,
      '--ledger-channel',
    ),
    publicKey: hex(required(values['public-key'], '--public-key', '66 hex digits'), 33, '--public-key'),
    capacity: String(
      drops(required(values.capacity, '--capacity', 'an amount in drops'), '--capacity', 1n, capacityMax(profile)),
    ),
    profile,
  };
  if (values.expires !== undefined) opening.expiresAt = isoDate(values.expires, '--expires');
  if (values.channel !== undefined) opening.channelId = String(drops(values.channel, '--channel', 0n, U64_MAX));
  return printRow(await admin.openChannel(opening), values.json);
}

async function importFile(admin: AdminClient, file: string, values: Values): Promise<number> {
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
  const result = await admin.importChannels(file, (total) => {
    const { opened, unchanged, refusedCount } = total;
    process.stderr.write(`${seconds()} s: ${opened} opened, ${unchanged} unchanged, ${refusedCount} refused\n`);
  });
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${result.opened} opened, ${result.unchanged} unchanged, ${result.refusedCount} refused\n`);
  if (result.refusedCount === 0) return 0;
  for (const { line, code, message } of result.refused) process.stderr.write(`${file}:${line}: ${code} ${message}\n`);
  const unlisted = result.refusedCount - result.refused.length;
  if (unlisted > 0) process.stderr.write(`and ${unlisted} more\n`);
  if (result.stoppedAt !== null)
    process.stderr.write(
      `${file}:${result.stoppedAt}: stopped here, since ${result.refusedCount} lines were refused; no line after it was looked at\n`,
    );
  return 1;
}

async function list(admin: AdminClient, _operand: string, values: Values): Promise<number> {
  const { state } = values;
  if (state !== undefined && state !== 'open' && state !== 'closed')
    usage(`--state: expected open or closed, got ${JSON.stringify(state)}`);
  let count = 0;
  for await (const row of admin.channels(state)) {
    if (values.json) await write(`${count === 0 ? '[' : ','}\n${JSON.stringify(row)}`);
    else await write(`${count === 0 ? LIST_HEADER : ''}${listLine(row)}`);
    count++;
  }
  if (values.json) await write(count === 0 ? '[]\n' : '\n]\n');
  else if (count === 0) await write('no channels\n');
  return 0;
}

async function update(admin: AdminClient, id: string, values: Values): Promise<number> {
  const change: { capacity?: string; expiresAt?: string | null } = {};
  if (values.capacity !== undefined) change.capacity = String(drops(values.capacity, '--capacity', 1n, U64_MAX));
  if (values.expires !== undefined)
    change.expiresAt = values.expires === 'never' ? null : isoDate(values.expires, '--expires');
  if (Object.keys(change).length === 0) usage('channel update: expected --capacity or --expires, got neither');
  return printRow(await admin.updateChannel(id, change), values.json);
}

function printRow(row: ChannelJson, json: boolean): number {
  if (typeof row !== 'object' || row === null)
    throw new ClaimwireError('NODE_FAILED', 'node: expected a row, got none');
  const lines = Object.entries(row).map(([name, value]) => `${name.padEnd(16)} ${value ?? '-'}`);
  process.stdout.write(`${json ? JSON.stringify(row) : lines.join('\n')}\n`);
  return 0;
}

const LIST_HEADER = `${'CHANNEL'.padEnd(20)} ${'STATE'.padEnd(6)} ${'PROFILE'.padEnd(7)} ${'COMMITTED'.padStart(18)} ${'CAPACITY'.padStart(18)} EXPIRES\n`;

function listLine(row: ChannelJson): string {
  const { channelId, state, profile, committed, capacity, expiresAt, throwAway } = row;
  const amounts = `${committed.padStart(18)} ${capacity.padStart(18)}`;
  return `${channelId.padEnd(20)} ${state.padEnd(6)} ${profile.padEnd(7)} ${amounts} ${expiresAt ?? '-'}${throwAway ? ' throw-away' : ''}\n`;
}

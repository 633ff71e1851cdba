/**
 * `claimwire channel …`: opens, imports, lists, shows, updates, closes and removes a node's channels over its admin interface.
 *
 * Main thread of its own process.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { LEDGER_CHANNEL_ID_BYTES, U64_MAX } from '../protocol/layout.ts';
import { capacityMax, upperHex } from '../src/channel/parse.ts';
import { ClaimwireError } from '../src/errors.ts';
import { AdminClient, type OpeningJson } from '../src/http/client.ts';
import type { RowJson } from '../src/http/ledger.ts';
import { drops, hex, isoDate, usage } from './args.ts';
import { create, fund } from './channel-fund.ts';
import { listing } from './channel-list.ts';
import { defineCommand, defineGroup } from './command.ts';
import { adminAddress, NODE_OPTIONS, type Values } from './options.ts';
import { complain, fieldLines, say, writeJson } from './output.ts';
import { KEY_VALUE, publicKeyOfKey } from './payer-key.ts';
import { Progress } from './progress.ts';
import { countText } from './units.ts';

const PROFILE = {
  value: 'NAME',
  description: 'what signatures cover',
  choices: ['xrpl', 'link'],
  default: 'xrpl',
} as const;
const ID_NOTE = `ID is a channel's u64 handle, or its 64-hex ledger id where the handle was not chosen.`;
const ROW_NOTE = `With --json the channel's row as one object.`;
const EXIT_NOTE = `Exit code: 0 fine, 1 failed or anything refused, 2 usage.`;
const ID = { name: 'ID', count: 'one' } as const;
const expires = {
  value: 'ISO',
  description:
    "claims after that time are refused, like 2030-01-31T00:00:00Z: the earlier of the ledger's Expiration and CancelAfter",
  read: isoDate,
} as const;

const open = defineCommand({
  name: 'channel open',
  summary: 'opens a channel',
  description:
    'opens a channel at a running node, or finds it open with the same terms, and prints its row. With --ledger-channel alone, a node that was started with --ledger takes all of its terms from there.',
  options: {
    'ledger-channel': {
      value: 'HEX64|random',
      description: 'its id on the ledger; random makes one up, for a trial or for peers that share no ledger',
      required: '64 hex digits or random',
      read: (text, flag) => (text === 'random' ? upperHex(randomBytes(LEDGER_CHANNEL_ID_BYTES)) : hex(text, 32, flag)),
    },
    'public-key': {
      value: 'HEX66',
      description: "the payer's public key",
      read: (text, flag) => hex(text, 33, flag),
    },
    key: { value: KEY_VALUE, description: "takes the public key from the payer's key file or token instead" },
    capacity: { value: 'DROPS', description: 'what the channel holds' },
    expires,
    profile: PROFILE,
    channel: {
      value: 'U64',
      description: 'its handle on the wire; without it, the first 8 bytes of the ledger id',
      read: (text, flag) => drops(text, flag, 0n, U64_MAX),
    },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire channel open --ledger-channel HEX64', 'a channel of the XRP Ledger, with its terms there'],
    ['claimwire channel open --ledger-channel random --key me.json --capacity 10000', 'a channel for a trial'],
  ],
  notes: `${ROW_NOTE}\n\n${EXIT_NOTE}`,
  act: async (values) => {
    const { profile, expires: expiresAt, channel: channelId } = values;
    const given = [values['public-key'], values.key, values.capacity, expiresAt, channelId];
    if (given.every((value) => value === undefined) && profile === 'xrpl')
      return printRow(await adminOf(values).openFromLedger(values['ledger-channel']), values.json);
    if (values.capacity === undefined) return usage('--capacity: expected an amount in drops, got nothing');
    const opening: OpeningJson = {
      ledgerChannelId: values['ledger-channel'],
      publicKey: await publicKeyOf(values),
      capacity: String(drops(values.capacity, '--capacity', 1n, capacityMax(profile))),
      profile,
    };
    if (expiresAt !== undefined) opening.expiresAt = expiresAt;
    if (channelId !== undefined) opening.channelId = String(channelId);
    return printRow(await adminOf(values).openChannel(opening), values.json);
  },
});

/** The public key given by --public-key, or by --key's file or token. */
async function publicKeyOf(values: { 'public-key': string | undefined; key: string | undefined }): Promise<string> {
  const { 'public-key': given, key } = values;
  if (given !== undefined && key !== undefined) return usage('--public-key: expected it or --key, got both');
  if (key !== undefined) return await publicKeyOfKey(key);
  return given ?? usage("--public-key: expected 66 hex digits, or the payer's file with --key, got nothing");
}

const importing = defineCommand({
  name: 'channel import',
  summary: 'opens the channels of a file, a million in under a minute',
  operands: { name: 'FILE.ndjson', count: 'one' },
  options: { ...NODE_OPTIONS },
  examples: [['claimwire channel import channels.ndjson', 'opens every line of it; again changes nothing']],
  notes: `The file has one JSON object a line, the fields as in HTTP's POST /channels:
  {"ledgerChannelId": HEX64, "publicKey": HEX66, "capacity": "DROPS",
   "profile"?: "xrpl"|"link", "expiresAt"?: ISO|null, "channelId"?: "U64",
   "throwAway"?: true}
A throw-away channel is one made to try the node out: it is never settled.
Lines that cannot be opened are refused one by one; the others stand. After 1,000 refused
lines the import stops; what it opened stays open.

With --json {opened, unchanged, refusedCount, refused: [{line, code, message}],
stoppedAt: LINE|null} with at most 100 refusals.

${EXIT_NOTE}`,
  act: (values, [file]) => importFile(adminOf(values), file!, values.json),
});

const show = defineCommand({
  name: 'channel show',
  summary: 'shows a channel',
  operands: ID,
  options: { ...NODE_OPTIONS },
  examples: [['claimwire channel show 6750926077978654334', 'its row, a field a line']],
  notes: `${ID_NOTE}\n${ROW_NOTE} Without the node's token it has no signature.\n\n${EXIT_NOTE}`,
  act: async (values, [id]) => printRow(await adminOf(values).channel(id!), values.json),
});

const updating = defineCommand({
  name: 'channel update',
  summary: 'changes the capacity or the expiry of a channel',
  operands: ID,
  options: {
    capacity: {
      value: 'DROPS',
      description: 'what it holds now, at least what is committed',
      read: (text, flag) => drops(text, flag, 1n, U64_MAX),
    },
    expires: {
      ...expires,
      value: 'ISO|never',
      read: (text: string, flag: string) => (text === 'never' ? text : isoDate(text, flag)),
    },
    ...NODE_OPTIONS,
  },
  examples: [['claimwire channel update 6750926077978654334 --capacity 2000000', 'after the payer has topped it up']],
  notes: `${ID_NOTE}\n${ROW_NOTE}\n\n${EXIT_NOTE}`,
  act: async (values, [id]) => {
    const change: { capacity?: string; expiresAt?: string | null } = {};
    if (values.capacity !== undefined) change.capacity = String(values.capacity);
    if (values.expires !== undefined) change.expiresAt = values.expires === 'never' ? null : values.expires;
    if (Object.keys(change).length === 0) usage('channel update: expected --capacity or --expires, got neither');
    return printRow(await adminOf(values).updateChannel(id!, change), values.json);
  },
});

const closing = defineCommand({
  name: 'channel close',
  summary: 'closes a channel: its claims are refused from then on',
  operands: ID,
  options: { ...NODE_OPTIONS },
  examples: [['claimwire channel close 6750926077978654334', 'closes it and prints its row']],
  notes: `${ID_NOTE}\n${ROW_NOTE}\n\n${EXIT_NOTE}`,
  act: async (values, [id]) => printRow(await adminOf(values).closeChannel(id!), values.json),
});

const removing = defineCommand({
  name: 'channel remove',
  summary: 'closes channels and forgets them',
  operands: { name: 'ID…', count: 'some' },
  options: {
    force: { description: 'also those with a committed amount: it is redeemed, or given up' },
    ...NODE_OPTIONS,
  },
  examples: [['claimwire channel remove 6750926077978654334 --force', 'forgets it with the claim that redeems it']],
  notes: `${ID_NOTE}

remove closes channels and forgets them, with the claims that redeem them. A channel with
a committed amount is refused until --force says that it is redeemed, or given up; a
throw-away channel needs none. The node's room for a channel comes free at its next start;
until then the same ID opens again only with the same key, and with the amount it had.
After that start it opens at 0, and claims of before count as new: remove for good only
what is gone from the ledger too.

With --json {removed, refusedCount, refused: [{id, code, message}]} with at most 100
refusals.

${EXIT_NOTE}`,
  act: (values, ids) => remove(adminOf(values), ids, values.force, values.json),
});

export const command = defineGroup({
  name: 'channel',
  summary: "opens, looks at, changes and forgets a node's channels over its admin interface",
  commands: [open, importing, listing, show, updating, closing, removing, create, fund],
  notes: `${ID_NOTE}\n\n${EXIT_NOTE}`,
});
export const { run } = command;

function adminOf(values: Values<typeof NODE_OPTIONS>): AdminClient {
  return AdminClient.open(adminAddress(values));
}

async function remove(admin: AdminClient, ids: string[], force: boolean, json: boolean): Promise<number> {
  const result = await admin.removeChannels(ids, force);
  if (json) writeJson(result);
  else say(`${result.removed} removed, ${result.refusedCount} refused\n`);
  for (const { id, code, message } of result.refused) complain(`${id}: ${code} ${message}`);
  return result.refusedCount === 0 ? 0 : 1;
}

async function importFile(admin: AdminClient, file: string, json: boolean): Promise<number> {
  const progress = new Progress();
  const bytesThere = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const result = await admin.importChannels(file, ({ opened, unchanged, refusedCount }, bytes) => {
    const counts = `${opened} opened, ${unchanged} unchanged, ${refusedCount} refused`;
    const rate = countText((opened + unchanged) / progress.seconds);
    const text = `${countText(opened)} opened, ${countText(unchanged)} unchanged, ${refusedCount} refused, ${rate}/s`;
    progress.update(bytes / bytesThere, text, `${progress.seconds.toFixed(1)} s: ${counts}`);
  });
  progress.end();
  if (json) writeJson(result);
  else say(`${result.opened} opened, ${result.unchanged} unchanged, ${result.refusedCount} refused\n`);
  if (result.refusedCount === 0) return 0;
  for (const { line, code, message } of result.refused) complain(`${file}:${line}: ${code} ${message}`);
  const unlisted = result.refusedCount - result.refused.length;
  if (unlisted > 0) complain(`and ${unlisted} more`);
  if (result.stoppedAt !== null)
    complain(
      `${file}:${result.stoppedAt}: stopped here, since ${result.refusedCount} lines were refused; no line after it was looked at`,
    );
  return 1;
}

function printRow(row: RowJson, json: boolean): number {
  if (typeof row !== 'object' || row === null)
    throw new ClaimwireError('NODE_FAILED', 'node: expected a row, got none');
  const { ledger = {}, ...channel } = row;
  process.stdout.write(json ? `${JSON.stringify(row)}\n` : fieldLines(channel) + fieldLines(ledger, 'ledger.'));
  return 0;
}

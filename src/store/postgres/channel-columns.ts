/** Channels as columns of the table `channels`, and back to packed rows (channel/row.ts). */
import { shardOfChannel } from '../../../protocol/shard.ts';
import { type Channel, decodeRow, encodeRow, ROW_BYTES } from '../../channel/row.ts';
import { assert } from '../../errors.ts';
import { bigints, byteArrays, smalls, texts, unsigned, wholes } from './arrays.ts';
import type { Row } from './connection.ts';

interface Column {
  name: string;
  type: string;
  /** SQL of the value, where it is not the parameter as it is. */
  value?: string;
  of: (channels: readonly Channel[]) => Buffer;
}

const ofBytes = (pick: (channel: Channel) => Uint8Array) => (channels: readonly Channel[]) =>
  byteArrays(channels.map(pick));
const ofAmounts = (pick: (channel: Channel) => bigint) => (channels: readonly Channel[]) => bigints(channels.map(pick));

const COLUMNS: readonly Column[] = [
  { name: 'channel_id', type: 'bigint', value: unsigned('channel_id'), of: ofAmounts(({ channelId }) => channelId) },
  {
    name: 'shard',
    type: 'smallint',
    of: (channels) => smalls(channels.map(({ channelId }) => shardOfChannel(channelId))),
  },
  { name: 'ledger_channel_id', type: 'bytea', of: ofBytes(({ ledgerChannelId }) => ledgerChannelId) },
  { name: 'public_key', type: 'bytea', of: ofBytes(({ publicKey }) => publicKey) },
  { name: 'profile', type: 'text', of: (channels) => texts(channels.map(({ profile }) => profile)) },
  { name: 'state', type: 'text', of: (channels) => texts(channels.map(({ state }) => state)) },
  {
    name: 'throw_away',
    type: 'smallint',
    value: 'throw_away <> 0',
    of: (channels) => smalls(channels.map(({ throwAway }) => (throwAway === true ? 1 : 0))),
  },
  { name: 'capacity', type: 'bigint', value: unsigned('capacity'), of: ofAmounts(({ capacity }) => capacity) },
  { name: 'committed', type: 'bigint', value: unsigned('committed'), of: ofAmounts(({ committed }) => committed) },
  { name: 'sequence', type: 'bigint', of: (channels) => wholes(channels.map(({ sequence }) => sequence)) },
  { name: 'signature', type: 'bytea', of: ofBytes(({ signature }) => signature) },
  { name: 'timestamp_bits', type: 'bytea', of: ofBytes(({ timestampBits }) => u64Bytes(timestampBits)) },
  { name: 'expires_at', type: 'bigint', of: (channels) => wholes(channels.map(({ expiresAt }) => expiresAt)) },
];

const names = COLUMNS.map(({ name }) => name);

/** `insert or replace` of the channels in the parameters from `$first` on; only `where` the condition holds. */
export function upsertChannels(first: number, where: string): string {
  const values = COLUMNS.map(({ name, value }) => value ?? name);
  const parameters = COLUMNS.map(({ type }, index) => `$${first + index}::${type}[]`);
  const changes = names.filter((name) => name !== 'channel_id').map((name) => `${name} = excluded.${name}`);
  return `insert into channels (${names.join(', ')})
    select ${values.join(', ')} from unnest(${parameters.join(', ')}) as given (${names.join(', ')})
    where ${where}
    on conflict (channel_id) do update set ${changes.join(', ')}`;
}

/** Parameters of `upsertChannels`. Of a channel that comes twice the last row counts. */
export function channelParameters(rows: Uint8Array): Buffer[] {
  const channels = new Map<bigint, Channel>();
  for (let start = 0; start < rows.length; start += ROW_BYTES) {
    const channel = decodeRow(rows.subarray(start, start + ROW_BYTES));
    channels.set(channel.channelId, channel);
  }
  const list = [...channels.values()];
  return COLUMNS.map(({ of }) => of(list));
}

/** Byte strings of a channel, all in one, in the order of `FIELD`. */
const BYTES = 'ledger_channel_id || public_key || signature || timestamp_bits';
const FIELD = { ledgerChannelId: 0, publicKey: 32, signature: 65, timestampBits: 129, end: 137 } as const;
const WORDS =
  "channel_id || ' ' || profile || ' ' || state || ' ' || throw_away || ' ' || capacity || ' ' || committed || ' ' || sequence || ' ' || expires_at";

/**
 * Channels as one row of two texts: what is printed as bytes, and the rest. A row of its own for each would be most of the work.
 * @param source a table with the columns of `channels`
 */
export function packedChannels(source: string): string {
  return `select count(*) as count, max(channel_id) as last, string_agg(${BYTES}, ''::bytea order by channel_id) as bytes,
    string_agg(${WORDS}, ',' order by channel_id) as words from ${source}`;
}

/** Packed rows of the answer to `packedChannels`. */
export function rowsOf({ count, bytes, words }: Row): Uint8Array {
  const total = Number(count);
  const rows = new Uint8Array(total * ROW_BYTES);
  if (total === 0) return rows;
  // The text begins with \x.
  const fields = Buffer.from(bytes!.slice(2), 'hex');
  assert(fields.length === total * FIELD.end, `expected ${FIELD.end} bytes a channel, got ${fields.length / total}`);
  for (const [index, line] of words!.split(',').entries()) {
    const [channelId, profile, state, throwAway, capacity, committed, sequence, expiresAt] = line.split(
      ' ',
    ) as string[];
    const at = fields.subarray(index * FIELD.end, (index + 1) * FIELD.end);
    const channel: Channel = {
      channelId: BigInt(channelId!),
      ledgerChannelId: at.subarray(FIELD.ledgerChannelId, FIELD.publicKey),
      publicKey: at.subarray(FIELD.publicKey, FIELD.signature),
      signature: at.subarray(FIELD.signature, FIELD.timestampBits),
      timestampBits: at.readBigUInt64BE(FIELD.timestampBits),
      capacity: BigInt(capacity!),
      committed: BigInt(committed!),
      sequence: Number(sequence),
      expiresAt: Number(expiresAt),
      profile: profile as Channel['profile'],
      state: state as Channel['state'],
    };
    if (throwAway === 'true') channel.throwAway = true;
    encodeRow(channel, rows, index * ROW_BYTES);
  }
  return rows;
}

function u64Bytes(value: bigint): Uint8Array {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

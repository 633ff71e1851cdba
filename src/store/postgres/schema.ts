/**
 * The database's tables, as numbered steps that each database goes through once. A step that was released is never changed: what
 * changes the tables is a new one, under which nodes of the version before still work.
 */
import { SHARDS } from '../claim-database.ts';

/** A u64, big-endian, in 8 bytes of a bytea. */
const u64 = (bytes: string) =>
  Array.from({ length: 8 }, (_, index) => `get_byte(${bytes}, ${index})::numeric * ${256n ** BigInt(7 - index)}`).join(
    ' + ',
  );

const FIRST = [
  `create table channels (
    channel_id numeric(20) primary key,
    shard smallint not null,
    ledger_channel_id bytea not null,
    public_key bytea not null,
    profile text not null,
    state text not null,
    throw_away boolean not null,
    capacity numeric(20) not null,
    committed numeric(20) not null,
    sequence bigint not null,
    signature bytea not null,
    timestamp_bits bytea not null,
    expires_at bigint not null
  )`,
  'create index channels_of_shard on channels (shard, channel_id)',
  'create index channels_of_ledger on channels (ledger_channel_id)',
  `create table nodes (
    node text primary key,
    epoch bigint not null,
    holding bigint not null,
    change text
  )`,
  `create table members (
    node text primary key references nodes (node),
    is_member boolean not null,
    beats bigint not null,
    places text not null,
    leaving boolean not null
  )`,
  `create table shards (
    shard smallint primary key,
    node text references nodes (node),
    epoch bigint not null,
    source text references nodes (node)
  )`,
  `insert into shards (shard, epoch) select number, 0 from generate_series(0, ${SHARDS - 1}) as numbers (number)`,
  `create table shard_map (
    id smallint primary key,
    version bigint not null,
    confirmed bigint not null
  )`,
  'insert into shard_map (id, version, confirmed) values (1, 0, 0)',
  `create table claim_groups (
    node text not null,
    epoch bigint not null,
    lane smallint not null,
    seq bigint not null,
    records bytea not null,
    primary key (node, epoch, lane, seq)
  )`,
  `create table side_entries (
    node text not null,
    side_table text not null,
    key bytea not null,
    value bytea not null,
    shard smallint not null,
    primary key (node, side_table, key)
  )`,
  `create view charges as
    select c.channel_id, coalesce(s.node, e.node) as node, e.key as ledger_channel_id, ${u64('e.value')} as spent, c.committed,
      c.committed - (${u64('e.value')}) as unspent
    from side_entries e left join shards s on s.shard = e.shard
      left join channels c on c.ledger_channel_id = e.key and c.state <> 'removed'
    where e.side_table = 'spent' and length(e.value) = 8`,
];

/** Steps from an empty database to the newest tables. The version is how many of them were gone. */
export const MIGRATIONS: readonly (readonly string[])[] = [FIRST];

/**
 * What is quicker with PostgreSQL and unknown to others, made after step 1. Signatures do not compress, and trying costs time; a
 * channel's row is changed in its page where there is room.
 */
export const POSTGRES_TUNING = [
  'alter table claim_groups alter column records set storage external',
  'alter table channels set (fillfactor = 80)',
  'alter table nodes set (fillfactor = 10)',
  'alter table members set (fillfactor = 10)',
];

/** The row of this table is locked by whoever makes the next step; others wait for it. */
export const VERSION_TABLE = [
  'create table if not exists schema_version (id smallint primary key, version bigint not null)',
  'insert into schema_version (id, version) values (1, 0) on conflict (id) do nothing',
];

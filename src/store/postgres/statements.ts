/**
 * What a node asks of the database for its claims: each write is one statement, which holds only while the database has the
 * writer's fence. The lock on the node's row makes whoever takes the node over wait for it.
 */
import { unsigned } from './arrays.ts';
import { packedChannels, upsertChannels } from './channel-columns.ts';
import type { Statement } from './connection.ts';

/** Parameters 1 to 3 of each write: node, epoch, holding. */
const FENCE = 'select 1 from nodes where node = $1::text and epoch = $2::bigint and holding = $3::bigint';
/** A commit waits for no standby where none is named. The server looks at its settings between two statements only. */
const IS_REPLICATED = " and current_setting('synchronous_standby_names') <> ''";

const PRESENT = "state <> 'removed'";

/** @param isWatched whether a server without synchronous standbys is refused */
function writes(isWatched: boolean) {
  const fence = `${FENCE}${isWatched ? IS_REPLICATED : ''} for share`;
  const guard = `guard as (${fence})`;
  const statement = (name: string, text: string): Statement => ({ name: isWatched ? name : `${name}-single`, text });
  return {
    fence: statement('fence', fence),
    append: statement(
      'append',
      `insert into claim_groups (node, epoch, lane, seq, records)
        select $1::text, $2::bigint, $4::smallint, $5::bigint, $6::bytea where exists (${fence})
        on conflict (node, epoch, lane, seq) do update set records = excluded.records`,
    ),
    replaceChannels: statement('replace-channels', upsertChannels(4, `exists (${fence})`)),
    dropGroups: statement(
      'drop-groups',
      `with ${guard}, idle as (
          select node from nodes where node <> $1::text
            and not exists (select 1 from members where members.node = nodes.node and is_member)
            and not exists (select 1 from shards where source = nodes.node)),
        gone as (
          delete from claim_groups where node in (select $1::text union all select node from idle)
            and exists (select 1 from guard) and (
            node <> $1::text or
            (epoch < $2::bigint and not exists (select 1 from shards where source = $1::text)) or
            (epoch = $2::bigint and seq < ($4::bigint[])[lane + 1])))
        select 1 from guard`,
    ),
    commitSides: statement(
      'commit-sides',
      `with ${guard}, gone as (
          delete from side_entries where node = $1::text and exists (select 1 from guard)
            and (side_table, key) in (select * from unnest($4::text[], $5::bytea[]))),
        made as (
          insert into side_entries (node, side_table, key, value, shard)
            select $1::text, side_table, key, value, -1 from unnest($6::text[], $7::bytea[], $8::bytea[])
              as given (side_table, key, value) where exists (select 1 from guard)
            on conflict (node, side_table, key) do update set value = excluded.value)
        select 1 from guard`,
    ),
  };
}

export const WATCHED = writes(true);
export const UNWATCHED = writes(false);
export type Writes = typeof WATCHED;

/** One more write, after which everything before it is replicated too. */
export const CONFIRM: Statement = {
  name: 'confirm',
  text: 'update shard_map set confirmed = confirmed + 1 where id = 1',
};

export const FENCE_OF: Statement = { name: 'fence-of', text: 'select epoch, holding from nodes where node = $1::text' };

export const COUNT_CHANNELS: Statement = {
  name: 'count-channels',
  text: `select shard, count(*) as count from channels where shard = any($1::smallint[]) and ${PRESENT} group by shard order by shard`,
};
/** Of channels that were removed, while other groups than this node's of this epoch are there. */
export const REMOVED_CHANNELS: Statement = {
  name: 'removed-channels',
  text: packedChannels(`channels where state = 'removed'
    and channel_id in (select ${unsigned('id')} from unnest($3::bigint[]) as given (id))
    and exists (select 1 from claim_groups where node <> $1::text or epoch <> $2::bigint)`),
};
/** Of shards that have few. */
export const CHANNELS_OF_SHARDS: Statement = {
  name: 'channels-of-shards',
  text: packedChannels(`channels where shard = any($1::smallint[]) and ${PRESENT}`),
};
/** Of a shard that has many: those after a channel. */
export const CHANNELS_AFTER: Statement = {
  name: 'channels-after',
  text: packedChannels(`(select * from channels where shard = $1::smallint and channel_id > $2::numeric and ${PRESENT}
    order by channel_id limit $3::bigint) as page`),
};

export const GROUPS_AFTER: Statement = {
  name: 'groups-after',
  text: `select epoch, lane, seq, records from claim_groups
    where node = $1::text and (epoch, lane, seq) > ($2::bigint, $3::smallint, $4::bigint)
    order by epoch, lane, seq limit $5::bigint`,
};

export const SIDE_TABLES: Statement = {
  name: 'side-tables',
  text: 'select distinct side_table from side_entries where node = $1::text',
};
export const SIDES_AFTER: Statement = {
  name: 'sides-after',
  text: `select key, value from side_entries where node = $1::text and side_table = $2::text and key > $3::bytea
    order by key limit $4::bigint`,
};

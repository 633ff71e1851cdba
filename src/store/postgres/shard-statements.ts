/**
 * Changes of the map of shards. They are few, and each is several statements: these are sent as one text, so that a node that is
 * stopped halfway holds no lock for others to wait for. One at a time changes the map: it locks the row that has its version.
 * What goes into the texts was checked (rules.ts): names of nodes and whole numbers, and a key of hexadecimal digits.
 */
import { assert } from '../../errors.ts';
import type { Fence } from '../claim-database.ts';
import type { Statement } from './connection.ts';

const BEGIN = ['begin', 'select version from shard_map where id = 1 for update'];
const NEXT_VERSION = 'update shard_map set version = version + 1 where id = 1';
/** Read after the change and before its commit: whether the commit will be replicated. */
const REPLICAS = "select current_setting('synchronous_standby_names', true) as replicas";

const MEMBERS = `(select json_agg(json_build_object('node', m.node, 'epoch', n.epoch, 'beats', m.beats, 'places', m.places,
  'leaving', m.leaving)) from members m join nodes n on n.node = m.node where m.is_member) as members`;

export const PULSE: Statement = { name: 'pulse', text: `select version, ${MEMBERS} from shard_map where id = 1` };
export const STATE: Statement = {
  name: 'state',
  text: `select version, ${MEMBERS},
    (select json_agg(json_build_array(shard, node, epoch, source) order by shard) from shards) as shards from shard_map where id = 1`,
};

/** A beat that says what the one before it said: no lock on the map. */
export const BEAT: Statement = {
  name: 'beat',
  text: `update members set beats = beats + 1
    where node = $1::text and is_member and places = $3::text and leaving = $4::boolean
      and exists (select 1 from nodes where node = $1::text and epoch = $2::bigint for share)`,
};

/** A change: its statements. The last but one answers with epoch and holding of a node, and whether the change is done. */
export type Change = readonly string[];

function changed(statements: readonly string[], outcome: string): Change {
  return [...BEGIN, ...statements, REPLICAS, outcome, 'commit'];
}

export function enter(node: string): Change {
  const name = quoted(node);
  return changed(
    [
      `insert into nodes (node, epoch, holding) values (${name}, 1, 0)
        on conflict (node) do update set epoch = nodes.epoch + 1, change = null`,
      `insert into members (node, is_member, beats, places, leaving) values (${name}, true, 0, '[]', false)
        on conflict (node) do update set is_member = true`,
      `update shards set node = ${name}, epoch = epoch + 1 where node is null`,
      NEXT_VERSION,
    ],
    `select epoch, holding, true as done from nodes where node = ${name}`,
  );
}

export function beat({ node, epoch }: Fence, places: string, leaving: boolean): Change {
  const isNode = `node = ${quoted(node)}`;
  const isHere = `exists (select 1 from nodes where ${isNode} and epoch = ${whole(epoch)})`;
  return changed(
    [
      `select 1 from nodes where ${isNode} for share`,
      `update members set beats = beats + 1, is_member = true, places = ${quoted(places)}, leaving = ${leaving} where ${isNode} and ${isHere}`,
      `${NEXT_VERSION} and ${isHere}`,
    ],
    `select epoch, holding, ${isHere} as done from nodes where ${isNode}`,
  );
}

/** @param key of this call alone, by which a second try knows what the first one did */
export function takeOver(
  by: Fence,
  dead: { node: string; epoch: number },
  to: ReadonlyMap<number, string>,
  key: string,
): Change {
  const isDead = `node = ${quoted(dead.node)}`;
  const targets = [...new Set(to.values())];
  const others = targets.includes(dead.node) ? 'false' : membersAre(targets);
  const isOurs = `exists (select 1 from nodes where ${isDead} and change = ${quoted(key)})`;
  const given = `unnest(${smallArray(to.keys())}, array[${[...to.values()].map(quoted).join(', ')}]::text[]) as given (shard, node)`;
  return changed(
    [
      `select 1 from nodes where ${fenceOf(by)} for share`,
      `update nodes set epoch = epoch + 1, change = ${quoted(key)} where ${isDead} and epoch = ${whole(dead.epoch)}
        and exists (select 1 from nodes where ${fenceOf(by)}) and ${others}
        and not exists (select 1 from shards where ${isDead} and shard <> all (${smallArray(to.keys())}))`,
      `update members set is_member = false where ${isDead} and ${isOurs}`,
      `update shards set node = given.node, epoch = shards.epoch + 1, source = coalesce(shards.source, ${quoted(dead.node)})
        from ${given} where given.shard = shards.shard and shards.${isDead} and ${isOurs}`,
      `${NEXT_VERSION} and ${isOurs}`,
    ],
    `select epoch, holding, ${isOurs} as done from nodes where node = ${quoted(by.node)}`,
  );
}

/** @param key as for `takeOver` */
export function handOver(fence: Fence, shards: readonly number[], to: string, key: string): Change {
  const given = [...new Set(shards)];
  const isGiver = `node = ${quoted(fence.node)}`;
  const isHeld = `shard = any (${smallArray(given)}) and ${isGiver}`;
  const isOther = to === fence.node ? 'false' : membersAre([to]);
  const isOurs = `exists (select 1 from nodes where ${isGiver} and change = ${quoted(key)})`;
  // A second try finds the first one's key, and gives nothing: shards of the first may have come back meanwhile.
  const first = quoted(`${key} first`);
  const isFirst = `exists (select 1 from nodes where ${isGiver} and change = ${first})`;
  return changed(
    [
      `update nodes set holding = holding + ${given.length}, change = ${first} where ${fenceOf(fence)} and ${isOther}
        and (select count(*) from shards where ${isHeld} and source is null) = ${given.length}`,
      `update shards set node = ${quoted(to)}, epoch = epoch + 1 where ${isHeld} and ${isFirst}`,
      `${NEXT_VERSION} and ${isFirst}`,
      `update nodes set change = ${quoted(key)} where ${isGiver} and change = ${first}`,
    ],
    `select epoch, holding, ${isOurs} as done from nodes where ${isGiver}`,
  );
}

export function folded(fence: Fence, shards: readonly number[]): Change {
  const isFence = `exists (select 1 from nodes where ${fenceOf(fence)})`;
  const isUnfolded = `shard = any (${smallArray(shards)}) and node = ${quoted(fence.node)} and source is not null`;
  return changed(
    [
      `select 1 from nodes where ${fenceOf(fence)} for share`,
      `${NEXT_VERSION} and ${isFence} and exists (select 1 from shards where ${isUnfolded})`,
      `update shards set source = null where ${isUnfolded} and ${isFence}`,
    ],
    `select epoch, holding, ${isFence} as done from nodes where node = ${quoted(fence.node)}`,
  );
}

export function leave(fence: Fence): Change {
  const isNode = `node = ${quoted(fence.node)}`;
  const isFree = `exists (select 1 from nodes where ${fenceOf(fence)}) and not exists (select 1 from shards where ${isNode})`;
  return changed(
    [
      `select 1 from nodes where ${fenceOf(fence)} for share`,
      `update members set is_member = false where ${isNode} and ${isFree}`,
      `${NEXT_VERSION} and ${isFree}`,
    ],
    `select epoch, holding, ${isFree} as done from nodes where ${isNode}`,
  );
}

function fenceOf({ node, epoch, holding }: Fence): string {
  return `node = ${quoted(node)} and epoch = ${whole(epoch)} and holding = ${whole(holding)}`;
}

function membersAre(names: readonly string[]): string {
  if (names.length === 0) return 'true';
  return `(select count(*) from members where is_member and node in (${names.map(quoted).join(', ')})) = ${names.length}`;
}

function smallArray(items: Iterable<number>): string {
  return `'{${[...items].map(whole).join(',')}}'::smallint[]`;
}

function whole(value: number): string {
  assert(Number.isSafeInteger(value), 'a number in a statement is whole');
  return String(value);
}

/** A text without a quote, a backslash or what is not printable. */
function quoted(text: string): string {
  assert(/^[ -&(-[\]-~]*$/.test(text), 'a text in a statement has nothing that ends it');
  return `'${text}'`;
}

/**
 * Which node should hold which shard: rendezvous hashing with bounded load, from the present map. Pure; every node comes to
 * the same answer from the same map.
 *
 * A shard stays where it is unless its holder has gone or holds more than its part, so nothing moves that need not: the n-th
 * node gets 1/n of the shards and nothing else moves, and a node that goes leaves only its own. The weight of a node for a
 * shard, a hash of both, says which shards move, and where to.
 */

/** A shard that should change hands. */
export interface ShardMove {
  shard: number;
  from: string;
  to: string;
}

/** Nodes hold their part of the shards to so much more or less before anything moves by itself: an operator's moves stay. */
const SLACK = 0.1;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const MIX_FIRST = 0x85ebca6b;
const MIX_SECOND = 0xc2b2ae35;

/** The holder that each shard should have, by shard. `present` has the holder of each, or undefined; `members` is not empty. */
export function placement(present: readonly (string | undefined)[], members: readonly string[]): string[] {
  const held = new Map(members.toSorted().map((node): [string, number[]] => [node, []]));
  const homeless: number[] = [];
  for (const [shard, node] of present.entries()) (held.get(node ?? '') ?? homeless).push(shard);
  const parts = partsOf(present.length, held);
  const wanted = [...present];
  for (const [node, shards] of held) {
    const given = shards.length - parts.get(node)!;
    if (given <= 0) continue;
    // Those that the node has the least weight for go first.
    const weights = new Map(shards.map((shard) => [shard, weight(node, String(shard))]));
    const ranked = shards.toSorted((left, right) => weights.get(left)! - weights.get(right)! || left - right);
    homeless.push(...ranked.slice(0, given));
    shards.length = parts.get(node)!;
  }
  const room = new Map<string, number>();
  for (const [node, shards] of held)
    if (shards.length < parts.get(node)!) room.set(node, parts.get(node)! - shards.length);
  for (const shard of homeless) {
    const [heaviest] = rankedFor([...room.keys()], String(shard));
    const left = room.get(heaviest!)! - 1;
    if (left === 0) room.delete(heaviest!);
    else room.set(heaviest!, left);
    wanted[shard] = heaviest!;
  }
  return wanted as string[];
}

/** How many shards a member should hold, from the present map. */
export function partOf(node: string, present: readonly (string | undefined)[], members: readonly string[]): number {
  const held = new Map(members.map((member): [string, number[]] => [member, []]));
  for (const [shard, holder] of present.entries()) held.get(holder ?? '')?.push(shard);
  return partsOf(present.length, held).get(node) ?? 0;
}

/** How many shards each node should hold: all the same number, and one more for those that hold the most. */
function partsOf(shards: number, held: ReadonlyMap<string, readonly number[]>): Map<string, number> {
  const part = Math.floor(shards / held.size);
  const larger = shards % held.size;
  const byCount = [...held].sort(
    ([left, lefts], [right, rights]) => rights.length - lefts.length || order(left, right),
  );
  return new Map(byCount.map(([node], rank) => [node, part + (rank < larger ? 1 : 0)]));
}

/** Nodes by their weight for a key, the heaviest first: who gets a shard, or who of the survivors acts first. */
export function rankedFor(nodes: readonly string[], key: string): string[] {
  const weights = new Map(nodes.map((node) => [node, weight(node, key)]));
  return nodes.toSorted((left, right) => weights.get(right)! - weights.get(left)! || order(left, right));
}

/** Whether every shard has a member for a holder, and each member its part give or take a tenth. */
export function isBalanced(present: readonly (string | undefined)[], members: readonly string[]): boolean {
  const counts = new Map(members.map((node) => [node, 0]));
  for (const node of present) {
    const count = counts.get(node ?? '');
    if (count === undefined) return false;
    counts.set(node!, count + 1);
  }
  const average = present.length / members.length;
  const [least, most] = [Math.floor(average * (1 - SLACK)), Math.ceil(average * (1 + SLACK))];
  return [...counts.values()].every((count) => count >= least && count <= most);
}

/** What has to move from the present map to the wanted one, by shard. Shards without a holder are not moved: they are entered. */
export function movesBetween(present: readonly (string | undefined)[], wanted: readonly string[]): ShardMove[] {
  const moves: ShardMove[] = [];
  for (const [shard, from] of present.entries())
    if (from !== undefined && from !== wanted[shard]) moves.push({ shard, from, to: wanted[shard]! });
  return moves;
}

/** The shards that one node gives away next, all to the same one, and at most `most` of them; undefined where it gives none. */
export function nextBatch(
  moves: readonly ShardMove[],
  giver: string,
  most: number,
): { shards: number[]; to: string } | undefined {
  const own = moves.filter(({ from }) => from === giver);
  const [first] = own;
  if (first === undefined) return undefined;
  const shards = own.filter(({ to }) => to === first.to).map(({ shard }) => shard);
  return { shards: shards.slice(0, most), to: first.to };
}

/** FNV-1a of both texts, mixed as murmur3 ends. */
function weight(node: string, key: string): number {
  let hash = FNV_OFFSET;
  const text = `${node}/${key}`;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), MIX_FIRST);
  hash = Math.imul(hash ^ (hash >>> 13), MIX_SECOND);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function order(left: string, right: string): number {
  return left < right ? -1 : 1;
}

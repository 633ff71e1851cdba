/**
 * The map of a cluster's shards, as the control message `route` gives it (README.md, "Control messages"). Runs anywhere.
 *
 * It says which node holds each shard and where the nodes are found, and so where a payer sends its claims: it is taken
 * only from a node that the payer was told of, over a connection, and never from a datagram.
 */
import { DECIMAL_U64 } from './control.ts';
import { SHARDS } from './shard.ts';

/** The most nodes of a map, places of a node, and characters of a place and of a node's name. */
export const ROUTE_NODES_MAX = 256;
/** The most places of a node. */
export const ROUTE_PLACES_MAX = 8;
/** The most characters of a place. */
export const ROUTE_PLACE_CHARACTERS_MAX = 128;
/** The most characters of a node's name. */
export const ROUTE_NAME_CHARACTERS_MAX = 64;
/** The most bytes of a map as JSON, which is longer than MessagePack: a node takes no larger one from its cluster. */
export const ROUTE_BYTES_MAX = 61_440;

/** A node of the cluster. */
export interface RouteNode {
  name: string;
  /** Addresses where claims are taken, such as `udp://192.0.2.1:9393`, `tcp://…`, `tls://…`; those of unknown schemes are passed over. */
  places: string[];
}

/** The answer to `route`. */
export interface RouteResult {
  /** Decimal u64; rises with every change of holders, nodes or places. */
  version: string;
  /** The name of the node that answers. */
  node: string;
  /**
   * The holders of shards 0 to 1,023 as runs, two numbers each: how many shards, and which of `nodes` holds them, -1 where
   * none does.
   */
  shards: number[];
  nodes: RouteNode[];
}

/** The map as a payer uses it. */
export interface RouteMap {
  readonly version: bigint;
  /** By shard: an index of `nodes`, or -1. */
  readonly holders: Int16Array;
  readonly nodes: readonly RouteNode[];
}

/** @param holders by shard: an index of nodes, or -1 */
export function shardRuns(holders: ArrayLike<number>): number[] {
  const runs: number[] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    const holder = holders[shard]!;
    if (runs.length > 0 && runs.at(-1) === holder) runs[runs.length - 2]! += 1;
    else runs.push(1, holder);
  }
  return runs;
}

/** Reads an answer to `route` that a peer made. Undefined where it has another form or passes a limit. Never throws. */
export function parseRoute(value: Record<string, unknown>): RouteMap | undefined {
  const { version, shards, nodes } = value;
  if (typeof version !== 'string' || !DECIMAL_U64.test(version) || BigInt(version) > 0xffff_ffff_ffff_ffffn)
    return undefined;
  if (!Array.isArray(nodes) || nodes.length === 0 || nodes.length > ROUTE_NODES_MAX) return undefined;
  const checked = nodes.map(parseNode);
  if (!checked.every((node) => node !== undefined)) return undefined;
  if (new Set(checked.map(({ name }) => name)).size < checked.length) return undefined;
  const holders = parseRuns(shards, nodes.length);
  return holders && { version: BigInt(version), holders, nodes: checked };
}

function parseNode(value: unknown): RouteNode | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, places } = value as Partial<Record<keyof RouteNode, unknown>>;
  if (!isText(name, ROUTE_NAME_CHARACTERS_MAX) || !Array.isArray(places) || places.length > ROUTE_PLACES_MAX)
    return undefined;
  if (!places.every((place): place is string => isText(place, ROUTE_PLACE_CHARACTERS_MAX))) return undefined;
  return { name, places: [...places] };
}

function parseRuns(runs: unknown, nodes: number): Int16Array | undefined {
  if (!Array.isArray(runs) || runs.length > 2 * SHARDS || runs.length % 2 !== 0) return undefined;
  const holders = new Int16Array(SHARDS);
  let shard = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const [count, holder] = [runs[index], runs[index + 1]];
    if (!Number.isInteger(count) || count < 1) return undefined;
    if (!Number.isInteger(holder) || holder < -1 || holder >= nodes) return undefined;
    holders.fill(holder, shard, shard + count);
    shard += count;
  }
  return shard === SHARDS ? holders : undefined;
}

/** Printable ASCII without spaces: an address or a name, which may be printed as it is. */
function isText(value: unknown, charactersMax: number): value is string {
  return typeof value === 'string' && value.length <= charactersMax && /^[!-~]+$/.test(value);
}

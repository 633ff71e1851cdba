/**
 * What a cluster tells its node of the shards: which of them the node serves, and the map that peers are shown. node.ts
 * hands it out, the cluster (src/cluster) calls it, and the control server (server.ts) answers peers by it. Main thread.
 */
import {
  parseRoute,
  ROUTE_BYTES_MAX,
  ROUTE_NODES_MAX,
  ROUTE_PLACES_MAX,
  type RouteNode,
  type RouteResult,
  shardRuns,
} from '../../protocol/route.ts';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { ClaimwireError } from '../errors.ts';

/** The map of shards, as a cluster knows it. */
export interface ClusterMap {
  /** A whole number that rises with each change of holders, nodes or places. */
  readonly version: number;
  /** The name of this node. */
  readonly node: string;
  readonly nodes: readonly Readonly<RouteNode>[];
  /** The name of each shard's holder, by shard; undefined where none holds it. */
  readonly holders: readonly (string | undefined)[];
}

/** For the cluster: to say what the node serves. A node of no cluster is never told, and serves every shard. */
export interface RouteControl {
  /**
   * From now on claims and requests of channels in other shards than these are answered MOVED, where the channel is unknown
   * here or no longer open. Whoever gives a shard away closes its channels to claims itself; whoever gets one puts them
   * into its table before, since a channel that is unknown at its holder is refused for good (NodeControl.openChannels takes
   * none until then).
   * With the version of the map by which the shards are held.
   */
  hold(shards: Iterable<number>, version: number): void;
  /**
   * The database has confirmed at this time of the monotonic clock, or later, that the node may write, and nobody takes its
   * shards for so long from then on. Later than that claims that would be refused for good are answered MOVED.
   */
  confirm(askedAtMs: number, standsMs: number): void;
  /** The map that peers are shown from now on. Throws INPUT_INVALID where it passes a limit of protocol/route.ts. */
  show(map: ClusterMap): void;
}

/** Where claims are told which shards are held: ring/held-shards.ts. */
type HeldShards = Pick<RouteControl, 'hold' | 'confirm'>;

/** The node's side of RouteControl, and what the control server asks. */
export class RouteBoard implements RouteControl {
  readonly #claims: HeldShards;
  #held: Set<number> | undefined;
  #version = 0;
  #shown: RouteResult | undefined;

  constructor(claims: HeldShards) {
    this.#claims = claims;
  }

  hold(shards: Iterable<number>, version: number): void {
    const held = new Set(shards);
    for (const shard of held) if (!(Number.isInteger(shard) && shard >= 0 && shard < SHARDS)) throw outside(shard);
    this.#claims.hold(held, version);
    this.#held = held;
    this.#version = version;
  }

  confirm(askedAtMs: number, standsMs: number): void {
    this.#claims.confirm(askedAtMs, standsMs);
  }

  show(map: ClusterMap): void {
    const { version, node, nodes } = map;
    const indexes = new Map(nodes.map(({ name }, index) => [name, index]));
    const holders = Array.from({ length: SHARDS }, (_, shard) => indexes.get(map.holders[shard] ?? '') ?? -1);
    const plain = nodes.map(({ name, places }) => ({ name, places: [...places] }));
    const shown: RouteResult = { version: String(version), node, shards: shardRuns(holders), nodes: plain };
    if (parseRoute({ ...shown }) === undefined || JSON.stringify(shown).length > ROUTE_BYTES_MAX)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `map: expected at most ${ROUTE_NODES_MAX} nodes of ${ROUTE_PLACES_MAX} places, ${ROUTE_BYTES_MAX} bytes in all, got ${nodes.length} nodes; give fewer or shorter places`,
      );
    this.#shown = shown;
  }

  /** The map to show, or undefined in no cluster. */
  get shown(): Readonly<RouteResult> | undefined {
    return this.#shown;
  }

  /** Whether the shards are those of a cluster, so that some may be elsewhere. */
  get isShared(): boolean {
    return this.#held !== undefined;
  }

  /** Whether the channel's shard is served here. */
  holds(channelId: bigint): boolean {
    return this.#held === undefined || this.#held.has(shardOfChannel(channelId));
  }

  /** Throws MOVED where another node holds the channel's shard. */
  expectHere(channelId: bigint): void {
    if (this.#held === undefined) return;
    const shard = shardOfChannel(channelId);
    if (this.#held.has(shard)) return;
    const version = String(this.#version);
    const node = this.#nodeOf(shard)?.name;
    throw new ClaimwireError(
      'MOVED',
      `channel ${channelId}: expected one of this node's shards, got shard ${shard}, which another node holds; ask for the route`,
      { channelId: String(channelId), shard, version, ...(node !== undefined && { node }) },
    );
  }

  /** Which other node holds the channel's shard, by the map that is shown, and where it is found. */
  holderOf(channelId: bigint): { node: string; places: readonly string[] } | undefined {
    const holder = this.#nodeOf(shardOfChannel(channelId));
    if (holder === undefined || holder.name === this.#shown?.node) return undefined;
    return { node: holder.name, places: holder.places };
  }

  #nodeOf(shard: number): Readonly<RouteNode> | undefined {
    const { shards = [], nodes = [] } = this.#shown ?? {};
    for (let index = 0, first = 0; index < shards.length; index += 2) {
      first += shards[index]!;
      if (shard >= first) continue;
      return nodes[shards[index + 1]!];
    }
    return undefined;
  }
}

function outside(shard: number): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `shard: expected 0..${SHARDS - 1}, got ${shard}`);
}

/** How the shards are spread, as the map of a node has it: for whoever watches the cluster. Pure. */
import type { ClusterState } from '../store/claim-database.ts';
import { partOf } from './placement.ts';

export interface ShardFigures {
  /** The node's part of all shards, by the members that take any. */
  shardsWanted: number;
  /** Shards that each member holds, by its name. */
  held: Record<string, number>;
}

/** @param isLeaving whether the node gives its shards away, which the map may not say yet */
export function shardFigures(state: ClusterState | undefined, node: string, isLeaving: boolean): ShardFigures {
  if (state === undefined) return { shardsWanted: 0, held: {} };
  const held: Record<string, number> = Object.fromEntries(state.members.map((member) => [member.node, 0]));
  const present = state.shards.map((shard) => shard.node);
  for (const holder of present) if (holder !== undefined) held[holder] = (held[holder] ?? 0) + 1;
  const others = state.members.filter((member) => member.node !== node && !member.leaving);
  const members = [...others.map((member) => member.node), ...(isLeaving ? [] : [node])];
  return { shardsWanted: isLeaving ? 0 : partOf(node, present, members), held };
}

/** What an operator may ask of a node of a cluster, and what it tells. */

/** What a node did in its cluster since it started, and what it sees. */
export interface ClusterFigures {
  node: string;
  /** Rises with each start of the node, and with each takeover of it. */
  epoch: number;
  /** Version of the map that it goes by. */
  version: number;
  members: number;
  /** Of the others, those whose beats stand still for as long as a takeover waits. */
  silent: number;
  /** Whether it gives its shards away, and takes none. */
  isLeaving: boolean;
  /** Shards that it serves, and that it loads or gives away just now. */
  shardsServed: number;
  shardsMoving: number;
  /** Its part of all shards, by the members that take any. */
  shardsWanted: number;
  /** Shards that each member holds by that map, by its name. */
  held: Readonly<Record<string, number>>;
  takeovers: number;
  shardsReceived: number;
  shardsGiven: number;
  /** For how long the last batch of shards given away was refused here, and how long the last one got took to load. */
  lastGiveMs: number;
  lastLoadMs: number;
  /** Beats of the node that were refused or failed, and milliseconds since the last one that was confirmed. */
  beatsFailed: number;
  beatAgeMs: number;
  /** Milliseconds since the database last answered. */
  lagMs: number;
  /** How often the others were watched anew, since the node stood still or could not reach the database. */
  watchRestarts: number;
}

export interface ClusterControl {
  readonly figures: ClusterFigures;
  /** Gives all shards to the others, and takes none. */
  leave(): void;
  /** Takes shards again. */
  join(): void;
  /** Moves shards until each node has its part to the last one. */
  rebalance(): void;
  /** Gives shards to a member, soon; those that the node does not hold stay where they are. Throws INPUT_INVALID. */
  move(shards: readonly number[], to: string): void;
}

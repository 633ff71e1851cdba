/**
 * Whose a side entry is. One of a shard is the shard's: it lies under a name that no node can have, and whoever holds the shard
 * reads and writes it. So nothing has to be moved when the shard is, however many entries it has.
 */
export function sideOwner(node: string, shard: number | undefined): string {
  return shard === undefined ? node : `#${shard}`;
}

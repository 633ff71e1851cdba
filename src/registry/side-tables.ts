/**
 * Small tables beside the channels, for what few channels or callers need: views of the ledger, redemptions, charges. The
 * interface: LMDB implements it in the data folder, a simulator in memory. Main thread, never on the claim path.
 */

/** What an entry may be, and how many bytes of changes may wait for a commit. */
export const SIDE_LIMITS = {
  tableNameMax: 32,
  keyBytesMax: 128,
  valueBytesMax: 65_536,
  waitingBytesMax: 64 * 2 ** 20,
} as const;

/** One change of a commit. Without a value the entry is removed; removing what is not there changes nothing. */
export interface SideChange {
  /** Name of the table: lower-case letters, digits and hyphens, at most 32. A table exists once it has an entry. */
  table: string;
  /** 1 to 128 bytes. */
  key: Uint8Array;
  /** At most 64 KiB. */
  value?: Uint8Array | undefined;
  /**
   * The shard of the channel that the entry is about. Where nodes share a store, the entry goes wherever the shard goes, and
   * only its holder may write it. Without a shard an entry stays with its node. A data folder takes no notice of it.
   */
  shard?: number | undefined;
}

export interface SideTables {
  /** Whether entries of shards come and go with them, so that they must not be numbered across shards. */
  readonly isSharded?: boolean;
  /** A copy of the value that was committed last, or undefined. */
  get(table: string, key: Uint8Array): Uint8Array | undefined;
  /** Copies of a table's entries in the order of their keys' bytes, from key `from` on where it is given. */
  entries(table: string, from?: Uint8Array): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /**
   * Makes changes, all in one commit that is on stable storage when the promise resolves; after a rejection (REGISTRY_FULL,
   * REGISTRY_FAILED, or NODE_BUSY where 64 MiB of changes wait already) none is made. Calls take effect in their order, and
   * those that wait share the next sync.
   */
  commit(changes: readonly SideChange[]): Promise<void>;
}

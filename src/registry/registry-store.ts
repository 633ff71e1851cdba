/**
 * What is known of every channel at the last checkpoint, as a port: registry.ts keeps it in LMDB, a simulator in memory.
 * Main thread. Taking the folder and giving it up is each implementation's own.
 */

export interface RegistryMeta {
  format: number;
  /** ISO time of the first start. */
  createdAt: string;
  /** 32 hex digits: which journal belongs to this registry. */
  journalId: string;
  /** First journal segment to replay, one per lane; empty before the first checkpoint. */
  replayFrom: number[];
  /**
   * Of each lane a segment that has been on the disk since before this was recorded, or 0 where there may be none. A
   * lane whose segment is missing has lost its journal. Registries of earlier trees do not have it.
   */
  segmentsThere?: number[];
}

export interface RegistryStore {
  /** Number of channels stored. */
  readonly count: number;
  readonly meta: RegistryMeta;
  /** Changes fields of the meta record; durable when it returns. Throws REGISTRY_FULL or REGISTRY_FAILED. */
  setMeta(change: Partial<Omit<RegistryMeta, 'format' | 'createdAt'>>): void;
  /**
   * Hands every row to `visit` by position from 0, checked. The row is a view that is valid during the call.
   * @returns the number of rows
   * @throws ClaimwireError REGISTRY_CORRUPT naming the row
   */
  forEachRow(visit: (row: Uint8Array) => void): number;
  /**
   * Replaces the rows at `positions`, all in one commit that is on stable storage when the promise resolves; after a
   * rejection (REGISTRY_FULL, REGISTRY_FAILED) none is replaced. One call at a time.
   * @param rows packed rows, ROW_BYTES each; copied before the call returns. Those beyond `positions` are appended
   */
  replace(positions: readonly number[], rows: Uint8Array): Promise<void>;
}

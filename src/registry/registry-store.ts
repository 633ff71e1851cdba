/**
 * The interface of the registry: registry.ts implements it over LMDB, a simulator in memory. Main thread.
 */

import type { VisitLeaf } from './check.ts';

export interface RegistryMeta {
  format: number;
  /** ISO time of the first start. */
  createdAt: string;
  /** 32 hex digits: which journal belongs to this registry. */
  journalId: string;
  /** First journal segment to replay, one per lane; empty before the first checkpoint. */
  replayFrom: number[];
  /**
   * Of each lane a segment that was on the disk before this was recorded, or 0 where there may be none: a lane whose
   * segment is missing has lost its journal. Registries of earlier versions lack this field.
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
   * Calls `visit` with every row, checked, by position from 0. The row is a view that is valid during the call.
   * @param visitLeaf may get the rows of whole pages instead (check.ts)
   * @returns the number of rows
   * @throws ClaimwireError REGISTRY_CORRUPT naming the row
   */
  forEachRow(visit: (row: Uint8Array) => void, visitLeaf?: VisitLeaf): number;
  /**
   * Replaces the rows at `positions`, all in one commit that is on stable storage when the promise resolves; after a
   * rejection (REGISTRY_FULL, REGISTRY_FAILED) none is replaced. One call at a time.
   * @param rows packed rows, ROW_BYTES each; copied before the call returns. Those beyond `positions` are appended
   */
  replace(positions: readonly number[], rows: Uint8Array): Promise<void>;
}

/**
 * The claim path's loops in C (native/claim_path.c, leaf_path.c), the fast twins of what the receive, stage and apply steps do for
 * plain claims and leaves. Each handles a run of them and stops before the first that is not plain, which it leaves to the step.
 *
 * One instance per ring, for the thread that uses it. Without it (`--path portable`, or no addon) the steps do everything.
 */
import type { RootedRows } from '../channel/rooted.ts';
import { ClaimwireError } from '../errors.ts';
import { loadAddon } from '../native/addon.ts';
import type { Arena } from '../ring/arena.ts';
import { arenaLayout } from '../ring/arena-layout.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { CommitGroup } from './commit-group.ts';
import type { DuplicateFilter } from './duplicate-filter.ts';
import type { Standing } from './standing.ts';

/** C counts seconds in a u32, as expiries do: a clock beyond it stays at its end instead of wrapping. */
const U32_MAX = 0xffff_ffff;

/** Memory of C, as pathOpen and pathGroup return it. */
type Handle = object;

interface PathAddon {
  pathOpen(
    arena: Uint8Array,
    layout: Uint32Array,
    filterCells: Uint32Array,
    filterPlaces: Uint32Array,
    knownCells: Uint32Array | null,
    knownSeed: number,
  ): Handle;
  pathGroup(
    journal: Uint8Array,
    rowHeads: Uint32Array,
    rowNext: Uint32Array,
    rowOfRecord: Uint32Array,
    ackWords: Uint32Array,
    ackRecords: Uint32Array,
    ackNext: Uint32Array,
    ackHeads: Uint32Array,
    counts: Uint32Array,
    leafHeads?: Uint32Array,
    leafNext?: Uint32Array,
  ): Handle;
  pathAdmit(
    path: Handle,
    bytes: Uint8Array,
    offset: number,
    end: number,
    source: Uint32Array,
    next: number,
    nowSeconds: number,
    free: number,
  ): number;
  pathStage(path: Handle, open: Handle, syncing: Handle | null, next: number, end: number, nowSeconds: number): number;
  pathCommit(path: Handle, group: Handle): number;
  pathEnterLeaves(
    path: Handle,
    bytes: Uint8Array,
    offset: number,
    size: number,
    source: Uint32Array,
    at: number,
    entry: number,
    count: number,
    next: number,
    nowSeconds: number,
    free: number,
  ): boolean;
  pathStageLeaves(
    path: Handle,
    open: Handle,
    syncing: Handle | null,
    next: number,
    end: number,
    nowSeconds: number,
    entry: number,
    frame: number,
    accepted: Uint32Array,
  ): number;
  pathCommitLeaves(
    path: Handle,
    group: Handle,
    rooted: Uint32Array,
    frameOffsets: Uint32Array,
    frames: number,
    base: number,
    lane: number,
    segment: number,
  ): number;
}

/** A frame of a Merkle batch, and the byte of the arena where the pool has a free entry for it. */
export interface PlainFrame {
  bytes: Uint8Array;
  offset: number;
  size: number;
  count: number;
  entry: number;
}

export class NativePath {
  readonly #addon: PathAddon;
  readonly #path: Handle;
  readonly #groups = new WeakMap<CommitGroup, Handle>();
  /** The leaves that C has staged of the frame at hand, a bit each. */
  readonly #accepted = new Uint32Array(2);

  private constructor(addon: PathAddon, path: Handle) {
    this.#addon = addon;
    this.#path = path;
  }

  /** `filter` and `standing` are the receive step's. Throws BACKEND_UNAVAILABLE where C cannot be used. */
  static open(arena: Arena, ring: ClaimRing, filter: DuplicateFilter, standing?: Standing): NativePath {
    const fault = nativePathFault();
    if (fault !== undefined) throw new ClaimwireError('BACKEND_UNAVAILABLE', `path native: ${fault}`);
    const addon = loadAddon<PathAddon>();
    const { cells, places } = filter;
    const known = standing?.cells ?? null;
    const path = addon.pathOpen(arena.bytes, arenaLayout(arena, ring), cells, places, known, standing?.seed ?? 0);
    return new NativePath(addon, path);
  }

  /**
   * Enters the plain claims at the start of `bytes[offset, end)` into slots from sequence `next` on; returns how many. The first
   * `free` of them enter whoever sent them, later ones if their pair is known.
   */
  admit(
    bytes: Uint8Array,
    offset: number,
    end: number,
    source: Uint32Array,
    next: number,
    nowSeconds: number,
    free: number,
  ): number {
    const seconds = Math.min(nowSeconds, U32_MAX);
    return this.#addon.pathAdmit(this.#path, bytes, offset, end, source, next, seconds, free);
  }

  /**
   * Copies the frame of `size` bytes and `count` leaves at `bytes[offset]` into the entry of the pool, and its leaves into slots from
   * sequence `next` on, if all of them are plain and have room. Its source is five words at `source[at]`; `free` as above.
   */
  enterLeaves(
    { bytes, offset, size, count, entry }: PlainFrame,
    source: Uint32Array,
    at: number,
    next: number,
    nowSeconds: number,
    free: number,
  ): boolean {
    const seconds = Math.min(nowSeconds, U32_MAX);
    return this.#addon.pathEnterLeaves(
      this.#path,
      bytes,
      offset,
      size,
      source,
      at,
      entry,
      count,
      next,
      seconds,
      Math.min(free, U32_MAX),
    );
  }

  /** Stages the plain, valid claims from sequence `next` to `end`; returns how many. `syncing` is being synced. */
  stage(open: CommitGroup, syncing: CommitGroup | undefined, next: number, end: number, nowSeconds: number): number {
    const beside = syncing === undefined ? null : this.#handle(syncing);
    const seconds = Math.min(nowSeconds, U32_MAX);
    return this.#addon.pathStage(this.#path, this.#handle(open), beside, next, end, seconds);
  }

  /** Makes every record of a durable group its row's best claim; returns how many claims are left: those of rows that have leaves. */
  commit(group: CommitGroup): number {
    return this.#addon.pathCommit(this.#path, this.#handle(group));
  }

  /**
   * Stages the plain leaves from sequence `next` to `end` that are in the frame which the open group has last; returns how many.
   * Both groups take leaves.
   */
  stageLeaves(
    open: CommitGroup,
    syncing: CommitGroup | undefined,
    next: number,
    end: number,
    nowSeconds: number,
  ): number {
    const beside = syncing === undefined ? null : this.#handle(syncing);
    const seconds = Math.min(nowSeconds, U32_MAX);
    const { frameEntry, frame } = open;
    const accepted = this.#accepted;
    accepted[0] = 0;
    accepted[1] = 0;
    const handle = this.#handle(open);
    const count = this.#addon.pathStageLeaves(
      this.#path,
      handle,
      beside,
      next,
      end,
      seconds,
      frameEntry,
      frame,
      accepted,
    );
    if (count > 0) open.journal.acceptLeaves(frame, accepted[0]!, accepted[1]!);
    return count;
  }

  /**
   * Makes each leaf of a `link` channel in a durable group its row's newest; returns how many records are left: those of other leaves,
   * and claims of rows that have leaves.
   */
  commitLeaves(group: CommitGroup, rows: RootedRows, lane: number): number {
    const { journal } = group;
    const { frames, segment } = journal;
    const [offsets, count] = [frames.offsets, frames.count];
    const handle = this.#handle(group);
    return this.#addon.pathCommitLeaves(
      this.#path,
      handle,
      rows.words,
      offsets,
      count,
      journal.framesStart,
      lane,
      segment,
    );
  }

  #handle(group: CommitGroup): Handle {
    let handle = this.#groups.get(group);
    if (handle === undefined) {
      const { journal, rows, leafRows, acks, counts } = group;
      const { words, records, next, heads } = acks;
      const [rowHeads, rowNext, rowOfRecord] = [rows.heads, rows.next, rows.rows];
      handle = this.#addon.pathGroup(
        journal.bytes,
        rowHeads,
        rowNext,
        rowOfRecord,
        words,
        records,
        next,
        heads,
        counts,
        leafRows?.heads,
        leafRows?.next,
      );
      this.#groups.set(group, handle);
    }
    return handle;
  }
}

/** Why the path in C cannot be used, or undefined where it can. */
export function nativePathFault(): string | undefined {
  try {
    if (loadAddon<Partial<PathAddon>>().pathStageLeaves !== undefined) return undefined;
    return 'expected an addon with the claim path, got an older build; make native builds it';
  } catch (error) {
    return (error as Error).message;
  }
}

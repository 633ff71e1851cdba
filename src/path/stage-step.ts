/**
 * The stage step: judged claims, in ring order, join the open commit group or are refused. Commit thread or lane.
 *
 * The channel may have changed since the claim was received, so the rules are applied again here.
 */
import {
  claimAmountHigh,
  claimAmountLow,
  claimChannelHigh,
  claimChannelLow,
  claimSequence,
} from '../../protocol/claim.ts';
import { FRAME_MERKLE, STATUS } from '../../protocol/layout.ts';
import type { RootedRows } from '../channel/rooted.ts';
import { type ChannelTable, FLAG_LINK, FLAG_ROOTED, HOT_FLAGS } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { GrownRows } from '../ring/grown-rows.ts';
import { HeldShards } from '../ring/held-shards.ts';
import {
  isJudged,
  LEAF_VALID,
  plainVerdict,
  SLOT_FRAME,
  SLOT_ROW,
  SLOT_SOURCE,
  VERDICT_SLOWLY,
  VERDICT_SUPERSEDED,
  VERDICT_VALID,
} from '../ring/slot.ts';
import { nodeSystem, type System } from '../system/system.ts';
import type { AnswerSink } from './ack-sender.ts';
import { type CommitGroup, GROUP_CLAIMS_MAX, isAboveRecord } from './commit-group.ts';
import { LEAF_STAGED, LEAF_WAITS, LeafStage } from './leaf-stage.ts';
import type { NativePath } from './native-path.ts';
import type { PathMeasures } from './path-measures.ts';
import { ADMITTED, admit, covers, isFinal } from './rules.ts';
import type { Standing } from './standing.ts';
import { STATUS_COUNTER } from './status-counters.ts';

const VERIFIED = counterIndex('verified');
const SUPERSEDED = counterIndex('superseded');
const LINK_GAPS = counterIndex('linkGaps');
const UNANSWERED = counterIndex('roots.unanswered');

/** After C found no plain claim, so many claims are staged here before C is called again. */
const OTHERS_RUN = 16;

export interface StageStepOptions {
  arena: Arena;
  ring: ClaimRing;
  table: ChannelTable;
  answers: AnswerSink;
  counters: Counters;
  /** Stages plain claims, where there is one. */
  path?: NativePath | undefined;
  /** Where rows that have grown are marked, for who listens. */
  grown?: GrownRows | undefined;
  measures?: PathMeasures | undefined;
  /** By the machine's clock where it is left out. */
  monotonic?: System['clock']['monotonic'];
  /** Where it is noted whose claims were verified and whose were not. */
  standing?: Standing | undefined;
  /** What is kept of leaves of signed roots, where there are any, and the lane whose journal has their frames. */
  rooted?: { rows: RootedRows; lane: number } | undefined;
}

export class StageStep {
  /** The ring sequence of the next claim to consider. */
  next: number;
  /** Claims considered for one group, GROUP_CLAIMS_MAX at most. */
  claimsMax = GROUP_CLAIMS_MAX;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #answers: AnswerSink;
  readonly #counters: Counters;
  readonly #path: NativePath | undefined;
  readonly #shards: HeldShards;
  readonly #monotonic: System['clock']['monotonic'];
  readonly #standing: Standing | undefined;
  readonly #rooted: RootedRows | undefined;
  readonly #leaves: LeafStage | undefined;
  /** Leaves to stage here before C is called again. */
  #otherLeaves = 0;
  /** The group being filled, and the one being synced, of the step under way. */
  #open!: CommitGroup;
  #syncing: CommitGroup | undefined;

  constructor(options: StageStepOptions) {
    this.#view = options.arena.view;
    this.#bytes = options.arena.bytes;
    this.#words = options.arena.words;
    this.#ring = options.ring;
    this.#table = options.table;
    this.#answers = options.answers;
    this.#counters = options.counters;
    this.#path = options.path;
    this.#shards = new HeldShards(options.arena);
    this.#monotonic = options.monotonic ?? nodeSystem.clock.monotonic;
    this.#standing = options.standing;
    const { arena, table, standing } = options;
    const rooted = options.rooted?.rows;
    this.#rooted = rooted;
    this.#leaves = rooted && new LeafStage({ arena, table, rooted, standing });
    this.next = options.ring.committed;
  }

  /** Whether a received claim is not staged yet. */
  get hasMore(): boolean {
    return this.next !== this.#ring.received;
  }
  /** Whether the next claim has its verdict. */
  get hasJudged(): boolean {
    return this.hasMore && isJudged(this.#ring.verdict(this.next));
  }

  /**
   * Stages what has been judged, up to the group's bound; returns how many claims were considered.
   * @param syncing the group being synced, whose claims are the best of their channels until `open` has newer ones
   */
  step(open: CommitGroup, syncing: CommitGroup | undefined, nowSeconds: number): number {
    this.#open = open;
    this.#syncing = syncing;
    const first = this.next;
    const end = this.#ring.received;
    let others = 0;
    while (this.next !== end && open.looked < this.claimsMax) {
      if (others === 0 && this.#path !== undefined)
        others = this.#stagePlain(this.#path, end, nowSeconds) ? 1 : OTHERS_RUN;
      if (this.next === end || open.looked >= this.claimsMax) break;
      const verdict = this.#ring.verdict(this.next);
      if (!isJudged(verdict)) break;
      const slot = this.#ring.slot(this.next);
      if (this.#leaves === undefined || this.#bytes[slot] !== FRAME_MERKLE)
        this.#stageOrRefuse(slot, verdict, nowSeconds);
      else if (verdict === LEAF_VALID && this.#stagePlainLeaves(slot, end, nowSeconds)) continue;
      else if (!this.#stageLeaf(this.#leaves, slot, verdict === LEAF_VALID, nowSeconds)) break;
      this.next = (this.next + 1) >>> 0;
      open.looked++;
      if (others > 0) others--;
    }
    return (this.next - first) >>> 0;
  }

  /** Lets C stage a run of plain, valid claims; returns whether there was any. */
  #stagePlain(path: NativePath, end: number, nowSeconds: number): boolean {
    const open = this.#open;
    const room = Math.min((end - this.next) >>> 0, this.claimsMax - open.looked);
    const count = path.stage(open, this.#syncing, this.next, (this.next + room) >>> 0, nowSeconds);
    this.next = (this.next + count) >>> 0;
    open.looked += count;
    this.#counters.add(VERIFIED, count);
    return count > 0;
  }

  /** Lets C stage a run of plain leaves of the frame that the group has last; returns whether there was any. */
  #stagePlainLeaves(slot: number, end: number, nowSeconds: number): boolean {
    const open = this.#open;
    const path = this.#path;
    if (path === undefined || this.#view.getUint32(slot + SLOT_FRAME) !== open.frameEntry) return false;
    if (!this.#rooted!.isPlain(this.#words[(slot + SLOT_ROW) >>> 2]!)) return false;
    if (this.#otherLeaves > 0) {
      this.#otherLeaves--;
      return false;
    }
    const room = Math.min((end - this.next) >>> 0, this.claimsMax - open.looked);
    const count = path.stageLeaves(open, this.#syncing, this.next, (this.next + room) >>> 0, nowSeconds);
    this.next = (this.next + count) >>> 0;
    open.looked += count;
    this.#counters.add(VERIFIED, count);
    if (count === 0) this.#otherLeaves = OTHERS_RUN;
    return count > 0;
  }

  /** Applies the rules, then the verdict on the signature, then the rule of sequences. */
  #stageOrRefuse(slot: number, judged: number, nowSeconds: number): void {
    const view = this.#view;
    const row = this.#words[(slot + SLOT_ROW) >>> 2]!;
    const hot = this.#table.hot(row);
    const verdict = plainVerdict(judged);
    // Its time is spent, whatever the rules say now.
    if ((judged & VERDICT_SLOWLY) !== 0)
      this.#standing?.slow(this.#words, (slot + SLOT_SOURCE) >>> 2, row, hot, judged, nowSeconds);
    const amountHigh = claimAmountHigh(view, slot);
    const amountLow = claimAmountLow(view, slot);
    let status = admit(this.#table, hot, amountHigh, amountLow, nowSeconds);
    if (status === STATUS.ALREADY && covers(this.#rooted, this.#table, row, hot, amountHigh, amountLow))
      status = ADMITTED;
    if (verdict === VERDICT_VALID) this.#counters.add(VERIFIED, 1);
    if (status !== ADMITTED) {
      this.#refuse(status, slot, hot, amountHigh, amountLow);
      return;
    }
    if (verdict === VERDICT_SUPERSEDED) {
      // A newer, verified claim of its batch follows in the ring; that claim's ack covers this one.
      this.#counters.add(SUPERSEDED, 1);
      this.#open.passOver(this.next);
      return;
    }
    if (verdict !== VERDICT_VALID) {
      this.#standing?.failed(this.#words, (slot + SLOT_SOURCE) >>> 2, row, hot, nowSeconds);
      this.#refuse(STATUS.BAD_SIGNATURE, slot, hot, amountHigh, amountLow);
      return;
    }
    this.#stage(slot, row, hot, amountHigh, amountLow);
  }

  /** Applies the rules to a leaf, then stages it if its frame is valid. False where the group has no room for its frame. */
  #stageLeaf(leaves: LeafStage, slot: number, isValid: boolean, nowSeconds: number): boolean {
    const row = this.#words[(slot + SLOT_ROW) >>> 2]!;
    const hot = this.#table.hot(row);
    const high = claimAmountHigh(this.#view, slot);
    const low = claimAmountLow(this.#view, slot);
    let status = admit(this.#table, hot, high, low, nowSeconds);
    if (status === ADMITTED) status = isValid ? leaves.stage(this.#open, this.#syncing, slot) : STATUS.BAD_SIGNATURE;
    if (status === LEAF_WAITS) return false;
    if (isValid) this.#counters.add(VERIFIED, 1);
    if (status === LEAF_STAGED) return true;
    if (isValid || leaves.mayAnswer(slot, nowSeconds)) {
      this.#refuse(status, slot, hot, high, low);
    } else {
      this.#counters.add(STATUS_COUNTER[status]!, 1);
      this.#counters.add(UNANSWERED, 1);
      this.#open.passOver(this.next);
    }
    return true;
  }

  #stage(slot: number, row: number, hot: number, amountHigh: number, amountLow: number): void {
    const open = this.#open;
    const syncing = this.#syncing;
    const source = (slot + SLOT_SOURCE) >>> 2;
    const record = open.recordOf(row);
    // The channel's best claim so far is in this group, in the one being synced, or in the table.
    const group = record >= 0 || syncing === undefined ? open : syncing;
    const best = group === open ? record : group.recordOf(row);
    if (best >= 0 && !isAboveRecord(group, best, amountHigh, amountLow)) {
      group.accept(best, this.#words, source);
      return;
    }
    const flags = this.#words[hot + HOT_FLAGS]!;
    const isRising =
      (flags & FLAG_LINK) === 0 ||
      (this.#leaves !== undefined && (flags & FLAG_ROOTED) !== 0
        ? this.#leaves.claimRises(open, syncing, row, hot, slot)
        : this.#sequenceRises(group, best, hot, slot));
    if (!isRising) {
      this.#refuse(STATUS.BAD_SEQUENCE, slot, hot, amountHigh, amountLow);
      return;
    }
    if (record >= 0) open.journal.replace(record, this.#bytes, slot);
    open.accept(record >= 0 ? record : open.append(row, this.#bytes, slot), this.#words, source);
  }

  #refuse(broken: number, slot: number, hot: number, amountHigh: number, amountLow: number): void {
    const shards = this.#shards;
    const view = this.#view;
    // A channel whose shard is given away is no longer open here.
    const isElsewhere =
      broken === STATUS.CHANNEL_CLOSED && shards.isElsewhere(claimChannelHigh(view, slot), claimChannelLow(view, slot));
    // Where this node may have been deposed, it says nothing final.
    if (isElsewhere || (isFinal(broken) && shards.isInDoubt(this.#monotonic())))
      this.#answer(STATUS.MOVED, slot, shards.versionHigh, shards.versionLow);
    else this.#answerRefused(broken, slot, hot, amountHigh, amountLow);
  }

  #answerRefused(status: number, slot: number, hot: number, amountHigh: number, amountLow: number): void {
    if (status === STATUS.ROOT_EXPOSURE) {
      const rooted = this.#rooted!;
      rooted.loadRoom(this.#words[(slot + SLOT_ROW) >>> 2]!);
      this.#answer(status, slot, rooted.roomHigh, rooted.roomLow);
      return;
    }
    const isOver = status === STATUS.OVER_CAPACITY;
    if (isOver) this.#table.loadCapacity(hot);
    const high = isOver ? this.#table.capacityHigh : amountHigh;
    const low = isOver ? this.#table.capacityLow : amountLow;
    this.#answer(status, slot, high, low);
  }

  #answer(status: number, slot: number, high: number, low: number): void {
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    this.#open.passOver(this.next);
    this.#answers.answer(status, this.#view, slot, high, low, this.#words, (slot + SLOT_SOURCE) >>> 2);
  }

  /** Rule 8: whether the sequence is above that of the channel's best claim, if any. Counts the numbers left out. */
  #sequenceRises(group: CommitGroup, record: number, hot: number, slot: number): boolean {
    if (record < 0 && this.#table.isUnused(hot)) return true;
    const last =
      record >= 0 ? claimSequence(group.journal.view, group.journal.recordOffset(record)) : this.#table.sequence(hot);
    const sequence = claimSequence(this.#view, slot);
    if (sequence <= last) return false;
    this.#counters.add(LINK_GAPS, sequence - last - 1);
    return true;
  }
}

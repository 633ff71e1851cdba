/**
 * The journals of all lanes, as the main thread sees to them: replayed at start, segments made ahead of the writers, old
 * ones removed once the registry has what they hold.
 *
 * A channel's claims may be in any lane's journal, and a balance is a maximum, so lanes are replayed one after the other
 * in any order. A lane that was there in an earlier run and is not used now is replayed and emptied like the others.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { claimChannelHigh, claimChannelLow } from '../protocol/claim.ts';
import type { Registry } from './channel/registry.ts';
import type { ChannelTable } from './channel/table.ts';
import { ClaimwireError } from './errors.ts';
import { cutJournal } from './journal/cut.ts';
import { SegmentKeeper } from './journal/keeper.ts';
import { type RecoveryReport, recoverJournal } from './journal/recover.ts';
import { log } from './log.ts';

/** A checkpoint is due at the latest when a lane's journal has grown by this many segments. */
const CHECKPOINT_SEGMENTS = 4;

/** Where a lane's writer begins. */
export interface LaneStart {
  directory: string;
  segmentBytes: number;
  journalId: Uint8Array;
  segment: number;
  group: number;
}

const NO_JOURNAL = { nextSegment: 1, lastGroup: 0 };

interface Lane {
  readonly start: LaneStart;
  readonly keeper: SegmentKeeper;
  /** First segment that the registry may be behind on. */
  replayFrom: number;
  prepared: number;
}

export class Journals {
  readonly #registry: Registry;
  readonly #lanes: Lane[];
  /** What a crash between the record and the removal left has been looked for. */
  #isTidy = false;

  private constructor(registry: Registry, lanes: Lane[]) {
    this.#registry = registry;
    this.#lanes = lanes;
  }

  /**
   * Replays every lane's journal into the table. A torn end is left behind and reported; a corrupt journal is refused,
   * unless the operator asked for the cut. Throws JOURNAL_CORRUPT or REGISTRY_CORRUPT.
   */
  static replay(
    options: { data: string; lanes: number; segmentBytes: number; cut: boolean },
    registry: Registry,
    table: ChannelTable,
  ): Journals {
    const { data, segmentBytes, cut } = options;
    const { replayFrom, journalId: idHex } = registry.meta;
    const journalId = new Uint8Array(Buffer.from(idHex, 'hex'));
    const count = Math.max(options.lanes, lanesThere(data), replayFrom.length);
    const lanes = Array.from({ length: count }, (_, lane): Lane => {
      const directory = laneFolder(data, lane);
      const from = replayFrom[lane] ?? 1;
      const isThere = lane < options.lanes || existsSync(directory);
      const report = isThere ? replayLane(directory, { fromSegment: from, journalId }, table, cut) : NO_JOURNAL;
      const segment = Math.max(report.nextSegment, from);
      const start = { directory, segmentBytes, journalId, segment, group: report.lastGroup + 1 };
      return { start, keeper: new SegmentKeeper(start), replayFrom: from, prepared: 0 };
    });
    return new Journals(registry, lanes);
  }

  /** Where the writers begin, by lane. */
  get starts(): LaneStart[] {
    return this.#lanes.map(({ start }) => start);
  }

  /** Makes the segment behind the one each lane writes to. */
  async prepare(segments: readonly number[]): Promise<void> {
    for (const [index, segment] of segments.entries()) {
      const lane = this.#lanes[index]!;
      if (lane.prepared > segment) continue;
      await lane.keeper.prepare(segment + 1);
      lane.prepared = segment + 1;
    }
  }

  /** Whether some lane's journal has grown enough for a checkpoint. */
  hasGrown(segments: readonly number[]): boolean {
    return segments.some((segment, lane) => segment - this.#lanes[lane]!.replayFrom >= CHECKPOINT_SEGMENTS);
  }

  /**
   * The registry has everything that lies below these segments, by lane; lanes not named are done with altogether.
   */
  async release(segments: readonly number[]): Promise<void> {
    const replayFrom = this.#lanes.map((lane, index) => segments[index] ?? lane.start.segment);
    if (this.#isTidy && replayFrom.every((segment, index) => segment === this.#lanes[index]!.replayFrom)) return;
    this.#registry.setMeta({ replayFrom });
    for (const [index, lane] of this.#lanes.entries()) {
      lane.replayFrom = replayFrom[index]!;
      if (existsSync(lane.start.directory)) await lane.keeper.removeBelow(lane.replayFrom);
    }
    this.#isTidy = true;
  }
}

function laneFolder(data: string, lane: number): string {
  return join(data, 'journal', String(lane));
}

/** Lanes that have a folder. */
function lanesThere(data: string): number {
  const directory = join(data, 'journal');
  if (!existsSync(directory)) return 0;
  const numbers = readdirSync(directory)
    .filter((name) => /^\d{1,3}$/.test(name))
    .map(Number);
  return Math.max(-1, ...numbers) + 1;
}

function replayLane(
  directory: string,
  walk: { fromSegment: number; journalId: Uint8Array },
  table: ChannelTable,
  cut: boolean,
): RecoveryReport {
  mkdirSync(directory, { recursive: true });
  let report = recoverJournal(directory, replayInto(table), walk);
  if (report.end === 'corrupt') {
    if (!cut) throw corruptJournal(report);
    const moved = cutJournal(directory, report);
    log('warn', `journal: ${describe(report)}; cut as asked, moved aside: ${moved.join(', ')}`);
    report = recoverJournal(directory, replayInto(table), walk);
  }
  if (report.end === 'torn') log('warn', `journal: ${describe(report)}; it was never acknowledged`);
  if (report.claims > 0)
    log('info', `journal: replayed ${report.claims} claims of ${report.groups} groups in ${report.segments} segments`);
  return report;
}

function replayInto(table: ChannelTable): (bytes: Uint8Array, offset: number) => void {
  let view: DataView = new DataView(new ArrayBuffer(0));
  return (bytes, offset) => {
    if (view.buffer !== bytes.buffer || view.byteOffset !== bytes.byteOffset)
      view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const row = table.find(claimChannelHigh(view, offset), claimChannelLow(view, offset));
    if (row < 0)
      throw new ClaimwireError(
        'REGISTRY_CORRUPT',
        `registry: expected channel ${view.getBigUint64(offset + 1)}, which the journal has claims of, got none; restore the registry that belongs to this journal`,
      );
    table.commit(row, view, offset);
  };
}

function corruptJournal(report: RecoveryReport): ClaimwireError {
  return new ClaimwireError(
    'JOURNAL_CORRUPT',
    `journal: ${describe(report)}; nothing was changed; look with \`claimwire journal verify\`, restore a backup, or start with --cut-journal to keep what lies before it`,
    { bad: report.bad, dropped: report.dropped },
  );
}

function describe(report: RecoveryReport): string {
  const { bad, dropped, groups, lastGroup } = report;
  const place = bad === undefined ? '' : ` at ${bad.file}:${bad.offset}: ${bad.reason}`;
  return `${report.end} end${place}; kept ${groups} groups up to number ${lastGroup}, dropped ${dropped.bytes} bytes with ${dropped.groups} sound groups after it`;
}

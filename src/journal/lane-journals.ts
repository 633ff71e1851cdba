/**
 * The journals of all lanes: replayed at start, then kept. Segments are made ahead of the writers, and old ones removed once
 * the registry has their claims. Main thread.
 *
 * A channel's claims may be in any lane's journal, and a balance is a maximum, so lanes may be replayed in any order. A lane
 * of an earlier run that this run does not use is replayed and emptied like the others.
 */
import { join } from 'node:path';
import { claimChannelHigh, claimChannelLow } from '../../protocol/claim.ts';
import type { ChannelTable } from '../channel/table.ts';
import { assert, ClaimwireError, isDiskFull } from '../errors.ts';
import { type Logger, stderrLogger } from '../log.ts';
import type { RegistryStore } from '../registry/registry-store.ts';
import type { Files } from '../system/files.ts';
import { makeFolder } from '../system/files.ts';
import type { System } from '../system/system.ts';
import { cutJournal, keepTorn, TORN_FOLDERS_MAX } from './cut.ts';
import { SegmentKeeper } from './keeper.ts';
import type { RecoveryReport, StoredGroup, WalkOptions } from './report.ts';
import { type LaneStart, removeDrafts } from './segment.ts';
import type { StoredLeaf } from './stored-frame.ts';
import { recoverJournal } from './walk.ts';

/** A checkpoint is due when a lane's journal has grown by this many segments. */
const CHECKPOINT_SEGMENTS = 4;

/** The part of the registry that concerns the journals; a change is durable when the call returns. */
type JournalRegistry = Pick<RegistryStore, 'meta' | 'setMeta'>;
/** The table into which claims are replayed. */
type ReplayTable = Pick<ChannelTable, 'find' | 'commit'>;
type LaneWalk = WalkOptions & { files: Files };

const NO_JOURNAL = { nextSegment: 1, lastGroup: 0 };

interface Lane {
  readonly start: LaneStart;
  readonly keeper: SegmentKeeper;
  /** First segment with claims that the registry may not have. */
  replayFrom: number;
  /** Last segment that the keeper has made. */
  prepared: number;
}

interface ReplayOptions {
  data: string;
  /** Lanes this run uses. */
  lanes: number;
  segmentBytes: number;
  /** What groups are aligned to, 4,096 or 512. */
  blockBytes: number;
  /** Whether to cut a corrupt journal at its bad place, and start with what lies before it. */
  cut: boolean;
  /** Whether new segments may have frames of signed roots; default false. Those that are there may have some in any case. */
  hasFrames?: boolean;
  /** Gets the leaves of a lane's groups, each with the segment that has its frame. */
  onLeaf?: OnLeaf;
  logger?: Logger;
}

type OnLeaf = (lane: number, segment: number, leaf: StoredLeaf) => void;

export class Journals {
  readonly #files: Files;
  readonly #registry: JournalRegistry;
  readonly #lanes: Lane[];
  /** How many of the lanes this run uses. */
  readonly #used: number;
  /** Whether segments that a crash between `setMeta` and their removal may have left are removed. */
  #isTidy = false;

  private constructor(files: Files, registry: JournalRegistry, lanes: Lane[], used: number) {
    this.#files = files;
    this.#registry = registry;
    this.#lanes = lanes;
    this.#used = used;
  }

  /**
   * Replays every lane's journal into the table. A torn end is reported and kept. A corrupt journal is refused, and so is a
   * missing one that the registry knows of, unless the operator asked for the cut. Throws JOURNAL_CORRUPT or
   * REGISTRY_CORRUPT.
   */
  static replay(options: ReplayOptions, registry: JournalRegistry, table: ReplayTable, system: System): Journals {
    const { data, segmentBytes, blockBytes, cut, hasFrames = false, logger = stderrLogger } = options;
    const { files } = system;
    const { replayFrom, segmentsThere, journalId: idHex } = registry.meta;
    const journalId = new Uint8Array(Buffer.from(idHex, 'hex'));
    const count = Math.max(options.lanes, lanesThere(files, data), replayFrom.length);
    const lanes = Array.from({ length: count }, (_, lane): Lane => {
      const directory = laneFolder(data, lane);
      const from = replayFrom[lane] ?? 1;
      const mustHave = segmentsThere?.[lane] || undefined;
      // Registries of earlier versions lack the field; every lane that they recorded had a folder.
      const isKnown = segmentsThere === undefined ? lane < replayFrom.length : mustHave !== undefined;
      const isThere = files.existsSync(directory);
      if (!isThere && isKnown) refuseMissing(directory, cut, logger);
      const walk = { fromSegment: from, mustHave, journalId, files };
      const onLeaf = (leaf: StoredLeaf, { segment }: StoredGroup) => expectLeaves(options.onLeaf)(lane, segment, leaf);
      const report = isThere ? replayLane(directory, walk, table, { cut, logger, onLeaf }) : NO_JOURNAL;
      if (isThere || lane < options.lanes) makeFolder(files, directory, data);
      const segment = Math.max(report.nextSegment, from);
      const start = {
        directory,
        segmentBytes,
        blockBytes,
        ...(hasFrames && { hasFrames }),
        journalId,
        segment,
        group: report.lastGroup + 1,
      };
      return { start, keeper: new SegmentKeeper({ ...start, ...system }), replayFrom: from, prepared: 0 };
    });
    return new Journals(files, registry, lanes, options.lanes);
  }

  /** Where each lane's writer begins. */
  get starts(): LaneStart[] {
    return this.#lanes.map(({ start }) => start);
  }

  /** Makes the segment after the one that each lane writes to. */
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
   * Begins each lane's journal anew; the registry has all that was replayed. The first segments are made here, so that the
   * registry records them before a claim in them is acknowledged.
   */
  async begin(): Promise<void> {
    const used = this.#lanes.slice(0, this.#used);
    const segments = used.map(({ start }) => start.segment);
    try {
      await this.#prepareFirst(used);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      // The replayed segments may fill the disk, and are not needed any more.
      await this.#record([], []);
      await this.#prepareFirst(used);
      this.#isTidy = false;
    }
    await this.release(segments);
  }

  /** Waits for all lanes even if one fails, since the folder may be closed afterwards. */
  async #prepareFirst(lanes: readonly Lane[]): Promise<void> {
    const results = await Promise.allSettled(lanes.map(({ keeper, start }) => keeper.prepare(start.segment)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /**
   * Removes the segments below these, by lane, since the registry has their claims. These segments exist; lanes that are
   * not named are not needed any more.
   */
  async release(segments: readonly number[]): Promise<void> {
    await this.#record(segments, segments);
  }

  /** Removes all segments up to these, since the registry has all claims: no journal is needed any more. */
  async end(segments: readonly number[]): Promise<void> {
    await this.#record(
      segments.map((segment) => segment + 1),
      [],
    );
  }

  /** Records, by lane, where a replay begins and which segment exists; a lane not named is at its start, with none. */
  async #record(from: readonly number[], there: readonly number[]): Promise<void> {
    const replayFrom = this.#lanes.map(({ start }, index) => from[index] ?? start.segment);
    if (this.#isTidy && replayFrom.every((segment, index) => segment === this.#lanes[index]!.replayFrom)) return;
    this.#registry.setMeta({ replayFrom, segmentsThere: this.#lanes.map((_, index) => there[index] ?? 0) });
    for (const [index, lane] of this.#lanes.entries()) {
      lane.replayFrom = replayFrom[index]!;
      if (this.#files.existsSync(lane.start.directory)) await lane.keeper.removeBelow(lane.replayFrom);
    }
    this.#isTidy = true;
  }
}

function laneFolder(data: string, lane: number): string {
  return join(data, 'journal', String(lane));
}

/** One more than the highest lane that has a folder. */
function lanesThere(files: Files, data: string): number {
  const directory = join(data, 'journal');
  if (!files.existsSync(directory)) return 0;
  const numbers = files
    .readdirSync(directory)
    .filter((name) => /^\d{1,3}$/.test(name))
    .map(Number);
  return Math.max(-1, ...numbers) + 1;
}

/** Refuses to start without a lane's folder that the registry knows of: it would hide that claims are lost. */
function refuseMissing(directory: string, cut: boolean, logger: Logger): void {
  const lost = `journal: expected the folder ${directory}, which the registry knows of, got none; claims that were acknowledged since the last checkpoint are in it`;
  if (!cut)
    throw new ClaimwireError(
      'JOURNAL_CORRUPT',
      `${lost}; nothing was changed; put it back, or start with --cut-journal to go on without it`,
      { directory },
    );
  logger.warn(`${lost}; going on without it, as asked`);
}

/** Leaves that nobody takes would be lost with the next checkpoint. */
function expectLeaves(onLeaf: OnLeaf | undefined): OnLeaf {
  assert(onLeaf !== undefined, 'who replays frames takes their leaves');
  return onLeaf;
}

function replayLane(
  directory: string,
  walk: LaneWalk,
  table: ReplayTable,
  { cut, logger, onLeaf }: { cut: boolean; logger: Logger; onLeaf: (leaf: StoredLeaf, group: StoredGroup) => void },
): RecoveryReport {
  const { files } = walk;
  let report = recoverJournal(directory, replayInto(table), walk, onLeaf);
  if (report.end === 'corrupt') {
    if (!cut) throw corruptJournal(report);
    const moved = cutJournal(files, directory, report);
    logger.warn(`journal: ${describe(report)}; cut as asked, moved aside: ${moved.join(', ') || 'nothing'}`);
    report = recoverJournal(directory, replayInto(table), { ...walk, mustHave: undefined }, onLeaf);
  }
  if (report.end === 'torn')
    logger.warn(`journal: ${describe(report)}; ${TORN}; ${keptText(files, directory, report)}`);
  for (const { file, offset, reason } of report.harmless)
    logger.warn(`journal: passed over ${file}:${offset}: ${reason}`);
  if (report.claims > 0)
    logger.info(`journal: replayed ${report.claims} claims of ${report.groups} groups in ${report.segments} segments`);
  const drafts = removeDrafts(files, directory);
  if (drafts > 0) logger.info(`journal: removed ${drafts} half-made segments of a killed run from ${directory}`);
  return report;
}

/** What a torn end may mean, for the operator. */
const TORN =
  'a loss of power leaves this of a group that was not acknowledged, damage done later leaves the same of groups that were: the journal does not tell which';

function keptText(files: Files, directory: string, report: RecoveryReport): string {
  const folder = keepTorn(files, directory, report);
  return folder === undefined
    ? `NOT kept, since ${TORN_FOLDERS_MAX} torn ends are kept in ${directory} already: look at them and remove them`
    : `its segment is kept in ${folder}: remove it when nobody misses a claim`;
}

function replayInto(table: ReplayTable): (bytes: Uint8Array, offset: number) => void {
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

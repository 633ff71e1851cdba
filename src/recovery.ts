/**
 * From disk to a channel table: load the registry, replay the journal, say what was found. Main thread, at start.
 */
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { claimChannelHigh, claimChannelLow } from '../protocol/claim.ts';
import { Registry } from './channel/registry.ts';
import { checkRegistry } from './channel/registry-check.ts';
import type { ChannelStore } from './channel/store.ts';
import type { ChannelTable } from './channel/table.ts';
import { ClaimwireError } from './errors.ts';
import { cutJournal } from './journal/cut.ts';
import { type RecoveryReport, recoverJournal } from './journal/recover.ts';
import { log } from './log.ts';

/** The only lane so far. */
const LANE = 0;

export function laneFolder(data: string): string {
  return join(data, 'journal', String(LANE));
}

/** Registries open in this process: the lock tells processes apart, not two nodes of one. */
const opened = new Set<string>();

/** Opens the registry of a data folder and takes its lock. Throws REGISTRY_CORRUPT or DATA_LOCKED, changing nothing. */
export function openRegistry(data: string): Registry {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const directory = join(realpathSync(data), 'registry');
  if (opened.has(directory))
    throw new ClaimwireError(
      'DATA_LOCKED',
      `${data}: expected a data folder of our own, got one used by another node of this process; stop it or use another folder`,
    );
  checkRegistry(directory);
  const registry = Registry.open(directory);
  try {
    registry.takeLock();
  } catch (error) {
    void registry.close();
    throw error;
  }
  opened.add(directory);
  return registry;
}

export async function closeRegistry(registry: Registry): Promise<void> {
  registry.releaseLock();
  await registry.close();
  opened.delete(registry.directory);
}

export function loadChannels(registry: Registry, store: ChannelStore): void {
  let bytes = new Uint8Array();
  let view = new DataView(bytes.buffer);
  registry.forEachRow((row) => {
    // Rows lie in the walk's page buffer: one pair of views serves them all.
    if (row.buffer !== bytes.buffer) {
      bytes = new Uint8Array(row.buffer as ArrayBuffer);
      view = new DataView(bytes.buffer);
    }
    store.load(bytes, view, row.byteOffset);
  });
}

/** Where the next run writes. */
export interface JournalEnd {
  segment: number;
  group: number;
}

/**
 * Replays a lane's journal into the table. A torn end is left behind and reported; a corrupt journal is refused, unless
 * the operator asked for the cut.
 */
export function replayJournal(
  data: string,
  registry: Registry,
  table: ChannelTable,
  options: { cut: boolean },
): JournalEnd {
  const directory = laneFolder(data);
  mkdirSync(directory, { recursive: true });
  const { journalId, replayFrom } = registry.meta;
  const fromSegment = replayFrom[LANE] ?? 1;
  const walk = { fromSegment, journalId: new Uint8Array(Buffer.from(journalId, 'hex')) };
  let report = recoverJournal(directory, replayInto(table), walk);
  if (report.end === 'corrupt') {
    if (!options.cut) throw corruptJournal(report);
    const moved = cutJournal(directory, report);
    log('warn', `journal: ${describe(report)}; cut as asked, moved aside: ${moved.join(', ')}`);
    report = recoverJournal(directory, replayInto(table), walk);
  }
  if (report.end === 'torn') log('warn', `journal: ${describe(report)}; it was never acknowledged`);
  if (report.claims > 0)
    log('info', `journal: replayed ${report.claims} claims of ${report.groups} groups in ${report.segments} segments`);
  return { segment: Math.max(report.nextSegment, fromSegment), group: report.lastGroup + 1 };
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
    table.commit(row, bytes, view, offset);
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

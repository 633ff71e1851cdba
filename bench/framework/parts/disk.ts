/**
 * The journal in one thread: claims made durable a second, one claim a sync and many, beside a bare write and sync into a
 * file of the same disk. A process of its own; it writes to the folder given.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { claimBytes } from '../../../protocol/claim.ts';
import { assert } from '../../../src/errors.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { inTurns, median } from '../measure.ts';
import type { PartArgs, PartResult } from '../part.ts';

const SEGMENT_BYTES = 16 * 2 ** 20;
const GROUP_CLAIMS = 256;
const GROUP_CLAIMS_MAX = 4_096;
const FLOOR_BYTES = 128;
const FLOOR_FILE_BYTES = 2 ** 20;

/** One lane's journal, and how many claims it was given. */
class Lane {
  readonly directory: string;
  readonly writer: JournalWriter;
  readonly group = new JournalGroup(GROUP_CLAIMS_MAX);
  readonly claim = claimBytes({ channelId: 1n, sequence: 1, amount: 1n, signature: randomBytes(64), timestamp: 0 });
  claims = 0;

  constructor(directory: string) {
    this.directory = directory;
    const lane = {
      directory,
      segmentBytes: SEGMENT_BYTES,
      groupClaimsMax: GROUP_CLAIMS_MAX,
      journalId: randomBytes(16),
    };
    this.writer = new JournalWriter({ ...lane, segment: 1, group: 1, ...nodeSystem });
  }

  commit(claims: number): void {
    for (let index = 0; index < claims; index++) this.group.append(this.claim, 0);
    this.writer.commit(this.group, Date.now());
    this.group.clear();
    this.claims += claims;
  }
}

/** Runs `once` for about so many seconds of wall time; returns how often a second, and the milliseconds of each. */
function perSecond(seconds: number, once: () => void): { rate: number; times: number[] } {
  const times: number[] = [];
  const begin = performance.now();
  for (let last = begin; last - begin < seconds * 1_000; ) {
    once();
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  return { rate: (times.length * 1_000) / (performance.now() - begin), times };
}

export async function measureDisk({ effort, seconds, folder }: PartArgs): Promise<PartResult> {
  fs.mkdirSync(folder, { recursive: true });
  const lane = new Lane(join(folder, 'lane'));
  const floorPath = join(folder, 'floor');
  fs.writeFileSync(floorPath, new Uint8Array(FLOOR_FILE_BYTES));
  const floor = fs.openSync(floorPath, 'r+');
  fs.fsyncSync(floor);
  const bytes = randomBytes(FLOOR_BYTES);
  let offset = 0;
  /** Of the last round's groups of one claim. */
  let oneMs: readonly number[] = [];
  const bareWrite = () => {
    fs.writeSync(floor, bytes, 0, FLOOR_BYTES, offset);
    fs.fdatasyncSync(floor);
    offset = (offset + 512) % FLOOR_FILE_BYTES;
  };
  const one = () => {
    const { rate, times } = perSecond(seconds, () => lane.commit(1));
    oneMs = times;
    return rate;
  };
  one();
  const higher = { better: 'higher' as const };
  const values = await inTurns(
    [
      {
        ...higher,
        name: 'disk.floorSyncsPerSecond',
        unit: 'syncs/s',
        measure: () => perSecond(seconds, bareWrite).rate,
      },
      { ...higher, name: 'journal.oneClaimAGroupPerSecond', unit: 'claims/s', measure: one },
      { better: 'lower', name: 'journal.syncMs', unit: 'ms', measure: () => median(oneMs) },
      {
        ...higher,
        name: 'journal.groupedPerSecond',
        unit: 'claims/s',
        measure: () => perSecond(seconds, () => lane.commit(GROUP_CLAIMS)).rate * GROUP_CLAIMS,
      },
      { ...higher, name: 'journal.bytesPerSecond', unit: 'bytes/s', measure: () => bytesPerSecond(lane, seconds) },
    ],
    effort,
  );
  fs.closeSync(floor);
  lane.writer.close();
  prove(lane);
  fs.rmSync(folder, { recursive: true, force: true });
  return Object.fromEntries(values);
}

/** Full groups back to back. */
function bytesPerSecond(lane: Lane, seconds: number): number {
  const before = lane.writer.bytesWritten;
  const begin = performance.now();
  perSecond(seconds, () => lane.commit(GROUP_CLAIMS_MAX));
  return ((lane.writer.bytesWritten - before) * 1_000) / (performance.now() - begin);
}

/** Everything that was said to be durable is read back. */
function prove({ directory, writer, claims }: Lane): void {
  const report = recoverJournal(directory, () => {});
  assert(report.end === 'whole' && report.claims === claims, `${claims} claims read back, got ${report.claims}`);
  assert(report.bytes === writer.bytesWritten, 'what was written is what is read');
}

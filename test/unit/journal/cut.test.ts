import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { cutJournal } from '../../../src/journal/cut.ts';
import type { RecoveryReport } from '../../../src/journal/report.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { BLOCK_BYTES, commitGroup, JOURNAL_ID, SEGMENT_BYTES } from './fixtures.ts';

let directory: string;
const path = (segment: number) => join(directory, segmentName(segment));
const recover = () => recoverJournal(directory, () => {});

function writeFrom({ nextSegment, lastGroup }: Pick<RecoveryReport, 'nextSegment' | 'lastGroup'>, groups: number) {
  const writer = new JournalWriter({
    directory,
    segmentBytes: SEGMENT_BYTES,
    blockBytes: BLOCK_BYTES,
    groupClaimsMax: 20,
    journalId: JOURNAL_ID,
    segment: nextSegment,
    group: lastGroup + 1,
    ...nodeSystem,
  });
  for (let group = 0; group < groups; group++) commitGroup(writer, group * 10, 10);
  writer.close();
}

function damage(segment: number, offset: number): Buffer {
  const bytes = readFileSync(path(segment));
  bytes[offset]! ^= 0xff;
  writeFileSync(path(segment), bytes);
  return bytes;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'journal-cut-'));
  // Two groups of 1,024 bytes a segment: 1,2 | 3,4 | 5,6 | 7.
  writeFrom({ nextSegment: 1, lastGroup: 0 }, 7);
});
afterEach(() => rmSync(directory, { recursive: true }));

it('keeps the sound groups before the bad place and moves the damaged files aside unchanged', () => {
  const damaged = damage(2, 512 + 1024 + 40);
  const later = readFileSync(path(3));
  const report = recover();
  expect(report).toMatchObject({ end: 'corrupt', groups: 3, bad: { segment: 2, offset: 1536 } });
  const moved = cutJournal(nodeSystem.files, directory, report);
  expect(moved).toEqual([2, 3, 4].map((number) => join(directory, 'damaged-1', segmentName(number))));
  expect(readFileSync(moved[0]!)).toEqual(damaged);
  expect(readFileSync(moved[1]!)).toEqual(later);
  const after = recover();
  expect(after).toMatchObject({ end: 'whole', groups: 3, claims: 30, lastGroup: 3, nextSegment: 3 });
  writeFrom(after, 3);
  expect(recover()).toMatchObject({ end: 'whole', groups: 6, claims: 60 });

  // A second time, beside the first.
  damage(1, 0);
  expect(cutJournal(nodeSystem.files, directory, recover())).toHaveLength(4);
  expect(readdirSync(directory).sort()).toEqual(['damaged-1', 'damaged-2']);
  expect(recover()).toMatchObject({ end: 'whole', groups: 0, nextSegment: 1 });
});

it('cuts at a missing segment and at a bad header', () => {
  rmSync(path(3));
  expect(cutJournal(nodeSystem.files, directory, recover())).toEqual([join(directory, 'damaged-1', segmentName(4))]);
  expect(recover()).toMatchObject({ end: 'whole', groups: 4, nextSegment: 3 });
  damage(2, 508);
  expect(cutJournal(nodeSystem.files, directory, recover())).toEqual([join(directory, 'damaged-2', segmentName(2))]);
  expect(recover()).toMatchObject({ end: 'whole', groups: 2, nextSegment: 2 });
});

it('leaves whole and torn journals alone', () => {
  const names = readdirSync(directory);
  expect(cutJournal(nodeSystem.files, directory, recover())).toEqual([]);
  damage(4, 600);
  const report = recover();
  expect(report.end).toBe('torn');
  expect(cutJournal(nodeSystem.files, directory, report)).toEqual([]);
  expect(readdirSync(directory)).toEqual(names);
  writeFrom(report, 2);
  expect(recover()).toMatchObject({ end: 'whole', groups: 8, harmless: [{ segment: 4, offset: 512 }] });
});

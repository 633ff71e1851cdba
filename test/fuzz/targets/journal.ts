/**
 * A lane's folder with any bytes in up to three segments: recovery never throws and changes nothing, counts what it hands out, says the
 * same twice; a corrupt journal, once it is cut, gives the same claims and is not corrupt.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cutJournal } from '../../../src/journal/cut.ts';
import { SEGMENT } from '../../../src/journal/record.ts';
import type { RecoveryReport } from '../../../src/journal/report.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { commitGroup, LANE, openWriter, SEGMENT_BYTES } from '../../unit/journal/fixtures.ts';
import type { Target } from '../target.ts';

const SEGMENTS_MAX = 3;

export const target: Target = {
  bytesMax: 1 + SEGMENTS_MAX * SEGMENT_BYTES,
  seeds: () => [written(1), written(2), written(4)],
  run(bytes) {
    const files = filesOf(bytes);
    const before = new Map([...files.names].map(([name, { bytes: had }]) => [name, had.slice()]));
    const first = recovered(files);
    const second = recovered(files);
    for (const [name, { bytes: has }] of files.names) assert.deepEqual(has, before.get(name), 'nothing is changed');
    assert.deepEqual(second, first, 'the same twice');
    const { report } = first;
    assert.equal(report.end === 'whole', report.bad === undefined);
    recovered(files, 2);
    if (report.end !== 'corrupt' || !isSizeTrue(files)) return;
    cutJournal(files, LANE, report);
    const after = recovered(files);
    assert.notEqual(after.report.end, 'corrupt', 'what was cut is not corrupt');
    assert.equal(after.claims, first.claims, 'what was cut has the same claims');
  },
};

/** The journal of so many groups of ten claims; two fit a segment. */
function written(groups: number): Uint8Array {
  const files = new MemoryFiles();
  files.mkdirSync(LANE, { recursive: true });
  const writer = openWriter(files);
  for (let group = 0; group < groups; group++) commitGroup(writer, group * 10, 10);
  writer.close();
  const segments = [...files.names].filter(([name]) => name.startsWith(`${LANE}/`)).map(([, { bytes }]) => bytes);
  return new Uint8Array(Buffer.concat([Uint8Array.of(segments.length - 1), ...segments]));
}

/** The first byte says how many segments there are; the others are theirs, as many each. */
function filesOf(bytes: Uint8Array): MemoryFiles {
  const files = new MemoryFiles();
  files.mkdirSync(LANE, { recursive: true });
  const count = 1 + ((bytes[0] ?? 0) % SEGMENTS_MAX);
  const length = Math.ceil(Math.max(0, bytes.length - 1) / count);
  for (let index = 0; index < count; index++) {
    const fd = files.openSync(`${LANE}/${segmentName(index + 1)}`, 'w');
    const part = bytes.slice(1 + index * length, 1 + (index + 1) * length);
    if (part.length > 0) files.writeSync(fd, part, 0, part.length, 0);
    files.closeSync(fd);
  }
  return files;
}

/** Cutting makes files of the size that a header says. */
function isSizeTrue(files: MemoryFiles): boolean {
  return [...files.names.values()].every(
    ({ bytes }) =>
      bytes.length < SEGMENT.segmentBytes + 8 ||
      Buffer.from(bytes).readBigUInt64LE(SEGMENT.segmentBytes) <= SEGMENT_BYTES,
  );
}

function recovered(files: MemoryFiles, fromSegment?: number): { report: RecoveryReport; claims: string } {
  const hash = createHash('sha1');
  let claims = 0;
  const onClaim = (bytes: Uint8Array, offset: number) => {
    claims++;
    hash.update(bytes.subarray(offset, offset + 93));
  };
  const report = recoverJournal(LANE, onClaim, { files, ...(fromSegment && { fromSegment }) });
  assert.equal(claims, report.claims);
  return { report, claims: `${claims} ${hash.digest('hex')}` };
}

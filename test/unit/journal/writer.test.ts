import { describe, expect, it } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { blockAlign, groupBytes } from '../../../src/journal/record.ts';
import { createSegment } from '../../../src/journal/segment.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import {
  BLOCK_BYTES,
  commitGroup,
  JOURNAL_ID,
  LANE,
  numberedClaim,
  openWriter,
  range,
  recoverNumbers,
  SEGMENT_BYTES,
  TIME,
} from './fixtures.ts';

describe('journal writer', () => {
  it('writes each group in one call and syncs it once', () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    const operations: string[] = [];
    files.before = (operation) => operations.push(operation);
    commitGroup(writer, 1, 7);
    expect(operations).toEqual(['write', 'sync']);
    expect([writer.syncs, writer.bytesWritten, writer.group]).toEqual([1, 32 + 7 * 96, 2]);
    writer.commit(new JournalGroup(1), TIME);
    expect(operations).toHaveLength(2);
    expect(recoverNumbers(files).numbers).toEqual(range(1, 7));
  });

  it('takes claims from anywhere in any memory, and puts zeros behind them', () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    const shared = new Uint8Array(new SharedArrayBuffer(512)).fill(0xff);
    const group = new JournalGroup(20);
    const tight = new Uint8Array(96 + 93).fill(0xff);
    const places: [Uint8Array, number][] = [
      [shared, 128],
      [shared, 301],
      [tight, 96],
      [tight.subarray(1), 2],
      [shared, 4],
    ];
    places.forEach(([bytes, offset], index) => {
      bytes.set(numberedClaim(index + 1), offset);
      expect(group.append(bytes, offset)).toBe(index);
      const end = group.recordOffset(index) + 93;
      expect([...group.bytes.subarray(end, end + 3)]).toEqual([0, 0, 0]);
    });
    group.replace(1, numberedClaim(9), 0);
    writer.commit(group, TIME);
    expect(recoverNumbers(files).numbers).toEqual([1, 9, 3, 4, 5]);
  });

  it('rolls over to segments it makes and to segments prepared for it', () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    createSegment(files, LANE, {
      number: 2,
      segmentBytes: SEGMENT_BYTES,
      blockBytes: BLOCK_BYTES,
      journalId: JOURNAL_ID,
      createdAt: 1,
    });
    const prepared = files.names.get(`${LANE}/000000000002.seg`);
    for (let group = 0; group < 7; group++) commitGroup(writer, group * 10, 10);
    expect(writer.segment).toBe(4);
    expect(files.names.get(`${LANE}/000000000002.seg`)).toBe(prepared);
    expect(files.readdirSync(LANE)).toEqual(range(1, 4).map((number) => `00000000000${number}.seg`));
    const { numbers, report } = recoverNumbers(files);
    expect(numbers).toEqual(range(0, 70));
    expect(report).toMatchObject({
      end: 'whole',
      segments: 4,
      groups: 7,
      lastGroup: 7,
      lastSegment: 4,
      nextSegment: 5,
    });
  });

  it('begins in the second block and writes whole blocks, with zeros behind the records of an earlier group', () => {
    for (const blockBytes of [512, 4_096]) {
      const files = new MemoryFiles();
      const writer = openWriter(files, { blockBytes, segmentBytes: blockBytes * 16 });
      const writes: [number, number][] = [];
      files.writeSync = (fd, buffer, offset, length, position) => {
        writes.push([position, length]);
        return MemoryFiles.prototype.writeSync.call(files, fd, buffer, offset, length, position);
      };
      const group = new JournalGroup(60);
      for (const count of [60, 1, 2]) {
        group.clear();
        for (let number = 1; number <= count; number++) group.append(numberedClaim(number), 0);
        writer.commit(group, TIME);
      }
      const lengths = [groupBytes(60), groupBytes(1), groupBytes(2)].map((length) => blockAlign(length, blockBytes));
      const starts = lengths.map((_, index) =>
        lengths.slice(0, index).reduce((sum, length) => sum + length, blockBytes),
      );
      expect(writes).toEqual(lengths.map((length, index) => [starts[index], length]));
      expect(recoverNumbers(files)).toMatchObject({
        numbers: [...range(1, 60), 1, 1, 2],
        report: { end: 'whole', harmless: [] },
      });
    }
  });

  it('leaves a segment prepared with smaller blocks empty, and goes on in the next', () => {
    const files = new MemoryFiles();
    files.mkdirSync(LANE);
    const segmentBytes = 8 * 4_096;
    const prepare = (number: number, blockBytes: number) =>
      createSegment(files, LANE, { number, segmentBytes, blockBytes, journalId: JOURNAL_ID, createdAt: 1 });
    prepare(1, 512);
    prepare(2, 512);
    const writer = openWriter(files, { segmentBytes, blockBytes: 4_096 });
    expect(writer.segment).toBe(3);
    commitGroup(writer, 0, 5);
    writer.close();
    expect(recoverNumbers(files)).toMatchObject({ numbers: range(0, 5), report: { end: 'whole', nextSegment: 4 } });
    // Larger blocks are as good.
    prepare(4, 4_096);
    const next = openWriter(files, { segmentBytes, blockBytes: 512, segment: 4, group: 2 });
    expect(next.segment).toBe(4);
    commitGroup(next, 5, 5);
    expect(recoverNumbers(files)).toMatchObject({ numbers: range(0, 10), report: { end: 'whole', nextSegment: 5 } });
  });

  it('leaves nothing of a segment that the disk had no room for: the next start needs some of it', () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    files.before = (operation, path) => {
      if (operation === 'write' && path.endsWith('.tmp')) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
    };
    expect(() => {
      for (let group = 0; group < 9; group++) commitGroup(writer, group * 10, 10);
    }).toThrow('full');
    expect(files.readdirSync(LANE)).toEqual(['000000000001.seg']);
  });

  it('passes over a prepared segment too small for the group', () => {
    const files = new MemoryFiles();
    files.mkdirSync(LANE);
    createSegment(files, LANE, {
      number: 2,
      segmentBytes: 1024,
      blockBytes: BLOCK_BYTES,
      journalId: JOURNAL_ID,
      createdAt: 1,
    });
    const writer = openWriter(files);
    for (let group = 0; group < 3; group++) commitGroup(writer, group * 20, 20);
    expect(recoverNumbers(files)).toMatchObject({ numbers: range(0, 60), report: { end: 'whole', segments: 4 } });
  });

  it('refuses everything after a failed sync, a failed write and a short write', () => {
    const failures: ((files: MemoryFiles) => void)[] = [
      (files) => {
        files.before = (operation) => {
          if (operation === 'sync') throw new Error('EIO');
        };
      },
      (files) => {
        files.before = (operation) => {
          if (operation === 'write') throw new Error('ENOSPC');
        };
      },
      (files) => {
        files.writeSync = (_fd, _buffer, _offset, length) => length - 1;
      },
    ];
    for (const fail of failures) {
      const files = new MemoryFiles();
      const writer = openWriter(files);
      commitGroup(writer, 1, 2);
      fail(files);
      expect(() => commitGroup(writer, 3, 2)).toThrow(ClaimwireError);
      files.before = () => {};
      delete (files as { writeSync?: unknown }).writeSync;
      const group = new JournalGroup(1);
      for (const call of [() => writer.sync(), () => writer.write(group, TIME), () => writer.commit(group, TIME)])
        expect(call).toThrow(expect.objectContaining({ code: 'JOURNAL_FAILED' }));
      expect(writer.syncs).toBe(1);
      expect(recoverNumbers(files).numbers.slice(0, 2)).toEqual([1, 2]);
    }
  });

  it('never writes into a file that is not an unused segment of this journal', () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    commitGroup(writer, 1, 2);
    writer.close();
    expect(() => commitGroup(writer, 3, 1)).toThrow(expect.objectContaining({ code: 'JOURNAL_FAILED' }));
    const before = files.names.get(`${LANE}/000000000001.seg`)!.bytes.slice();
    const corrupt = expect.objectContaining({ code: 'JOURNAL_CORRUPT' });
    expect(() => openWriter(files)).toThrow(corrupt);
    createSegment(files, LANE, {
      number: 2,
      segmentBytes: SEGMENT_BYTES,
      blockBytes: BLOCK_BYTES,
      journalId: new Uint8Array(16),
      createdAt: 1,
    });
    expect(() => openWriter(files, { segment: 2 })).toThrow(corrupt);
    files.names.get(`${LANE}/000000000002.seg`)!.bytes = new Uint8Array(SEGMENT_BYTES).fill(7);
    expect(() => openWriter(files, { segment: 2 })).toThrow(corrupt);
    files.names.get(`${LANE}/000000000002.seg`)!.bytes = before.slice(0, 700);
    expect(() => openWriter(files, { segment: 2 })).toThrow(corrupt);
    expect(files.names.get(`${LANE}/000000000001.seg`)!.bytes).toEqual(before);
  });

  it('asserts its limits and the order of write and sync', () => {
    const files = new MemoryFiles();
    expect(() => openWriter(files, { groupClaimsMax: 27 })).toThrow('the largest group fits');
    expect(() => openWriter(files, { segmentBytes: 2561 })).toThrow('whole blocks');
    expect(() => openWriter(files, { journalId: new Uint8Array(15) })).toThrow('16 bytes');
    const writer = openWriter(files, { groupClaimsMax: 2 });
    const group = new JournalGroup(2);
    group.append(numberedClaim(1), 0);
    expect(() => group.replace(1, numberedClaim(1), 0)).toThrow('assertion');
    group.append(numberedClaim(2), 0);
    expect(() => group.append(numberedClaim(3), 0)).toThrow('assertion');
    writer.write(group, TIME);
    group.clear();
    group.append(numberedClaim(3), 0);
    expect(() => writer.write(group, TIME)).toThrow('synced before the next');
    writer.sync();
    writer.commit(group, TIME);
    expect(recoverNumbers(files).numbers).toEqual([1, 2, 3]);
  });

  it('syncs beside its thread: one group at a time, nothing durable before it is said, no word after a failure', async () => {
    const files = new MemoryFiles();
    const writer = openWriter(files);
    const group = new JournalGroup(2);
    const synced = () => new Promise<Error | undefined>((resolve) => writer.syncLater(resolve));
    group.append(numberedClaim(1), 0);
    writer.write(group, TIME);
    const first = synced();
    expect([writer.isSyncing, writer.syncs]).toEqual([true, 0]);
    expect(() => writer.write(group, TIME)).toThrow('synced before the next');
    expect(await first).toBeUndefined();
    expect([writer.isSyncing, writer.syncs]).toEqual([false, 1]);
    writer.write(group, TIME);
    files.before = (operation) => {
      if (operation === 'sync') throw new Error('the disk is gone');
    };
    expect(await synced()).toMatchObject({ code: 'JOURNAL_FAILED' });
    files.before = () => {};
    expect(() => writer.write(group, TIME)).toThrow(expect.objectContaining({ code: 'JOURNAL_FAILED' }));
    expect(writer.syncs).toBe(1);
  });
});

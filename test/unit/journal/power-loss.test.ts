import { describe, expect, it } from 'vitest';
import type { JournalWriter } from '../../../src/journal/writer.ts';
import { makeFolder } from '../../../src/system/files.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemoryFiles, PowerLoss } from '../../support/memory-files.ts';
import { commitGroup, LANE, numberedGroup, openWriter, range, recoverNumbers, TIME } from './fixtures.ts';

/** mulberry32: the same run for the same seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

describe('loss of power', () => {
  it('loses any subset of the sectors of the last write, and nothing before it', () => {
    const sectors = 4;
    for (let subset = 0; subset < 1 << sectors; subset++) {
      const files = new MemoryFiles();
      const writer = openWriter(files, { segmentBytes: 8192 });
      for (let group = 0; group < 3; group++) commitGroup(writer, group * 4, 4);
      writer.write(numberedGroup(12, 20), TIME);
      let sector = 0;
      const disk = files.afterPowerLoss(() => ((subset >> sector++) & 1) === 1);
      expect(sector).toBe(sectors);
      const { numbers, report } = recoverNumbers(disk);
      const whole = subset === (1 << sectors) - 1;
      expect(numbers).toEqual(range(0, whole ? 32 : 12));
      expect(report.end).toBe(whole || subset === 0 ? 'whole' : 'torn');
      expect(report.dropped.groups).toBe(0);
    }
  });

  const SEEDS = brieflyOrAtLength(16, 40);
  const LIVES = brieflyOrAtLength(120, 300);

  it.each([512, 4_096])(
    'keeps every committed group, of blocks of %d, through hundreds of losses, at any operation, one after the other',
    (blockBytes) => {
      let harmless = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const random = seeded(seed);
        let files = new MemoryFiles();
        let committed: number[] = [];
        for (let life = 0; life < 12; life++) {
          const { attempted, done } = liveUntilLoss(files, committed.length, random, blockBytes);
          files = random() < 0.3 ? killed(files) : files.afterPowerLoss(() => random() < 0.5);
          const { numbers, report } = recoverNumbers(files);
          const where = `seed ${seed} life ${life}`;
          expect(report.end, `${where}: ${report.bad?.reason}`).not.toBe('corrupt');
          // What was committed is there; the one group under way is there whole or not at all.
          expect([done, attempted], where).toContain(numbers.length);
          expect(numbers).toEqual(range(0, numbers.length));
          harmless += report.harmless.length;
          committed = numbers;
        }
      }
      expect(harmless).toBeGreaterThan(SEEDS);
    },
    60_000,
  );

  /** How many of LIVES left fewer claims than were committed, on a disk that spoils blocks of 4,096 bytes. */
  function livesThatLost(blockBytes: number): number {
    let lost = 0;
    for (let seed = 1; seed <= LIVES; seed++) {
      const random = seeded(seed);
      const files = new MemoryFiles();
      const { done } = liveUntilLoss(files, 0, random, blockBytes);
      const { numbers, report } = recoverNumbers(files.afterPowerLoss(() => random() < 0.5, 4_096));
      expect(numbers).toEqual(range(0, numbers.length));
      if (numbers.length < done) lost++;
      if (blockBytes === 4_096) expect(report.end, `seed ${seed}: ${report.bad?.reason}`).not.toBe('corrupt');
    }
    return lost;
  }

  it('needs blocks as large as those of the disk: then rubbish in a block under way costs no committed group', () => {
    expect(livesThatLost(4_096)).toBe(0);
    // What the default is for: groups that share a block with the one under way are lost with it.
    expect(livesThatLost(512)).toBeGreaterThan(0);
  }, 60_000);
});

/** A process that ends while its writes stay in the page cache. */
function killed(files: MemoryFiles): MemoryFiles {
  files.before = () => {};
  return files;
}

/** Recovers, writes groups, and loses power at a random operation. Counts of claims: committed, and with the last try. */
function liveUntilLoss(
  files: MemoryFiles,
  claims: number,
  random: () => number,
  blockBytes: number,
): { attempted: number; done: number } {
  const { report } = recoverNumbers(files);
  let left = Math.floor(random() * 60);
  files.before = () => {
    if (left-- <= 0) throw new PowerLoss('power lost');
  };
  let done = claims;
  let attempted = claims;
  let writer: JournalWriter;
  try {
    // As a node does: the writer alone would not sync what a killed run made above its folder.
    makeFolder(files, LANE, '/data');
    const segmentBytes = blockBytes * 6;
    writer = openWriter(files, { segmentBytes, blockBytes, segment: report.nextSegment, group: report.lastGroup + 1 });
    for (;;) {
      const size = 1 + Math.floor(random() * 20);
      attempted = done + size;
      commitGroup(writer, done, size);
      done = attempted;
    }
  } catch (error) {
    if (!(error instanceof PowerLoss) && !((error as Error).cause instanceof PowerLoss)) throw error;
    return { attempted, done };
  }
}

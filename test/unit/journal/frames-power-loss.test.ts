/** Loss of power among groups with frames: a leaf that was committed is there with its frame, and the group under way whole or not at all. */
import { expect, test } from 'vitest';
import { JournalGroup } from '../../../src/journal/group.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemoryFiles, PowerLoss } from '../../support/memory-files.ts';
import { random } from '../../support/random.ts';
import { signedFrames } from '../../support/signed-roots.ts';
import { LANE, numberedClaim, openWriter, TIME } from './fixtures.ts';

const CHANNELS = Array.from({ length: 20 }, (_, index) => BigInt(index + 1));
const idOf = (channelId: bigint) => new Uint8Array(32).fill(Number(channelId));

/** The frame of root `number`, whose leaves are all for `number` drops. */
function frameOf(number: number): Uint8Array {
  const amount = BigInt(number);
  return signedFrames(
    CHANNELS.map((channelId) => ({ channelId, ledgerChannelId: idOf(channelId), amount })),
    number,
  )[0]!;
}
const FRAMES = Array.from({ length: 40 }, (_, index) => frameOf(index + 1));

/** What a journal has of leaves: `amount × channel` each, and what it has of claims. */
function recovered(files: MemoryFiles): { leaves: string[]; end: string; last: number; next: number } {
  const leaves: string[] = [];
  const report = recoverJournal(
    LANE,
    () => {},
    { files },
    ({ amount, channelId, frameAt, frameBytes }, { bytes }) => {
      expect(Buffer.compare(bytes.subarray(frameAt, frameAt + frameBytes), FRAMES[Number(amount) - 1]!)).toBe(0);
      leaves.push(`${amount}×${channelId}`);
    },
  );
  return { leaves, end: report.end, last: report.lastGroup, next: report.nextSegment };
}

test('keeps every committed leaf with its frame, at any operation, one loss after the other', () => {
  const from = random(7);
  let losses = 0;
  for (let world = 0; world < brieflyOrAtLength(3, 60); world++) {
    let files = new MemoryFiles();
    let committed: string[] = [];
    for (let life = 0, root = 0; life < 5; life++) {
      const before = recovered(files);
      expect(before.end).not.toBe('corrupt');
      committed = before.leaves;
      let under: string[] = [];
      let left = from.below(60);
      files.before = () => {
        if (left-- <= 0) throw new PowerLoss('power lost');
      };
      try {
        const start = { segment: before.next, group: before.last + 1 };
        const writer = openWriter(files, { hasFrames: true, segmentBytes: 272 * 4_096, blockBytes: 4_096, ...start });
        for (; root < FRAMES.length; root++) {
          const group = new JournalGroup(20);
          const frame = group.addFrame(FRAMES[root]!, 0, FRAMES[root]!.length);
          under = [];
          for (const [leaf, channelId] of CHANNELS.entries()) {
            if (from.below(2) === 0) continue;
            const record = Uint8Array.from(numberedClaim(root + 1)).with(0, 3);
            if (group.count === 19) break;
            group.acceptLeaf(group.append(record, 0), frame, leaf);
            under.push(`${root + 1}×${channelId}`);
          }
          if (under.length === 0) continue;
          group.append(numberedClaim(root + 1), 0);
          writer.commit(group, TIME);
          committed = [...committed, ...under];
          under = [];
        }
        writer.close();
      } catch (error) {
        expect(String((error as Error).cause ?? error)).toContain('power lost');
        losses++;
      }
      files = files.afterPowerLoss(() => from.below(2) === 0);
      const after = recovered(files);
      expect(after.end).not.toBe('corrupt');
      // The group under way is there whole or not at all.
      expect([committed, [...committed, ...under]].map(String)).toContain(String(after.leaves));
    }
  }
  expect(losses).toBeGreaterThan(2);
});

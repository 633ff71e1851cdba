/** The order in which a durable group becomes visible. Test's thread. */
import { expect, test } from 'vitest';
import { ApplyStep } from '../../../src/path/apply-step.ts';
import { CommitGroup } from '../../../src/path/commit-group.ts';
import type { StageStepOptions } from '../../../src/path/stage-step.ts';
import { claimOf } from '../../support/rig.ts';

test('the channel table, the acks, the slots, and only then the marks of who listens', () => {
  const done: string[] = [];
  const parts = {
    table: { commit: (row: number) => done.push(`row ${row} committed`) },
    answers: { answer: () => done.push('answered') },
    counters: { add: () => {} },
    ring: { release: (end: number) => done.push(`released ${end}`) },
    grown: { mark: (rows: Uint32Array, count: number) => done.push(`marked ${rows.subarray(0, count)}`) },
  };
  const group = new CommitGroup();
  group.end = 3;
  group.accept(group.append(5, claimOf({ channelId: 1n, amount: 7n }), 0), new Uint32Array(5), 0);
  group.accept(group.append(2, claimOf({ channelId: 2n, amount: 7n }), 0), new Uint32Array(5), 0);
  new ApplyStep(parts as unknown as StageStepOptions).apply(group, 0);
  expect(done).toEqual(['row 5 committed', 'row 2 committed', 'answered', 'answered', 'released 3', 'marked 5,2']);
});

/**
 * Seeded runs of a cluster under faults: nodes are killed, stand still and wake up, lose the database, leave, and move shards.
 * No claim is stored for a shard by a node that does not hold it, none that was acknowledged is lost, and all is served again.
 * Services charge meanwhile: nothing is spent twice, whether a charge has a key and is asked for again, or has none.
 */
import { expect, test } from 'vitest';
import { faultyRun } from '../../support/cluster-faults.ts';
import { brieflyOrAtLength } from '../../support/length.ts';

const SEEDS = brieflyOrAtLength(4, 2_000);

test(`nothing acknowledged is lost, and no shard has two nodes, in ${SEEDS} runs`, {
  timeout: SEEDS * 30_000,
}, async () => {
  let takeovers = 0;
  let moved = 0;
  let charged = 0;
  let repeated = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = await faultyRun(seed, 6_000);
    expect(run.faults, `seed ${seed}`).toEqual([]);
    expect(run.acknowledged).toBeGreaterThan(1_000n);
    charged += Number(run.charged);
    repeated += run.repeated;
    takeovers += run.takeovers;
    moved += run.moved;
  }
  expect(takeovers).toBeGreaterThanOrEqual(SEEDS);
  expect(moved).toBeGreaterThan(100 * SEEDS);
  expect(charged).toBeGreaterThan(400 * SEEDS);
  expect(repeated).toBeGreaterThan(40 * SEEDS);
});

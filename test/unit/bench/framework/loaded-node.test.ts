/** What a node's counters say of the cost of a claim. */
import { expect, test } from 'vitest';
import { cpuNsOf } from '../../../../bench/framework/loaded-node.ts';

test('a claim that a newer one stands for is done as well, and the wait for the disk is no processor time', () => {
  const none = { verified: 0, groups: 0, syncs: 0, datagrams: 0, already: 0, socketDrops: 0, overloaded: 0 };
  const stageUs = { receive: 100, verify: 800, commit: 100, sync: 5_000 };
  expect(cpuNsOf({ ...none, committed: 1_000, superseded: 0, stageUs })).toBe(1_000);
  expect(cpuNsOf({ ...none, committed: 400, superseded: 600, stageUs })).toBe(1_000);
});

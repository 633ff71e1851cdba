/** A node's part in a cluster that only notes what it is asked. Test's thread. */
import type { ClusterControl, ClusterFigures } from '../../src/control/cluster-control.ts';
import { ClaimwireError } from '../../src/errors.ts';

export class FakeClusterControl implements ClusterControl {
  readonly asked: unknown[] = [];
  readonly figures: ClusterFigures = {
    node: 'a',
    epoch: 3,
    version: 17,
    members: 2,
    silent: 0,
    isLeaving: false,
    shardsServed: 512,
    shardsMoving: 0,
    shardsWanted: 512,
    held: { a: 512, b: 512 },
    takeovers: 1,
    shardsReceived: 5,
    shardsGiven: 517,
    lastGiveMs: 120.5,
    lastLoadMs: 30,
    beatsFailed: 0,
    beatAgeMs: 120,
    lagMs: 40,
    watchRestarts: 0,
  };

  leave(): void {
    this.asked.push('leave');
  }
  join(): void {
    this.asked.push('join');
  }
  rebalance(): void {
    this.asked.push('rebalance');
  }
  move(shards: readonly number[], to: string): void {
    if (to !== 'b') throw new ClaimwireError('INPUT_INVALID', `expected another living member, got "${to}"`);
    this.asked.push([...shards]);
  }
}

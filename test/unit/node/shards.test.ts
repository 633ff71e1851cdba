/** What a node does as it gives shards away, and in which order: the parts are fakes. Test's thread. */
import { expect, test } from 'vitest';
import { SHARDS } from '../../../protocol/shard.ts';
import { NodeShards } from '../../../src/node/shards.ts';

test('claims are answered MOVED first, then channels and accounts are drained, and a fence ends the groups that are open', async () => {
  const calls: string[] = [];
  const call = (name: string) => async () => {
    // Whoever does not wait for it is overtaken.
    await new Promise(setImmediate);
    calls.push(name);
  };
  const parts = {
    channels: { shards: { only: () => {}, drain: call('channels') } },
    accounts: { drain: call('accounts') },
    passFence: call('fence'),
    route: { hold: (served: Set<number>) => calls.push(`${served.size} served`) },
  };
  const all = Array.from({ length: SHARDS }, (_, shard) => shard);
  const shards = new NodeShards(parts as never, all, 1);
  await shards.drainShards([3, 4]);
  expect(calls).toEqual([`${SHARDS} served`, `${SHARDS - 2} served`, 'channels', 'accounts', 'fence']);
});

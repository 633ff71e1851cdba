/** Several admin interfaces as one, while shards move between them: opened at the holder, read from the holder, summed. */
import { expect, test, vi } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../../protocol/shard.ts';
import { ClaimwireError } from '../../../../src/errors.ts';
import type { AdminClient, OpeningJson } from '../../../../src/http/client.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import { ClusterAdmin } from '../../../../src/load/cluster/cluster-admin.ts';

const channels = LoadChannels.derive(1, 30, 1);
const openings = Array.from({ length: 30 }, (_, channel) => channels.opening(channel));
const ids = openings.map((_, channel) => channels.handle(channel));
const even = Array.from({ length: SHARDS }, (_, shard) => shard % 2);

/** Two nodes. `holders` is the truth; each node's list may have rows that it gave away. */
class FakeNodes {
  version = 1;
  holders = even;
  readonly rows = [new Map<string, string>(), new Map<string, string>()];
  /** Called before each request but `stats`. */
  before: (call: string, node: number) => void = () => {};
  readonly admins = [0, 1].map((node) => this.#admin(node));

  get map() {
    const nodes = ['a', 'b'].map((name) => ({ name, places: [] }));
    return { version: BigInt(this.version), holders: Int16Array.from(this.holders), nodes };
  }

  #admin(node: number): AdminClient {
    const expectHere = (id: string) => {
      if (this.holders[shardOfChannel(BigInt(id))] !== node) throw new ClaimwireError('MOVED', `${id} is elsewhere`);
    };
    const admin = {
      importChannels: async (source: Iterable<OpeningJson>) => {
        this.before('import', node);
        let opened = 0;
        for (const { ledgerChannelId } of source) {
          const id = String(BigInt(`0x${ledgerChannelId.slice(0, 16)}`));
          expectHere(id);
          if (!this.rows[node]!.has(id)) opened += 1;
          this.rows[node]!.set(id, '5');
        }
        return { opened, unchanged: 0, refusedCount: 0, refused: [], stoppedAt: null };
      },
      removeChannels: async (some: readonly string[]) => {
        this.before('remove', node);
        for (const id of some) expectHere(id);
        for (const id of some) this.rows[node]!.delete(id);
        return { removed: some.length, refusedCount: 0, refused: [] };
      },
      channels: async function* (this: FakeNodes) {
        this.before('list', node);
        for (const [channelId, committed] of this.rows[node]!) yield { channelId, committed };
      }.bind(this),
      stats: async () => {
        const shardsServed = this.holders.filter((holder) => holder === node).length;
        const counters = { received: 10 + node, verified: 5, dropped: { socketBuffer: 1 } };
        return { backend: 'native', counters, cluster: { node: 'ab'[node], version: this.version, shardsServed } };
      },
    };
    return admin as unknown as AdminClient;
  }

  /** All shards go to node 0, and its rows with them. */
  move(): void {
    this.version += 1;
    this.holders = even.map(() => 0);
    for (const [id, committed] of this.rows[1]!) this.rows[0]!.set(id, committed);
  }
}

async function rowsOf(admin: ClusterAdmin): Promise<string[]> {
  const rows: string[] = [];
  for await (const { channelId } of admin.channels()) rows.push(channelId);
  return rows.toSorted();
}

test('channels are opened, listed and removed at their holders; counters are sums', async () => {
  const nodes = new FakeNodes();
  const admin = new ClusterAdmin(nodes.admins, () => nodes.map);
  expect(await admin.importChannels(openings, () => {})).toMatchObject({ opened: 30, refusedCount: 0 });
  expect(nodes.rows.every((rows) => rows.size > 5)).toBe(true);
  expect(await rowsOf(admin)).toEqual(ids.toSorted());
  const counted = { received: 21, verified: 10, dropped: { socketBuffer: 2 } };
  expect(await admin.stats()).toMatchObject({ backend: 'native', counters: counted });
  expect(await admin.removeChannels(ids)).toMatchObject({ removed: 30 });
  expect(nodes.rows.map((rows) => rows.size)).toEqual([0, 0]);
});

test.each(['import', 'remove'] as const)(
  'a move before the second node is asked to %s: it is asked of the new holder',
  async (call) => {
    vi.useFakeTimers();
    const nodes = new FakeNodes();
    const admin = new ClusterAdmin(nodes.admins, () => nodes.map);
    if (call === 'remove') await admin.importChannels(openings, () => {});
    nodes.before = (what, node) => {
      if (what === call && node === 1 && nodes.version === 1) nodes.move();
    };
    const done = call === 'import' ? admin.importChannels(openings, () => {}) : admin.removeChannels(ids);
    await vi.advanceTimersByTimeAsync(5_000);
    await done;
    expect(nodes.rows[0]!.size).toBe(call === 'import' ? 30 : 0);
    vi.useRealTimers();
  },
);

test('a move between two lists: they are read again, and no row comes twice or from a node that gave it away', async () => {
  vi.useFakeTimers();
  const nodes = new FakeNodes();
  const admin = new ClusterAdmin(nodes.admins, () => nodes.map);
  await admin.importChannels(openings, () => {});
  let lists = 0;
  nodes.before = (what, node) => {
    if (what === 'list') lists += 1;
    if (what === 'list' && node === 1 && nodes.version === 1) nodes.move();
  };
  const rows = rowsOf(admin);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await rows).toEqual(ids.toSorted());
  expect(lists).toBe(4);
  vi.useRealTimers();
});

test('without the admin interfaces of all nodes it says so', async () => {
  vi.useFakeTimers();
  const nodes = new FakeNodes();
  const admin = new ClusterAdmin(nodes.admins.slice(0, 1), () => nodes.map);
  const opened = expect(admin.importChannels(openings, () => {})).rejects.toMatchObject({
    code: 'NODE_UNREACHABLE',
    message: expect.stringContaining('got 512 at 1 of 1 nodes'),
  });
  await vi.advanceTimersByTimeAsync(20_000);
  await opened;
  vi.useRealTimers();
});

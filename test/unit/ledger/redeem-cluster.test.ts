/**
 * Nodes that redeem for one account while shards move between them, nodes are killed, taken over, wake up and start again, and
 * transactions are held and lost: whatever the order, each transaction in a ledger has paid, and in the end all is paid.
 */
import { expect, test } from 'vitest';
import { SHARDS } from '../../../protocol/shard.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { PAYEE, settled } from '../../support/chain-rig.ts';
import { type ClusterNode, LedgerCluster } from '../../support/ledger-cluster.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { type Random, random } from '../../support/random.ts';

const FEE = 10n;
const STEP = 1_000n;
const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const OPTIONS = { aboveDrops: STEP };

class World {
  readonly cluster = new LedgerCluster();
  readonly nodes = new Map<string, ClusterNode>();
  readonly rows: Channel[] = [];
  /** By channel, what its payer has claimed. */
  readonly claimed = new Map<bigint, bigint>();
  readonly random: Random;
  #isMoving = false;

  constructor(seed: number) {
    this.random = random(seed);
  }

  async start(): Promise<void> {
    for (const name of ['one', 'two', 'three']) this.nodes.set(name, await this.cluster.enter(name, OPTIONS));
    for (let count = 0; count < 4; count++) {
      const row = await this.cluster.opened(this.nodes.get('one')!, { committed: STEP });
      this.rows.push(row);
      this.claimed.set(row.channelId, STEP);
      await this.nodes.get('one')!.give(row, this.#other('one'));
    }
  }

  async turn(): Promise<void> {
    const { random, cluster } = this;
    cluster.chain.holdSubmissions = random.below(3) === 0;
    cluster.losesSubmissions = random.below(6) === 0;
    const what = random.below(8);
    const row = this.rows[random.below(this.rows.length)]!;
    const holder = this.#holder(row);
    if (what < 3) await this.pay(row);
    // It is not waited for: claims are redeemed, and the ledger goes on, meanwhile.
    else if (what < 6) this.#give(holder, row);
    else if (what === 6) await this.#end(holder);
    if (random.below(2) === 0) await settled();
    await cluster.step();
  }

  async pay(row: Channel): Promise<void> {
    const drops = this.claimed.get(row.channelId)! + STEP;
    const holder = this.#holder(row);
    if (!holder.holds(row.channelId) || holder.judge(row, drops) !== 'ADMITTED') return;
    await holder.commit(row, drops);
    this.claimed.set(row.channelId, drops);
  }

  #give(holder: ClusterNode, row: Channel): void {
    if (this.#isMoving) return;
    this.#isMoving = true;
    const moved = holder.give(row, this.#other(holder.name));
    // It may be taken over meanwhile.
    void moved
      .catch(() => {})
      .finally(() => {
        this.#isMoving = false;
      });
  }

  /** Another takes it over; it is gone, or wakes up and does not know; then it starts again. */
  async #end(node: ClusterNode): Promise<void> {
    if (this.random.below(2) === 0) await settled();
    if (this.random.below(2) === 0) await node.service.stop();
    await this.#other(node.name).takeOver(node);
    while (this.#isMoving) await settled();
    for (const each of this.nodes.values()) if (each !== node) await each.receive();
    if (this.random.below(2) === 0) await this.cluster.step();
    this.nodes.set(node.name, await this.cluster.enter(node.name, OPTIONS));
  }

  #holder({ channelId }: Channel): ClusterNode {
    const nodes = [...this.nodes.values()];
    return nodes.find((node) => node.channel(channelId) !== undefined) ?? nodes[0]!;
  }

  #other(name: string): ClusterNode {
    const others = [...this.nodes.values()].filter((node) => node.name !== name);
    return others[this.random.below(others.length)]!;
  }
}

/** 7: a node stops while one redemption of a channel waits for another. */
const SEEDS = [2, 7, ...Array.from({ length: brieflyOrAtLength(0, 60) }, (_, index) => index + 8)];

test.each(SEEDS)('seed %d', async (seed) => {
  const world = new World(seed);
  const { cluster } = world;
  await world.start();
  for (let turn = 0; turn < 30; turn++) await world.turn();
  cluster.chain.holdSubmissions = false;
  cluster.losesSubmissions = false;
  const isPaid = () => world.rows.every((row) => cluster.paidOut(row) === world.claimed.get(row.channelId));
  for (let step = 0; step < 60 && !isPaid(); step++) await cluster.step();
  for (let step = 0; step < 8; step++) await cluster.step();
  expect(world.rows.map((row) => cluster.paidOut(row))).toEqual([...world.claimed.values()]);
  const transactions = cluster.transactionsOf(PAYEE.address);
  expect(transactions.map(({ result }) => result)).toEqual(transactions.map(() => 'tesSUCCESS'));
  const claimed = [...world.claimed.values()].reduce((sum, drops) => sum + drops, 0n);
  const fees = FEE * BigInt(transactions.length);
  expect(BigInt(cluster.account(PAYEE.address).Balance)).toBe(1_000_000_000n + claimed - fees);
  const written: { state: string; paid: string; hash: string }[] = [];
  await world.nodes.get('one')!.database.readShardSides(ALL, ({ table, value }) => {
    if (table === 'redemptions') written.push(JSON.parse(Buffer.from(value).toString()));
  });
  const paid = written.filter(({ state }) => state === 'paid');
  expect(paid.map(({ hash }) => hash).sort()).toEqual(transactions.map(({ hash }) => hash).sort());
  expect(paid.reduce((sum, each) => sum + BigInt(each.paid), 0n)).toBe(claimed);
  expect(written.filter(({ state }) => state === 'pending' || state === 'failed')).toEqual([]);
});

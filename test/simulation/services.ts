/** Services that charge channels, each charge with a key: asked again after every lost answer, it is made once. */
import type { SimulatedNode } from './node.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

interface Sale {
  readonly truth: ChannelTruth;
  readonly key: string;
  readonly drops: bigint;
  /** `asked` until there is an answer, also where the node has ended meanwhile. */
  state: 'asked' | 'made' | 'refused';
  isUnderWay: boolean;
  wasLost: boolean;
}

/** Answers by which nothing was charged. */
const REFUSED = ['PAYMENT_REQUIRED', 'INPUT_INVALID', 'CHANNEL_UNKNOWN'];
/** Answers after which the service asks again. */
const AGAIN = ['REGISTRY_FULL', 'REGISTRY_FAILED', 'NODE_STOPPING', 'NODE_BUSY', 'NODE_FAILED'];

export class Services {
  readonly #world: World;
  readonly #truths: readonly ChannelTruth[];
  readonly #sales: Sale[] = [];

  constructor(world: World, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#truths = truths;
  }

  begin(): void {
    this.#world.repeat(this.#world.plan.lifeMs / 6, () => {
      const { node } = this.#world;
      if (node?.isReady && this.#world.strikes('charges')) this.#charge(node, this.#nextSale());
    });
  }

  /** A node has ended: answers under way are lost. */
  nodeEnded(): void {
    for (const sale of this.#sales) if (sale.isUnderWay) [sale.isUnderWay, sale.wasLost] = [false, true];
  }

  /** One without an answer, or one that was made and is asked for again, or a new one. */
  #nextSale(): Sale {
    const { chance } = this.#world;
    const open = this.#sales.filter(({ state, isUnderWay }) => state === 'asked' && !isUnderWay);
    if (open.length > 0) return chance.of(open);
    const made = this.#sales.filter(({ state }) => state === 'made');
    if (made.length > 0 && chance.is(0.2)) return chance.of(made);
    const drops = BigInt(chance.is(0.15) ? -chance.between(1, 50) : chance.between(1, 300));
    const sale: Sale = {
      truth: chance.of(this.#truths),
      key: `sale-${this.#sales.length}`,
      drops,
      state: 'asked',
      isUnderWay: false,
      wasLost: false,
    };
    this.#sales.push(sale);
    return sale;
  }

  #charge(node: SimulatedNode, sale: Sale): void {
    const { truth, key, drops } = sale;
    const { channelId } = truth;
    const wasMade = sale.state === 'made';
    sale.isUnderWay = true;
    const wait = this.#world.chance.is(0.3) && !this.#world.isCalm;
    this.#world.trace.note(() => `charges ${truth.name} ${drops} for ${key}`);
    node
      .call(() => node.meter.charge(channelId, drops, { key, wait }))
      .then(
        ({ repeated, spent }) => {
          if (node.isDead) return;
          sale.isUnderWay = false;
          this.#world.trace.note(() => `charged ${truth.name} ${drops} for ${key}: spent ${spent}`);
          if (wasMade && !repeated) this.#world.violated('a charge with a key is made once', `${truth.name} ${key}`);
          if (repeated) this.#world.happened('charge.repeated');
          if (!wasMade) this.#world.totals.charges++;
          sale.state = 'made';
          this.#look(node, truth, spent);
        },
        (error: Error & { code?: string }) => {
          if (node.isDead) return;
          sale.isUnderWay = false;
          const code = error.code ?? '';
          this.#world.trace.note(() => `not charged ${truth.name} for ${key}: ${error.message}`);
          if (REFUSED.includes(code) && wasMade && code !== 'CHANNEL_UNKNOWN')
            this.#world.violated('a charge that was made stays made', `${truth.name} ${key}: ${error.message}`);
          // Nobody knows what a registry has that failed.
          if (code === 'REGISTRY_FAILED') sale.wasLost = true;
          // Where its channel is removed, nobody knows whether it was made before.
          if (code === 'CHANNEL_UNKNOWN' && sale.wasLost) return;
          if (REFUSED.includes(code) && !wasMade) sale.state = 'refused';
          else if (!REFUSED.includes(code) && !AGAIN.includes(code))
            this.#world.violated('a service is answered', `${truth.name} ${key}: ${error.stack}`);
        },
      );
  }

  /** What was charged is covered by what is committed, and is the sum of what was sold. */
  #look(node: SimulatedNode, truth: ChannelTruth, spent: bigint): void {
    const committed = node.store.get(truth.channelId)?.committed;
    if (committed !== undefined && spent > committed && !truth.wasRemoved && !this.#world.hasForgotten)
      this.#world.violated('charged ≤ committed', `${truth.name}: ${spent} of ${committed}`);
    let least = 0n;
    let most = 0n;
    for (const sale of this.#sales) {
      if (sale.truth !== truth || sale.state === 'refused') continue;
      if (sale.state === 'made') [least, most] = [least + sale.drops, most + sale.drops];
      else if (sale.drops > 0n) most += sale.drops;
      else least += sale.drops;
    }
    if (spent < least || spent > most)
      this.#world.violated(
        'spent is what was sold, each thing once',
        `${truth.name}: ${spent}, sold ${least} to ${most}`,
      );
  }

  /** Once all faults have stopped: asks again for what has no answer, then looks at every account. */
  async finish(): Promise<void> {
    const { scheduler } = this.#world;
    const isOpen = ({ state, truth }: Sale) =>
      state === 'asked' && truth.now.state !== 'removed' && truth.now.state !== 'none';
    for (let round = 0; round < 50 && this.#sales.some(isOpen); round++) {
      const { node } = this.#world;
      for (const sale of this.#sales)
        if (isOpen(sale) && !sale.isUnderWay && node !== undefined) this.#charge(node, sale);
      const until = scheduler.now + 20;
      await scheduler.run(() => scheduler.now >= until, 1e6);
    }
    const { node } = this.#world;
    for (const truth of this.#truths)
      if (node?.store.get(truth.channelId) !== undefined) this.#look(node, truth, node.meter.spent(truth.channelId));
  }
}

/** The operator: opens channels, tops them up, lowers, closes, removes, raises them, while claims come and the node ends. */
import { ClaimwireError } from '../../src/errors.ts';
import type { SimulatedNode } from './node.ts';
import type { ChannelTruth, Terms } from './truth.ts';
import type { World } from './world.ts';

const CAPACITY = 400_000n;
const CAPACITY_STEP = 50_000;
/** Answers by which nothing has changed. */
const REFUSED = [
  'CHANNEL_CLOSED',
  'CHANNEL_UNKNOWN',
  'CHANNEL_EXISTS',
  'CAPACITY_BELOW_COMMITTED',
  'TABLE_FULL',
  'NODE_STOPPING',
  'REGISTRY_FULL',
];

export class Operator {
  readonly #world: World;
  readonly #truths: readonly ChannelTruth[];

  constructor(world: World, truths: readonly ChannelTruth[]) {
    this.#world = world;
    this.#truths = truths;
  }

  /** Opens what is not open, then one change after the other. */
  begin(): void {
    this.#world.repeat(this.#world.plan.lifeMs / 6, () => {
      const { node } = this.#world;
      if (node?.isReady) this.#change(node);
    });
  }

  #change(node: SimulatedNode): void {
    const { chance } = this.#world;
    const unopened = this.#truths.filter(({ now, isChanging }) => now.state === 'none' && !isChanging);
    if (unopened.length > 0) this.#open(node, chance.of(unopened));
    else if (this.#world.strikes('operator')) {
      const truth = chance.of(this.#truths);
      if (truth.isChanging) return;
      if (truth.now.state === 'removed') this.#open(node, truth);
      else if (this.#world.strikes('expiry')) this.#expire(node, truth);
      else this.#changeOpen(node, truth);
    }
  }

  #changeOpen(node: SimulatedNode, truth: ChannelTruth): void {
    const draw = this.#world.chance.fraction();
    if (draw < 0.55) this.#setCapacity(node, truth);
    else if (draw < 0.7) this.#raise(node, truth);
    else if (draw < 0.8) this.#close(node, truth);
    else if (draw < 0.9) this.#remove(node, truth);
    else this.#setExpiry(node, truth, 0);
  }

  #open(node: SimulatedNode, truth: ChannelTruth): void {
    const { channelId, ledgerChannelId, signer, profile, now } = truth;
    const terms: Terms = { state: 'open', capacity: CAPACITY + truth.floor, expiresAt: 0 };
    const opening = {
      channelId,
      ledgerChannelId,
      publicKey: signer.publicKey,
      profile,
      capacity: terms.capacity,
      expiresAt: 0,
    };
    this.#do(node, truth, terms, 'open', async () => {
      const { opened, unchanged, refused } = await node.store.open([opening]);
      if (opened + unchanged === 0) throw new ClaimwireError(refused[0]!.code as 'TABLE_FULL', refused[0]!.message);
      if (now.state === 'removed') this.#world.happened('channel.reopened');
    });
  }

  #setCapacity(node: SimulatedNode, truth: ChannelTruth): void {
    const { now } = truth;
    const step = BigInt(this.#world.chance.between(-CAPACITY_STEP, CAPACITY_STEP));
    const capacity = now.capacity + step > 0n ? now.capacity + step : now.capacity;
    this.#do(node, truth, { ...now, capacity }, 'capacity', () => node.store.update(truth.channelId, { capacity }));
  }

  #setExpiry(node: SimulatedNode, truth: ChannelTruth, expiresAt: number): void {
    this.#do(node, truth, { ...truth.now, expiresAt }, 'expiry', () =>
      node.store.update(truth.channelId, { expiresAt }),
    );
  }

  #expire(node: SimulatedNode, truth: ChannelTruth): void {
    const seconds = Math.floor(this.#world.wall / 1_000) + this.#world.chance.of([0, 1, 3_600]);
    if (truth.now.state === 'open') this.#world.happened('channel.expired', () => truth.name);
    this.#setExpiry(node, truth, seconds);
  }

  #close(node: SimulatedNode, truth: ChannelTruth): void {
    this.#do(node, truth, { ...truth.now, state: 'closed' }, 'close', async () => {
      await node.store.close(truth.channelId);
      this.#world.happened('channel.closed');
    });
  }

  #remove(node: SimulatedNode, truth: ChannelTruth): void {
    this.#do(node, truth, { ...truth.now, state: 'removed' }, 'remove', async () => {
      const { removed, refused } = await node.store.remove([truth.channelId], true);
      if (removed === 0) throw new ClaimwireError(refused[0]!.code as 'CHANNEL_UNKNOWN', refused[0]!.message);
      this.#world.happened('channel.removed');
      node.meter.recheck([truth.channelId]);
    });
  }

  /** The ledger has paid out more than this node knows of. */
  #raise(node: SimulatedNode, truth: ChannelTruth): void {
    const committed = node.store.get(truth.channelId)?.committed ?? 0n;
    const to = committed + BigInt(this.#world.chance.between(1, 500));
    if (to > truth.now.capacity) return;
    truth.raised.add(to);
    this.#do(node, truth, truth.now, 'raise', async () => {
      await node.store.raise(truth.channelId, to);
      truth.raiseFloor(to);
      this.#world.happened('channel.raised', () => `${truth.name} to ${to}`);
    });
  }

  #do(node: SimulatedNode, truth: ChannelTruth, after: Terms, what: string, work: () => Promise<unknown>): void {
    const { now } = truth;
    truth.isChanging = true;
    truth.terms = [now, after];
    this.#world.trace.note(() => `operator: ${what} ${truth.name}`);
    node.call(work).then(
      () => {
        if (node.isDead) return;
        truth.isChanging = false;
        truth.terms = [after];
        if (after.state === 'removed') truth.wasRemoved = true;
        this.#world.totals.changes++;
        this.#world.trace.note(() => `operator: ${what} ${truth.name} done`);
        this.#look(node, truth);
      },
      (error: Error & { code?: string }) => {
        if (node.isDead) return;
        truth.isChanging = false;
        this.#world.trace.note(() => `operator: ${what} ${truth.name} refused: ${error.message}`);
        if (REFUSED.includes(error.code ?? '')) truth.terms = [now];
        else if (!['REGISTRY_FAILED', 'NODE_FAILED'].includes(error.code ?? ''))
          this.#world.violated('the operator is answered', `${what} ${truth.name}: ${error.stack}`);
      },
    );
  }

  /** An answer is what the node then says. */
  #look(node: SimulatedNode, truth: ChannelTruth): void {
    const channel = node.store.get(truth.channelId);
    const { state, capacity, expiresAt } = truth.now;
    if (
      state === 'removed'
        ? channel === undefined
        : channel?.state === state && channel.capacity === capacity && channel.expiresAt === expiresAt
    )
      return;
    this.#world.violated(
      'an answered change is in force',
      `${truth.name}: ${state} ${capacity} ${expiresAt}, got ${channel?.state} ${channel?.capacity} ${channel?.expiresAt}`,
    );
  }
}

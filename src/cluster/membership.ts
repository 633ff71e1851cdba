/**
 * A node's part in its cluster: it looks at the map and at the others' beats, takes over who is dead, gets shards, and gives
 * them away. Main thread.
 *
 * Two loops over one clock: `look` asks for the map and judges the members, every `pollMs`; `work` does one thing at a time,
 * and may take long (shard-work.ts). The map in the database decides; what a node believes only decides what it tries.
 */

import type { ClusterControl, ClusterFigures } from '../control/cluster-control.ts';
import type { ShardControl } from '../control/shard-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ClaimDatabase, ClusterState } from '../store/claim-database.ts';
import { endsNode, type Heartbeat } from '../store/heartbeat.ts';
import type { Clock } from '../system/system.ts';
import { type ClusterSettings, clusterSettings, gapMsMax } from './cluster-settings.ts';
import { MemberWatch } from './member-watch.ts';
import { isBalanced, movesBetween, nextBatch, placement, rankedFor } from './placement.ts';
import { shardFigures } from './shard-figures.ts';
import { ShardWork } from './shard-work.ts';

/** Moves that an operator asked for and that wait for those before them. */
const ASKED_MAX = 1_024;
/** So long after a change of the map it is looked at more often. */
const QUICK_MS = 1_000;

export interface ClusterOptions {
  /** For what moves shards: calls may wait for each other. */
  database: ClaimDatabase;
  /** For what must not wait behind those. */
  watchDatabase: Pick<ClaimDatabase, 'pulse' | 'state' | 'takeOver'>;
  /** Beats since the node has entered. */
  heart: Heartbeat;
  /** The node. */
  shards: ShardControl;
  clock: Clock;
  /** Where the node is found, like udp://10.0.0.1:9393. */
  places: () => readonly string[];
  logger: Logger;
  /** The node has been taken over, or cannot go on: it stops acknowledging at once. Called once. */
  onFailed: (error: Error) => void;
  settings?: Partial<ClusterSettings>;
}

export class ClusterMember implements ClusterControl {
  readonly settings: ClusterSettings;
  readonly #options: ClusterOptions;
  readonly #node: string;
  readonly #work: ShardWork;
  readonly #watch: MemberWatch;
  readonly #heart: Heartbeat;
  #endLooks: (() => void) | undefined;
  #state: ClusterState | undefined;
  #look: Promise<void> | undefined;
  #turn: Promise<void> | undefined;
  #hasFailed = false;
  #isBalancing = false;
  #lookedAt: number;
  /** When the next look is due, and until when looks are more frequent. */
  #nextLookAt = Number.NEGATIVE_INFINITY;
  #quickUntil = Number.NEGATIVE_INFINITY;
  #nextGiveAt = Number.NEGATIVE_INFINITY;
  #nextLoadAt = Number.NEGATIVE_INFINITY;
  readonly #asked: { shards: readonly number[]; to: string }[] = [];
  #takeovers = 0;

  constructor(options: ClusterOptions) {
    const { database, heart, shards, clock, places } = options;
    this.#options = options;
    this.#node = shards.fence.node;
    this.settings = clusterSettings(options.settings);
    this.#watch = new MemberWatch(gapMsMax(this.settings));
    this.#work = new ShardWork({ database, shards, clock, settings: this.settings, refresh: () => this.#refresh() });
    this.#lookedAt = clock.monotonic();
    this.#heart = heart;
    heart.places = places;
    heart.onError = (error) => this.#notice('beat', error);
    heart.onConfirmed = (sentAt) => shards.confirm(sentAt, this.settings.takeoverMs);
    shards.confirm(heart.confirmedAt, this.settings.takeoverMs);
  }

  /** Begins to take part. `served` are the shards that the node has loaded since it entered, and serves. */
  start(served: readonly number[]): void {
    this.#work.serves(served);
    this.join();
    const { clock } = this.#options;
    this.#endLooks = clock.every(this.settings.quickPollMs, () => {
      const now = clock.monotonic();
      if (now < this.#nextLookAt && now >= this.#quickUntil) return;
      this.#nextLookAt = now + this.settings.pollMs;
      this.#look ??= this.#lookOnce().finally(() => {
        this.#look = undefined;
      });
    });
  }

  /** Ends both loops. The node keeps its shards; one that has given all away is no member from now on. */
  async stop(): Promise<void> {
    this.#endLooks?.();
    await Promise.all([this.#heart.stop(), this.#look, this.#turn]);
    const { database, shards, logger } = this.#options;
    if (!this.isLeaving || this.#isHolder || this.#state === undefined || this.#hasFailed) return;
    // Where it fails, the others take over a node that holds nothing.
    await database.leave(shards.fence).catch((error: Error) => logger.warn(`cluster, leave: ${error.message}`));
  }

  get figures(): ClusterFigures {
    const { clock, shards } = this.#options;
    return {
      node: this.#node,
      epoch: shards.fence.epoch,
      version: this.#state?.version ?? 0,
      members: this.#state?.members.length ?? 0,
      silent: this.#silent,
      isLeaving: this.isLeaving,
      ...this.#work.figures,
      ...shardFigures(this.#state, this.#node, this.isLeaving),
      takeovers: this.#takeovers,
      ...this.#heart.figures,
      lagMs: clock.monotonic() - this.#lookedAt,
      watchRestarts: this.#watch.restarts,
    };
  }

  /** Whether the node has given all it held to others, or gives it away. */
  get isLeaving(): boolean {
    return this.#heart.isLeaving;
  }

  /** Gives all shards to the others, and takes none. `hasLeft` says when that is done. */
  leave(): void {
    this.#heart.isLeaving = true;
    void this.#heart.beat();
  }

  /** Takes shards again. */
  join(): void {
    this.#heart.isLeaving = false;
    void this.#heart.beat();
  }

  /** Whether a node that leaves holds no shard any more, or nobody is there who could take them. */
  get hasLeft(): boolean {
    return this.isLeaving && !this.#work.isBusy && (!this.#isHolder || this.#takers().length === 0);
  }

  /** Moves shards until each node has its part to the last one. */
  rebalance(): void {
    this.#isBalancing = true;
  }

  /** Gives shards to a member, soon. Those that the node does not hold by then stay where they are. */
  move(shards: readonly number[], to: string): void {
    if (!this.#takers().includes(to))
      throw new ClaimwireError('INPUT_INVALID', `expected another living member, got ${JSON.stringify(to)}`);
    if (this.#asked.length === ASKED_MAX)
      throw new ClaimwireError(
        'NODE_BUSY',
        `expected at most ${ASKED_MAX} moves to wait, got one more; try again later`,
      );
    this.#asked.push({ shards, to });
  }

  /** Who may get shards of this node. */
  #takers(): string[] {
    const members = this.#state?.members ?? [];
    return members.filter((member) => member.node !== this.#node && this.#takes(member)).map(({ node }) => node);
  }

  #takes({ node, leaving }: { node: string; leaving: boolean }): boolean {
    if (node === this.#node) return !this.isLeaving;
    return !leaving && this.#watch.hasRisen(node) && this.#watch.stillMs(node) < this.settings.takeoverMs / 2;
  }

  async #lookOnce(): Promise<void> {
    const { clock, watchDatabase, shards } = this.#options;
    try {
      const askedAt = clock.monotonic();
      const { version, members } = await watchDatabase.pulse();
      const now = clock.monotonic();
      this.#lookedAt = now;
      this.#watch.observe(members, askedAt, now);
      const own = members.find(({ node }) => node === this.#node);
      if (own?.epoch !== shards.fence.epoch)
        throw new ClaimwireError('STORE_FENCED', takenOver(this.#node, shards.fence.epoch, own?.epoch));
      if (version !== this.#state?.version) await this.#refresh();
      if (this.#turn === undefined && !this.#hasFailed)
        this.#turn = this.#workOnce()
          .catch((error: unknown) => this.#notice('shards', error))
          .finally(() => {
            this.#turn = undefined;
          });
    } catch (error) {
      this.#notice('look', error);
    }
  }

  /** Reads the map, and goes by it where it is newer. */
  async #refresh(): Promise<void> {
    const state = await this.#options.watchDatabase.state();
    if (this.#state !== undefined && state.version <= this.#state.version) return;
    this.#state = state;
    this.#quickUntil = this.#options.clock.monotonic() + QUICK_MS;
    const lost = this.#work.lost(state);
    if (lost !== undefined)
      throw new ClaimwireError('STORE_FENCED', `${this.#node} held shard ${lost.shard}, which ${lost.node} has now`);
    this.#options.shards.setRoute(state);
  }

  /** One piece of work: the most urgent first. */
  async #workOnce(): Promise<void> {
    const state = this.#state;
    if (state === undefined || this.#hasFailed) return;
    await this.#work.settle();
    for (const { node, epoch } of state.members) if (this.#isDue(node)) await this.#takeOver(node, epoch);
    const { clock } = this.#options;
    if (clock.monotonic() >= this.#nextLoadAt && (await this.#receive(this.#state!))) return;
    if (clock.monotonic() < this.#nextGiveAt) return;
    const batch = this.#nextGift(this.#state!);
    if (batch === undefined) return;
    await this.#work.give(batch.shards, batch.to);
    // Not at a look after it: what an operator moves here meanwhile is to stay.
    if (batch.isLast) this.#isBalancing = false;
    this.#nextGiveAt = clock.monotonic() + this.settings.moveEveryMs;
  }

  get #silent(): number {
    const isSilent = (node: string) => node !== this.#node && this.#watch.stillMs(node) >= this.settings.takeoverMs;
    return (this.#state?.members ?? []).filter(({ node }) => isSilent(node)).length;
  }

  /** What cannot be loaded, as into a full table, is read from the database seldom. */
  async #receive(state: ClusterState): Promise<boolean> {
    try {
      return await this.#work.receive(state);
    } catch (error) {
      this.#nextLoadAt = this.#options.clock.monotonic() + this.settings.takeoverMs;
      throw error;
    }
  }

  get #isHolder(): boolean {
    return this.#state?.shards.some(({ node }) => node === this.#node) ?? false;
  }

  #isDue(node: string): boolean {
    if (node === this.#node) return false;
    const { takeoverMs, rankMs } = this.settings;
    const stillMs = this.#watch.stillMs(node);
    if (stillMs < takeoverMs) return false;
    const survivors = (this.#state?.members ?? []).filter((member) => this.#watch.stillMs(member.node) < takeoverMs);
    const rank = rankedFor(
      survivors.map((member) => member.node),
      node,
    ).indexOf(this.#node);
    // A node whose own beats do not arrive judges nobody.
    return rank >= 0 && stillMs >= takeoverMs + rank * rankMs;
  }

  async #takeOver(dead: string, epoch: number): Promise<void> {
    const { watchDatabase, shards, logger } = this.#options;
    const state = this.#state!;
    const takers = this.#takers();
    // A node that leaves takes a dead one's shards only where nobody else is there to.
    const heirs = this.isLeaving && takers.length > 0 ? takers : [this.#node, ...takers];
    const present = state.shards.map(({ node }) => node);
    const wanted = placement(present, heirs);
    const to = new Map<number, string>();
    for (const [shard, node] of present.entries()) if (node === dead) to.set(shard, wanted[shard]!);
    const stillMs = Math.round(this.#watch.stillMs(dead));
    if (await watchDatabase.takeOver(shards.fence, { node: dead, epoch }, to)) {
      this.#takeovers++;
      logger.warn(`took over ${dead}: no beat for ${stillMs} ms; its ${to.size} shards go to ${heirs.join(', ')}`);
    }
    await this.#refresh();
  }

  /** The shards that this node gives away next; `isLast`: then it has its part. */
  #nextGift(state: ClusterState): { shards: number[]; to: string; isLast?: boolean } | undefined {
    const present = state.shards.map(({ node }) => node);
    const most = this.settings.batchShards;
    const takers = this.#takers();
    if (this.isLeaving) {
      if (takers.length === 0) return undefined;
      return nextBatch(movesBetween(present, placement(present, takers)), this.#node, most);
    }
    for (let asked = this.#asked.shift(); asked !== undefined; asked = this.#asked.shift()) {
      const { shards, to } = asked;
      const own = shards.filter((shard) => present[shard] === this.#node);
      if (own.length > most) this.#asked.unshift({ shards: own.slice(most), to });
      if (own.length > 0 && takers.includes(to)) return { shards: own.slice(0, most), to };
    }
    // While some holder is in doubt, nothing is balanced: it may come back, or be taken over soon.
    const isDoubtful = state.members.some((member) => !member.leaving && !this.#takes(member));
    if (isDoubtful) return undefined;
    const members = [this.#node, ...takers];
    this.#isBalancing ||= !isBalanced(present, members);
    if (!this.#isBalancing) return undefined;
    const own = movesBetween(present, placement(present, members)).filter(({ from }) => from === this.#node);
    const gift = nextBatch(own, this.#node, most);
    if (gift === undefined) this.#isBalancing = false;
    return gift && { ...gift, isLast: gift.shards.length === own.length };
  }

  /** A step has failed. What the database says to the node's right to write ends the node; other faults are tried again. */
  #notice(step: string, error: unknown): void {
    if (this.#hasFailed) return;
    if (error instanceof ClaimwireError && !endsNode(error)) {
      this.#options.logger.warn(`cluster, ${step}: ${error.message}; it is tried again`);
      return;
    }
    this.#hasFailed = true;
    this.#endLooks?.();
    this.#options.onFailed(error as Error);
  }
}

function takenOver(node: string, epoch: number, now: number | undefined): string {
  const got = now === undefined ? 'no member of that name: it was taken over' : `${now}: it was started elsewhere`;
  return `${node}: expected its epoch ${epoch}, got ${got}`;
}

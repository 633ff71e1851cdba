/**
 * What the report measures of whole nodes under `claimwire load`: the base node beside variants that lack one optimisation
 * each, in turns, and how the base node's figures grow with datagrams, offered load, lanes and channels. Main thread.
 */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Bottleneck } from '../../src/metrics/bottleneck.ts';
import { NodeUnderTest } from '../node-under-test.ts';
import { measureDelay } from './delay.ts';
import { LoadedNode, type LoadRun } from './loaded-node.ts';
import type { Clock, Plan } from './plan.ts';

/** Nodes and loads that lack one thing each. */
export const VARIANTS: Readonly<Record<string, { node: string[]; load: string[] }>> = {
  base: { node: [], load: [] },
  portable: { node: ['--path', 'portable'], load: [] },
  dgram: { node: ['--sockets', 'dgram', '--lanes', '1', '--layout', 'lanes'], load: [] },
  oneLane: { node: ['--lanes', '1'], load: [] },
  newest: { node: ['--verify', 'newest'], load: [] },
  unsynced: { node: ['--durability', 'os'], load: [] },
};
/** A load on the base node; a name of its own, since it needs no other node. */
export const ONE_A_DATAGRAM = 'oneADatagram';
const KEY_CACHE = ['--key-cache', '256M'];
const PER_DATAGRAM = [1, 2, 3, 4, 6, 8, 11, 15];
/** Of the highest rate. */
const SHARES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
/** Places of both lists in the order in which they are measured. */
const ORDER = [0, 7, 3, 5, 1, 6, 2, 4];
/** For the bottleneck, which most of them must name. */
const BOTTLENECK_LOOKS = 3;
/** A start, a load of a second, and a stop. */
const NODE_SECONDS = 5;

export type Runs = Map<string, LoadRun[]>;

export interface NodeResult {
  /** By variant; those of one round at one place. */
  runs: Runs;
  residentMiB: number;
  perDatagram: Map<number, LoadRun[]>;
  offered: { rate: number; run: LoadRun }[];
  lanes: Map<number, LoadRun[]>;
  channels: Map<number, LoadRun[]>;
  delays: Map<number, number[]>;
  bottleneck: Bottleneck | undefined;
}

export class NodePart {
  readonly #folder: string;
  readonly #plan: Plan;
  readonly #clock: Clock;

  constructor(folder: string, plan: Plan, clock: Clock) {
    this.#folder = folder;
    this.#plan = plan;
    this.#clock = clock;
  }

  async measure(): Promise<NodeResult> {
    const result: NodeResult = {
      runs: new Map(),
      residentMiB: 0,
      perDatagram: new Map(),
      offered: [],
      lanes: new Map(),
      channels: new Map(),
      delays: new Map(),
      bottleneck: undefined,
    };
    await this.#clock.part('a node alone: delay, datagrams, offered load', NODE_SECONDS, () =>
      this.#run('alone', [], async (node) => this.#measureAlone(node, result)),
    );
    const needed = NODE_SECONDS * Object.keys(VARIANTS).length;
    await this.#clock.part('nodes, each without one thing', needed, () =>
      this.#withNodes(Object.keys(VARIANTS), new Map(), async (nodes) => {
        result.runs = await this.#compare(nodes);
      }),
    );
    await this.#clock.part('lanes', NODE_SECONDS, () => this.#measureLanes(result));
    await this.#clock.part('channels of a node', NODE_SECONDS, () => this.#measureChannels(result));
    return result;
  }

  async #run<Result>(
    name: string,
    flags: readonly string[],
    work: (node: LoadedNode) => Promise<Result>,
  ): Promise<Result> {
    const data = join(this.#folder, name);
    const result = await NodeUnderTest.run(data, [...KEY_CACHE, ...flags], (node) => work(new LoadedNode(node)));
    rmSync(data, { recursive: true, force: true });
    return result;
  }

  /** Starts a node for each name, one inside the other, and then works with all of them. */
  async #withNodes(
    names: readonly string[],
    nodes: Map<string, LoadedNode>,
    work: (nodes: Map<string, LoadedNode>) => Promise<void>,
  ): Promise<void> {
    const [name, ...rest] = names;
    if (name === undefined) return work(nodes);
    await this.#run(name, VARIANTS[name]!.node, (node) => this.#withNodes(rest, nodes.set(name, node), work));
  }

  #maxRate({ duration, warmup } = this.#plan.load): string[] {
    return ['--rate', 'max', '--duration', duration.toFixed(3), '--warmup', warmup.toFixed(3)];
  }

  /** Loads every node once a round, in alternating order. */
  async #compare(nodes: Map<string, LoadedNode>): Promise<Runs> {
    const { seconds, roundsMin, roundsMax } = this.#plan.node;
    const base = nodes.get('base')!;
    const loads: [string, LoadedNode, string[]][] = [...nodes].map(([name, node]) => [
      name,
      node,
      VARIANTS[name]!.load,
    ]);
    loads.push([ONE_A_DATAGRAM, base, ['--per-datagram', '1']]);
    // Cold keys and code that is not compiled yet are met once, here.
    for (const node of nodes.values()) await node.load(this.#maxRate({ duration: 0.3, warmup: 0.1 }));
    const runs: Runs = new Map(loads.map(([name]) => [name, []]));
    const end = performance.now() + seconds * 1_000;
    for (let round = 0; round < roundsMax; round++) {
      if (round >= roundsMin && performance.now() > end) break;
      if (round > 0 && this.#clock.left < 2 * NODE_SECONDS) break;
      for (const [name, node, flags] of round % 2 === 0 ? loads : loads.toReversed())
        runs.get(name)!.push(await node.load([...this.#maxRate(), ...flags]));
    }
    return runs;
  }

  async #measureAlone(node: LoadedNode, result: NodeResult): Promise<void> {
    const { delay, curveRounds, load, aloneSeconds } = this.#plan;
    const end = performance.now() + aloneSeconds * 1_000;
    result.delays = await measureDelay(node.node, delay.rounds, delay.seconds);
    const { perSecond } = await node.load(this.#maxRate());
    result.bottleneck = await node.bottleneck(
      this.#maxRate({ duration: BOTTLENECK_LOOKS * load.duration + 1, warmup: load.warmup }),
      load.warmup,
      load.duration,
      BOTTLENECK_LOOKS,
    );
    result.residentMiB = node.node.residentMiB();
    const isOver = () => performance.now() > end || this.#clock.left < NODE_SECONDS;
    const times = ['--duration', load.duration.toFixed(3), '--warmup', load.warmup.toFixed(3)];
    for (let round = 0; round < curveRounds; round++) {
      // In turns, and from the ends inwards, so that both curves have their ends where the time is short.
      for (const place of ORDER) {
        if (isOver()) return;
        const count = PER_DATAGRAM[place]!;
        const run = await node.load([...this.#maxRate(), '--per-datagram', String(count)]);
        result.perDatagram.set(count, [...(result.perDatagram.get(count) ?? []), run]);
        if (isOver()) return;
        const rate = Math.round(perSecond * SHARES[place]!);
        result.offered.push({ rate, run: await node.load(['--rate', String(rate), ...times]) });
      }
    }
  }

  async #measureLanes({ lanes }: NodeResult): Promise<void> {
    const cores = availableParallelism();
    for (let count = 1; count <= cores; count = count < 4 ? count + 1 : count * 2) {
      if (this.#clock.left < NODE_SECONDS) return;
      await this.#run(`lanes-${count}`, ['--lanes', String(count)], async (node) => {
        await node.load(this.#maxRate({ duration: 0.3, warmup: 0.1 }));
        const runs: LoadRun[] = [];
        for (let round = 0; round < this.#plan.curveRounds; round++) runs.push(await node.load(this.#maxRate()));
        lanes.set(count, runs);
      });
    }
  }

  async #measureChannels({ channels }: NodeResult): Promise<void> {
    for (const count of this.#plan.channels) {
      // Opening a channel takes some ten microseconds, and the load reads all amounts before and after.
      if (this.#clock.left < NODE_SECONDS + count / 20_000) return;
      await this.#run(`channels-${count}`, [], async (node) => {
        const flags = ['--channels', String(count), '--keys', '1000'];
        channels.set(count, [await node.load([...this.#maxRate(), ...flags])]);
      });
    }
  }
}

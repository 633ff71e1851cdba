/**
 * bench:path: claims from datagram to durable ack, end to end: a node as an operator runs it, loaded by `claimwire load`
 * on the same machine.
 *
 * Main thread; node, load, floor and HTTP server are processes of their own. Every claim is individually signed, and all
 * that is acknowledged is reconciled and compared with the node's own counters (load.ts), or the bench fails. Each
 * repeat measures everything once, on fresh data folders, so that ratios are of figures from the same repeat.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type BenchContext, type BenchOptions, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { BothCores } from './both-cores.ts';
import { measureHttp } from './http-peer.ts';
import { measureLatency } from './latency.ts';
import { hiccupsText, type ProvenLoad, provenLoad, warmHalfLoad } from './load.ts';
import { measureOverload } from './overload.ts';

/** Variants of the node that differ in one setting. A slow verifier gets no more than it can hold in flight. */
const VARIANTS: { name: string; node: string[]; load?: string[]; needsAddon: boolean }[] = [
  { name: 'pipeline', node: ['--layout', 'pipeline'], needsAddon: true },
  { name: 'oneLane', node: ['--lanes', '1'], needsAddon: true },
  { name: 'dgram', node: ['--sockets', 'dgram'], needsAddon: true },
  { name: 'portable', node: ['--path', 'portable'], needsAddon: true },
  { name: 'os', node: ['--durability', 'os'], needsAddon: true },
  { name: 'newest', node: ['--verify', 'newest'], needsAddon: true },
  { name: 'wasm', node: ['--backend', 'wasm'], needsAddon: false },
  { name: 'noble', node: ['--backend', 'noble'], load: ['--window', '200', '--per-datagram', '1'], needsAddon: false },
];

interface Durations {
  main: number;
  variant: number;
  half: number;
  http: number;
  warmup: number;
  /** Longer: cold keys would begin this rate with a backlog, and the generator is a new process, whose code is compiled for seconds. */
  halfWarmup: number;
}
const FULL: Durations = { main: 10, variant: 3, half: 4, http: 3, warmup: 1, halfWarmup: 5 };
const QUICK: Durations = { main: 2.2, variant: 0.4, half: 1.5, http: 1, warmup: 0.2, halfWarmup: 2 };
/** Claims signed ahead: some seconds of the maximum rate, read into memory before the clock runs. */
const CORPUS_CLAIMS = 4_000_000;
const CORPUS_CLAIMS_QUICK = 400_000;
const MANY_CHANNELS = 100_000;
const MOST_CHANNELS = 1_000_000;
const KEYS = 1_000;

const hasAddon = nativeUdpFault() === undefined;

class PathBench {
  readonly #folder = benchFolder('path');
  readonly #bothCores = new BothCores(KEYS);
  /** Claims per second of each repeat so far. */
  readonly #rates: number[] = [];
  /** Drops committed on the folders that are kept between repeats. */
  readonly #drops = new Map<number, number>();
  /** Figures that are measured once only, with --quick. */
  readonly #once = new Map<string, Figures>();

  async measure(context: BenchContext): Promise<Figures> {
    const durations = context.quick ? QUICK : FULL;
    const figures: Figures = {};
    if (hasAddon) {
      Object.assign(figures, await this.#measureMain(durations, context));
      Object.assign(figures, await measureLatency(this.#folder, context.quick));
      rmSync(join(this.#folder, 'latency'), { recursive: true });
      const maximum = this.#maximum;
      const others: [string, () => Promise<Figures>][] = [
        ['half', () => this.#measureHalf(durations, maximum, context)],
        ['corpus', () => this.#measureCorpus(context)],
        ['channels', () => this.#measureChannels(durations, figures['path.claimsPerSecond']!, context)],
        ['overload', () => this.#measureOverload(maximum, context)],
        ['http', () => this.#measureHttp(durations, figures['path.claimsPerSecond']!, context)],
      ];
      for (const [name, measure] of others) Object.assign(figures, await this.#measured(name, measure, context));
    }
    const variants = () => this.#measureVariants(durations, context);
    return { ...figures, ...(await this.#measured('variants', variants, context)) };
  }

  /** Claims per second: the median of this run so far. */
  get #maximum(): number {
    const sorted = this.#rates.toSorted((left, right) => left - right);
    return Math.round(sorted[(sorted.length - 1) >> 1]!);
  }

  /** Measures in every repeat, or with --quick in the first one only. */
  async #measured(name: string, measure: () => Promise<Figures>, { quick }: BenchContext): Promise<Figures> {
    const known = quick ? this.#once.get(name) : undefined;
    const figures = known ?? (await measure());
    this.#once.set(name, figures);
    return figures;
  }

  /** Loads a node over a folder of its own, which is removed afterwards. */
  async #load(name: string, node: string[], flags: string[], { note }: BenchContext): Promise<ProvenLoad> {
    const data = join(this.#folder, name);
    const load = await NodeUnderTest.run(data, node, (node) => provenLoad(node, flags));
    rmSync(data, { recursive: true, force: true });
    const { result, work, perSecond, committedDrops } = load;
    const { layout, backend } = result.target!;
    note(
      `${name}: ${layout}, ${backend}, ${Math.round(perSecond)}/s; ${committedDrops} drops committed, ${work.verified} verified, ${work.superseded} superseded, ${work.syncs} syncs, ${work.already} already covered, ${work.overloaded} refused as overload, ${work.socketDrops} datagrams dropped by the system, all ${result.reconciliation!.acknowledgedDrops} drops acknowledged there`,
    );
    return load;
  }

  async #measureMain({ main, warmup }: Durations, context: BenchContext): Promise<Figures> {
    const load = await this.#load('main', [], maxRate(main, warmup), context);
    this.#rates.push(load.perSecond);
    const { work, generatorNs, nodeNs, step } = load;
    const bothCores = await this.#bothCores.perSecond(context.note);
    const stages = Object.entries(work.stageUs).map(([name, us]) => [name, (us * 1_000) / work.committed] as const);
    const busy = stages.filter(([name]) => name !== 'sync');
    const [slowest, slowestNs] = busy.reduce((most, stage) => (stage[1] > most[1] ? stage : most));
    const sum = busy.reduce((total, [, ns]) => total + ns, 0);
    context.note(
      `bottleneck: ${slowest}, ${Math.round(slowestNs)} of ${Math.round(sum)} ns of its threads a claim; processor time a claim: node ${Math.round(nodeNs)} ns, generator ${Math.round(generatorNs)} ns`,
    );
    return {
      'path.claimsPerSecond': load.perSecond,
      'path.bothCoresVerifyPerSecond': bothCores,
      'path.shareOfVerify': load.perSecond / bothCores,
      'path.p50Ms': step.latency.p50Ms,
      'path.p99Ms': step.latency.p99Ms,
      'path.syncsPerClaim': work.syncs / work.committed,
      'path.claimsPerGroup': work.committed / work.groups,
      ...Object.fromEntries(stages.map(([name, ns]) => [`path.stageNs.${name}`, ns])),
      'path.nodeCpuNs': nodeNs,
      // Of the claim path's threads by stage; then of the whole process, main thread and collections included.
      'path.outsideVerifyNs': sum - (stages.find(([name]) => name === 'verify')?.[1] ?? 0),
      'path.outsideVerifyCpuNs': nodeNs - (stages.find(([name]) => name === 'verify')?.[1] ?? 0),
      'path.generatorNs': generatorNs,
    };
  }

  async #measureHalf({ half, halfWarmup }: Durations, maximum: number, context: BenchContext): Promise<Figures> {
    const rate = Math.round(maximum / 2);
    const data = join(this.#folder, 'half');
    const { step } = await NodeUnderTest.run(data, [], (node) => warmHalfLoad(node, rate, { half, halfWarmup }));
    rmSync(data, { recursive: true, force: true });
    const { latency, late, unanswered } = step;
    context.note(
      `half load, keys warm: ${rate}/s asked for, ${Math.round(step.ackedRate)}/s acknowledged; ${late.claims} claims left more than ${late.lateMs} ms late, ${late.unsent} never, ${unanswered} unanswered; ${hiccupsText(step)}`,
    );
    return {
      'path.halfLoadP50Ms': latency.p50Ms,
      'path.halfLoadP99Ms': latency.p99Ms,
      'path.halfLoadAckedRatio': step.ackedRate / rate,
    };
  }

  /** The generator only reads signed claims here. The load ends when they are used up. */
  async #measureCorpus(context: BenchContext): Promise<Figures> {
    const claims = context.quick ? CORPUS_CLAIMS_QUICK : CORPUS_CLAIMS;
    const corpus = ['--corpus', join(this.#folder, 'claims-signed-ahead'), '--corpus-claims', String(claims)];
    const { perSecond } = await this.#load('corpus', [], [...corpus, ...seconds(60, context.quick ? 0.2 : 1)], context);
    return { 'path.corpusClaimsPerSecond': perSecond };
  }

  async #measureVariants({ variant, warmup }: Durations, context: BenchContext): Promise<Figures> {
    const figures: Figures = {};
    for (const { name, node, load = [], needsAddon } of VARIANTS) {
      if (needsAddon && !hasAddon) continue;
      const { perSecond } = await this.#load(name, node, [...maxRate(variant, warmup), ...load], context);
      figures[`path.${name}ClaimsPerSecond`] = perSecond;
    }
    return figures;
  }

  /**
   * For as long as the 1,000 channels that they are compared with, since generator and node are slow in their first second. The folders are
   * kept: channels are opened once, and amounts continue from repeat to repeat.
   */
  async #measureChannels(durations: Durations, rate: number, { quick, note }: BenchContext): Promise<Figures> {
    const most = quick ? MANY_CHANNELS : MOST_CHANNELS;
    if (quick) note(`quick: path.millionChannels is of ${most} channels`);
    const uniform = await this.#loadChannels(MANY_CHANNELS, 'uniform', durations, note);
    const zipf = await this.#loadChannels(most, 'zipf:1.0', durations, note);
    return {
      'path.hundredThousandClaimsPerSecond': uniform,
      'path.hundredThousandRatio': uniform / rate,
      'path.millionChannelsClaimsPerSecond': zipf,
      'path.millionChannelsRatio': zipf / rate,
    };
  }

  async #loadChannels(
    count: number,
    skew: string,
    { main, warmup }: Durations,
    note: (line: string) => void,
  ): Promise<number> {
    const flags = ['--channels', String(count), '--keys', String(KEYS), '--skew', skew, ...maxRate(main, warmup)];
    const { perSecond, committedDrops } = await NodeUnderTest.run(join(this.#folder, String(count)), [], (node) =>
      provenLoad(node, flags, this.#drops.get(count)),
    );
    this.#drops.set(count, committedDrops);
    note(`${count} channels, ${skew}: ${Math.round(perSecond)}/s; ${committedDrops} drops committed`);
    return perSecond;
  }

  async #measureOverload(maximum: number, context: BenchContext): Promise<Figures> {
    const figures = await measureOverload(this.#folder, maximum, context);
    rmSync(join(this.#folder, 'overload'), { recursive: true });
    return figures;
  }

  async #measureHttp({ http }: Durations, rate: number, { note }: BenchContext): Promise<Figures> {
    const { perSecond } = await measureHttp(http, note);
    return { 'path.httpClaimsPerSecond': perSecond, 'path.vsHttp': rate / perSecond };
  }
}

function seconds(duration: number, warmup: number): string[] {
  return ['--duration', String(duration), '--warmup', String(warmup)];
}
function maxRate(duration: number, warmup: number): string[] {
  return ['--rate', 'max', ...seconds(duration, warmup)];
}

const options: BenchOptions = {
  name: 'path',
  backend: hasAddon ? 'native; wasm and noble beside it' : 'native ABSENT',
};
let bench: PathBench | undefined;
await runBench(options, async (context) => {
  if (bench === undefined) {
    bench = new PathBench();
    if (!hasAddon)
      context.note(
        'ABSENT: no native addon (build/claimwire.node): only wasm and noble are measured; make native builds it',
      );
    if (context.quick)
      context.note('quick: maximum rate and single claims in every repeat, everything else once: no medians there');
  }
  return await bench.measure(context);
});

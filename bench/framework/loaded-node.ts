/**
 * A running node of the report, and loads on it: rates, what each claim cost it, and what held it back. Main thread; node and
 * load are processes of their own. What is acknowledged is reconciled each time (path/load.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeStats } from '../../src/control/node-control.ts';
import { type Bottleneck, bottleneckOf } from '../../src/metrics/bottleneck.ts';
import { figuresBetween, lookAtProcessors, type ProcessorLook } from '../../src/metrics/machine-figures.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { type NodeWork, provenLoad } from '../path/load.ts';
import { sampleBetween } from './live-sample.ts';
import { type SteadyBottleneck, steadyBottleneck } from './steady-bottleneck.ts';

/** Headers of IPv4 and UDP. */
const HEADER_BYTES = 28;
const CLAIM_BYTES = 93;
const ACK_BYTES = 32;
/** How often a node is asked whether a load has begun. */
const LOOK_MS = 100;

export interface LoadRun {
  /** Claims verified, durable and acknowledged a second. */
  perSecond: number;
  /** Processor nanoseconds of the claim path's stages a claim. */
  cpuNs: number;
  p50Ms: number;
  p99Ms: number;
  claimsAGroup: number;
  claimsADatagram: number;
  /** Bytes of datagrams with their headers a claim, in and out; acks share datagrams of 45 at best, which is assumed. */
  inBytes: number;
  outBytes: number;
  /** Bytes of the journal a claim: of groups, in whole blocks. */
  diskBytes: number;
}

/** Everything that is counted of a node at one moment. */
export interface Look {
  stats: NodeStats;
  processors: ProcessorLook;
  atMs: number;
}

export class LoadedNode {
  readonly node: NodeUnderTest;
  #drops = 0;

  constructor(node: NodeUnderTest) {
    this.node = node;
  }

  async look(): Promise<Look> {
    const stats = await this.node.stats();
    const processors = lookAtProcessors(this.node.pid);
    return { stats, processors, atMs: performance.now() };
  }

  /** Runs `claimwire load` with these flags to its end. */
  async load(flags: readonly string[]): Promise<LoadRun> {
    const before = await this.look();
    const { perSecond, step, work, committedDrops } = await provenLoad(this.node, flags, this.#drops);
    const after = await this.look();
    this.#drops = committedDrops;
    const grown = (name: string) => counted(after.stats, name) - counted(before.stats, name);
    const claims = claimsDone(work);
    return {
      perSecond,
      cpuNs: cpuNsOf(work),
      p50Ms: step.latency.p50Ms,
      p99Ms: step.latency.p99Ms,
      claimsAGroup: claims / Math.max(1, work.groups),
      claimsADatagram: grown('received') / Math.max(1, work.datagrams),
      inBytes: CLAIM_BYTES + (HEADER_BYTES * work.datagrams) / Math.max(1, grown('received')),
      outBytes: ((ACK_BYTES + HEADER_BYTES / 45) * grown('acked')) / claims,
      diskBytes: grown('journalBytes') / claims,
    };
  }

  /**
   * What holds the node back while a load with these flags runs: what most of `looks` say, each over `seconds`, the first of
   * them `afterSeconds` after the load's first claims.
   */
  async bottleneck(
    flags: readonly string[],
    afterSeconds: number,
    seconds: number,
    looks = 1,
  ): Promise<SteadyBottleneck> {
    const load = this.load(flags);
    // A load that fails is reported below, after the looks.
    const idle = counted((await this.look()).stats, 'received');
    let isRunning = true;
    void load
      .catch(() => {})
      .finally(() => {
        isRunning = false;
      });
    while (isRunning && counted((await this.look()).stats, 'received') === idle) await sleep(LOOK_MS);
    await sleep(afterSeconds * 1_000);
    const seen = [await this.look()];
    for (let count = 0; count < looks; count++) {
      await sleep(seconds * 1_000);
      // The node behind a load that has ended waits for payers, which is not what is asked.
      if (count > 0 && !isRunning) break;
      seen.push(await this.look());
    }
    await load;
    const found = seen.slice(1).map((after, index) => bottleneckBetween(seen[index]!, after));
    return steadyBottleneck(found, bottleneckBetween(seen[0]!, seen.at(-1)!));
  }
}

/** The claims that a node's work was for: those that a newer one's signature stood for are durable with it, and counted apart. */
function claimsDone({ committed, superseded }: NodeWork): number {
  return Math.max(1, committed + superseded);
}

/** Processor nanoseconds a claim, of which the wait for syncs is none. */
export function cpuNsOf(work: NodeWork): number {
  const { sync: _, ...stages } = work.stageUs;
  return (Object.values(stages).reduce((sum, us) => sum + us, 0) * 1_000) / claimsDone(work);
}

function bottleneckBetween(before: Look, after: Look): Bottleneck {
  return bottleneckOf(sampleBetween(before, after), figuresBetween(before, after));
}

/** A counter by its name in /stats, `group.reason` for those of a group; 0 where there is none. */
export function counted({ counters }: NodeStats, name: string): number {
  const [group, reason] = name.split('.') as [string, string | undefined];
  const value =
    reason === undefined ? counters[group] : (counters[group] as Record<string, number> | undefined)?.[reason];
  return typeof value === 'number' ? value : 0;
}

/**
 * bench:cluster: what it costs to keep claims in PostgreSQL with a synchronous standby instead of in the node's data folder, and
 * how long channels are silent when a node of a cluster dies, stands still, or gives their shards away. And what a claim costs
 * where three nodes share the channels, beside one node.
 *
 * Main thread; nodes, loads and servers are processes of their own on this machine, and every server waits for its disk. Both
 * stores take turns, so that other work on the machine affects both; ratios are of neighbouring turns.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { hasPostgres } from '../../test/support/postgres/programs.ts';
import { PostgresServers } from '../../test/support/postgres/servers.ts';
import { USER } from '../../test/support/postgres/template.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { type FaultPlan, measureFaults } from './faults.ts';
import { measureRates, type RatePlan } from './rates.ts';
import { ServerCost } from './server-cost.ts';
import { measureSingle } from './single.ts';
import { measureWork, type WorkPlan } from './work.ts';

interface Plan {
  rates: RatePlan;
  perRound: number;
  work: WorkPlan;
  faults: FaultPlan;
}
const FULL: Plan = {
  rates: { turns: 3, seconds: 3, warmup: 1 },
  perRound: 60,
  work: { turns: 2, seconds: 5, warmup: 1 },
  faults: { kills: 50, stops: 5, shards: 64 },
};
const QUICK: Plan = {
  rates: { turns: 1, seconds: 1, warmup: 0.3 },
  perRound: 12,
  work: { turns: 1, seconds: 3.2, warmup: 0.3 },
  faults: { kills: 1, stops: 1, shards: 32 },
};

/** As an operator sets it; tests spare memory and disk. The rest are PostgreSQL's defaults. */
const SETTINGS = { shared_buffers: '256MB', max_wal_size: '4GB', min_wal_size: '256MB', wal_keep_size: '256MB' };
const STANDBY = 's1';

class ClusterBench {
  readonly #folder = benchFolder('cluster');
  readonly #servers: PostgresServers;

  private constructor(servers: PostgresServers) {
    this.#servers = servers;
    ServerCost.of(servers.folder);
  }

  static async start(): Promise<ClusterBench> {
    return new ClusterBench(await PostgresServers.start({ standbys: [STANDBY], settings: SETTINGS }));
  }

  async measure(context: BenchContext): Promise<Figures> {
    const { rates, perRound, work, faults } = context.quick ? QUICK : FULL;
    // A node with a new folder is another node, and a database has one node that is alone.
    const url = await this.#createDatabase(`rates_${context.repeat}`);
    const alone = await this.#run('embedded', [], (embedded) =>
      this.#run('postgres', ['--store', url], async (postgres) => ({
        ...(await measureRates({ embedded, postgres }, rates, context)),
        ...(await measureSingle(postgres, url, perRound)),
      })),
    );
    const figures = {
      ...alone,
      ...(context.quick && context.repeat > 0 ? {} : await this.#measureWork(work, context)),
    };
    // The faults take minutes, and are many in one repeat.
    if (context.repeat > 0) return figures;
    const at = await this.#createDatabase('faults');
    const query = (sql: string) => this.#servers.primary.query(sql, [], 'faults');
    return { ...figures, ...(await measureFaults(join(this.#folder, 'faults'), at, query, faults, context)) };
  }

  async #measureWork(plan: WorkPlan, context: BenchContext): Promise<Figures> {
    const { repeat } = context;
    const urls = {
      one: await this.#createDatabase(`one_${repeat}`),
      three: await this.#createDatabase(`three_${repeat}`),
    };
    const folder = join(this.#folder, `work-${repeat}`);
    const figures = await measureWork(folder, urls, plan, context);
    rmSync(folder, { recursive: true, force: true });
    return figures;
  }

  /** Resolves to its URL. */
  async #createDatabase(name: string): Promise<string> {
    await this.#servers.primary.query(`create database ${name} owner ${USER}`);
    return this.#servers.url.replace(/[^/]*$/, name);
  }

  close(): Promise<void> {
    return this.#servers.close();
  }

  /** Runs a node over a folder of its own, which is removed afterwards. */
  async #run<Result>(name: string, flags: string[], work: (node: NodeUnderTest) => Promise<Result>): Promise<Result> {
    const data = join(this.#folder, name);
    const result = await NodeUnderTest.run(data, flags, work);
    rmSync(data, { recursive: true, force: true });
    return result;
  }
}

let bench: ClusterBench | undefined;
try {
  const backend = nativeUdpFault() === undefined ? 'native' : 'native ABSENT';
  await runBench({ name: 'cluster', backend, repeats: 3 }, async (context) => {
    if (!hasPostgres()) return {};
    bench ??= await ClusterBench.start();
    return await bench.measure(context);
  });
} finally {
  await bench?.close();
}

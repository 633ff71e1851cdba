/**
 * Real nodes on a real PostgreSQL, under load and faults: whatever was acknowledged is committed, and by one node. `make
 * cluster-faults ROUNDS=200 SEED=1` runs many rounds; a round is drawn by its own seed, SEED and those after it.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { KINDS, type Kind, type Timings } from '../support/cluster/faults.ts';
import { RealCluster } from '../support/cluster/real-cluster.ts';
import { quantile } from '../support/cluster/records.ts';
import { type RoundResult, runRound } from '../support/cluster/rounds.ts';
import { hasPostgres } from '../support/postgres/programs.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 3);
const SEED = Number(process.env.SEED ?? 1);
const KIND = process.env.KIND as Kind | undefined;
/** In make test: one that kills a node, one that stops it, one that kills the primary. */
const BRIEF: readonly Kind[] = ['kill', 'pause', 'primary'];
const ROUND_MS_MAX = 60_000;
const LOGS = resolve(import.meta.dirname, '../../build/cluster-faults');

test.skipIf(!hasPostgres())(
  'what payers were told outlives every fault',
  { timeout: 120_000 + ROUNDS * ROUND_MS_MAX },
  async () => {
    const isBrief = process.env.ROUNDS === undefined;
    const cluster = await RealCluster.start({ libraryChannels: isBrief ? 8 : 12, rawChannels: isBrief ? 8 : 16 });
    const results: RoundResult[] = [];
    const timings: Timings = { killed: [], paused: [], moved: [], failedOver: [], both: [] };
    try {
      for (let index = 0; index < ROUNDS; index++) {
        const result = await runRound(cluster, SEED + index, timings, isBrief ? BRIEF[index] : KIND);
        results.push(result);
        if (!isBrief) console.log(roundText(result, index));
        if (result.violations.length > 0) {
          console.log(
            `${result.violations.join('\n')}\nreplay: make cluster-faults ROUNDS=1 SEED=${result.seed}; logs: ${keepLogs(cluster, `seed-${result.seed}`)}`,
          );
          if (process.env.KEEP_GOING === undefined) break;
        }
      }
    } finally {
      if (!isBrief) keepLogs(cluster, 'end');
      await cluster.close();
      cluster.removeFolder();
    }
    if (!isBrief) console.log(summary(results, timings, cluster));
    expect(results.flatMap(({ violations }) => violations)).toEqual([]);
    expect(cluster.records.acks).toBeGreaterThan(10 * ROUNDS);
  },
);

function roundText({ seed, kind, ms, violations }: RoundResult, index: number): string {
  const load = loadavg()[0]!.toFixed(1);
  return `round ${index + 1} seed ${seed} ${kind} ${Math.round(ms)} ms, load ${load}${violations.length > 0 ? ` FAILED` : ''}`;
}

function keepLogs(cluster: RealCluster, name: string): string {
  const folder = join(LOGS, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'rounds.log'), `${cluster.lines.join('\n')}\n`);
  for (const file of readdirSync(cluster.folder))
    if (file.endsWith('.log')) copyFileSync(join(cluster.folder, file), join(folder, file));
  for (const node of cluster.nodes) writeFileSync(join(folder, `${node.name}-now.log`), node.stderr);
  return folder;
}

function summary(results: readonly RoundResult[], timings: Timings, cluster: RealCluster): string {
  const count = (kind: Kind) => results.filter((result) => result.kind === kind).length;
  const lines = [
    `${results.length} rounds: ${KINDS.map((kind) => `${kind} ${count(kind)}`).join(', ')}`,
    `${cluster.records.acks} acks, ${results.filter(({ violations }) => violations.length > 0).length} rounds failed, fenced nodes ended ${cluster.nodes.reduce((sum, node) => sum + node.fencedEnds, 0)} times`,
    `claims of the library without an ack in time: ${JSON.stringify(cluster.library.map(({ failures }) => Object.fromEntries(failures)))}`,
  ];
  for (const [name, values] of Object.entries(timings) as [string, number[]][]) {
    const at = (part: number) => `${Math.round(quantile(values, part) ?? Number.NaN)} ms`;
    lines.push(`${name}: ${values.length} values, p50 ${at(0.5)}, p99 ${at(0.99)}, most ${at(1)}`);
  }
  lines.push(
    `load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}, commit ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()}`,
  );
  return lines.join('\n');
}

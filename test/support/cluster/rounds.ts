/**
 * Rounds of faults, drawn by a seed: each does one thing to nodes or database, mends it, and has the payers' records compared
 * with what there is. A third of the channels is silent from the fault until then: what they were told has to be there without
 * a later claim that covers it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { random } from '../random.ts';
import { FAULTS, KINDS, type Kind, moveSome, type Round, type Timings } from './faults.ts';
import type { RealCluster } from './real-cluster.ts';

export interface RoundResult {
  seed: number;
  kind: Kind;
  ms: number;
  violations: readonly string[];
}

/** What takes longer than any bound is looked at while it lasts. */
const LONG_MS = 5_000;

/** Runs one round to its end; `seed` alone says what it does. */
export async function runRound(
  cluster: RealCluster,
  seed: number,
  timings: Timings,
  only?: Kind,
): Promise<RoundResult> {
  const begun = performance.now();
  const chance = random(seed);
  const { records } = cluster;
  const before = records.violations.length;
  records.beginRound();
  const holders = await cluster.holders();
  const holding = cluster.nodes.filter(({ name }) => [...holders.values()].includes(name));
  const kind = only ?? KINDS[chance.below(KINDS.length)]!;
  const victim = holding[chance.below(holding.length)] ?? cluster.nodes[0]!;
  const held = new Set([...holders].filter(([, name]) => name === victim.name).map(([id]) => id));
  cluster.log(`seed ${seed}: ${kind}, ${victim.name} with ${held.size} channels`);
  await sleep(chance.below(150));
  cluster.setQuiet(
    cluster.channels.filter(() => chance.below(3) === 0),
    true,
  );
  const round: Round = { cluster, chance, timings, victim, held, mending: [] };
  const moves = !kind.includes('move') && chance.below(2) === 0 ? moveSome(round) : undefined;
  const looks = setTimeout(() => void cluster.describe(), LONG_MS);
  await FAULTS[kind](round).catch(async (error: Error) => {
    await cluster.describe();
    records.violations.push(`${kind}: ${error.message}`);
  });
  clearTimeout(looks);
  await moves;
  cluster.mend();
  await cluster.check();
  cluster.setQuiet(cluster.channels, false);
  const [servedMs] = await Promise.all([cluster.served(), cluster.isWhole(), ...round.mending]);
  for (const node of cluster.nodes) records.violations.push(...node.faults.splice(0));
  const violations = records.violations.slice(before).map((text) => `seed ${seed}, ${kind}: ${text}`);
  const ms = performance.now() - begun;
  cluster.log(`seed ${seed}: ${kind} ended after ${Math.round(ms)} ms, served within ${Math.round(servedMs)} ms`);
  for (const text of violations) cluster.log(`VIOLATION ${text}`);
  return { seed, kind, ms, violations };
}

/**
 * bench:meter: charges per second beside 100,000 claims per second, and what listening to committed amounts costs the path.
 *
 * Main thread; the service with its node (service.ts) and the load are processes of their own. Each charge is of one drop,
 * has a key and is durable before it is answered; the answers are compared with the accounts. The floor is LMDB alone: one
 * small entry after the other, each in a commit of its own, on the same disk. The listener is switched on and off many times
 * within one run at the full rate, and the figure is the median ratio of neighbours.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import { SideStore } from '../../src/registry/side-store.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { provenLoad } from '../path/load.ts';
import type { ChargeRun, FeedRun, FeedTurn, ServiceCommand } from './service.ts';

const CLAIMS_PER_SECOND = 100_000;
const SECONDS = 8;
const SECONDS_QUICK = 2;
/** The load's first second and its last ones: the service may begin late, and does other things before it measures. */
const LOAD_MARGIN_SECONDS = 5;
const FLOOR_SECONDS = 1;
const SERVICE = fileURLToPath(new URL('./service.js', import.meta.url));

const folder = benchFolder('meter');

/** Runs the load at `rate`, and has the service do something meanwhile. */
async function beside<Answer>(rate: string, seconds: number, command: ServiceCommand['command']) {
  const data = join(folder, 'node');
  const result = await NodeUnderTest.run(
    data,
    [],
    async (node) => {
      const flags = ['--rate', rate, '--duration', String(seconds + LOAD_MARGIN_SECONDS), '--warmup', '1'];
      const load = provenLoad(node, flags);
      // Begun when claims arrive: the load opens its channels first.
      while (Number((await node.stats()).counters.committed) === 0) await new Promise((next) => setTimeout(next, 50));
      await new Promise((next) => setTimeout(next, 1_000));
      const answer = await Promise.race([node.ask<Answer>({ command, seconds }), load.then(() => undefined)]);
      assert(answer !== undefined, 'the service is done before the load');
      return { answer, load: await load };
    },
    SERVICE,
  );
  rmSync(data, { recursive: true, force: true });
  return result;
}

async function commitFloor(): Promise<number> {
  const directory = join(folder, 'floor', 'side');
  mkdirSync(join(folder, 'floor'), { recursive: true });
  const tables = SideStore.open(directory);
  const [key, value] = [new Uint8Array(8), new Uint8Array(8)];
  let commits = 0;
  const startedAt = performance.now();
  for (; performance.now() - startedAt < FLOOR_SECONDS * 1_000; commits++) {
    key[7] = commits;
    await tables.commit([{ table: 'floor', key, value }]);
  }
  const perSecond = (commits * 1_000) / (performance.now() - startedAt);
  await tables.close();
  rmSync(join(folder, 'floor'), { recursive: true });
  return perSecond;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1]!;
}

async function measure({ quick, note }: BenchContext): Promise<Figures> {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  const floor = await commitFloor();
  const { answer: charges, load } = await beside<ChargeRun>(String(CLAIMS_PER_SECOND), seconds, 'charge');
  assert(charges.answeredDrops === charges.spentDrops, 'the accounts have what the answers say, to the drop');
  note(
    `${charges.made} charges of one drop beside ${Math.round(load.perSecond)} claims/s: ${charges.spentDrops} drops spent; p50 ${charges.p50Ms.toFixed(1)} ms, p99 ${charges.p99Ms.toFixed(1)} ms; LMDB alone: ${Math.round(floor)} commits/s`,
  );
  const figures: Figures = {
    'meter.chargesPerSecond': charges.perSecond,
    'meter.chargeCpuUs': charges.cpuUs,
    'meter.chargeP50Ms': charges.p50Ms,
    'meter.chargeP99Ms': charges.p99Ms,
    'meter.claimsPerSecond': load.perSecond,
    'meter.floorCommitsPerSecond': floor,
    'meter.chargesPerFloorCommit': charges.perSecond / floor,
  };
  if (nativeUdpFault() !== undefined) return figures;
  const { answer: feed } = await beside<FeedRun>('max', seconds, 'feed');
  const count = Math.min(feed.on.length, feed.off.length);
  const ratios = (of: (on: FeedTurn, off: FeedTurn) => number) =>
    median(Array.from({ length: count }, (_, index) => of(feed.on[index]!, feed.off[index]!)));
  const rate = median(feed.off.map(({ perSecond }) => perSecond));
  note(
    `${count} pairs of turns without and with a listener, ${Math.round(rate)} claims/s without; told ${feed.told} times of a channel, sum ${feed.sum}`,
  );
  return {
    ...figures,
    'meter.feedClaimsPerSecond': rate,
    'meter.feedOnVsOff': ratios((on, off) => on.perSecond / off.perSecond),
    // Of the processor time that a claim takes: it says the same on a machine that has other work too.
    'meter.feedOnVsOffByCost': ratios((on, off) => off.nsPerClaim / on.nsPerClaim),
  };
}

await runBench({ name: 'meter', backend: 'native' }, measure);

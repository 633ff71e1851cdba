/**
 * A node for bench:measures, in a process of its own, that measures or does not, which no flag of `claimwire node` says, and
 * can change that as it runs. It tells what it has measured when it is asked, or what its claims cost both ways.
 */
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Distribution, LaneMeasures } from '../../src/control/measure-control.ts';
import { parseHostPort } from '../../src/host-port.ts';
import { serve } from '../../src/serve.ts';

/** A distribution as JSON has it. */
export type PlainDistribution = { [Name in keyof Distribution]: Distribution[Name] extends number ? number : number[] };
export type PlainMeasures = {
  ack: PlainDistribution;
  stages: Record<keyof LaneMeasures['stages'], PlainDistribution>;
  sync: PlainDistribution;
  group: PlainDistribution;
}[];

/** What is asked for: the measures, or so many slices of the time under the load of a process. */
export interface Wanted {
  pairs: number;
  ms: number;
  load: number;
}
export type Question = { slices?: Wanted };

/** The node's work in a slice. */
export interface Slice {
  isOn: boolean;
  claims: number;
  /** Those of them that were measured: all or none, but for claims on their way at the ends of the slice. */
  measured: number;
  /** Processor time of the whole process. */
  cpuNs: number;
  seconds: number;
}

/** Time that is left out after the load goes on, and how long no claim must have come for the node to be idle. */
const SETTLE_MS = 20;
const IDLE_MS = 8;
const LOAD_LOOK_MS = 50;
const LOAD_LOOKS_MAX = 400;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    udp: { type: 'string' },
    http: { type: 'string' },
    layout: { type: 'string' },
  },
});
const serving = await serve({
  data: values.data!,
  udp: parseHostPort(values.udp!)!,
  http: parseHostPort(values.http!)!,
  ...(values.layout && { layout: values.layout as 'lanes' | 'pipeline' }),
});
const { node, http } = serving;

function plain({ count, sum, bounds, counts }: Distribution): PlainDistribution {
  return { count, sum, bounds: [...bounds], counts: [...counts] };
}

function measures(): PlainMeasures {
  return node.measures().map(({ ack, stages, sync, group }) => ({
    ack: plain(ack),
    stages: Object.fromEntries(
      Object.entries(stages).map(([name, of]) => [name, plain(of)]),
    ) as PlainMeasures[0]['stages'],
    sync: plain(sync),
    group: plain(group),
  }));
}

function look(): { claims: number; measured: number; cpuNs: number; at: number } {
  const { user, system } = process.cpuUsage();
  const { committed } = node.stats().counters as { committed: number };
  const measured = node.measures().reduce((sum, { ack }) => sum + ack.count, 0);
  return { claims: committed, measured, cpuNs: (user + system) * 1_000, at: performance.now() };
}

/** A node changes over only while no claim is on its way, so the load is held for a moment. */
async function slice(isOn: boolean, { ms, load }: Wanted): Promise<Slice> {
  process.kill(load, 'SIGSTOP');
  for (let before = -1, now = look().claims; before !== now || node.stats().ring.depth > 0; ) {
    await setTimeout(IDLE_MS);
    before = now;
    now = look().claims;
  }
  node.isMeasuring = isOn;
  process.kill(load, 'SIGCONT');
  await setTimeout(SETTLE_MS);
  const before = look();
  await setTimeout(ms);
  const after = look();
  return {
    isOn,
    claims: after.claims - before.claims,
    measured: after.measured - before.measured,
    cpuNs: after.cpuNs - before.cpuNs,
    seconds: (after.at - before.at) / 1_000,
  };
}

/** Slices in pairs, the first of a pair in turns with and without measuring, once the load has begun. */
async function slices(wanted: Wanted): Promise<Slice[]> {
  const { claims } = look();
  for (let looks = 0; look().claims === claims && looks < LOAD_LOOKS_MAX; looks++) await setTimeout(LOAD_LOOK_MS);
  const found: Slice[] = [];
  for (let pair = 0; pair < wanted.pairs; pair++)
    for (const isOn of pair % 2 === 0 ? [true, false] : [false, true]) found.push(await slice(isOn, wanted));
  node.isMeasuring = true;
  return found;
}

process.on('message', async ({ slices: wanted }: Question) => {
  process.send!(wanted === undefined ? measures() : await slices(wanted));
});
process.once('SIGTERM', () => {
  void serving.stop().then(() => process.exit(0));
});
process.stdout.write(`${JSON.stringify({ udp: node.udp, web: null, http, channels: node.channelCount })}\n`);

/**
 * A service with a node in its process, for bench:meter: it charges as fast as it can, or listens to what is committed, when
 * the bench asks for it. A process of its own.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseHostPort } from '../../src/host-port.ts';
import { serve } from '../../src/serve.ts';

/** Charges under way, as of a service with so many requests at a time. */
const CHARGES_AT_A_TIME = 2_048;
/** How long the listener is on, then off. */
const TURN_MS = 200;
/** Charges before those that are measured, until the code is compiled. */
const WARM_UP_MS = 1_000;
const TICKS_PER_SECOND = 100;

export interface ChargeRun {
  perSecond: number;
  /** Processor time of the main thread per charge: lanes have threads of their own, and so has the commit of LMDB. NaN off Linux. */
  cpuUs: number;
  p50Ms: number;
  p99Ms: number;
  made: number;
  /** Drops spent by the run on all channels, by the charges' answers, and by the accounts at its end. */
  answeredDrops: number;
  spentDrops: number;
}
/** What the path did in a turn: claims committed per second, and processor time of the whole process per claim. */
export interface FeedTurn {
  perSecond: number;
  nsPerClaim: number;
}
/** Turns with the listener on and off, in pairs. */
export interface FeedRun {
  on: FeedTurn[];
  off: FeedTurn[];
  /** Channels told of while it was on, and the a checksum over handles and amounts. */
  told: number;
  sum: number;
}
export type ServiceCommand = { command: 'charge' | 'feed'; seconds: number };

const { values } = parseArgs({
  options: { data: { type: 'string' }, udp: { type: 'string' }, http: { type: 'string' } },
});
const serving = await serve({
  data: values.data!,
  udp: parseHostPort(values.udp!)!,
  http: parseHostPort(values.http!)!,
});
const { node } = serving;
let runs = 0;

/** Charges one drop of each channel in turn, with a key, and waits where it is not claimed yet. */
async function charge(seconds: number): Promise<ChargeRun> {
  const ids = node.channels(0, node.channelCount).map(({ channelId }) => channelId);
  const spent = () => ids.reduce((sum, id) => sum + Number(node.spent(id)), 0);
  const before = spent();
  const run = runs++;
  let latencies: number[] = [];
  let number = 0;
  let answeredDrops = 0;
  const from = performance.now() + WARM_UP_MS;
  const until = from + seconds * 1_000;
  const workers = Array.from({ length: CHARGES_AT_A_TIME }, async () => {
    for (let begunAt = performance.now(); begunAt < until; begunAt = performance.now()) {
      const { drops } = await node.charge(ids[number % ids.length]!, 1n, { key: `${run} ${number++}` });
      answeredDrops += Number(drops);
      latencies.push(performance.now() - begunAt);
    }
  });
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  latencies = [];
  const [measuredFrom, cost] = [performance.now(), mainThreadSeconds()];
  await Promise.all(workers);
  const elapsed = performance.now() - measuredFrom;
  const cpuSeconds = mainThreadSeconds() - cost;
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!;
  return {
    perSecond: (sorted.length * 1_000) / elapsed,
    cpuUs: (cpuSeconds * 1e6) / sorted.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    made: sorted.length,
    answeredDrops,
    spentDrops: spent() - before,
  };
}

/** Processor time of the main thread so far: fields 14 and 15 of its line, after the name in parentheses. */
function mainThreadSeconds(): number {
  if (process.platform !== 'linux') return Number.NaN;
  const fields = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Alternates a listener that reads every entry with none. */
async function feed(seconds: number): Promise<FeedRun> {
  const result: FeedRun = { on: [], off: [], told: 0, sum: 0 };
  const turn = async (): Promise<FeedTurn> => {
    const [before, startedAt, cost] = [committed(), performance.now(), process.cpuUsage()];
    await new Promise((resolve) => setTimeout(resolve, TURN_MS));
    const claims = committed() - before;
    const { user, system } = process.cpuUsage(cost);
    return {
      perSecond: (claims * 1_000) / (performance.now() - startedAt),
      nsPerClaim: ((user + system) * 1_000) / claims,
    };
  };
  const turns: Record<'on' | 'off', () => Promise<FeedTurn>> = {
    off: turn,
    on: async () => {
      const unlisten = node.onCommitted((batch) => {
        result.told += batch.length;
        for (let index = 0; index < batch.length; index++)
          result.sum = (result.sum + Number(batch.channelId(index)) + Number(batch.committed(index))) | 0;
      });
      const measured = await turn();
      unlisten();
      return measured;
    },
  };
  const until = performance.now() + seconds * 1_000;
  // On and off take turns in being first, so that a machine that grows slower favours neither.
  for (let pair = 0; performance.now() < until; pair++)
    for (const which of pair % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const))
      result[which].push(await turns[which]());
  return result;
}

function committed(): number {
  return node.stats().counters.committed as number;
}

process.on('message', async ({ command, seconds }: ServiceCommand) => {
  process.send!(await (command === 'charge' ? charge(seconds) : feed(seconds)));
});
process.on('SIGTERM', async () => {
  await serving.stop();
  process.exit(0);
});
process.stdout.write(`${JSON.stringify({ udp: node.udp, http: serving.http, channels: node.channelCount })}\n`);

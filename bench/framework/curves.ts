/** The report's curves: measured points, the models fitted to them, and how far these are off on points held out. Pure. */
import { costLine, fitWithHeldOut, type Point, scalabilityLaw } from './fits.ts';
import type { LoadRun } from './loaded-node.ts';
import type { Values } from './measure.ts';
import type { NodeResult } from './node-part.ts';
import type { CurvePoint, CurveReport, ModelReport } from './schema.ts';
import { bootstrapInterval, median } from './statistics.ts';

const CLAIM_BYTES = 93;
const LINE_POINTS = 60;
/** The law has three parameters, so fewer points say nothing. */
const POINTS_MIN = 4;

type Model = Parameters<typeof fitWithHeldOut>[1];

/** A curve with its model where there are enough points; without any point there is no curve. */
function curve(
  fields: Omit<CurveReport, 'points' | 'model'>,
  points: CurvePoint[],
  model?: { formula: string; fit: Model },
): CurveReport[] {
  if (points.length === 0) return [];
  const sorted = points.toSorted((left, right) => left.x - right.x);
  if (model === undefined || new Set(points.map(({ x }) => x)).size < POINTS_MIN)
    return [{ ...fields, points: sorted }];
  return [{ ...fields, points: sorted, model: modelOf(sorted, model.formula, model.fit, fields.isLog) }];
}

function modelOf(points: readonly Point[], formula: string, fit: Model, isLog: boolean): ModelReport {
  const { parameters, predict, fitError, heldOutError } = fitWithHeldOut(points, fit);
  const [from, to] = [points[0]!.x, points.at(-1)!.x];
  const line = Array.from({ length: LINE_POINTS + 1 }, (_, index) => {
    const share = index / LINE_POINTS;
    const x = isLog ? from * (to / from) ** share : from + (to - from) * share;
    return { x, y: predict(x) };
  });
  return { formula, parameters, fitError, ...(heldOutError && { heldOutError }), line };
}

/** The median of several values at one place, with its interval. */
function point(x: number, values: readonly number[], seed: number, name: string): CurvePoint {
  if (values.length < 3) return { x, y: median(values) };
  const { low, high } = bootstrapInterval(values, seed, `${name} ${x}`);
  return { x, y: median(values), low, high };
}

export function curvesOf(values: Values, node: NodeResult, seed: number): CurveReport[] {
  return [
    ...threadCurves(values, seed),
    ...runCurve('lanes', 'Lanes of a node', 'lanes', node.lanes, ({ perSecond }) => perSecond, seed, {
      yName: 'claims/s',
      isLog: false,
      note: 'The load generator has the same cores, so the last lanes add less than they would on a machine of their own.',
    }),
    ...sizeCurves(values, node, seed),
    ...runCurve(
      'datagram',
      'Processor time by claims a datagram',
      'claims a datagram',
      node.perDatagram,
      ({ cpuNs }) => cpuNs / 1_000,
      seed,
      {
        yName: 'µs of processor time a claim',
        isLog: false,
        note: 'Receiving a datagram has a cost that its claims share.',
        model: { formula: 'claim + datagram / n', fit: perDatagramCost },
      },
    ),
    ...offeredCurves(node),
    ...delayCurves(node, seed),
  ];
}

function threadCurves(values: Values, seed: number): CurveReport[] {
  const threads = values.get('threads') ?? [];
  const [cores = 1] = values.get('cores') ?? [];
  const own = threads.map((count) => point(count, values.get(`own.${count}`)!, seed, 'own'));
  const wall = threads
    .filter((count) => count <= cores && (values.get(`wall.${count}`) ?? []).length > 0)
    .map((count) => point(count, values.get(`wall.${count}`)!, seed, 'wall'));
  return [
    ...curve(
      {
        name: 'threads',
        title: 'Verification by threads, as if each had a core of its own',
        xName: 'threads',
        yName: 'claims/s',
        isLog: false,
        note: `By the threads' own processor time. On ${cores} cores at most ${cores} run at a time, so points beyond show what threads cost each other in shared memory, not what more cores would cost in memory bandwidth, clock speed or caches.`,
      },
      own,
      { formula: 'λN / (1 + σ(N − 1) + κN(N − 1))', fit: scalabilityLaw },
    ),
    ...curve(
      {
        name: 'threads.wall',
        title: 'Verification by threads, by wall time',
        xName: 'threads',
        yName: 'claims/s',
        isLog: false,
        note: 'Up to the cores of this machine. Passes in which other programs took part of the cores do not count; where a point is missing, there were no others.',
      },
      wall,
    ),
  ];
}

interface RunCurve {
  yName: string;
  isLog: boolean;
  note: string;
  model?: { formula: string; fit: Model };
}

function runCurve(
  name: string,
  title: string,
  xName: string,
  runs: Map<number, LoadRun[]>,
  figureOf: (run: LoadRun) => number,
  seed: number,
  { model, ...rest }: RunCurve,
): CurveReport[] {
  const points = [...runs].map(([x, list]) => point(x, list.map(figureOf), seed, name));
  return curve({ name, title, xName, ...rest }, points, model);
}

/** y = claim + datagram / n: a line over 1 / n. */
const perDatagramCost: Model = (points) => {
  const { parameters, predict } = costLine('claim', 'datagram')(points.map(({ x, y }) => ({ x: 1 / x, y })));
  return { parameters, predict: (x) => predict(1 / x) };
};

function sizeCurves(values: Values, node: NodeResult, seed: number): CurveReport[] {
  const at = (name: string, xs: string) =>
    (values.get(xs) ?? []).map((x, index) => ({ x, y: values.get(name)![index]! })).filter(({ y }) => y > 0);
  return [
    ...curve(
      {
        name: 'table',
        title: 'Look-ups of the channel table by channels',
        xName: 'channels',
        yName: 'look-ups/s of one core',
        isLog: true,
        note: 'Channels are picked at random, so beyond the caches each look-up waits for memory.',
      },
      at('table.sizePerSecond', 'channels'),
    ),
    ...curve(
      {
        name: 'memory',
        title: 'Memory of the channel table',
        xName: 'channels',
        yName: 'MiB',
        isLog: true,
        note: 'Resident memory that opening so many channels took, each with one key among few. What a whole node takes besides is the figure node.residentMiB; npm run bench:channels measures a node with a million.',
      },
      at('table.sizeBytes', 'channels')
        .filter(({ x }) => x >= 30_000)
        .map(({ x, y }) => ({ x, y: y / 2 ** 20 })),
      { formula: 'start + each · channels', fit: costLine('start', 'each') },
    ),
    ...runCurve('channels', 'A node by channels', 'channels', node.channels, ({ perSecond }) => perSecond, seed, {
      yName: 'claims/s',
      isLog: true,
      note: 'Claims go to all channels in turn, which is the worst case for caches and for groups; 1,000 keys.',
    }),
    ...curve(
      {
        name: 'keys',
        title: 'Verification by keys',
        xName: 'keys that send',
        yName: 'claims/s of one core',
        isLog: true,
        note: 'Keys send at random. Beyond the cache of tables each claim needs its table made.',
      },
      at('verify.keysPerSecond', 'keys'),
    ),
  ];
}

function offeredCurves({ offered }: NodeResult): CurveReport[] {
  const kept = offered.filter(({ rate, run }) => run.perSecond > 0.9 * rate);
  const series = (
    name: string,
    title: string,
    yName: string,
    note: string,
    y: (run: LoadRun) => number,
    parameters?: [string, string],
  ) =>
    curve(
      { name, title, xName: 'claims/s', yName, isLog: false, note },
      kept.map(({ run }) => ({ x: run.perSecond, y: y(run) })),
      parameters && { formula: `${parameters[0]} + ${parameters[1]} · rate`, fit: costLine(...parameters) },
    );
  const line: [string, string] = ['start', 'each'];
  return [
    ...series(
      'offered.p99',
      'Latency by offered load',
      'p99, ms',
      'From the time at which each claim was meant to leave.',
      ({ p99Ms }) => p99Ms,
    ),
    ...series(
      'offered.cpu',
      'Cores by offered load',
      'cores',
      "Processor time of the claim path's stages.",
      ({ cpuNs, perSecond }) => (cpuNs * perSecond) / 1e9,
      line,
    ),
    ...series(
      'offered.in',
      'Bandwidth in by offered load',
      'Mbit/s',
      'Bytes of datagrams with IPv4 and UDP headers.',
      ({ inBytes, perSecond }) => (inBytes * perSecond * 8) / 1e6,
      line,
    ),
    ...series(
      'offered.out',
      'Bandwidth out by offered load',
      'Mbit/s',
      'Acks with their headers, 45 a datagram; one ack covers all claims of a channel in a group.',
      ({ outBytes, perSecond }) => (outBytes * perSecond * 8) / 1e6,
      line,
    ),
    ...series(
      'offered.disk',
      'Disk by offered load',
      'MB/s',
      'Bytes of journals: groups in whole blocks of 4,096. Checkpoints, of 176 bytes a channel that has changed, come on top.',
      ({ diskBytes, perSecond }) => (diskBytes * perSecond) / 1e6,
      line,
    ),
  ];
}

function delayCurves({ delays }: NodeResult, seed: number): CurveReport[] {
  const points = [...delays]
    .filter(([, list]) => list.length > 0)
    .map(([count, list]) => point(count * CLAIM_BYTES, list, seed, 'delay'));
  return curve(
    {
      name: 'delay',
      title: 'Delay from a payer to the node and back, by payload',
      xName: 'payload Q, bytes',
      yName: 'µs until every claim is durable and acknowledged',
      isLog: false,
      note: 'One datagram at a time over loopback, each of its claims of another channel and verified: z is the price of a byte of claims (93 of them are a claim), τ₀ what every datagram costs.',
    },
    points,
    { formula: 'τ₀ + zQ', fit: costLine('τ₀', 'z') },
  );
}

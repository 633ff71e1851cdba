/** What the fitted models say of machines and rates that were not measured. It is labelled as such wherever it is shown. Pure. */
import { workersFor } from './fits.ts';
import type { CurveReport, Extrapolation, FigureReport, ModelReport } from './schema.ts';

const CORES = [1, 2, 4, 8, 16, 32, 64, 128];
const CORES_MAX = 128;
const RATES = [50_000, 1_000_000, 10_000_000];
/** Of the memory column. */
const CHANNELS = 1_000_000;
const MBIT = 1e6 / 8;

/**
 * @param laneNs processor time of a claim in the whole path, from which one core's rate follows
 * @param cores of this machine
 */
export function extrapolate(
  curves: readonly CurveReport[],
  figures: readonly FigureReport[],
  cores: number,
): Extrapolation | null {
  const model = (name: string): ModelReport | undefined => curves.find((curve) => curve.name === name)?.model;
  const figure = (name: string) => figures.find((one) => one.name === name)?.median;
  const law = model('threads');
  const laneNs = figure('node.cpuNs');
  if (law === undefined || laneNs === undefined) return null;
  const { kappa = 0, sigma: fitted = 0 } = law.parameters;
  const wall = wallSigma(curves);
  const isWallKnown = wall !== undefined;
  const sigma = Math.max(fitted, wall ?? 0);
  const speedUp = (n: number) => n / (1 + sigma * (n - 1) + kappa * n * (n - 1));
  const oneCore = 1e9 / laneNs;
  const rateOf = (n: number) => oneCore * speedUp(n);
  const costOf = (name: string) => {
    const parameters = model(name)?.parameters;
    return (rate: number) => (parameters === undefined ? null : parameters.start! + parameters.each! * rate);
  };
  const [inMbit, outMbit, disk] = [costOf('offered.in'), costOf('offered.out'), costOf('offered.disk')];
  const [resident, channelMiB] = [figure('node.residentMiB'), model('memory')?.parameters.each];
  const memoryGiB =
    resident === undefined || channelMiB === undefined ? null : (resident + channelMiB * CHANNELS) / 1_024;
  return {
    byCores: CORES.map((count) => ({
      cores: count,
      claimsPerSecond: rateOf(count),
      isExtrapolation: count > cores,
    })),
    byRate: RATES.map((rate) => ({
      claimsPerSecond: rate,
      cores: workersFor(rateOf, rate, CORES_MAX) ?? null,
      inMbitPerSecond: inMbit(rate),
      outMbitPerSecond: outMbit(rate),
      diskMBPerSecond: disk(rate),
      memoryGiB,
    })),
    assumptions: [
      `One core takes ${Math.round(oneCore).toLocaleString('en-US')} claims/s through the whole path: ${Math.round(laneNs)} ns of processor time a claim at full load, all cores for the node alone.`,
      `Cores add up by the law above with σ = ${sigma.toPrecision(3)} and κ = ${kappa.toPrecision(3)}, from threads that verify; ${isWallKnown ? `σ is the larger of what was fitted and what wall time shows up to ${cores} cores` : 'by wall time they were disturbed by other programs, so σ is of processor time alone, which is too good'}.`,
      'Neither memory bandwidth, nor clock speed under load, nor more than one socket of processors, nor the network card was measured: real machines do worse.',
      `Bandwidth is of full datagrams, as the load sends them, and grows with a datagram for each claim by a third. Disk is one journal a lane on one disk. ${(MBIT / 1_000).toFixed(0)} kB/s are a Mbit/s.`,
      `Memory is for ${CHANNELS.toLocaleString('en-US')} channels; it does not grow with the rate. The cache of key tables was 256 MiB; it may be larger.`,
    ],
  };
}

/** σ of wall time from one thread and as many as there are cores; undefined where these were not both seen undisturbed. */
function wallSigma(curves: readonly CurveReport[]): number | undefined {
  const points = curves.find(({ name }) => name === 'threads.wall')?.points ?? [];
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || last.x === first.x || last.y <= 0) return undefined;
  return Math.max(0, ((last.x * first.y) / last.y - 1) / (last.x - 1));
}

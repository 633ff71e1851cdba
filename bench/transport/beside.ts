/**
 * What a hundred WebRTC peers cost the payers by UDP beside them: a hundred claims a second each, one a message, while UDP
 * has half the load that it could. Main thread of the bench; each load is a process of its own.
 *
 * Runs in turns: UDP alone, UDP with the hundred as UDP payers, UDP with them as WebRTC peers, the last two in alternating
 * order. A run's p99 is the median of its seconds' p99s, since one stall of the machine is the p99 of a short run.
 *
 * A hundred payers are a hundred machines elsewhere. What they cost themselves is not what they cost the node, so both kinds
 * run when nothing else wants the core, as far as the system can do that, and the bench checks that they pay their rate.
 */
import { spawnSync } from 'node:child_process';
import { assert } from '../../src/errors.ts';
import { hostPortText } from '../../src/host-port.ts';
import type { LoadStep } from '../../src/load/result.ts';
import type { BenchContext, Figures } from '../harness.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { runLoad } from '../path/load.ts';

const PEERS = 100;
const CLAIMS_PER_PEER = 100;
const EXTRA_RATE = PEERS * CLAIMS_PER_PEER;
/** Below that the hundred were not there; how many of their claims were is a figure. */
const EXTRA_SHARE_MIN = 0.5;
/** SCHED_IDLE: any other thread that wakes takes the core at once. Without it they have the least share of a core. */
const IDLE = ['chrt', '--idle', '0'];
const NICEST = ['nice', '-n', '19'];
/** The load that stands for them is ended with the run that is measured. */
const EXTRA_SECONDS_MAX = 120;
/** All of them come from one address at once. */
export const BESIDE_FLAGS = ['--web', '127.0.0.1:0', '--webrtc', '--web-offers', '2000'];

/** UDP's rate at most, which is measured once: all runs have the same load. */
let maximum: number | undefined;

/** @param seconds whole ones */
export async function measureBeside(node: NodeUnderTest, seconds: number, context: BenchContext): Promise<Figures> {
  const time = (duration: number, warmup: number) => ['--duration', String(duration), '--warmup', String(warmup)];
  const byUdp = (...flags: string[]) => measured(node, ['--to', `udp://${hostPortText(node.udp)}`, ...flags]);
  await byUdp('--rate', 'max', ...time(0.5, 0));
  maximum ??= (await byUdp('--rate', 'max', ...time(seconds, 1))).ackedRate;
  const main = () => byUdp('--rate', String(Math.round(maximum! / 2)), ...time(seconds, 1));
  const alone = await main();
  const [udp, webrtc] = [`udp://${hostPortText(node.udp)}`, `webrtc+http://${hostPortText(node.web!)}`];
  const isSwapped = context.repeat % 2 === 1;
  const first = await beside(node, isSwapped ? webrtc : udp, main);
  const second = await beside(node, isSwapped ? udp : webrtc, main);
  const [udpExtra, rtcExtra] = isSwapped ? [second, first] : [first, second];
  const said = (step: LoadStep) =>
    `${Math.round(step.ackedRate)}/s, p50 ${step.latency.p50Ms.toFixed(2)} ms, p99 of each second ${secondsOf(step).map((ms) => ms.toFixed(1))} ms`;
  context.note(`UDP at half of ${Math.round(maximum)}/s alone: ${said(alone)}`);
  for (const [name, { step, extraRate }] of [['UDP payers', udpExtra] as const, ['WebRTC peers', rtcExtra] as const])
    context.note(
      `with ${PEERS} ${name} (${yielding().join(' ')}) beside it: ${said(step)}; these ${Math.round(extraRate)}/s`,
    );
  return {
    'beside.udpClaimsPerSecond': alone.ackedRate,
    'beside.udpP99Ms': p99Of(alone),
    'beside.udpExtraP99Ms': p99Of(udpExtra.step),
    'beside.webrtcExtraP99Ms': p99Of(rtcExtra.step),
    'beside.udpExtraPaid': udpExtra.extraRate / EXTRA_RATE,
    'beside.webrtcExtraPaid': rtcExtra.extraRate / EXTRA_RATE,
    'beside.udpRateWithWebrtc': rtcExtra.step.ackedRate / alone.ackedRate,
    'beside.p99WebrtcVsUdp': p99Of(rtcExtra.step) / p99Of(udpExtra.step),
  };
}

/** The p99 of each second. */
function secondsOf({ intervals }: LoadStep): number[] {
  return intervals.filter(({ atSeconds }, index) => atSeconds > index + 0.99).map(({ p99Ms }) => p99Ms);
}

/** The lower median. */
function p99Of(step: LoadStep): number {
  const seconds = secondsOf(step).toSorted((left, right) => left - right);
  return seconds[(seconds.length - 1) >> 1]!;
}

let within: readonly string[] | undefined;

/** What the hundred are run with. */
function yielding(): readonly string[] {
  within ??= spawnSync(IDLE[0]!, [...IDLE.slice(1), 'true']).status === 0 ? IDLE : NICEST;
  return within;
}

/** Runs `main` while the hundred pay by `to`. */
async function beside(
  node: NodeUnderTest,
  to: string,
  main: () => Promise<LoadStep>,
): Promise<{ step: LoadStep; extraRate: number }> {
  // Sockets of node:dgram, as a hundred payers have: the addon has fewer for a process.
  const flags = [
    '--to',
    to,
    '--sender',
    'dgram',
    '--seed',
    '2',
    '--channels',
    String(PEERS),
    '--sockets',
    String(PEERS),
  ];
  const rate = ['--per-datagram', '1', '--rate', String(EXTRA_RATE), '--duration', String(EXTRA_SECONDS_MAX)];
  let begun: (stop: () => void) => void = () => {};
  const isPaying = new Promise<() => void>((resolve) => {
    begun = resolve;
  });
  let hasEnded = false;
  const extra = measured(node, [...flags, ...rate, '--warmup', '1'], {
    within: yielding(),
    onSecond: (stop) => begun(stop),
  }).finally(() => {
    hasEnded = true;
  });
  const stop = await Promise.race([
    isPaying,
    extra.then(() => Promise.reject(new Error('the hundred paid too little'))),
  ]);
  const step = await main();
  assert(!hasEnded, 'the hundred pay all the time');
  stop();
  const { ackedRate: extraRate } = await extra;
  assert(extraRate > EXTRA_SHARE_MIN * EXTRA_RATE, `the hundred pay ${EXTRA_RATE} claims a second`);
  return { step, extraRate };
}

async function measured(
  node: NodeUnderTest,
  flags: readonly string[],
  steering: Parameters<typeof runLoad>[2] = {},
): Promise<LoadStep> {
  const { result } = await runLoad(node, flags, steering);
  const step = result.steps[0];
  const { reconciliation } = result;
  assert(step !== undefined && step.acked > 0, `something is acknowledged: ${result.verdict.join(' ')}`);
  assert(reconciliation?.short === 0, `nothing is missing: ${result.verdict.join(' ')}`);
  return step;
}

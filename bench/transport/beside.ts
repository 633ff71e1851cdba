/**
 * What a hundred WebRTC peers cost the payers by UDP beside them: a hundred claims a second each, one a message, while UDP
 * has half the load that it could. Main thread of the bench; each load is a process of its own.
 *
 * Three runs in turns: UDP alone, UDP with the hundred as UDP payers, UDP with them as WebRTC peers. A hundred payers are a
 * hundred machines elsewhere, so the load that stands for them yields to the node and to the load that is measured.
 */
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
const YIELDING = ['nice', '-n', '19'];
/** The load that stands for them is ended with the run that is measured. */
const EXTRA_SECONDS_MAX = 120;
/** All of them come from one address at once. */
export const BESIDE_FLAGS = ['--web', '127.0.0.1:0', '--webrtc', '--web-offers', '2000'];

export async function measureBeside(node: NodeUnderTest, seconds: number, context: BenchContext): Promise<Figures> {
  const time = (duration: number, warmup: number) => ['--duration', String(duration), '--warmup', String(warmup)];
  const byUdp = (...flags: string[]) => measured(node, ['--to', `udp://${hostPortText(node.udp)}`, ...flags]);
  await byUdp('--rate', 'max', ...time(0.5, 0));
  const { ackedRate: maximum } = await byUdp('--rate', 'max', ...time(seconds, 1));
  const half = Math.round(maximum / 2);
  const main = () => byUdp('--rate', String(half), ...time(seconds, 1));
  const alone = await main();
  const udpExtra = await beside(node, `udp://${hostPortText(node.udp)}`, main);
  const rtcExtra = await beside(node, `webrtc+http://${hostPortText(node.web!)}`, main);
  const said = ({ ackedRate, latency: { p50Ms, p99Ms } }: LoadStep) =>
    `${Math.round(ackedRate)}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
  context.note(`UDP at half of ${Math.round(maximum)}/s alone: ${said(alone)}`);
  context.note(`with ${PEERS} UDP payers beside it: ${said(udpExtra.step)}; these ${Math.round(udpExtra.extraRate)}/s`);
  context.note(
    `with ${PEERS} WebRTC peers beside it: ${said(rtcExtra.step)}; these ${Math.round(rtcExtra.extraRate)}/s`,
  );
  return {
    'beside.udpClaimsPerSecond': alone.ackedRate,
    'beside.udpP99Ms': alone.latency.p99Ms,
    'beside.udpExtraP99Ms': udpExtra.step.latency.p99Ms,
    'beside.webrtcExtraP99Ms': rtcExtra.step.latency.p99Ms,
    'beside.udpExtraPaid': udpExtra.extraRate / EXTRA_RATE,
    'beside.webrtcExtraPaid': rtcExtra.extraRate / EXTRA_RATE,
    'beside.udpRateWithWebrtc': rtcExtra.step.ackedRate / alone.ackedRate,
    'beside.p99WebrtcVsUdp': rtcExtra.step.latency.p99Ms / udpExtra.step.latency.p99Ms,
  };
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
    within: YIELDING,
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

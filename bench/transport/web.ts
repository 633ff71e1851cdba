/**
 * The same claims over WebSocket and WebRTC as over UDP, in turns at one node. Main thread of the bench.
 *
 * The node has a process for these peers, and the load one of its own: with the lanes they share the machine's cores, so
 * the ratios to UDP grow with the cores.
 */
import type { BenchContext, Figures } from '../harness.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { Turns } from './turns.ts';

export const WEB_FLAGS = ['--web', '127.0.0.1:0', '--webrtc'];
/** A rate that both exceed, so that latency does not come from a queue. */
const PACED_RATE = 10_000;
const ALL = ['udp', 'websocket', 'webrtc'] as const;
const WEB = ['websocket', 'webrtc'] as const;

/** Options of `claimwire load` for each kind of run. */
interface WebRuns {
  maximum: string[];
  paced: string[];
  warm: string[];
}

export async function measureWeb(node: NodeUnderTest, runs: WebRuns, context: BenchContext): Promise<Figures> {
  const turns = new Turns(node, context);
  await turns.take(ALL, 'not counted', runs.warm);
  const packed = await turns.take(ALL, 'max', runs.maximum);
  const single = await turns.take(WEB, 'one claim a message', [...runs.maximum, '--per-datagram', '1']);
  const paced = await turns.take(ALL, 'paced', [...runs.paced, '--rate', String(PACED_RATE)]);
  const figures: Figures = { 'transport.webPacedUdpP99Ms': paced.udp.step.latency.p99Ms };
  for (const transport of WEB) {
    const name = `transport.${transport}`;
    figures[`${name}ClaimsPerSecond`] = packed[transport].perSecond;
    figures[`${name}MessagesPerSecond`] = single[transport].perSecond;
    figures[`${name}VsUdp`] = packed[transport].perSecond / packed.udp.perSecond;
    figures[`${name}P50Ms`] = paced[transport].step.latency.p50Ms;
    figures[`${name}P99Ms`] = paced[transport].step.latency.p99Ms;
  }
  return figures;
}

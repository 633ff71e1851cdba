/**
 * The same claims by each transport as by UDP, in turns at one node: as many in a message as fit a datagram, one in a
 * message, and at a low rate for the latency. Main thread of the bench.
 *
 * The node has a process for these peers, and the load one of its own: with the lanes they share the machine's cores, so
 * the ratios to UDP grow with the cores.
 */
import type { BenchContext, Figures } from '../harness.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { type Transport, Turns } from './turns.ts';

export const WEB_FLAGS = ['--web', '127.0.0.1:0', '--webrtc'];
/** A rate that all exceed, so that latency does not come from a queue. */
const PACED_RATE = 10_000;

/** Options of `claimwire load` for each kind of run. */
export interface CompareRuns {
  maximum: string[];
  paced: string[];
  warm: string[];
}

/** @param others that the node takes beside UDP */
export async function compareToUdp(
  node: NodeUnderTest,
  others: readonly Transport[],
  runs: CompareRuns,
  context: BenchContext,
): Promise<Figures> {
  const turns = new Turns(node, context);
  const all: readonly Transport[] = ['udp', ...others];
  await turns.take(all, 'not counted', runs.warm);
  const packed = await turns.take(all, 'max', runs.maximum);
  const single = await turns.take(all, 'one claim a message', [...runs.maximum, '--per-datagram', '1']);
  const paced = await turns.take(all, 'paced', [...runs.paced, '--rate', String(PACED_RATE)]);
  const figures: Figures = {};
  for (const transport of all) {
    const name = `transport.${transport}`;
    const { latency } = paced[transport].step;
    figures[`${name}MessagesPerSecond`] = single[transport].perSecond;
    figures[`${name}At10kP50Ms`] = latency.p50Ms;
    figures[`${name}At10kP99Ms`] = latency.p99Ms;
    if (transport === 'udp') continue;
    figures[`${name}ClaimsPerSecond`] = packed[transport].perSecond;
    figures[`${name}VsUdp`] = packed[transport].perSecond / packed.udp.perSecond;
  }
  return figures;
}

/**
 * bench:load: how fast `claimwire load` sends separate datagrams of one claim each, with every claim accounted for.
 *
 * Main thread; the load, its peer and the node are processes of their own. At the node the load keeps its window, and
 * each claim is verified, durable and acknowledged; at the sink (sink.ts) nothing holds the generator back.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../src/errors.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { provenLoad, runLoad } from '../path/load.ts';
import { startSink } from './sink.ts';

const SECONDS = 5;
const SECONDS_QUICK = 2;
/** The generator's cost is measured from the end of one second to the end of another; the run must outlast both. */
const SECONDS_QUICK_COST = 2.3;
/** More claims per second than any generator reaches, so it sends as fast as it can, without waiting for acks. */
const RATE_BEYOND = 5_000_000;
/** Time for the sink to read what is still in its buffer. */
const SETTLE_MS = 100;

const folder = benchFolder('load');

async function measureNode(sender: string, { quick, note }: BenchContext): Promise<Figures> {
  const duration = ['--duration', String(quick ? SECONDS_QUICK_COST : SECONDS), '--warmup', quick ? '0.5' : '1'];
  const flags = ['--per-datagram', '1', '--rate', 'max', '--sender', sender, ...duration];
  const data = join(folder, 'node');
  const load = await NodeUnderTest.run(data, [], (node) => provenLoad(node, flags));
  rmSync(data, { recursive: true });
  const { step, work, perSecond, generatorNs } = load;
  const { sent, datagrams, acked, already, refused, unanswered } = step;
  const answered = acked + already + Object.values(refused).reduce((sum, count) => sum + count, 0);
  assert(
    datagrams >= sent && sent === answered + unanswered,
    `all ${sent} claims left, each by itself, and had an end`,
  );
  assert(unanswered <= work.socketDrops + work.overloaded, `the node has counted the ${unanswered} unanswered ones`);
  note(
    `node, ${load.result.sender}: ${datagrams} datagrams sent, ${acked} acknowledged, ${unanswered} unanswered; the node took ${work.datagrams} (warm-up included), dropped ${work.socketDrops}; ${load.committedDrops} drops committed`,
  );
  return { datagramsPerSecond: datagrams / step.seconds, acceptedPerSecond: perSecond, generatorNs };
}

/** The channels are opened at a node that receives none of the claims. */
async function measureSink(sender: string, { quick, note }: BenchContext): Promise<Figures> {
  const data = join(folder, 'idle');
  const sink = await startSink();
  try {
    return await NodeUnderTest.run(data, [], async (node) => {
      const duration = ['--duration', String(quick ? SECONDS_QUICK : SECONDS), '--warmup', '0', '--drain', '0'];
      const rate = ['--per-datagram', '1', '--rate', String(RATE_BEYOND), '--sender', sender];
      const flags = ['--to', `udp://${sink.address}`, ...rate, ...duration];
      const { result } = await runLoad(node, flags);
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const { received, dropped, strange } = await sink.counts();
      const { datagrams, seconds } = result.steps[0]!;
      note(
        `sink, ${result.sender}: ${datagrams} datagrams sent = ${received} counted + ${dropped} dropped by the system`,
      );
      assert(strange === 0 && received + dropped === datagrams, 'every datagram sent is accounted for, one claim each');
      return { datagramsPerSecond: datagrams / seconds, receivedPerSecond: received / seconds };
    });
  } finally {
    sink.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function measure(context: BenchContext): Promise<Figures> {
  if (nativeUdpFault() !== undefined) {
    context.note(`ABSENT: no batched UDP: ${nativeUdpFault()}; only the portable sender is measured`);
    const portable = await measureNode('dgram', context);
    return { 'load.dgramDatagramsPerSecond': portable.datagramsPerSecond! };
  }
  const node = await measureNode('native', context);
  const dgram = await measureNode('dgram', context);
  const sink = await measureSink('native', context);
  const dgramSink = await measureSink('dgram', context);
  const figures = {
    'load.datagramsPerSecond': node.datagramsPerSecond!,
    'load.acceptedPerSecond': node.acceptedPerSecond!,
    'load.generatorNs': node.generatorNs!,
    'load.dgramDatagramsPerSecond': dgram.datagramsPerSecond!,
    'load.dgramGeneratorNs': dgram.generatorNs!,
    'load.sinkDatagramsPerSecond': sink.datagramsPerSecond!,
    'load.sinkReceivedPerSecond': sink.receivedPerSecond!,
    'load.dgramSinkDatagramsPerSecond': dgramSink.datagramsPerSecond!,
  };
  // Where the system has no /proc, the cost is unknown and left out.
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)));
}

await runBench({ name: 'load', backend: 'native' }, measure);

/**
 * What honest payers get through at most while somebody sends wrong signatures on 100,000 channels that nobody pays on, each with a
 * key of its own: none of these keys has a table. `npm run bench:cold-keys`.
 *
 * Main thread of the bench; node, payers and attacker are processes of their own on the same cores. So the quiet rate is measured
 * while the attacker sends to a socket that nobody reads: it takes its time from the payers then as well.
 */
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { throwawayPublicKey } from '../../src/load/signer.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { runLoad } from '../path/load.ts';
import { attackOn, openChannels } from './attack.ts';

const COLD_CHANNELS = 100_000;
const HONEST_CHANNELS = 1_000;
const CLAIMS_PER_DATAGRAM = 15;
const SECONDS = 8;
const SECONDS_QUICK = 3;
/** Before the figures, for the payers' key tables. */
const WARM_UP_SECONDS = 4;
/** Of the attack, before and after what is measured. */
const MARGIN_SECONDS = 2;
const SEED = 7;

const folder = benchFolder('cold-keys');
const attack = { kind: 'signature', channels: COLD_CHANNELS, prepared: Math.ceil(COLD_CHANNELS / CLAIMS_PER_DATAGRAM) };

async function measure({ quick, note }: BenchContext): Promise<Figures> {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  return NodeUnderTest.run(join(folder, 'node'), [], async (node) => {
    await openChannels(node, COLD_CHANNELS, (index) => Buffer.from(throwawayPublicKey(SEED, index)).toString('hex'));
    await honest(node, seconds);
    const sink = createSocket('udp4');
    await new Promise<void>((bound) => sink.bind(0, '127.0.0.1', bound));
    const { port } = sink.address();
    const quiet = await beside(node, port, seconds);
    sink.close();
    const before = await wrongSignatures(node);
    const flooded = await beside(node, node.udp.port, seconds);
    const wrong = (await wrongSignatures(node)) - before;
    note(`wrong signatures that were judged: ${wrong}; the attacker said ${flooded.said}`);
    return {
      'coldKeys.quietPerSecond': quiet.perSecond,
      'coldKeys.floodedPerSecond': flooded.perSecond,
      'coldKeys.honestRatio': flooded.perSecond / quiet.perSecond,
      'coldKeys.judged': wrong,
    };
  });
}

async function beside(node: NodeUnderTest, port: number, seconds: number) {
  const said = attackOn(port, WARM_UP_SECONDS + seconds + MARGIN_SECONDS, attack);
  const perSecond = await honest(node, seconds);
  return { perSecond, said: await said };
}

/** Claims a second that are acknowledged to payers who send as many as they can. */
async function honest(node: NodeUnderTest, seconds: number): Promise<number> {
  const flags = ['--channels', `${HONEST_CHANNELS}`, '--warmup', `${WARM_UP_SECONDS}`, '--duration', `${seconds}`];
  const { result } = await runLoad(node, [...flags, '--refused-max', '1', '--loss-max', '1', '--slo', '100000']);
  return result.steps[0]!.ackedRate;
}

async function wrongSignatures(node: NodeUnderTest): Promise<number> {
  const { counters } = await node.stats();
  return (counters as unknown as Record<string, Record<string, number>>).refused!.badSignature!;
}

await runBench({ name: 'cold-keys', backend: 'native', repeats: 1 }, measure);

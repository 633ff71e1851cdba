/**
 * bench:transport: the same claims over UDP, TCP, TLS, WebSocket, WebRTC and HTTP POST, verified by the same kernel.
 * With --beside what a hundred WebRTC peers cost UDP (beside.ts) instead, and with --markdown the table of the docs.
 *
 * Main thread; node, load and HTTP server are processes of their own. UDP and TCP take turns at one node, so that
 * other load on the machine affects both; ratios are of neighbouring turns. All that is acknowledged is reconciled and compared
 * with the node's own counters (path/load.ts), or the bench fails.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest } from '../node-under-test.ts';
import { measureHttp } from '../path/http-peer.ts';
import { BESIDE_FLAGS, measureBeside } from './beside.ts';
import { measureOne } from './one.ts';
import { transportTable } from './table.ts';
import { type Turn, Turns } from './turns.ts';
import { type CompareRuns, compareToUdp, WEB_FLAGS } from './web.ts';

interface Durations {
  /** Of UDP and TCP each, a repeat. */
  turns: number;
  maximum: number;
  paced: number;
  http: number;
  beside: number;
  warmup: number;
  /** Claims of a round, one at a time. */
  perRound: number;
}
const FULL: Durations = { turns: 3, maximum: 3, paced: 3, http: 3, beside: 5, warmup: 1, perRound: 250 };
const QUICK: Durations = { turns: 1, maximum: 1, paced: 0.7, http: 1, beside: 3, warmup: 0.3, perRound: 50 };
/** A rate that both transports exceed easily, so that latency does not come from a queue. */
const PACED_RATE = 100_000;

const TRANSPORTS = ['udp', 'tcp'] as const;
type BothTurn = Turn<(typeof TRANSPORTS)[number]>;

const hasAddon = nativeUdpFault() === undefined;
const pem = (name: string) => fileURLToPath(new URL(`../../../test/support/${name}`, import.meta.url));
// The loads inherit it: the system trusts no certificate that was made for tests.
process.env.NODE_EXTRA_CA_CERTS = pem('wire-tls-cert.pem');
const TLS_FLAGS = ['--tls-cert', pem('wire-tls-cert.pem'), '--tls-key', pem('wire-tls-key.pem')];

class TransportBench {
  readonly #folder = benchFolder('transport');
  /** These are measured in the first repeat only. */
  #pipeline: Figures | undefined;

  async measure(context: BenchContext): Promise<Figures> {
    const durations = context.quick ? QUICK : FULL;
    if (context.flags.has('beside'))
      return await this.#run('beside', BESIDE_FLAGS, (node) => measureBeside(node, durations.beside, context));
    const figures = await this.#run('node', [], (node) => measureBoth(node, durations, context));
    // Thirty loads, which a brief run takes once.
    if (!context.quick || context.repeat === 0)
      Object.assign(figures, { ...(await this.#compare(durations, context)), ...figures });
    if (hasAddon) {
      const { perSecond, p50Ms, p99Ms } = await measureHttp(durations.http, context.note);
      figures['transport.httpClaimsPerSecond'] = perSecond;
      figures['transport.httpP50Ms'] = p50Ms;
      figures['transport.httpP99Ms'] = p99Ms;
      figures['transport.udpVsHttp'] = figures['transport.udpClaimsPerSecond']! / perSecond;
      figures['transport.tcpVsHttp'] = figures['transport.tcpClaimsPerSecond']! / perSecond;
    }
    if (context.quick) return figures;
    this.#pipeline ??= await this.#run('pipeline', ['--layout', 'pipeline'], async (node) => {
      const turns = new Turns(node, context);
      await turns.take(TRANSPORTS, 'not counted', ['--rate', 'max', ...seconds(0.2, 0)]);
      const { udp, tcp } = await turns.take(TRANSPORTS, 'pipeline', maxRate(durations));
      return {
        'transport.pipelineUdpClaimsPerSecond': udp.perSecond,
        'transport.pipelineTcpClaimsPerSecond': tcp.perSecond,
      };
    });
    return { ...figures, ...this.#pipeline };
  }

  /** All transports against UDP, each at a node where it takes turns with it. */
  async #compare(durations: Durations, context: BenchContext): Promise<Figures> {
    const runs = compareRuns(durations);
    const byTls = await this.#run('tls', TLS_FLAGS, async (node) => {
      const [tlsUs] = await measureOne(node, ['tls'], durations.perRound);
      return { ...(await compareToUdp(node, ['tls'], runs, context)), 'transport.tlsOneUs': tlsUs! };
    });
    const byWeb = await this.#run('web', WEB_FLAGS, (node) =>
      compareToUdp(node, ['tcp', 'websocket', 'webrtc'], runs, context),
    );
    // What both have measured is taken of the one where most transports took turns.
    return { ...byTls, ...byWeb };
  }

  /** Runs a node over a folder of its own, which is removed afterwards. */
  async #run<Result>(name: string, flags: string[], work: (node: NodeUnderTest) => Promise<Result>): Promise<Result> {
    const data = join(this.#folder, name);
    const result = await NodeUnderTest.run(data, flags, work);
    rmSync(data, { recursive: true, force: true });
    return result;
  }
}

async function measureBoth(node: NodeUnderTest, durations: Durations, context: BenchContext): Promise<Figures> {
  const turns = new Turns(node, context);
  // A warm-up, as the first run meets cold keys and code that is not compiled yet.
  await turns.take(TRANSPORTS, 'not counted', ['--rate', 'max', ...seconds(0.2, 0)]);
  const atMaximum: BothTurn[] = [];
  while (atMaximum.length < durations.turns) atMaximum.push(await turns.take(TRANSPORTS, 'max', maxRate(durations)));
  const rate = ['--rate', String(PACED_RATE), ...seconds(durations.paced, durations.warmup)];
  const paced = await turns.take(TRANSPORTS, 'paced', rate);
  const [udpUs, tcpUs] = await measureOne(node, TRANSPORTS, durations.perRound);
  const middleOf = (value: (turn: BothTurn) => number) => middle(atMaximum.map(value));
  const figures: Figures = { 'transport.tcpVsUdp': middleOf(({ udp, tcp }) => tcp.perSecond / udp.perSecond) };
  for (const transport of TRANSPORTS) {
    const name = `transport.${transport}`;
    const { step } = paced[transport];
    figures[`${name}ClaimsPerSecond`] = middleOf((turn) => turn[transport].perSecond);
    figures[`${name}MaxP99Ms`] = middleOf((turn) => turn[transport].step.latency.p99Ms);
    figures[`${name}P50Ms`] = step.latency.p50Ms;
    figures[`${name}P99Ms`] = step.latency.p99Ms;
    figures[`${name}PacedAckedRatio`] = step.ackedRate / PACED_RATE;
  }
  return { ...figures, 'transport.udpOneUs': udpUs!, 'transport.tcpOneUs': tcpUs! };
}

/** The lower median, as in the harness. */
function middle(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[(values.length - 1) >> 1]!;
}
function seconds(duration: number, warmup: number): string[] {
  return ['--duration', String(duration), '--warmup', String(warmup)];
}
function compareRuns(durations: Durations): CompareRuns {
  return {
    maximum: maxRate(durations),
    paced: seconds(durations.paced, durations.warmup),
    warm: ['--rate', 'max', ...seconds(0.2, 0)],
  };
}
function maxRate({ maximum, warmup }: Durations): string[] {
  return ['--rate', 'max', ...seconds(maximum, warmup)];
}

let bench: TransportBench | undefined;
const options = { name: 'transport', backend: hasAddon ? 'native' : 'native ABSENT', flags: ['beside'] };
await runBench({ ...options, markdown: transportTable }, async (context) => {
  if (bench === undefined) {
    bench = new TransportBench();
    if (!hasAddon) context.note('ABSENT: no native addon (build/claimwire.node): no HTTP, and UDP is not batched');
    context.note(`p50 and p99 of UDP and TCP are at ${PACED_RATE}/s, from the intended send times`);
  }
  return await bench.measure(context);
});

/**
 * `claimwire load`: loads a node with signed claims at a chosen rate, and reports the result of every one.
 *
 * Main thread of its own process; the load itself runs in a thread (src/load/generator-thread.ts).
 */
import { existsSync } from 'node:fs';
import { CLAIMS_PER_DATAGRAM_MAX } from '../protocol/layout.ts';
import { ATTACKS, type AttackName } from '../src/load/attack/kinds.ts';
import { renderReport } from '../src/load/report/report.ts';
import { runLoad } from '../src/load/run.ts';
import { LOAD_DEFAULTS } from '../src/load/settings.ts';
import { percentileText, resultText } from '../src/load/text.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { expectWritable, save } from './files.ts';
import { attack } from './load-attack.ts';
import { loadMerkle } from './load-merkle.ts';
import { decimal, readArrivals, readRamp, readRate, readSkew, share } from './load-readers.ts';
import { readRun } from './load-run.ts';
import { loadWatcher } from './load-watcher.ts';
import { NODE_OPTIONS, type OptionSpecs, type Values } from './options.ts';
import { complain, say, writeJson } from './output.ts';
import { KEY_VALUE } from './payer-key.ts';
import { count, duration } from './units.ts';

const CHANNELS_MAX = 4_000_000;
const SECONDS_MAX = 86_400;
const SOCKETS_MAX = 1_024;
const INFLIGHT_MAX = 2 ** 26;
const SEED_MAX = 2 ** 32 - 1;
const CORPUS_CLAIMS_MAX = 40_000_000;
const CAPTURE_CLAIMS_MAX = 10_000_000;

const TRAFFIC = 'What is sent:';
const BOUNDS = 'When the run has passed:';
const FAULTS = 'Faults, each of a fraction of the claims:';
const FILES = 'Files:';
const ATTACK = 'An attack, instead of honest claims:';
const CONNECTIONS_MAX = 100_000;
const DATAGRAMS_MAX = 2 ** 40;
const seconds = (ms: number) => String(ms / 1_000);
const fraction = (description: string) =>
  ({ value: 'F', description, default: '0', read: decimal(0, 1), group: FAULTS }) as const;
const anyOption = (value: string, description: string, group: string) => ({ value, description, group }) as const;

const OPTIONS = {
  to: {
    value: 'udp://H:P',
    description:
      'where the node takes claims; or tcp://H:P, tls://H:P, ws://H:P, webrtc+http://H:P; some nodes of a cluster: udp://A:P,udp://B:P',
    required: 'udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, ws://HOST:PORT or webrtc+http://HOST:PORT',
  },
  rate: {
    value: 'R|max',
    description: 'claims a second, like 200k; max: as many as --window allows',
    defaultText: 'max',
    read: (text: string, flag: string) => (text === 'max' ? null : readRate(text, flag)),
    group: TRAFFIC,
  },
  duration: {
    value: 'S',
    description: 'how long each rate is measured, like 10s or 2m',
    default: seconds(LOAD_DEFAULTS.durationMs),
    read: duration('s', 0.001, SECONDS_MAX),
    group: TRAFFIC,
  },
  warmup: {
    value: 'S',
    description: 'seconds before that, in no figure',
    default: seconds(LOAD_DEFAULTS.warmupMs),
    read: duration('s', 0, SECONDS_MAX),
    group: TRAFFIC,
  },
  drain: {
    value: 'S',
    description: 'seconds acks are waited for at the end',
    default: seconds(LOAD_DEFAULTS.drainMs),
    read: duration('s', 0, SECONDS_MAX),
    group: TRAFFIC,
  },
  ramp: {
    value: 'FROM:TO:STEP',
    description: 'one rate after the other; finds the knee, the highest that left whole and kept the bounds',
    read: readRamp,
    group: TRAFFIC,
  },
  arrivals: {
    value: 'NAME',
    description: 'when claims are meant to leave: constant, poisson or burst:N',
    default: 'constant',
    read: readArrivals,
    group: TRAFFIC,
  },
  channels: {
    value: 'N',
    description: 'like 1k',
    default: String(LOAD_DEFAULTS.channels),
    read: count(1, CHANNELS_MAX),
    group: TRAFFIC,
  },
  keys: {
    value: 'N',
    description: 'keys of the channels',
    defaultText: 'one per channel, at most 1000',
    read: count(1, CHANNELS_MAX),
    group: TRAFFIC,
  },
  skew: {
    value: 'NAME',
    description: 'how claims spread over the channels: uniform, or zipf:S',
    default: 'uniform',
    read: readSkew,
    group: TRAFFIC,
  },
  'per-datagram': {
    value: 'N',
    description: `claims in a datagram, at most, 1 to ${CLAIMS_PER_DATAGRAM_MAX}`,
    default: String(LOAD_DEFAULTS.perDatagram),
    read: count(1, CLAIMS_PER_DATAGRAM_MAX),
    group: TRAFFIC,
  },
  window: {
    value: 'N',
    description: 'claims unacknowledged under --rate max',
    default: String(LOAD_DEFAULTS.window),
    read: count(1, INFLIGHT_MAX),
    group: TRAFFIC,
  },
  'inflight-max': {
    value: 'N',
    description: 'claims tracked under a rate, older ones are given up',
    default: String(LOAD_DEFAULTS.inflightMax),
    read: count(1, INFLIGHT_MAX),
    group: TRAFFIC,
  },
  sockets: {
    value: 'N',
    description: 'to each node; a channel stays with its own',
    defaultText: '16, others 4',
    read: count(1, SOCKETS_MAX),
    group: TRAFFIC,
  },
  sender: {
    value: 'NAME',
    description: 'how UDP is sent; auto: native where the addon is',
    choices: ['auto', 'native', 'dgram'],
    default: 'auto',
    group: TRAFFIC,
  },
  merkle: {
    value: 'MS',
    description:
      'Merkle batches: one key signs a root over all channels (link, at most 65536), one in MS milliseconds at most; the node has --roots',
    read: duration('ms', 0, 60_000),
    group: TRAFFIC,
  },
  key: {
    value: KEY_VALUE,
    description: 'with --merkle: signs the roots, instead of a throw-away key',
    group: TRAFFIC,
  },
  seed: {
    value: 'N',
    description: 'of keys, channels and everything random',
    default: '1',
    read: count(0, SEED_MAX),
    group: TRAFFIC,
  },
  'keep-channels': { description: 'leaves the channels at the node', group: TRAFFIC },
  'loss-max': {
    value: 'SHARE',
    description: 'a share is a percentage, or a fraction like 0.001',
    defaultText: '0.1%',
    read: share,
    group: BOUNDS,
  },
  'refused-max': { value: 'SHARE', description: 'of those sent', defaultText: '0', read: share, group: BOUNDS },
  slo: {
    value: 'MS',
    description: 'for p99, like 5 or 5ms',
    defaultText: '100, for a ramp 10',
    read: duration('ms', 0.001, 3_600_000),
    group: BOUNDS,
  },
  drop: fraction('is not sent'),
  dup: fraction('is sent twice'),
  reorder: fraction("is sent after its channel's next one"),
  'corrupt-signature': fraction('is spoilt'),
  stale: fraction('is for an amount of before'),
  corpus: anyOption('FILE', 'sends claims signed ahead; FILE is made where there is none', FILES),
  'corpus-claims': {
    value: 'N',
    description: 'how many it gets',
    defaultText: 'what all rates and durations need',
    read: count(1, CORPUS_CLAIMS_MAX),
    group: FILES,
  },
  pcap: anyOption('OUT', 'writes what was sent as a capture (udp, IPv4)', FILES),
  'pcap-claims': {
    value: 'N',
    description: 'at most so many claims of it',
    default: '100000',
    read: count(1, CAPTURE_CLAIMS_MAX),
    group: FILES,
  },
  replay: anyOption(
    'FILE',
    "sends a capture's claims again, as captured or at --rate; opens and reconciles nothing: a run of load's own needs --keep-channels for its channels to be there",
    FILES,
  ),
  attack: {
    value: 'NAME',
    description:
      'sends hostile traffic of --seed at --rate, counts what is answered, and asks the node what it counted',
    choices: Object.keys(ATTACKS) as AttackName[],
    group: ATTACK,
  },
  datagrams: {
    value: 'N',
    description: 'ends after so many, before --duration',
    read: count(1, DATAGRAMS_MAX),
    group: ATTACK,
  },
  connections: {
    value: 'N',
    description: 'at most as many as ulimit -n lets be',
    defaultText: '10000 for connections, 1000 for slow-tcp, else 16',
    read: count(1, CONNECTIONS_MAX),
    group: ATTACK,
  },
  'use-channels': {
    description: "names the node's own open channels: invalid-signatures alone",
    group: ATTACK,
  },
  'allow-remote': { description: 'attacks a node that is not on loopback, which must be yours', group: ATTACK },
  hgrm: anyOption('OUT', "latency percentiles as HdrHistogram text; a ramp's at its knee", FILES),
  report: anyOption('OUT.html', 'the result as one self-contained page', FILES),
  http: {
    ...NODE_OPTIONS.http,
    description: "the node's admin interface; of a cluster those of all its nodes, with commas",
    read: (text: string) => text.split(',').map(NODE_OPTIONS.http.read),
  },
  'token-file': {
    ...NODE_OPTIONS['token-file'],
    description: 'its token, for changes and signatures; of a cluster one for all nodes, or one for each',
    read: (text: string) => text.split(','),
  },
} as const satisfies OptionSpecs;

/** A name, its transport, and what it sends; a line fits 80 columns. */
function attackLines(): string {
  const { length } = 'invalid-signatures  ';
  return Object.entries(ATTACKS)
    .map(([name, { transport, summary }]) => `  ${name.padEnd(length)}${transport.padEnd(5)}${summary}`)
    .join('\n');
}

export type LoadValues = Values<typeof OPTIONS>;

export const command = defineCommand({
  name: 'load',
  summary: 'loads a node with signed claims and measures it',
  description: `opens channels at a node, sends individually signed claims open loop, each at its own intended time, and asks the node afterwards whether every acknowledged amount is there. Latency counts from the intended time. Keys and channels come from --seed; the channels are marked as throw-away, and removed at the end.`,
  options: OPTIONS,
  examples: [
    ['claimwire load --to udp://127.0.0.1:9393', 'as many claims as the node takes, for 10 seconds'],
    ['claimwire load --to udp://127.0.0.1:9393 --rate 200k --report load.html', 'a page to look at'],
    [
      'claimwire load --to udp://a:9393,udp://b:9393 --http a:9394,b:9394',
      'the nodes of a cluster, each with its own channels',
    ],
    [
      'claimwire load --to udp://127.0.0.1:9393 --attack mixed --datagrams 1M',
      'hostile datagrams of every kind, and whether the node counted each',
    ],
    ['claimwire load --to tcp://127.0.0.1:9393 --ramp 50k:500k:50k --slo 5ms', 'the highest rate with a p99 of 5 ms'],
  ],
  notes: `The run has passed where three figures keep their bounds, something was acknowledged, and
no acknowledged amount is missing:
  loss     claims that never reached the node, by its own count, or were never
           answered, whichever is more, of those sent; acks are cumulative, so a
           lost claim may count as acknowledged by a newer one's ack
  refused  claims refused, of those sent, but for what --corrupt-signature and
           the like explain
  p99      of the corrected latency, over all acknowledged claims

The last line of stdout under --json is the result as one object, "outcome" PASS, FAIL or
INTERRUPTED, "checks" with each figure and its bound. Files are tried before the run and
written after the result is printed.

--attack, with --to udp://, tcp:// or http:// (the admin interface):
${attackLines()}
It opens throw-away channels where it needs some. The datagrams sent have to be those that the
node received and those its kernel dropped, and every claim received has a reason. Of a train
that it drops the kernel counts one, so only \`mixed\`, which sends none, adds up exactly.

Exit code: 0 PASS, 1 FAIL, INTERRUPTED or a file that could not be written, 2 usage. An attack: 1 where
the node does not answer afterwards or has claims without a reason, or nobody listens at the address.`,
  act: async (values) => {
    if (values.merkle !== undefined) return loadMerkle(values, values.merkle);
    if (values.key !== undefined)
      usage('--key: expected --merkle beside it, got none; single claims are signed by throw-away keys');
    if (values.attack !== undefined) return attack(values, values.attack);
    const load = await readRun(values);
    for (const flag of ['hgrm', 'report', 'pcap'] as const)
      if (values[flag] !== undefined) expectWritable(values[flag], `--${flag}`);
    // A corpus that exists is read.
    if (values.corpus !== undefined && !existsSync(values.corpus)) expectWritable(values.corpus, '--corpus');
    const { result, captureFault } = await runLoad(
      load,
      loadWatcher(load.settings.rates.length, load.settings.durationMs),
    );
    if (values.json) writeJson(result);
    else say(resultText(result));
    const faults = captureFault === undefined ? [] : [`--pcap ${captureFault}`];
    if (values.hgrm !== undefined) faults.push(...save(values.hgrm, '--hgrm', percentileText(result)));
    if (values.report !== undefined) faults.push(...save(values.report, '--report', renderReport(result)));
    for (const fault of faults) complain(`claimwire: ${fault}`);
    return result.pass && faults.length === 0 ? 0 : 1;
  },
});
export const { run } = command;

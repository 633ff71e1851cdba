/**
 * `claimwire load`: loads a node with signed claims at a pace of its own, and says what came of every one.
 *
 * Main thread of its own process; the load itself runs in a thread (src/load/generator-thread.ts).
 */
import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { CLAIMS_PER_DATAGRAM_MAX } from '../protocol/layout.ts';
import { ClaimwireError } from '../src/errors.ts';
import { parseNodeAddress } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';
import { boundsFor, type LoadBounds } from '../src/load/bounds.ts';
import { parseRamp } from '../src/load/ramp.ts';
import { renderReport } from '../src/load/report/report.ts';
import type { LoadInterval } from '../src/load/result.ts';
import { type LoadRun, type LoadWatcher, runLoad } from '../src/load/run.ts';
import { type Arrivals, parseArrivals } from '../src/load/schedule.ts';
import type { FaultFractions, LoadSettings, SenderChoice, Target } from '../src/load/settings.ts';
import { parseSkew } from '../src/load/skew.ts';
import { percentileText, resultText } from '../src/load/text.ts';
import { asUsage, COMMON_FLAGS, NODE_FLAGS, NODE_FLAGS_HELP, readArgs, required, usage, wholeNumber } from './args.ts';
import { expectWritable, save } from './files.ts';

const HELP = `Usage: claimwire load --to udp://H:P|tcp://H:P [--rate R|max] [--duration S]
                      [--channels N] [--slo MS] [--ramp FROM:TO:STEP] [--json] …

Opens channels at a node, sends individually signed claims open loop, each at its own
intended time, and asks the node afterwards whether every acknowledged amount is there.
Latency counts from the intended time. Keys and channels come from --seed; the channels are
marked as throw-away, and removed at the end.

The run has passed where three figures keep their bounds, something was acknowledged, and
no acknowledged amount is missing:
  loss                   claims that never reached the node, by its own count, or were never
                         answered, whichever is more, of those sent; acks are cumulative, so
                         a lost claim may count as acknowledged by a newer one's ack
  refused                claims refused, of those sent, but for what --corrupt-signature and
                         the like explain
  p99                    of the corrected latency, over all acknowledged claims

  --to udp://H:P|tcp://H:P  where the node takes claims
  --rate R|max           claims a second; max: as many as --window allows (default)
  --duration S           seconds measured, of each rate; default 10
  --warmup S             seconds before that, in no figure; default 1
  --drain S              seconds acks are waited for at the end; default 1
  --ramp FROM:TO:STEP    one rate after the other; finds the knee, the highest that left
                         whole and kept the bounds
  --loss-max SHARE       default 0.1%; a share is a percentage, or a fraction like 0.001
  --refused-max SHARE    default 0
  --slo MS               for p99; default 100, for a ramp 10
  --arrivals constant|poisson|burst:N   when claims are meant to leave; default constant
  --channels N           default 1000
  --keys N               default one per channel, at most 1000
  --skew uniform|zipf:S  how claims spread over the channels; default uniform
  --per-datagram 1..15   claims in a datagram, at most; default 15
  --window N             claims unacknowledged under --rate max; default 6000
  --inflight-max N       claims tracked under a rate, older ones are given up; default 2097152
  --sockets N            a channel stays with its own; default 16, tcp 4
  --sender auto|native|dgram   how UDP is sent; default auto: native where the addon is
  --seed N               of keys, channels and everything random; default 1
  --keep-channels        leaves the channels at the node

  --drop F, --dup F, --reorder F, --corrupt-signature F, --stale F
                         that fraction of the claims is not sent, sent twice, sent after
                         its channel's next one, spoilt, or for an amount of before
  --corpus FILE          sends claims signed ahead; FILE is made where there is none
  --corpus-claims N      how many it gets; default what all rates and durations need
  --pcap OUT             writes what was sent as a capture (udp, IPv4)
  --pcap-claims N        at most so many claims of it; default 100000
  --replay FILE.pcap     sends a capture's claims again, as captured or at --rate; opens
                         and reconciles nothing: a run of load's own needs --keep-channels
                         for its channels to be there

  --hgrm OUT             latency percentiles as HdrHistogram text; a ramp's at its knee
  --report OUT.html      the result as one self-contained page
${NODE_FLAGS_HELP}

The last line of stdout under --json is the result as one object, "outcome" PASS, FAIL or
INTERRUPTED, "checks" with each figure and its bound. Files are tried before the run and
written after the result is printed. Exit code: 0 PASS, 1 FAIL, INTERRUPTED or a file that
could not be written, 2 usage.
`;

const OPTIONS = {
  ...NODE_FLAGS,
  ...COMMON_FLAGS,
  to: { type: 'string' },
  rate: { type: 'string' },
  duration: { type: 'string', default: '10' },
  warmup: { type: 'string', default: '1' },
  drain: { type: 'string', default: '1' },
  ramp: { type: 'string' },
  slo: { type: 'string' },
  'loss-max': { type: 'string' },
  'refused-max': { type: 'string' },
  'keep-channels': { type: 'boolean', default: false },
  arrivals: { type: 'string', default: 'constant' },
  channels: { type: 'string', default: '1000' },
  keys: { type: 'string' },
  skew: { type: 'string', default: 'uniform' },
  'per-datagram': { type: 'string', default: String(CLAIMS_PER_DATAGRAM_MAX) },
  window: { type: 'string', default: '6000' },
  'inflight-max': { type: 'string', default: String(2 ** 21) },
  sockets: { type: 'string' },
  sender: { type: 'string', default: 'auto' },
  seed: { type: 'string', default: '1' },
  drop: { type: 'string', default: '0' },
  dup: { type: 'string', default: '0' },
  reorder: { type: 'string', default: '0' },
  'corrupt-signature': { type: 'string', default: '0' },
  stale: { type: 'string', default: '0' },
  corpus: { type: 'string' },
  'corpus-claims': { type: 'string' },
  pcap: { type: 'string' },
  'pcap-claims': { type: 'string', default: '100000' },
  replay: { type: 'string' },
  hgrm: { type: 'string' },
  report: { type: 'string' },
} as const;

type Values = ReturnType<typeof readArgs<typeof OPTIONS>>['values'];

const RATE_MAX = 100_000_000;
const CHANNELS_MAX = 4_000_000;
const KEYS_DEFAULT_MAX = 1_000;
const SECONDS_MAX = 86_400;
const SOCKETS_MAX = 1_024;
const SOCKETS_DEFAULT = { udp: 16, tcp: 4 } as const;
const INFLIGHT_MAX = 2 ** 26;
const SEED_MAX = 2 ** 32 - 1;
const CORPUS_CLAIMS_MAX = 40_000_000;
const CAPTURE_CLAIMS_MAX = 10_000_000;

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, OPTIONS);
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (positionals.length > 0) usage(`load: expected flags only, got ${JSON.stringify(positionals[0])}`);
  const load = await readRun(values);
  for (const flag of ['hgrm', 'report', 'pcap'] as const)
    if (values[flag] !== undefined) expectWritable(values[flag], `--${flag}`);
  // A corpus that is there is read.
  if (values.corpus !== undefined && !existsSync(values.corpus)) expectWritable(values.corpus, '--corpus');
  const { result, captureFault } = await runLoad(load, watcher());
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : resultText(result));
  const faults = captureFault === undefined ? [] : [`--pcap ${captureFault}`];
  if (values.hgrm !== undefined) faults.push(...save(values.hgrm, '--hgrm', percentileText(result)));
  if (values.report !== undefined) faults.push(...save(values.report, '--report', renderReport(result)));
  for (const fault of faults) process.stderr.write(`claimwire: ${fault}\n`);
  return result.pass && faults.length === 0 ? 0 : 1;
}

async function readRun(values: Values): Promise<LoadRun> {
  const target = await readTarget(required(values.to, '--to', 'udp://HOST:PORT or tcp://HOST:PORT'));
  const settings = readSettings(values, target);
  if (values.replay !== undefined && (values.ramp !== undefined || settings.corpus !== undefined))
    usage('--replay: expected neither --ramp nor --corpus beside it, got one');
  if (values.replay !== undefined && Object.values(settings.faults).some((fraction) => fraction > 0))
    usage('--replay: expected no faults beside it, got some; a capture is sent as it is');
  if (settings.corpus !== undefined && settings.faults.stale > 0)
    usage('--stale: expected no --corpus beside it, got one; its claims are signed already');
  if (settings.capture !== undefined && (target.protocol !== 'udp' || !isIPv4(target.host)))
    usage(`--pcap: expected udp over IPv4, got ${values.to}`);
  return {
    settings,
    to: values.to!,
    bounds: readBounds(values),
    isRamp: values.ramp !== undefined,
    replayFile: values.replay,
    keepChannels: values['keep-channels'],
    admin: AdminClient.open({ http: values.http, tokenFile: values['token-file'] }),
  };
}

function readBounds(values: Values): LoadBounds {
  const given: Partial<LoadBounds> = {};
  if (values['loss-max'] !== undefined) given.lossMax = share(values['loss-max'], '--loss-max');
  if (values['refused-max'] !== undefined) given.refusedMax = share(values['refused-max'], '--refused-max');
  if (values.slo !== undefined) given.sloMs = decimal(values.slo, '--slo', 0.001, 3_600_000);
  return boundsFor(given, values.ramp !== undefined);
}

function readSettings(values: Values, target: Target): LoadSettings {
  const channels = wholeNumber(values.channels, '--channels', 1, CHANNELS_MAX);
  const socketsDefault = String(Math.min(channels, SOCKETS_DEFAULT[target.protocol]));
  const rates = readRates(values);
  const durationMs = 1_000 * decimal(values.duration, '--duration', 0.001, SECONDS_MAX);
  const warmupMs = 1_000 * decimal(values.warmup, '--warmup', 0, SECONDS_MAX);
  const settings: LoadSettings = {
    target,
    sender: oneOf<SenderChoice>(values.sender, '--sender', ['auto', 'native', 'dgram']),
    seed: wholeNumber(values.seed, '--seed', 0, SEED_MAX),
    channels,
    keys: wholeNumber(values.keys ?? String(Math.min(channels, KEYS_DEFAULT_MAX)), '--keys', 1, channels),
    rates,
    durationMs,
    warmupMs,
    drainMs: 1_000 * decimal(values.drain, '--drain', 0, SECONDS_MAX),
    perDatagram: wholeNumber(values['per-datagram'], '--per-datagram', 1, CLAIMS_PER_DATAGRAM_MAX),
    arrivals: readArrivals(values.arrivals),
    zipf: parseSkew(values.skew) ?? usage(`--skew: expected uniform or zipf:S like zipf:1.0, got ${values.skew}`),
    sockets: wholeNumber(values.sockets ?? socketsDefault, '--sockets', 1, Math.min(channels, SOCKETS_MAX)),
    window: wholeNumber(values.window, '--window', 1, INFLIGHT_MAX),
    inflightMax: wholeNumber(values['inflight-max'], '--inflight-max', 1, INFLIGHT_MAX),
    faults: readFaults(values),
    corpus: undefined,
    capture: undefined,
  };
  if (values.corpus !== undefined)
    settings.corpus = { file: values.corpus, claims: corpusClaims(values['corpus-claims'], settings) };
  if (values.pcap !== undefined)
    settings.capture = {
      file: values.pcap,
      claims: wholeNumber(values['pcap-claims'], '--pcap-claims', 1, CAPTURE_CLAIMS_MAX),
    };
  return settings;
}

/** HOST:PORT behind the scheme; a name is looked up once. */
async function readTarget(to: string): Promise<Target> {
  const { scheme, host, port } = asUsage(() => parseNodeAddress(to, ['udp', 'tcp'], '--to'));
  try {
    return { protocol: scheme, host: (await lookup(host)).address, port };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new ClaimwireError('NODE_UNREACHABLE', `--to: expected a host that has an address, got ${code} for ${host}`);
  }
}

function readRates({ rate, ramp }: Values): (number | null)[] {
  if (ramp === undefined) return [rate === undefined || rate === 'max' ? null : readRate(rate)];
  if (rate !== undefined) usage('--ramp: expected no --rate beside it, got one');
  return parseRamp(ramp) ?? usage(`--ramp: expected FROM:TO:STEP like 10000:100000:10000, got ${ramp}`);
}

function readRate(text: string): number {
  return decimal(text, '--rate', 0.001, RATE_MAX);
}

function readArrivals(text: string): Arrivals {
  return parseArrivals(text) ?? usage(`--arrivals: expected constant, poisson or burst:N, got ${JSON.stringify(text)}`);
}

function readFaults(values: Values): FaultFractions {
  const fraction = (name: 'drop' | 'dup' | 'reorder' | 'corrupt-signature' | 'stale') =>
    decimal(values[name], `--${name}`, 0, 1);
  const faults = {
    drop: fraction('drop'),
    dup: fraction('dup'),
    reorder: fraction('reorder'),
    corruptSignature: fraction('corrupt-signature'),
    stale: fraction('stale'),
  };
  const sum = Object.values(faults).reduce((total, value) => total + value, 0);
  if (sum > 1) usage(`faults: expected fractions of at most 1 together, got ${sum}`);
  return faults;
}

/** What the rates need, with the warm-ups; nobody knows for --rate max. */
function corpusClaims(text: string | undefined, { rates, durationMs, warmupMs }: LoadSettings): number {
  if (text !== undefined) return wholeNumber(text, '--corpus-claims', 1, CORPUS_CLAIMS_MAX);
  let claims = 0;
  for (const rate of rates) {
    if (rate === null) return usage('--corpus: expected --corpus-claims N beside --rate max, got none');
    claims += Math.ceil((rate * (durationMs + warmupMs)) / 1_000);
  }
  if (claims <= CORPUS_CLAIMS_MAX) return claims;
  return usage(
    `--corpus: expected at most ${CORPUS_CLAIMS_MAX} claims, the rates need ${claims}; give --corpus-claims`,
  );
}

function decimal(text: string, flag: string, minimum: number, maximum: number): number {
  const value = /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  return usage(`${flag}: expected a number from ${minimum} to ${maximum}, got ${JSON.stringify(text)}`);
}

/** A fraction of 0 to 1, or a percentage of 0 to 100 with its sign. */
function share(text: string, flag: string): number {
  return text.endsWith('%') ? decimal(text.slice(0, -1), flag, 0, 100) / 100 : decimal(text, flag, 0, 1);
}

function oneOf<Name extends string>(text: string, flag: string, names: readonly Name[]): Name {
  const expected = `${flag}: expected ${names.join(' or ')}, got ${JSON.stringify(text)}`;
  return names.find((name) => name === text) ?? usage(expected);
}

/** Progress goes to stderr, whatever stdout is for. The first SIGINT or SIGTERM ends the run, a second one the process. */
function watcher(): LoadWatcher {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  return {
    progress: say,
    interval: ({ atSeconds, sentPerSecond, ackedPerSecond, p50Ms, p99Ms }: LoadInterval, waiting) =>
      say(
        `${atSeconds.toFixed(0).padStart(4)} s  sent ${Math.round(sentPerSecond)}/s  acked ${Math.round(ackedPerSecond)}/s  p50 ${p50Ms.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms  ${waiting} waiting`,
      ),
    step: ({ requestedRate, ackedRate, latency, unanswered }) => {
      if (requestedRate !== null)
        say(
          `at ${requestedRate}/s: ${Math.round(ackedRate)}/s acked, p99 ${latency.p99Ms.toFixed(2)} ms, ${unanswered} unanswered`,
        );
    },
    onStop(stop) {
      let isStopping = false;
      const onSignal = () => {
        if (isStopping) process.exit(1);
        isStopping = true;
        say('stopping; once more to end at once, which leaves the channels at the node');
        stop();
      };
      for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);
    },
  };
}

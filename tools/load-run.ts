/** Makes a run (src/load/run.ts) of the options of `claimwire load`, and checks options that depend on each other. */
import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { parseSeeds } from '../src/client/route/seeds.ts';
import { ClaimwireError } from '../src/errors.ts';
import { parseNodeAddress } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';
import { boundsFor } from '../src/load/bounds.ts';
import type { LoadRun } from '../src/load/run.ts';
import {
  type FaultFractions,
  LOAD_DEFAULTS,
  type LoadBounds,
  type LoadSettings,
  type Target,
} from '../src/load/settings.ts';
import { asUsage, usage } from './args.ts';
import type { LoadValues } from './load.ts';
import { adminAddress } from './options.ts';

const SOCKETS_DEFAULT = { udp: LOAD_DEFAULTS.sockets, tcp: 4, tls: 4, ws: 4, 'webrtc+http': 4 } as const;
const CORPUS_CLAIMS_MAX = 40_000_000;

/** Throws USAGE, or NODE_UNREACHABLE when the node's name has no address. */
export async function readRun(values: LoadValues): Promise<LoadRun> {
  const seeds = asUsage(() => parseSeeds(values.to));
  const target = await readTarget(seeds[0]!);
  if (seeds.length > 1) expectCluster(values, seeds);
  const settings = readSettings(values, target, seeds.length);
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
    to: values.to,
    bounds: readBounds(values),
    isRamp: values.ramp !== undefined,
    replayFile: values.replay,
    keepChannels: values['keep-channels'],
    admins: readAdmins(values),
    seeds: seeds.length > 1 ? seeds : undefined,
  };
}

/** What a load over several nodes can be asked for: its claims are signed anew where a channel has another holder. */
function expectCluster(values: LoadValues, seeds: readonly string[]): void {
  for (const seed of seeds) asUsage(() => parseNodeAddress(seed, ['udp'], '--to with several nodes'));
  for (const flag of ['corpus', 'replay', 'pcap'] as const)
    if (values[flag] !== undefined) usage(`--${flag}: expected one address in --to beside it, got ${seeds.length}`);
}

/** A token for all nodes, or one for each. */
function readAdmins(values: LoadValues): AdminClient[] {
  const { http, 'token-file': files = [undefined] } = values;
  if (files.length !== 1 && files.length !== http.length)
    return usage(`--token-file: expected one, or ${http.length} as --http has, got ${files.length}`);
  return http.map((each, index) =>
    AdminClient.open(adminAddress({ http: each, 'token-file': files[files.length === 1 ? 0 : index] })),
  );
}

function readBounds(values: LoadValues): LoadBounds {
  const given: Partial<LoadBounds> = {};
  if (values['loss-max'] !== undefined) given.lossMax = values['loss-max'];
  if (values['refused-max'] !== undefined) given.refusedMax = values['refused-max'];
  if (values.slo !== undefined) given.sloMs = values.slo;
  return boundsFor(given, values.ramp !== undefined);
}

/** @param nodes that --to names: with several each gets fewer sockets, which the generator reads one by one */
function readSettings(values: LoadValues, target: Target, nodes: number): LoadSettings {
  const { channels } = values;
  const settings: LoadSettings = {
    ...LOAD_DEFAULTS,
    target,
    sender: values.sender,
    seed: values.seed,
    channels,
    keys: atMost(values.keys ?? Math.min(channels, LOAD_DEFAULTS.keys), channels, '--keys'),
    rates: readRates(values),
    durationMs: values.duration,
    warmupMs: values.warmup,
    drainMs: values.drain,
    perDatagram: values['per-datagram'],
    arrivals: values.arrivals,
    zipf: values.skew,
    sockets: atMost(
      values.sockets ?? Math.min(channels, Math.ceil(SOCKETS_DEFAULT[target.protocol] / nodes)),
      channels,
      '--sockets',
    ),
    window: values.window,
    inflightMax: values['inflight-max'],
    faults: readFaults(values),
  };
  if (values.corpus !== undefined)
    settings.corpus = { file: values.corpus, claims: values['corpus-claims'] ?? corpusClaims(settings) };
  if (values.pcap !== undefined) settings.capture = { file: values.pcap, claims: values['pcap-claims'] };
  return settings;
}

function atMost(value: number, channels: number, flag: string): number {
  return value <= channels ? value : usage(`${flag}: expected at most as many as --channels ${channels}, got ${value}`);
}

/** Reads HOST:PORT after the scheme; a name is looked up once. */
async function readTarget(to: string): Promise<Target> {
  const { scheme, host, port } = asUsage(() =>
    parseNodeAddress(to, ['udp', 'tcp', 'tls', 'ws', 'webrtc+http'], '--to'),
  );
  try {
    return { protocol: scheme, host: (await lookup(host)).address, port };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new ClaimwireError('NODE_UNREACHABLE', `--to: expected a host that has an address, got ${code} for ${host}`);
  }
}

function readRates({ rate, ramp }: LoadValues): (number | null)[] {
  if (ramp === undefined) return [rate ?? null];
  if (rate !== undefined) usage('--ramp: expected no --rate beside it, got one');
  return ramp;
}

function readFaults(values: LoadValues): FaultFractions {
  const { drop, dup, reorder, stale, 'corrupt-signature': corruptSignature } = values;
  const faults = { drop, dup, reorder, corruptSignature, stale };
  const sum = Object.values(faults).reduce((total, value) => total + value, 0);
  return sum <= 1 ? faults : usage(`faults: expected fractions of at most 1 together, got ${sum}`);
}

/** How many claims the rates and warm-ups need; unknown for --rate max. */
function corpusClaims({ rates, durationMs, warmupMs }: LoadSettings): number {
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

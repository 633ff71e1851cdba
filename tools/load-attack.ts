/** `claimwire load --attack NAME`: what its options mean together, and its result. Main thread. */
import { lookup } from 'node:dns/promises';
import { ClaimwireError } from '../src/errors.ts';
import { type HostPort, hostPortText, isLoopback, parseHostPort, parseNodeAddress } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';
import { ATTACKS, type AttackName } from '../src/load/attack/kinds.ts';
import { type AttackRun, runAttack } from '../src/load/attack/run.ts';
import { attackText, isInVain } from '../src/load/attack/text.ts';
import { LOAD_DEFAULTS } from '../src/load/settings.ts';
import { asUsage, usage } from './args.ts';
import type { LoadValues } from './load.ts';
import { stopAtSignals } from './load-watcher.ts';
import { adminAddress } from './options.ts';
import { output, say, writeJson } from './output.ts';
import { Progress } from './progress.ts';

/** Options of an honest load that an attack has no use for. */
const HONEST = ['ramp', 'corpus', 'replay', 'pcap', 'hgrm', 'report', 'loss-max', 'refused-max', 'slo'] as const;
const CONNECTIONS_DEFAULT: Partial<Record<AttackName, number>> = { connections: 10_000, 'slow-tcp': 1_000 };
const CONNECTIONS_FEW = 16;
/** Every source is a bucket and a queue of its own at the node. */
const SOCKETS_DEFAULT = 4;

/** Returns the exit code. Throws USAGE, and what src/load/attack/run.ts throws. */
export async function attack(values: LoadValues, name: AttackName): Promise<number> {
  for (const flag of HONEST)
    if (values[flag] !== undefined)
      usage(`--attack: expected no --${flag} beside it, got one; that is for honest claims`);
  const target = await readTarget(values, name);
  if (values['use-channels'] && name !== 'invalid-signatures')
    usage(
      `--use-channels: expected --attack invalid-signatures, got ${name}; nobody can sign for the node's own channels`,
    );
  const progress = new Progress();
  const run: AttackRun = {
    attack: name,
    to: values.to,
    target,
    seed: values.seed,
    rate: values.rate ?? null,
    durationMs: values.duration,
    datagramsMax: values.datagrams ?? Number.POSITIVE_INFINITY,
    sockets: values.sockets ?? SOCKETS_DEFAULT,
    perDatagram: values['per-datagram'],
    connections: values.connections ?? CONNECTIONS_DEFAULT[name] ?? CONNECTIONS_FEW,
    channels: values.channels ?? LOAD_DEFAULTS.channels,
    useChannels: values['use-channels'],
    admin: AdminClient.open(adminAddress({ http: values.http[0]!, 'token-file': values['token-file']?.[0] })),
  };
  const result = await runAttack(run, {
    progress: (text) => progress.line(text),
    onStop: (stop) => stopAtSignals(stop, (text) => progress.line(text)),
  });
  if (output.json) writeJson(result);
  else say(attackText(result));
  const { isUp, sums } = result;
  return isUp === false || isInVain(result) || (sums !== null && sums.claims.missing !== 0) ? 1 : 0;
}

async function readTarget(values: LoadValues, name: AttackName): Promise<HostPort> {
  const { transport } = ATTACKS[name];
  const given =
    transport === 'http' ? readHttp(values.to) : asUsage(() => parseNodeAddress(values.to, [transport], '--to'));
  let host = given.host;
  try {
    host = (await lookup(given.host)).address;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ClaimwireError('NODE_UNREACHABLE', `--to: expected a host that has an address, got ${code} for ${host}`);
  }
  if (!isLoopback(host) && !values['allow-remote'])
    usage(
      `--to: expected an address of loopback, as an attack on a machine that is not yours is a crime, got ${hostPortText({ ...given, host })}; if the node is yours, add --allow-remote`,
    );
  return { host, port: given.port };
}

function readHttp(to: string): HostPort {
  const address = parseHostPort(/^http:\/\/(.*?)\/?$/i.exec(to)?.[1] ?? '');
  return address !== undefined && address.port > 0
    ? address
    : usage(`--to: expected http://HOST:PORT of the admin interface, got ${to}`);
}

/**
 * `claimwire node`: runs a node until SIGTERM or SIGINT. stdout carries two JSON lines, ready and stopped; logs go to
 * stderr.
 */

import type { Durability, LayoutName, NodeOptions, PathKind, SocketKind, VerifyPolicy } from '../src/config.ts';
import { log } from '../src/log.ts';
import { type ServingNode, serve } from '../src/serve.ts';
import { BACKEND_NAMES, type BackendChoice } from '../src/verify/backend.ts';
import { byteSize, hostPort, readArgs, readFile, required, usage, wholeNumber } from './args.ts';

const HELP = `Usage: claimwire node [--data DIR] [--udp H:P] [--http H:P]
                      [--backend auto|${BACKEND_NAMES.join('|')}] [--layout auto|lanes|pipeline]

Runs a node. The first line on stdout is {"event":"ready",…}, the last, after
SIGTERM, SIGINT or SIGHUP, {"event":"stopped",…}; logs go to stderr. Where nobody
reads them any more, it goes on without.

  --data DIR               registry, journal and admin token; default ./data
  --udp H:P                where claims come in; default 127.0.0.1:9393, port 0 picks one
  --tcp H:P                where connections are taken; default the UDP address
  --tls-cert FILE          PEM certificate and key: TCP is TLS then
  --tls-key FILE
  --tcp-connections N      most connections of a listener, one per lane; default 4096
  --tcp-connections-per-address N
                           of these from one address; default 1024
  --http H:P               admin interface; default 127.0.0.1:9394, port 0 picks one
  --backend NAME           what verifies signatures; default auto: the fastest that
                           passes its self-test
  --layout NAME            lanes: each thread runs every step, from its own socket to its
                           own journal; the default where sockets and backend are native
                           pipeline: net thread, verifiers, commit thread
  --lanes N                threads (lanes); default one per core
  --verifiers N            verifier threads (pipeline); default one per core
  --sockets NAME           native: batches of datagrams, by the addon; dgram: node's own;
                           default auto: native where it is there
  --path NAME              native: plain claims run through the addon's loops; portable: the
                           same in TypeScript; default auto: native where it is there
  --durability NAME        sync: on stable storage before it is acknowledged (default)
                           os: only written, so a loss of power may take acknowledged claims
  --verify NAME            every claim (default), or newest: of a channel's claims in one
                           batch only the newest, which settles the older ones
  --key-cache SIZE         memory for key tables, like 512M; default a quarter of the
                           free memory, at most 1G
  --channels-max N         room in the channel table; default 2097152, or twice what is stored
  --ring-slots N           claims in flight, a power of two; default by the backend's speed
  --checkpoint-seconds N   longest time between checkpoints; default 30
  --journal-block BYTES    what each write to the journal is aligned to: 4096 (default), or
                           512 for a disk known to write sectors of 512 bytes
  --cut-journal            start on a damaged or missing journal with what lies before the
                           damage; the rest is moved aside, never overwritten
  --help                   this text

Exit code: 0 stopped by a signal, 1 could not start or go on, 2 usage.
`;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** While draining these end the process at once. A closing terminal may say SIGHUP twice. */
const CUTTING_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** After a failure the drain may be what fails: longer than a drain takes that does not. */
const FAILED_STOP_MS_MAX = 15_000;

/** Runs the command; resolves to the exit code. */
export async function run(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const serving = await serve(options);
  const { node, http } = serving;
  // Before the ready line: whoever reads it may ask for a stop at once.
  const signal = nextSignal();
  print({
    event: 'ready',
    udp: node.udp,
    tcp: node.tcp,
    tls: node.config.tls !== undefined,
    http,
    backend: node.backend,
    kernel: node.kernelName,
    verifiers: node.verifiers,
    channels: node.channelCount,
    pid: process.pid,
    layout: node.config.layout,
    lanes: node.config.lanes,
    sockets: node.config.sockets,
    path: node.config.path,
    durability: node.config.durability,
    verify: node.config.verify,
  });
  return await untilStopped(serving, signal);
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.on(name, () => resolve(name));
  });
}

async function untilStopped({ node, stop }: ServingNode, signal: Promise<string>): Promise<number> {
  const reason = await Promise.race([signal, node.failed.catch((error: Error) => error)]);
  for (const name of CUTTING_SIGNALS) process.once(name, endAtOnce);
  if (reason instanceof Error) {
    // What is in the ring is still committed and acknowledged; nothing else is saved: recovery reads the journal.
    log('error', reason.message);
    const late = setTimeout(endAtOnce, FAILED_STOP_MS_MAX);
    await stop();
    clearTimeout(late);
    return 1;
  }
  log('info', `${reason}: draining`);
  const totals = await stop();
  if (node.failure !== undefined) {
    log('error', `while draining: ${node.failure.message}`);
    return 1;
  }
  print({ event: 'stopped', ...totals });
  return 0;
}

/** process.exit waits for every thread, and one may wait for a disk that does not answer. The journal bears kill -9. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
  // A container's first process can't do that to itself.
  process.exit(1);
}

function readOptions(args: string[]): NodeOptions | undefined {
  const { values, positionals } = readArgs(args, {
    data: { type: 'string' },
    udp: { type: 'string' },
    tcp: { type: 'string' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'tcp-connections': { type: 'string' },
    'tcp-connections-per-address': { type: 'string' },
    http: { type: 'string' },
    verifiers: { type: 'string' },
    backend: { type: 'string' },
    layout: { type: 'string' },
    lanes: { type: 'string' },
    sockets: { type: 'string' },
    path: { type: 'string' },
    durability: { type: 'string' },
    verify: { type: 'string' },
    'key-cache': { type: 'string' },
    'channels-max': { type: 'string' },
    'ring-slots': { type: 'string' },
    'checkpoint-seconds': { type: 'string' },
    'journal-block': { type: 'string' },
    'cut-journal': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) return undefined;
  if (positionals.length > 0) usage(`node: expected flags only, got ${JSON.stringify(positionals[0])}`);
  const options: NodeOptions = { cutJournal: values['cut-journal'] ?? false };
  if (values.data !== undefined) options.data = values.data;
  if (values.udp !== undefined) options.udp = hostPort(values.udp, '--udp');
  if (values.tcp !== undefined) options.tcp = hostPort(values.tcp, '--tcp');
  if (values['tls-cert'] !== undefined || values['tls-key'] !== undefined)
    options.tls = {
      cert: readFile(required(values['tls-cert'], '--tls-cert', 'a PEM file, as --tls-key is there'), '--tls-cert'),
      key: readFile(required(values['tls-key'], '--tls-key', 'a PEM file, as --tls-cert is there'), '--tls-key'),
    };
  if (values['tcp-connections'] !== undefined)
    options.tcpConnections = wholeNumber(values['tcp-connections'], '--tcp-connections', 1, 65_536);
  if (values['tcp-connections-per-address'] !== undefined)
    options.tcpConnectionsPerAddress = wholeNumber(
      values['tcp-connections-per-address'],
      '--tcp-connections-per-address',
      1,
      65_536,
    );
  if (values.http !== undefined) options.http = hostPort(values.http, '--http');
  if (values.verifiers !== undefined) options.verifiers = wholeNumber(values.verifiers, '--verifiers', 1, 64);
  if (values.backend !== undefined)
    options.backend = oneOf<BackendChoice>(values.backend, '--backend', ['auto', ...BACKEND_NAMES]);
  if (values.layout !== undefined)
    options.layout = oneOf<LayoutName | 'auto'>(values.layout, '--layout', ['auto', 'lanes', 'pipeline']);
  if (values.lanes !== undefined) options.lanes = wholeNumber(values.lanes, '--lanes', 1, 64);
  if (values.sockets !== undefined)
    options.sockets = oneOf<SocketKind | 'auto'>(values.sockets, '--sockets', ['auto', 'native', 'dgram']);
  if (values.path !== undefined)
    options.path = oneOf<PathKind | 'auto'>(values.path, '--path', ['auto', 'native', 'portable']);
  if (values.durability !== undefined)
    options.durability = oneOf<Durability>(values.durability, '--durability', ['sync', 'os']);
  if (values.verify !== undefined) options.verify = oneOf<VerifyPolicy>(values.verify, '--verify', ['every', 'newest']);
  if (values['key-cache'] !== undefined) options.keyCacheBytes = byteSize(values['key-cache'], '--key-cache');
  if (values['channels-max'] !== undefined)
    options.channelsMax = wholeNumber(values['channels-max'], '--channels-max', 1, 20_000_000);
  if (values['ring-slots'] !== undefined)
    options.ringSlots = wholeNumber(values['ring-slots'], '--ring-slots', 16, 65_536);
  if (values['journal-block'] !== undefined)
    options.journalBlockBytes = Number(oneOf(values['journal-block'], '--journal-block', ['4096', '512']));
  if (values['checkpoint-seconds'] !== undefined)
    options.checkpointSeconds = wholeNumber(values['checkpoint-seconds'], '--checkpoint-seconds', 1, 86_400);
  return options;
}

function oneOf<Name extends string>(text: string, flag: string, names: readonly Name[]): Name {
  return (
    names.find((name) => name === text) ?? usage(`${flag}: expected ${names.join(' or ')}, got ${JSON.stringify(text)}`)
  );
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

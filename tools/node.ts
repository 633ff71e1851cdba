/**
 * `claimwire node`: runs a node until SIGTERM or SIGINT. stdout carries two JSON lines, ready and stopped; logs go to
 * stderr.
 */

import { type Logger, lineLogger } from '../src/log.ts';
import type { NodeStartOptions } from '../src/node.ts';
import { type ServingNode, serve } from '../src/serve.ts';
import { BACKEND_NAMES } from '../src/verify/backend.ts';
import { hostPort, readFile, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { DATA_OPTION, type OptionSpecs, type Values } from './options.ts';
import { count, duration, size } from './units.ts';

const ADDRESSES = 'Where it listens:';
const TLS = 'TCP and TLS:';
const MACHINE = 'How it uses the machine:';
const DURABLE = 'What is on the disk:';
const LOG = 'What it says (on stderr):';
const CONNECTIONS_MAX = 65_536;

/** Also of `claimwire demo`. */
export const LOG_OPTIONS = {
  'log-level': {
    value: 'LEVEL',
    description: 'the least that is told',
    choices: ['info', 'warn', 'error', 'none'],
    default: 'info',
    group: LOG,
  },
  'log-format': { value: 'NAME', description: 'how', choices: ['text', 'json'], default: 'text', group: LOG },
} as const satisfies OptionSpecs;

/** Also of `claimwire demo`. */
export const BACKEND_OPTION = {
  value: 'NAME',
  description: 'what verifies signatures; auto is the fastest that passes its self-test',
  choices: ['auto', ...BACKEND_NAMES],
  default: 'auto',
  env: 'CLAIMWIRE_BACKEND',
  group: MACHINE,
} as const;

const OPTIONS = {
  data: DATA_OPTION,
  udp: {
    value: 'H:P',
    description: 'claims; port 0 picks one',
    default: '127.0.0.1:9393',
    read: hostPort,
    group: ADDRESSES,
  },
  tcp: {
    value: 'H:P',
    description: 'connections',
    defaultText: 'the UDP address',
    read: hostPort,
    group: ADDRESSES,
  },
  http: {
    value: 'H:P',
    description: 'the admin interface; port 0 picks one',
    default: '127.0.0.1:9394',
    env: 'CLAIMWIRE_HTTP',
    read: (text: string, flag: string) => hostPort(text.replace(/^http:\/\/([^/]*)\/?$/, '$1'), flag),
    group: ADDRESSES,
  },
  'http-host': {
    value: 'NAME',
    description: 'a name by which the admin interface may be called, beside its address and localhost; repeatable',
    repeatable: true,
    group: ADDRESSES,
  },
  'tls-cert': { value: 'FILE', description: 'PEM certificate: with it and its key, TCP is TLS', group: TLS },
  'tls-key': { value: 'FILE', description: 'PEM key of the certificate', group: TLS },
  'tcp-connections': {
    value: 'N',
    description: 'most connections of a listener, one per lane',
    defaultText: '4096',
    read: count(1, CONNECTIONS_MAX),
    group: TLS,
  },
  'tcp-connections-per-address': {
    value: 'N',
    description: 'of these from one address',
    defaultText: '1024',
    read: count(1, CONNECTIONS_MAX),
    group: TLS,
  },
  backend: BACKEND_OPTION,
  layout: {
    value: 'NAME',
    description:
      'lanes: each thread runs every step, from its own socket to its own journal. pipeline: net thread, verifiers, commit thread. auto: lanes where sockets and backend are native',
    choices: ['auto', 'lanes', 'pipeline'],
    default: 'auto',
    group: MACHINE,
  },
  lanes: {
    value: 'N',
    description: 'threads (lanes)',
    defaultText: 'one per core',
    read: count(1, 64),
    group: MACHINE,
  },
  verifiers: {
    value: 'N',
    description: 'verifier threads (pipeline)',
    defaultText: 'one per core',
    read: count(1, 64),
    group: MACHINE,
  },
  sockets: {
    value: 'NAME',
    description: "native: batches of datagrams, by the addon. dgram: node's own. auto: native where it is there",
    choices: ['auto', 'native', 'dgram'],
    default: 'auto',
    group: MACHINE,
  },
  coalesce: {
    value: 'MICROSECONDS',
    description: 'longest a lane near its limit waits for more before it reads',
    defaultText: '300',
    read: count(0, 10_000),
    group: MACHINE,
  },
  spins: {
    value: 'N',
    description: 'empty looks before a thread sleeps',
    defaultText: 'by cores',
    read: count(0, 1_000_000),
    group: MACHINE,
  },
  'key-cache': {
    value: 'SIZE',
    description: 'memory for key tables, like 512M',
    defaultText: 'a quarter of the free memory, at most 1G',
    read: size,
    group: MACHINE,
  },
  'channels-max': {
    value: 'N',
    description: 'room in the channel table, like 4M',
    defaultText: '2097152, or twice what is stored',
    read: count(1, 20_000_000),
    group: MACHINE,
  },
  'ring-slots': {
    value: 'N',
    description: 'claims in flight, a power of two',
    defaultText: "by the backend's speed",
    read: count(16, 65_536),
    group: MACHINE,
  },
  verify: {
    value: 'NAME',
    description:
      "every claim, or newest: of a channel's claims in one batch only the newest, which covers the older ones",
    choices: ['every', 'newest'],
    default: 'every',
    group: MACHINE,
  },
  durability: {
    value: 'NAME',
    description:
      'sync: on stable storage before it is acknowledged. os: only written, so a loss of power may take acknowledged claims',
    choices: ['sync', 'os'],
    default: 'sync',
    group: DURABLE,
  },
  'journal-sync': {
    value: 'NAME',
    description: 'where a lane syncs: inline, overlap (beside it)',
    choices: ['auto', 'inline', 'overlap'],
    defaultText: 'auto',
    group: DURABLE,
  },
  'journal-block': {
    value: 'BYTES',
    description: 'what each write to the journal is aligned to; 512 is for a disk known to write sectors of 512 bytes',
    choices: ['4096', '512'],
    default: '4096',
    group: DURABLE,
  },
  'checkpoint-seconds': {
    value: 'S',
    description: 'longest time between checkpoints, like 30s',
    default: '30',
    read: duration('s', 1, 86_400),
    group: DURABLE,
  },
  'cut-journal': {
    description:
      'start on a damaged or missing journal with what lies before the damage; the rest is moved aside, never overwritten',
    group: DURABLE,
  },
  ...LOG_OPTIONS,
} as const satisfies OptionSpecs;

export const command = defineCommand({
  name: 'node',
  summary: 'runs a node',
  description: 'runs a node until SIGTERM, SIGINT or SIGHUP.',
  options: OPTIONS,
  examples: [
    ['claimwire node', 'claims on UDP port 9393, admin on HTTP port 9394, data in ./data'],
    ['claimwire node --udp 0.0.0.0:9393 --log-format json', 'claims from a network'],
    ['claimwire node --config node.json --lanes 4', 'settings of a file, and one that goes before it'],
  ],
  notes: `The first line on stdout is {"event":"ready",…}, the last {"event":"stopped",…}, with or
without --json; logs go to stderr. Where nobody reads them any more, it goes on without.

Exit code: 0 stopped by a signal, 1 could not start or go on, 2 usage.`,
  act: async (values) => runNode(nodeOptions(values)),
});
export const { run } = command;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** While draining these end the process at once. A closing terminal may say SIGHUP twice. */
const CUTTING_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** After a failure the drain may be what fails: longer than a drain takes that does not. */
const FAILED_STOP_MS_MAX = 15_000;

async function runNode(options: NodeStartOptions & { logger: Logger }): Promise<number> {
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
    durability: node.config.durability,
    verify: node.config.verify,
  });
  return await untilStopped(serving, signal, options.logger);
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.on(name, () => resolve(name));
  });
}

async function untilStopped({ node, stop }: ServingNode, signal: Promise<string>, logger: Logger): Promise<number> {
  const reason = await Promise.race([signal, node.failed.catch((error: Error) => error)]);
  for (const name of CUTTING_SIGNALS) process.once(name, endAtOnce);
  if (reason instanceof Error) {
    // What is in the ring is still committed and acknowledged; nothing else is saved: recovery reads the journal.
    logger.error(reason.message);
    const late = setTimeout(endAtOnce, FAILED_STOP_MS_MAX);
    await stop();
    clearTimeout(late);
    return 1;
  }
  logger.info(`${reason}: draining`);
  const totals = await stop();
  if (node.failure !== undefined) {
    logger.error(`while draining: ${node.failure.message}`);
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

/** What is left out, the node decides. */
function nodeOptions(values: Values<typeof OPTIONS>): NodeStartOptions & { logger: Logger } {
  const tls = readTls(values['tls-cert'], values['tls-key']);
  const options: NodeStartOptions & { logger: Logger } = {
    data: values.data,
    udp: values.udp,
    tcp: values.tcp,
    http: values.http,
    httpHosts: values['http-host'],
    backend: values.backend,
    layout: values.layout,
    sockets: values.sockets,
    verify: values.verify,
    durability: values.durability,
    journalBlockBytes: Number(values['journal-block']),
    checkpointSeconds: Math.round(values['checkpoint-seconds'] / 1_000),
    cutJournal: values['cut-journal'],
    logger: lineLogger(values['log-level'], values['log-format']),
    ...(tls && { tls }),
  };
  if (values['tcp-connections'] !== undefined) options.tcpConnections = values['tcp-connections'];
  if (values['tcp-connections-per-address'] !== undefined)
    options.tcpConnectionsPerAddress = values['tcp-connections-per-address'];
  if (values.lanes !== undefined) options.lanes = values.lanes;
  if (values.verifiers !== undefined) options.verifiers = values.verifiers;
  if (values['journal-sync'] !== undefined) options.journalSync = values['journal-sync'];
  if (values.coalesce !== undefined) options.coalesceUs = values.coalesce;
  if (values['key-cache'] !== undefined) options.keyCacheBytes = values['key-cache'];
  if (values['channels-max'] !== undefined) options.channelsMax = values['channels-max'];
  if (values['ring-slots'] !== undefined) options.ringSlots = values['ring-slots'];
  if (values.spins !== undefined) options.spins = values.spins;
  return options;
}

function readTls(cert: string | undefined, key: string | undefined): { cert: string; key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) return usage('--tls-cert: expected a PEM file, as --tls-key is there, got nothing');
  if (key === undefined) return usage('--tls-key: expected a PEM file, as --tls-cert is there, got nothing');
  return { cert: readFile(cert, '--tls-cert'), key: readFile(key, '--tls-key') };
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

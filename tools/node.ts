/**
 * `claimwire node`: runs a node until SIGTERM or SIGINT. stdout carries two JSON lines, ready and stopped; logs go to
 * stderr.
 */

import type { LayoutName, NodeOptions } from '../src/config.ts';
import { log } from '../src/log.ts';
import { type ServingNode, serve } from '../src/serve.ts';
import { BACKEND_NAMES, type BackendChoice } from '../src/verify/backend.ts';
import { byteSize, hostPort, readArgs, usage, wholeNumber } from './args.ts';

const HELP = `Usage: claimwire node [--data DIR] [--udp H:P] [--http H:P] [--verifiers N]
                      [--backend auto|${BACKEND_NAMES.join('|')}] [--layout pipeline|lanes]

Runs a node. The first line on stdout is {"event":"ready",…}, the last, after
SIGTERM or SIGINT, {"event":"stopped",…}; logs go to stderr.

  --data DIR               registry, journal and admin token; default ./data
  --udp H:P                where claims come in; default 127.0.0.1:9393, port 0 picks one
  --http H:P               admin interface; default 127.0.0.1:9394, port 0 picks one
  --verifiers N            verifier threads (pipeline); default one per core
  --backend NAME           what verifies signatures; default auto: the fastest that
                           passes its self-test
  --layout NAME            pipeline: net thread, verifiers, commit thread (default)
                           lanes: one thread runs every step
  --key-cache SIZE         memory for key tables, like 512M; default a quarter of the
                           free memory, at most 1G
  --channels-max N         room in the channel table; default 2097152, or twice what is stored
  --ring-slots N           claims in flight, a power of two; default by the backend's speed
  --spins N                empty looks before a thread sleeps; default by cores
  --checkpoint-seconds N   longest time between checkpoints; default 30
  --cut-journal            start on a damaged journal with what lies before the damage;
                           the rest is moved aside, never overwritten
  --help                   this text

Exit code: 0 stopped by a signal, 1 could not start or go on, 2 usage.
`;

/** A second signal while draining ends the process at once. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

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
    http,
    backend: node.backend,
    kernel: node.kernelName,
    verifiers: node.verifiers,
    channels: node.channelCount,
    pid: process.pid,
    layout: node.config.layout,
  });
  return await untilStopped(serving, signal);
}

function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.once(name, () => resolve(name));
  });
}

async function untilStopped(serving: ServingNode, signal: Promise<string>): Promise<number> {
  const failure = serving.node.failed.catch((error: Error) => error);
  const reason = await Promise.race([signal, failure]);
  if (reason instanceof Error) {
    // Nothing is saved on the way out: what was acknowledged is in the journal, and recovery reads it from there.
    log('error', reason.message);
    process.exit(1);
  }
  log('info', `${reason}: draining`);
  for (const name of SIGNALS) process.once(name, () => process.exit(1));
  print({ event: 'stopped', ...(await serving.stop()) });
  return 0;
}

function readOptions(args: string[]): NodeOptions | undefined {
  const { values, positionals } = readArgs(args, {
    data: { type: 'string' },
    udp: { type: 'string' },
    http: { type: 'string' },
    verifiers: { type: 'string' },
    backend: { type: 'string' },
    layout: { type: 'string' },
    'key-cache': { type: 'string' },
    'channels-max': { type: 'string' },
    'ring-slots': { type: 'string' },
    spins: { type: 'string' },
    'checkpoint-seconds': { type: 'string' },
    'cut-journal': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help) return undefined;
  if (positionals.length > 0) usage(`node: expected flags only, got ${JSON.stringify(positionals[0])}`);
  const options: NodeOptions = { cutJournal: values['cut-journal'] ?? false };
  if (values.data !== undefined) options.data = values.data;
  if (values.udp !== undefined) options.udp = hostPort(values.udp, '--udp');
  if (values.http !== undefined) options.http = hostPort(values.http, '--http');
  if (values.verifiers !== undefined) options.verifiers = wholeNumber(values.verifiers, '--verifiers', 1, 64);
  if (values.backend !== undefined)
    options.backend = oneOf<BackendChoice>(values.backend, '--backend', ['auto', ...BACKEND_NAMES]);
  if (values.layout !== undefined) options.layout = oneOf<LayoutName>(values.layout, '--layout', ['pipeline', 'lanes']);
  if (values['key-cache'] !== undefined) options.keyCacheBytes = byteSize(values['key-cache'], '--key-cache');
  if (values['channels-max'] !== undefined)
    options.channelsMax = wholeNumber(values['channels-max'], '--channels-max', 1, 20_000_000);
  if (values['ring-slots'] !== undefined)
    options.ringSlots = wholeNumber(values['ring-slots'], '--ring-slots', 16, 65_536);
  if (values.spins !== undefined) options.spins = wholeNumber(values.spins, '--spins', 0, 1_000_000);
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

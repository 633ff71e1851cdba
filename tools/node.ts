/**
 * `claimwire node`: runs a node until SIGTERM or SIGINT. stdout carries two JSON lines, ready and stopped; logs go to
 * stderr.
 */
import type { Logger } from '../src/log.ts';
import { type ServeOptions, type ServingNode, serve } from '../src/serve.ts';
import { defineCommand } from './command.ts';
import type { ReadyLine } from './demo-node.ts';
import { nodeOptions, SERVER_OPTIONS } from './node-options.ts';
import { readyRows, stoppedText } from './node-text.ts';
import { rowText } from './output.ts';

export const command = defineCommand({
  name: 'node',
  summary: 'runs a node',
  description: 'runs a node until SIGTERM, SIGINT or SIGHUP.',
  options: SERVER_OPTIONS,
  examples: [
    ['claimwire node', 'claims on UDP port 9393, admin on HTTP port 9394, data in ./data'],
    ['claimwire node --udp 0.0.0.0:9393 --log-format json', 'claims from a network'],
    ['claimwire node --ledger wss://s1.ripple.com --account rPAYEE', 'opens channels from the ledger and watches them'],
    ['claimwire node --config node.json --lanes 4', 'settings of a file, and one that goes before it'],
  ],
  notes: `The first line on stdout is {"event":"ready",…}, the last {"event":"stopped",…}; on a
terminal they are text, unless --json is given. Logs go to stderr. Where nobody reads them
any more, it goes on without.

Exit code: 0 stopped by a signal, 1 could not start or go on, 2 usage.`,
  act: async (values) => runNode(nodeOptions(values), values.json || !process.stdout.isTTY),
});
export const { run } = command;

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** While the node drains, these signals end the process at once. A closing terminal may send SIGHUP twice. */
const CUTTING_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** After a failure the drain itself may hang, so it gets this long: more than a working drain needs. */
const FAILED_STOP_MS_MAX = 15_000;

async function runNode(options: ServeOptions & { logger: Logger }, forPrograms: boolean): Promise<number> {
  const serving = await serve(options);
  // Installed before the ready line is printed, as its reader may stop the node at once.
  const signal = nextSignal();
  const ready = readyLine(serving);
  if (forPrograms) print(ready);
  else printRows(readyRows(ready));
  return await untilStopped(serving, signal, options.logger, forPrograms);
}

/** What the ready line says of a node. */
export function readyLine({ node, http, ledger }: ServingNode): ReadyLine {
  return {
    event: 'ready',
    udp: node.udp,
    tcp: node.tcp,
    tls: node.config.tls !== undefined,
    web: node.web === '' ? null : node.web,
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
    store: node.stats().store,
    verify: node.config.verify,
    ledger: ledger?.health() ?? null,
  };
}

export function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const name of SIGNALS) process.on(name, () => resolve(name));
  });
}

/**
 * Runs until a signal or a failure. Resolves to the exit code.
 * @param forPrograms whether stdout gets JSON
 */
export async function untilStopped(
  { node, stop }: Pick<ServingNode, 'node' | 'stop'>,
  signal: Promise<string>,
  logger: Logger,
  forPrograms: boolean,
): Promise<number> {
  const reason = await Promise.race([signal, node.failed.catch((error: Error) => error)]);
  for (const name of CUTTING_SIGNALS) process.once(name, endAtOnce);
  if (reason instanceof Error) {
    // Claims in the ring are still committed and acknowledged. Nothing else has to be saved: recovery reads the journal.
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
  if (forPrograms) print({ event: 'stopped', ...totals });
  else printRows([['stopped', stoppedText(totals)]]);
  return 0;
}

/** process.exit would wait for every thread, and one may wait for a disk that does not answer. The journal survives SIGKILL. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
  // The first process of a container cannot kill itself.
  process.exit(1);
}

export function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

export function printRows(rows: [string, string][]): void {
  process.stdout.write(rows.map(([label, text]) => `${rowText(label, text)}\n`).join(''));
}

#!/usr/bin/env node
/**
 * `claimwire`: finds the command, runs it, turns errors into one line and an exit code. 0 fine, 1 failed, 2 usage.
 *
 * Main thread. Commands load when asked for: `claimwire --help` must not map a database.
 */
import { ClaimwireError } from '../src/errors.ts';
import { packageVersion } from '../src/version.ts';

// Node opens a debugger's port on SIGUSR1, for anybody on this machine; a node's operator never asked for one.
process.on('SIGUSR1', () => {});

interface Command {
  summary: string;
  /** It does more than print and end: without a reader it goes on, and ends as it would have. */
  isLasting?: true;
  load(): Promise<{ run(args: string[]): Promise<number> }>;
}

const COMMANDS: Record<string, Command> = {
  node: { summary: 'runs a node', isLasting: true, load: () => import('./node.ts') },
  keygen: { summary: 'makes a key for payment channels', load: () => import('./keygen.ts') },
  channel: { summary: 'opens, imports, lists, shows, updates, closes channels', load: () => import('./channel.ts') },
  pay: { summary: 'sends one signed claim and prints its ack', load: () => import('./pay.ts') },
  load: {
    summary: 'loads a node with signed claims and measures it',
    isLasting: true,
    load: () => import('./load.ts'),
  },
  settle: { summary: 'makes the transactions that redeem the best claims', load: () => import('./settle.ts') },
  decode: { summary: 'shows the claims and acks in hex or a capture', load: () => import('./decode.ts') },
  journal: { summary: 'verifies a journal', load: () => import('./journal.ts') },
  demo: {
    summary: 'a node and a payer on this machine, for a look',
    isLasting: true,
    load: () => import('./demo.ts'),
  },
};

const HELP = `Usage: claimwire COMMAND [ARGUMENTS]

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
  .join('\n')}

  claimwire COMMAND --help says what it takes.
  claimwire --version

Exit code: 0 fine, 1 failed, 2 usage.
`;

const FLUSH_MS_MAX = 2_000;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? process.stderr : process.stdout).write(HELP);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    process.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    const names = Object.keys(COMMANDS).join(', ');
    return report(new ClaimwireError('USAGE', `command: expected one of ${names}, got ${JSON.stringify(name)}`), args);
  }
  try {
    const command = await COMMANDS[name]!.load();
    return await command.run(args);
  } catch (error) {
    return report(error, args);
  }
}

function report(error: unknown, args: string[]): number {
  const coded = error instanceof ClaimwireError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (args.includes('--json')) {
    const fields = coded === undefined ? { code: 'NODE_FAILED' } : { ...coded.details, code: coded.code };
    process.stdout.write(`${JSON.stringify({ error: { ...fields, message } }, jsonValue)}\n`);
  }
  // A fault of ours keeps its stack: one line would not let anybody find it.
  const text = coded === undefined && error instanceof Error ? (error.stack ?? message) : message;
  process.stderr.write(`claimwire: ${text}\n`);
  return coded?.code === 'USAGE' ? 2 : 1;
}

function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/** What was printed is with the system, or its reader is gone. A reader that takes nothing does not keep the process. */
async function flushed(): Promise<void> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
  );
  const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS_MAX).unref());
  await Promise.race([Promise.all(written), late]);
}

const [name] = process.argv.slice(2);
const isLasting = name !== undefined && Object.hasOwn(COMMANDS, name) && COMMANDS[name]!.isLasting === true;
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isLasting) return;
    // A reader that has seen enough (`claimwire channel list | head`) closes the pipe: that is no failure.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

const code = await main(process.argv.slice(2));
await flushed();
// Whatever a command left open: it has ended.
process.exit(code);

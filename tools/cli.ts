#!/usr/bin/env node
/**
 * The process of `claimwire`: it runs a command line (program.ts), waits until what was printed is read, and ends.
 */
import { COMMANDS } from './commands.ts';
import { runProgram } from './program.ts';

// On SIGUSR1 Node.js would open a debugger's port to anybody on this machine; a node's operator did not ask for one.
process.on('SIGUSR1', () => {});

/** How long a lasting command waits for the reader of its log; other commands wait as long as their reader needs. */
const FLUSH_MS_MAX = 10_000;

/** Resolves when the system has what was printed, or its reader is gone. */
async function flushed(): Promise<void> {
  const written = [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
  );
  const late = new Promise<void>((resolve) => isLasting && setTimeout(resolve, FLUSH_MS_MAX));
  await Promise.race([Promise.all(written), late]);
}

const [name] = process.argv.slice(2);
const isLasting = name !== undefined && Object.hasOwn(COMMANDS, name) && COMMANDS[name]!.isLasting === true;
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isLasting) return;
    // A reader that has enough (`claimwire channel list | head`) closes the pipe, which is no failure.
    if (error.code === 'EPIPE') process.exit(0);
    // The terminal itself is gone. Node.js wants to set it back when it ends, and aborts with a dump where that fails.
    if (error.code === 'EIO') process.kill(process.pid, 'SIGKILL');
    throw error;
  });

const code = await runProgram(process.argv.slice(2));
await flushed();
// The command has ended, whatever it left open.
process.exit(code);

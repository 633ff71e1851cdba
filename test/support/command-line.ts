/**
 * Runs command lines of the compiled program in this process: starting a process costs more than most commands do. What is about
 * the process itself (signals, pipes, its end) starts one, see node-process.ts.
 *
 * One command at a time, since what it prints is taken from this process's own streams.
 */
import { vi } from 'vitest';
import type * as Program from '../../tools/program.ts';

const { runProgram } = (await import('../../dist/tools/program.js' as string)) as typeof Program;

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** A command that lasts goes on hearing signals, for which this process has no use. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs a command to its end, with the same exit code and the same texts as in a process of its own. */
export async function claimwire(...args: string[]): Promise<Ended> {
  const ended = { code: 0, stdout: '', stderr: '' };
  const before = SIGNALS.map((name) => process.listeners(name));
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      ended[name] += String(text);
      return true;
    }),
  );
  try {
    ended.code = await runProgram(args);
  } finally {
    for (const spy of spies) spy.mockRestore();
    for (const [index, name] of SIGNALS.entries())
      for (const listener of process.listeners(name))
        if (!before[index]!.includes(listener)) process.removeListener(name, listener);
  }
  return ended;
}

/** Files that a command writes when it ends. They are tried before it starts, and a failure loses nothing printed. Main thread. */
import { closeSync, constants, existsSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { usage } from './args.ts';

/** Checks that the file can be opened for writing, so that a wrong path does not waste a run. Leaves it as it was. */
export function expectWritable(file: string, flag: string): void {
  const isThere = existsSync(file);
  try {
    // Opening a FIFO without a reader would block.
    closeSync(openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK));
    if (!isThere) unlinkSync(file);
  } catch (error) {
    usage(`${flag} ${file}: expected a file that can be written, got ${reasonOf(error)}`);
  }
}

/** Returns what went wrong, if anything, rather than throw: the next file may still be written. */
export function save(file: string, flag: string, text: string): string[] {
  try {
    writeFileSync(file, text);
    return [];
  } catch (error) {
    return [`${flag} ${file}: expected a file that can be written, got ${reasonOf(error)}`];
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

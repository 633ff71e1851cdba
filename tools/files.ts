/** Files that a command writes at its end: tried before it begins, and no loss to what it printed. Main thread. */
import { closeSync, constants, existsSync, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { usage } from './args.ts';

/** Opens the file as the end of the run will: a path that cannot be written must not cost a run. Leaves it as it was. */
export function expectWritable(file: string, flag: string): void {
  const isThere = existsSync(file);
  try {
    // A FIFO without a reader would wait for one.
    closeSync(openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK));
    if (!isThere) unlinkSync(file);
  } catch (error) {
    usage(`${flag} ${file}: expected a file that can be written, got ${reasonOf(error)}`);
  }
}

/** What went wrong, if anything: the result is printed by now, and the next file may be fine. */
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

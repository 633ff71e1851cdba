/**
 * Ends the processes of a test and removes its folder when the test's own process dies, in whatever way: a shell waits for the
 * end of a pipe that only that process holds. Processes are those that work in the folder, stopped ones too.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Once nobody can write to its input any more, ends what works in the folder and removes it. A line says that this was done. */
const WATCHDOG = `
  read -r line && exit
  for round in 1 2 3 4 5; do
    found=
    for process in /proc/[0-9]*; do
      case "$(readlink "$process/cwd")" in "$1"/*) kill -9 "\${process#/proc/}"; found=yes;; esac
    done
    [ -z "$found" ] && break
    sleep 0.1
  done 2>/dev/null
  rm -rf "$1"`;

export class Watchdog {
  readonly #child: ChildProcess;

  /** @param folder its real path: processes work in folders below it */
  constructor(folder: string) {
    this.#child = spawn('sh', ['-c', WATCHDOG, 'sh', folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#child.unref();
  }

  /** The test has ended its processes itself. */
  done(): void {
    this.#child.stdin!.end('done\n');
  }
}

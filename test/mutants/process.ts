/** Runs a program with a limit of time; at the limit it is killed with all that it has started. */
import { spawn } from 'node:child_process';

export interface Ended {
  /** Null where it was killed. */
  code: number | null;
  /** Both of its outputs, the last of it where it is long. */
  output: string;
  isLate: boolean;
}

const OUTPUT_CHARACTERS_MAX = 1 << 20;
const running = new Set<number>();

export function run(command: string, args: readonly string[], cwd: string, limitMs: number): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, NODE_NO_WARNINGS: '1', FORCE_COLOR: '0' };
    const child = spawn(command, args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: environment });
    const { pid } = child;
    if (pid !== undefined) running.add(pid);
    let output = '';
    let isLate = false;
    const take = (chunk: Buffer) => {
      output = (output + chunk).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(pid!);
    }, limitMs);
    const end = () => {
      clearTimeout(timer);
      if (pid !== undefined) running.delete(pid);
    };
    child.on('error', (error) => {
      end();
      reject(error);
    });
    child.on('close', (code) => {
      end();
      resolve({ code, output, isLate });
    });
  });
}

/** For who is interrupted: nothing that was started goes on. */
export function killAll(): void {
  for (const pid of running) killGroup(pid);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

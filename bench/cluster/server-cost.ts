/** Processor time of the PostgreSQL servers that the bench started: every process of them works in its server's data folder. */
import { readdirSync, readlinkSync } from 'node:fs';
import { processorSeconds } from '../node-under-test.ts';

export class ServerCost {
  static #folder = '';
  readonly #before = ServerCost.#perProcess();

  /** @param folder which has the servers' folders */
  static of(folder: string): void {
    ServerCost.#folder = folder;
  }
  static begin(): ServerCost {
    return new ServerCost();
  }

  /** Since it began. A process that has ended since is left out. */
  seconds(): number {
    let sum = 0;
    for (const [pid, seconds] of ServerCost.#perProcess()) sum += seconds - (this.#before.get(pid) ?? 0);
    return sum;
  }

  static #perProcess(): Map<number, number> {
    const found = new Map<number, number>();
    for (const pid of readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)) {
      try {
        if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(ServerCost.#folder)) continue;
      } catch {
        // It has ended, or belongs to somebody else.
        continue;
      }
      const seconds = processorSeconds(pid);
      if (Number.isFinite(seconds)) found.set(pid, seconds);
    }
    return found;
  }
}

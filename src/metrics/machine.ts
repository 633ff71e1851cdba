/** What a node's process has of its machine, or of its container: memory against its limit, room on the disk. Main thread. */
import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { nodeSystem, type System } from '../system/system.ts';

/** All in bytes. */
export interface MachineState {
  /** What the system cannot take back: without the pages of files, which the registry maps. */
  readonly memoryUsed: number;
  readonly memoryLimit: number;
  /** Of the file system of the data folder; undefined until it has answered. */
  readonly disk: { readonly free: number; readonly size: number } | undefined;
}

/** What it is read from; for tests. */
export interface MachineSource {
  /** The text of /proc/self/status, or undefined where there is none. */
  status(): string | undefined;
  memory: System['memory'];
  statfs(path: string): Promise<{ bsize: number; blocks: number; bavail: number }>;
}

const realMachine: MachineSource = {
  status: () => {
    try {
      return readFileSync('/proc/self/status', 'utf8');
    } catch {
      return undefined;
    }
  },
  memory: nodeSystem.memory,
  statfs,
};

export class Machine {
  readonly #path: string | undefined;
  readonly #source: MachineSource;
  #disk: MachineState['disk'];
  #isAsking = false;

  /** @param path the data folder; without it nothing is told of the disk */
  constructor(path: string | undefined, source: MachineSource = realMachine) {
    this.#path = path;
    this.#source = source;
    this.#askDisk();
  }

  /** The disk's state is that of the call before: a disk that hangs makes nobody wait. */
  state(): MachineState {
    this.#askDisk();
    const { resident, limit } = this.#source.memory();
    return { memoryUsed: this.#memoryUsed() ?? resident, memoryLimit: limit, disk: this.#disk };
  }

  #memoryUsed(): number | undefined {
    const status = this.#source.status();
    const kibibytes = (field: string) => Number(status?.match(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm'))?.[1]);
    const used = (kibibytes('RssAnon') + kibibytes('RssShmem')) * 1_024;
    return Number.isNaN(used) ? undefined : used;
  }

  #askDisk(): void {
    if (this.#path === undefined || this.#isAsking) return;
    this.#isAsking = true;
    const told = ({ bsize, blocks, bavail }: { bsize: number; blocks: number; bavail: number }) => {
      this.#disk = { free: bavail * bsize, size: blocks * bsize };
    };
    void this.#source
      .statfs(this.#path)
      .then(told, () => {})
      .finally(() => {
        this.#isAsking = false;
      });
  }
}

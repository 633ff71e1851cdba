/**
 * A disk that fails or hangs when a test says so: a library preloaded into a node (faulty-disk.c).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export class FaultyDisk {
  readonly #folder = mkdtempSync(join(tmpdir(), 'claimwire-faulty-'));

  constructor() {
    const source = resolve(import.meta.dirname, 'faulty-disk.c');
    const run = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', this.#library, source, '-ldl'], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`expected cc to make ${this.#library}, got ${run.stderr ?? run.error}`);
  }
  get #library(): string {
    return join(this.#folder, 'faulty-disk.so');
  }
  get #fault(): string {
    return join(this.#folder, 'fault');
  }

  /** For the node's environment. */
  get env(): Record<string, string> {
    return { LD_PRELOAD: this.#library, CLAIMWIRE_TEST_FAULT: this.#fault };
  }
  /** From now on calls for files whose path holds `word` fail with EIO, hang, or take 2 ms; `late`: its syncs take 1.2 s. */
  set(kind: 'eio' | 'hang' | 'slow' | 'late', word: string): void {
    writeFileSync(this.#fault, `${kind} ${word}\n`);
  }
  mend(): void {
    rmSync(this.#fault, { force: true });
  }
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

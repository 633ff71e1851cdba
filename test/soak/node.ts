/** The node that is soaked, as an operator runs it, and the samples that are taken of it from outside. Main thread. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AdminClient } from '../../src/http/client.ts';
import type { Sample } from './judge.ts';

export const CLI = 'dist/tools/cli.js';
const START_MS_MAX = 60_000;

export interface ReadyLine {
  udp: string;
  tcp: string;
  http: string;
}

export class SoakedNode {
  readonly data: string;
  readonly ready: ReadyLine;
  readonly admin: AdminClient;
  readonly exit: Promise<number | null>;
  readonly #child: ChildProcess;
  /** p99s of single seconds since the last sample, as the node measures them. */
  #p99s: number[] = [];
  readonly #feed = new AbortController();

  private constructor(data: string, ready: ReadyLine, child: ChildProcess) {
    this.data = data;
    this.ready = ready;
    this.#child = child;
    this.admin = AdminClient.open({ http: `http://${ready.http}`, tokenFile: join(data, 'admin-token') });
    this.exit = new Promise((done) => child.once('exit', done));
    void this.#follow();
  }

  static async start(data: string, flags: readonly string[]): Promise<SoakedNode> {
    const own = ['--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0', '--checkpoint-seconds', '5'];
    const child = spawn(process.execPath, [CLI, 'node', ...own, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout! });
    const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(START_MS_MAX) })) as [string];
    return new SoakedNode(data, JSON.parse(line) as ReadyLine, child);
  }

  /** Rejects where the node is gone. */
  async sample(seconds: number): Promise<Sample> {
    const { pid } = this.#child;
    const response = await fetch(`http://${this.ready.http}/metrics`);
    const heap = /^nodejs_heap_size_used_bytes (\S+)$/m.exec(await response.text())?.[1];
    const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    const p99s = this.#p99s.sort((left, right) => left - right);
    this.#p99s = [];
    return {
      seconds,
      residentBytes: Number(resident) * 1_024,
      heapBytes: Number(heap),
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      folderBytes: bytesOf(this.data),
      p99Ms: p99s[p99s.length >> 1] ?? 0,
    };
  }

  /** SIGTERM; the exit code. */
  async stop(): Promise<number | null> {
    this.#feed.abort();
    this.#child.kill('SIGTERM');
    return this.exit;
  }
  kill(): void {
    this.#feed.abort();
    this.#child.kill('SIGKILL');
  }

  async #follow(): Promise<void> {
    try {
      for await (const { ack } of this.admin.samples({ signal: this.#feed.signal }))
        if (ack.count > 0) this.#p99s.push(ack.p99);
    } catch {
      // The node has ended, or is about to; whoever asks it next says so.
    }
  }
}

/** What the files take on the disk. They come and go meanwhile. */
function bytesOf(folder: string): number {
  let bytes = 0;
  for (const path of readdirSync(folder, { recursive: true }))
    bytes += 512 * (lstatSync(join(folder, String(path)), { throwIfNoEntry: false })?.blocks ?? 0);
  return bytes;
}

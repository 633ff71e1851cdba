/**
 * A node of the cluster in a process of its own, at an address that stays, with a network to the database that a test may cut.
 * A supervisor starts it again when it ends by itself, as one that was fenced does.
 */
import { randomInt } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { AdminClient } from '../../../src/http/client.ts';
import { CuttingProxy } from '../cutting-proxy.ts';
import { NodeProcess, type ReadyLine } from '../node-process.ts';
import type { PostgresServers } from '../postgres/servers.ts';
import type { PaidNode } from './raw-payer.ts';

/** How a node says that it was fenced: it ends by itself then. */
const FENCED = /another node took|was started twice|was taken over|was started elsewhere|which \S+ has now/;

export class ClusterNode implements PaidNode {
  readonly name: string;
  readonly port: number;
  readonly proxies: readonly CuttingProxy[];
  readonly #store: string;
  readonly #folder: string;
  #process: NodeProcess | undefined;
  #ready: ReadyLine | undefined;
  #isWanted = false;
  #starts = 0;
  #isPaused = false;
  /** Ends that nobody asked for, other than that of a fenced node. */
  readonly faults: string[] = [];
  /** How often it ended since it was fenced. */
  fencedEnds = 0;
  readonly log: (line: string) => void;

  private constructor(
    name: string,
    port: number,
    proxies: readonly CuttingProxy[],
    store: string,
    folder: string,
    log: (line: string) => void,
  ) {
    this.name = name;
    this.port = port;
    this.proxies = proxies;
    this.#store = store;
    this.#folder = folder;
    this.log = log;
  }

  static async make(
    name: string,
    servers: PostgresServers,
    serverNames: readonly string[],
    folder: string,
    log: (line: string) => void,
  ): Promise<ClusterNode> {
    const proxies: CuttingProxy[] = [];
    for (const server of serverNames) proxies.push(await CuttingProxy.start(() => servers.server(server).port));
    const store = servers.urlOf(...proxies.map(({ place }) => place));
    return new ClusterNode(name, await freePort(), proxies, store, folder, log);
  }

  get run(): string {
    return `${this.name}#${this.#starts}`;
  }
  /** What it has printed since its start. */
  get stderr(): string {
    return this.#process?.stderr ?? '';
  }
  get isReady(): boolean {
    return this.#ready !== undefined && !this.#isPaused;
  }
  get admin(): AdminClient {
    const { http } = this.#ready!;
    const tokenFile = join(this.#folder, this.name, 'admin-token');
    return AdminClient.open({
      http: `http://${http}`,
      tokenFile,
      forSignatures: true,
      signal: AbortSignal.timeout(5_000),
    });
  }

  start(): void {
    this.#isWanted = true;
    if (this.#process !== undefined) return;
    this.#starts++;
    this.log(`${this.run} starts`);
    const address = `127.0.0.1:${this.port}`;
    const flags = ['--udp', address, '--tcp', address, '--store', this.#store, '--node-name', this.name, '--cluster'];
    const small = ['--lanes', '1', '--channels-max', '4096', '--checkpoint-seconds', '5s', '--key-cache', '32M'];
    const data = join(this.#folder, this.name);
    mkdirSync(data, { recursive: true });
    // Where it works says whose it is: the watchdog ends it.
    const child = new NodeProcess(data, [...flags, ...small], undefined, { cwd: data });
    this.#process = child;
    child.ready.then(
      (line) => {
        if (this.#process === child) this.#ready = line;
        this.log(`${this.run} is ready`);
      },
      () => {},
    );
    void child.exit.then(({ code, signal }) => this.#ended(child, code, signal));
  }

  kill(): void {
    this.log(`${this.run} is killed`);
    this.#isWanted = false;
    this.resume();
    this.#process?.kill('SIGKILL');
  }

  /** SIGTERM: it gives its shards away first. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.log(`${this.run} is stopped`);
    this.#isWanted = false;
    this.#process?.kill('SIGTERM');
    await this.#process?.exit;
  }

  pause(): void {
    this.log(`${this.run} stands still`);
    this.#isPaused = true;
    this.#process?.kill('SIGSTOP');
  }
  resume(): void {
    if (!this.#isPaused) return;
    this.log(`${this.run} wakes`);
    this.#isPaused = false;
    this.#process?.kill('SIGCONT');
  }

  async ended(): Promise<void> {
    await this.#process?.exit;
  }

  cut(): void {
    for (const proxy of this.proxies) proxy.cut();
  }
  cutAfter(bytes: number): void {
    for (const proxy of this.proxies) proxy.cutAfter(bytes);
  }
  partition(): void {
    this.log(`${this.run} is parted from the database`);
    for (const proxy of this.proxies) proxy.hold();
  }
  join(): void {
    this.log(`${this.run} reaches the database`);
    for (const proxy of this.proxies) proxy.pass();
  }

  async close(): Promise<void> {
    this.kill();
    await this.ended();
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }

  #ended(child: NodeProcess, code: number | null, signal: string | null): void {
    if (this.#process !== child) return;
    this.#process = undefined;
    this.#ready = undefined;
    const last = child.stderr.trim().split('\n').slice(-3).join(' | ');
    appendFileSync(join(this.#folder, `${this.name}.log`), `${child.stderr}--- ended with ${code ?? signal}\n`);
    if (!this.#isWanted) {
      if (signal !== 'SIGKILL' && code !== 0 && !FENCED.test(child.stderr))
        this.faults.push(`${this.run}: its stop ended with ${code ?? signal}: ${last}`);
      return;
    }
    this.log(`${this.run} ended with ${code ?? signal}: ${last}`);
    if (code === 1 && FENCED.test(child.stderr)) this.fencedEnds++;
    else this.faults.push(`${this.run}: ended with ${code ?? signal}: ${last}`);
    setTimeout(() => {
      if (this.#isWanted) this.start();
    }, 100);
  }
}

/** Below those that the system gives to whoever asks for any, so that it is free again when the node is started again. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + randomInt(12_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise<void>((resolve) => server.close(() => resolve()));
    return port;
  }
}

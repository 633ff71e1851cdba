/**
 * A node under attack while honest payers pay: what they see, what the operator sees, and how much memory it takes.
 *
 * Everything is a process of its own: the node, two honest payers (`claimwire load`, open loop, one over UDP and one over
 * TCP) and the attacker (attackers/*.mjs), which is stopped half of the time, so that it never has more than half a core.
 * The same payers without an attacker, right before, are what an attack is compared with. Loopback only; every process
 * ends by itself.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { adminFlags, claimwire, NodeProcess, type ReadyLine } from '../support/node-process.ts';

/** What an attacker is told of its target. */
export interface Target {
  udp: string;
  tcp: string;
  http: string;
}

export interface Attack {
  name: string;
  /** File in attackers/. */
  script: string;
  /** Beside target and seconds. */
  options: Record<string, unknown>;
  /** How long it goes on. */
  seconds: number;
}

/** What one honest payer saw. */
interface PayerView {
  sent: number;
  unanswered: number;
  p50Ms: number;
  p99Ms: number;
}

export interface SiegeReport {
  name: string;
  udp: PayerView;
  tcp: PayerView;
  /** Of `GET /healthz` with a connection of its own each, while the attack went on. */
  healthz: { asked: number; failed: number; maxMs: number };
  /** Of `POST /channels` with the operator's token, likewise. */
  operator: { asked: number; failed: number; maxMs: number };
  /** Resident bytes of the node: before, at most meanwhile, and after. */
  rss: { before: number; peak: number; after: number };
  /** What each attacker printed: proof that it did something. */
  attackers: string[];
}

export const RATE_PER_PAYER = 2_000;
/** Stopped and let go on by turns. */
const THROTTLE_MS = 10;
const PROBE_MS = 100;
const PROBE_MS_MAX = 5_000;
/** What the payers need before the attack begins: opening their channels, and their own warm-up. */
const LEAD_MS = 2_500;
/** Longest wait for memory to come back. */
const RETURN_MS_MAX = 15_000;
export const MEMORY_BYTES_MAX = 128 * 2 ** 20;

/** Runs a node over `data`; hand it to `siege`. */
export async function startTarget(data: string): Promise<{ node: NodeProcess; ready: ReadyLine & Target }> {
  const node = new NodeProcess(data);
  return { node, ready: (await node.ready) as ReadyLine & Target };
}

/** How much longer than the attacks the payers go on. */
export const BESIDE_SECONDS = 2;

/** Honest payers for `seconds`, and from their start to just before their end the attacks, one after another, if any. */
export async function siege(
  { node, ready }: { node: NodeProcess; ready: ReadyLine & Target },
  data: string,
  seconds: number,
  attacks: readonly Attack[] = [],
): Promise<SiegeReport> {
  const before = residentBytes(node.pid);
  const payers = ['udp', 'tcp'].map((scheme, index) => honestPayer(ready, data, scheme, seconds, index + 1));
  // A failure is looked at when all have ended.
  for (const payer of payers) payer.catch(() => {});
  await sleep(LEAD_MS);
  const watch = new Watch(node.pid, ready, readFileSync(join(data, 'admin-token'), 'utf8').trim());
  const attackers: string[] = [];
  for (const attack of attacks) attackers.push((await new Attacker(attack, ready).ended).trim());
  if (attacks.length === 0) await sleep((seconds - BESIDE_SECONDS) * 1_000);
  const { healthz, operator, peak } = await watch.stop();
  const [udp, tcp] = (await Promise.all(payers)) as [PayerView, PayerView];
  const after = await settledBytes(node.pid, before + MEMORY_BYTES_MAX);
  return {
    name: attacks.map(({ name }) => name).join('; ') || 'quiet',
    udp,
    tcp,
    healthz,
    operator,
    rss: { before, peak, after },
    attackers,
  };
}

async function honestPayer(
  ready: Target & ReadyLine,
  data: string,
  scheme: string,
  seconds: number,
  seed: number,
): Promise<PayerView> {
  const { code, stdout, stderr } = await claimwire(
    ...['load', '--to', `${scheme}://${scheme === 'udp' ? ready.udp : ready.tcp}`, ...adminFlags(ready, data)],
    ...['--rate', String(RATE_PER_PAYER), '--duration', String(seconds), '--warmup', '1', '--drain', '2'],
    ...['--per-datagram', '1', '--channels', '100', '--seed', String(seed), '--json'],
  );
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{"startedAt"'))
    throw new Error(`honest payer over ${scheme}: exit code ${code}: ${stderr} ${last}`);
  const { steps } = JSON.parse(last) as {
    steps: { sent: number; unanswered: number; latency: { p50Ms: number; p99Ms: number } }[];
  };
  const { sent, unanswered, latency } = steps[0]!;
  return { sent, unanswered, p50Ms: latency.p50Ms, p99Ms: latency.p99Ms };
}

/** One attacker, stopped and let go on by turns until it ends. */
class Attacker {
  readonly ended: Promise<string>;

  constructor({ script: name, options, seconds }: Attack, { udp, tcp, http }: Target) {
    const script = resolve(import.meta.dirname, 'attackers', name);
    // Held to its share from outside: it need not do so itself.
    const portOf = (address: string) => Number(address.split(':').at(-1));
    const own = { port: portOf(tcp), udpPort: portOf(udp), http: `http://${http}`, seconds, share: 1 };
    const given = JSON.stringify({ ...own, ...options });
    const child: ChildProcess = spawn(process.execPath, [script, given], { stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    for (const stream of [child.stdout!, child.stderr!])
      stream.on('data', (chunk) => {
        printed += String(chunk);
      });
    let isStopped = false;
    const throttle = setInterval(() => {
      isStopped = !isStopped;
      child.kill(isStopped ? 'SIGSTOP' : 'SIGCONT');
    }, THROTTLE_MS);
    // One that does not end by itself is ended. On a busy machine one that is held to half of the time is long in connecting.
    const deadline = setTimeout(() => child.kill('SIGKILL'), (seconds + 15) * 1_000);
    this.ended = new Promise((done) => {
      child.once('close', (code) => {
        clearInterval(throttle);
        clearTimeout(deadline);
        done(code === 0 ? printed : `exit code ${code}: ${printed}`);
      });
    });
  }
}

/** Asks the node how it is, as its operator would, and looks at its memory. */
class Watch {
  readonly #pid: number;
  readonly #http: string;
  readonly #token: string;
  #isOver = false;
  #peak = 0;
  readonly #loops: Promise<{ asked: number; failed: number; maxMs: number }>[];
  readonly #sampling: NodeJS.Timeout;
  #opened = 0;

  constructor(pid: number, { http }: Target, token: string) {
    this.#pid = pid;
    this.#http = `http://${http}`;
    this.#token = token;
    this.#sampling = setInterval(() => {
      this.#peak = Math.max(this.#peak, residentBytes(this.#pid));
    }, PROBE_MS / 2);
    this.#loops = [this.#probe(() => this.#healthz()), this.#probe(() => this.#open())];
  }

  async stop() {
    this.#isOver = true;
    const [healthz, operator] = await Promise.all(this.#loops);
    clearInterval(this.#sampling);
    return { healthz: healthz!, operator: operator!, peak: this.#peak };
  }

  async #probe(ask: () => Promise<boolean>) {
    const seen = { asked: 0, failed: 0, maxMs: 0 };
    while (!this.#isOver) {
      const startedAt = performance.now();
      seen.asked++;
      const isFine = await ask().catch(() => false);
      if (!isFine) seen.failed++;
      seen.maxMs = Math.max(seen.maxMs, performance.now() - startedAt);
      await sleep(PROBE_MS);
    }
    return seen;
  }

  #healthz(): Promise<boolean> {
    return this.#ask('/healthz', {});
  }

  #open(): Promise<boolean> {
    const ledgerChannelId = (0x5153_0000 + this.#opened++).toString(16).padStart(8, '0').padEnd(64, '0');
    // The generator's point: any key will do for a channel that is never paid on.
    const publicKey = '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798';
    return this.#ask('/channels', {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify([{ ledgerChannelId, publicKey, capacity: '1000' }]),
    });
  }

  async #ask(path: string, { headers, ...init }: RequestInit): Promise<boolean> {
    const response = await fetch(`${this.#http}${path}`, {
      ...init,
      headers: { ...(headers as Record<string, string>), connection: 'close' },
      signal: AbortSignal.timeout(PROBE_MS_MAX),
    });
    await response.text();
    return response.ok;
  }
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1_024;
}

/** Resident bytes once they are below `enough`, or after the longest wait. */
async function settledBytes(pid: number, enough: number): Promise<number> {
  const deadline = performance.now() + RETURN_MS_MAX;
  while (residentBytes(pid) > enough && performance.now() < deadline) await sleep(250);
  return residentBytes(pid);
}

/**
 * Honest payers while somebody floods the node: what they wait, what is lost, how much memory the node takes, and how soon all is
 * as before. `npm run bench:flood`; FLOOD_RATE sets the honest claims a second, a quarter of what the node can do by default.
 *
 * Main thread of the bench; node, payers and attacker (test/siege/attackers) are processes of their own. The attacker is
 * stopped and let go on by turns, so that it has half a core at most. One run for each attack: a second without it, the
 * attack, and two seconds afterwards. Payers of `claimwire load` do not send again: a claim that the system dropped is covered
 * by the next one of its channel, or it is lost.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../src/errors.ts';
import type { LoadStep } from '../../src/load/result.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, endsWithBench, NodeUnderTest, within } from '../node-under-test.ts';
import { runLoad } from '../path/load.ts';

const RATE = Number(process.env.FLOOD_RATE ?? 130_000);
const SECONDS = 6;
const SECONDS_QUICK = 2;
const BEFORE_SECONDS = 1;
const AFTER_SECONDS = 3;
const WARM_UP_SECONDS = 2;
/** Stopped and let go on by turns. */
const THROTTLE_MS = 10;
const SAMPLE_MS = 50;
/** An attacker ends by itself. */
const END_MS_MAX = 10_000;
/** Channels that are open and that nobody pays on, by the first four bytes of their ledger ids. */
const CHANNELS = 20_000;
const FIRST_CHANNEL = 0xa000_0000;
const PUBLIC_KEY = '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798';

const ATTACKER = join('test', 'siege', 'attackers', 'udp-claims.mjs');
const ATTACKS = {
  /** Wrong signatures on known channels, from one socket. */
  signature: { kind: 'signature' },
  /** The same from a thousand sockets. */
  sockets: { kind: 'signature', sockets: 1_000 },
  /** Claims of channels that nobody opened. */
  unknown: { kind: 'unknown' },
  junk: { kind: 'junk' },
} as const;

/** What honest payers may wait, at most: so many times what they wait without an attack, or this. */
const BAR_RATIO = 5;
const BAR_MS = 50;

const folder = benchFolder('flood');

/** @param context with the flag `open` strangers are told from nobody (--strangers 100), for comparison */
async function measure(context: BenchContext): Promise<Figures> {
  const flags = context.flags.has('open') ? ['--strangers', '100'] : [];
  return NodeUnderTest.run(join(folder, 'node'), flags, async (node) => {
    await openChannels(node);
    const seconds = context.quick ? SECONDS_QUICK : SECONDS;
    // Key tables are made.
    await honestLoad(node, seconds);
    const memory = new MemoryWatch(node);
    const quiet = await honestLoad(node, seconds);
    const figures: Figures = { rate: RATE, quietP50Ms: quiet.latency.p50Ms, quietP99Ms: quiet.latency.p99Ms };
    figures.quietMemoryMiB = memory.stop();
    const bar = Math.max(BAR_RATIO * quiet.latency.p99Ms, BAR_MS);
    for (const name of Object.keys(ATTACKS) as (keyof typeof ATTACKS)[]) {
      const seen = await besideAttack(node, ATTACKS[name], seconds);
      for (const [figure, value] of Object.entries(seen)) figures[`${name}.${figure}`] = value;
      figures[`${name}.ratio`] = seen.p99Ms / quiet.latency.p99Ms;
      if (seen.p99Ms > bar || seen.lost > 0)
        context.note(`${name}: over the bar: p99 ${seen.p99Ms.toFixed(1)} of ${bar.toFixed(1)} ms, ${seen.lost} lost`);
    }
    return figures;
  });
}

async function openChannels(node: NodeUnderTest): Promise<void> {
  const lines = Array.from({ length: CHANNELS }, (_, index) =>
    JSON.stringify({
      ledgerChannelId: (FIRST_CHANNEL + index).toString(16).padEnd(64, '0'),
      publicKey: PUBLIC_KEY,
      capacity: '1000',
    }),
  );
  const [url, token] = [node.loadFlags[3]!, readFileSync(node.loadFlags[5]!, 'utf8').trim()];
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' };
  const response = await fetch(`${url}/channels`, { method: 'POST', headers, body: lines.join('\n') });
  assert(response.ok, `channels are opened: ${await response.text()}`);
}

async function honestLoad(node: NodeUnderTest, seconds: number, onSecond?: () => void): Promise<LoadStep> {
  const flags = ['--rate', String(RATE), '--warmup', String(WARM_UP_SECONDS), '--duration', String(seconds)];
  // What it finds too slow or refused is a figure here.
  const bounds = ['--refused-max', '1', '--loss-max', '1', '--slo', '100000'];
  const { result } = await runLoad(node, [...flags, ...bounds], onSecond && { onSecond });
  const { reconciliation } = result;
  assert(reconciliation !== null && reconciliation.short === 0, 'what was acknowledged is committed');
  return result.steps[0]!;
}

async function besideAttack(node: NodeUnderTest, options: object, attackSeconds: number) {
  const before = await counted(node);
  const memory = new MemoryWatch(node);
  let attack: Promise<string> | undefined;
  let endedAt = 0;
  const startedAt = performance.now();
  let beganAt = 0;
  const step = await honestLoad(node, BEFORE_SECONDS + attackSeconds + AFTER_SECONDS, () => {
    if (attack !== undefined) return;
    beganAt = performance.now();
    attack = attackOn(node, options, attackSeconds);
    void attack.then(() => {
      endedAt = performance.now();
    });
  });
  assert(attack !== undefined, `the load tells of its seconds, within ${performance.now() - startedAt} ms`);
  const { datagrams } = JSON.parse(await within(attack, END_MS_MAX, 'the attacker to end')) as { datagrams: number };
  const grownMiB = memory.stop();
  const after = await counted(node);
  const attackEnds = BEFORE_SECONDS + (endedAt - beganAt) / 1_000;
  const p99 = ({ latency }: { latency: { p99Ms: number } }) => latency.p99Ms;
  const during = step.intervals.filter(({ atSeconds }) => atSeconds > BEFORE_SECONDS + 0.5 && atSeconds <= attackEnds);
  // Intervals that begin at most a second after the end.
  const afterwards = step.intervals.filter(({ atSeconds }) => atSeconds >= attackEnds + 1);
  return {
    p50Ms: Math.max(...during.map(({ p50Ms }) => p50Ms)),
    // No less than that of all of them.
    p99Ms: Math.max(...during.map(({ p99Ms }) => p99Ms)),
    wholeRunP99Ms: p99(step),
    recoveredP99Ms: afterwards[0]?.p99Ms ?? Number.NaN,
    lost: step.unanswered,
    memoryMiB: grownMiB,
    attackDatagrams: datagrams,
    filtered: after.floodFilter - before.floodFilter,
    noRoom: after.socketBuffer - before.socketBuffer,
    wrongSignatures: after.badSignature - before.badSignature,
  };
}

async function counted(node: NodeUnderTest) {
  const { counters } = await node.stats();
  const { dropped, refused } = counters as Record<string, Record<string, number>>;
  return {
    floodFilter: dropped!.floodFilter ?? 0,
    socketBuffer: dropped!.socketBuffer!,
    badSignature: refused!.badSignature!,
  };
}

/** Resolves with what it printed at its end. */
function attackOn(node: NodeUnderTest, options: object, seconds: number): Promise<string> {
  const firstChannel = String(BigInt(FIRST_CHANNEL) << 32n);
  const given = { port: node.udp.port, udpPort: node.udp.port, seconds, channels: CHANNELS, firstChannel, ...options };
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child: ChildProcess = endsWithBench(
    spawn(process.execPath, [ATTACKER, JSON.stringify(given)], { stdio: [...stdio] }),
  );
  let isStopped = false;
  const throttle = setInterval(() => {
    isStopped = !isStopped;
    child.kill(isStopped ? 'SIGSTOP' : 'SIGCONT');
  }, THROTTLE_MS);
  let printed = '';
  child.stdout!.on('data', (text) => {
    printed += String(text);
  });
  return new Promise((resolve) =>
    child.once('close', () => {
      clearInterval(throttle);
      resolve(printed.trim().split('\n').at(-1)!);
    }),
  );
}

/** How much more resident memory the node has at most. */
class MemoryWatch {
  readonly #node: NodeUnderTest;
  readonly #before: number;
  readonly #sampling: NodeJS.Timeout;
  #peak: number;

  constructor(node: NodeUnderTest) {
    this.#node = node;
    this.#before = node.residentMiB();
    this.#peak = this.#before;
    this.#sampling = setInterval(() => this.#look(), SAMPLE_MS);
  }

  stop(): number {
    clearInterval(this.#sampling);
    this.#look();
    return this.#peak - this.#before;
  }

  #look(): void {
    this.#peak = Math.max(this.#peak, this.#node.residentMiB());
  }
}

await runBench({ name: 'flood', backend: 'native', repeats: 1, flags: ['open'] }, measure);

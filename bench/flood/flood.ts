/**
 * Honest payers while somebody floods the node: what they wait, what is lost, how much memory the node takes, and how soon all is
 * as before. `npm run bench:flood`; FLOOD_RATE sets the honest claims a second, a quarter of what the node can do by default.
 *
 * Main thread of the bench; node, payers and attacker (test/siege/attackers) are processes of their own. The attacker is
 * stopped and let go on by turns, so that it has half a core at most. Two runs for each attack: one that lies within the
 * attack, and one with a second before it, the attack, and three seconds afterwards. Payers of `claimwire load` do not
 * send again: a claim that the system dropped is covered by the next one of its channel, or it is lost.
 */
import { join } from 'node:path';
import { assert } from '../../src/errors.ts';
import type { LoadStep } from '../../src/load/result.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder, NodeUnderTest, within } from '../node-under-test.ts';
import { runLoad } from '../path/load.ts';
import { attackOn, openChannels } from './attack.ts';

const RATE = Number(process.env.FLOOD_RATE ?? 130_000);
const SECONDS = 6;
const SECONDS_QUICK = 2;
const BEFORE_SECONDS = 1;
const AFTER_SECONDS = 3;
const WARM_UP_SECONDS = 2;
/** More than `claimwire load` takes to begin, and than the attacker's own start saves it. */
const LOAD_STARTS_SECONDS = 3;
const SAMPLE_MS = 50;
/** An attacker ends by itself. */
const END_MS_MAX = 10_000;
/** Channels that are open and that nobody pays on. */
const CHANNELS = 20_000;
const PUBLIC_KEY = '0279BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798';

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
    await openChannels(node, CHANNELS, () => PUBLIC_KEY);
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

async function honestLoad(node: NodeUnderTest, seconds: number, onSecond?: () => void): Promise<LoadStep> {
  const flags = ['--rate', String(RATE), '--warmup', String(WARM_UP_SECONDS), '--duration', String(seconds)];
  // What it finds too slow or refused is a figure here.
  const bounds = ['--refused-max', '1', '--loss-max', '1', '--slo', '100000'];
  const { result } = await runLoad(node, [...flags, ...bounds], onSecond && { onSecond });
  const { reconciliation } = result;
  assert(reconciliation !== null && reconciliation.short === 0, 'what was acknowledged is committed');
  return result.steps[0]!;
}

/** What payers see while the attack lasts, from before they begin until after they end; and then how it begins and ends. */
async function besideAttack(node: NodeUnderTest, options: object, seconds: number) {
  const before = await counted(node);
  const memory = new MemoryWatch(node);
  const attack = attackOn(node.udp.port, LOAD_STARTS_SECONDS + WARM_UP_SECONDS + seconds, {
    channels: CHANNELS,
    ...options,
  });
  const step = await honestLoad(node, seconds);
  const { datagrams } = JSON.parse(await within(attack, END_MS_MAX, 'the attacker to end')) as { datagrams: number };
  const grownMiB = memory.stop();
  const after = await counted(node);
  return {
    p50Ms: step.latency.p50Ms,
    p99Ms: step.latency.p99Ms,
    ...(await onsetAndEnd(node, options, seconds, step.unanswered)),
    memoryMiB: grownMiB,
    attackDatagrams: datagrams,
    filtered: after.floodFilter - before.floodFilter,
    noRoom: after.socketBuffer - before.socketBuffer,
    wrongSignatures: after.badSignature - before.badSignature,
  };
}

/** An attack that begins while payers pay, and ends while they do. Seconds are those of the load's report. */
async function onsetAndEnd(node: NodeUnderTest, options: object, seconds: number, lostBefore: number) {
  let attack: Promise<string> | undefined;
  let beganAt = 0;
  let endedAt = 0;
  const step = await honestLoad(node, BEFORE_SECONDS + seconds + AFTER_SECONDS, () => {
    if (attack !== undefined) return;
    beganAt = performance.now();
    attack = attackOn(node.udp.port, seconds, { channels: CHANNELS, ...options });
    void attack.then(() => {
      endedAt = performance.now();
    });
  });
  assert(attack !== undefined, 'the load tells of its seconds');
  await within(attack, END_MS_MAX, 'the attacker to end');
  const attackEnds = BEFORE_SECONDS + (endedAt - beganAt) / 1_000;
  const during = step.intervals.filter(({ atSeconds }) => atSeconds > BEFORE_SECONDS + 0.5 && atSeconds <= attackEnds);
  // Intervals that begin at most a second after the end.
  const afterwards = step.intervals.filter(({ atSeconds }) => atSeconds >= attackEnds + 1);
  return {
    worstSecondP99Ms: Math.max(...during.map(({ p99Ms }) => p99Ms)),
    recoveredP99Ms: afterwards[0]?.p99Ms ?? Number.NaN,
    lost: lostBefore + step.unanswered,
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

/**
 * The entry of the thread of a trace: it looks at the rings some thousand times a second, and sends the main thread what it
 * has seen, until its time is over or it is told to end.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ChannelTable } from '../channel/table.ts';
import type { Quantiles, TracedClaim, TraceSummary } from '../control/inspect-control.ts';
import { Arena, type ArenaShape } from '../ring/arena.ts';
import { TraceLooks } from './trace-looks.ts';

export interface TraceStart {
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  row: number;
  seconds: number;
  /** One word: the main thread stores 1 to end the trace. */
  stop: SharedArrayBuffer;
}
export type TraceMessage = { claims: TracedClaim[] } | { summary: TraceSummary };

/** Shorter pauses take the core that a lane may need; a pause also takes the system's 50 µs of slack. */
const PAUSE_MS = 0.15;
const TELL_EVERY_MS = 50;
/** Claims told each time; 2,000 a second are more than anybody reads. */
const TOLD_MAX = 100;
/** Figures kept for the summary, evenly over all. */
const FIGURES_MAX = 65_536;

const { memory, shape, row, seconds, stop } = workerData as TraceStart;
const arena = new Arena(memory, shape);
const word = new Int32Array(stop);
const now = () => performance.timeOrigin + performance.now();
const begunAt = now();
const looks = new TraceLooks(arena, new ChannelTable(arena), row, begunAt);

class Figures {
  count = 0;
  readonly #kept: number[] = [];
  add(value: number): void {
    if (this.#kept.length < FIGURES_MAX) this.#kept.push(value);
    // A kept figure gives way at random, so that each of all stays with the same probability.
    else if (Math.random() * this.count < FIGURES_MAX) this.#kept[Math.floor(Math.random() * FIGURES_MAX)] = value;
    this.count++;
  }
  quantiles(): Quantiles {
    const sorted = this.#kept.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
    return { count: this.count, p50: at(0.5), p99: at(0.99), max: at(1) };
  }
}

const resolution = new Figures();
const verify = new Figures();
const done = new Figures();
let claims = 0;
let untold = 0;
let waiting: TracedClaim[] = [];
let toldAt = begunAt;
let lookedAt = begunAt;

while (now() - begunAt < seconds * 1_000 && Atomics.load(word, 0) === 0) {
  const at = now();
  resolution.add(Math.round((at - lookedAt) * 1_000));
  lookedAt = at;
  for (const claim of looks.look(at)) {
    claims++;
    done.add(claim.doneUs);
    if (claim.verifyUs !== null) verify.add(claim.verifyUs);
    if (waiting.length < TOLD_MAX) waiting.push(claim);
    else untold++;
  }
  if (at - toldAt >= TELL_EVERY_MS) tell(at);
  Atomics.wait(word, 0, 0, PAUSE_MS);
}
tell(now());
const summary: TraceSummary = {
  seconds: Math.round(now() - begunAt) / 1_000,
  claims,
  untold,
  slots: looks.slots,
  missedSlots: looks.missedSlots,
  looks: looks.looks,
  resolutionUs: resolution.quantiles(),
  verifyUs: verify.quantiles(),
  doneUs: done.quantiles(),
};
parentPort!.postMessage({ summary } satisfies TraceMessage);

function tell(at: number): void {
  toldAt = at;
  if (waiting.length === 0) return;
  parentPort!.postMessage({ claims: waiting } satisfies TraceMessage);
  waiting = [];
}

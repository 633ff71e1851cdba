/**
 * The globals that production code takes for granted, replaced in a process that does nothing else: timers, dates, random
 * numbers, and Atomics.waitAsync with its notify. They go by the world that is simulated now, so a sleeping thread is woken by an
 * event, at a moment that the seed decides. Imported first; `use` comes before anything of a world runs.
 */
import type { Random } from '../support/random.ts';
import type { Scheduler } from './scheduler.ts';

/** Milliseconds since 1970 at which every world begins. */
export const WORLD_BEGINS = 1_800_000_000_000;
/** Within how many milliseconds of a call an immediate runs, and a sleeper that is rung for. */
const SOON_MS = 0.05;
const WAKE_MS = 0.3;
const SPINS_FAST = 20;
const SPINS_MAX = 120;

let scheduler: Scheduler;
let random: Random;
/** Who sleeps, by the arena's memory and its word. */
let sleepers: Map<ArrayBufferLike, Map<number, (() => void)[]>>;

/** From now on these globals are those of this world. */
export function use(ofScheduler: Scheduler, ofRandom: Random): void {
  scheduler = ofScheduler;
  random = ofRandom;
  sleepers = new Map();
}

/** Forgets who sleeps in this shared memory: their process has ended. */
export function forgetSleepers(memory: ArrayBufferLike): void {
  sleepers.delete(memory);
}

function fraction(): number {
  return random.u32() / 0x1_0000_0000;
}

class Timer {
  readonly stop: () => void;
  constructor(stop: () => void) {
    this.stop = stop;
  }
  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
}

type Callback = (...values: unknown[]) => void;

function later(callback: Callback, delayMs: number, values: unknown[]): Timer {
  return new Timer(scheduler.after(delayMs, () => callback(...values)));
}

/** An owner that looks again and again for something is given the less of the processor the longer it takes. */
function immediate(callback: Callback, ...values: unknown[]): Timer {
  const owner = scheduler.current;
  const spins = owner.spins;
  const run = () => {
    owner.spins = Math.min(spins + 1, SPINS_MAX);
    callback(...values);
  };
  const delayMs = fraction() * SOON_MS * Math.max(1, spins - SPINS_FAST);
  owner.spins = 0;
  return new Timer(scheduler.after(delayMs, run));
}

function repeated(callback: Callback, periodMs: number, values: unknown[]): Timer {
  const owner = scheduler.current;
  let stop: () => void;
  const tick = () => {
    stop = scheduler.after(periodMs, tick, owner);
    callback(...values);
  };
  stop = scheduler.after(periodMs, tick, owner);
  return new Timer(() => stop());
}

const clear = (timer: Timer | undefined) => timer?.stop();

function waitAsync(ints: Int32Array, index: number, value: number) {
  if (Atomics.load(ints, index) !== value) return { async: false, value: 'not-equal' };
  const owner = scheduler.current;
  const promise = new Promise<'ok'>((resolve) => {
    const wake = () => void scheduler.after(fraction() * WAKE_MS, () => resolve('ok'), owner);
    const words = sleepers.get(ints.buffer) ?? new Map<number, (() => void)[]>();
    sleepers.set(ints.buffer, words);
    const sleeping = words.get(index);
    if (sleeping === undefined) words.set(index, [wake]);
    else sleeping.push(wake);
  });
  return { async: true, value: promise };
}

function notify(ints: Int32Array, index: number): number {
  const words = sleepers.get(ints.buffer);
  const woken = words?.get(index) ?? [];
  words?.delete(index);
  for (const wake of woken) wake();
  return woken.length;
}

/** Replaces them, once a process. */
export function install(): void {
  const timers = {
    setTimeout: (callback: Callback, delayMs = 0, ...values: unknown[]) =>
      later(callback, Math.max(1, delayMs), values),
    setImmediate: immediate,
    setInterval: (callback: Callback, periodMs = 1, ...values: unknown[]) => repeated(callback, periodMs, values),
    clearTimeout: clear,
    clearImmediate: clear,
    clearInterval: clear,
  };
  Object.assign(globalThis, timers);
  Object.assign(Atomics, { waitAsync, notify });
  Date.now = () => WORLD_BEGINS + Math.floor(scheduler.now);
  Math.random = fraction;
  crypto.getRandomValues = <Values extends ArrayBufferView | null>(values: Values): Values => {
    if (values !== null)
      new Uint8Array(values.buffer, values.byteOffset, values.byteLength).set(random.bytes(values.byteLength));
    return values;
  };
}

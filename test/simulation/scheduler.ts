/**
 * One queue of events in virtual time: everything that happens in a simulated world happens in an event of it, one after the
 * other, in an order that the seed decides. Milliseconds; nothing waits for real time.
 *
 * Each event belongs to an owner: a thread of the node, a payer, the world. Events of a dead owner never happen. An owner that
 * blocks (a sync in its own thread) spends time: its clock runs ahead, and its next event waits until the world has caught up.
 */
import type { Random } from '../support/random.ts';

export interface Owner {
  readonly name: string;
  isDead: boolean;
  /** Until when it blocks. */
  busyUntil: number;
  /** Immediates that it has asked for, one in the other, and nothing else: it waits by looking again and again. */
  spins: number;
  /** What it throws ends up here. */
  onError?: (error: Error) => void;
}

export function newOwner(name: string): Owner {
  return { name, isDead: false, busyUntil: 0, spins: 0 };
}

interface Event {
  at: number;
  /** Decides between events of the same instant. */
  tie: number;
  owner: Owner;
  run: () => void;
  isOff: boolean;
}

/** The real one: the simulated globals replace what others see of it (globals.ts). */
const realImmediate = globalThis.setImmediate;
/** Runs all promises that are due, as the end of a turn of the event loop does, without one. */
const runPromises = (process as unknown as { _tickCallback: () => void })._tickCallback;

export class Scheduler {
  /** Of the event under way. */
  current: Owner;
  readonly world: Owner = newOwner('world');
  events = 0;
  /** Called after each event, once everything that it set off has run. */
  afterEvent: (owner: Owner) => void = () => {};
  readonly #random: Random;
  readonly #heap: Event[] = [];
  #now = 0;
  /** By how much the owner of the event under way has got ahead. */
  #spent = 0;
  #failure: Error | undefined;

  constructor(random: Random) {
    this.#random = random;
    this.current = this.world;
  }

  /** Milliseconds since the world began, as the owner of the event under way sees it. */
  get now(): number {
    return this.#now + this.#spent;
  }

  /** The owner of the event under way blocks for so long. */
  spend(milliseconds: number): void {
    this.#spent += milliseconds;
  }

  /** Calls back after `delayMs`, unless the function returned is called before, or the owner dies. */
  after(delayMs: number, run: () => void, owner: Owner = this.current): () => void {
    const event: Event = { at: this.now + delayMs, tie: this.#random.u32(), owner, run, isOff: false };
    this.#push(event);
    return () => {
      event.isOff = true;
    };
  }

  /** Ends the run with this failure. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** Lets events happen until `isOver`. Throws what an owner without `onError` throws, and what `fail` was given. */
  run(isOver: () => boolean, eventsMax: number): Promise<void> {
    // In a turn of its own, since promises do not run inside of promises.
    return new Promise((resolve, reject) =>
      realImmediate(() => {
        try {
          this.#run(isOver, eventsMax);
          resolve();
        } catch (error) {
          reject(error);
        }
      }),
    );
  }

  #run(isOver: () => boolean, eventsMax: number): void {
    const last = this.events + eventsMax;
    while (!isOver()) {
      const event = this.#pop();
      if (event === undefined) throw new Error('simulation: expected something to happen, got nothing');
      if (event.isOff || event.owner.isDead) continue;
      if (event.owner.busyUntil > event.at) {
        event.at = event.owner.busyUntil;
        this.#push(event);
        continue;
      }
      this.#now = Math.max(this.#now, event.at);
      this.#happen(event);
      if (this.#failure !== undefined) throw this.#failure;
      if (++this.events > last) throw new Error(`simulation: expected an end within ${eventsMax} events, got none`);
    }
  }

  #happen({ owner, run }: Event): void {
    this.current = owner;
    owner.spins = 0;
    try {
      run();
    } catch (error) {
      this.caught(owner, error as Error);
    }
    // All promises that this settles, and what waits for them, before anything else happens.
    runPromises();
    if (this.#spent > 0) owner.busyUntil = this.now;
    this.#spent = 0;
    this.current = this.world;
    this.afterEvent(owner);
  }

  /** An owner's event, or a promise of it, has thrown. */
  caught(owner: Owner, error: Error): void {
    if (owner.onError === undefined) this.fail(error);
    else owner.onError(error);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.at < right.at || (left.at === right.at && left.tie < right.tie);
}

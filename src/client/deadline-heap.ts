/**
 * One heap of deadlines for all channels of a payer, and one timer over it.
 *
 * Only an earlier deadline moves an entry. One whose deadline is put off keeps its place, and is looked at again when it
 * comes up: then `set`, which is called for every claim sent, is one comparison.
 */
import type { Clock } from './clock.ts';

/** The longest delay of Node's timers; an entry without a deadline (infinity) is looked at again after it. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** An entry keeps its own place and time in the heap, which alone writes them. */
export interface HeapEntry {
  /** -1 while not in the heap. */
  heapIndex: number;
  /** Milliseconds of the clock. */
  heapDeadline: number;
}

export class DeadlineHeap<Entry extends HeapEntry> {
  readonly #entries: Entry[] = [];
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #timerAt = Number.POSITIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;

  /** @param onDue called when the earliest deadline has come and ready input is read; it calls `popDue` */
  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Makes sure `entry` comes up no later than at `deadline`. */
  set(entry: Entry, deadline: number): void {
    if (entry.heapIndex < 0) {
      entry.heapIndex = this.#entries.length;
      this.#entries.push(entry);
    } else if (deadline >= entry.heapDeadline) return;
    entry.heapDeadline = deadline;
    this.#siftUp(entry, entry.heapIndex);
    if (entry.heapIndex === 0) this.#armTimer();
  }

  /** Removes the earliest entry and returns it, if its deadline has come. */
  popDue(now: number): Entry | undefined {
    const first = this.#entries[0];
    if (first === undefined || first.heapDeadline > now) return undefined;
    first.heapIndex = -1;
    const last = this.#entries.pop()!;
    if (last !== first) this.#siftDown(last, 0);
    return first;
  }

  clear(): void {
    for (const entry of this.#entries) entry.heapIndex = -1;
    this.#entries.length = 0;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** Timers are exact to 1 ms, so a deadline less than that before the timer's needs no new one. */
  #armTimer(): void {
    const deadline = this.#entries[0]!.heapDeadline;
    if (deadline > this.#timerAt - 1) return;
    this.#cancelTimer?.();
    this.#timerAt = deadline;
    const delay = Math.min(Math.max(1, Math.ceil(deadline - this.#clock.now())), TIMER_MS_MAX);
    this.#cancelTimer = this.#clock.after(delay, () => {
      this.#cancelTimer = undefined;
      // After a stall of this thread the acks that came meanwhile are read first, so that nothing is sent again for them.
      this.#clock.afterInput(() => {
        if (this.#cancelTimer === undefined) this.#timerAt = Number.POSITIVE_INFINITY;
        this.#onDue();
        if (this.#entries.length > 0) this.#armTimer();
      });
    });
  }

  #siftUp(entry: Entry, start: number): void {
    const entries = this.#entries;
    let index = start;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = entries[parentIndex]!;
      if (parent.heapDeadline <= entry.heapDeadline) break;
      place(entries, parent, index);
      index = parentIndex;
    }
    place(entries, entry, index);
  }

  #siftDown(entry: Entry, start: number): void {
    const entries = this.#entries;
    let index = start;
    for (;;) {
      let childIndex = 2 * index + 1;
      if (childIndex >= entries.length) break;
      if (childIndex + 1 < entries.length && entries[childIndex + 1]!.heapDeadline < entries[childIndex]!.heapDeadline)
        childIndex += 1;
      const child = entries[childIndex]!;
      if (child.heapDeadline >= entry.heapDeadline) break;
      place(entries, child, index);
      index = childIndex;
    }
    place(entries, entry, index);
  }
}

function place<Entry extends HeapEntry>(entries: Entry[], entry: Entry, index: number): void {
  entries[index] = entry;
  entry.heapIndex = index;
}

/** Has the amounts of a wave in the payer's state before anything of it is signed. Payer's thread. */
import { readPair } from './amounts.ts';
import { WAITS } from './group-root.ts';
import type { Member } from './member.ts';
import type { Wave } from './wave.ts';

export class GroupRecorder {
  readonly #members: readonly Member[];
  readonly #read: (index: number) => void;
  #kept: Promise<unknown> | undefined;

  /** @param read tells a channel's flow what is durable, which is kept with the amount */
  constructor(members: readonly Member[], read: (index: number) => void) {
    this.#members = members;
    this.#read = read;
  }

  /** Resolves when all that was recorded is kept. Rejects with STATE_FAILED. */
  get kept(): Promise<unknown> {
    return this.#kept ?? Promise.resolve();
  }

  /** Calls one of the two, for each wave in the order of the calls: at once where there is nothing to be written. */
  record({ amounts, flags }: Wave, next: () => void, failed: (error: Error) => void): void {
    const writes = new Set<Promise<unknown>>();
    if (this.#kept !== undefined) writes.add(this.#kept);
    for (const [index, { record }] of this.#members.entries()) {
      if (record === undefined) break;
      if ((flags[index]! & WAITS) === 0) continue;
      this.#read(index);
      const write = record(readPair(amounts, index));
      if (write !== undefined) writes.add(write);
    }
    if (writes.size === 0) {
      next();
      return;
    }
    const all = Promise.all(writes);
    this.#kept = all;
    all.then(() => {
      if (this.#kept === all) this.#kept = undefined;
      next();
    }, failed);
  }
}

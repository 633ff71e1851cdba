/**
 * Settings that may change while the node runs: words that the main thread writes and the threads of the claim path read,
 * once a turn. They share a line, which is written a few times a minute at most, so that every core has it in its cache.
 *
 * A word of 0 says that nothing was set: the thread goes by its own default, as it does in an arena without a main thread.
 */
import type { Arena } from './arena.ts';
import { controlWord, SETTINGS_LINE } from './control-words.ts';

/** The words by name. Each has the value + 1, so that 0 can be set too. */
const SETTING_WORD = { verifyBatch: 0, groupClaims: 1, groupWaitMs: 2, idleSpins: 3, measuring: 4 } as const;
export type SettingWordName = keyof typeof SETTING_WORD;

export class SettingWords {
  readonly #ints: Int32Array;
  readonly #base: number;

  constructor(arena: Arena) {
    this.#ints = arena.ints;
    this.#base = controlWord(arena, SETTINGS_LINE);
  }

  /** The value set, or `otherwise` where none is. */
  get(name: SettingWordName, otherwise: number): number {
    const word = Atomics.load(this.#ints, this.#base + SETTING_WORD[name]);
    return word === 0 ? otherwise : word - 1;
  }

  set(name: SettingWordName, value: number): void {
    Atomics.store(this.#ints, this.#base + SETTING_WORD[name], value + 1);
  }
}

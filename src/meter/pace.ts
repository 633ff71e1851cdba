/**
 * When the next commit may begin: at once where somebody waits for it, otherwise a little later, as each costs a sync and the
 * event loop's time whether it has one charge or a hundred. Who has a reservation works meanwhile. Main thread.
 */

/**
 * At 5,000 charges a second a commit has 10 of them, and there are 500 a second rather than 1,500. It is less than what a
 * request takes through a busy gateway, so that its answer hardly ever waits for it.
 */
const PAUSE_MS = 2;

export class Pace {
  #isHurried = false;
  #goOn: (() => void) | undefined;

  /** Somebody waits: the pause under way ends, or the next one is none. */
  hurry(): void {
    this.#isHurried = true;
    this.#goOn?.();
  }

  /** A commit begins. */
  begin(): void {
    this.#isHurried = false;
  }

  async pause(): Promise<void> {
    if (this.#isHurried) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#goOn = undefined;
  }
}

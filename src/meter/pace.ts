/**
 * When the next commit begins, and how much of what is due it takes. At once and all of it where somebody waits for it. Who has
 * a reservation holds an answer back meanwhile, and for them it is another thing. Main thread.
 *
 * Each commit costs a sync and the event loop's time whether it has one charge or a hundred, so with few due it waits a little
 * for more. And where each commit took all that is due, all requests would go in step: they would wait for the same commit, and
 * leave and come back together, while processors idle. So of many it takes one half: its answers go out and are asked for
 * again while the other half is committed.
 */

/** Fewer wait for more. At 5,000 charges a second so many come in less than 2 ms. */
const GATHERED = 8;
/** Less than what a request takes through a busy gateway, so that its answer hardly ever waits for it. */
const GATHER_MS_MAX = 2;
/** A half is taken of more than twice as many. Smaller halves would be more commits than they are worth. */
const HALF_MIN = 16;

export class Pace {
  #isHurried = false;
  #goOn: (() => void) | undefined;
  /** Whether `gather` waits for so many. */
  #isGathering = false;

  /** Somebody waits: the next commit begins at once and takes all. */
  hurry(): void {
    this.#isHurried = true;
    this.#goOn?.();
  }

  /** So many are due now. */
  saw(due: number): void {
    if (this.#isGathering && due >= GATHERED) this.#goOn?.();
  }

  /** A commit begins. Returns how many it takes of those that are due. */
  begin(due: number): number {
    const isHurried = this.#isHurried;
    this.#isHurried = false;
    return isHurried ? due : Math.max(HALF_MIN, Math.ceil(due / 2));
  }

  /** Resolves when the next commit may begin. */
  async gather(due: number): Promise<void> {
    if (this.#isHurried || due >= GATHERED) return;
    this.#isGathering = true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS_MAX);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#isGathering = false;
    this.#goOn = undefined;
  }
}

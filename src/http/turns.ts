/**
 * The admin server's work in small pieces, a little in each turn of the event loop. Main thread.
 *
 * The main thread also opens channels, prepares journal segments and answers control messages. And libuv accepts one
 * connection a turn: where a hundred are queued before the operator's, it waits for a hundred turns.
 */

/** Time for beginning requests of kept connections in one turn. At least one begins, and each takes some 0.1 ms. */
const TURN_MS = 0.3;
/** While every turn accepts a connection, pieces for clients without the token are made this far apart. */
const PRESSED_MS = 20;

export class Turns {
  readonly #requests: (() => void)[] = [];
  readonly #trusted: (() => void)[] = [];
  readonly #others: (() => void)[] = [];
  #isScheduled = false;
  /** When the next piece for a client without the token may be made. */
  #othersNotBefore = 0;
  /** Whether a connection was accepted in this turn, so that more may be queued. */
  #isPressed = false;

  onAccept(): void {
    this.#isPressed = true;
  }

  /** Calls `begin` in a later turn, after those of other connections that wait already. */
  next(begin: () => void): void {
    this.#requests.push(begin);
    this.#schedule();
  }

  /**
   * Resolves with what `work` returns, a piece of a long answer. One piece is made in a turn, those of token holders first;
   * the others together use no more than about half of the thread's time.
   */
  piece<T>(isTrusted: boolean, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const make = () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      (isTrusted ? this.#trusted : this.#others).push(make);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    const isReady = this.#requests.length + this.#trusted.length > 0;
    if (!isReady && this.#others.length === 0) return;
    const waitMs = isReady ? 0 : this.#othersNotBefore - performance.now();
    if (waitMs > 0) {
      // What comes meanwhile is scheduled by itself; a timer that finds nothing to do does nothing.
      setTimeout(() => this.#schedule(), Math.ceil(waitMs));
      return;
    }
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn();
      this.#schedule();
    });
  }

  #turn(): void {
    const startedAt = performance.now();
    const isPressed = this.#isPressed;
    this.#isPressed = false;
    do this.#requests.shift()?.();
    while (!isPressed && this.#requests.length > 0 && performance.now() - startedAt < TURN_MS);
    const now = performance.now();
    const mayOthers = now >= this.#othersNotBefore + (isPressed ? PRESSED_MS : 0);
    const isTrusted = this.#trusted.length > 0;
    const piece = isTrusted || mayOthers ? (this.#trusted.shift() ?? this.#others.shift()) : undefined;
    piece?.();
    const endedAt = performance.now();
    if (piece !== undefined && !isTrusted) this.#othersNotBefore = endedAt + (endedAt - now);
  }
}

/**
 * The admin server's work in small pieces, a little in each turn of the event loop. Main thread.
 *
 * The main thread also opens channels, prepares journal segments and answers control messages. And libuv accepts one
 * connection a turn: while a hundred stand in the queue before the operator's, long turns would be his waiting time.
 */

/** Kept connections' requests begun in one turn. At least one begins, and each takes some 0.1 ms. */
const TURN_MS = 0.3;
/** While connections come in every turn, pieces for clients without the token are made this far apart. */
const PRESSED_MS = 20;

interface Piece {
  isTrusted: boolean;
  make(): void;
}

export class Turns {
  readonly #requests: (() => void)[] = [];
  readonly #trusted: Piece[] = [];
  readonly #others: Piece[] = [];
  #isScheduled = false;
  /** When the next piece for a client without the token may be made. */
  #othersNotBefore = 0;
  /** A connection was accepted in this turn, so more may stand in the queue. */
  #isPressed = false;

  onAccept(): void {
    this.#isPressed = true;
  }

  /** Begins a connection's next request in one of the next turns, after those of other connections that wait. */
  next(begin: () => void): void {
    this.#requests.push(begin);
    this.#schedule();
  }

  /**
   * What `work` returns, a piece of a long answer: one a turn. Token holders come first; the others together take no more
   * than about half of the thread's time.
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
      (isTrusted ? this.#trusted : this.#others).push({ isTrusted, make });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    const waitMs = this.#waitMs();
    if (waitMs === Number.POSITIVE_INFINITY) return;
    if (waitMs > 0) {
      // Whatever comes meanwhile has a turn of its own; a timer that finds nothing to do does nothing.
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

  /** Until there is something to do; Infinity where nothing waits. */
  #waitMs(): number {
    if (this.#requests.length + this.#trusted.length > 0) return 0;
    if (this.#others.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.#othersNotBefore - performance.now());
  }

  #turn(): void {
    const startedAt = performance.now();
    const isPressed = this.#isPressed;
    this.#isPressed = false;
    do this.#requests.shift()?.();
    while (!isPressed && this.#requests.length > 0 && performance.now() - startedAt < TURN_MS);
    const now = performance.now();
    const mayOthers = now >= this.#othersNotBefore + (isPressed ? PRESSED_MS : 0);
    const piece = this.#trusted.shift() ?? (mayOthers ? this.#others.shift() : undefined);
    if (piece === undefined) return;
    piece.make();
    const endedAt = performance.now();
    if (!piece.isTrusted) this.#othersNotBefore = endedAt + (endedAt - now);
  }
}

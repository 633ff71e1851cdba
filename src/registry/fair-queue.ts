/**
 * Shares a few workers among several owners of work: one piece of each owner in turn. Main thread.
 */

interface Waiting<Input, Output> {
  input: Input;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

export class FairQueue<Input, Output> {
  readonly #workers: number;
  readonly #work: (input: Input) => Promise<Output>;
  /** The waiting pieces by owner; the next owner is first. */
  readonly #waiting = new Map<object, Waiting<Input, Output>[]>();
  #running = 0;

  /** @param workers most pieces that run at once */
  constructor(workers: number, work: (input: Input) => Promise<Output>) {
    this.#workers = workers;
    this.#work = work;
  }

  /** Runs a piece of work; the pieces of one owner start in the order of these calls. */
  run(owner: object, input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      const own = this.#waiting.get(owner);
      const piece = { input, resolve, reject };
      if (own === undefined) this.#waiting.set(owner, [piece]);
      else own.push(piece);
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#running < this.#workers) {
      const turn = this.#waiting.entries().next().value;
      if (turn === undefined) return;
      const [owner, own] = turn;
      const { input, resolve, reject } = own.shift()!;
      this.#waiting.delete(owner);
      if (own.length > 0) this.#waiting.set(owner, own);
      this.#running++;
      this.#work(input)
        .then(resolve, reject)
        .finally(() => {
          this.#running--;
          this.#begin();
        });
    }
  }
}

/**
 * The payer's time and turns, handed in so that a simulator can stand in for them.
 */
export interface Clock {
  /** Milliseconds since 1970, with a fraction; never steps back. */
  now(): number;
  /** Calls back once after `delayMs`; the function returned calls it off. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back after the input that is ready now has been read. */
  afterInput(callback: () => void): void;
}

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  afterInput(callback) {
    setImmediate(callback);
  },
};

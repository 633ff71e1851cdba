/** The payer's time and turns of the event loop. They are an option, so that a simulator can replace them. */
export interface Clock {
  /** Milliseconds since 1970, with a fraction; never steps back. */
  now(): number;
  /** Calls back once after `delayMs`, unless the function returned is called before. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back after the input that is ready now has been read. */
  afterInput(callback: () => void): void;
}

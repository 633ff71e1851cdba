/**
 * The machine's two clocks as one thing that is handed in: a simulator or a test drives them by hand.
 */
export interface Clock {
  /** Milliseconds since 1970. It may be set back. */
  wall(): number;
  /** Milliseconds from any beginning, with a fraction; never steps back. */
  monotonic(): number;
}

export const systemClock: Clock = { wall: () => Date.now(), monotonic: () => performance.now() };

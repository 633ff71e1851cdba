/** Time and turns of the event loop in Node. */
import type { Clock } from './clock.ts';

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

/** Time and turns of the event loop in a page. A hidden page's timers fire once a second, so acks are late there. */
import type { Clock } from '../clock.ts';
import { web } from '../web-globals.ts';

/** A message to oneself: setTimeout would take four milliseconds, and a microtask comes before the input. */
const waiting: (() => void)[] = [];
let channel: ReturnType<typeof turns> | undefined;

export const pageClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  afterInput(callback) {
    channel ??= turns();
    if (waiting.push(callback) === 1) channel.port2.postMessage(null);
  },
};

function turns() {
  const made = new web.MessageChannel();
  made.port1.onmessage = () => {
    for (const callback of waiting.splice(0)) callback();
  };
  return made;
}

/**
 * The parts of its machine that a node uses besides sockets: files, time and random numbers. They are parameters, so that a
 * simulator can run the same code with its own.
 */
import { randomBytes } from 'node:crypto';
import { totalmem } from 'node:os';
import { type Files, nodeFiles } from './files.ts';

export interface Clock {
  /** Milliseconds since 1970. It may step back when the operator sets the clock. */
  wall(): number;
  /** Milliseconds since some instant, the same in every thread of the process; never steps back. */
  monotonic(): number;
  /** Calls back every `periodMs`, until the function returned is called. */
  every(periodMs: number, callback: () => void): () => void;
}

/** Bytes of this process that are in memory, and what the machine or its container has of it. */
interface Memory {
  readonly resident: number;
  readonly limit: number;
}

export interface System {
  readonly files: Files;
  readonly clock: Clock;
  /** Returns `count` bytes that nobody can guess. */
  random(count: number): Buffer;
  memory(): Memory;
}

/** The real machine. */
export const nodeSystem: System = {
  files: nodeFiles,
  clock: {
    wall: () => Date.now(),
    // Not performance.now, which begins at each thread's own start. It takes as long.
    monotonic: () => {
      const [seconds, nanoseconds] = process.hrtime();
      return seconds * 1e3 + nanoseconds / 1e6;
    },
    every(periodMs, callback) {
      const timer = setInterval(callback, periodMs);
      return () => clearInterval(timer);
    },
  },
  random: randomBytes,
  memory: () => ({ resident: process.memoryUsage.rss(), limit: memoryLimit() }),
};

/** The container's limit, where it has one below the machine's memory. Without one the system tells 0 or a huge number. */
function memoryLimit(): number {
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

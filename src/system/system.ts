/**
 * What a node takes from the machine it runs on besides its sockets: files, time and randomness. They are handed in, so
 * that a simulator runs the same code over a disk, a clock and random numbers of its own.
 */
import { randomBytes } from 'node:crypto';
import { type Files, nodeFiles } from './files.ts';

export interface Clock {
  /** Milliseconds since 1970, as the operator has set it: it may step back. */
  wall(): number;
  /** Milliseconds since some instant; never steps back. */
  monotonic(): number;
  /** Calls back every `periodMs`, until the function returned is called. */
  every(periodMs: number, callback: () => void): () => void;
}

export interface System {
  readonly files: Files;
  readonly clock: Clock;
  /** So many bytes that nobody can guess. */
  random(count: number): Buffer;
}

/** The machine itself. */
export const nodeSystem: System = {
  files: nodeFiles,
  clock: {
    wall: () => Date.now(),
    monotonic: () => performance.now(),
    every(periodMs, callback) {
      const timer = setInterval(callback, periodMs);
      return () => clearInterval(timer);
    },
  },
  random: randomBytes,
};

/**
 * The parts of its machine that a node uses besides sockets: files, time and random numbers. They are parameters, so that a
 * simulator can run the same code with its own.
 */
import { randomBytes } from 'node:crypto';
import { type Files, nodeFiles } from './files.ts';

export interface Clock {
  /** Milliseconds since 1970. It may step back when the operator sets the clock. */
  wall(): number;
  /** Milliseconds since some instant, the same in every thread of the process; never steps back. */
  monotonic(): number;
  /** Calls back every `periodMs`, until the function returned is called. */
  every(periodMs: number, callback: () => void): () => void;
}

export interface System {
  readonly files: Files;
  readonly clock: Clock;
  /** Returns `count` bytes that nobody can guess. */
  random(count: number): Buffer;
}

/** A worker's performance.now() begins at its own start. Both count the system's monotonic clock. */
const MONOTONIC_ORIGIN = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The real machine. */
export const nodeSystem: System = {
  files: nodeFiles,
  clock: {
    wall: () => Date.now(),
    monotonic: () => MONOTONIC_ORIGIN + performance.now(),
    every(periodMs, callback) {
      const timer = setInterval(callback, periodMs);
      return () => clearInterval(timer);
    },
  },
  random: randomBytes,
};

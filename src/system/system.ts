/**
 * What a node takes from the machine it runs on besides its sockets: files, time and randomness. They are handed in, so
 * that a simulator runs the same code over a disk, a clock and random numbers of its own.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../clock.ts';
import { type Files, nodeFiles } from './files.ts';

export interface System {
  readonly files: Files;
  readonly clock: Clock;
  /** So many bytes that nobody can guess. */
  random(count: number): Buffer;
  /** Calls back every `periodMs`, until the function returned is called. */
  every(periodMs: number, callback: () => void): () => void;
}

/** The machine itself. */
export const nodeSystem: System = {
  files: nodeFiles,
  clock: systemClock,
  random: randomBytes,
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return () => clearInterval(timer);
  },
};

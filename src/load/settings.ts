/**
 * What a load run is asked to do, and the memory its two threads share. Plain data: it crosses to the generator thread.
 */
import type { Arrivals } from './schedule.ts';

/** Fractions of all claims, 0..1; a claim has one fault at most. */
export interface FaultFractions {
  drop: number;
  dup: number;
  reorder: number;
  corruptSignature: number;
  stale: number;
}

/** Where claims go: a literal address. */
export interface Target {
  protocol: 'udp' | 'tcp';
  host: string;
  port: number;
}

type SenderChoice = 'auto' | 'native' | 'dgram';

export interface LoadSettings {
  target: Target;
  sender: SenderChoice;
  seed: number;
  channels: number;
  keys: number;
  /** One step each: claims a second, or null for as fast as the window allows. */
  rates: (number | null)[];
  durationMs: number;
  /** Before each step, at its rate, in no figure. */
  warmupMs: number;
  /** How long after a step's end acks are waited for; and how long a full window waits for any. */
  drainMs: number;
  perDatagram: number;
  arrivals: Arrivals;
  /** Exponent of Zipf's law over the channels, 0 for uniform. */
  zipf: number;
  sockets: number;
  /** Most claims unacknowledged when the rate is null. */
  window: number;
  /** Most claims tracked when it is not. */
  inflightMax: number;
  faults: FaultFractions;
  corpus: { file: string; claims: number } | undefined;
  capture: { file: string; claims: number } | undefined;
}

/** A captured run to be sent again: claims of 93 bytes back to back, and for each its channel, its source, its time. */
export interface ReplayClaims {
  claims: Uint8Array;
  channels: Uint32Array;
  /** Numbers of the sockets that sent them. */
  sources: Uint32Array;
  /** Milliseconds after the first. */
  offsets: Float64Array;
  /** 1 where a datagram begins. */
  starts: Uint8Array;
  /** Claims of the largest one. */
  perDatagram: number;
}

/** Words of `control`, shared with the main thread. */
export const CONTROL_STOP = 0;

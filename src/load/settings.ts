/** What a load run is asked to do, as plain data that crosses to the generator thread. */
import { CLAIMS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import type { HostPort } from '../host-port.ts';
import type { Arrivals } from './schedule.ts';

/** The fraction of claims, 0..1, that has each fault. A claim has one fault at most. */
export interface FaultFractions {
  drop: number;
  dup: number;
  reorder: number;
  corruptSignature: number;
  stale: number;
}

/** The address to which claims go; the host is a literal address. */
export interface Target {
  protocol: 'udp' | 'tcp' | 'tls' | 'ws' | 'webrtc+http';
  host: string;
  port: number;
}

/** The map of a cluster's shards, as the generator needs it. */
export interface LoadMap {
  /** Where each node takes claims by UDP; the hosts are literal addresses. */
  nodes: readonly HostPort[];
  /** By shard: an index of `nodes`, or -1 where nobody holds it. */
  holders: Int16Array;
}

/** The bounds that decide whether a run passes. */
export interface LoadBounds {
  /** Shares of the claims sent, 0..1. */
  lossMax: number;
  refusedMax: number;
  /** p99 of the corrected latency, milliseconds. */
  sloMs: number;
}

export interface LoadSettings {
  /** The node; of a cluster the first that was named. */
  target: Target;
  sender: 'auto' | 'native' | 'dgram';
  seed: number;
  channels: number;
  keys: number;
  /** The rate of each step in claims a second, or null for as fast as the window allows. */
  rates: (number | null)[];
  durationMs: number;
  /** The warm-up before each step runs at its rate and is in no figure. */
  warmupMs: number;
  /** How long to wait for acks after the end of a step, and while the window is full. */
  drainMs: number;
  perDatagram: number;
  arrivals: Arrivals;
  /** Exponent of Zipf's law over the channels, 0 for uniform. */
  zipf: number;
  /** Of each node. */
  sockets: number;
  /** The most claims without an answer when the rate is null. */
  window: number;
  /** The most claims tracked when it is not. */
  inflightMax: number;
  faults: FaultFractions;
  corpus: { file: string; claims: number } | undefined;
  capture: { file: string; claims: number } | undefined;
}

/** What a run does where nothing else is said. A target and a seed are always the caller's. */
export const LOAD_DEFAULTS: Readonly<Omit<LoadSettings, 'target' | 'seed'>> = {
  sender: 'auto',
  channels: 1_000,
  keys: 1_000,
  rates: [null],
  durationMs: 10_000,
  warmupMs: 1_000,
  drainMs: 1_000,
  perDatagram: CLAIMS_PER_DATAGRAM_MAX,
  arrivals: { kind: 'constant' },
  zipf: 0,
  sockets: 16,
  window: 6_000,
  inflightMax: 2 ** 21,
  faults: { drop: 0, dup: 0, reorder: 0, corruptSignature: 0, stale: 0 },
  corpus: undefined,
  capture: undefined,
};

/** A captured run to send again: claims of 93 bytes back to back, and the channel, source and time of each. */
export interface ReplayClaims {
  claims: Uint8Array;
  channels: Uint32Array;
  /** Numbers of the sockets that sent them. */
  sources: Uint32Array;
  /** When claims are due, in milliseconds after the first. */
  offsets: Float64Array;
  /** 1 where a datagram begins. */
  starts: Uint8Array;
  /** Claims in the largest datagram. */
  perDatagram: number;
}

/** The words of `control`, shared by both threads: the main thread sets the first to stop the run. */
export const CONTROL_STOP = 0;
/** Rises with each answer MOVED: the map may have changed. */
export const CONTROL_MOVED = 1;
export const CONTROL_WORDS = 2;

/** The options of a pool of connections, with the defaults and their reasons. */
import { invalid } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import type { TlsOptions } from '../links/tcp-connect.ts';
import type { Connect } from './connection.ts';

/** Which node, and limits of its connections. */
export interface PoolOptions {
  /** `tcp://HOST:PORT` or `tls://HOST:PORT`. */
  to: string;
  /** For `tls://`. */
  tls?: TlsOptions;
  /** Kept open while a payer is. Default 1, so that the first claim after a pause waits for no handshake. */
  connectionsMin?: number;
  /** Default 4: a lost connection affects a quarter of the channels, and several lanes of the node share the work. */
  connectionsMax?: number;
  /** How long a channel waits for a connection before its payer gets an error, milliseconds. Default 5,000. */
  acquireTimeoutMs?: number;
  /** How long a connection's set-up may take, the TLS handshake included. Default 3,000: TCP's second SYN and a bit. */
  connectTimeoutMs?: number;
  /** A connection above the minimum is closed after so long without claims. Default 30,000: half the node's limit. */
  idleTimeoutMs?: number;
  /** Time, for simulators. */
  clock?: Clock;
  /** Chance, for simulators: 0 up to 1, like Math.random. */
  random?: () => number;
  /** @internal Sockets, for simulators. */
  connect?: Connect;
}

/** The numbers of PoolOptions, checked. */
export type PoolLimits = ReturnType<typeof poolLimits>;

/** Throws ClaimwireError INPUT_INVALID. */
export function poolLimits(options: PoolOptions) {
  const count = (name: keyof PoolOptions, otherwise: number, least: number): number => {
    const value = options[name] ?? otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least) return value;
    throw invalid(`${name}: expected a whole number of at least ${least}, got ${value}`);
  };
  const connectionsMin = count('connectionsMin', 1, 0);
  return {
    connectionsMin,
    connectionsMax: count('connectionsMax', Math.max(4, connectionsMin), Math.max(1, connectionsMin)),
    acquireTimeoutMs: count('acquireTimeoutMs', 5_000, 1),
    connectTimeoutMs: count('connectTimeoutMs', 3_000, 1),
    idleTimeoutMs: count('idleTimeoutMs', 30_000, 1),
  };
}

/** What a pool of connections can be told, the defaults and their reasons. */
import { ClaimwireError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { TlsOptions } from '../links/tcp-connect.ts';
import type { Connect } from './connection.ts';

/** Which node, and bounds of its connections. */
export interface PoolOptions {
  /** `tcp://HOST:PORT` or `tls://HOST:PORT`. */
  to: string;
  /** For `tls://`. */
  tls?: TlsOptions;
  /** Kept open while a payer is, default 1: the first claim after a pause waits for no handshake. */
  connectionsMin?: number;
  /** Default 4: a lost one takes a quarter of the channels along, and a node's lanes each see some. */
  connectionsMax?: number;
  /** How long a channel waits for a connection before its payer hears of it, milliseconds. Default 5,000. */
  acquireTimeoutMs?: number;
  /** How long a connection's set-up may take, the TLS handshake included. Default 3,000: TCP's second SYN and a bit. */
  connectTimeoutMs?: number;
  /** Above the minimum a connection without claims is closed after this long. Default 30,000: half the node's limit. */
  idleTimeoutMs?: number;
  /** Time, for simulators. */
  clock?: Clock;
  /** Chance, for simulators: 0 up to 1, like Math.random. */
  random?: () => number;
  /** @internal Sockets, for simulators. */
  connect?: Connect;
}

/** The numbers of PoolOptions, checked. */
export interface PoolLimits {
  connectionsMin: number;
  connectionsMax: number;
  acquireTimeoutMs: number;
  connectTimeoutMs: number;
  idleTimeoutMs: number;
}

/** Throws ClaimwireError INPUT_INVALID. */
export function poolLimits(options: PoolOptions): PoolLimits {
  const connectionsMin = count(options.connectionsMin, 1, 0, 'connectionsMin');
  return {
    connectionsMin,
    connectionsMax: count(
      options.connectionsMax,
      Math.max(4, connectionsMin),
      Math.max(1, connectionsMin),
      'connectionsMax',
    ),
    acquireTimeoutMs: count(options.acquireTimeoutMs, 5_000, 1, 'acquireTimeoutMs'),
    connectTimeoutMs: count(options.connectTimeoutMs, 3_000, 1, 'connectTimeoutMs'),
    idleTimeoutMs: count(options.idleTimeoutMs, 30_000, 1, 'idleTimeoutMs'),
  };
}

function count(value: number | undefined, otherwise: number, least: number, name: string): number {
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && value >= least) return value;
  throw new ClaimwireError('INPUT_INVALID', `${name}: expected a whole number of at least ${least}, got ${value}`);
}

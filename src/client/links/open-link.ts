/** From `--to` and its like to a link. Payer's thread. */
import { lookup } from 'node:dns/promises';
import { ClaimwireError } from '../../errors.ts';
import { hostPortText, type NodeAddress, parseAddress } from '../address.ts';
import type { Clock } from '../clock.ts';
import { ConnectionPool } from '../pool/pool.ts';
import { AutoLink } from './link-auto.ts';
import { TcpLink } from './link-tcp.ts';
import { UdpLink } from './link-udp.ts';
import type { PeerLink } from './peer-link.ts';
import type { TlsOptions } from './tcp-connect.ts';
import { openUdpSocket } from './transport-udp.ts';

/** Which node, and by what. */
export interface LinkOptions {
  /**
   * `udp://HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or `auto://HOST:PORT`: UDP, and TCP on the same port (TLS
   * where `tls` is given) while nothing answers by UDP.
   */
  to: string;
  /** Connections shared with other payers, for `tcp`, `tls` and `auto`. The payer leaves it open. */
  pool?: ConnectionPool;
  /** For `tls` and `auto`, without a pool. */
  tls?: TlsOptions;
}

/** A node that has no TCP on the port is not waited for as one that restarts would be. */
const ASKING_LIMITS = {
  connectionsMin: 0,
  connectionsMax: 1,
  acquireTimeoutMs: 1_500,
  connectTimeoutMs: 1_500,
  idleTimeoutMs: 1_000,
} as const;

/** Rejects with ClaimwireError INPUT_INVALID or NODE_UNREACHABLE (no such host). Whether a node listens there is seen by the first claim. */
export async function openLink(options: LinkOptions, clock: Clock, random: () => number): Promise<PeerLink> {
  const address = parseAddress(options.to);
  const { scheme } = address;
  if (options.tls !== undefined && ((scheme !== 'tls' && scheme !== 'auto') || options.pool !== undefined))
    throw invalid('tls: expected with tls:// or auto://, and without a pool (which has its own)');
  if (scheme === 'udp') {
    if (options.pool !== undefined) throw invalid('pool: expected with tcp, tls or auto, got udp');
    return new UdpLink(await openUdpSocket(options.to), clock, askingLink(address, clock, random));
  }
  const pool = options.pool ?? ownPool(address, options.tls, clock, random);
  if (pool.host !== address.host || pool.port !== address.port || (scheme !== 'auto' && pool.transport !== scheme))
    throw invalid(`pool: expected one to ${options.to}, got one to ${pool.transport}://${pool.peer}`);
  const tcp = new TcpLink(pool, options.pool === undefined);
  if (scheme === 'auto') {
    const socket = await openUdpSocket(`udp://${hostPortText(address)}`);
    return new AutoLink(new UdpLink(socket, clock), tcp, clock);
  }
  await expectHost(address.host);
  return tcp;
}

/** A node takes TCP on the port of its UDP by default: one connection, for as long as there is something to ask. */
function askingLink({ host, port }: NodeAddress, clock: Clock, random: () => number): TcpLink {
  const to = `tcp://${hostPortText({ host, port })}`;
  return new TcpLink(new ConnectionPool({ to, clock, random, ...ASKING_LIMITS }), true);
}

function ownPool(
  { scheme, host, port }: NodeAddress,
  tls: TlsOptions | undefined,
  clock: Clock,
  random: () => number,
): ConnectionPool {
  const isTls = scheme === 'tls' || tls !== undefined;
  const to = `${isTls ? 'tls' : 'tcp'}://${hostPortText({ host, port })}`;
  return new ConnectionPool({ to, clock, random, ...(tls && { tls }) });
}

async function expectHost(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const message = `to: expected a host that can be found, got ${reason} for ${host}, check its name`;
    throw new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
  }
}

function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', message);
}

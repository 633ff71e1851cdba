/** Opens the link that an address such as `udp://HOST:PORT` calls for. Payer's thread. */
import { lookup } from 'node:dns/promises';
import { ClaimwireError } from '../../errors.ts';
import { hostPortText, parseNodeAddress } from '../../host-port.ts';
import { invalid } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import { ConnectionPool } from '../pool/pool.ts';
import { RoutedLink } from '../route/routed-link.ts';
import { parseSeeds, webPlaceFilter } from '../route/seeds.ts';
import type { SendPath } from '../send-path.ts';
import { openBatchedSocket } from './batched-socket.ts';
import { AutoLink } from './link-auto.ts';
import { TcpLink } from './link-tcp.ts';
import { UdpLink } from './link-udp.ts';
import { CARRIER_SCHEMES, type CarrierScheme, openCarrierSocket } from './open-carrier.ts';
import type { PeerLink } from './peer-link.ts';
import type { TlsOptions } from './tcp-connect.ts';
import { openUdpSocket } from './transport-udp.ts';

/** Which node, and how to reach it. */
export interface LinkOptions {
  /**
   * `udp://HOST:PORT`, `tcp://HOST:PORT`, `tls://HOST:PORT`, or `auto://HOST:PORT`: UDP, and TCP on the same port (TLS
   * where `tls` is given) while nothing answers by UDP. Where neither gets through, and the node has `--web`:
   * `ws://HOST:PORT`, `wss://HOST:PORT` (library `ws`), `webrtc+http://HOST:PORT`, `webrtc+https://HOST:PORT` (library
   * `node-datachannel`, which one thread of a process may use).
   *
   * Of a cluster several nodes may be given: `udp://HOST:PORT,HOST:PORT` or a list; with a `pool` one. The payer asks one of
   * them for the route, and sends each channel's claims to the node that holds it. It does so after a first MOVED with one
   * address too.
   */
  to: string | readonly string[];
  /** Connections shared with other payers, for `tcp`, `tls` and `auto`. The payer does not close it. */
  pool?: ConnectionPool;
  /** For `tls`, `auto`, `wss` and `webrtc+https`, without a pool. */
  tls?: TlsOptions;
}

/** What a link is for. */
export interface LinkUse {
  /** Whether many datagrams of one size are sent at once, as frames of Merkle batches are. */
  isBatched?: boolean;
}

const SCHEMES = ['udp', 'tcp', 'tls', 'auto', ...CARRIER_SCHEMES] as const;

/**
 * Limits of the connection for requests to a node that is paid by UDP. It uses the same port, where the node may have no
 * TCP: so it is not waited for as a node that restarts would be.
 */
const ASKING_LIMITS = {
  connectionsMin: 0,
  connectionsMax: 1,
  acquireTimeoutMs: 1_500,
  connectTimeoutMs: 1_500,
  idleTimeoutMs: 1_000,
} as const;

/** Rejects with ClaimwireError INPUT_INVALID or NODE_UNREACHABLE (no such host). Only the first claim shows whether a node listens. */
export async function openLink(
  options: LinkOptions & LinkUse,
  clock: Clock,
  random: () => number,
  newPath: () => SendPath,
): Promise<PeerLink> {
  const seeds = parseSeeds(options.to);
  const { pool } = options;
  const [to] = seeds as [string];
  const address = parseNodeAddress(to, SCHEMES, 'to');
  if (pool !== undefined && seeds.length > 1)
    throw invalid(`to: expected one address with a pool, got ${seeds.length}`);
  const open = (place: string) => {
    if (pool === undefined || place === to) return openOne({ ...options, to: place }, clock, random);
    const other = pool.at(place.replace(/^auto:/, `${pool.transport}:`));
    return openOne({ ...options, to: place, pool: other }, clock, random);
  };
  const usable = isCarrier(address.scheme) ? { usable: webPlaceFilter(seeds) } : {};
  return await new RoutedLink({ seeds, open, newPath, clock, random, ...usable }).start();
}

async function openOne(
  options: LinkOptions & LinkUse & { to: string },
  clock: Clock,
  random: () => number,
): Promise<PeerLink> {
  const address = parseNodeAddress(options.to, SCHEMES, 'to');
  const { scheme } = address;
  const takesTls = scheme === 'tls' || scheme === 'auto' || scheme === 'wss' || scheme === 'webrtc+https';
  if (options.tls !== undefined && (!takesTls || options.pool !== undefined))
    throw invalid(
      'tls: expected with tls://, auto://, wss:// or webrtc+https://, and without a pool (which has its own)',
    );
  if (isCarrier(scheme)) {
    if (options.pool !== undefined) throw invalid(`pool: expected with tcp, tls or auto, got ${scheme}`);
    const socket = await openCarrierSocket(scheme, address, options.tls, clock, random);
    return new UdpLink(socket, clock, undefined, scheme.startsWith('webrtc') ? 'webrtc' : 'websocket');
  }
  if (scheme === 'udp') {
    if (options.pool !== undefined) throw invalid('pool: expected with tcp, tls or auto, got udp');
    const asking = new ConnectionPool({ to: `tcp://${hostPortText(address)}`, clock, random, ...ASKING_LIMITS });
    const batched = options.isBatched ? await openBatchedSocket(options.to) : undefined;
    return new UdpLink(batched ?? (await openUdpSocket(options.to)), clock, new TcpLink(asking, true));
  }
  const { tls } = options;
  const ownTo = `${scheme === 'tls' || tls !== undefined ? 'tls' : 'tcp'}://${hostPortText(address)}`;
  const pool = options.pool ?? new ConnectionPool({ to: ownTo, clock, random, ...(tls && { tls }) });
  if (pool.host !== address.host || pool.port !== address.port || (scheme !== 'auto' && pool.transport !== scheme))
    throw invalid(`pool: expected one to ${options.to}, got one to ${pool.transport}://${pool.peer}`);
  const tcp = new TcpLink(pool, options.pool === undefined);
  if (scheme === 'auto') {
    const socket = await openUdpSocket(`udp://${hostPortText(address)}`);
    return new AutoLink(new UdpLink(socket, clock), tcp, clock);
  }
  try {
    await lookup(address.host);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const message = `to: expected a host that can be found, got ${reason} for ${address.host}, check its name`;
    throw new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
  }
  return tcp;
}

function isCarrier(scheme: string): scheme is CarrierScheme {
  return CARRIER_SCHEMES.some((known) => known === scheme);
}

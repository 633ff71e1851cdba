/** Where the admin server listens: for its clients, and for other nodes of the cluster. Main thread. */
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:tls';
import { ClaimwireError } from '../errors.ts';
import { type HostPort, hostPortText } from '../host-port.ts';
import type { Logger } from '../log.ts';
import type { PeerSettings } from './forwarding.ts';

/** The most that systems allow. Beyond it a client's first packet is dropped, and sent again only a second later. */
const BACKLOG = 4_096;
const HANDSHAKE_MS_MAX = 2_000;
/** With those whose handshake is under way. */
const SOCKETS_MAX = 256;

/**
 * Where other nodes hand requests in: TLS with certificates on both sides. A certificate of the cluster opens this door and no
 * more: each request still needs its caller's token, as at the admin interface itself. Undefined where no such address is
 * given. Throws CONFIG_INVALID.
 * @param name of the setting, for messages
 */
export async function openPeerDoor(
  peers: PeerSettings | undefined,
  accept: (socket: Socket) => void,
  logger: Logger,
  name: 'cluster-http' | 'cluster-gateway' = 'cluster-http',
): Promise<Server | undefined> {
  if (peers?.listen === undefined) return undefined;
  if (peers.tls === undefined)
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `${name}: expected certificates for both sides, got none; give --cluster-ca, --cluster-cert and --cluster-key`,
    );
  const door = createPeerDoor(peers.tls, accept);
  await listen(door, peers.listen, name, logger);
  return door;
}

/** Throws CONFIG_INVALID, which names the setting. */
export function listen(server: Server, { host, port }: HostPort, name: string, logger: Logger): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      const message = `${name} ${hostPortText({ host, port })}: expected an address to listen on, got ${code}`;
      reject(new ClaimwireError('CONFIG_INVALID', message));
    });
    server.listen({ port, host, backlog: BACKLOG }, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => logger.error(`${name}: ${error.message}`));
      resolve();
    });
  });
}

/** Not listening yet. Throws CONFIG_INVALID where the certificates do not serve. */
function createPeerDoor(tls: NonNullable<PeerSettings['tls']>, accept: (socket: Socket) => void): Server {
  const options = {
    ...tls,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3' as const,
    handshakeTimeout: HANDSHAKE_MS_MAX,
    noDelay: true,
  };
  try {
    const server = createServer(options, accept);
    server.maxConnections = SOCKETS_MAX;
    // A handshake that fails is the other side's fault, and is not told in the log: anybody may cause it.
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  } catch (error) {
    const { message } = error as Error;
    throw new ClaimwireError('CONFIG_INVALID', `cluster-cert: expected PEM files that belong together, got ${message}`);
  }
}

/** Starts a pool's connections: TCP, or TLS over it. Payer's thread. */
import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { ClaimwireError } from '../../errors.ts';
import type { Connect } from '../pool/connection.ts';

/** Which nodes a `tls` link trusts. */
export interface TlsOptions {
  /** PEM certificates to trust, instead of the system's. */
  ca?: string | Buffer;
  /** Default true. With false the node's certificate is not checked. */
  rejectUnauthorized?: boolean;
  /** The name that the node's certificate must have; default the host of the address. */
  servername?: string;
}

/** Finds a node that vanished without closing the connection, also between two probes. */
const KEEP_ALIVE_MS = 15_000;

/** Each connection looks the name up, so that a node that moved is found. Throws INPUT_INVALID for a `ca` that is no PEM. */
export function connector(scheme: 'tcp' | 'tls', host: string, port: number, options?: TlsOptions): Connect {
  // Nagle's algorithm would hold a claim back until the one before it is acknowledged: 40 ms with Linux's delayed acks.
  const socketOptions = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  if (scheme === 'tcp') {
    if (options !== undefined) throw new ClaimwireError('INPUT_INVALID', 'tls: expected with tls:// only, got tcp://');
    return () => ({ socket: net.connect(socketOptions), upEvent: 'connect' });
  }
  const { ca, rejectUnauthorized = true, servername } = options ?? {};
  const name = servername ?? (net.isIP(host) === 0 ? host : undefined);
  let secureContext: tls.SecureContext;
  try {
    // createSecureContext does not refuse text that is no certificate.
    if (ca !== undefined) new X509Certificate(ca);
    secureContext = tls.createSecureContext({ minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) });
  } catch (error) {
    const message = `tls.ca: expected certificates as PEM, got ${(error as Error).message}`;
    throw new ClaimwireError('INPUT_INVALID', message, {}, { cause: error });
  }
  const tlsOptions = { secureContext, rejectUnauthorized, ...(name !== undefined && { servername: name }) };
  return () => ({
    socket: tls.connect({ ...tlsOptions, host, socket: net.connect(socketOptions) }),
    upEvent: 'secureConnect',
  });
}

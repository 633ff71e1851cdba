/**
 * Nodes that pay each other over one connection, which either may have opened: so a node behind a firewall, which can only
 * dial, is paid too. Payer's thread; it runs beside the node, in its process or another.
 *
 * Whoever dials proves first, by `resume`, that it holds the key of a channel at the other node. The other end takes the
 * connection for the peer that this channel is of, and pays it over the same connection. Lost connections are dialled again.
 */
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText, parseNodeAddress } from '../../host-port.ts';
import { invalid } from '../claim-errors.ts';
import { ControlCalls } from '../control-calls.ts';
import { type ChannelIdentityOptions, channelIdentity } from '../identity.ts';
import { keySigner } from '../keys/key-file.ts';
import { TcpLink } from '../links/link-tcp.ts';
import { connector, type TlsOptions } from '../links/tcp-connect.ts';
import { Payer, type PayerLimits } from '../payer.ts';
import type { Connect } from '../pool/connection.ts';
import { ConnectionPool } from '../pool/pool.ts';
import { resumeRequest } from '../resume.ts';
import { systemClock } from '../system-clock.ts';
import { framed, PayerEnd, PeerWire, type WireOwner } from './peer-wire.ts';

/** A stranger may try its luck for so long; the node gives a first message as much time. */
const PROOF_MS_DEFAULT = 10_000;
const CONNECTIONS_MAX_DEFAULT = 256;

/** Where a node pays and is paid by its peers. */
export interface PeeringOptions {
  /** Our own node, `tcp://HOST:PORT` (or `tls://`): what peers send is passed on to it. */
  node: string;
  /** For `tls://`. */
  tls?: TlsOptions;
  /** Where peers may dial in; by default nowhere. */
  listen?: HostPort;
  /** Where peers dial by `tls://`: certificate and key, PEM. */
  listenTls?: { cert: string | Buffer; key: string | Buffer };
  /** Connections of peers and strangers at a time. Default 256; those beyond are closed and counted. */
  connectionsMax?: number;
  /** How long one that dials in may take to prove which peer it is, milliseconds. Default 10,000. */
  proofMsMax?: number;
}

/** Which peer, and the channel by which we pay it: its key proves to the peer who we are. */
export interface DialOptions extends Omit<PayerLimits, 'clock' | 'random'> {
  /** The peer's Peering, `tcp://HOST:PORT` or `tls://HOST:PORT`. */
  to: string;
  /** For `tls://`. */
  tls?: TlsOptions;
  proof: ChannelIdentityOptions;
}

/** Which peer: the one that holds the key of this channel at our node. */
export interface AcceptOptions extends Omit<PayerLimits, 'clock' | 'random'> {
  /** The handle of a channel by which the peer pays us. */
  channelId: bigint;
}

/** What a peering has seen. */
export interface PeeringStats {
  /** Connections that are open, whoever opened them. */
  connections: number;
  /** Connections that were closed since there were too many. */
  refusedFull: number;
  /** Connections that the system could not hand over, for instance for want of file descriptors. */
  acceptFailed: number;
  /** Connections whose peer did not prove in time that it is one. */
  unproven: number;
  /** Requests that only the operator may make. */
  refusedRequests: number;
}

/** A peer that dials: the pool that waits for its connection, or the connection that waits for the pool. */
interface Expected {
  end: PayerEnd | undefined;
  wire: PeerWire | undefined;
}

/** Our side of the connections to nodes that we pay and that pay us. */
export class Peering {
  readonly #connectNode: Connect;
  readonly #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #wires = new Set<PeerWire>();
  readonly #expected = new Map<bigint, Expected>();
  readonly #payers = new Set<Payer>();
  readonly #stats = { refusedFull: 0, acceptFailed: 0, unproven: 0, refusedRequests: 0 };

  /** Rejects with ClaimwireError INPUT_INVALID, or the system's error where it cannot listen. */
  static async open(options: PeeringOptions): Promise<Peering> {
    const { listen } = options;
    if (listen === undefined) return new Peering(options);
    const server = createServer(options);
    const peering = new Peering(options, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(listen, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return peering;
  }

  private constructor(options: PeeringOptions, server?: Server) {
    const { node, connectionsMax = CONNECTIONS_MAX_DEFAULT, proofMsMax = PROOF_MS_DEFAULT } = options;
    const { scheme, host, port } = parseNodeAddress(node, ['tcp', 'tls'], 'node');
    this.#connectNode = connector(scheme, host, port, options.tls);
    this.#server = server;
    if (server === undefined) return;
    server.maxConnections = connectionsMax;
    server.on('drop', () => {
      this.#stats.refusedFull += 1;
    });
    server.on('error', () => {
      this.#stats.acceptFailed += 1;
    });
    // Those in a handshake are among them.
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on(server instanceof tls.Server ? 'secureConnection' : 'connection', (socket) =>
      this.#admit(socket, proofMsMax),
    );
  }

  /** Where peers may dial in, HOST:PORT; empty where they may not. */
  get address(): string {
    if (this.#server === undefined) return '';
    const { address: host, port } = this.#server.address() as AddressInfo;
    return hostPortText({ host, port });
  }

  /**
   * A payer to a peer that we dial, and that may pay us over the same connection. Add the channel to it as to any payer; it is
   * closed with this Peering. Throws ClaimwireError INPUT_INVALID.
   */
  dial({ to, tls, proof, ...limits }: DialOptions): Payer {
    const { scheme, host, port } = parseNodeAddress(to, ['tcp', 'tls'], 'to');
    const identity = channelIdentity(proof, keySigner);
    const connect = connector(scheme, host, port, tls);
    return this.#payer(to, limits, () => {
      const end = new PayerEnd();
      const { socket, upEvent } = connect();
      const wire = this.#open(socket);
      const calls = new ControlCalls(systemClock, (payload) => wire.write(framed(payload, 0, payload.length)));
      let reason: Error | undefined;
      socket.on('error', (error) => {
        reason = error;
      });
      socket.on('close', () => {
        calls.end();
        end.destroy(reason);
      });
      wire.onReply = (bytes, start, stop) => calls.reply(bytes, start, stop);
      end.once('close', () => wire.destroy());
      socket.once(upEvent, () => {
        calls
          .ask((nonce) => resumeRequest(identity, nonce))
          .then(
            () => up(wire, end),
            (error: Error) => end.destroy(error),
          );
      });
      return { socket: end, upEvent: 'connect' };
    });
  }

  /** A payer to a peer that dials us. Its claims wait until the peer has connected. Throws ClaimwireError CHANNEL_EXISTS. */
  accept({ channelId, ...limits }: AcceptOptions): Payer {
    if (this.#server === undefined) throw invalid('accept: expected a Peering that listens, got one that does not');
    if (this.#expected.has(channelId))
      throw new ClaimwireError('CHANNEL_EXISTS', `channelId: expected one peer for it, got another for ${channelId}`);
    const expected: Expected = { end: undefined, wire: undefined };
    this.#expected.set(channelId, expected);
    return this.#payer(`tcp://${this.address}`, limits, () => {
      const end = new PayerEnd();
      expected.end = end;
      end.once('close', () => {
        if (expected.end === end) expected.end = undefined;
      });
      // The pool takes its socket first.
      queueMicrotask(() => meet(expected));
      return { socket: end, upEvent: 'connect' };
    });
  }

  /** Counters, now. */
  stats(): PeeringStats {
    return { connections: this.#wires.size, ...this.#stats };
  }

  /** Closes its payers and every connection. */
  async close(): Promise<void> {
    const listening = this.#server;
    const closed = listening && new Promise((resolve) => listening.close(resolve));
    await Promise.all([...this.#payers].map((payer) => payer.close()));
    for (const wire of this.#wires) wire.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #payer(to: string, limits: Omit<PayerLimits, 'clock' | 'random'>, connect: Connect): Payer {
    const pool = new ConnectionPool({ to, connect, connectionsMax: 1 });
    const payer = new Payer({ ...limits, waitForNode: true, link: new TcpLink(pool, true) });
    this.#payers.add(payer);
    return payer;
  }

  #admit(socket: Socket, proofMsMax: number): void {
    const wire = this.#open(socket);
    const timer = setTimeout(() => {
      if (wire.hasPayer) return;
      this.#stats.unproven += 1;
      wire.destroy();
    }, proofMsMax);
    socket.once('close', () => clearTimeout(timer));
  }

  #open(socket: ConstructorParameters<typeof PeerWire>[0]): PeerWire {
    const owner: WireOwner = {
      connectNode: this.#connectNode,
      proved: (wire, channelId) => this.#proved(wire, channelId),
      refused: () => {
        this.#stats.refusedRequests += 1;
      },
      gone: (wire) => this.#wires.delete(wire),
    };
    const wire = new PeerWire(socket, owner);
    this.#wires.add(wire);
    return wire;
  }

  /** The newest connection of a peer counts: the one before may be dead without our knowing. */
  #proved(wire: PeerWire, channelId: bigint): void {
    const expected = this.#expected.get(channelId);
    if (expected === undefined) return;
    if (expected.wire !== wire) expected.wire?.destroy();
    expected.wire = wire;
    meet(expected);
  }
}

function createServer({ listenTls, proofMsMax = PROOF_MS_DEFAULT }: PeeringOptions): Server {
  const options = { noDelay: true, keepAlive: true };
  if (listenTls === undefined) return net.createServer(options);
  try {
    const server = tls.createServer({ ...options, ...listenTls, minVersion: 'TLSv1.2', handshakeTimeout: proofMsMax });
    return server.on('tlsClientError', (_error, socket) => socket.destroy());
  } catch (error) {
    throw invalid(`listenTls: expected a certificate and its key as PEM, got ${(error as Error).message}`);
  }
}

/** Joins a connection and the pool that waits for it, when both are there. */
function meet({ end, wire }: Expected): void {
  if (wire === undefined || wire.isDestroyed || wire.hasPayer || end === undefined || end.wire !== undefined) return;
  up(wire, end);
}

function up(wire: PeerWire, end: PayerEnd): void {
  if (wire.isDestroyed || end.destroyed) return;
  wire.attach(end);
  end.emit('connect');
}

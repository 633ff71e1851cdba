/**
 * TCP, plain or TLS: a listener, its table of connections, and acks back on the connection their claims came from.
 *
 * Runs in the thread that owns it (net thread or lane), on that thread's event loop. Everything is bounded: connections
 * in all and per address, what is read ahead of the ring, what waits to be written, the time a peer may say nothing.
 */
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { ControlPort } from './control-port.ts';
import { AddressCounts } from './tcp-addresses.ts';
import { type ConnectionHost, SOURCE_GENERATION, SOURCE_SLOT, TcpConnection } from './tcp-connection.ts';
import { TCP_LIMITS, type TcpLimits, type TcpOptions } from './tcp-options.ts';
import type { Packet, StreamSink, Transport } from './transport.ts';

const PACKET_BYTES = ACK_BYTES * ACKS_PER_DATAGRAM_MAX;
/** The ack sender holds 64 open at most; when the others are used up, a flush frees them. */
const PACKETS_MAX = 256;
/** A pool of a thousand connecting at once; the kernel has its own bound. */
const BACKLOG = 1_024;
/** Finds peers that are gone without a word; the idle rule would too, later. */
const KEEP_ALIVE_MS = 15_000;
/** Claims a connection that waited hands in before the next one's turn: about a third of a chunk. */
const QUANTUM_CLAIMS = 256;
const TICK_MS_MAX = 1_000;
const CLOSE_MS_MAX = 1_000;

const ACCEPTED = counterIndex('tcp.accepted');
const CLOSED = counterIndex('tcp.closed');
const REFUSED_FULL = counterIndex('tcp.refusedFull');
const REFUSED_ADDRESS = counterIndex('tcp.refusedAddress');
const ACCEPT_FAILED = counterIndex('tcp.acceptFailed');
const TLS_FAILED = counterIndex('tcp.tlsFailed');
const CONNECTION_GONE = counterIndex('dropped.connectionGone');

export class TcpTransport implements Transport, ConnectionHost {
  readonly address: string;
  /** The kernel's, per connection, and of its own choosing. */
  readonly receiveBufferBytes = 0;
  readonly sink: StreamSink;
  readonly counters: Counters;
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly #server: Server;
  /** Never listens: connections are handed to it. */
  readonly #tls: tls.Server | undefined;
  readonly #onActivity: () => void;
  readonly #addresses: AddressCounts;
  /** Every socket of the listener, in a handshake or beyond. */
  readonly #sockets = new Set<Socket>();
  /** By slot. */
  readonly #connections: (TcpConnection | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #generation = 0;
  /** With something read but not handed in, in the order of their turns. */
  readonly #waiting = new Set<TcpConnection>();
  readonly #touched: TcpConnection[] = [];
  readonly #free: Packet[] = [];
  #packetsMade = 0;
  readonly #timer: NodeJS.Timeout;
  #secondAt = 0;
  #closed: Promise<void> | undefined;
  now = performance.now();

  private constructor(
    server: Server,
    tlsServer: tls.Server | undefined,
    limits: TcpLimits,
    sink: StreamSink,
    counters: Counters,
    control: ControlPort,
    onActivity: () => void,
  ) {
    this.#server = server;
    this.#tls = tlsServer;
    this.limits = limits;
    this.sink = sink;
    this.counters = counters;
    this.control = control;
    this.#onActivity = onActivity;
    this.#addresses = new AddressCounts(limits.connectionsPerAddressMax);
    const { address, port, family } = server.address() as AddressInfo;
    this.address = family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
    server.maxConnections = limits.connectionsMax;
    server.on('connection', (socket) => this.#admit(socket));
    server.on('drop', () => counters.add(REFUSED_FULL, 1));
    server.on('error', () => counters.add(ACCEPT_FAILED, 1));
    tlsServer?.on('secureConnection', (socket) => this.#begin(socket, true));
    tlsServer?.on('tlsClientError', (_error, socket) => {
      counters.add(TLS_FAILED, 1);
      socket.destroy();
    });
    const tickMs = Math.max(10, Math.min(TICK_MS_MAX, limits.helloMsMax / 4, limits.idleMsMax / 4));
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  /**
   * Listens. Rejects with the system's error (EADDRINUSE, EACCES, …), or CONFIG_INVALID for a certificate that is none.
   * @param onActivity called before payloads are handed in: the owner has a turn to take
   */
  static async open(
    options: TcpOptions,
    sink: StreamSink,
    counters: Counters,
    control: ControlPort,
    onActivity: () => void,
  ): Promise<TcpTransport> {
    const limits = { ...TCP_LIMITS, ...options.limits };
    const tlsServer = options.tls && createTlsServer(options.tls, limits.helloMsMax);
    const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...options.listen, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return new TcpTransport(server, tlsServer, limits, sink, counters, control, onActivity);
  }

  // --- connections ---

  #admit(socket: Socket): void {
    // Before anything else: a reset may be waiting already.
    socket.on('error', () => {});
    const address = socket.remoteAddress;
    if (address === undefined || this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    if (!this.#addresses.take(address)) {
      this.counters.add(REFUSED_ADDRESS, 1);
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#addresses.release(address);
    });
    if (this.#tls === undefined) this.#begin(socket, isLoopback(address));
    else this.#tls.emit('connection', socket);
  }

  #begin(stream: Socket, isProtected: boolean): void {
    this.now = performance.now();
    this.#generation = (this.#generation + 1) >>> 0;
    const slot = this.#freeSlots.pop() ?? this.#connections.length;
    this.#connections[slot] = new TcpConnection(this, stream, slot, this.#generation, isProtected);
    this.counters.add(ACCEPTED, 1);
  }

  remove(connection: TcpConnection): void {
    const slot = connection.source[SOURCE_SLOT]!;
    this.#connections[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#waiting.delete(connection);
    this.counters.add(CLOSED, 1);
  }

  #tick(): void {
    this.now = performance.now();
    const isSecond = this.now - this.#secondAt >= 1_000;
    if (isSecond) this.#secondAt = this.now;
    for (const connection of this.#connections) connection?.tick(isSecond);
    // Those that were held have no other occasion.
    this.resume();
  }

  // --- in ---

  get isCrowded(): boolean {
    return this.#waiting.size > 0;
  }

  begin(): void {
    this.now = performance.now();
    this.#onActivity();
  }

  wait(connection: TcpConnection): void {
    this.#waiting.add(connection);
  }

  /**
   * Goes on with connections that had no room, each in its turn, as far as there is room now. For the owner to call once
   * a turn, after slots were freed; costs nothing when none waits.
   */
  resume(): void {
    if (this.#waiting.size === 0 || this.#closed !== undefined) return;
    // Not the room as it changes: claims turned away at the door take none, and one turn must end.
    let claims = this.sink.room;
    if (claims > 0) this.begin();
    while (claims > 0) {
      const [connection] = this.#waiting;
      if (connection === undefined) return;
      this.#waiting.delete(connection);
      const quantum = Math.min(claims, QUANTUM_CLAIMS);
      if (connection.advance(quantum)) connection.readOn();
      else if (!connection.isHeld) this.#waiting.add(connection);
      claims -= Math.max(1, quantum - connection.claimsLeft);
    }
  }

  // --- out ---

  acquire(): Packet | undefined {
    if (this.#free.length === 0 && this.#packetsMade === PACKETS_MAX) this.flush();
    const packet = this.#free.pop();
    if (packet !== undefined || this.#packetsMade === PACKETS_MAX) return packet;
    this.#packetsMade++;
    const bytes = new Uint8Array(PACKET_BYTES);
    return { bytes, view: new DataView(bytes.buffer), length: 0 };
  }

  send(packet: Packet, words: Uint32Array, at: number): void {
    const connection = this.#connections[words[at + SOURCE_SLOT]!];
    if (connection?.source[SOURCE_GENERATION] === words[at + SOURCE_GENERATION]!) {
      connection.queue(packet);
      return;
    }
    this.counters.add(CONNECTION_GONE, packet.length / ACK_BYTES);
    this.giveBack(packet);
  }

  touch(connection: TcpConnection): void {
    this.#touched.push(connection);
  }

  giveBack(packet: Packet): void {
    packet.length = 0;
    this.#free.push(packet);
  }

  flush(): void {
    for (const connection of this.#touched) connection.flush();
    this.#touched.length = 0;
  }

  // --- end ---

  stopReceiving(): void {
    if (this.#closed !== undefined) return;
    // Resolves when the last connection is gone as well.
    this.#closed = new Promise((resolve) => this.#server.close(() => resolve()));
    this.#waiting.clear();
    for (const connection of this.#connections) connection?.stopReceiving();
  }

  async close(): Promise<void> {
    this.stopReceiving();
    clearInterval(this.#timer);
    this.flush();
    for (const connection of this.#connections) connection?.end();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_MS_MAX);
    await this.#closed;
    clearTimeout(timer);
    // Their own last events come just after the server's.
    while (this.#sockets.size > 0) await new Promise(setImmediate);
  }
}

function createTlsServer({ cert, key }: { cert: string; key: string }, handshakeTimeout: number): tls.Server {
  try {
    return tls.createServer({ cert, key, minVersion: 'TLSv1.2', handshakeTimeout });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new ClaimwireError('CONFIG_INVALID', `TLS: expected a certificate and its key as PEM, got ${text}`);
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}

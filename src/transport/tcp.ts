/**
 * TCP, plain or TLS: a listener, its table of connections, and acks back on the connection their claims came from.
 *
 * Runs in the thread that owns it (net thread or lane), on that thread's event loop. Everything is bounded: connections
 * in all and per address, what is handed in between two turns, what is read ahead, what waits to be written to one and to
 * all, the time a peer may say nothing.
 */
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { type Clock, nodeSystem } from '../system/system.ts';
import type { ControlPort } from './control-port.ts';
import { AddressCounts } from './tcp-addresses.ts';
import { Arrivals } from './tcp-arrivals.ts';
import {
  type ConnectionHost,
  type OpenStream,
  SOURCE_GENERATION,
  SOURCE_SLOT,
  TcpConnection,
} from './tcp-connection.ts';
import { ControlGate } from './tcp-control-gate.ts';
import type { TcpIntake } from './tcp-intake.ts';
import { KeptBytes } from './tcp-kept.ts';
import { TCP_LIMITS, type TcpLimits, type TcpOptions } from './tcp-options.ts';
import { OutboxSum } from './tcp-outbox.ts';
import { READ_BYTES, readByData, readInto } from './tcp-reader.ts';
import { Turns } from './tcp-turns.ts';
import type { Packet, StreamSink, Transport } from './transport.ts';

const PACKET_BYTES = ACK_BYTES * ACKS_PER_DATAGRAM_MAX;
/** The ack sender holds 64 open at most; when the others are used up, a flush frees them. */
const PACKETS_MAX = 256;
/** A pool of a thousand connecting at once; the kernel has its own bound. */
const BACKLOG = 1_024;
/** Finds peers that are gone without a word; the idle rule would too, later. */
const KEEP_ALIVE_MS = 15_000;
/** What a connection whose control message was held hands in with it. */
const LET_THROUGH_CLAIMS = 32;
/** Those held are looked at so often while nothing else calls for a turn: ten messages' time. */
const GATE_MS = 10;
/** When queues are over their bound in all, the longest go until so much of it is left. */
const QUEUES_KEPT = 0.75;
const TICK_MS_MAX = 1_000;
const CLOSE_MS_MAX = 1_000;

const ACCEPTED = counterIndex('tcp.accepted');
const CLOSED = counterIndex('tcp.closed');
const REFUSED_FULL = counterIndex('tcp.refusedFull');
const REFUSED_ADDRESS = counterIndex('tcp.refusedAddress');
const ACCEPT_FAILED = counterIndex('tcp.acceptFailed');
const TLS_FAILED = counterIndex('tcp.tlsFailed');
const CUT_QUEUES_FULL = counterIndex('tcp.cutQueuesFull');
const CONNECTION_GONE = counterIndex('dropped.connectionGone');

export class TcpTransport implements Transport, ConnectionHost {
  readonly address: string;
  /** The kernel's, per connection, and of its own choosing. */
  readonly receiveBufferBytes = 0;
  sink!: StreamSink;
  readonly counters: Counters;
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly #server: Server;
  /** Never listens: connections are handed to it. */
  readonly #tls: tls.Server | undefined;
  #onActivity: () => void = () => {};
  #isReceiving = false;
  readonly #addresses: AddressCounts;
  readonly #arrivals = new Arrivals();
  /** Every socket of the listener, in a handshake or beyond. */
  readonly #sockets = new Set<Socket>();
  /** By slot. */
  readonly #connections: (TcpConnection | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #generation = 0;
  readonly turns = new Turns<TcpIntake>();
  readonly gate = new ControlGate<TcpIntake>();
  readonly kept = new KeptBytes();
  readonly outboxes = new OutboxSum();
  /** What every connection is read into: it is empty again before the next one is read. */
  readonly #shared = Buffer.allocUnsafeSlow(READ_BYTES);
  #gateTimer: NodeJS.Timeout | undefined;
  readonly #touched: TcpConnection[] = [];
  readonly #free: Packet[] = [];
  #packetsMade = 0;
  readonly #timer: NodeJS.Timeout;
  #secondAt = 0;
  #closed: Promise<void> | undefined;
  now: number;
  readonly #clock: Pick<Clock, 'monotonic'>;

  private constructor(
    server: Server,
    tlsServer: tls.Server | undefined,
    limits: TcpLimits,
    clock: Pick<Clock, 'monotonic'>,
    counters: Counters,
    control: ControlPort,
  ) {
    this.#clock = clock;
    this.now = clock.monotonic();
    this.#server = server;
    this.#tls = tlsServer;
    this.limits = limits;
    this.counters = counters;
    this.control = control;
    this.#addresses = new AddressCounts(limits.connectionsPerAddressMax);
    const { address, port, family } = server.address() as AddressInfo;
    this.address = family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
    server.maxConnections = limits.connectionsMax;
    server.on('connection', (socket) => this.#admit(socket));
    server.on('drop', () => counters.add(REFUSED_FULL, 1));
    server.on('error', () => counters.add(ACCEPT_FAILED, 1));
    tlsServer?.on('secureConnection', (socket) => this.#begin((take) => readByData(socket, take), true));
    tlsServer?.on('tlsClientError', (_error, socket) => {
      counters.add(TLS_FAILED, 1);
      socket.destroy();
    });
    const tickMs = Math.max(10, Math.min(TICK_MS_MAX, limits.helloMsMax / 4, limits.idleMsMax / 4));
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  /**
   * Listens; connections are taken in and not read. Rejects with the system's error (EADDRINUSE, EACCES, …), or
   * CONFIG_INVALID for a certificate that is none.
   */
  static async open(options: TcpOptions, counters: Counters, control: ControlPort): Promise<TcpTransport> {
    const limits = { ...TCP_LIMITS, ...options.limits };
    const tlsServer = options.tls && createTlsServer(options.tls, limits.helloMsMax);
    const server = net.createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // A handshake reads by itself.
      pauseOnConnect: tlsServer === undefined,
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...options.listen, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return new TcpTransport(server, tlsServer, limits, options.clock ?? nodeSystem.clock, counters, control);
  }

  startReceiving(sink: StreamSink, onActivity: () => void): void {
    this.sink = sink;
    this.#onActivity = onActivity;
    this.#isReceiving = true;
    for (const connection of this.#connections) connection?.readOn();
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
    this.#arrivals.add(() => this.#setUp(socket, address));
  }

  #setUp(socket: Socket, address: string): void {
    // Its place is given back already, or by this.
    if (this.#closed !== undefined || socket.destroyed) socket.destroy();
    else if (this.#tls !== undefined) this.#tls.emit('connection', socket);
    else this.#begin((take) => readInto(socket, this.#shared, take), isLoopback(address));
  }

  #begin(open: OpenStream, isProtected: boolean): void {
    this.now = this.#clock.monotonic();
    this.#generation = (this.#generation + 1) >>> 0;
    const slot = this.#freeSlots.pop() ?? this.#connections.length;
    const connection = new TcpConnection(this, open, slot, this.#generation, isProtected);
    this.#connections[slot] = connection;
    this.counters.add(ACCEPTED, 1);
    if (this.#isReceiving) connection.readOn();
  }

  remove(connection: TcpConnection): void {
    const slot = connection.source[SOURCE_SLOT]!;
    this.#connections[slot] = undefined;
    this.#freeSlots.push(slot);
    this.counters.add(CLOSED, 1);
  }

  #tick(): void {
    this.now = this.#clock.monotonic();
    const isSecond = this.now - this.#secondAt >= 1_000;
    if (isSecond) this.#secondAt = this.now;
    for (const connection of this.#connections) connection?.tick(isSecond);
    // Those that a new second lets stand at the gate have no other occasion.
    if (this.gate.held > 0) this.#openGate();
  }

  // --- in ---

  begin(): void {
    this.now = this.#clock.monotonic();
    this.#onActivity();
  }

  /**
   * Goes on with connections that wait, each in its turn, as far as this one's budget and the room go. For the owner to
   * call once a turn, after slots were freed.
   */
  resume(): void {
    if (!this.#isReceiving) return;
    this.turns.begin(this.sink);
    if (this.gate.held > 0) this.#openGate();
    if (this.turns.waiting === 0 || this.turns.left <= 0) return;
    // What is handed in now is published in the next turn.
    this.begin();
    this.turns.serve(serve);
  }

  /** Lets control messages through that were held, as far as their rate goes, and looks again while any are. */
  #openGate(): void {
    this.gate.release(this.#clock.monotonic(), (intake) => {
      this.begin();
      intake.letThrough(LET_THROUGH_CLAIMS);
    });
    if (this.gate.held === 0 || this.#gateTimer !== undefined) return;
    this.#gateTimer = setTimeout(() => {
      this.#gateTimer = undefined;
      if (this.gate.held > 0) this.#openGate();
    }, GATE_MS).unref();
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

  checkOutboxes(): void {
    const bytesMax = this.limits.writeQueuesBytesMax;
    if (this.outboxes.bytes <= bytesMax) return;
    const waiting = this.#connections.filter((connection) => connection !== undefined && connection.queuedBytes > 0);
    waiting.sort((one, other) => other!.queuedBytes - one!.queuedBytes);
    for (const connection of waiting) {
      if (this.outboxes.bytes <= bytesMax * QUEUES_KEPT) return;
      connection!.cut(CUT_QUEUES_FULL);
    }
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
    this.#isReceiving = false;
    this.turns.clear();
    this.gate.clear();
    clearTimeout(this.#gateTimer);
    for (const connection of this.#connections) connection?.stopReceiving();
  }

  async close(): Promise<void> {
    this.stopReceiving();
    clearInterval(this.#timer);
    this.flush();
    for (const connection of this.#connections) connection?.end();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection?.destroy();
      for (const socket of this.#sockets) socket.destroy();
    }, CLOSE_MS_MAX);
    await this.#closed;
    clearTimeout(timer);
    // Their own last events come just after the server's.
    const isOpen = () => this.#sockets.size > 0 || this.#connections.some((connection) => connection !== undefined);
    while (isOpen()) await new Promise(setImmediate);
  }
}

function serve(intake: TcpIntake, claimsMax: number): void {
  intake.advance(claimsMax);
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

/**
 * TCP and TLS: a listener and its connections. An ack is sent on the connection that its claim came from.
 *
 * Runs on the event loop of the thread that owns it, net thread or lane. There are limits on the connections, in all and
 * per address, on what is handed in per turn, on what waits to be written, and on the time of silence.
 */
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { ACK_BYTES } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { type HostPort, isLoopback } from '../host-port.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { type Clock, nodeSystem } from '../system/system.ts';
import type { ControlPort } from './control-port.ts';
import { AddressCounts, Arrivals } from './tcp-admission.ts';
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
import type { OutboxSum } from './tcp-outbox.ts';
import { READ_BYTES, readByData, readInto } from './tcp-reader.ts';
import { Turns } from './tcp-turns.ts';
import { emptyPacket, type Packet, type StreamSink, type Transport } from './transport.ts';

/** The ack sender has at most 64 open; when all others are used, a flush frees them. */
const PACKETS_MAX = 256;
/** Room for a pool of a thousand that connects at once; the kernel has its own limit. */
const BACKLOG = 1_024;
/** Finds peers that vanished, sooner than the limit on idle connections does. */
const KEEP_ALIVE_MS = 15_000;
/** Claims that a connection may hand in together with a control message that was held. */
const LET_THROUGH_CLAIMS = 32;
/** How often held messages are tried again without a turn: the rate allows ten in this time. */
const GATE_MS = 10;
/** When all queues together are over their limit, the longest are cut down to this share of it. */
const QUEUES_KEPT = 0.75;
const TICK_MS_MAX = 1_000;
const CLOSE_MS_MAX = 1_000;

const CONNECTION_GONE = counterIndex('dropped.connectionGone');

export class TcpTransport implements Transport, ConnectionHost {
  readonly address: HostPort;
  /** Each connection has a buffer of the system, which chooses its size. */
  readonly receiveBufferBytes = 0;
  sink!: StreamSink;
  readonly counters: Counters;
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly #server: Server;
  /** It never listens: accepted connections are passed to it. */
  readonly #tls: tls.Server | undefined;
  #onActivity: () => void = () => {};
  #isReceiving = false;
  readonly #addresses: AddressCounts;
  readonly #arrivals = new Arrivals();
  /** Every socket of the listener, including those in a handshake. */
  readonly #sockets = new Set<Socket>();
  /** By slot. */
  readonly #connections: (TcpConnection | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  #generation = 0;
  readonly turns = new Turns<TcpIntake>();
  readonly gate = new ControlGate<TcpIntake>();
  readonly kept = new KeptBytes();
  readonly outboxes: OutboxSum = { bytes: 0 };
  /** Every connection is read into this memory, and its bytes are used or copied before the next one is read. */
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
    const { address: host, port } = server.address() as AddressInfo;
    this.address = { host, port };
    server.maxConnections = limits.connectionsMax;
    server.on('connection', (socket) => this.#admit(socket));
    server.on('drop', () => counters.count('tcp.refusedFull'));
    server.on('error', () => counters.count('tcp.acceptFailed'));
    tlsServer?.on('secureConnection', (socket) => this.#begin((take) => readByData(socket, take), true));
    tlsServer?.on('tlsClientError', (_error, socket) => {
      counters.count('tcp.tlsFailed');
      socket.destroy();
    });
    const tickMs = Math.max(10, Math.min(TICK_MS_MAX, limits.helloMsMax / 4, limits.idleMsMax / 4));
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  /**
   * Listens; connections are accepted and not read. Rejects with the system's error (EADDRINUSE, EACCES, …), or with
   * CONFIG_INVALID for a wrong certificate or key.
   */
  static async open(options: TcpOptions, counters: Counters, control: ControlPort): Promise<TcpTransport> {
    const limits = { ...TCP_LIMITS, ...options.limits };
    const tlsServer = options.tls && createTlsServer(options.tls, limits.helloMsMax);
    const server = net.createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // A TLS handshake must be read at once.
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
    // First, since a reset may be waiting already.
    socket.on('error', () => {});
    const address = socket.remoteAddress;
    if (address === undefined || this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    if (!this.#addresses.add(address)) {
      this.counters.count('tcp.refusedAddress');
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
    // `close` frees its share of the address.
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
    this.counters.count('tcp.accepted');
    if (this.#isReceiving) connection.readOn();
  }

  remove(connection: TcpConnection): void {
    const slot = connection.source[SOURCE_SLOT]!;
    this.#connections[slot] = undefined;
    this.#freeSlots.push(slot);
    this.counters.count('tcp.closed');
  }

  #tick(): void {
    this.now = this.#clock.monotonic();
    const isSecond = this.now - this.#secondAt >= 1_000;
    if (isSecond) this.#secondAt = this.now;
    for (const connection of this.#connections) connection?.tick(isSecond);
    // Connections that a new second puts at the gate are let through here.
    if (this.gate.held > 0) this.#openGate();
  }

  // --- in ---

  begin(): void {
    this.now = this.#clock.monotonic();
    this.#onActivity();
  }

  /** Serves the connections that wait, as far as budget and room allow. Called once a turn, after slots were freed. */
  resume(): void {
    if (!this.#isReceiving) return;
    this.turns.begin(this.sink);
    if (this.gate.held > 0) this.#openGate();
    if (this.turns.waiting === 0 || this.turns.left <= 0) return;
    // The next turn publishes what is handed in now.
    this.begin();
    this.turns.serve((intake, claimsMax) => intake.advance(claimsMax));
  }

  /** Lets held control messages through as far as their rate allows, and tries again later while any are held. */
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
    return emptyPacket();
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
    const waiting = this.#connections.filter((connection) => connection !== undefined && connection.outbox.bytes > 0);
    waiting.sort((one, other) => other!.outbox.bytes - one!.outbox.bytes);
    for (const connection of waiting) {
      if (this.outboxes.bytes <= bytesMax * QUEUES_KEPT) return;
      connection!.cut('tcp.cutQueuesFull');
    }
  }

  flush(): void {
    for (const connection of this.#touched) connection.flush();
    this.#touched.length = 0;
  }

  // --- end ---

  stopReceiving(): void {
    if (this.#closed !== undefined) return;
    // It resolves when the last connection is closed as well.
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
    // The last events of sockets and connections come just after the server's.
    const isOpen = () => this.#sockets.size > 0 || this.#connections.some((connection) => connection !== undefined);
    while (isOpen()) await new Promise(setImmediate);
  }
}

function createTlsServer({ cert, key }: { cert: string; key: string }, handshakeTimeout: number): tls.Server {
  try {
    return tls.createServer({ cert, key, minVersion: 'TLSv1.2', handshakeTimeout });
  } catch (error) {
    const { message } = error as Error;
    throw new ClaimwireError('CONFIG_INVALID', `TLS: expected a certificate and its key as PEM, got ${message}`);
  }
}

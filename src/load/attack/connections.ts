/**
 * Attacks by connections: slow ones, silent ones, and messages of lengths that no rule takes. Attack's thread.
 *
 * To a loopback address of IPv4 they come from eight addresses by turns, since a node gives each address a share.
 */
import { readFileSync } from 'node:fs';
import { connect, isIPv4, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CLAIM_BYTES, FRAME_CLAIM, STREAM_HEADER_BYTES, STREAM_PAYLOAD_BYTES_MAX } from '../../../protocol/layout.ts';
import { type HostPort, isLoopback } from '../../host-port.ts';
import type { Random } from '../random.ts';

export interface ConnectionsOptions {
  target: HostPort;
  attack: 'slow-tcp' | 'connections' | 'oversize-frames';
  connections: number;
  random: Random;
  /** Bytes (slow-tcp) or messages (oversize-frames) a second, over all connections. */
  rate: number | null;
  durationMs: number;
}

export interface ConnectionsResult {
  /** As asked for, and as the system's limit of descriptors lets them be. */
  wanted: number;
  attempted: number;
  connected: number;
  /** Connections that the system or the node's machine refused. */
  failed: number;
  /** Closed by the node, before the end. */
  cut: number;
  openAtEnd: number;
  bytesSent: number;
  messages: number;
  bytesReceived: number;
  seconds: number;
}

const ADDRESSES = 8;
/** Descriptors that the process needs besides. */
const DESCRIPTORS_SPARE = 100;
/** Connections begun in a turn, so that the node's queue of new ones is not all that is attacked. */
const CONNECTS_A_TURN = 200;
const TURN_MS = 10;
const SLOW_BYTES_PER_SECOND = 10;
const OVERSIZE_BYTES = 1_024;
/** How long the last connections may take to stand. */
const STAND_MS_MAX = 10_000;

export class ConnectionsAttack {
  readonly #options: ConnectionsOptions;
  readonly #open = new Set<Socket>();
  readonly #counts: ConnectionsResult;
  #turn = 0;
  isStopped = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const room = Math.max(1, descriptorsMax() - DESCRIPTORS_SPARE);
    this.#counts = {
      wanted: options.connections,
      attempted: 0,
      connected: 0,
      failed: 0,
      cut: 0,
      openAtEnd: 0,
      bytesSent: 0,
      messages: 0,
      bytesReceived: 0,
      seconds: 0,
    };
    this.#most = Math.min(options.connections, room);
  }
  readonly #most: number;

  async run(): Promise<ConnectionsResult> {
    const { durationMs, attack } = this.#options;
    const startedAt = performance.now();
    const isOver = () => this.isStopped || performance.now() - startedAt >= durationMs;
    const again = attack !== 'connections';
    while (!isOver()) {
      const { attempted } = this.#counts;
      const missing = again ? this.#most - this.#pending : this.#most - attempted;
      for (let index = 0; index < Math.min(missing, CONNECTS_A_TURN); index++) this.#connect();
      this.#act((performance.now() - startedAt) / 1_000);
      await pause(TURN_MS);
    }
    for (const end = performance.now() + STAND_MS_MAX; this.#connecting > 0 && performance.now() < end; )
      await pause(TURN_MS);
    this.#counts.seconds = (performance.now() - startedAt) / 1_000;
    this.#counts.openAtEnd = this.#open.size;
    for (const socket of this.#open) socket.removeAllListeners('close').destroy();
    return this.#counts;
  }

  #connecting = 0;
  get #pending(): number {
    return this.#open.size + this.#connecting;
  }

  #connect(): void {
    const { target } = this.#options;
    const counts = this.#counts;
    const localAddress =
      isIPv4(target.host) && isLoopback(target.host) ? `127.0.0.${2 + (counts.attempted % ADDRESSES)}` : undefined;
    counts.attempted++;
    this.#connecting++;
    const socket = connect({ ...target, ...(localAddress && { localAddress }) });
    let stood = false;
    socket.setNoDelay(true);
    socket.on('connect', () => {
      stood = true;
      this.#connecting--;
      counts.connected++;
      this.#open.add(socket);
    });
    socket.on('data', (chunk) => {
      counts.bytesReceived += chunk.length;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (stood) counts.cut++;
      else {
        this.#connecting--;
        counts.failed++;
      }
      this.#open.delete(socket);
    });
  }

  /** What is due until `seconds` after the beginning. */
  #act(seconds: number): void {
    const { attack, rate } = this.#options;
    if (attack === 'connections') return;
    const done = attack === 'slow-tcp' ? this.#counts.bytesSent : this.#counts.messages;
    const perSecond = rate ?? (attack === 'slow-tcp' ? SLOW_BYTES_PER_SECOND * this.#most : Number.POSITIVE_INFINITY);
    let left = Math.min(perSecond * seconds - done, this.#open.size);
    if (left < 1) return;
    const sockets = [...this.#open];
    for (; left >= 1; left--) {
      const socket = sockets[this.#turn++ % sockets.length]!;
      if (attack === 'slow-tcp')
        this.#write(socket, SLOW_MESSAGE.subarray(socket.bytesWritten % SLOW_MESSAGE.length).subarray(0, 1));
      else {
        this.#counts.messages++;
        this.#write(socket, this.#oversize());
      }
    }
  }

  #write(socket: Socket, bytes: Uint8Array): void {
    if (!socket.writable) return;
    socket.write(bytes);
    this.#counts.bytesSent += bytes.length;
  }

  /** A length that is too large, or 0, and some of the bytes. */
  #oversize(): Uint8Array {
    const { random } = this.#options;
    const message = Buffer.alloc(STREAM_HEADER_BYTES + OVERSIZE_BYTES, random.word());
    const length =
      random.below(8) === 0 ? 0 : STREAM_PAYLOAD_BYTES_MAX + 1 + random.below(2 ** 32 - STREAM_PAYLOAD_BYTES_MAX - 1);
    message.writeUInt32BE(length);
    return message;
  }
}

/** A message of one claim that nobody signed. */
const SLOW_MESSAGE = Buffer.alloc(STREAM_HEADER_BYTES + CLAIM_BYTES, 0x11);
SLOW_MESSAGE.writeUInt32BE(CLAIM_BYTES);
SLOW_MESSAGE[STREAM_HEADER_BYTES] = FRAME_CLAIM;

/** The soft limit of descriptors of this process; where the system does not say, the usual one. */
function descriptorsMax(): number {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? 1_024 : soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return 1_024;
  }
}

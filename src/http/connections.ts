/**
 * The admin server's connections: how many there may be, who is given up for whom, and who took too long. Main thread.
 *
 * Whose a connection is shows only in its request's token. So everybody is let in, the oldest without the token goes for a
 * new one, and connections that presented it have places of their own: no number of others keeps the operator out.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { AdminConnection, type ConnectionLimits } from './connection.ts';
import type { Turns } from './turns.ts';

const CONNECTIONS_MAX = 64;
const TRUSTED_MAX = 64;
const SWEEP_MS_MAX = 500;

/** For /stats: `http`. */
export interface HttpCounters {
  /** Open now. */
  connections: number;
  accepted: number;
  /** Closed so that a newer one could be served. */
  evicted: number;
  /** Closed because their client did not send its request, or take its answer, in time. */
  late: number;
  /** What came was no HTTP request. */
  malformed: number;
  /** Listings answered 503 because too many were under way. */
  busy: number;
}

export interface ConnectionsOptions {
  turns: Turns;
  limits: ConnectionLimits;
  /** Bytes came for the first time: node:http shall listen to the connection. */
  attach(connection: AdminConnection): void;
  answer(request: IncomingMessage, response: ServerResponse): void;
}

export class AdminConnections {
  readonly counters: HttpCounters = { connections: 0, accepted: 0, evicted: 0, late: 0, malformed: 0, busy: 0 };
  readonly #options: ConnectionsOptions;
  /** In the order they came. */
  readonly #open = new Set<AdminConnection>();
  #trusted = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  accept(socket: Socket): void {
    const { attach, answer, turns, limits } = this.#options;
    const connection = new AdminConnection(
      socket,
      { onFirstBytes: attach, onRequest: answer, onNext: (begin) => turns.next(begin) },
      limits,
    );
    this.#open.add(connection);
    this.#sweep ??= setInterval(() => this.#endLate(), Math.min(SWEEP_MS_MAX, limits.lingerMs)).unref();
    turns.onAccept();
    this.counters.accepted++;
    this.counters.connections++;
    connection.once('close', () => this.#onClose(connection));
    // Sixty-four turns of the event loop at least lie between: what a new connection sends at once has been read by then.
    if (this.#open.size - this.#trusted > CONNECTIONS_MAX) this.#evictOldest();
  }

  /** The connection presented the token: it gets a place of its own while there is one. */
  trust(connection: AdminConnection): void {
    if (connection.isTrusted || connection.destroyed || this.#trusted >= TRUSTED_MAX) return;
    connection.isTrusted = true;
    this.#trusted++;
  }

  /** Lets answers under way end for `graceMs`, then cuts them off. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#sweep);
    for (const connection of this.#open) if (connection.isIdle) connection.destroy();
    const deadline = performance.now() + graceMs;
    while (this.#open.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      for (const connection of this.#open) if (connection.isIdle) connection.destroy();
    }
    for (const connection of this.#open) connection.destroy();
  }

  #onClose(connection: AdminConnection): void {
    if (!this.#open.delete(connection)) return;
    this.counters.connections--;
    if (connection.isTrusted) this.#trusted--;
  }

  #evictOldest(): void {
    for (const connection of this.#open) {
      if (connection.isTrusted) continue;
      this.counters.evicted++;
      this.#onClose(connection);
      connection.destroy();
      return;
    }
  }

  #endLate(): void {
    const now = performance.now();
    for (const connection of this.#open) if (connection.endIfLate(now)) this.counters.late++;
  }
}

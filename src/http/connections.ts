/**
 * The admin server's connections: how many there may be, and which are closed for a new one or for being late. Main thread.
 *
 * Only the token of a request tells whose a connection is. So every connection is accepted, and beyond the limit the oldest
 * without the token is closed. Connections with the token have a limit of their own, so that others never keep the
 * operator out.
 */
import type { Socket } from 'node:net';
import { AdminConnection, type ConnectionLimits, type ConnectionOwner } from './connection.ts';
import type { Turns } from './turns.ts';

const CONNECTIONS_MAX = 64;
const TRUSTED_MAX = 64;
const SWEEP_MS_MAX = 500;

interface ConnectionsOptions extends Pick<ConnectionOwner, 'onFirstBytes' | 'onRequest'> {
  turns: Turns;
  limits: ConnectionLimits;
}

export class AdminConnections {
  /** Shown by /stats under `http`. */
  readonly counters = {
    /** Open now. */
    connections: 0,
    accepted: 0,
    /** Closed so that a newer one could be served. */
    evicted: 0,
    /** Closed because their client did not send its request, or read its answer, in time. */
    late: 0,
    /** Connections that sent something other than an HTTP request. */
    malformed: 0,
    /** Listings answered 503 because too many were under way. */
    busy: 0,
  };
  readonly #options: ConnectionsOptions;
  /** In the order in which they were accepted. */
  readonly #open = new Set<AdminConnection>();
  #trusted = 0;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  accept(socket: Socket): void {
    const { onFirstBytes, onRequest, turns, limits } = this.#options;
    const owner = { onFirstBytes, onRequest, onNext: (begin: () => void) => turns.next(begin) };
    const connection = new AdminConnection(socket, owner, limits);
    this.#open.add(connection);
    this.#sweep ??= setInterval(() => this.#endLate(), Math.min(SWEEP_MS_MAX, limits.lingerMs)).unref();
    turns.onAccept();
    this.counters.accepted++;
    this.counters.connections++;
    connection.once('close', () => this.#onClose(connection));
    // At least 64 turns of the event loop lie between: what a new connection sends at once has been read by then.
    if (this.#open.size - this.#trusted <= CONNECTIONS_MAX) return;
    for (const oldest of this.#open) {
      if (oldest.isTrusted) continue;
      this.counters.evicted++;
      this.#onClose(oldest);
      oldest.destroy();
      return;
    }
  }

  /** The connection presented the token: from now on it counts among the trusted, unless these are too many. */
  trust(connection: AdminConnection): void {
    if (connection.isTrusted || connection.destroyed || this.#trusted >= TRUSTED_MAX) return;
    connection.isTrusted = true;
    this.#trusted++;
  }

  /** Closes idle connections now, and the others when their answer is given or `graceMs` have passed. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#sweep);
    const deadline = performance.now() + graceMs;
    for (;;) {
      const isOver = performance.now() >= deadline;
      for (const connection of this.#open) if (isOver || connection.isIdle) connection.destroy();
      if (isOver || this.#open.size === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #onClose(connection: AdminConnection): void {
    if (!this.#open.delete(connection)) return;
    this.counters.connections--;
    if (connection.isTrusted) this.#trusted--;
  }

  #endLate(): void {
    const now = performance.now();
    for (const connection of this.#open) if (connection.endIfLate(now)) this.counters.late++;
  }
}

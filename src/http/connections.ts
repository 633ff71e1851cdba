/**
 * The admin server's connections: how many there may be, and which are closed for a new one or for being late. Main thread.
 *
 * Only the token of a request tells whose a connection is. So every connection is accepted, and beyond the limit the oldest
 * without a token is closed. Connections with the operator's token have places of their own, and those with other tokens
 * have theirs, so that neither ever keeps the operator out.
 */
import type { Socket } from 'node:net';
import { AdminConnection, type ConnectionLimits, type ConnectionOwner, type Place } from './connection.ts';
import type { Turns } from './turns.ts';

const CONNECTIONS_MAX = 64;
const PLACES_MAX: Readonly<Record<Place, number>> = { operator: 64, holder: 256 };
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
    /** Requests answered 503 because too many of their kind were under way. */
    busy: 0,
    /** Requests held open now: long polls, charges that wait, event streams. */
    held: 0,
    /** Readers of the feed that were cut because they did not keep up with it. */
    feedCut: 0,
    /** Event streams that were too far behind and were told of all channels again. */
    sweeps: 0,
    /** Requests passed on to the node that holds their channel, and those of them that it did not answer. */
    forwarded: 0,
    forwardFailed: 0,
  };
  readonly #options: ConnectionsOptions;
  /** In the order in which they were accepted. */
  readonly #open = new Set<AdminConnection>();
  readonly #taken: Record<Place, number> = { operator: 0, holder: 0 };
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
    if (this.#open.size - this.#taken.operator - this.#taken.holder <= CONNECTIONS_MAX) return;
    for (const oldest of this.#open) {
      if (oldest.place !== undefined) continue;
      this.counters.evicted++;
      this.#onClose(oldest);
      oldest.destroy();
      return;
    }
  }

  /** The connection presented a token: from now on it has a place among its like, unless these are too many. */
  trust(connection: AdminConnection, place: Place): void {
    if (connection.place === 'operator' || connection.place === place || connection.destroyed) return;
    if (this.#taken[place] >= PLACES_MAX[place]) return;
    if (connection.place !== undefined) this.#taken[connection.place]--;
    connection.place = place;
    this.#taken[place]++;
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
    if (connection.place !== undefined) this.#taken[connection.place]--;
  }

  #endLate(): void {
    const now = performance.now();
    for (const connection of this.#open) if (connection.endIfLate(now)) this.counters.late++;
  }
}

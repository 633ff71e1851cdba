/**
 * Connections to one node, shared by the payers of a process: opened when there is something to send, kept alive while
 * there may be, and replaced when they are lost, as far as its limits go.
 *
 * Payer's thread. Which channel goes where is the router's (router.ts), bytes are the connection's (connection.ts).
 * An idle connection is asked `hello`, not left to TCP keep-alive alone: the node closes what says nothing for a minute,
 * and only an answer says that the process, and not just its kernel, is there.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { CLAIM_CHANNEL_ID } from '../../../protocol/layout.ts';
import { assert, ClaimwireError } from '../../errors.ts';

import { hostPortText, parseAddress } from '../address.ts';
import { isRefused, unreachableError } from '../claim-errors.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { AskedRequest, LinkReceiver } from '../links/peer-link.ts';
import { connector } from '../links/tcp-connect.ts';
import { type Connect, Connection, type ConnectionOwner, type CutReason } from './connection.ts';
import { type PoolLimits, type PoolOptions, poolLimits } from './pool-options.ts';
import { PoolCounters, type PoolStats } from './pool-stats.ts';
import { type RouteOwner, Router } from './router.ts';

/** A connection that carries as many gets company, up to the maximum: a payer's usual hundred take two. */
const CHANNELS_PER_CONNECTION = 64;
/** The node gives a connection 10 seconds for its first message, and 60 for each next one. */
const PROBE_IDLE_MS = 8_000;
/**
 * A connection on which the node owes an answer is cut after so many timeouts of the claim's payer, and not before two
 * seconds: a slow sync or a collection is no reason to send everything again.
 */
const PATIENCE_RTOS = 4;
const PATIENCE_MS_MIN = 2_000;
/** A reply has its own time-out, a little sooner. */
const PATIENCE_ASK_MS = 11_000;
/** Between tries to connect, doubling from the first: a node that restarts is found again within a second. */
const BACKOFF_MS_FIRST = 50;
const BACKOFF_MS_MAX = 1_000;
const TICK_MS = 250;
const ASKERS_MAX = 1_024;

interface Asker {
  readonly since: number;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: Error) => void;
}

/** Connections to one node that payers share (`Payer.open({ to, pool })`). Its owner closes it, after the payers. */
export class ConnectionPool implements ConnectionOwner {
  readonly transport: 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
  /** @internal */
  readonly clock: Clock;
  /** @internal */
  readonly counters = new PoolCounters();
  readonly #connect: Connect;
  readonly #random: () => number;
  readonly #limits: PoolLimits;
  readonly #router = new Router<Connection>(this.counters);
  readonly #owners = new Set<RouteOwner>();
  readonly #connections = new Set<Connection>();
  /** Down, their sockets not yet closed. */
  readonly #leaving = new Set<Connection>();
  #askers: Asker[] = [];
  #failures = 0;
  #openAt = 0;
  #cancelRetry: (() => void) | undefined;
  #cancelTick: (() => void) | undefined;
  #lastError: Error | undefined;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  /** Opens nothing yet. Throws ClaimwireError INPUT_INVALID. */
  constructor(options: PoolOptions) {
    const { scheme, host, port } = parseAddress(options.to);
    if (scheme !== 'tcp' && scheme !== 'tls')
      throw new ClaimwireError('INPUT_INVALID', `to: expected tcp:// or tls://, got ${options.to}`);
    this.transport = scheme;
    this.host = host;
    this.port = port;
    this.clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#connect = options.connect ?? connector(scheme, host, port, options.tls);
    this.#limits = poolLimits(options);
  }

  get peer(): string {
    return hostPortText(this);
  }

  // --- payers ---

  /** @internal A payer begins to use it. */
  join(owner: RouteOwner): void {
    if (this.#closed) throw new ClaimwireError('PAYER_CLOSED', 'pool: expected an open one, got a closed one');
    this.#owners.add(owner);
    this.#fill();
  }

  /** @internal A payer is done with it. */
  leave(owner: RouteOwner): void {
    this.#owners.delete(owner);
    this.#router.removeOwner(owner);
  }

  /** @internal False where another payer of the pool has the channel: the acks of both would be one. */
  open(channelId: bigint, owner: RouteOwner): boolean {
    return this.#router.add(channelId, owner);
  }

  /** @internal See PeerLink.send. */
  send(claims: DataView, offset: number, receiver: LinkReceiver): boolean {
    if (this.#closed) return false;
    const route = this.#router.route(claims.getBigUint64(offset + CLAIM_CHANNEL_ID));
    assert(route !== undefined, 'a claim is sent on an opened channel');
    if (route.connection === undefined) {
      const connection = this.#leastLoaded();
      if (connection === undefined) {
        this.#router.wait(route, this.clock.now());
        this.#fill();
        return false;
      }
      this.#router.attach(route, connection);
      this.counters.reused += 1;
      if (connection.routes.size > CHANNELS_PER_CONNECTION && this.#opening === 0) this.#openOne();
    }
    const connection = route.connection!;
    const patienceMs = Math.max(PATIENCE_MS_MIN, PATIENCE_RTOS * receiver.rtt.rtoMs);
    const { held } = connection;
    if (connection.send(claims, offset, patienceMs)) {
      if (held.size > 0) held.delete(route);
      return true;
    }
    if (!held.has(route)) this.counters.held += 1;
    held.add(route);
    return false;
  }

  /** @internal See PeerLink.ask. */
  async ask(request: (nonce: string) => AskedRequest): Promise<ControlAnswer> {
    const connection = await this.#anyConnection();
    connection.expect(PATIENCE_ASK_MS);
    return connection.calls.ask(request);
  }

  /** Counters, now. */
  stats(): PoolStats {
    const { size } = this.#connections;
    let channels = 0;
    for (const { routes } of this.#connections) channels += routes.size;
    const opening = this.#opening;
    return { ...this.counters, connections: size - opening, opening, waiting: this.#router.waiting, channels };
  }

  /** Closes every connection; payers that still use it hear nothing more. Nothing keeps the process alive after. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTick?.();
    this.#cancelRetry?.();
    for (const connection of this.#connections) connection.cut('pool closed');
    for (const { reject } of this.#askers.splice(0)) reject(new ClaimwireError('PAYER_CLOSED', 'the pool was closed'));
    if (this.#leaving.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // --- connections ---

  /** @internal It can carry claims. */
  up(connection: Connection): void {
    const now = this.clock.now();
    this.counters.opened += 1;
    const others = [...this.#connections].filter((other) => other.state === 'up' && other !== connection);
    const routes = others.reduce((sum, other) => sum + other.routes.size, 0);
    this.#router.rebalance(connection, others, Math.ceil(routes / (others.length + 1)));
    this.#router.admit(now, () => this.#leastLoaded()!);
    for (const { resolve } of this.#askers.splice(0)) resolve(connection);
    for (const other of this.#connections) if (other.state === 'up') this.#router.pump(other);
    if (connection.routes.size > CHANNELS_PER_CONNECTION && this.#opening === 0) this.#openOne();
  }

  /** @internal The node sent acks. */
  frames(connection: Connection, bytes: Uint8Array, start: number, end: number): void {
    if (!this.#router.dispatch(bytes, start, end)) return;
    connection.proven = true;
    this.#failures = 0;
  }

  /** @internal It takes more. */
  drained(connection: Connection): void {
    this.#router.pump(connection);
  }

  /** @internal It is lost, and what it carried goes to others. */
  down(connection: Connection, reason: CutReason | Error): void {
    this.#connections.delete(connection);
    this.#leaving.add(connection);
    const routes = this.#router.release(connection);
    if (this.#closed) return;
    if (reason !== 'evicted') this.#lost(connection, reason);
    // Not within the call that found the connection lost; and what else is ready to be read may be its last acks.
    this.clock.afterInput(() => {
      for (const { owner, channelId } of routes) owner.receiver.resend(channelId);
      this.#fill();
    });
  }

  /** @internal Its socket is closed. */
  gone(connection: Connection): void {
    this.#leaving.delete(connection);
    if (this.#leaving.size === 0) this.#onEmpty?.();
  }

  #lost(connection: Connection, reason: CutReason | Error): void {
    const now = this.clock.now();
    this.#lastError = reason instanceof Error ? reason : new Error(`connection cut: ${reason}`);
    for (const { receiver } of this.#owners) receiver.fault(this.#lastError);
    // As for claims: who was never there is not waited for.
    if (this.counters.opened === 0 && isRefused(this.#lastError))
      for (const { reject } of this.#askers.splice(0)) reject(unreachableError(this.peer, this.#lastError));
    // One that was good until now is replaced at once; several that fail together are one failure.
    if (connection.proven || now < this.#openAt) return;
    const delay = Math.min(BACKOFF_MS_FIRST * 2 ** this.#failures, BACKOFF_MS_MAX);
    if (delay < BACKOFF_MS_MAX) this.#failures += 1;
    this.#openAt = now + delay * (1 - this.#random() / 2);
  }

  get #opening(): number {
    let opening = 0;
    for (const { state } of this.#connections) if (state === 'opening') opening += 1;
    return opening;
  }

  #leastLoaded(): Connection | undefined {
    let least: Connection | undefined;
    for (const connection of this.#connections)
      if (connection.state === 'up' && (least === undefined || connection.routes.size < least.routes.size))
        least = connection;
    return least;
  }

  /** Opens what the minimum, or those that wait, call for. */
  #fill(): void {
    if (this.#closed || this.#owners.size === 0) return;
    this.#armTick();
    const called = Math.ceil(this.#router.waiting / CHANNELS_PER_CONNECTION) || Math.min(this.#askers.length, 1);
    const wanted = Math.max(this.#limits.connectionsMin, Math.min(called, this.#limits.connectionsMax));
    while (this.#connections.size < wanted) if (!this.#openOne()) return;
  }

  #openOne(): boolean {
    if (this.#connections.size >= this.#limits.connectionsMax) return false;
    const delay = this.#openAt - this.clock.now();
    if (delay <= 0) {
      this.#connections.add(new Connection(this, this.#connect));
      return true;
    }
    this.#cancelRetry ??= this.clock.after(Math.ceil(delay), () => {
      this.#cancelRetry = undefined;
      this.#fill();
    });
    return false;
  }

  #anyConnection(): Promise<Connection> {
    const connection = this.#leastLoaded();
    if (connection !== undefined) return Promise.resolve(connection);
    if (this.#closed || this.#askers.length >= ASKERS_MAX)
      return Promise.reject(new ClaimwireError('PAYER_FULL', 'pool: expected an open one with fewer requests waiting'));
    return new Promise((resolve, reject) => {
      this.#askers.push({ since: this.clock.now(), resolve, reject });
      this.#fill();
    });
  }

  // --- time ---

  #armTick(): void {
    this.#cancelTick ??= this.clock.after(TICK_MS, () => {
      // After a stall of this thread the answers that came meanwhile are read first.
      this.clock.afterInput(() => {
        this.#cancelTick = undefined;
        if (!this.#closed) this.#tick(this.clock.now());
      });
    });
  }

  #tick(now: number): void {
    for (const connection of this.#connections) this.#check(connection, now);
    const since = now - this.#limits.acquireTimeoutMs;
    this.#router.giveUp(since, now, this.#timeoutError());
    while (this.#askers.length > 0 && this.#askers[0]!.since <= since)
      this.#askers.shift()!.reject(this.#timeoutError());
    if (this.#connections.size > 0 || this.#router.waiting > 0 || this.#askers.length > 0) this.#armTick();
  }

  #check(connection: Connection, now: number): void {
    const isDue = connection.dueAt > 0 && now >= connection.dueAt;
    const isQuiet = connection.dueAt === 0 && connection.calls.isIdle;
    const isIdle = isQuiet && now - connection.claimAt >= this.#limits.idleTimeoutMs;
    if (connection.state === 'opening') {
      if (now - connection.startedAt >= this.#limits.connectTimeoutMs) connection.cut('timeout');
    } else if (isDue) connection.cut('silent');
    else if (isIdle && this.#connections.size > this.#limits.connectionsMin) connection.cut('evicted');
    else if (now - connection.sentAt >= PROBE_IDLE_MS) {
      this.counters.probes += 1;
      connection.expect(PATIENCE_MS_MIN);
      connection.calls.hello().catch(() => {});
    }
  }

  #timeoutError(): ClaimwireError {
    const cause = this.#lastError as NodeJS.ErrnoException | undefined;
    const reason = cause?.code ?? cause?.message ?? 'none';
    const message = `expected a connection to ${this.peer} within ${this.#limits.acquireTimeoutMs} ms, got ${reason}`;
    return new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause });
  }
}

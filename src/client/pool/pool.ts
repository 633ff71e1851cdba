/**
 * Connections to one node, shared by the payers of a process: opened when there is something to send, kept alive while
 * there may be more, and replaced when they are lost, within the pool's limits.
 *
 * Payer's thread. router.ts decides which channel uses which connection, connection.ts handles the bytes. An idle
 * connection is sent `hello`, besides TCP keep-alive: the node closes a connection that is silent for a minute, and only
 * an answer shows that the process, and not just its kernel, lives.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { CLAIM_CHANNEL_ID } from '../../../protocol/layout.ts';
import { frameChannels } from '../../../protocol/merkle-frame.ts';
import { ROUTE_NODES_MAX } from '../../../protocol/route.ts';
import { assert, ClaimwireError } from '../../errors.ts';
import { hostPortText, parseNodeAddress } from '../../host-port.ts';
import { isRefused, unreachableError } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import type { LinkReceiver, RequestMaker } from '../links/peer-link.ts';
import { connector } from '../links/tcp-connect.ts';
import { systemClock } from '../system-clock.ts';
import { type Connect, Connection, type ConnectionOwner, type CutReason } from './connection.ts';
import { type PoolLimits, type PoolOptions, poolLimits } from './pool-options.ts';
import { PoolCounters, type PoolStats } from './pool-stats.ts';
import { type Route, type RouteOwner, Router } from './router.ts';

/** With more channels than this on one connection another is opened, up to the maximum: a hundred channels use two. */
const CHANNELS_PER_CONNECTION = 64;
/** The node allows a connection 10 seconds until its first message, and 60 until each next one. */
const PROBE_IDLE_MS = 8_000;
/**
 * A connection whose node owes an answer is cut after so many timeouts of the claim's payer, but not before two seconds,
 * since a slow sync or a collection pause is no reason to send everything again.
 */
const PATIENCE_RTOS = 4;
const PATIENCE_MS_MIN = 2_000;
/** The request's own time-out comes a little sooner. */
const PATIENCE_ASK_MS = 11_000;
/** Pause between attempts to connect, doubled each time: a node that restarts is found again within a second. */
const BACKOFF_MS_FIRST = 50;
const BACKOFF_MS_MAX = 1_000;
const TICK_MS = 250;
const ASKERS_MAX = 1_024;

interface Asker {
  readonly since: number;
  readonly resolve: (connection: Connection) => void;
  readonly reject: (error: Error) => void;
}

/** Pools of other nodes that a pool has: as many as a map has nodes. */
const OTHERS_MAX = ROUTE_NODES_MAX;

/**
 * Connections to one node that payers share (`Payer.open({ to, pool })`), and to the other nodes of its cluster once a payer is
 * sent there. Its owner closes it, after the payers.
 */
export class ConnectionPool implements ConnectionOwner {
  readonly transport: 'tcp' | 'tls';
  readonly host: string;
  readonly port: number;
  /** @internal */
  readonly clock: Clock;
  /** @internal */
  readonly counters = new PoolCounters();
  readonly #options: PoolOptions;
  /** By address. */
  readonly #others = new Map<string, ConnectionPool>();
  readonly #connect: Connect;
  readonly #random: () => number;
  readonly #limits: PoolLimits;
  readonly #router = new Router<Connection>(this.counters);
  readonly #owners = new Set<RouteOwner>();
  readonly #connections = new Set<Connection>();
  /** Connections that are down, but whose sockets are not yet closed. */
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
    const { scheme, host, port } = parseNodeAddress(options.to, ['tcp', 'tls'], 'to');
    this.#options = options;
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

  /** @internal The pool of a node of the same cluster, `tcp://HOST:PORT` or `tls://…`: like this one, and closed with it. */
  at(to: string): ConnectionPool {
    if (to === `${this.transport}://${this.peer}`) return this;
    const known = this.#others.get(to);
    if (known !== undefined) return known;
    if (this.#closed || this.#others.size >= OTHERS_MAX)
      throw new ClaimwireError('PAYER_FULL', `pool: expected an open one with under ${OTHERS_MAX} nodes`);
    const other = new ConnectionPool({ ...this.#options, to });
    this.#others.set(to, other);
    return other;
  }

  /** @internal A payer begins to use the pool. */
  join(owner: RouteOwner): void {
    if (this.#closed) throw new ClaimwireError('PAYER_CLOSED', 'pool: expected an open one, got a closed one');
    this.#owners.add(owner);
    this.#fill();
  }

  /** @internal A payer no longer uses the pool. */
  leave(owner: RouteOwner): void {
    this.#owners.delete(owner);
    this.#router.removeOwner(owner);
  }

  /** @internal Returns false where another payer of the pool has the channel, since their acks could not be told apart. */
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
    const isSent = connection.send(claims, offset, patienceMs(receiver));
    this.#note(route, connection, isSent);
    return isSent;
  }

  /**
   * @internal See PeerLink.sendFrame. Its channels go to one connection, that of the first which has any: what they have sent elsewhere is for
   * less than their leaves, so no order is lost.
   */
  sendFrame(bytes: Uint8Array, offset: number, size: number, receiver: LinkReceiver): boolean {
    if (this.#closed) return false;
    const routes = frameChannels(bytes, offset, size).map((channelId) => {
      const route = this.#router.route(channelId);
      assert(route !== undefined, 'a leaf is sent of an opened channel');
      return route;
    });
    const connection = routes.find((route) => route.connection !== undefined)?.connection ?? this.#leastLoaded();
    if (connection === undefined) {
      for (const route of routes) this.#router.wait(route, this.clock.now());
      this.#fill();
      return false;
    }
    for (const route of routes) if (route.connection !== connection) this.#router.attach(route, connection);
    if (connection.routes.size > CHANNELS_PER_CONNECTION && this.#opening === 0) this.#openOne();
    const isSent = connection.sendFrame(bytes, offset, size, patienceMs(receiver));
    for (const route of routes) this.#note(route, connection, isSent);
    return isSent;
  }

  /** Whether the channel's newest claim waits for room. */
  #note(route: Route<Connection>, { held }: Connection, isSent: boolean): void {
    if (isSent) {
      if (held.size > 0) held.delete(route);
      return;
    }
    if (!held.has(route)) this.counters.held += 1;
    held.add(route);
  }

  /** @internal See PeerLink.ask. */
  async ask(request: RequestMaker): Promise<ControlAnswer> {
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

  /** Closes every connection. Payers that still use the pool get nothing more, and it no longer keeps the process alive. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTick?.();
    this.#cancelRetry?.();
    for (const connection of this.#connections) connection.cut('pool closed');
    for (const { reject } of this.#askers.splice(0)) reject(new ClaimwireError('PAYER_CLOSED', 'the pool was closed'));
    await Promise.all([...this.#others.values()].map((other) => other.close()));
    if (this.#leaving.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** For `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal The connection can carry claims. */
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

  /** @internal The connection has room again. */
  drained(connection: Connection): void {
    this.#router.pump(connection);
  }

  /** @internal The connection is lost. Its channels go to others. */
  down(connection: Connection, reason: CutReason | Error): void {
    this.#connections.delete(connection);
    this.#leaving.add(connection);
    const routes = this.#router.release(connection);
    if (this.#closed) return;
    if (reason !== 'evicted') this.#lost(connection, reason);
    // Not within the call that found the loss, and after the input that is ready, which may be its last acks.
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
    // As for claims, a node that was never there is not waited for.
    if (this.counters.opened === 0 && isRefused(this.#lastError))
      for (const { reject } of this.#askers.splice(0)) reject(unreachableError(this.peer, this.#lastError));
    // A connection that worked is replaced at once. Several that fail together count as one failure.
    if (connection.proven || now < this.#openAt) return;
    const delay = Math.min(BACKOFF_MS_FIRST * 2 ** this.#failures, BACKOFF_MS_MAX);
    if (delay < BACKOFF_MS_MAX) this.#failures += 1;
    this.#openAt = now + delay * (1 - this.#random() / 2);
  }

  get #opening(): number {
    return [...this.#connections].filter(({ state }) => state === 'opening').length;
  }

  #leastLoaded(): Connection | undefined {
    let least: Connection | undefined;
    for (const connection of this.#connections)
      if (connection.state === 'up' && (least === undefined || connection.routes.size < least.routes.size))
        least = connection;
    return least;
  }

  /** Opens connections up to the minimum, or as many as the waiting channels and requests need. */
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

/** How long the node may take to answer what a payer sends. */
function patienceMs({ rtt }: LinkReceiver): number {
  return Math.max(PATIENCE_MS_MIN, PATIENCE_RTOS * rtt.rtoMs);
}

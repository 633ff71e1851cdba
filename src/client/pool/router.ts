/**
 * Decides which connection carries which channel, and gives acks to their payers. Part of a pool, payer's thread.
 *
 * A channel stays on its connection while that lives, so that its claims keep their order; a new channel gets the
 * connection with the fewest. No claim is kept here: a channel that waits for a connection is asked for its newest claim
 * when it has one, so that memory is bounded by the channels opened.
 */
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import { ACK_BYTES, ACK_CHANNEL_ID } from '../../../protocol/layout.ts';
import type { LinkReceiver } from '../links/peer-link.ts';
import type { PoolCounters } from './pool-stats.ts';

/** A payer, as the pool sees it. */
export interface RouteOwner {
  readonly receiver: LinkReceiver;
}

/** What routes need of a connection. */
interface Carrier<C> {
  readonly routes: Set<Route<C>>;
  /** Those of them whose newest claim found no room. */
  readonly held: Set<Route<C>>;
  readonly hasRoom: boolean;
}

export interface Route<C> {
  readonly channelId: bigint;
  readonly owner: RouteOwner;
  connection: C | undefined;
  waitingSince: number;
}

export class Router<C extends Carrier<C>> implements FrameSink {
  readonly #counters: PoolCounters;
  readonly #routes = new Map<bigint, Route<C>>();
  readonly #byOwner = new Map<RouteOwner, Route<C>[]>();
  /** In order of `waitingSince`. */
  readonly #line = new Set<Route<C>>();
  /** The message being read; its acks in `[#runStart, #runEnd)` are all of `#runOwner`. */
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #runOwner: RouteOwner | undefined;
  #runStart = 0;
  #runEnd = 0;
  #matched = false;

  constructor(counters: PoolCounters) {
    this.#counters = counters;
  }

  get waiting(): number {
    return this.#line.size;
  }

  add(channelId: bigint, owner: RouteOwner): boolean {
    if (this.#routes.has(channelId)) return false;
    const route: Route<C> = { channelId, owner, connection: undefined, waitingSince: 0 };
    this.#routes.set(channelId, route);
    const routes = this.#byOwner.get(owner);
    if (routes === undefined) this.#byOwner.set(owner, [route]);
    else routes.push(route);
    return true;
  }

  route(channelId: bigint): Route<C> | undefined {
    return this.#routes.get(channelId);
  }

  removeOwner(owner: RouteOwner): void {
    for (const route of this.#byOwner.get(owner) ?? []) {
      this.#routes.delete(route.channelId);
      this.#line.delete(route);
      this.#detach(route);
    }
    this.#byOwner.delete(owner);
  }

  /** Puts the route on this connection, also where it was on another. */
  attach(route: Route<C>, connection: C): void {
    this.#detach(route);
    this.#line.delete(route);
    route.connection = connection;
    connection.routes.add(route);
  }

  /** Puts the route in line for a connection. */
  wait(route: Route<C>, now: number): void {
    if (this.#line.has(route)) return;
    route.waitingSince = now;
    this.#line.add(route);
    this.#counters.waits += 1;
  }

  /** Puts all that wait on the connections that `pick` returns, where they are asked for their claims as there is room. */
  admit(now: number, pick: () => C): void {
    for (const route of this.#line) {
      this.#counters.waitMs += now - route.waitingSince;
      const connection = pick();
      this.attach(route, connection);
      connection.held.add(route);
    }
    this.#line.clear();
  }

  /** Ends the wait of channels that wait since `since` or longer. Their payers send the claims again after a time-out. */
  giveUp(since: number, now: number, error: Error): void {
    const told = new Set<RouteOwner>();
    for (const route of this.#line) {
      if (route.waitingSince > since) break;
      this.#line.delete(route);
      this.#counters.waitTimeouts += 1;
      this.#counters.waitMs += now - route.waitingSince;
      told.add(route.owner);
    }
    for (const owner of told) owner.receiver.fault(error);
  }

  /** Asks for the claims of the routes that found no room, while there is room. */
  pump(connection: C): void {
    for (const route of connection.held) {
      if (!connection.hasRoom) return;
      connection.held.delete(route);
      route.owner.receiver.resend(route.channelId);
    }
  }

  /**
   * Moves the channels that each connection has above the mean to a new one. An old connection may be lost with claims
   * unsent, so each moved channel is asked for its newest claim again.
   */
  rebalance(to: C, from: Iterable<C>, mean: number): void {
    for (const connection of from) {
      let surplus = connection.routes.size - mean;
      for (const route of connection.routes) {
        if (surplus-- < 1) break;
        this.attach(route, to);
        to.held.add(route);
      }
    }
  }

  /** Removes all routes from a connection and returns them: claims that it carried may be lost. */
  release(connection: C): Route<C>[] {
    const routes = [...connection.routes];
    for (const route of routes) this.#detach(route);
    return routes;
  }

  /** Gives each payer its acks in `bytes[start, end)`. Returns whether a payer here got any. */
  dispatch(bytes: Uint8Array, start: number, end: number): boolean {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#runOwner = undefined;
    this.#matched = false;
    if (walkFrames(bytes, start, end, this) !== WALK_WHOLE) this.#counters.malformed += 1;
    this.#endRun();
    return this.#matched;
  }

  /** A node sends no claims to a payer. */
  claim(): void {
    this.#counters.malformed += 1;
    this.#endRun();
  }

  ack(_bytes: Uint8Array, offset: number): void {
    const owner = this.#routes.get(this.#view.getBigUint64(offset + ACK_CHANNEL_ID))?.owner;
    if (owner === undefined) this.#counters.unmatched += 1;
    if (owner !== this.#runOwner) {
      this.#endRun();
      this.#runOwner = owner;
      this.#runStart = offset;
    }
    this.#runEnd = offset + ACK_BYTES;
  }

  #endRun(): void {
    const owner = this.#runOwner;
    this.#runOwner = undefined;
    if (owner === undefined) return;
    this.#matched = true;
    owner.receiver.message(this.#bytes, this.#runStart, this.#runEnd);
  }

  #detach(route: Route<C>): void {
    const { connection } = route;
    if (connection === undefined) return;
    connection.routes.delete(route);
    connection.held.delete(route);
    route.connection = undefined;
  }
}

/**
 * Watches the map of a cluster during a run: asks every node that is known, four times a second, and takes the newest answer.
 *
 * Main thread. Answers MOVED have it ask sooner. Nodes are asked by TCP at the port of their UDP, as payers do; which they are,
 * the user said, and then the maps. A node that is silent costs nothing but its own question, which is one at a time.
 */
import { lookup } from 'node:dns/promises';
import { parseRoute, type RouteMap } from '../../../protocol/route.ts';
import { TcpLink } from '../../client/links/link-tcp.ts';
import type { LinkReceiver } from '../../client/links/peer-link.ts';
import { ConnectionPool } from '../../client/pool/pool.ts';
import { placeFilter } from '../../client/route/seeds.ts';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText, parseNodeAddress } from '../../host-port.ts';
import { CONTROL_MOVED, CONTROL_WORDS, type LoadMap } from '../settings.ts';

const LOOK_MS = 20;
const ASK_MS = 250;
/** After answers MOVED. */
const ASK_SOON_MS = 50;
const FIRST_MS_MAX = 5_000;
/** A node that died is asked in vain until the map has it no more. */
const LIMITS = { connectionsMin: 0, connectionsMax: 1, acquireTimeoutMs: 1_500, connectTimeoutMs: 1_500 } as const;
/** Nothing but the map is asked for. */
const NO_CLAIMS: LinkReceiver = {
  rtt: { smoothedMs: 0, rtoMs: 1_000 },
  message() {},
  fault() {},
  resend() {},
  resendAll() {},
};

interface Asked {
  link: TcpLink;
  isAsking: boolean;
}

export class RouteWatch {
  readonly #usable: (place: string) => string | undefined;
  readonly #asked = new Map<string, Asked>();
  readonly #hosts = new Map<string, string>();
  readonly #timer: NodeJS.Timeout;
  #map: RouteMap | undefined;
  #current: LoadMap | undefined;
  #hear: ((map: LoadMap) => void) | undefined;
  #lastFault: Error | undefined;
  #control: Int32Array = new Int32Array(CONTROL_WORDS);
  #movedBefore = 0;
  #askedAt = 0;
  /** Newer maps than the first. */
  changes = 0;

  private constructor(seeds: readonly string[]) {
    this.#usable = placeFilter(seeds);
    for (const seed of seeds) this.#add(seed);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Resolves with the first map. Throws NODE_UNREACHABLE or what the nodes answered. @param seeds `udp://HOST:PORT` each */
  static async start(seeds: readonly string[]): Promise<RouteWatch> {
    const watch = new RouteWatch(seeds);
    watch.#ask();
    for (const since = performance.now(); watch.#current === undefined; ) {
      if (performance.now() - since > FIRST_MS_MAX || watch.#haveAllFailed()) {
        await watch.close();
        throw noRoute(seeds, watch.#lastFault);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return watch;
  }

  /** The newest map. */
  get map(): RouteMap {
    return this.#map!;
  }
  get current(): LoadMap {
    return this.#current!;
  }

  /** Tells of newer maps from now on. @param control the run's words: CONTROL_MOVED rises with answers MOVED */
  follow(control: Int32Array, hear: (map: LoadMap) => void): void {
    this.#control = control;
    this.#hear = hear;
    hear(this.#current!);
  }
  unfollow(): void {
    this.#hear = undefined;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#asked.values()].map(({ link }) => link.close()));
  }

  #add(place: string): void {
    if (this.#asked.has(place)) return;
    const { host, port } = parseNodeAddress(place, ['udp'], '--to');
    const pool = new ConnectionPool({ to: `tcp://${hostPortText({ host, port })}`, ...LIMITS });
    const link = new TcpLink(pool, true);
    link.listen(NO_CLAIMS);
    this.#asked.set(place, { link, isAsking: false });
  }

  #look(): void {
    const moved = Atomics.load(this.#control, CONTROL_MOVED);
    const wait = moved === this.#movedBefore ? ASK_MS : ASK_SOON_MS;
    if (performance.now() - this.#askedAt < wait) return;
    this.#movedBefore = moved;
    this.#ask();
  }

  #ask(): void {
    this.#askedAt = performance.now();
    for (const asked of this.#asked.values()) {
      if (asked.isAsking) continue;
      asked.isAsking = true;
      asked.link
        .ask(() => ({ type: 'route' }))
        .then((answer) => this.#take(parseRoute(answer)))
        .catch((error: Error) => {
          this.#lastFault = error;
        })
        .finally(() => {
          asked.isAsking = false;
        });
    }
  }

  async #take(map: RouteMap | undefined): Promise<void> {
    if (map === undefined) throw new Error('expected a map of shards, got another answer');
    if (this.#map !== undefined && map.version <= this.#map.version) return;
    if (this.#map !== undefined) this.changes += 1;
    this.#map = map;
    const places = map.nodes.map(({ places }) => places.map(this.#usable).find((place) => place !== undefined));
    for (const place of places) if (place !== undefined) this.#add(place);
    const found = await Promise.all(places.map((place) => this.#literal(place)));
    // A newer one came while names were looked up.
    if (this.#map !== map) return;
    // Nodes without an address for this load hold nothing, as far as it goes.
    const nodes = found.filter((node) => node !== undefined);
    const indexes = found.map((node) => (node === undefined ? -1 : nodes.indexOf(node)));
    this.#current = { nodes, holders: map.holders.map((holder) => indexes[holder] ?? -1) };
    this.#hear?.(this.#current);
  }

  /** The address with the host's own number, which is looked up once. */
  async #literal(place: string | undefined): Promise<HostPort | undefined> {
    if (place === undefined) return undefined;
    const { host, port } = parseNodeAddress(place, ['udp'], '--to');
    const known = this.#hosts.get(host) ?? (await lookup(host)).address;
    this.#hosts.set(host, known);
    return { host: known, port };
  }

  #haveAllFailed(): boolean {
    return this.#lastFault !== undefined && [...this.#asked.values()].every(({ isAsking }) => !isAsking);
  }
}

function noRoute(seeds: readonly string[], fault: Error | undefined): ClaimwireError {
  const got = fault?.message ?? `no answer in ${FIRST_MS_MAX} ms`;
  return new ClaimwireError(
    'NODE_UNREACHABLE',
    `--to ${seeds.join(',')}: expected nodes of a cluster, got ${got}; give one address for a node by itself`,
  );
}

/**
 * A payer's link to a cluster: each channel's claims go to the node that holds its shard. With one seed that never answers
 * MOVED it is that node's link and nothing more. Payer's thread.
 *
 * Where a node is, it learns from the route alone, which it asks of its seeds and of the nodes that they named, on
 * connections (route-fetcher.ts). Nothing in a datagram is an address. When the route changes, the channels that have a
 * new holder are asked for their newest claims: amounts are cumulative, so that one claim is all the new holder needs.
 */

import type { ControlAnswer } from '../../../protocol/control.ts';
import { CLAIM_CHANNEL_ID } from '../../../protocol/layout.ts';
import { frameChannels } from '../../../protocol/merkle-frame.ts';
import type { RouteMap } from '../../../protocol/route.ts';
import { shardOfChannel } from '../../../protocol/shard.ts';
import { assert, ClaimwireError } from '../../errors.ts';
import { ChannelMap } from '../channel-map.ts';
import { isRefused } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import type { LinkReceiver, LinkStats, PeerLink, RequestMaker } from '../links/peer-link.ts';
import type { SendPath } from '../send-path.ts';
import { ask, Place, type PlaceOwner } from './place.ts';
import { RouteFetcher } from './route-fetcher.ts';
import { placeFilter } from './seeds.ts';

/** How often places whose answers are due are looked at. */
const TICK_MS = 100;
/** After so long a claim that was answered MOVED goes to its node again, where no newer map is told of; after a while it is doubled. */
const AGAIN_MS = 50;
const AGAIN_MS_MAX = 1_000;
const AGAIN_ROUNDS = 12;
/** A request that was answered MOVED is made again at the new holder, so often at most. */
const ASK_AGAIN_MAX = 3;

export interface RoutedLinkParts {
  /** At least one, from parseSeeds. */
  readonly seeds: readonly string[];
  /** Opens the link to an address. */
  readonly open: (address: string) => Promise<PeerLink>;
  readonly newPath: () => SendPath;
  /** Which places of a map it may use, and as what; by default those whose scheme a seed has. */
  readonly usable?: (place: string) => string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** A channel, its shard, and the place of its claims as of a state of the map. */
interface Route {
  readonly channelId: bigint;
  readonly shard: number;
  place: Place | undefined;
  asOf: number;
  /** The link that knows the channel. */
  openAt: PeerLink | undefined;
}

export class RoutedLink implements PeerLink, PlaceOwner {
  readonly clock: Clock;
  /** Of the first seed. */
  readonly path: SendPath;
  readonly #parts: RoutedLinkParts;
  readonly #seeds: readonly Place[];
  readonly #places = new Map<string, Place>();
  readonly #routes = new ChannelMap<Route>();
  readonly #usable: (place: string) => string | undefined;
  readonly #fetcher: RouteFetcher;
  #receiver: LinkReceiver | undefined;
  /** By index of the map's nodes: the addresses that this payer may use. */
  #addresses: readonly (readonly string[])[] = [];
  /** Rises when channels may have to go elsewhere. */
  #state = 1;
  /** Whether claims wait for the first route. */
  #isDeciding: boolean;
  #cancelTick: (() => void) | undefined;
  #moved = 0;
  /** Where the message that is read now came from; and who told of a newer map, and has it. */
  #heard: Place | undefined;
  #teller: Place | undefined;
  /** Channels whose claim was answered MOVED: between two nodes neither serves a shard for a moment. */
  readonly #refused = new Set<bigint>();
  /** Times that they were sent again since the last newer map. */
  #again = 0;
  #cancelAgain: (() => void) | undefined;
  #changes = 0;
  #closed = false;

  constructor(parts: RoutedLinkParts) {
    this.#parts = parts;
    this.clock = parts.clock;
    this.path = parts.newPath();
    this.#usable = parts.usable ?? placeFilter(parts.seeds);
    this.#seeds = parts.seeds.map((seed, index) => this.#place(seed, index === 0 ? this.path : undefined));
    this.#isDeciding = parts.seeds.length > 1;
    this.#fetcher = new RouteFetcher({
      clock: parts.clock,
      random: parts.random,
      candidates: () => this.#candidates(),
      taken: (map, isNew) => this.#taken(map, isNew),
      failed: () => this.#decided(),
    });
  }

  /** Opens the first seed that can be opened. Rejects as the last of them does. */
  async start(): Promise<this> {
    for (const [index, seed] of this.#seeds.entries()) {
      try {
        seed.link = await this.#parts.open(seed.address);
        return this;
      } catch (error) {
        if (index === this.#seeds.length - 1) throw error;
      }
    }
    return this;
  }

  get peer(): string {
    const [seed] = this.#seeds;
    return this.#seeds.length === 1 && seed!.link !== undefined ? seed!.link.peer : this.#parts.seeds.join(',');
  }

  get receiver(): LinkReceiver {
    assert(this.#receiver !== undefined, 'listen is called before a link is used');
    return this.#receiver;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    for (const place of this.#places.values()) place.listen();
    if (this.#isDeciding) this.#fetcher.refresh('start');
  }

  open(channelId: bigint): boolean {
    if (this.#routes.find(channelId) !== undefined) return false;
    // Payers that share connections to the one seed could not tell whose acks are whose.
    if (this.#seeds.length === 1 && !this.#seeds[0]!.open(channelId)) return false;
    const shard = shardOfChannel(channelId);
    this.#routes.add(channelId, { channelId, shard, place: undefined, asOf: 0, openAt: undefined });
    return true;
  }

  pathOf(channelId: bigint): SendPath {
    return this.#placeOf(this.#route(channelId))?.path ?? this.path;
  }

  send(claims: DataView, offset: number): boolean {
    const handleAt = offset + CLAIM_CHANNEL_ID;
    const route = known(this.#routes.get(claims.getUint32(handleAt), claims.getUint32(handleAt + 4)));
    const place = this.#placeOf(route);
    if (place !== undefined) {
      if (route.openAt !== place.link && place.open(route.channelId)) route.openAt = place.link;
      return place.send(claims, offset, route.channelId);
    }
    // Nobody holds the shard, or at no address for this payer: a later map may say more.
    if (!this.#isDeciding) this.#fetcher.refresh('silence');
    return false;
  }

  /** Its leaves are of channels of one path, so of one node. */
  sendFrame(bytes: Uint8Array, offset: number, size: number): boolean {
    // There each channel was opened when it was added.
    if (this.#isAlone && this.#seeds[0]!.link !== undefined) return this.#seeds[0]!.passFrame(bytes, offset, size);
    const place = this.#placeOf(this.#route(frameChannels(bytes, offset, size)[0]!));
    if (place !== undefined) return place.sendFrame(bytes, offset, size);
    if (!this.#isDeciding) this.#fetcher.refresh('silence');
    return false;
  }

  moved(channelId: bigint, version: bigint): void {
    this.#moved += 1;
    const { map } = this.#fetcher;
    const isNewer = map !== undefined && version > map.version;
    // Others may be late to learn of it.
    if (isNewer) this.#teller = this.#heard;
    this.#fetcher.refresh(isNewer ? 'newer' : 'moved', version);
    if (this.#routes.find(channelId) === undefined) return;
    this.#refused.add(channelId);
    this.#resendSoon();
  }

  /** Asks the channel's holder, and after MOVED the next one; of no channel, the first seed. */
  async ask(request: RequestMaker, channelId?: bigint): Promise<ControlAnswer> {
    for (let again = 0; ; again += 1) {
      if (this.#isDeciding) await this.#fetcher.afterRound('start');
      const place = channelId === undefined ? this.#seeds[0] : this.#placeOf(this.#route(channelId));
      try {
        if (place === undefined) throw noPlace();
        return await ask(await place.opened(), request);
      } catch (error) {
        const code = error instanceof ClaimwireError ? error.code : undefined;
        const isLost = code === 'NODE_UNREACHABLE' && this.#fetcher.map !== undefined;
        if (again === ASK_AGAIN_MAX || this.#closed || !(code === 'MOVED' || isLost)) throw error;
        await this.#fetcher.afterRound(isLost ? 'silence' : 'moved');
      }
    }
  }

  stats(): LinkStats {
    const links = [...this.#places.values()].flatMap(({ link }) => (link === undefined ? [] : [link.stats()]));
    const [first] = links;
    const { map, rounds, refused } = this.#fetcher;
    const sum = (pick: (stats: LinkStats) => number) => links.reduce((total, stats) => total + pick(stats), 0);
    return {
      ...first,
      transport: first?.transport ?? 'udp',
      transportSwitches: sum(({ transportSwitches }) => transportSwitches),
      datagramsSent: sum(({ datagramsSent }) => datagramsSent),
      ...((map !== undefined || this.#seeds.length > 1 || this.#moved > 0) && {
        route: {
          version: map === undefined ? null : String(map.version),
          places: links.length,
          asked: rounds,
          refused,
          moved: this.#moved,
          changes: this.#changes,
        },
      }),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTick?.();
    this.#cancelAgain?.();
    this.#fetcher.close();
    await Promise.all([...this.#places.values()].map((place) => place.close()));
  }

  // --- what its places call ---

  waiting(): void {
    if (this.#isAlone || this.#cancelTick !== undefined || this.#closed) return;
    this.#cancelTick = this.clock.after(TICK_MS, () => {
      // After a stall of this thread the answers that came meanwhile are read first.
      this.clock.afterInput(() => {
        this.#cancelTick = undefined;
        if (!this.#closed) this.#tick(this.clock.now());
      });
    });
  }

  hears(place: Place): void {
    this.#heard = place;
  }

  fault(place: Place, error: Error, isOnlyWay = true): void {
    const now = this.clock.now();
    if (!this.#isAlone && (!isOnlyWay || isRefused(error))) this.#pass(place, now);
    const isAnyLeft = !this.#isAlone && [...this.#places.values()].some((other) => !other.isShunned(now));
    this.receiver.fault(error, isOnlyWay && !isAnyLeft);
  }

  resendAll(place: Place): void {
    if (this.#isAlone) this.receiver.resendAll();
    else for (const route of this.#routes.values) if (route.place === place) this.receiver.resend(route.channelId);
  }

  openPlace(address: string): Promise<PeerLink> {
    return this.#parts.open(address);
  }

  // --- the route ---

  /** Whether there is one node and no cluster as far as is known. */
  get #isAlone(): boolean {
    return this.#seeds.length === 1 && this.#fetcher.map === undefined;
  }

  #route(channelId: bigint): Route {
    return known(this.#routes.find(channelId));
  }

  #place(address: string, path = this.#parts.newPath()): Place {
    const known = this.#places.get(address);
    if (known !== undefined) return known;
    const place = new Place(address, path, this);
    this.#places.set(address, place);
    return place;
  }

  #placeOf(route: Route): Place | undefined {
    if (route.asOf === this.#state) return route.place;
    route.asOf = this.#state;
    route.place = this.#choose(route);
    return route.place;
  }

  /** The channel's place stays while it answers. Otherwise the better one of two of its node's places, taken at random. */
  #choose({ shard, place }: Route): Place | undefined {
    if (this.#isDeciding) return undefined;
    const now = this.clock.now();
    const { map } = this.#fetcher;
    // Of a map without any place for this payer only the seeds are left.
    if (map === undefined || this.#addresses.every((all) => all.length === 0))
      return this.#seeds.find((seed) => !seed.isShunned(now)) ?? this.#seeds[0];
    const addresses = this.#addresses[map.holders[shard]!] ?? [];
    const all = addresses.map((address) => this.#place(address));
    const answering = all.filter((one) => !one.isShunned(now));
    const places = answering.length > 0 ? answering : all;
    if (place !== undefined && places.includes(place)) return place;
    if (places.length < 2) return places[0];
    const first = Math.floor(this.#parts.random() * places.length) % places.length;
    const step = 1 + (Math.floor(this.#parts.random() * (places.length - 1)) % (places.length - 1));
    const [one, other] = [places[first]!, places[(first + step) % places.length]!];
    return other.cost < one.cost ? other : one;
  }

  #taken(map: RouteMap, isNew: boolean): void {
    if (isNew) {
      this.#changes += 1;
      this.#again = 0;
      this.#teller = undefined;
      this.#cancelAgain?.();
      this.#cancelAgain = undefined;
      this.#addresses = map.nodes.map(({ places }) => places.flatMap((place) => this.#usable(place) ?? []));
    }
    this.#decided();
    if (this.#refused.size > 0) this.#resendSoon();
    this.#forget(new Set(this.#addresses.flat()));
    this.waiting();
  }

  /** Claims need wait no longer for a first route. */
  #decided(): void {
    this.#isDeciding = false;
    this.#reroute();
  }

  /** Looks for the place of each channel again, and asks for the newest claims of those that have another. */
  #reroute(): void {
    this.#state += 1;
    for (const route of this.#routes.values) {
      const { channelId, place: before } = route;
      if (this.#placeOf(route) === before) continue;
      this.#refused.delete(channelId);
      this.receiver.resend(channelId);
    }
  }

  /** Sends claims that were answered MOVED again in a while: their node may not serve them yet. */
  #resendSoon(): void {
    const afterMs = Math.min(AGAIN_MS * 2 ** Math.max(0, this.#again - AGAIN_ROUNDS), AGAIN_MS_MAX);
    this.#cancelAgain ??= this.clock.after(afterMs, () => {
      this.#cancelAgain = undefined;
      this.#again += 1;
      const refused = [...this.#refused];
      this.#refused.clear();
      for (const channelId of refused) this.receiver.resend(channelId);
    });
  }

  /** Closes the places that the route no longer has. */
  #forget(addresses: ReadonlySet<string>): void {
    for (const [address, place] of this.#places) {
      if (addresses.has(address) || this.#seeds.includes(place)) continue;
      this.#places.delete(address);
      this.receiver.endPath?.(place.path);
      place.close().catch(() => {});
    }
  }

  /** Who told of a newer map, then those that answer before those that do not; of two at random the quicker one first; seeds before others. */
  #candidates(): Place[] {
    const now = this.clock.now();
    const isLost = (place: Place) => place.isShunned(now) || place.isSilent(now);
    const others = this.#addresses.flat().map((address) => this.#place(address));
    const shuffled = [shuffle(this.#seeds, this.#parts.random), shuffle(others, this.#parts.random)].flat();
    const all = [...new Set(shuffled)].sort((one, other) => Number(isLost(one)) - Number(isLost(other)));
    const teller = this.#teller;
    this.#teller = undefined;
    if (teller !== undefined && all.includes(teller) && !isLost(teller)) return [...new Set([teller, ...all])];
    const [one, other] = all;
    if (one && other && !isLost(other) && other.askMs < one.askMs) return [other, one, ...all.slice(2)];
    return all;
  }

  // --- silence ---

  /** Passes a place over: its channels go to another place of the node, if there is one, and the route is asked for. */
  #pass(place: Place, now: number): void {
    this.#fetcher.refresh('silence');
    if (!place.shun(now)) return;
    this.clock.afterInput(() => {
      if (!this.#closed) this.#reroute();
    });
  }

  #tick(now: number): void {
    let isWaiting = false;
    for (const place of this.#places.values()) {
      if (place.isSilent(now)) this.#pass(place, now);
      isWaiting ||= place.isWaiting;
    }
    if (isWaiting) this.waiting();
  }
}

function known(route: Route | undefined): Route {
  assert(route !== undefined, 'a claim is sent on an opened channel');
  return route;
}

function shuffle<Of>(items: readonly Of[], random: () => number): Of[] {
  const shuffled = [...items];
  for (let index = shuffled.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1)) % (index + 1);
    [shuffled[index], shuffled[other]] = [shuffled[other]!, shuffled[index]!];
  }
  return shuffled;
}

function noPlace(): ClaimwireError {
  return new ClaimwireError(
    'NODE_UNREACHABLE',
    'route: expected an address of the node that holds the channel, of the kind of the seeds, got none; ask its operator',
  );
}

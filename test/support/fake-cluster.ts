/**
 * A cluster in memory, for tests of the payer: nodes at addresses, each with a view of the map of its own, which answer after
 * a while on the test's clock, or not at all.
 */
import { type Ack, ackBytes } from '../../protocol/ack.ts';
import { type Claim, decodeClaim } from '../../protocol/claim.ts';
import type { ControlAnswer } from '../../protocol/control.ts';
import { STATUS } from '../../protocol/layout.ts';
import { type RouteNode, shardRuns } from '../../protocol/route.ts';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import type {
  AskedRequest,
  LinkReceiver,
  LinkStats,
  PeerLink,
  RequestMaker,
} from '../../src/client/links/peer-link.ts';
import { Payer, type PayerLimits } from '../../src/client/payer.ts';
import { newSendPath } from '../../src/client/payer-core.ts';
import { RoutedLink } from '../../src/client/route/routed-link.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { ackOf, type ManualClock } from './payer-fakes.ts';

/** The map as some node believes it: which of the nodes holds a shard. */
export interface View {
  version: number;
  holder: (shard: number) => string | undefined;
}

export class FakeNode {
  readonly name: string;
  readonly places: string[];
  view: View;
  isAlive = true;
  /** Whether it lets nobody connect, and says so. */
  refuses = false;
  delayMs = 1;
  /** What its answer to `route` has instead. */
  odd: Record<string, unknown> = {};
  asked = 0;
  resumed = 0;
  readonly claims: (Claim & { at: number; address: string })[] = [];
  /** Where it is reached besides, which the map does not say. */
  readonly untold: string[] = [];

  constructor(name: string, places: string[], view: View) {
    this.name = name;
    this.places = places;
    this.view = view;
  }

  listen(address: string): void {
    this.untold.push(address);
  }
}

export class FakeCluster {
  readonly clock: ManualClock;
  readonly nodes: FakeNode[] = [];
  /** Every address to which a link was opened. */
  readonly opened: string[] = [];
  readonly links = new Map<string, FakeLink>();
  /** Round trips of single addresses, where they differ from the node's; those that are silent. */
  readonly delays = new Map<string, number>();
  readonly silent = new Set<string>();
  /** Committed amounts, which every node reads, as from one database. */
  readonly committed = new Map<bigint, bigint>();

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  add(name: string, view: View, ...places: string[]): FakeNode {
    const node = new FakeNode(name, places.length > 0 ? places : [`udp://${name}:1`], view);
    this.nodes.push(node);
    return node;
  }

  payer(
    seeds: string[],
    options: PayerLimits = {},
    random: () => number = () => 0,
    usable?: (place: string) => string | undefined,
  ): Payer {
    const { clock } = this;
    const open = async (address: string) => this.#open(address);
    const newPath = () => newSendPath(options);
    const link = new RoutedLink({ seeds, open, newPath, clock, random, ...(usable && { usable }) });
    return new Payer({ link, clock, random, ...options });
  }

  /** Lets time pass, in steps in which promises are settled. */
  async advance(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 5) {
      for (let count = 0; count < 12; count++) await Promise.resolve();
      this.clock.advance(Math.min(5, left));
    }
    for (let count = 0; count < 12; count++) await Promise.resolve();
  }

  nodeAt(address: string): FakeNode | undefined {
    const plain = address.replace(/^auto:/, 'udp:');
    return this.nodes.find(({ places, untold }) => places.includes(plain) || untold.includes(plain));
  }

  #open(address: string): PeerLink {
    this.opened.push(address);
    const link = new FakeLink(this, address);
    this.links.set(address, link);
    return link;
  }

  /** What `node` answers to a claim. */
  answer(node: FakeNode, claim: Claim): Ack {
    const holder = node.view.holder(shardOfChannel(claim.channelId));
    if (holder !== node.name) return ackOf(claim, { status: STATUS.MOVED, amount: BigInt(node.view.version) });
    if (claim.signature.every((byte) => byte === 0xff)) return ackOf(claim, { status: STATUS.BAD_SIGNATURE });
    const before = this.committed.get(claim.channelId) ?? 0n;
    if (claim.amount > before) this.committed.set(claim.channelId, claim.amount);
    return ackOf(claim, { status: claim.amount > before ? STATUS.COMMITTED : STATUS.ALREADY });
  }
}

class FakeLink implements PeerLink {
  readonly peer: string;
  readonly #cluster: FakeCluster;
  #receiver: LinkReceiver | undefined;
  #isClosed = false;

  constructor(cluster: FakeCluster, address: string) {
    this.#cluster = cluster;
    this.peer = address;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
  }

  open(): boolean {
    return true;
  }

  send(claims: DataView, offset: number): boolean {
    const claim = decodeClaim(claims, offset);
    const { clock } = this.#cluster;
    const node = this.#cluster.nodeAt(this.peer);
    node?.claims.push({ ...claim, at: clock.now(), address: this.peer });
    if (node?.refuses) {
      const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
      clock.after(1, () => this.#receiver!.fault(error));
    } else if (this.#hears(node)) {
      clock.after(this.#delayMs(node), () => {
        if (this.#hears(node)) this.deliver(this.#cluster.answer(node, claim));
      });
    }
    return true;
  }

  /** Bytes from this address, whoever sent them. */
  deliver(...acks: Ack[]): void {
    const bytes = Buffer.concat(acks.map(ackBytes));
    if (!this.#isClosed) this.#receiver!.message(bytes, 0, bytes.length);
  }

  ask(request: RequestMaker): Promise<ControlAnswer> {
    const asked = request('00'.repeat(16)) as AskedRequest & { channelId?: string };
    const node = this.#cluster.nodeAt(this.peer);
    return new Promise((resolve, reject) => {
      if (node?.refuses) return reject(new ClaimwireError('NODE_UNREACHABLE', 'refused'));
      if (asked.type === 'route' && node !== undefined) node.asked += 1;
      if (!this.#hears(node)) {
        this.#cluster.clock.after(1_500, () => reject(new ClaimwireError('NODE_UNREACHABLE', 'nothing')));
        return;
      }
      this.#cluster.clock.after(this.#delayMs(node), () => this.#reply(node, asked, resolve, reject));
    });
  }

  #reply(
    node: FakeNode,
    asked: { type: string; channelId?: string },
    resolve: (answer: ControlAnswer) => void,
    reject: (error: Error) => void,
  ): void {
    const { nodes } = this.#cluster;
    const { view } = node;
    const ok = { id: 1, ok: true as const };
    if (asked.type === 'route') {
      const names = nodes.map(({ name }) => name);
      const holders = Array.from({ length: SHARDS }, (_, shard) => names.indexOf(view.holder(shard) ?? ''));
      const told: RouteNode[] = nodes.map(({ name, places }) => ({ name, places }));
      resolve({
        ...ok,
        version: String(view.version),
        node: node.name,
        shards: shardRuns(holders),
        nodes: told,
        ...node.odd,
      });
      return;
    }
    node.resumed += 1;
    const channelId = BigInt(asked.channelId!);
    if (view.holder(shardOfChannel(channelId)) !== node.name) {
      reject(new ClaimwireError('MOVED', 'the node answered MOVED'));
      return;
    }
    const nothing = { committed: '0', sequence: 0, timestamp: '0'.repeat(16), signature: null };
    resolve({ ...ok, channelId: String(channelId), ...nothing });
  }

  #hears(node: FakeNode | undefined): node is FakeNode {
    return node?.isAlive === true && !this.#cluster.silent.has(this.peer) && !this.#isClosed;
  }

  #delayMs(node: FakeNode): number {
    return this.#cluster.delays.get(this.peer) ?? node.delayMs;
  }

  stats(): LinkStats {
    return { transport: 'udp', transportSwitches: 0, datagramsSent: 0 };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

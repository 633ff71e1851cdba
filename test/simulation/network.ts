/**
 * The network between payers and the node: datagrams that are lost, doubled, late, damaged, cut off for a while. Peers are told
 * apart by their port.
 */
import { PAYLOAD_CONTROL } from '../../protocol/layout.ts';
import { SOURCE_WORDS } from '../../src/ring/slot.ts';
import { SourceCodec, sourceHead } from '../../src/transport/source.ts';
import { TRANSPORT_UDP } from '../../src/transport/transport.ts';
import type { SimulatedNode } from './node.ts';
import type { Owner } from './scheduler.ts';
import type { World } from './world.ts';

/** Milliseconds of a way, and of one that is late. */
const WAY_MS = 0.2;
const LATE_MS = 60;
const PARTITION_MS = 400;
const STALL_MS = 20;
const FIRST_PORT = 1_024;

interface Peer {
  readonly owner: Owner;
  readonly onMessage: (bytes: Uint8Array) => void;
  /** Until when nothing gets through, to the node and from it. */
  cutUntil: [to: number, from: number];
  /** A connection's, which loses nothing by itself (streams.ts). */
  isStream: boolean;
}

/** The node at its end. */
export type Receiver = Pick<SimulatedNode, 'threads' | 'receive'>;

/** Told of each datagram that the node takes from a socket. */
type OnDelivered = (bytes: Uint8Array, port: number, isHonest: boolean) => void;

export class Network {
  readonly #world: World;
  readonly #node: () => Receiver | undefined;
  readonly #onDelivered: OnDelivered;
  readonly #peers = new Map<number, Peer>();
  readonly #sources = new Map<number, Uint32Array>();
  readonly #addresses = new SourceCodec();

  constructor(world: World, onDelivered: OnDelivered, node: () => Receiver | undefined = () => world.node) {
    this.#world = world;
    this.#node = node;
    this.#onDelivered = onDelivered;
  }

  /** Returns the port of a new peer. */
  join(owner: Owner, onMessage: (bytes: Uint8Array) => void): number {
    return this.#join({ owner, onMessage, cutUntil: [0, 0], isStream: false });
  }

  /** The same for a connection, which is handed all that the node sends there. */
  joinStream(owner: Owner, onMessage: (bytes: Uint8Array) => void): number {
    return this.#join({ owner, onMessage, cutUntil: [0, 0], isStream: true });
  }

  /** Hands a node a message of a connection. */
  deliver(node: Receiver, thread: number, bytes: Uint8Array, port: number): void {
    node.receive(thread, bytes, this.#sources.get(port)!, () => this.#onDelivered(bytes, port, true));
  }

  #join(peer: Peer): number {
    const port = FIRST_PORT + this.#peers.size;
    this.#peers.set(port, peer);
    const source = new Uint32Array(SOURCE_WORDS);
    source[0] = sourceHead(TRANSPORT_UDP, port);
    this.#addresses.parse(`192.0.2.${port % 200}`, source);
    this.#sources.set(port, source);
    return port;
  }

  /** @param isHonest whether its payer made it so, as far as it is not damaged on its way */
  toNode(port: number, bytes: Uint8Array, isHonest: boolean): void {
    const world = this.#world;
    const { delays, isDamaged } = this.#fate(port, 0);
    for (const delay of delays) {
      const carried = isDamaged ? this.#damaged(bytes) : bytes.slice();
      world.scheduler.after(delay, () => this.#arrive(port, carried, isHonest && !isDamaged), world.scheduler.world);
    }
  }

  #arrive(port: number, bytes: Uint8Array, isHonest: boolean): void {
    const { chance, scheduler } = this.#world;
    const node = this.#node();
    if (node === undefined) return;
    if (this.#world.strikes('stall') && node.threads.length > 0) {
      const { owner } = chance.of(node.threads);
      this.#world.happened('thread.stall', () => owner.name);
      owner.busyUntil = Math.max(owner.busyUntil, scheduler.now + chance.spread(1, STALL_MS));
    }
    node.receive(chance.random.u32(), bytes, this.#sources.get(port)!, () => this.#onDelivered(bytes, port, isHonest));
  }

  /** A damaged ack never looks like one: UDP's checksum sees to that, and payers believe what they are told. */
  toPeer(port: number, bytes: Uint8Array): void {
    const peer = this.#peers.get(port);
    if (peer === undefined) return;
    if (peer.isStream) {
      peer.onMessage(bytes);
      return;
    }
    const { delays, isDamaged } = this.#fate(port, 1);
    for (const delay of delays) {
      const carried = bytes.slice();
      if (isDamaged) carried[0] = PAYLOAD_CONTROL;
      this.#world.scheduler.after(delay, () => peer.onMessage(carried), peer.owner);
    }
  }

  /** When a datagram's copies arrive, none where it is lost. */
  #fate(port: number, way: 0 | 1): { delays: number[]; isDamaged: boolean } {
    const world = this.#world;
    const peer = this.#peers.get(port)!;
    const { now } = world.scheduler;
    if (!world.isCalm && now < peer.cutUntil[way]) return { delays: [], isDamaged: false };
    if (world.strikes('loss')) {
      world.happened('network.loss');
      return { delays: [], isDamaged: false };
    }
    const delays = [world.chance.fraction() * WAY_MS];
    if (world.strikes('double')) {
      world.happened('network.double');
      delays.push(world.chance.fraction() * WAY_MS);
    }
    if (world.strikes('reorder')) {
      world.happened('network.reorder');
      delays[0] = world.chance.spread(0, LATE_MS);
    }
    const isDamaged = world.strikes('corruption');
    if (isDamaged) world.happened('network.corruption');
    return { delays, isDamaged };
  }

  /** Cuts some peer off for a while. */
  part(): void {
    const world = this.#world;
    if (this.#peers.size === 0) return;
    const peer = this.#peers.get(FIRST_PORT + world.chance.random.below(this.#peers.size))!;
    const until = world.scheduler.now + world.chance.spread(1, PARTITION_MS);
    const ways = world.chance.between(1, 3);
    peer.cutUntil = [(ways & 1) !== 0 ? until : 0, (ways & 2) !== 0 ? until : 0];
    world.happened('network.partition', () => `${peer.owner.name} until ${until.toFixed(0)}, ways ${ways}`);
  }

  #damaged(bytes: Uint8Array): Uint8Array {
    const { chance } = this.#world;
    if (chance.is(0.3)) return bytes.slice(0, chance.random.below(bytes.length + 1));
    const damaged = bytes.slice();
    for (let flips = chance.between(1, 3); flips > 0; flips--)
      damaged[chance.random.below(damaged.length)]! ^= 1 << chance.random.below(8);
    return damaged;
  }
}

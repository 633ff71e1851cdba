/**
 * Connections of a world: bytes in order, in pieces that are cut anywhere, until the connection is lost, be it within a message.
 * The payer's end is what its pool (src/client/pool) takes for a socket; the node's end splits messages as a listener does.
 */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { PAYLOAD_CONTROL, STREAM_HEADER_BYTES } from '../../protocol/layout.ts';
import { encodeStreamHeader, StreamParser } from '../../protocol/stream.ts';
import type { Connect } from '../../src/client/pool/connection.ts';
import type { Network } from './network.ts';
import type { SimulatedNode } from './node.ts';
import type { Owner } from './scheduler.ts';
import type { World } from './world.ts';

const WAY_MS = 0.2;

/** What a payer's pool opens connections with. */
export function connecting(world: World, network: Network, owner: Owner): Connect {
  return () => {
    const stream = new SimulatedStream(world, network, owner);
    return { socket: stream as unknown as Duplex, upEvent: 'connect' };
  };
}

class SimulatedStream extends EventEmitter {
  readonly writableLength = 0;
  readonly #world: World;
  readonly #network: Network;
  readonly #owner: Owner;
  readonly #port: number;
  readonly #parser = new StreamParser();
  readonly #thread: number;
  /** The process at the other end: another one resets the connection. */
  #node: SimulatedNode | undefined;
  #isOver = false;
  /** When the last piece arrives, to the node and from it: none overtakes another. */
  #arrivesAt: [to: number, from: number] = [0, 0];

  constructor(world: World, network: Network, owner: Owner) {
    super();
    this.#world = world;
    this.#network = network;
    this.#owner = owner;
    this.#thread = world.chance.random.u32();
    this.#port = network.joinStream(owner, (bytes) => this.#answer(bytes));
    const open = () => {
      this.#node = world.node?.isReady ? world.node : undefined;
      if (this.#node === undefined) this.#lose();
      else world.scheduler.after(this.#way(), () => this.#isOver || this.emit('connect'), owner);
    };
    world.scheduler.after(this.#way(), open, world.scheduler.world);
  }

  write(bytes: Uint8Array, done?: () => void): void {
    this.#pieces(bytes, 0, (piece) => this.#toNode(piece));
    done?.();
  }

  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#world.scheduler.after(0, () => this.emit('close'), this.#owner);
  }

  #way(): number {
    return this.#world.chance.fraction() * WAY_MS;
  }

  /** Cuts bytes anywhere, loses the connection between two pieces now and then, and has them arrive in their order. */
  #pieces(bytes: Uint8Array, way: 0 | 1, arrive: (piece: Uint8Array) => void): void {
    const world = this.#world;
    const { scheduler, chance } = world;
    const owner = way === 0 ? scheduler.world : this.#owner;
    for (let start = 0; start < bytes.length; ) {
      const end = chance.is(0.5) ? bytes.length : start + chance.between(1, bytes.length - start);
      if (end < bytes.length) world.happened('tcp.split');
      const piece = bytes.slice(start, end);
      const at = Math.max(this.#arrivesAt[way], scheduler.now + this.#way());
      this.#arrivesAt[way] = at + 0.001;
      scheduler.after(at - scheduler.now, () => this.#isOver || arrive(piece), owner);
      start = end;
    }
  }

  #toNode(piece: Uint8Array): void {
    const world = this.#world;
    const node = this.#node!;
    if (world.node !== node || node.isDead) {
      this.#lose();
      return;
    }
    const sink = {
      payload: (bytes: Uint8Array, start: number, end: number) => {
        // Control messages are a listener's, which is not simulated.
        if (bytes[start] === PAYLOAD_CONTROL) return;
        this.#network.deliver(node, this.#thread, bytes.slice(start, end), this.#port);
      },
    };
    if (world.strikes('tcpCuts')) {
      this.#parser.push(piece.subarray(0, world.chance.random.below(piece.length + 1)), sink);
      world.happened(this.#parser.atBoundary ? 'tcp.cut' : 'tcp.cut-inside');
      this.#lose();
    } else if (this.#parser.push(piece, sink) !== 0)
      world.violated('a stream is read as it was written', `port ${this.#port}`);
  }

  /** Acks leave the node. */
  #answer(acks: Uint8Array): void {
    if (this.#isOver) return;
    const bytes = new Uint8Array(STREAM_HEADER_BYTES + acks.length);
    encodeStreamHeader(new DataView(bytes.buffer), 0, acks.length);
    bytes.set(acks, STREAM_HEADER_BYTES);
    this.#pieces(bytes, 1, (piece) => this.emit('data', piece));
  }

  #lose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#world.scheduler.after(this.#way(), () => this.emit('close'), this.#owner);
  }
}

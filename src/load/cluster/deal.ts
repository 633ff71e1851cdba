/**
 * Deals the run's channels among the nodes of a cluster by its map, and picks the channel of the next claim from that deal.
 *
 * Generator thread. A node has a slot for the whole run, and its sockets are numbered from slot × sockets on: so a datagram,
 * which leaves by one socket, has claims for one node alone. A new deal costs a pass over all channels.
 */
import { SHARDS, shardOf } from '../../../protocol/shard.ts';
import { assert } from '../../errors.ts';
import type { LoadChannels } from '../channels.ts';
import type { Random } from '../random.ts';
import { AliasTable, type Picker } from '../skew.ts';

export class Deal {
  readonly #sockets: number;
  readonly #shards: Uint16Array;
  /** The slot of each channel's node. */
  readonly #slots: Uint16Array;

  /** Every channel is dealt to slot 0 until `take` is called. @param sockets of each node */
  constructor(channels: LoadChannels, sockets: number) {
    this.#sockets = sockets;
    this.#slots = new Uint16Array(channels.count);
    this.#shards = Uint16Array.from({ length: channels.count }, (_, channel) =>
      shardOf(channels.handleHigh(channel), channels.handleLow(channel)),
    );
  }

  /**
   * Takes a map. A channel whose shard nobody holds stays where it is.
   * @param slots by shard: the slot of its holder, or -1
   * @returns the channels that have another node now
   */
  take(slots: ArrayLike<number>): number[] {
    assert(slots.length === SHARDS, 'a map says of every shard who holds it');
    const changed: number[] = [];
    for (const [channel, shard] of this.#shards.entries()) {
      const slot = slots[shard]!;
      if (slot < 0 || slot === this.#slots[channel]) continue;
      this.#slots[channel] = slot;
      changed.push(channel);
    }
    return changed;
  }

  /** The socket of a channel's claims. */
  socketOf(channel: number): number {
    return this.#slots[channel]! * this.#sockets + (channel % this.#sockets);
  }

  /** Picks by the present deal. @param exponent of Zipf's law, 0 for uniform */
  picker(exponent: number, random: Random): Picker {
    const sockets = this.#sockets * (1 + this.#slots.reduce((most, slot) => Math.max(most, slot), 0));
    return new DealtPicker(this.#slots.length, sockets, (channel) => this.socketOf(channel), exponent, random);
  }
}

/** As ChannelPicker (skew.ts), where no formula says which channels a socket has. */
class DealtPicker implements Picker {
  readonly #random: Random;
  readonly #bySocket: AliasTable;
  /** A table for the channels of each socket; none for a uniform draw. */
  readonly #byChannel: AliasTable[] = [];
  /** The channels of socket i are those from first[i] up to first[i + 1]. */
  readonly #first: Uint32Array;
  readonly #channels: Uint32Array;

  constructor(
    channels: number,
    sockets: number,
    socketOf: (channel: number) => number,
    exponent: number,
    random: Random,
  ) {
    this.#random = random;
    this.#first = new Uint32Array(sockets + 1);
    for (let channel = 0; channel < channels; channel++) this.#first[socketOf(channel) + 1]! += 1;
    for (let socket = 0; socket < sockets; socket++) this.#first[socket + 1]! += this.#first[socket]!;
    this.#channels = new Uint32Array(channels);
    const next = this.#first.slice();
    for (let channel = 0; channel < channels; channel++) this.#channels[next[socketOf(channel)]!++] = channel;
    const weightOf = new Float64Array(sockets);
    for (let socket = 0; socket < sockets; socket++) {
      const own = this.#channels.subarray(this.#first[socket], this.#first[socket + 1]);
      weightOf[socket] = own.length;
      if (exponent === 0) continue;
      const weights = Float64Array.from(own, (channel) => (1 + channel) ** -exponent);
      weightOf[socket] = weights.reduce((sum, weight) => sum + weight, 0);
      this.#byChannel.push(new AliasTable(weights, random));
    }
    this.#bySocket = new AliasTable(weightOf, random);
  }

  socket(): number {
    return this.#bySocket.draw();
  }

  channel(socket: number): number {
    const first = this.#first[socket]!;
    const table = this.#byChannel[socket];
    const index = table === undefined ? this.#random.below(this.#first[socket + 1]! - first) : table.draw();
    return this.#channels[first + index]!;
  }
}

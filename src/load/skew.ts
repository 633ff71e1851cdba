/**
 * Picks the channel of the next claim: uniformly, or by Zipf's law (channel i, from 0, has weight 1/(i+1)^s).
 *
 * The claims of channel i always leave by socket i mod sockets, and a datagram leaves by one socket. So the socket is
 * drawn first, with the weight of all its channels, and then one of these channels for each claim of the datagram. Every
 * claim so has the distribution asked for, whatever the number of sockets. A draw is O(1), by alias tables (Vose 1991) in
 * steps of 2^-32. Generator thread.
 */
import type { Random } from './random.ts';

/** The exponent, 0 for uniform. Undefined where the text is none of uniform, zipf:S. */
export function parseSkew(text: string): number | undefined {
  if (text === 'uniform') return 0;
  const exponent = Number(/^zipf:(\d(?:\.\d{1,6})?)$/.exec(text)?.[1]);
  return exponent > 0 ? exponent : undefined;
}

export function skewName(exponent: number): string {
  return exponent === 0 ? 'uniform' : `zipf:${exponent}`;
}

/** Draws a socket, and then channels of that socket. */
export interface Picker {
  socket(): number;
  channel(socket: number): number;
}

export class ChannelPicker implements Picker {
  readonly #sockets: number;
  readonly #random: Random;
  readonly #bySocket: AliasTable;
  /** A table for the channels of each socket; none for a uniform draw. */
  readonly #byChannel: AliasTable[] = [];
  readonly #channelsOf: Uint32Array;

  /** @param sockets at most `channels` */
  constructor(channels: number, sockets: number, exponent: number, random: Random) {
    this.#sockets = sockets;
    this.#random = random;
    this.#channelsOf = new Uint32Array(sockets);
    const weightOf = new Float64Array(sockets);
    for (let socket = 0; socket < sockets; socket++) {
      const count = Math.ceil((channels - socket) / sockets);
      this.#channelsOf[socket] = count;
      weightOf[socket] = count;
      if (exponent === 0) continue;
      const weights = Float64Array.from({ length: count }, (_, index) => (1 + socket + index * sockets) ** -exponent);
      weightOf[socket] = weights.reduce((sum, weight) => sum + weight, 0);
      this.#byChannel.push(new AliasTable(weights, random));
    }
    this.#bySocket = new AliasTable(weightOf, random);
  }

  socket(): number {
    return this.#bySocket.draw();
  }

  /** Draws a channel of a socket. */
  channel(socket: number): number {
    const table = this.#byChannel[socket];
    const index = table === undefined ? this.#random.below(this.#channelsOf[socket]!) : table.draw();
    return socket + index * this.#sockets;
  }
}

/** Draws an index in proportion to its weight. Column i stands for index i below its threshold, for another above. */
export class AliasTable {
  /** Column i has its threshold in units of 2^-32 at 2i, and the other index at 2i + 1. */
  readonly #columns: Uint32Array;
  readonly #length: number;
  readonly #random: Random;

  constructor(weights: Float64Array, random: Random) {
    const { length } = weights;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.#random = random;
    this.#length = length;
    this.#columns = new Uint32Array(2 * length);
    const shares = weights.map((weight) => (weight / total) * length);
    const poor: number[] = [];
    const rich: number[] = [];
    for (const [index, share] of shares.entries()) (share < 1 ? poor : rich).push(index);
    while (poor.length > 0 && rich.length > 0) {
      const receiver = poor.pop()!;
      const giver = rich.at(-1)!;
      this.#columns[2 * receiver] = shares[receiver]! * 2 ** 32;
      this.#columns[2 * receiver + 1] = giver;
      shares[giver]! -= 1 - shares[receiver]!;
      if (shares[giver]! < 1) poor.push(rich.pop()!);
    }
    // What is left has a share of 1, apart from rounding, so both indexes are its own.
    for (const index of [...poor, ...rich]) this.#columns[2 * index + 1] = index;
  }

  draw(): number {
    const index = this.#random.below(this.#length);
    return this.#random.word() < this.#columns[2 * index]! ? index : this.#columns[2 * index + 1]!;
  }
}

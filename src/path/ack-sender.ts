/**
 * Packs acks into datagrams, up to 45 for one destination. Net thread or lane; the packets' memory is the transport's.
 *
 * COMMITTED and ALREADY are always sent; refusals are limited per source. Open packets are kept in a small direct-mapped
 * table by destination, so a few interleaved payers still fill datagrams; with many payers, packets just leave earlier.
 */
import { writeAckOf } from '../../protocol/ack.ts';
import { ACK_BYTES, ACK_STATUS, ACKS_PER_DATAGRAM_MAX, STATUS_FIRST_REFUSAL } from '../../protocol/layout.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { System } from '../system/system.ts';
import { sourceTransport } from '../transport/source.ts';
import { type Packet, TRANSPORT_LOCAL, type Transport } from '../transport/transport.ts';
import { RefusalLimiter } from './refusal-limiter.ts';

/** Where answers to claims go: straight to the sender, or through the ack ring to the thread that has the socket. */
export interface AnswerSink {
  /** Answers the claim at `offset` of `view`. The amount is a u64 in halves; the destination is five words at `to[at]`. */
  answer(status: number, view: DataView, offset: number, high: number, low: number, to: Uint32Array, at: number): void;
}

const OPEN_PACKETS = 64;
const PACKET_FULL = ACK_BYTES * ACKS_PER_DATAGRAM_MAX;

const ACKED = counterIndex('acked');
const SEND_QUEUE_FULL = counterIndex('dropped.sendQueueFull');
const REFUSAL_LIMITED = counterIndex('dropped.refusalLimited');

export class AckSender implements AnswerSink {
  /** By transport id. */
  readonly #transports: readonly (Transport | undefined)[];
  readonly #counters: Counters;
  readonly #packets: (Packet | undefined)[] = new Array(OPEN_PACKETS).fill(undefined);
  /** Destination of each open packet, five words each. */
  readonly #destinations = new Uint32Array(OPEN_PACKETS * SOURCE_WORDS);
  /** The places that hold a packet, so that a flush visits only those. */
  readonly #open = new Uint8Array(OPEN_PACKETS);
  #openCount = 0;
  readonly #limiter: RefusalLimiter;
  /** Milliseconds since 1970, for the limit on refusals. Set at the start of each step. */
  now = 0;

  constructor(transports: readonly (Transport | undefined)[], counters: Counters, random: System['random']) {
    this.#limiter = new RefusalLimiter(random);
    this.#transports = transports;
    this.#counters = counters;
  }

  /** Copies a finished ack frame from `bytes[offset]` to the destination at `words[at]`. */
  frame(bytes: Uint8Array, offset: number, words: Uint32Array, at: number): void {
    if (!this.#allows(bytes[offset + ACK_STATUS]!, words, at)) return;
    const packet = this.#packetFor(words, at);
    if (packet === undefined) return;
    packet.bytes.set(bytes.subarray(offset, offset + ACK_BYTES), packet.length);
    packet.length += ACK_BYTES;
  }

  answer(status: number, view: DataView, offset: number, high: number, low: number, to: Uint32Array, at: number): void {
    if (!this.#allows(status, to, at)) return;
    const packet = this.#packetFor(to, at);
    if (packet === undefined) return;
    writeAckOf(packet.view, packet.length, status, high, low, view, offset);
    packet.length += ACK_BYTES;
  }

  flush(): void {
    for (let index = 0; index < this.#openCount; index++) this.#send(this.#open[index]!);
    this.#openCount = 0;
    for (const transport of this.#transports) transport?.flush();
  }

  #allows(status: number, words: Uint32Array, at: number): boolean {
    if (status < STATUS_FIRST_REFUSAL || this.#limiter.allow(words, at, this.now)) return true;
    // The node's own program is always answered: it waits for each of its claims, and bounds them itself.
    if (sourceTransport(words[at]!) === TRANSPORT_LOCAL) return true;
    this.#counters.add(REFUSAL_LIMITED, 1);
    return false;
  }

  #packetFor(words: Uint32Array, at: number): Packet | undefined {
    // The claim byte is left out, as in #isFor: it would spread one destination over many packets.
    const place =
      (Math.imul((words[at]! >>> 8) ^ Math.imul(words[at + 4]!, 0x9e3779b1), 0x85ebca6b) >>> 26) % OPEN_PACKETS;
    let packet = this.#packets[place];
    if (packet !== undefined) {
      if (packet.length < PACKET_FULL && this.#isFor(place, words, at)) return packet;
      this.#send(place);
    } else {
      this.#open[this.#openCount++] = place;
    }
    packet = this.#transports[sourceTransport(words[at]!)]?.acquire();
    this.#packets[place] = packet;
    if (packet === undefined) {
      this.#counters.add(SEND_QUEUE_FULL, 1);
      this.#forget(place);
      return undefined;
    }
    for (let index = 0; index < SOURCE_WORDS; index++)
      this.#destinations[place * SOURCE_WORDS + index] = words[at + index]!;
    return packet;
  }

  #isFor(place: number, words: Uint32Array, at: number): boolean {
    const base = place * SOURCE_WORDS;
    // The shift removes the first byte, which belongs to a claim.
    if (this.#destinations[base]! >>> 8 !== words[at]! >>> 8) return false;
    for (let index = 1; index < SOURCE_WORDS; index++)
      if (this.#destinations[base + index] !== words[at + index]) return false;
    return true;
  }

  #send(place: number): void {
    const packet = this.#packets[place];
    if (packet === undefined) return;
    this.#packets[place] = undefined;
    // Not ack by ack: that is a tenth of what an ack costs here.
    this.#counters.add(ACKED, packet.length / ACK_BYTES);
    const at = place * SOURCE_WORDS;
    this.#transports[sourceTransport(this.#destinations[at]!)]!.send(packet, this.#destinations, at);
  }

  /** Takes `place` off the list of open packets, since the transport had none to give. */
  #forget(place: number): void {
    const index = this.#open.lastIndexOf(place, this.#openCount - 1);
    this.#open[index] = this.#open[--this.#openCount]!;
  }
}

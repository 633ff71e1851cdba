/**
 * Packs claims into datagrams: 15 at most, sent when full or when the turn's input has been dealt with.
 *
 * Runs on the payer's thread and owns the datagram buffers, which go back to a pool once the socket is done with them.
 */
import { CLAIM_BYTES, CLAIMS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import type { Clock } from './clock.ts';
import type { PayerCounters } from './counters.ts';
import type { DatagramSocket } from './datagram-socket.ts';

/** Buffers kept for reuse: more are in use only while the socket's queue is long. */
const POOL_MAX = 64;

interface Packet {
  readonly bytes: Uint8Array;
  claims: number;
  /** Handed to the socket with each send; made once. */
  readonly sent: (error?: Error | null) => void;
}

export class DatagramPacker {
  readonly #socket: DatagramSocket;
  readonly #clock: Clock;
  readonly #counters: PayerCounters;
  readonly #pool: Packet[] = [];
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#sendOpen();
  };
  #open: Packet | undefined;
  #flushScheduled = false;
  #closed = false;

  constructor(socket: DatagramSocket, clock: Clock, counters: PayerCounters) {
    this.#socket = socket;
    this.#clock = clock;
    this.#counters = counters;
  }

  /** Copies the claim at `bytes[offset]` into the open datagram. */
  add(bytes: Uint8Array, offset: number): void {
    this.#open ??= this.#pool.pop() ?? this.#newPacket();
    const packet = this.#open;
    packet.bytes.set(bytes.subarray(offset, offset + CLAIM_BYTES), packet.claims * CLAIM_BYTES);
    packet.claims += 1;
    if (packet.claims === CLAIMS_PER_DATAGRAM_MAX) this.#sendOpen();
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#clock.afterInput(this.#flush);
    }
  }

  close(): void {
    this.#closed = true;
    this.#open = undefined;
  }

  #sendOpen(): void {
    const packet = this.#open;
    if (packet === undefined) return;
    this.#open = undefined;
    this.#counters.datagramsSent += 1;
    this.#counters.claimsSent += packet.claims;
    this.#socket.send(packet.bytes, 0, packet.claims * CLAIM_BYTES, packet.sent);
  }

  #newPacket(): Packet {
    const packet: Packet = {
      bytes: new Uint8Array(CLAIMS_PER_DATAGRAM_MAX * CLAIM_BYTES),
      claims: 0,
      sent: (error) => {
        if (error && !this.#closed) this.#counters.socketFault(error);
        packet.claims = 0;
        if (this.#pool.length < POOL_MAX) this.#pool.push(packet);
      },
    };
    return packet;
  }
}

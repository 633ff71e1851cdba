/**
 * UDP over the C addon: the fast twin of udp.ts. Runs in the thread that owns it (net thread or lane).
 *
 * A readable callback takes in a bounded number of claims and leaves the rest to the loop's next turn (the poll is
 * level-triggered), so that groups stay small and latency with them. Packets are one piece of memory and leave together
 * in `flush`, those that follow each other to one peer as one message the kernel cuts.
 */
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX, CLAIM_BYTES } from '../../protocol/layout.ts';
import { sourcePort } from './source.ts';
import type { Packet, Transport, TransportSink } from './transport.ts';
import { PACKETS_MAX, RECEIVE_BUFFER_BYTES, type UdpOptions } from './udp.ts';
import { MESSAGES_MAX, NativeUdp } from './udp-native.ts';

const PACKET_BYTES = ACK_BYTES * ACKS_PER_DATAGRAM_MAX;
/** About 96 KB: two trains of the longest kind. */
const CLAIMS_PER_TURN_MAX = 1_024;

export interface BatchUdpOptions extends UdpOptions {
  /** Several lanes bind the same address; each peer stays with one of them. */
  reusePort?: boolean;
  /** The first of them: fails where somebody else has the address. */
  exclusive?: boolean;
  receiveBufferBytes?: number;
  /** What one readable callback takes in before others get their turn; a message is never divided. */
  claimsPerTurnMax?: number;
  gro?: boolean;
}

interface BatchPacket extends Packet {
  /** Where its bytes lie in the sending memory. */
  readonly offset: number;
}

export class BatchUdpTransport implements Transport {
  readonly address: string;
  readonly receiveBufferBytes: number;
  readonly #udp: NativeUdp;
  readonly #onSendError: () => void;
  readonly #bytesPerTurn: number;
  readonly #free: BatchPacket[] = [];
  readonly #queue: BatchPacket[] = [];
  #made = 0;
  #isReceiving = false;
  /** The dearest message of the last receive, in bytes: how many the next one may ask for. */
  #dearest = CLAIM_BYTES;

  private constructor(udp: NativeUdp, options: BatchUdpOptions, onSendError: () => void) {
    this.#udp = udp;
    this.#onSendError = onSendError;
    this.#bytesPerTurn = (options.claimsPerTurnMax ?? CLAIMS_PER_TURN_MAX) * CLAIM_BYTES;
    this.address = udp.address;
    this.receiveBufferBytes = udp.receiveBufferBytes;
  }

  /** Binds. Rejects with the system's error (EADDRINUSE, EACCES, …). `onSendError` is called once per lost packet. */
  static async open(options: BatchUdpOptions, onSendError: () => void): Promise<BatchUdpTransport> {
    const { host, port, receiveBufferBytes = RECEIVE_BUFFER_BYTES, ...rest } = options;
    const udp = await NativeUdp.open({
      ...rest,
      local: { host, port },
      receiveBufferBytes,
      sendingBytes: PACKETS_MAX * PACKET_BYTES,
      packetsMax: PACKETS_MAX,
    });
    return new BatchUdpTransport(udp, options, onSendError);
  }

  /** What came before waits in the kernel's buffer. */
  startReceiving(sink: TransportSink, onActivity: () => void): void {
    this.#isReceiving = true;
    this.#udp.poll(() => {
      onActivity();
      this.#readable(sink);
    });
  }

  /** Messages the receive buffer had no room for since opening. */
  get drops(): number {
    return this.#udp.drops;
  }

  acquire(): Packet | undefined {
    const packet = this.#free.pop();
    if (packet !== undefined || this.#made === PACKETS_MAX) return packet;
    const offset = this.#made++ * PACKET_BYTES;
    const bytes = this.#udp.sending.subarray(offset, offset + PACKET_BYTES);
    return { bytes, view: new DataView(bytes.buffer, offset, PACKET_BYTES), length: 0, offset } as BatchPacket;
  }

  send(packet: Packet, words: Uint32Array, at: number): void {
    if (sourcePort(words[at]!) === 0) {
      // A datagram from port 0 can be forged but not answered.
      this.#free.push(emptied(packet as BatchPacket));
      this.#onSendError();
      return;
    }
    // There are as many records as packets.
    this.#udp.describe(this.#queue.length, (packet as BatchPacket).offset, packet.length, words, at);
    this.#queue.push(packet as BatchPacket);
  }

  flush(): void {
    if (this.#queue.length === 0) return;
    let lost = this.#udp.send(this.#queue.length);
    while (this.#queue.length > 0) this.#free.push(emptied(this.#queue.pop()!));
    while (lost-- > 0) this.#onSendError();
  }

  stopReceiving(): void {
    this.#isReceiving = false;
    this.#udp.stopPolling();
  }

  async close(): Promise<void> {
    this.flush();
    this.#isReceiving = false;
    this.#udp.close();
  }

  /**
   * A datagram counts as one claim at least, so that empty ones end a turn too. How many messages still fit is judged by
   * the last ones: only a sudden change of size overshoots, by 63 messages at most, or what the receive buffer holds.
   */
  #readable(sink: TransportSink): void {
    let left = this.#bytesPerTurn;
    while (left > 0) {
      const wanted = Math.min(MESSAGES_MAX, Math.max(1, Math.floor(left / this.#dearest)));
      const count = this.#udp.receive(wanted);
      this.#dearest = CLAIM_BYTES;
      for (let index = 0; index < count && this.#isReceiving; index++) {
        const datagrams = this.#udp.handOver(index, sink);
        const cost = Math.max(this.#udp.bytesOf(index), datagrams * CLAIM_BYTES);
        if (cost > this.#dearest) this.#dearest = cost;
        left -= cost;
      }
      // Fewer than asked for, or an error the socket survives: nothing more is there.
      if (count < wanted || !this.#isReceiving) return;
    }
  }
}

function emptied(packet: BatchPacket): BatchPacket {
  packet.length = 0;
  return packet;
}

/**
 * UDP over the C addon: the fast twin of udp.ts. Runs in the thread that owns it, net thread or lane.
 *
 * A readable callback receives a limited number of claims, and the next turn of the event loop the rest (the poll is
 * level-triggered), so that groups and latency stay small. Packets leave together in `flush`; consecutive ones to one peer
 * are one message, which the kernel splits.
 */
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import type { HostPort } from '../host-port.ts';
import { sourcePort } from './source.ts';
import { PACKET_BYTES, type Packet, type Transport, type TransportSink } from './transport.ts';
import { PACKETS_MAX, RECEIVE_BUFFER_BYTES } from './udp.ts';
import { MESSAGES_MAX, NativeUdp, type NativeUdpOptions } from './udp-native.ts';

/** About 96 KB: two of the longest trains. */
const CLAIMS_PER_TURN_MAX = 1_024;

export interface BatchUdpOptions
  extends HostPort,
    Pick<NativeUdpOptions, 'reusePort' | 'exclusive' | 'receiveBufferBytes' | 'gro' | 'times'> {
  /** What one readable callback receives before other work gets its turn. A message is never divided. */
  claimsPerTurnMax?: number;
}

interface BatchPacket extends Packet {
  /** Where its bytes lie in the sending memory. */
  readonly offset: number;
}

export class BatchUdpTransport implements Transport {
  readonly address: HostPort;
  readonly receiveBufferBytes: number;
  readonly #udp: NativeUdp;
  readonly #onSendError: () => void;
  readonly #bytesPerTurn: number;
  readonly #free: BatchPacket[] = [];
  readonly #queue: BatchPacket[] = [];
  #made = 0;
  #isReceiving = false;
  /** The largest message of the last receive, in bytes: says how many the next one may ask for. */
  #largest = CLAIM_BYTES;

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

  /** Whether the sink is told how long messages waited. */
  set hasTimes(hasTimes: boolean) {
    this.#udp.hasTimes = hasTimes;
  }

  /** What came earlier waits in the kernel's buffer. */
  startReceiving(sink: TransportSink, onActivity: () => void): void {
    this.#isReceiving = true;
    this.#udp.poll(() => {
      onActivity();
      this.#readable(sink);
    });
  }

  /** Messages that the system dropped since opening: the receive buffer had no room, or a filter said so. */
  get drops(): number {
    return this.#udp.drops;
  }
  /** How much of the receive buffer was taken when `drops` was last read, 0 to 1. */
  get full(): number {
    return this.#udp.full;
  }
  /** Which messages may enter the receive buffer (packet-filter.ts); an empty program takes the filter away. */
  filter(program: Uint32Array): boolean {
    return this.#udp.filter(program);
  }
  /** Which of the sockets that share the address gets a message (lane-steering.ts). */
  steer(program: Uint32Array): boolean {
    return this.#udp.steer(program);
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
      // Nobody listens on port 0: the source was forged.
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
   * A datagram counts as at least one claim, so that empty ones end a turn too. The largest message of the last receive says
   * how many still fit, so only a sudden change of size exceeds the limit, by at most 63 messages.
   */
  #readable(sink: TransportSink): void {
    let left = this.#bytesPerTurn;
    while (left > 0) {
      const wanted = Math.min(MESSAGES_MAX, Math.max(1, Math.floor(left / this.#largest)));
      const count = this.#udp.receive(wanted);
      sink.read?.();
      this.#largest = CLAIM_BYTES;
      for (let index = 0; index < count && this.#isReceiving; index++) {
        const datagrams = this.#udp.handOver(index, sink);
        const cost = Math.max(this.#udp.bytesOf(index), datagrams * CLAIM_BYTES);
        if (cost > this.#largest) this.#largest = cost;
        left -= cost;
      }
      // What another transport hands in next has no such time.
      sink.waited?.(0);
      // Fewer than asked for, or an error that the socket survives: nothing more waits.
      if (count < wanted || !this.#isReceiving) return;
    }
  }
}

function emptied(packet: BatchPacket): BatchPacket {
  packet.length = 0;
  return packet;
}

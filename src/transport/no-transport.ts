/** A transport that goes nowhere: it takes packets and forgets them. For the warm-up, the benches and the tests. */
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import type { Packet, Transport } from './transport.ts';

export class NoTransport implements Transport {
  readonly address = { host: '', port: 0 };
  readonly receiveBufferBytes = 0;
  readonly #packet = emptyPacket();

  startReceiving(): void {}
  /** One is enough, since it comes straight back. */
  acquire(): Packet | undefined {
    this.#packet.length = 0;
    return this.#packet;
  }
  send(_packet: Packet, _words: Uint32Array, _at: number): void {}
  flush(): void {}
  stopReceiving(): void {}
  async close(): Promise<void> {}
}

/** Room for a datagram of acks. */
export function emptyPacket(): Packet {
  const bytes = new Uint8Array(ACK_BYTES * ACKS_PER_DATAGRAM_MAX);
  return { bytes, view: new DataView(bytes.buffer), length: 0 };
}

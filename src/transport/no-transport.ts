/** A transport that drops every packet: for the warm-up, the benches and the tests. */
import { emptyPacket, type Packet, type Transport } from './transport.ts';

export class NoTransport implements Transport {
  readonly address = { host: '', port: 0 };
  readonly receiveBufferBytes = 0;
  readonly #packet = emptyPacket();

  startReceiving(): void {}
  /** One packet is enough, since sending drops it at once. */
  acquire(): Packet | undefined {
    this.#packet.length = 0;
    return this.#packet;
  }
  send(_packet: Packet, _words: Uint32Array, _at: number): void {}
  flush(): void {}
  stopReceiving(): void {}
  async close(): Promise<void> {}
}

/**
 * The portable link: claims over node:dgram. Each datagram costs a system call, a request object and a callback.
 *
 * Generator thread. The link owns its sockets and its packets, which are free again when dgram has sent them.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { copyClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES } from '../../../protocol/layout.ts';
import type { HostPort } from '../../host-port.ts';
import { SOURCE_WORDS } from '../../ring/slot.ts';
import { EventLoopLink, type LinkOptions, type LoadLink } from './link.ts';

/** The most datagrams that dgram has and has not sent yet, over all sockets. */
const PACKETS_MAX = 1_024;
/** Room for acks while the generator signs; the kernel cuts it to its own limit. */
const RECEIVE_BUFFER_BYTES = 1 << 20;
const NO_SOURCE = new Uint32Array(SOURCE_WORDS);

interface OutgoingPacket {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly sent: (error: Error | null) => void;
}

export class DgramLink extends EventLoopLink implements LoadLink {
  readonly name = 'dgram';
  readonly #claims: DataView;
  readonly #sockets: Socket[] = [];
  readonly #free: OutgoingPacket[] = [];

  private constructor(claims: DataView, { perDatagram }: LinkOptions) {
    super();
    this.#claims = claims;
    while (this.#free.length < PACKETS_MAX) this.#free.push(this.#newPacket(perDatagram));
  }

  /** @param claims the arena in which claims lie */
  static async open(claims: DataView, options: LinkOptions): Promise<DgramLink> {
    const link = new DgramLink(claims, options);
    const { host, port, sockets, sink } = options;
    while (link.#sockets.length < sockets) {
      const type = isIPv6(host) ? 'udp6' : 'udp4';
      const socket = createSocket({ type, recvBufferSize: RECEIVE_BUFFER_BYTES });
      socket.connect(port, host);
      await once(socket, 'connect');
      socket.on('error', (error) => link.failed(error));
      socket.on('message', (message) => {
        const view = new DataView(message.buffer, message.byteOffset, message.length);
        sink.payload(message, view, 0, message.length, NO_SOURCE);
      });
      link.#sockets.push(socket);
    }
    return link;
  }

  local(socket: number): HostPort {
    const { address: host, port } = this.#sockets[socket]!.address();
    return { host, port };
  }

  send(socket: number, slots: Uint32Array, count: number): boolean {
    const packet = this.#free.pop();
    if (packet === undefined) return false;
    for (let index = 0; index < count; index++)
      copyClaim(this.#claims, slots[index]!, packet.view, index * CLAIM_BYTES);
    this.#sockets[socket]!.send(packet.bytes, 0, count * CLAIM_BYTES, packet.sent);
    return true;
  }

  flush(): void {}

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => new Promise<void>((done) => socket.close(() => done()))));
  }

  #newPacket(claims: number): OutgoingPacket {
    const bytes = new Uint8Array(claims * CLAIM_BYTES);
    const sent = (error: Error | null) => {
      if (error) this.failed(error);
      this.#free.push(packet);
    };
    const packet: OutgoingPacket = { bytes, view: new DataView(bytes.buffer), sent };
    return packet;
  }
}

/**
 * UDP over node:dgram: the portable transport. Runs in the thread that owns it, net thread or lane.
 *
 * dgram costs a system call, a Buffer and a string of an address per datagram.
 */
import dgram from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { HostPort } from '../host-port.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import { SourceCodec, sourceHead, sourcePort } from './source.ts';
import { emptyPacket, type Packet, TRANSPORT_UDP, type Transport, type TransportSink } from './transport.ts';

/** 1,024 packets of 45 acks: more than a ring of claims needs; 1.4 MiB when all are being sent. */
export const PACKETS_MAX = 1_024;
/** A longer queue in the kernel only adds latency: measured, 8 k claims are best, and 32 k add 50 ms. */
export const RECEIVE_BUFFER_BYTES = 1 << 20;

interface DgramPacket extends Packet {
  readonly sent: () => void;
}

export class UdpTransport implements Transport {
  readonly address: HostPort;
  readonly receiveBufferBytes: number;
  readonly #socket: dgram.Socket;
  readonly #addresses = new SourceCodec();
  readonly #free: DgramPacket[] = [];
  readonly #onSendError: () => void;
  /** A udp6 socket reaches IPv4 peers only by their mapped addresses. */
  readonly #v4Prefix: string;
  #made = 0;

  private constructor(socket: dgram.Socket, options: HostPort, onSendError: () => void) {
    this.#socket = socket;
    this.#onSendError = onSendError;
    this.#v4Prefix = options.host.includes(':') ? '::ffff:' : '';
    const { address: host, port } = socket.address();
    this.address = { host, port };
    this.receiveBufferBytes = socket.getRecvBufferSize();
  }

  /** Binds. Rejects with the system's error (EADDRINUSE, EACCES, …). `onSendError` is called once per lost packet. */
  static async open(options: HostPort, onSendError: () => void): Promise<UdpTransport> {
    const family = options.host.includes(':') ? 6 : 4;
    const { address } = await lookup(options.host, { family });
    const socket = dgram.createSocket({
      type: family === 6 ? 'udp6' : 'udp4',
      // Every address is a literal, which dgram's own lookup would still delay to the next tick.
      lookup: (hostname, _options, callback) => callback(null, hostname, family),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port: options.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    // An ICMP error for an earlier ack must not end the process; failed sends are reported to their callbacks.
    socket.on('error', () => {});
    return new UdpTransport(socket, options, onSendError);
  }

  /** dgram reads as soon as a socket is bound, so what came before this call is lost. */
  startReceiving(sink: TransportSink, onActivity: () => void): void {
    const source = new Uint32Array(SOURCE_WORDS);
    this.#socket.on('message', (message, remote) => {
      source[0] = sourceHead(TRANSPORT_UDP, remote.port);
      this.#addresses.parse(remote.address, source);
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      onActivity();
      sink.payload(message, view, 0, message.length, source);
    });
  }

  acquire(): Packet | undefined {
    const packet = this.#free.pop();
    if (packet !== undefined || this.#made === PACKETS_MAX) return packet;
    this.#made++;
    return this.#newPacket();
  }

  send(packet: Packet, words: Uint32Array, at: number): void {
    const port = sourcePort(words[at]!);
    const { sent } = packet as DgramPacket;
    if (port === 0) {
      // Nobody listens on port 0: the source was forged.
      sent();
      this.#onSendError();
      return;
    }
    const address = this.#addresses.format(words, at, this.#v4Prefix);
    this.#socket.send(packet.bytes, 0, packet.length, port, address, sent);
  }

  /** dgram sends by itself. */
  flush(): void {}

  stopReceiving(): void {
    this.#socket.removeAllListeners('message');
  }

  async close(): Promise<void> {
    while (this.#socket.getSendQueueCount() > 0) await new Promise(setImmediate);
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #newPacket(): DgramPacket {
    const sent = (error?: Error | null): void => {
      if (error) this.#onSendError();
      packet.length = 0;
      this.#free.push(packet);
    };
    const packet: DgramPacket = { ...emptyPacket(), sent };
    return packet;
  }
}

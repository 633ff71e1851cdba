/**
 * Claims over TCP or TLS, framed as `u32 length ‖ claims`: one payload for what would be a datagram. Acks are framed alike.
 *
 * Generator thread. What a turn sends on a connection is gathered in one buffer, which is written at the end of the turn.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { copyClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES, STREAM_HEADER_BYTES } from '../../../protocol/layout.ts';
import { encodeStreamHeader, STREAM_SOUND, StreamParser } from '../../../protocol/stream.ts';
import type { HostPort } from '../../host-port.ts';
import { SOURCE_WORDS } from '../../ring/slot.ts';
import { EventLoopLink, type LinkOptions, type LoadLink } from './link.ts';

/** A connection with more unsent bytes than this counts as full. */
const UNSENT_BYTES_MAX = 256 << 10;
/** The most bytes that are gathered for one connection in a turn. */
const GATHERED_BYTES_MAX = 64 << 10;
const CONNECT_MS_MAX = 10_000;
const NO_SOURCE = new Uint32Array(SOURCE_WORDS);

interface Connection {
  readonly socket: Socket;
  bytes: Uint8Array;
  view: DataView;
  length: number;
  isOpen: boolean;
}

export class TcpLink extends EventLoopLink implements LoadLink {
  readonly name: 'tcp' | 'tls';
  readonly #claims: DataView;
  readonly #connections: Connection[] = [];

  private constructor(name: 'tcp' | 'tls', claims: DataView) {
    super();
    this.name = name;
    this.#claims = claims;
  }

  /** Rejects with the system's error where nobody listens, or where the node's certificate is not trusted. */
  static async open(
    name: 'tcp' | 'tls',
    claims: DataView,
    { host, port, sockets, sink }: LinkOptions,
  ): Promise<TcpLink> {
    const link = new TcpLink(name, claims);
    while (link.#connections.length < sockets) {
      const options = { host, port, noDelay: true, keepAlive: true };
      const [socket, upEvent] = name === 'tcp' ? [connect(options), 'connect'] : [connectTls(options), 'secureConnect'];
      await once(socket, upEvent, { signal: AbortSignal.timeout(CONNECT_MS_MAX) });
      const parser = new StreamParser();
      let view: DataView = new DataView(new ArrayBuffer(0));
      const payloads = {
        payload(bytes: Uint8Array, start: number, end: number): void {
          if (view.buffer !== bytes.buffer || view.byteOffset !== bytes.byteOffset)
            view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
          sink.payload(bytes, view, start, end - start, NO_SOURCE);
        },
      };
      const connection = { socket, ...emptyBuffer(), isOpen: true };
      socket.on('data', (chunk: Buffer) => {
        if (parser.push(chunk, payloads) !== STREAM_SOUND) socket.destroy(new Error('unsound framing'));
      });
      socket.on('error', (error) => link.failed(error));
      socket.on('close', () => {
        if (connection.isOpen) link.failed(new Error('connection closed by the node'));
        connection.isOpen = false;
      });
      link.#connections.push(connection);
    }
    return link;
  }

  local(socket: number): HostPort {
    const { localAddress, localPort } = this.#connections[socket]!.socket;
    return { host: localAddress!, port: localPort! };
  }

  /** Claims for a closed connection are lost, and so remain unanswered. */
  send(socket: number, slots: Uint32Array, count: number): boolean {
    const connection = this.#connections[socket]!;
    if (!connection.isOpen) return true;
    const payloadBytes = count * CLAIM_BYTES;
    if (connection.length + STREAM_HEADER_BYTES + payloadBytes > GATHERED_BYTES_MAX) return false;
    if (connection.socket.writableLength > UNSENT_BYTES_MAX) return false;
    encodeStreamHeader(connection.view, connection.length, payloadBytes);
    connection.length += STREAM_HEADER_BYTES;
    for (let index = 0; index < count; index++, connection.length += CLAIM_BYTES)
      copyClaim(this.#claims, slots[index]!, connection.view, connection.length);
    return true;
  }

  flush(): void {
    for (const connection of this.#connections) {
      if (connection.length === 0) continue;
      if (connection.isOpen) connection.socket.write(connection.bytes.subarray(0, connection.length));
      // The written buffer belongs to node:net until it is sent.
      Object.assign(connection, emptyBuffer());
    }
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) {
      connection.isOpen = false;
      connection.socket.destroy();
    }
  }
}

function emptyBuffer(): { bytes: Uint8Array; view: DataView; length: number } {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(GATHERED_BYTES_MAX).buffer);
  return { bytes, view: new DataView(bytes.buffer), length: 0 };
}

/**
 * A TCP wire, with or without TLS, and a relay that cuts connections at any byte of either direction. Test's thread.
 */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { parseHostPort } from '../../src/host-port.ts';
import type { Random } from './random.ts';
import { AckInbox, type StreamWire } from './wire-client.ts';
import type { FaultyPath } from './wire-udp.ts';

const HEADER = 4;
const PAYLOAD_MAX = 65_536;
const CONTROL = 0x80;
const REPLY_MS_MAX = 15_000;

const pem = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');
/** Self-signed for localhost and 127.0.0.1, made for these tests; the key is as public as the certificate. */
export const TLS_PAIR = { cert: pem('wire-tls-cert.pem'), key: pem('wire-tls-key.pem') };

/** Takes the length-prefixed payloads of a stream apart, as slowly and plainly as can be. */
class Deframer {
  #rest = Buffer.alloc(0);
  /** Takes a control message, without its first byte. */
  onControl: (message: Uint8Array) => void = () => {};

  push(chunk: Buffer, inbox: AckInbox): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER) {
      const length = this.#rest.readUInt32BE(0);
      if (length < 1 || length > PAYLOAD_MAX) {
        inbox.fault(`a payload length of ${length}`);
        this.#rest = Buffer.alloc(0);
        return;
      }
      if (this.#rest.length < HEADER + length) return;
      const payload = new Uint8Array(this.#rest.subarray(HEADER, HEADER + length));
      if (payload[0] === CONTROL) this.onControl(payload.subarray(1));
      else inbox.payload(payload);
      this.#rest = this.#rest.subarray(HEADER + length);
    }
  }
}

async function streamWire(socket: net.Socket, ready: string): Promise<StreamWire> {
  const inbox = new AckInbox();
  const deframer = new Deframer();
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // Being cut is what the tests are about: 'close' follows.
  socket.on('error', () => {});
  await Promise.race([new Promise<void>((resolve) => socket.once(ready, () => resolve())), closed]);
  socket.setNoDelay(true);
  socket.on('data', (chunk) => deframer.push(chunk, inbox));
  const write = (bytes: Uint8Array): Promise<void> =>
    Promise.race([closed, new Promise<void>((resolve) => socket.write(bytes, () => resolve()))]);
  return {
    inbox,
    closed,
    get isOpen() {
      return socket.writable && !socket.destroyed;
    },
    write,
    send: (payload) => write(framed(payload)),
    control: (message) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('expected a control reply, got none')), REPLY_MS_MAX);
        deframer.onControl = (reply) => {
          clearTimeout(timer);
          resolve(reply);
        };
        void write(framed(Buffer.concat([Uint8Array.of(CONTROL), message])));
      }),
    close: () => socket.destroy(),
  };
}

/** A payload with its length before it. */
export function framed(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length);
  bytes.set(payload, HEADER);
  return bytes;
}

export const openTcpWire = (address: string): Promise<StreamWire> =>
  streamWire(net.connect(parseHostPort(address)!), 'connect');

export const openTlsWire = (address: string): Promise<StreamWire> =>
  streamWire(tls.connect({ ...parseHostPort(address)!, ca: TLS_PAIR.cert }), 'secureConnect');

/** Bytes of a connection, both ways together, before it is cut: some within a handshake, most after many frames. */
const CUT_AFTER_BYTES_MAX = 150_000;

/** A way to `address` on which every connection ends at a random byte, by a close or a reset of either side. */
export async function cuttingRelay(
  address: string,
  from: Random,
  cutAfterBytesMax: number = CUT_AFTER_BYTES_MAX,
): Promise<FaultyPath> {
  const faults = { cut: 0, reset: 0, halves: 0 };
  const sockets = new Set<net.Socket>();
  const server = net.createServer((payer) => {
    const node = net.connect(parseHostPort(address)!);
    let left = 1 + from.below(cutAfterBytesMax);
    for (const [socket, other] of [
      [payer, node],
      [node, payer],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on('data', (chunk) => {
        if (left === 0) return;
        const part = chunk.subarray(0, left);
        left -= part.length;
        // In two writes, so that frames are cut between reads too.
        const half = from.below(part.length + 1);
        if (half > 0 && half < part.length) faults.halves++;
        if (half > 0) other.write(part.subarray(0, half));
        if (half < part.length) other.write(part.subarray(half));
        if (left === 0) end(payer, node);
      });
    }
  });
  const end = (payer: net.Socket, node: net.Socket): void => {
    const isReset = from.below(2) === 0;
    faults[isReset ? 'reset' : 'cut']++;
    for (const socket of [payer, node]) {
      if (isReset) socket.resetAndDestroy();
      else socket.destroySoon();
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    faults,
    witness: undefined,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

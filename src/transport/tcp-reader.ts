/**
 * Reads the bytes of an accepted connection into memory that all connections of a listener share.
 *
 * By default Node allocates 64 KiB for every read, and reads once more after a pause, which under a flood uses much memory.
 * With `onread` a socket reads into given memory, and pauses at once. Only the constructor of Socket has that option, and
 * net.Server does not pass it on, so the handle of an accepted socket is moved to a new one. Where that is impossible, and
 * with TLS, whose bytes come from the decryption, a connection is read by 'data': the same result at a higher cost.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/**
 * Bytes of one read, about 170 claims. A connection that waits for its turn keeps as much, so this limits the memory of a
 * flood from a thousand connections. Larger reads are not measurably faster.
 */
export const READ_BYTES = 16 << 10;

/** Receives bytes that are valid during the call. Returns whether to read on; if not, reading needs the stream's `resume`. */
export type TakeBytes = (bytes: Uint8Array) => boolean;

interface Accepted {
  _handle?: object | null;
}

/**
 * The stream to use instead of `socket`, which was accepted with `pauseOnConnect`. It reads nothing before its `resume`.
 * @param shared READ_BYTES for the connections of one thread
 */
export function readInto(socket: Socket, shared: Uint8Array, take: TakeBytes): Socket {
  const { _handle: handle } = socket as Accepted;
  if (handle === undefined || handle === null) return readByData(socket, take);
  const onread: OnReadOpts = { buffer: shared, callback: (count) => take(shared.subarray(0, count)) };
  const stream = new Socket({ handle, onread, readable: true, writable: true } as SocketConstructorOpts);
  // The accepted socket stays, without its handle, since its server counts it until the connection is closed.
  (socket as Accepted)._handle = null;
  stream.once('close', () => socket.destroy());
  return stream;
}

/** Calls `take` with what `stream` reads, once it is resumed. */
export function readByData(stream: Socket, take: TakeBytes): Socket {
  stream.pause();
  stream.on('data', (chunk: Uint8Array) => {
    if (!take(chunk)) stream.pause();
  });
  return stream;
}

/**
 * How the bytes of an accepted connection are read: into one piece of memory all connections of a listener share.
 *
 * By itself Node makes a 64 KiB buffer for every read, and reads once more after a connection is paused; under a flood
 * that is what a thread's memory goes to. With `onread` a socket reads into memory given to it, no more than fits there
 * at a time, and stops at once when told so. Only its constructor takes that option, and net.Server does not pass it on:
 * so the handle of an accepted socket is given to a socket made with it. Where that can't be, a connection is read by
 * 'data', with the same result at a higher price. TLS is: its bytes are made by the decryption.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';

/**
 * Bytes of one read, about 170 claims. A connection whose turn is not yet keeps as much, so this bounds what a flood from
 * a thousand connections may hold; larger reads are not measurably faster.
 */
export const READ_BYTES = 16 << 10;

/** Takes bytes, which are valid during the call only. Returns whether to read on; else `resume` of the stream does. */
export type TakeBytes = (bytes: Uint8Array) => boolean;

interface Accepted {
  _handle?: object | null;
}

/**
 * The stream to use in place of `socket`, which was accepted with `pauseOnConnect`. It reads nothing before its `resume`.
 * @param shared READ_BYTES for the connections of one thread
 */
export function readInto(socket: Socket, shared: Uint8Array, take: TakeBytes): Socket {
  const { _handle: handle } = socket as Accepted;
  if (handle === undefined || handle === null) return readByData(socket, take);
  const onread: OnReadOpts = { buffer: shared, callback: (count) => take(shared.subarray(0, count)) };
  const stream = new Socket({ handle, onread, readable: true, writable: true } as SocketConstructorOpts);
  // What is left of the accepted socket stands for the connection in its server's count, until this one is closed.
  (socket as Accepted)._handle = null;
  stream.once('close', () => socket.destroy());
  return stream;
}

/** Has `take` called with what `stream` reads, once it is resumed. */
export function readByData(stream: Socket, take: TakeBytes): Socket {
  stream.pause();
  stream.on('data', (chunk: Uint8Array) => {
    if (!take(chunk)) stream.pause();
  });
  return stream;
}

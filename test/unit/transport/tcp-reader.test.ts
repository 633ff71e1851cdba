/** Accepted connections read into shared memory, on this version of Node.js: otherwise a flood takes 64 KiB for each read. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { READ_BYTES, readByData, readInto } from '../../../src/transport/tcp-reader.ts';

/** What `read` gives for an accepted connection whose peer sends `text` and then waits for the end. */
async function received(
  text: string,
  read: (socket: Socket, take: (bytes: Uint8Array) => boolean) => Socket,
): Promise<{ stream: Socket; accepted: Socket; bytes: Uint8Array; text: string }> {
  const server = net.createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    const [accepted] = (await once(server, 'connection')) as [Socket];
    return await new Promise((resolve) => {
      const stream = read(accepted, (bytes) => {
        resolve({ stream, accepted, bytes, text: Buffer.from(bytes).toString() });
        stream.destroy();
        return true;
      });
      peer.write(text);
      stream.resume();
    });
  } finally {
    peer.destroy();
    server.close();
  }
}

test('a connection reads into the memory that it is given, by a stream of its own', async () => {
  const shared = new Uint8Array(READ_BYTES);
  const { stream, accepted, bytes, text } = await received('claims', (socket, take) => readInto(socket, shared, take));
  expect(text).toBe('claims');
  expect(stream).not.toBe(accepted);
  expect(bytes.buffer).toBe(shared.buffer);
});

test('the accepted socket, which its server counts, is closed with the stream', async () => {
  const shared = new Uint8Array(READ_BYTES);
  const { accepted } = await received('claims', (socket, take) => readInto(socket, shared, take));
  if (!accepted.closed) await once(accepted, 'close');
});

test('without a handle, and for TLS, the same bytes come by data', async () => {
  const { stream, accepted, text } = await received('claims', readByData);
  expect(text).toBe('claims');
  expect(stream).toBe(accepted);
});

/** A payer's batched UDP sockets, on loopback: what leaves in trains arrives as it was sent. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { MERKLE_BLOCK, MERKLE_FRAME_BYTES_MAX } from '../../../protocol/layout.ts';
import { openBatchedSocket } from '../../../src/client/links/batched-socket.ts';
import type { DatagramSocket } from '../../../src/client/links/datagram-socket.ts';
import { nativeUdpFault } from '../../../src/transport/udp-native.ts';

async function peer(): Promise<{
  port: number;
  received: Buffer[];
  ports: Set<number>;
  answer: (bytes: Uint8Array) => void;
}> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  onTestFinished(() => void socket.close());
  const received: Buffer[] = [];
  const ports = new Set<number>();
  socket.on('message', (bytes, source) => {
    received.push(bytes);
    ports.add(source.port);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const answer = (bytes: Uint8Array) => {
    for (const port of ports) socket.send(bytes, port, '127.0.0.1');
  };
  return { port: socket.address().port, received, ports, answer };
}

async function open(port: number): Promise<DatagramSocket> {
  const socket = (await openBatchedSocket(`udp://127.0.0.1:${port}`))!;
  onTestFinished(() => socket.close());
  return socket;
}

/** A frame of a block, in its first bytes, and filled with a number. */
function frame(block: number, size = MERKLE_FRAME_BYTES_MAX): Uint8Array {
  const bytes = new Uint8Array(size).fill(block & 0xff);
  bytes[0] = 3;
  bytes[MERKLE_BLOCK] = block >>> 8;
  bytes[MERKLE_BLOCK + 1] = block;
  return bytes;
}

describe.skipIf(nativeUdpFault() !== undefined)('batched sockets', () => {
  it('send each datagram as it is, whatever its size, and frames of a block by the same socket', async () => {
    const { port, received, ports } = await peer();
    const socket = await open(port);
    socket.listen(
      () => {},
      (error) => expect.unreachable(error.message),
      () => {},
    );
    let free = 0;
    const sizes = [93, 93, 200, 50, 1_395, 93];
    const sent = [
      ...sizes.map((size) => new Uint8Array(size).fill(1)),
      ...Array.from({ length: 100 }, (_, at) => frame(at)),
    ];
    sent.push(frame(200, 900));
    const room = new Uint8Array(2_000);
    for (const bytes of sent) {
      room.set(bytes, 7);
      socket.send(room, 7, bytes.length, () => (free += 1));
    }
    expect(free).toBe(sent.length);
    await vi.waitFor(() => expect(received).toHaveLength(sent.length));
    const text = (all: readonly Uint8Array[]) => all.map((bytes) => Buffer.from(bytes).toString('hex')).sort();
    expect(text(received)).toEqual(text(sent));
    expect(ports.size).toBe(4);
  });

  it('hand over what comes, until they are closed', async () => {
    const { port, ports, answer } = await peer();
    const socket = await open(port);
    const heard: string[] = [];
    socket.listen(
      (bytes, start = 0, end = bytes.length) =>
        void heard.push(Buffer.from(bytes.subarray(start, end)).toString('latin1')),
      () => {},
      () => {},
    );
    socket.send(Buffer.from('hello'), 0, 5, () => {});
    await vi.waitFor(() => expect(ports.size).toBe(1));
    answer(Buffer.from('one'));
    answer(Buffer.from('two'));
    await vi.waitFor(() => expect(heard).toEqual(['one', 'two']));
    await socket.close();
  });

  it('say that nothing listens at the peer', async () => {
    const gone = createSocket('udp4');
    gone.bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    gone.close();
    await once(gone, 'close');
    const socket = await open(port);
    const errors: Error[] = [];
    socket.listen(
      () => {},
      (error) => void errors.push(error),
      () => {},
    );
    await vi.waitFor(() => {
      socket.send(new Uint8Array(93), 0, 93, () => {});
      expect(errors[0]).toMatchObject({ code: 'ECONNREFUSED' });
    });
  });

  it('need an address that can be found', async () => {
    await expect(openBatchedSocket('udp://no-such-host.invalid:1')).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
  });
});

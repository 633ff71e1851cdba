/**
 * Native UDP and the thread that owns it: a socket keeps it alive and dies with it, however it ends, and an exception in
 * a sink ends it as any uncaught one does.
 */

import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { HostPort } from '../../../src/host-port.ts';
import { NativeUdp } from '../../../src/transport/udp-native.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { describeNative } from '../../support/native-only.ts';

/** A worker of Node 20 runs no TypeScript. */
const TRANSPORT = pathToFileURL(resolve(import.meta.dirname, '../../../dist/src/transport/udp-batch.js')).href;
const HOST = '127.0.0.1';
const ROUNDS = brieflyOrAtLength(4, 10);

describeNative('native UDP and its thread', () => {
  /** A worker with an open transport; `payload` and `after` are statements. Posts its address. */
  function worker(payload: string, after = ''): Worker {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      (async () => {
        const { BatchUdpTransport } = await import(workerData);
        const transport = await BatchUdpTransport.open({ host: '127.0.0.1', port: 0 }, () => {});
        transport.startReceiving({ payload(bytes, view, offset, length, source) { ${payload} } }, () => {});
        ${after}
        parentPort.postMessage(transport.address);
      })();`;
    return new Worker(source, { eval: true, workerData: TRANSPORT });
  }

  test(`terminated ${ROUNDS * 5} times with an open socket, in the middle of receiving and sending`, async () => {
    const answer = `const packet = transport.acquire(); packet.length = 32; transport.send(packet, source, 0);
      transport.flush();`;
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        Array.from({ length: 5 }, async (_, index) => {
          const thread = worker(answer, index === 4 ? 'setInterval(() => {}, 60_000); transport.close();' : '');
          const [address] = await once(thread, 'message');
          const { port } = address as HostPort;
          const sender = await NativeUdp.connect({ host: HOST, port }, 93_000);
          const ended = once(thread, 'exit');
          for (let count = 0; count < 20; count++) sender.sendSegments(0, 93_000, 93);
          if (index % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
          await thread.terminate();
          expect(await ended).toEqual([1]);
          sender.close();
        }),
      );
    }
  }, 60_000);

  test('an exception in a sink ends the thread as any uncaught one', async () => {
    const thread = worker(`throw new Error('sink fails');`);
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    const failed = new Promise((resolve) => thread.once('error', resolve));
    const [address] = await once(thread, 'message');
    const sender = await NativeUdp.connect({ host: HOST, port: (address as HostPort).port }, 64);
    sender.sendSegments(0, 1, 1);
    expect(await failed).toMatchObject({ message: 'sink fails' });
    expect(await ended).toBe(1);
    sender.close();
  });

  test('a socket keeps its thread alive, and its end lets it go', async () => {
    const thread = worker(`transport.close();`);
    const ended = once(thread, 'exit');
    const [address] = await once(thread, 'message');
    const sender = await NativeUdp.connect({ host: HOST, port: (address as HostPort).port }, 64);
    sender.sendSegments(0, 1, 1);
    expect(await ended).toEqual([0]);
    sender.close();
  });
});

/**
 * A UDP socket that counts what it receives and answers nothing: it shows how fast the load generator is without a node.
 *
 * `startSink` is the bench's side; started as a program, this file is the process that counts. The kernel does not join
 * datagrams here, so that what it drops is counted in datagrams too.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { hostPortText } from '../../src/host-port.ts';
import { MESSAGES_MAX, NativeUdp } from '../../src/transport/udp-native.ts';
import { endsWithBench, within } from '../node-under-test.ts';

const program = fileURLToPath(import.meta.url);
const ANSWER_MS_MAX = 10_000;
const RECEIVE_BUFFER_BYTES = 4 * 2 ** 20;

export interface SinkCounts {
  received: number;
  /** Datagrams the receive buffer had no room for. */
  dropped: number;
  /** How many of those received were not a single claim. */
  strange: number;
}

export interface Sink {
  address: string;
  counts: () => Promise<SinkCounts>;
  stop: () => void;
}

export async function startSink(): Promise<Sink> {
  const child = endsWithBench(fork(program));
  const answer = <Answer>() => {
    const message = new Promise<Answer>((resolve, reject) => {
      child.once('message', (message) => resolve(message as Answer));
      child.once('exit', () => reject(new Error('the sink ended by itself')));
    });
    return within(message, ANSWER_MS_MAX, 'an answer of the sink');
  };
  return {
    address: await answer<string>(),
    counts: () => {
      const counts = answer<SinkCounts>();
      child.send('counts');
      return counts;
    },
    stop: () => {
      child.kill('SIGKILL');
    },
  };
}

async function serve(): Promise<void> {
  const counts: SinkCounts = { received: 0, dropped: 0, strange: 0 };
  const udp = await NativeUdp.open({
    local: { host: '127.0.0.1', port: 0 },
    gro: false,
    receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    sendingBytes: 1,
    packetsMax: 1,
  });
  udp.poll(() => {
    const messages = udp.receive(MESSAGES_MAX);
    for (let index = 0; index < messages; index++) if (udp.bytesOf(index) !== CLAIM_BYTES) counts.strange++;
    counts.received += Math.max(0, messages);
  });
  process.on('message', () => process.send!({ ...counts, dropped: udp.drops }));
  process.on('disconnect', () => process.exit());
  process.send!(hostPortText(udp.address));
}

if (process.argv[1] === program) await serve();

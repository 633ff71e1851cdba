/**
 * One claim at a time over UDP, TCP and TLS: from the write to the durable ack, by the same event loop and bare sockets.
 *
 * Main thread of the bench. Claims are signed before the clock runs; transports that reach one node take turns on one
 * channel. The node's own counters confirm that each claim was verified and committed by itself.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  ACK_AMOUNT,
  ACK_BYTES,
  ACK_STATUS,
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  FRAME_ACK,
  STATUS,
  STREAM_HEADER_BYTES,
} from '../../protocol/layout.ts';
import { encodeStreamHeader, STREAM_SOUND, StreamParser } from '../../protocol/stream.ts';
import { assert } from '../../src/errors.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { openLoadChannels } from '../../src/load/node-side.ts';
import { type NodeUnderTest, within } from '../node-under-test.ts';
import { difference } from '../path/load.ts';
import { signAhead } from '../pool/signed-ahead.ts';

export type OneTransport = 'udp' | 'tcp' | 'tls';

const SEED = 7;
const ROUNDS = 4;
/** Claims of each transport before the clock runs. */
const WARM_CLAIMS = 100;
const ANSWER_MS_MAX = 10_000;

interface Wire {
  /** The 93 bytes of a claim in the transport's framing. */
  send(claim: Uint8Array): void;
  close(): void;
}
type OnAnswer = (bytes: Uint8Array, start: number, end: number) => void;

export class OneAtATime {
  readonly microseconds: number[] = [];
  #wire: Wire | undefined;
  #answered: (amount: bigint) => void = () => {};

  static async open(transport: OneTransport, { host, port }: NodeUnderTest['udp']): Promise<OneAtATime> {
    const client = new OneAtATime();
    const onAnswer: OnAnswer = (bytes, start, end) => client.#answer(bytes, start, end);
    const open = transport === 'udp' ? openUdp(host, port, onAnswer) : openStream(transport, host, port, onAnswer);
    client.#wire = await within(open, ANSWER_MS_MAX, `a ${transport} socket`);
    return client;
  }

  /** Sends the claims from `first` up to `end`, each after the ack of the one before. */
  async send(claims: Uint8Array, first: number, end: number, isMeasured: boolean): Promise<void> {
    const view = new DataView(claims.buffer);
    for (let claim = first; claim < end; claim++) {
      const from = claim * CLAIM_BYTES;
      const answer = new Promise<bigint>((resolve) => {
        this.#answered = resolve;
      });
      const begin = performance.now();
      this.#wire!.send(claims.subarray(from, from + CLAIM_BYTES));
      const amount = await answer;
      if (isMeasured) this.microseconds.push((performance.now() - begin) * 1_000);
      assert(amount === view.getBigUint64(from + CLAIM_AMOUNT), 'the ack is of the claim just sent');
    }
  }

  get p50Us(): number {
    return this.microseconds.toSorted((left, right) => left - right)[(this.microseconds.length - 1) >> 1]!;
  }

  close(): void {
    this.#wire?.close();
  }

  #answer(bytes: Uint8Array, start: number, end: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
    assert(view.byteLength === ACK_BYTES && view.getUint8(0) === FRAME_ACK, 'an ack comes back');
    assert(view.getUint8(ACK_STATUS) === STATUS.COMMITTED, 'the claim is committed');
    this.#answered(view.getBigUint64(ACK_AMOUNT));
  }
}

async function openUdp(host: string, port: number, onAnswer: OnAnswer): Promise<Wire> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes) => onAnswer(bytes, 0, bytes.length));
  socket.connect(port, host);
  await once(socket, 'connect');
  return { send: (claim) => socket.send(claim), close: () => void socket.close() };
}

async function openStream(transport: 'tcp' | 'tls', host: string, port: number, onAnswer: OnAnswer): Promise<Wire> {
  // The certificate is the one of the tests, so it is not checked.
  const socket: Socket =
    transport === 'tcp' ? connectTcp({ host, port }) : connectTls({ host, port, rejectUnauthorized: false });
  await once(socket, transport === 'tcp' ? 'connect' : 'secureConnect');
  socket.setNoDelay(true);
  const parser = new StreamParser();
  socket.on('data', (chunk: Buffer) => {
    if (parser.push(chunk, { payload: onAnswer }) !== STREAM_SOUND) socket.destroy(new Error('unsound framing'));
  });
  const message = new Uint8Array(STREAM_HEADER_BYTES + CLAIM_BYTES);
  encodeStreamHeader(new DataView(message.buffer), 0, CLAIM_BYTES);
  return {
    send: (claim) => {
      message.set(claim, STREAM_HEADER_BYTES);
      socket.write(message);
    },
    close: () => void socket.destroy(),
  };
}

/** Median microseconds of each transport, in turns. Throws where a claim was not verified by itself. */
export async function measureOne(
  node: NodeUnderTest,
  transports: readonly OneTransport[],
  perRound: number,
): Promise<number[]> {
  const count = transports.length * (WARM_CLAIMS + ROUNDS * perRound);
  const channels = LoadChannels.derive(SEED, 1, 1);
  const claims = signAhead(SEED, channels, count);
  await openLoadChannels(node.admin, channels, () => {});
  const before = await node.stats();
  const clients: OneAtATime[] = [];
  let next = 0;
  const turn = (client: OneAtATime, length: number, isMeasured: boolean) => {
    const first = next;
    next += length;
    return within(client.send(claims, first, next, isMeasured), ANSWER_MS_MAX, `${length} claims one at a time`);
  };
  try {
    for (const transport of transports) clients.push(await OneAtATime.open(transport, node.udp));
    for (const client of clients) await turn(client, WARM_CLAIMS, false);
    for (let round = 0; round < ROUNDS; round++) for (const client of clients) await turn(client, perRound, true);
  } finally {
    for (const client of clients) client.close();
  }
  const { verified, committed } = difference(before, await node.stats());
  assert(verified === count && committed === count, `each of ${count} claims was verified, got ${verified}`);
  return clients.map(({ p50Us }) => p50Us);
}

/**
 * The delay from sending a datagram to the last durable ack of its claims, by its payload: Q = 93 bytes a claim. One datagram
 * at a time, in an order that changes. Main thread, which blocks: nothing else there may wait for an event.
 */
import {
  ACK_BYTES,
  ACK_STATUS,
  CLAIM_BYTES,
  CLAIMS_PER_DATAGRAM_MAX,
  FRAME_ACK,
  STATUS,
} from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { openLoadChannels } from '../../src/load/node-side.ts';
import { Random } from '../../src/load/random.ts';
import { NativeUdp, READABLE } from '../../src/transport/udp-native.ts';
import type { NodeUnderTest } from '../node-under-test.ts';
import { signAhead } from '../pool/signed-ahead.ts';

const SEED = 21;
const WAIT_US = 1_000_000;
const WAITS_MAX = 5;
/** Datagrams of each size before the clock counts. */
const WARM = 5;
export const SIZES = [1, 2, 3, 5, 7, 9, 11, 13, CLAIMS_PER_DATAGRAM_MAX];

class Client {
  readonly #udp: NativeUdp;
  #acks = 0;

  constructor(udp: NativeUdp) {
    this.#udp = udp;
  }

  payload(_bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    for (let at = offset; at < offset + length; at += ACK_BYTES) {
      assert(
        view.getUint8(at) === FRAME_ACK && view.getUint8(at + ACK_STATUS) === STATUS.COMMITTED,
        'each is committed',
      );
      this.#acks++;
    }
  }

  /** Milliseconds until `count` claims in one datagram are acknowledged. */
  send(claims: Uint8Array, first: number, count: number): number {
    this.#udp.sending.set(claims.subarray(first * CLAIM_BYTES, (first + count) * CLAIM_BYTES));
    this.#acks = 0;
    const begin = performance.now();
    const bytes = count * CLAIM_BYTES;
    assert(this.#udp.sendSegments(0, bytes, bytes) === 1, 'an empty socket takes a datagram');
    for (let waits = 0; this.#acks < count; waits++) {
      assert(waits < WAITS_MAX * count, `a datagram of ${count} claims is answered`);
      if ((this.#udp.wait(WAIT_US, false) & READABLE) !== 0) this.#udp.receiveInto(this);
    }
    return performance.now() - begin;
  }
}

/** Microseconds of each datagram, by its number of claims. */
export async function measureDelay(
  node: NodeUnderTest,
  rounds: number,
  seconds: number,
): Promise<Map<number, number[]>> {
  const channels = LoadChannels.derive(SEED, CLAIMS_PER_DATAGRAM_MAX, CLAIMS_PER_DATAGRAM_MAX);
  const perRound = SIZES.reduce((sum, size) => sum + size, 0);
  const claims = signAhead(SEED, channels, perRound * (rounds + WARM));
  await openLoadChannels(node.admin, channels, () => {});
  const udp = await NativeUdp.connect(node.udp, CLAIM_BYTES * CLAIMS_PER_DATAGRAM_MAX);
  const client = new Client(udp);
  const random = new Random(SEED, 'order');
  const delays = new Map<number, number[]>(SIZES.map((size) => [size, []]));
  let first = 0;
  try {
    const end = performance.now() + seconds * 1_000;
    for (let round = -WARM; round < rounds; round++) {
      if (round > WARM && performance.now() > end) break;
      for (const size of SIZES.toSorted(() => random.next() - 0.5)) {
        const ms = client.send(claims, first, size);
        first += size;
        if (round >= 0) delays.get(size)!.push(ms * 1_000);
      }
    }
  } finally {
    udp.close();
  }
  return delays;
}

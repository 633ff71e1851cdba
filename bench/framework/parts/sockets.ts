/**
 * UDP on loopback in one thread: datagrams and acks a second of processor time, with each batching of the system on and off.
 * A process of its own.
 */
import {
  ACK_BYTES,
  ACKS_PER_DATAGRAM_MAX,
  CLAIM_BYTES,
  CLAIMS_PER_DATAGRAM_MAX,
  STATUS,
} from '../../../protocol/layout.ts';
import { assert } from '../../../src/errors.ts';
import { AckSender } from '../../../src/path/ack-sender.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { Counters } from '../../../src/ring/counters.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { SourceCodec, sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_UDP } from '../../../src/transport/transport.ts';
import { BatchUdpTransport } from '../../../src/transport/udp-batch.ts';
import { MESSAGES_MAX, NativeUdp } from '../../../src/transport/udp-native.ts';
import { inTurns, perCoreSecond } from '../measure.ts';
import type { PartArgs, PartResult } from '../part.ts';

const DATAGRAM_BYTES = CLAIM_BYTES * CLAIMS_PER_DATAGRAM_MAX;
/** Of one turn: the longest train of full datagrams that the system takes. */
const DATAGRAMS = 40;
const WAIT_US = 1_000_000;
const LOCAL = { host: '127.0.0.1', port: 0 };
const BUFFER_BYTES = 2 ** 20;

interface Way {
  gso: boolean;
  gro: boolean;
  messages: number;
}
const WAYS: Record<string, Way> = {
  'sockets.allPerSecond': { gso: true, gro: true, messages: MESSAGES_MAX },
  'sockets.noGroPerSecond': { gso: true, gro: false, messages: MESSAGES_MAX },
  'sockets.noGsoPerSecond': { gso: false, gro: true, messages: MESSAGES_MAX },
  'sockets.noGroGsoPerSecond': { gso: false, gro: false, messages: MESSAGES_MAX },
  'sockets.oneACallPerSecond': { gso: false, gro: false, messages: 1 },
};

/** Sends a turn's datagrams to the other socket and takes them all there; returns how many. */
class Pair {
  readonly #sender: NativeUdp;
  readonly #receiver: NativeUdp;
  readonly #way: Way;
  #bytes = 0;

  static async open(way: Way): Promise<Pair> {
    const options = { sendingBytes: 0, packetsMax: 1, receiveBufferBytes: BUFFER_BYTES, gro: way.gro };
    const receiver = await NativeUdp.open({ local: LOCAL, ...options });
    return new Pair(await NativeUdp.connect(receiver.address, DATAGRAMS * DATAGRAM_BYTES), receiver, way);
  }

  private constructor(sender: NativeUdp, receiver: NativeUdp, way: Way) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#way = way;
  }

  payload(_bytes: Uint8Array, _view: DataView, _offset: number, length: number): void {
    this.#bytes += length;
  }

  turn(): number {
    const { gso, messages } = this.#way;
    const all = DATAGRAMS * DATAGRAM_BYTES;
    this.#bytes = 0;
    if (gso) this.#sender.sendSegments(0, all, DATAGRAM_BYTES);
    else for (let at = 0; at < all; at += DATAGRAM_BYTES) this.#sender.sendSegments(at, DATAGRAM_BYTES, DATAGRAM_BYTES);
    while (this.#bytes < all) {
      const count = this.#receiver.receive(messages);
      for (let index = 0; index < count; index++) this.#receiver.handOver(index, this);
      if (count <= 0)
        assert(this.#receiver.wait(WAIT_US, false) !== 0, 'nothing is lost between two sockets of loopback');
    }
    return DATAGRAMS;
  }

  close(): void {
    this.#sender.close();
    this.#receiver.close();
  }
}

export async function measureSockets({ effort, seconds }: PartArgs): Promise<PartResult> {
  const pairs = await Promise.all(
    Object.entries(WAYS).map(async ([name, way]) => ({ name, pair: await Pair.open(way) })),
  );
  const values = await inTurns(
    pairs.map(({ name, pair }) => ({
      name,
      unit: 'datagrams/s',
      better: 'higher' as const,
      measure: () => perCoreSecond(seconds, () => pair.turn()),
    })),
    effort,
  );
  for (const { pair } of pairs) pair.close();
  return Object.fromEntries(values);
}

/** Acks to one payer: 45 share a datagram, or each has one of its own. Nobody reads them: the system drops what is too much. */
export async function measureAcks({ effort, seconds }: PartArgs): Promise<PartResult> {
  const target = await NativeUdp.open({ local: LOCAL, sendingBytes: 0, packetsMax: 1 });
  const transport = await BatchUdpTransport.open(LOCAL, () => {});
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 2, ackSlots: 2, threads: 1, channelsMax: 1 };
  const sender = new AckSender([transport], new Counters(Arena.create(shape), 0), nodeSystem.random);
  const to = new Uint32Array(SOURCE_WORDS);
  new SourceCodec().parse(target.address.host, to);
  to[0] = sourceHead(TRANSPORT_UDP, target.address.port);
  const claim = new DataView(new ArrayBuffer(CLAIM_BYTES));
  const turn = (perDatagram: number) => () => {
    for (let ack = 1; ack <= 4 * ACKS_PER_DATAGRAM_MAX; ack++) {
      sender.answer(STATUS.COMMITTED, claim, 0, 0, ack, to, 0);
      if (ack % perDatagram === 0) sender.flush();
    }
    return 4 * ACKS_PER_DATAGRAM_MAX;
  };
  const measured = (name: string, perDatagram: number) => ({
    name,
    unit: 'acks/s',
    better: 'higher' as const,
    measure: () => perCoreSecond(seconds, turn(perDatagram)),
  });
  const ways = [measured('acks.packedPerSecond', ACKS_PER_DATAGRAM_MAX), measured('acks.alonePerSecond', 1)];
  const values = await inTurns(ways, effort);
  await transport.close();
  target.close();
  assert(ACK_BYTES * ACKS_PER_DATAGRAM_MAX <= 1_472, 'a datagram of acks fits an Ethernet frame');
  return Object.fromEntries(values);
}

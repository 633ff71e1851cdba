/**
 * A payer's UDP sockets of the C addon (transport/udp-native.ts): what is sent in one turn of the event loop leaves in trains, and acks come in
 * trains. For payers whose datagrams are many and of one size, as frames of Merkle batches are. Payer's thread; Linux.
 */
import { getSystemErrorName } from 'node:util';
import { FRAME_MERKLE, MERKLE_BLOCK } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import { hostPortText, parseNodeAddress } from '../../host-port.ts';
import { NativeUdp, nativeUdpFault } from '../../transport/udp-native.ts';
import type { DatagramSocket } from './datagram-socket.ts';

/** As many datagrams as the system cuts one message into, and the largest ones. */
const TRAIN_MAX = 45;
const DATAGRAM_BYTES_MAX = 1_428;
const RECEIVE_BUFFER_BYTES = 4 << 20;
/** A node gives each source to one of its lanes, and a lane syncs for itself: several sockets reach several lanes. */
const SOCKETS = 4;
/** Neighbouring blocks of a batch that leave by one socket: 32. */
const TRAIN_BLOCKS_LOG2 = 5;

/** Opens them to `udp://HOST:PORT`, where the machine has such sockets: undefined elsewhere. Rejects as openUdpSocket. */
export async function openBatchedSocket(to: string): Promise<DatagramSocket | undefined> {
  if (nativeUdpFault() !== undefined) return undefined;
  const peer = parseNodeAddress(to, ['udp'], 'to');
  try {
    const sockets: NativeUdp[] = [];
    while (sockets.length < SOCKETS)
      sockets.push(await NativeUdp.connect(peer, TRAIN_MAX * DATAGRAM_BYTES_MAX, RECEIVE_BUFFER_BYTES));
    return new BatchedSocket(sockets, hostPortText(peer));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    const message = `to: expected an address that can be reached, got ${reason} for ${to}, check host and route`;
    throw new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
  }
}

/** One of the sockets, and the train that gathers on it: its bytes, and those of each datagram. */
class Train {
  readonly udp: NativeUdp;
  bytes = 0;
  datagramBytes = 0;
  refusals = 0;

  constructor(udp: NativeUdp) {
    this.udp = udp;
  }
}

class BatchedSocket implements DatagramSocket {
  readonly peer: string;
  readonly #trains: readonly Train[];
  #isLeaving = false;
  #isClosed = false;
  #onError: (error: Error) => void = () => {};

  constructor(sockets: readonly NativeUdp[], peer: string) {
    this.#trains = sockets.map((udp) => new Train(udp));
    this.peer = peer;
  }

  listen(onMessage: (bytes: Uint8Array, start: number, end: number) => void, onError: (error: Error) => void): void {
    this.#onError = onError;
    const payload = (bytes: Uint8Array, _: DataView, offset: number, length: number): void => {
      if (!this.#isClosed) onMessage(bytes, offset, offset + length);
    };
    for (const train of this.#trains)
      train.udp.poll((error) => {
        if (error !== undefined) this.#fault(getSystemErrorName(error));
        else this.#attempt(train, () => train.udp.receiveInto({ payload }));
      });
  }

  send(bytes: Uint8Array, offset: number, length: number, sent: () => void): void {
    const train = this.#trains[place(bytes, offset) % this.#trains.length]!;
    const isSame = length <= train.datagramBytes && train.bytes + length <= train.udp.sending.length;
    if (train.bytes > 0 && !isSame) this.#depart(train);
    if (train.bytes === 0) train.datagramBytes = length;
    train.udp.sending.set(bytes.subarray(offset, offset + length), train.bytes);
    train.bytes += length;
    sent();
    // A shorter datagram may be a train's last.
    if (length < train.datagramBytes || train.bytes >= TRAIN_MAX * train.datagramBytes) this.#depart(train);
    else if (!this.#isLeaving) {
      this.#isLeaving = true;
      setImmediate(() => {
        this.#isLeaving = false;
        if (!this.#isClosed) for (const each of this.#trains) this.#depart(each);
      });
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { udp } of this.#trains) udp.close();
  }

  /** What the socket does not take is lost as any datagram. */
  #depart(train: Train): void {
    const { bytes, datagramBytes, udp } = train;
    train.bytes = 0;
    if (bytes > 0) this.#attempt(train, () => udp.sendSegments(0, bytes, datagramBytes));
  }

  /** Says what the socket says, as a socket of Node's does by an event. */
  #attempt(train: Train, work: () => unknown): void {
    try {
      work();
    } catch (error) {
      this.#onError(error as Error);
    }
    if (train.udp.refusals === train.refusals) return;
    train.refusals = train.udp.refusals;
    this.#fault('ECONNREFUSED');
  }

  #fault(code: string): void {
    this.#onError(Object.assign(new Error(`recv ${code} ${this.peer}`), { code }));
  }
}

/** Which socket a datagram leaves by: frames of neighbouring blocks share one, so that they make a train, and a block stays with its own. */
function place(bytes: Uint8Array, offset: number): number {
  if (bytes[offset] !== FRAME_MERKLE) return 0;
  return ((bytes[offset + MERKLE_BLOCK]! << 8) | bytes[offset + MERKLE_BLOCK + 1]!) >>> TRAIN_BLOCKS_LOG2;
}

/**
 * The fast link: claims over the addon's sockets. C copies claims out of their slots. The datagrams of one socket leave
 * as a train, which is one message that the system cuts (UDP_SEGMENT), and acks come in batches.
 *
 * Generator thread. The link owns its sockets, and they own the memory in which trains are built.
 */
import { isIP } from 'node:net';
import { CLAIM_BYTES, DATAGRAM_BYTES_MAX } from '../../../protocol/layout.ts';
import type { HostPort } from '../../host-port.ts';
import { SLOT_BYTES } from '../../ring/arena.ts';
import type { TransportSink } from '../../transport/transport.ts';
import { NativeUdp, type NativeUdpOptions } from '../../transport/udp-native.ts';
import type { LoadChannels } from '../channels.ts';
import type { Departures } from '../departures.ts';
import { attachAddon } from '../signer.ts';
import type { LinkOptions, LoadLink } from './link.ts';

/** The longest train: the system cuts messages of at most so many bytes. */
const TRAIN_BYTES_MAX = DATAGRAM_BYTES_MAX;
const TRAIN_DATAGRAMS_MAX = 64;
const RECEIVE_BUFFER_BYTES = 1 << 20;
const PORT_MAX = 65_535;

/** Datagrams of one length, of which only the last may be shorter. `start` of the bytes have left already. */
interface Train {
  readonly sender: NativeUdp;
  start: number;
  bytes: number;
  segmentBytes: number;
  datagrams: number;
  departure: number;
}

export class NativeLink implements LoadLink {
  readonly name = 'native';
  lastFailure: string | undefined;
  readonly #trains: Train[] = [];
  readonly #sink: TransportSink;
  readonly #departures: Departures;
  readonly #ringBase: number;
  #lastSocket = 0;

  private constructor(channels: LoadChannels, { sink, departures }: LinkOptions) {
    this.#sink = sink;
    this.#departures = departures;
    this.#ringBase = channels.ring.base;
  }

  static async open(channels: LoadChannels, options: LinkOptions): Promise<NativeLink> {
    attachAddon(channels);
    const link = new NativeLink(channels, options);
    const { host, port, sockets } = options;
    for (const sender of await openSenders({ host, port }, sockets))
      link.#trains.push({ sender, start: 0, bytes: 0, segmentBytes: 0, datagrams: 0, departure: -1 });
    return link;
  }

  get failures(): number {
    const refusals = this.#trains.reduce((sum, { sender }) => sum + sender.refusals, 0);
    if (refusals > 0) this.lastFailure = 'ECONNREFUSED';
    return refusals;
  }

  get drops(): number {
    return this.#trains.reduce((sum, { sender }) => sum + sender.drops, 0);
  }

  local(socket: number): HostPort {
    return this.#trains[socket]!.sender.address;
  }

  send(socket: number, slots: Uint32Array, count: number): boolean {
    const train = this.#trains[socket]!;
    const bytes = count * CLAIM_BYTES;
    if (!this.#fits(train, bytes)) {
      this.#depart(train);
      if (train.bytes > 0) return false;
    }
    if (train.bytes === 0) {
      train.segmentBytes = bytes;
      train.departure = this.#departures.prepare();
    }
    for (let index = 0; index < count; ) {
      const run = runLength(slots, index, count);
      const first = (slots[index]! - this.#ringBase) / SLOT_BYTES;
      train.sender.gather(train.bytes, first, run);
      train.bytes += run * CLAIM_BYTES;
      index += run;
    }
    train.datagrams += 1;
    this.#lastSocket = socket;
    return true;
  }

  departure(socket: number): number {
    return this.#trains[socket]!.departure;
  }

  flush(): void {
    for (const train of this.#trains) if (train.bytes > 0) this.#depart(train);
  }

  receive(): void {
    for (const { sender } of this.#trains) sender.receiveInto(this.#sink);
  }

  /** Waits on the socket that sent last; acks on the other sockets are read on the next turn. */
  wait(waitUs: number): void {
    if (waitUs >= 1) this.#trains[this.#lastSocket]!.sender.wait(Math.round(waitUs), false);
  }

  async close(): Promise<void> {
    for (const { sender } of this.#trains) sender.close();
  }

  #fits({ start, bytes, segmentBytes, datagrams }: Train, more: number): boolean {
    if (bytes === 0) return true;
    if (start !== 0 || bytes !== datagrams * segmentBytes || more > segmentBytes) return false;
    return datagrams < TRAIN_DATAGRAMS_MAX && bytes + more <= TRAIN_BYTES_MAX;
  }

  /** Sends the train; what the socket has no room for stays. */
  #depart(train: Train): void {
    const { sender, start, bytes, segmentBytes } = train;
    const before = sender.refusals;
    this.#departures.leave(train.departure, performance.now());
    const sent = sender.sendSegments(start, bytes - start, segmentBytes);
    // The peer's machine refused an earlier datagram by ICMP: these datagrams count as sent, and are lost.
    const end = sender.refusals > before ? bytes : Math.min(bytes, start + sent * segmentBytes);
    if (end < bytes) {
      train.start = end;
      return;
    }
    train.start = 0;
    train.bytes = 0;
    train.datagrams = 0;
  }
}

/** Sockets on consecutive ports, which a node spreads evenly over its lanes (lane-steering.ts), as far as these ports are free. */
async function openSenders(peer: HostPort, sockets: number): Promise<NativeUdp[]> {
  const open = (local: Pick<NativeUdpOptions, 'local'> = {}) =>
    NativeUdp.open({
      ...local,
      peer,
      sendingBytes: TRAIN_BYTES_MAX,
      packetsMax: 0,
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      times: true,
    });
  const first = await open();
  const senders = [first];
  const host = isIP(peer.host) === 6 ? '::' : '0.0.0.0';
  for (let port = first.address.port + 1; senders.length < sockets; port++) {
    const taken = port <= PORT_MAX ? await open({ local: { host, port } }).catch(() => undefined) : undefined;
    // Ports that are taken leave gaps, each as likely in one lane as in another.
    senders.push(taken ?? (await open()));
  }
  return senders;
}

/** How many slots from `index` on are adjacent. */
function runLength(slots: Uint32Array, index: number, count: number): number {
  let run = 1;
  while (index + run < count && slots[index + run] === slots[index]! + run * SLOT_BYTES) run++;
  return run;
}

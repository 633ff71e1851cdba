/**
 * Sends hostile datagrams from sockets of the addon, as fast as the system takes them or at a rate, and counts the answers.
 *
 * Attack's thread. Datagrams are described once; to send some of them again is one call into C for up to 512 of them.
 */
import { setImmediate } from 'node:timers/promises';
import { type FrameSink, walkFrames } from '../../../protocol/frames.ts';
import { ACK_STATUS, statusName } from '../../../protocol/layout.ts';
import type { HostPort } from '../../host-port.ts';
import { SOURCE_WORDS } from '../../ring/slot.ts';
import { SourceCodec, sourceHead } from '../../transport/source.ts';
import { TRANSPORT_UDP, type TransportSink } from '../../transport/transport.ts';
import { NativeUdp } from '../../transport/udp-native.ts';
import type { Random } from '../random.ts';
import { DatagramSet, type KnownChannels, kindsFor } from './datagrams.ts';
import { DATAGRAM_KINDS, type DatagramKind } from './kinds.ts';
import type { SentDatagrams } from './sums.ts';

/** Of each socket. Of junk, which is large, fewer: 4 MiB. */
const SET_DATAGRAMS = 512;
const JUNK_DATAGRAMS = 128;
const RECEIVE_BUFFER_BYTES = 1 << 20;
/** How long a turn keeps the event loop from others. */
const TURN_MS = 10;
const WAIT_US_MAX = 5_000;
/** At a rate fewer leave at once, so that they come evenly. */
const PACED_MS = 2;

export interface FloodOptions {
  target: HostPort;
  attack: DatagramKind | 'mixed';
  sockets: number;
  perDatagram: number;
  known: KnownChannels | undefined;
  random: Random;
  /** Datagrams a second, or as many as there can be. */
  rate: number | null;
  durationMs: number;
  /** Ends sooner when so many have left. */
  datagramsMax: number;
}

export interface FloodResult extends SentDatagrams {
  bytes: number;
  byKind: Partial<Record<DatagramKind, number>>;
  /** Datagrams that the system did not take, which are in no other figure. */
  notTaken: number;
  /** How often the node's machine said that nobody listens. */
  refusals: number;
  seconds: number;
  /** Answers by status. */
  answered: Record<string, number>;
}

/** Counts acks by status. */
class Answers implements TransportSink, FrameSink {
  readonly counts = new Float64Array(256);
  payload(bytes: Uint8Array, _view: DataView, offset: number, length: number): void {
    walkFrames(bytes, offset, offset + length, this);
  }
  claim(): void {}
  ack(bytes: Uint8Array, offset: number): void {
    this.counts[bytes[offset + ACK_STATUS]!]! += 1;
  }
  get json(): Record<string, number> {
    return Object.fromEntries(
      [...this.counts].map((count, status) => [statusName(status), count] as const).filter(([, count]) => count > 0),
    );
  }
}

interface Barrel {
  udp: NativeUdp;
  set: DatagramSet;
}

export class Flood {
  readonly #options: FloodOptions;
  readonly #barrels: Barrel[] = [];
  readonly #answers = new Answers();
  readonly #sent: SentDatagrams = {
    datagrams: 0,
    whole: 0,
    emptyDatagram: 0,
    unknownType: 0,
    cutFrame: 0,
    claims: 0,
  };
  readonly #byKind = new Float64Array(DATAGRAM_KINDS.length);
  #bytes = 0;
  #notTaken = 0;
  #next = 0;
  isStopped = false;

  private constructor(options: FloodOptions) {
    this.#options = options;
  }

  /** Throws BACKEND_UNAVAILABLE where there are no batched sockets. */
  static async open(options: FloodOptions): Promise<Flood> {
    const flood = new Flood(options);
    const { attack, sockets, perDatagram, known, random } = options;
    const to = new Uint32Array(SOURCE_WORDS);
    new SourceCodec().parse(options.target.host, to);
    to[0] = sourceHead(TRANSPORT_UDP, options.target.port);
    while (flood.#barrels.length < sockets) {
      const kinds = kindsFor(attack, attack === 'junk' ? JUNK_DATAGRAMS : SET_DATAGRAMS, random);
      const set = new DatagramSet(kinds, random, known, perDatagram);
      const udp = await NativeUdp.open({
        peer: options.target,
        sendingBytes: set.bytes.length,
        packetsMax: SET_DATAGRAMS,
        receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      });
      for (let index = 0; index < set.length; index++)
        udp.describe(index, set.offsets[index]!, set.lengths[index]!, to, 0, attack === 'mixed');
      set.moveTo(udp.sending);
      flood.#barrels.push({ udp, set });
    }
    return flood;
  }

  /** Sends until time, datagrams or `isStopped` end it. */
  async run(): Promise<FloodResult> {
    const { rate, durationMs, datagramsMax } = this.#options;
    const startedAt = performance.now();
    const endsAt = startedAt + durationMs;
    let turnEndsAt = startedAt + TURN_MS;
    for (let now = startedAt; now < endsAt && !this.isStopped; now = performance.now()) {
      const left = datagramsMax - this.#sent.datagrams;
      if (left <= 0) break;
      const due = rate === null ? SET_DATAGRAMS : Math.floor(((now - startedAt) * rate) / 1_000) - this.#sent.datagrams;
      const udp = this.#send(Math.min(left, due));
      if (rate !== null && due < SET_DATAGRAMS) {
        udp.wait(Math.min(WAIT_US_MAX, Math.max(PACED_MS * 1_000, 1e6 / rate)), false);
        this.#receive();
      }
      if (performance.now() < turnEndsAt) continue;
      this.#receive();
      await setImmediate();
      turnEndsAt = performance.now() + TURN_MS;
    }
    return this.#result((performance.now() - startedAt) / 1_000);
  }

  /** Reads the answers that are still coming until none has come for `quietMs`. */
  async drain(quietMs: number): Promise<Record<string, number>> {
    const total = () => this.#answers.counts.reduce((sum, count) => sum + count, 0);
    for (let before = -1; total() > before; ) {
      before = total();
      const until = performance.now() + quietMs;
      while (performance.now() < until) {
        this.#receive();
        this.#barrels[0]!.udp.wait(PACED_MS * 1_000, false);
        await setImmediate();
      }
    }
    return this.#answers.json;
  }

  close(): void {
    for (const { udp } of this.#barrels) udp.close();
  }

  /** Sends at most `most` of the next socket's. */
  #send(most: number): NativeUdp {
    const { udp, set } = this.#barrels[this.#next]!;
    const count = Math.min(most, set.length);
    if (count <= 0) return udp;
    this.#next = (this.#next + 1) % this.#barrels.length;
    set.refresh();
    const lost = udp.send(count);
    this.#notTaken += lost;
    // Those that a full queue did not take are the last. Only a node that is gone has others refused.
    const left = count - lost;
    const contents = set.contents(left);
    for (const name of Object.keys(this.#sent) as (keyof SentDatagrams)[]) this.#sent[name] += contents[name];
    for (let index = 0; index < left; index++) {
      this.#byKind[set.kinds[index]!]! += 1;
      this.#bytes += set.lengths[index]!;
    }
    return udp;
  }

  #receive(): void {
    for (const { udp } of this.#barrels) udp.receiveInto(this.#answers);
  }

  #result(seconds: number): FloodResult {
    const byKind = DATAGRAM_KINDS.map((kind, index) => [kind, this.#byKind[index]!] as const);
    return {
      ...this.#sent,
      bytes: this.#bytes,
      byKind: Object.fromEntries(byKind.filter(([, count]) => count > 0)),
      notTaken: this.#notTaken,
      refusals: this.#barrels.reduce((sum, { udp }) => sum + udp.refusals, 0),
      seconds,
      answered: this.#answers.json,
    };
  }
}

/**
 * A connected UDP socket for load generation: claims leave in trains the kernel cuts into datagrams, acks come in
 * batches. Blocking waits: for a thread that has nothing else to do. Belongs to the thread that opened it.
 */
import { getSystemErrorName } from 'node:util';
import type { TransportSink } from './transport.ts';
import { MESSAGES_MAX, NativeUdp } from './udp-native.ts';

/** What `wait` says. */
export const READABLE = 1;
export const WRITABLE = 2;

export interface NativeSenderOptions {
  host: string;
  port: number;
  /** Claims wait here between being written and being sent. */
  stagingBytes: number;
  receiveBufferBytes?: number;
  sendBufferBytes?: number;
  gro?: boolean;
}

export class NativeSender {
  /** What `send` sends from; filled by `gather` or by hand. */
  readonly staging: Uint8Array;
  /** How often the peer's machine said that nobody listens there. */
  refusals = 0;
  readonly #udp: NativeUdp;

  private constructor(udp: NativeUdp) {
    this.#udp = udp;
    this.staging = udp.sending;
  }

  static async open({ host, port, stagingBytes, ...rest }: NativeSenderOptions): Promise<NativeSender> {
    const peer = { host, port };
    return new NativeSender(await NativeUdp.open({ ...rest, peer, sendingBytes: stagingBytes, packetsMax: 0 }));
  }

  /** Where it sends from, as `H:P`. */
  get address(): string {
    return this.#udp.address;
  }
  /** Messages the receive buffer had no room for since opening. */
  get drops(): number {
    return this.#udp.drops;
  }

  /** Copies `count` claims from ring sequence `first` on of the ring attached to this thread's kernel to `offset`. */
  gather(offset: number, first: number, count: number): void {
    this.#udp.gather(offset, first, count);
  }

  /**
   * Sends `bytes` from `offset` of the staging memory as datagrams of `segmentBytes`, the last one shorter. Returns how
   * many left: fewer when the socket's queue is full. Throws the system's error where none can ever leave.
   */
  send(offset: number, bytes: number, segmentBytes: number): number {
    return this.#settled(this.#udp.sendSegments(offset, bytes, segmentBytes), 'send');
  }

  /** Hands waiting datagrams to the sink, up to `messagesMax` messages of one or more. Returns how many datagrams. */
  receive(sink: TransportSink, messagesMax = MESSAGES_MAX): number {
    const messages = this.#settled(this.#udp.receive(messagesMax), 'recv');
    let datagrams = 0;
    for (let index = 0; index < messages; index++) datagrams += this.#udp.handOver(index, sink);
    return datagrams;
  }

  /** Blocks until readable (or writable, if asked for) or until `waitUs` have passed, 1 s at most. READABLE | WRITABLE. */
  wait(waitUs: number, wantWrite: boolean): number {
    return this.#udp.wait(waitUs, wantWrite);
  }

  close(): void {
    this.#udp.close();
  }

  #settled(result: number, syscall: string): number {
    if (result >= 0) return result;
    const code = getSystemErrorName(result);
    if (code !== 'ECONNREFUSED') throw Object.assign(new Error(`${syscall} ${code}`), { errno: result, code, syscall });
    this.refusals++;
    return 0;
  }
}

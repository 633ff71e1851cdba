/**
 * A UDP socket of the C addon (src/native): it receives and sends batches of messages. Linux.
 *
 * It belongs to the thread that opened it. What a receive wrote to its memory is valid until the next one.
 */
import { lookup } from 'node:dns/promises';
import { getSystemErrorName } from 'node:util';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert, ClaimwireError } from '../errors.ts';
import { type HostPort, hostPortText, parseHostPort } from '../host-port.ts';
import { loadAddon } from '../native/addon.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { TransportSink } from './transport.ts';

/**
 * The distance between messages: a datagram or GRO train of maximum size fits. It is not a power of two, or every message
 * would begin in the same cache set. A record of RECORD_WORDS describes each message.
 */
export const MESSAGE_STRIDE = 65_536 + 128;
export const RECORD_WORDS = 9;
const RECORD_LENGTH = 1;
const RECORD_SEGMENT = 2;
/** Of a packet to be sent, in the same place: whether it leaves alone. */
const RECORD_ALONE = 2;
const RECORD_SOURCE = 3;
const RECORD_WAITED = 8;
/** The most messages of one system call. */
export const MESSAGES_MAX = 64;

/** What a full receive buffer is called by src/native/udp.h. */
const FULL = 256;

/** The flags that `wait` returns. */
export const READABLE = 1;
export const WRITABLE = 2;

export const FLAG_REUSE = 1;
export const FLAG_EXCLUSIVE = 2;
export const FLAG_GRO = 4;
export const FLAG_TIMES = 8;

/** What src/native/udp_node.c exports. Errors are negative errno values. */
interface UdpAddon {
  udpOpen(
    host: string,
    connectHost: string,
    port: number,
    connectPort: number,
    flags: number,
    receiveBytes: number,
    received: Uint8Array,
    messages: Uint32Array,
    sending: Uint8Array,
    packets: Uint32Array,
  ): number;
  streamBind(host: string, port: number, flags: number): number;
  udpPoll(handle: number, callback: (error?: number) => void): number;
  udpStop(handle: number): void;
  udpClose(handle: number): void;
  udpAddress(handle: number): string;
  udpReceiveBufferBytes(handle: number): number;
  udpDrops(handle: number): number;
  udpTimes(handle: number, hasTimes: number): number;
  udpFilter(handle: number, instructions: number, program: Uint32Array): number;
  udpSteer(handle: number, instructions: number, program: Uint32Array): number;
  udpReceive(handle: number, messagesMax: number): number;
  udpSend(handle: number, count: number): number;
  udpSendSegments(handle: number, offset: number, bytes: number, segmentBytes: number): number;
  udpWait(handle: number, waitUs: number, wantWrite: number): number;
  udpGather(handle: number, offset: number, first: number, count: number): void;
}

/** Why batched UDP cannot be used here, or undefined where it can. */
export function nativeUdpFault(): string | undefined {
  try {
    if (loadAddon<Partial<UdpAddon>>().udpOpen !== undefined) return undefined;
  } catch (error) {
    return (error as Error).message;
  }
  return process.platform === 'linux'
    ? 'expected an addon with UDP, got an older build; make native builds it'
    : `expected Linux, got ${process.platform}`;
}

export interface NativeUdpOptions {
  /** The address to bind; without it, connecting picks one. */
  local?: HostPort;
  /** The only peer. */
  peer?: HostPort;
  /** Other sockets of this user may bind the same address, and each peer stays with one of them. */
  reusePort?: boolean;
  /** With `reusePort`: fails where anybody has bound the address before. */
  exclusive?: boolean;
  /** Whether trains of datagrams arrive as one message, as they do by default. */
  gro?: boolean;
  /** Whether the sink is told how long messages waited in the socket; by default not. */
  times?: boolean;
  /** Default the system's. */
  receiveBufferBytes?: number;
  /** The memory for what is sent, and the most packets of one `send`. */
  sendingBytes: number;
  packetsMax: number;
}

export class NativeUdp {
  readonly sending: Uint8Array;
  /** How much of the receive buffer was taken when `drops` was last read, 0 to 1. */
  full = 0;
  /** How often the peer's machine answered that nobody listens there. */
  refusals = 0;
  readonly #addon: UdpAddon;
  readonly #handle: number;
  readonly #received: Uint8Array;
  readonly #receivedView: DataView;
  readonly #messages: Uint32Array;
  /** The source words of each record. */
  readonly #sources: Uint32Array[] = [];
  readonly #packets: Uint32Array;
  #hasTimes: boolean;
  #drops = 0;
  /** The system's count, modulo 2^32. */
  #dropsLow = 0;

  private constructor(addon: UdpAddon, options: NativeUdpOptions, host: string, connectHost: string) {
    this.#addon = addon;
    // Pages that no message reaches are never touched, so 64 messages of maximum size cost address space only.
    this.#received = new Uint8Array(MESSAGES_MAX * MESSAGE_STRIDE);
    this.#receivedView = new DataView(this.#received.buffer);
    this.#messages = new Uint32Array(MESSAGES_MAX * RECORD_WORDS);
    for (let at = RECORD_SOURCE; at < this.#messages.length; at += RECORD_WORDS)
      this.#sources.push(this.#messages.subarray(at, at + SOURCE_WORDS));
    this.sending = new Uint8Array(options.sendingBytes);
    this.#packets = new Uint32Array(options.packetsMax * RECORD_WORDS);
    const { local, peer, reusePort, exclusive, gro, times, receiveBufferBytes } = options;
    this.#hasTimes = times === true;
    const flags =
      (reusePort ? FLAG_REUSE : 0) |
      (exclusive ? FLAG_EXCLUSIVE : 0) |
      (gro === false ? 0 : FLAG_GRO) |
      (times ? FLAG_TIMES : 0);
    this.#handle = checked(
      addon.udpOpen(
        host,
        connectHost,
        local?.port ?? 0,
        peer?.port ?? 0,
        flags,
        receiveBufferBytes ?? 0,
        this.#received,
        this.#messages,
        this.sending,
        this.#packets,
      ),
      local === undefined ? 'connect' : 'bind',
      local ?? peer!,
    );
  }

  /** Throws BACKEND_UNAVAILABLE without the addon, and the system's error (EADDRINUSE, EACCES, …) as dgram does. */
  static async open(options: NativeUdpOptions): Promise<NativeUdp> {
    const fault = nativeUdpFault();
    if (fault !== undefined) throw new ClaimwireError('BACKEND_UNAVAILABLE', `batched UDP: ${fault}`);
    const { local, peer } = options;
    assert(local !== undefined || peer !== undefined, 'a socket is bound or connected');
    const host = local === undefined ? '' : await literal(local.host);
    const connectHost = peer === undefined ? '' : await literal(peer.host);
    return new NativeUdp(loadAddon<UdpAddon>(), options, host, connectHost);
  }

  /** A socket for one peer, with memory to send from. */
  static connect(peer: HostPort, sendingBytes: number, receiveBufferBytes?: number): Promise<NativeUdp> {
    const buffer = receiveBufferBytes === undefined ? {} : { receiveBufferBytes };
    return NativeUdp.open({ peer, sendingBytes, packetsMax: 0, ...buffer });
  }

  /** Whether the sink is told how long messages waited in the socket, from the next receive on. */
  set hasTimes(hasTimes: boolean) {
    if (hasTimes === this.#hasTimes) return;
    this.#hasTimes = hasTimes;
    this.#addon.udpTimes(this.#handle, hasTimes ? 1 : 0);
  }

  get address(): HostPort {
    return parseHostPort(this.#addon.udpAddress(this.#handle))!;
  }
  /** As the system granted it. */
  get receiveBufferBytes(): number {
    return this.#addon.udpReceiveBufferBytes(this.#handle);
  }
  /** Messages that the system dropped since opening: the receive buffer had no room, or a filter said so. A train counts once. */
  get drops(): number {
    const said = this.#addon.udpDrops(this.#handle);
    const full = Math.floor(said / 2 ** 32);
    const dropsLow = said - full * 2 ** 32;
    this.#drops += (dropsLow - this.#dropsLow) >>> 0;
    this.#dropsLow = dropsLow;
    this.full = full / FULL;
    return this.#drops;
  }

  /**
   * From now on the system asks this program (packet-filter.ts) whether a message may enter the receive buffer; an empty one
   * takes the filter away. Returns whether the system took it; otherwise nothing has changed.
   */
  filter(program: Uint32Array): boolean {
    return this.#addon.udpFilter(this.#handle, program.length >>> 1, program) === 0;
  }

  /**
   * From now on the system asks this program (lane-steering.ts) which of the sockets that share the address gets a message. Returns
   * whether the system took it; otherwise it goes on choosing by a hash.
   */
  steer(program: Uint32Array): boolean {
    return this.#addon.udpSteer(this.#handle, program.length >>> 1, program) === 0;
  }

  /**
   * Calls `onReadable` from the event loop whenever there is something to receive, or, with a negative errno, when the socket had an error
   * that it survives: on a connected one that nobody listens at the peer. Keeps the thread alive.
   */
  poll(onReadable: (error?: number) => void): void {
    assert(this.#addon.udpPoll(this.#handle, onReadable) === 0, 'an open socket can be polled');
  }
  stopPolling(): void {
    this.#addon.udpStop(this.#handle);
  }

  /** Receives up to `messagesMax` (at most 64) messages. Returns how many, or a negative errno that the socket survives. */
  receive(messagesMax: number): number {
    return this.#addon.udpReceive(this.#handle, messagesMax);
  }
  /** The length of message `index` of the last receive. */
  bytesOf(index: number): number {
    return this.#messages[index * RECORD_WORDS + RECORD_LENGTH]!;
  }
  /** Hands the datagrams of message `index` of the last receive to the sink. Returns how many they were. */
  handOver(index: number, sink: TransportSink): number {
    const at = index * RECORD_WORDS;
    const offset = this.#messages[at]!;
    const length = this.#messages[at + RECORD_LENGTH]!;
    const source = this.#sources[index]!;
    const segment = this.#messages[at + RECORD_SEGMENT]! || length || 1;
    if (this.#hasTimes) sink.waited?.(this.#messages[at + RECORD_WAITED]!);
    const isTrain = segment < length && segment % CLAIM_BYTES === 0 && length % CLAIM_BYTES === 0;
    let done = isTrain ? (sink.train?.(this.#received, offset, length, segment, source) ?? 0) : 0;
    if (done < length || length === 0)
      do {
        // First what is left of a datagram.
        const bytes = Math.min(segment - (done % segment), length - done);
        sink.payload(this.#received, this.#receivedView, offset + done, bytes, source);
        done += bytes;
      } while (done < length);
    return Math.max(1, Math.ceil(length / segment));
  }

  /**
   * Describes packet `index`: `length` bytes of `sending` from `offset`, to the five words at `at` of `words`. One that is
   * `alone` leaves in no train, of which the receiver's system counts one where it drops all.
   */
  describe(index: number, offset: number, length: number, words: Uint32Array, at: number, alone = false): void {
    const packets = this.#packets;
    const record = index * RECORD_WORDS;
    packets[record] = offset;
    packets[record + RECORD_LENGTH] = length;
    packets[record + RECORD_ALONE] = alone ? 1 : 0;
    for (let word = 0; word < SOURCE_WORDS; word++) packets[record + RECORD_SOURCE + word] = words[at + word]!;
  }
  /** Sends the first `count` packets that were described. Returns how many were lost. */
  send(count: number): number {
    return this.#addon.udpSend(this.#handle, count);
  }

  /**
   * Connected: sends `bytes` of `sending` from `offset` as datagrams of `segmentBytes`; the last may be shorter. Returns how
   * many left: fewer when the socket's queue is full. Throws the system's error where none can leave.
   */
  sendSegments(offset: number, bytes: number, segmentBytes: number): number {
    return this.#unlessRefused(this.#addon.udpSendSegments(this.#handle, offset, bytes, segmentBytes), 'send');
  }
  /** Connected: receives up to `messagesMax` messages and hands their datagrams to the sink. */
  receiveInto(sink: TransportSink, messagesMax = MESSAGES_MAX): void {
    const messages = this.#unlessRefused(this.receive(messagesMax), 'recv');
    sink.read?.();
    for (let index = 0; index < messages; index++) this.handOver(index, sink);
  }
  /** Blocks until READABLE or, if asked for, WRITABLE, and returns these flags; 0 after `waitUs` (1 s at most). */
  wait(waitUs: number, wantWrite: boolean): number {
    return this.#addon.udpWait(this.#handle, waitUs, wantWrite ? 1 : 0);
  }
  /** Copies `count` claims of the ring attached to this thread's kernel into `sending` from `offset`, back to back. */
  gather(offset: number, first: number, count: number): void {
    this.#addon.udpGather(this.#handle, offset, first >>> 0, count);
  }

  close(): void {
    this.#addon.udpClose(this.#handle);
  }

  #unlessRefused(result: number, syscall: string): number {
    if (result >= 0) return result;
    const code = getSystemErrorName(result);
    if (code !== 'ECONNREFUSED') throw Object.assign(new Error(`${syscall} ${code}`), { errno: result, code, syscall });
    this.refusals++;
    return 0;
  }
}

/** Binds a stream socket whose address others of this user may share. Returns its descriptor; throws the system's error. */
export async function bindSharedStream(local: HostPort, exclusive: boolean): Promise<number> {
  const { host, port } = local;
  const flags = FLAG_REUSE | (exclusive ? FLAG_EXCLUSIVE : 0);
  return checked(loadAddon<UdpAddon>().streamBind(await literal(host), port, flags), 'bind', local);
}

/** A host's address: IPv4 unless the host is written as IPv6, as dgram does. */
async function literal(host: string): Promise<string> {
  return (await lookup(host, { family: host.includes(':') ? 6 : 4 })).address;
}

function checked(result: number, syscall: string, local: HostPort): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  const error = new Error(`${syscall} ${code} ${hostPortText(local)}`);
  throw Object.assign(error, { errno: result, code, syscall, address: local.host, port: local.port });
}

/**
 * A UDP socket of the C addon (src/native), typed: batches of messages in and out of staging memory. Linux.
 *
 * Belongs to the thread that opened it. The memory is made here once and written by the kernel's calls; what a receive
 * left in it is valid until the next one.
 */
import { lookup } from 'node:dns/promises';
import { getSystemErrorName } from 'node:util';
import { assert, ClaimwireError } from '../errors.ts';
import { loadAddon } from '../native/addon.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { TransportSink } from './transport.ts';

/** As in native/udp.h: messages lie so far apart, and are described by records of so many words. */
const MESSAGE_STRIDE = 65_536 + 128;
const RECORD_WORDS = 8;
const RECORD_LENGTH = 1;
const RECORD_SEGMENT = 2;
const RECORD_SOURCE = 3;
/** Messages of one system call, at most. */
export const MESSAGES_MAX = 64;

const FLAG_REUSE = 1;
const FLAG_EXCLUSIVE = 2;
const FLAG_GRO = 4;

/** What src/native/udp_node.c exports. Errors of the system are negative errno values. */
interface UdpAddon {
  udpOpen(
    host: string,
    connectHost: string,
    port: number,
    connectPort: number,
    flags: number,
    receiveBytes: number,
    sendBytes: number,
    received: Uint8Array,
    messages: Uint32Array,
    sending: Uint8Array,
    packets: Uint32Array,
  ): number;
  streamBind(host: string, port: number, flags: number): number;
  udpPoll(handle: number, callback: () => void): number;
  udpStop(handle: number): void;
  udpClose(handle: number): void;
  udpAddress(handle: number): string;
  udpReceiveBufferBytes(handle: number): number;
  udpDrops(handle: number): number;
  udpReceive(handle: number, messagesMax: number): number;
  udpSend(handle: number, count: number): number;
  udpSendSegments(handle: number, offset: number, bytes: number, segmentBytes: number): number;
  udpWait(handle: number, waitUs: number, wantWrite: number): number;
  udpGather(handle: number, offset: number, first: number, count: number): void;
}

/** Why there is no batched UDP here, or undefined where there is. */
export function nativeUdpFault(): string | undefined {
  let addon: Partial<UdpAddon>;
  try {
    addon = loadAddon<Partial<UdpAddon>>();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (addon.udpOpen !== undefined) return undefined;
  return process.platform === 'linux'
    ? 'expected an addon with UDP, got an older build; make native builds it'
    : `expected Linux, got ${process.platform}`;
}

interface HostPort {
  host: string;
  port: number;
}

export interface NativeUdpOptions {
  /** To bind; without it, connecting picks an address. */
  local?: { host: string; port: number };
  /** The only peer. */
  peer?: { host: string; port: number };
  /** Other sockets of this user may bind the same address, and each peer stays with one of them. */
  reusePort?: boolean;
  /** With `reusePort`: fails where anybody has bound the address before. */
  exclusive?: boolean;
  /** Trains of datagrams arrive as one message: the default. */
  gro?: boolean;
  /** The system's own without. */
  receiveBufferBytes?: number;
  /** The system's own without. */
  sendBufferBytes?: number;
  /** Staging memory for what is sent, and how many packets can be described in one go. */
  sendingBytes: number;
  packetsMax: number;
}

export class NativeUdp {
  readonly sending: Uint8Array;
  readonly #addon: UdpAddon;
  readonly #handle: number;
  readonly #received: Uint8Array;
  readonly #receivedView: DataView;
  readonly #messages: Uint32Array;
  /** The source words of each record. */
  readonly #sources: Uint32Array[] = [];
  readonly #packets: Uint32Array;
  #drops = 0;
  /** As the system counts them, modulo 2^32. */
  #dropsLow = 0;

  private constructor(addon: UdpAddon, options: NativeUdpOptions, host: string, connectHost: string) {
    this.#addon = addon;
    // Pages no message reaches are never touched, so 64 maximum-size messages cost address space only.
    this.#received = new Uint8Array(MESSAGES_MAX * MESSAGE_STRIDE);
    this.#receivedView = new DataView(this.#received.buffer);
    this.#messages = new Uint32Array(MESSAGES_MAX * RECORD_WORDS);
    for (let at = RECORD_SOURCE; at < this.#messages.length; at += RECORD_WORDS)
      this.#sources.push(this.#messages.subarray(at, at + SOURCE_WORDS));
    this.sending = new Uint8Array(options.sendingBytes);
    this.#packets = new Uint32Array(options.packetsMax * RECORD_WORDS);
    const { local, peer, reusePort, exclusive, gro, receiveBufferBytes, sendBufferBytes } = options;
    const flags = (reusePort ? FLAG_REUSE : 0) | (exclusive ? FLAG_EXCLUSIVE : 0) | (gro === false ? 0 : FLAG_GRO);
    this.#handle = checked(
      addon.udpOpen(
        host,
        connectHost,
        local?.port ?? 0,
        peer?.port ?? 0,
        flags,
        receiveBufferBytes ?? 0,
        sendBufferBytes ?? 0,
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

  /** Bound address as `H:P`. */
  get address(): string {
    return this.#addon.udpAddress(this.#handle);
  }
  /** As the system granted it. */
  get receiveBufferBytes(): number {
    return this.#addon.udpReceiveBufferBytes(this.#handle);
  }
  /** Messages the receive buffer had no room for since opening. A train that was joined counts once. */
  get drops(): number {
    const dropsLow = this.#addon.udpDrops(this.#handle);
    this.#drops += (dropsLow - this.#dropsLow) >>> 0;
    this.#dropsLow = dropsLow;
    return this.#drops;
  }

  /** Calls `onReadable` from the event loop whenever there is something to receive. Keeps the thread alive. */
  poll(onReadable: () => void): void {
    assert(this.#addon.udpPoll(this.#handle, onReadable) === 0, 'an open socket can be polled');
  }
  stopPolling(): void {
    this.#addon.udpStop(this.#handle);
  }

  /** Takes up to `messagesMax` (64 at most) waiting messages. Returns how many, or a negative errno the socket survives. */
  receive(messagesMax: number): number {
    return this.#addon.udpReceive(this.#handle, messagesMax);
  }
  /** Bytes of message `index` of the last receive. */
  bytesOf(index: number): number {
    return this.#messages[index * RECORD_WORDS + RECORD_LENGTH]!;
  }
  /** Hands message `index` of the last receive over, datagram by datagram. Returns how many datagrams it was. */
  handOver(index: number, sink: TransportSink): number {
    const at = index * RECORD_WORDS;
    const offset = this.#messages[at]!;
    const length = this.#messages[at + RECORD_LENGTH]!;
    const source = this.#sources[index]!;
    const segment = this.#messages[at + RECORD_SEGMENT]! || length;
    let datagrams = 0;
    let done = 0;
    do {
      const bytes = Math.min(segment, length - done);
      sink.payload(this.#received, this.#receivedView, offset + done, bytes, source);
      done += bytes;
      datagrams++;
    } while (done < length);
    return datagrams;
  }

  /** Describes packet `index`: `length` bytes of `sending` from `offset`, to the five words at `at` of `words`. */
  describe(index: number, offset: number, length: number, words: Uint32Array, at: number): void {
    const packets = this.#packets;
    const record = index * RECORD_WORDS;
    packets[record] = offset;
    packets[record + RECORD_LENGTH] = length;
    for (let word = 0; word < SOURCE_WORDS; word++) packets[record + RECORD_SOURCE + word] = words[at + word]!;
  }
  /** Sends the packets described as 0 to `count` - 1. Returns how many were lost. */
  send(count: number): number {
    return this.#addon.udpSend(this.#handle, count);
  }

  /** Connected: `bytes` of `sending` as datagrams of `segmentBytes`. Returns datagrams sent, or a negative errno. */
  sendSegments(offset: number, bytes: number, segmentBytes: number): number {
    return this.#addon.udpSendSegments(this.#handle, offset, bytes, segmentBytes);
  }
  /** Bit 0: readable; bit 1, if asked for: writable. 0 after `waitUs` (1 s at most) of neither. Blocks the thread. */
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
}

/**
 * A stream socket bound to an address that others of this user may share, for a server to listen on: `exclusive` as for
 * UDP. Returns its descriptor. Throws the system's error.
 */
export async function bindSharedStream(local: HostPort, exclusive: boolean): Promise<number> {
  const { host, port } = local;
  const flags = FLAG_REUSE | (exclusive ? FLAG_EXCLUSIVE : 0);
  return checked(loadAddon<UdpAddon>().streamBind(await literal(host), port, flags), 'bind', local);
}

/** As dgram: IPv4 unless it is written as IPv6. */
async function literal(host: string): Promise<string> {
  return (await lookup(host, { family: host.includes(':') ? 6 : 4 })).address;
}

function checked(result: number, syscall: string, { host, port }: HostPort): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  const error = new Error(`${syscall} ${code} ${host}:${port}`);
  throw Object.assign(error, { errno: result, code, syscall, address: host, port });
}

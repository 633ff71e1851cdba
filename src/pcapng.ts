/**
 * pcapng, Wireshark's default format: sections of blocks. Reads enhanced and simple packet blocks of any number of interfaces
 * in either byte order, and skips blocks of other types. The file is hostile input: every length is checked before it is
 * used. Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html
 */
import type { ClaimwireError } from './errors.ts';
import {
  type CaptureFormat,
  captureFault,
  LINK_TYPES,
  PACKET_BYTES_MAX,
  type Packet,
  readLink,
} from './pcap-packet.ts';

/** A palindrome: it is the same in both byte orders. */
export const PCAPNG_SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE = 1;
const SIMPLE_PACKET = 3;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type and length come before the body, and the length once more after it. */
const BLOCK_HEADER_BYTES = 8;
const BLOCK_BYTES_MIN = 12;
/** Wireshark's limit. A whole block is in memory at once. */
const BLOCK_BYTES_MAX = 16 << 20;
/** Most interfaces of a section. */
const INTERFACES_MAX = 4_096;
/** The length of a packet block without its packet. */
const SIMPLE_BYTES_MIN = 16;
const ENHANCED_BYTES_MIN = 32;
/** The shortest block of each type. */
const LEAST_BYTES: Readonly<Record<number, number>> = {
  [PCAPNG_SECTION_HEADER]: 28,
  [INTERFACE]: 20,
  [SIMPLE_PACKET]: SIMPLE_BYTES_MIN,
  [ENHANCED_PACKET]: ENHANCED_BYTES_MIN,
};
const OPTION_TIME_RESOLUTION = 9;
const OPTION_TIME_OFFSET = 14;
const NANOSECONDS = 1_000_000_000n;

interface Interface {
  linkType: number;
  snapBytes: number;
  unitsPerSecond: bigint;
  offsetSeconds: bigint;
}

export class PcapngFormat implements CaptureFormat {
  packet: Packet | undefined;
  #littleEndian = false;
  #interfaces: Interface[] = [];

  next(view: DataView, at: number, offset: number): number {
    this.packet = undefined;
    if (view.byteLength - at < BLOCK_BYTES_MIN) return 0;
    if (view.getUint32(at) === PCAPNG_SECTION_HEADER) this.#beginSection(view, at, offset);
    const length = this.#u32(view, at + 4);
    if (length < BLOCK_BYTES_MIN || length > BLOCK_BYTES_MAX || length % 4 !== 0)
      throw captureFault(offset + 4, `a block of ${BLOCK_BYTES_MIN} to ${BLOCK_BYTES_MAX} bytes, in fours`, length);
    if (view.byteLength - at < length) return 0;
    const again = this.#u32(view, at + length - 4);
    if (again !== length) throw captureFault(offset + length - 4, `the block's length ${length} again`, again);
    this.#readBlock(view, at, length, offset);
    return length;
  }

  cut(view: DataView, offset: number): ClaimwireError {
    const got = `${view.byteLength} before the end of the file`;
    // A section's byte order is not known before its header is whole.
    const isKnown = view.byteLength >= BLOCK_HEADER_BYTES && view.getUint32(0) !== PCAPNG_SECTION_HEADER;
    return captureFault(offset, isKnown ? `a block of ${this.#u32(view, 4)} bytes` : 'a whole block', got);
  }

  /** A section is in the byte order of the machine that wrote it. */
  #beginSection(view: DataView, at: number, offset: number): void {
    const magic = view.getUint32(at + BLOCK_HEADER_BYTES);
    this.#littleEndian = magic !== BYTE_ORDER_MAGIC;
    if (view.getUint32(at + BLOCK_HEADER_BYTES, this.#littleEndian) !== BYTE_ORDER_MAGIC)
      throw captureFault(offset + 8, 'the byte-order magic of pcapng', `0x${magic.toString(16).padStart(8, '0')}`);
    this.#interfaces = [];
  }

  #readBlock(view: DataView, at: number, length: number, offset: number): void {
    const type = this.#u32(view, at);
    const least = LEAST_BYTES[type] ?? BLOCK_BYTES_MIN;
    if (length < least) throw captureFault(offset + 4, `a block of at least ${least} bytes`, length);
    if (type === INTERFACE) this.#readInterface(view, at, length, offset);
    else if (type === SIMPLE_PACKET) this.#readSimple(view, at, length, offset);
    else if (type === ENHANCED_PACKET) this.#readEnhanced(view, at, length, offset);
  }

  #readInterface(view: DataView, at: number, length: number, offset: number): void {
    if (this.#interfaces.length >= INTERFACES_MAX)
      throw captureFault(offset, `at most ${INTERFACES_MAX} interfaces`, 'one more');
    const read: Interface = {
      linkType: view.getUint16(at + 8, this.#littleEndian),
      snapBytes: this.#u32(view, at + 12),
      unitsPerSecond: 1_000_000n,
      offsetSeconds: 0n,
    };
    const end = at + length - 4;
    for (let option = at + 16; option + 4 <= end; ) {
      const code = view.getUint16(option, this.#littleEndian);
      const bytes = view.getUint16(option + 2, this.#littleEndian);
      const value = option + 4;
      if (code === 0 || value + bytes > end) break;
      if (code === OPTION_TIME_RESOLUTION && bytes === 1) read.unitsPerSecond = unitsPerSecond(view.getUint8(value));
      if (code === OPTION_TIME_OFFSET && bytes === 8) read.offsetSeconds = view.getBigInt64(value, this.#littleEndian);
      option = value + bytes + (-bytes & 3);
    }
    this.#interfaces.push(read);
  }

  /** A simple packet block has no time, and belongs to the section's first interface. */
  #readSimple(view: DataView, at: number, length: number, offset: number): void {
    const from = this.#interface(0, offset);
    const snapped = from.snapBytes === 0 ? PACKET_BYTES_MAX : from.snapBytes;
    const captured = Math.min(this.#u32(view, at + 8), snapped, length - SIMPLE_BYTES_MIN);
    this.packet = readPacket(view, at + 12, captured, from, offset);
  }

  #readEnhanced(view: DataView, at: number, length: number, offset: number): void {
    const from = this.#interface(this.#u32(view, at + 8), offset);
    const captured = this.#u32(view, at + 20);
    if (captured > length - ENHANCED_BYTES_MIN)
      throw captureFault(offset + 20, `a packet of at most the block's ${length - ENHANCED_BYTES_MIN} bytes`, captured);
    this.packet = readPacket(view, at + 28, captured, from, offset);
    if (typeof this.packet === 'string') return;
    const units = (BigInt(this.#u32(view, at + 12)) << 32n) | BigInt(this.#u32(view, at + 16));
    this.packet.seconds = Number(units / from.unitsPerSecond + from.offsetSeconds);
    this.packet.nanoseconds = Number(((units % from.unitsPerSecond) * NANOSECONDS) / from.unitsPerSecond);
  }

  #interface(index: number, offset: number): Interface {
    const from = this.#interfaces[index];
    if (from === undefined)
      throw captureFault(offset, `a packet of one of the ${this.#interfaces.length} interfaces`, `number ${index}`);
    return from;
  }

  #u32(view: DataView, at: number): number {
    return view.getUint32(at, this.#littleEndian);
  }
}

function readPacket(view: DataView, start: number, captured: number, from: Interface, offset: number): Packet {
  if (captured > PACKET_BYTES_MAX)
    throw captureFault(offset, `a packet of at most ${PACKET_BYTES_MAX} bytes`, captured);
  // One capture may mix interfaces whose link type is known with others.
  return LINK_TYPES.includes(from.linkType) ? readLink(view, start, start + captured, from.linkType) : 'notUdp';
}

/** A power of ten, or of two where the highest bit is set. */
function unitsPerSecond(resolution: number): bigint {
  return (resolution & 0x80) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & 0x7f);
}

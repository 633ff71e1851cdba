/**
 * Reads UDP datagrams from pcap and pcapng files, and writes them to pcap. For tools and tests, never the claim path.
 *
 * The reader gets a file piece by piece and works in place (payloads are views of the pieces), so that a capture of any
 * length needs the memory of one piece and one packet. The file is hostile input: every length is checked before it is
 * used, and the first fault ends in an INPUT_INVALID that names the offset.
 * Format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html
 */
import { ClaimwireError } from './errors.ts';
import {
  type CaptureFormat,
  captureFault,
  IPV4_HEADER_BYTES,
  LINK_RAW,
  LINK_TYPES,
  PACKET_BYTES_MAX,
  type Packet,
  type PcapSkipped,
  PROTOCOL_UDP,
  readLink,
  UDP_HEADER_BYTES,
  type UdpDatagram,
} from './pcap-packet.ts';
import { PCAPNG_SECTION_HEADER, PcapngFormat } from './pcapng.ts';

export type { PcapSkipped, UdpDatagram } from './pcap-packet.ts';

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;

/** Whether `bytes` begin like a capture file of either kind, rather than text. */
export function looksLikeCapture(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 4);
  const known = [MAGIC_MICROSECONDS, MAGIC_NANOSECONDS, PCAPNG_SECTION_HEADER];
  return known.includes(view.getUint32(0)) || known.includes(view.getUint32(0, true));
}

/**
 * Yields the UDP datagrams of a whole capture in file order.
 * @param skipped counts the packets that are no UDP datagrams
 * @throws ClaimwireError INPUT_INVALID, see PcapReader
 */
export function* readPcap(bytes: Uint8Array, skipped: PcapSkipped): Generator<UdpDatagram, void, undefined> {
  const reader = new PcapReader(skipped);
  yield* reader.push(bytes);
  reader.end();
}

/**
 * Reads a capture of either kind piece by piece. Checksums are not checked: a capture taken on the sending host holds
 * unfinished ones. Both calls throw ClaimwireError INPUT_INVALID; its `details.offset` is the first faulty byte.
 */
export class PcapReader {
  readonly #skipped: PcapSkipped;
  #format: CaptureFormat | undefined;
  /** Bytes of the next, still incomplete record, and their offset in the file. */
  #bytes: Uint8Array = new Uint8Array(0);
  #offset = 0;

  /** @param skipped counts the packets that are no UDP datagrams */
  constructor(skipped: PcapSkipped) {
    this.#skipped = skipped;
  }

  /** Yields the datagrams that this piece completes. The piece must not change while they are in use. */
  *push(piece: Uint8Array): Generator<UdpDatagram, void, undefined> {
    const bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
    this.#bytes = bytes;
    if (this.#format === undefined && bytes.length < FILE_HEADER_BYTES) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#format ??= formatOf(view);
    const begin = this.#offset;
    let at = 0;
    for (;;) {
      const read = this.#format.next(view, at, begin + at);
      if (read === 0) break;
      const { packet } = this.#format;
      at += read;
      if (typeof packet === 'string') this.#skipped[packet] += 1;
      else if (packet !== undefined) yield packet;
    }
    // A copy, so that the piece can be freed.
    this.#bytes = Uint8Array.from(bytes.subarray(at));
    this.#offset = begin + at;
  }

  /** Says that the file ends here. */
  end(): void {
    const { length } = this.#bytes;
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, length);
    const format = this.#format ?? formatOf(view);
    if (length > 0) throw format.cut(view, this.#offset);
  }
}

function formatOf(view: DataView): CaptureFormat {
  if (view.byteLength >= 4 && view.getUint32(0) === PCAPNG_SECTION_HEADER) return new PcapngFormat();
  return new PcapFormat(view);
}

/** Classic pcap: a file header, then records. */
class PcapFormat implements CaptureFormat {
  packet: Packet | undefined;
  readonly #littleEndian: boolean;
  readonly #nanosecondsPerUnit: number;
  readonly #linkType: number;
  #isHeaderRead = false;

  constructor(view: DataView) {
    if (view.byteLength < FILE_HEADER_BYTES)
      throw captureFault(0, `a ${FILE_HEADER_BYTES}-byte pcap header`, `${view.byteLength} bytes`);
    const magic = view.getUint32(0);
    this.#littleEndian = magic !== MAGIC_MICROSECONDS && magic !== MAGIC_NANOSECONDS;
    const oriented = view.getUint32(0, this.#littleEndian);
    if (oriented !== MAGIC_MICROSECONDS && oriented !== MAGIC_NANOSECONDS)
      throw captureFault(0, 'the magic number of a pcap file', `0x${magic.toString(16).padStart(8, '0')}`);
    this.#nanosecondsPerUnit = oriented === MAGIC_NANOSECONDS ? 1 : 1000;
    // The upper 16 bits give the length of a frame check sequence, which follows the IP packet and is ignored.
    this.#linkType = view.getUint32(20, this.#littleEndian) & 0xffff;
    if (!LINK_TYPES.includes(this.#linkType))
      throw captureFault(20, `one of the link types ${LINK_TYPES.join(', ')}`, this.#linkType);
  }

  next(view: DataView, at: number, offset: number): number {
    this.packet = undefined;
    if (!this.#isHeaderRead) {
      this.#isHeaderRead = true;
      return FILE_HEADER_BYTES;
    }
    if (at + RECORD_HEADER_BYTES > view.byteLength) return 0;
    const captured = view.getUint32(at + 8, this.#littleEndian);
    if (captured > PACKET_BYTES_MAX)
      throw captureFault(offset + 8, `a packet of at most ${PACKET_BYTES_MAX} bytes`, captured);
    const start = at + RECORD_HEADER_BYTES;
    if (start + captured > view.byteLength) return 0;
    const packet = readLink(view, start, start + captured, this.#linkType);
    if (typeof packet !== 'string') {
      packet.seconds = view.getUint32(at, this.#littleEndian);
      packet.nanoseconds = view.getUint32(at + 4, this.#littleEndian) * this.#nanosecondsPerUnit;
    }
    this.packet = packet;
    return RECORD_HEADER_BYTES + captured;
  }

  cut(view: DataView, offset: number): ClaimwireError {
    const length = view.byteLength;
    if (length < RECORD_HEADER_BYTES)
      return captureFault(offset, `a ${RECORD_HEADER_BYTES}-byte record header`, `${length} bytes`);
    const captured = view.getUint32(8, this.#littleEndian);
    const got = `${length - RECORD_HEADER_BYTES} before the end of the file`;
    return captureFault(offset + RECORD_HEADER_BYTES, `${captured} bytes of packet`, got);
  }
}

/** A datagram that can be written to a capture: IPv4 only. */
export type Ipv4Datagram = Omit<UdpDatagram, 'missingBytes'>;

/** A capture file (nanoseconds, raw IP, little-endian) that holds `datagrams`, with sound lengths and checksums. */
export function writePcap(datagrams: readonly Ipv4Datagram[]): Uint8Array {
  const overhead = RECORD_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
  const total = datagrams.reduce((sum, { payload }) => sum + overhead + payload.length, FILE_HEADER_BYTES);
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC_NANOSECONDS, true);
  view.setUint16(4, 2, true); // version 2.4
  view.setUint16(6, 4, true);
  view.setUint32(16, PACKET_BYTES_MAX, true);
  view.setUint32(20, LINK_RAW, true);
  let offset = FILE_HEADER_BYTES;
  for (const datagram of datagrams) {
    const packetBytes = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + datagram.payload.length;
    if (packetBytes > 0xffff)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `payload: expected at most 65507 bytes for IPv4, got ${datagram.payload.length}`,
      );
    view.setUint32(offset, datagram.seconds, true);
    view.setUint32(offset + 4, datagram.nanoseconds, true);
    view.setUint32(offset + 8, packetBytes, true);
    view.setUint32(offset + 12, packetBytes, true);
    writeIpv4Udp(view, offset + RECORD_HEADER_BYTES, datagram);
    offset += RECORD_HEADER_BYTES + packetBytes;
  }
  return bytes;
}

function writeIpv4Udp(view: DataView, ip: number, datagram: Ipv4Datagram): void {
  const udp = ip + IPV4_HEADER_BYTES;
  const udpBytes = UDP_HEADER_BYTES + datagram.payload.length;
  view.setUint8(ip, 0x45);
  view.setUint16(ip + 2, IPV4_HEADER_BYTES + udpBytes);
  view.setUint8(ip + 8, 64); // hops
  view.setUint8(ip + 9, PROTOCOL_UDP);
  writeIpv4Address(view, ip + 12, datagram.source);
  writeIpv4Address(view, ip + 16, datagram.target);
  view.setUint16(ip + 10, checksum(view, ip, IPV4_HEADER_BYTES, 0));
  view.setUint16(udp, datagram.sourcePort);
  view.setUint16(udp + 2, datagram.targetPort);
  view.setUint16(udp + 4, udpBytes);
  new Uint8Array(view.buffer, view.byteOffset + udp + UDP_HEADER_BYTES).set(datagram.payload);
  // The pseudo-header adds both addresses, the protocol and the length. On the wire 0 means "no checksum", so 0 becomes FFFF.
  view.setUint16(udp + 6, checksum(view, ip + 12, 8 + udpBytes, PROTOCOL_UDP + udpBytes) || 0xffff);
}

function writeIpv4Address(view: DataView, offset: number, text: string): void {
  const parts = text.split('.').map(Number);
  const sound = parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);
  if (!sound) throw new ClaimwireError('INPUT_INVALID', `address: expected IPv4 like 127.0.0.1, got ${text}`);
  for (let index = 0; index < 4; index++) view.setUint8(offset + index, parts[index]!);
}

/** The internet checksum (RFC 1071) of `length` bytes, on top of `sum`. */
function checksum(view: DataView, offset: number, length: number, sum: number): number {
  let total = sum;
  for (let index = 0; index + 1 < length; index += 2) total += view.getUint16(offset + index);
  if (length % 2 === 1) total += view.getUint8(offset + length - 1) * 256;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

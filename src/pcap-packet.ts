/**
 * Finds the UDP datagram in a captured link-layer frame, in place. For tools and tests, never the claim path. The frame is
 * hostile input: a packet that makes no sense is skipped and counted.
 */

import { ClaimwireError } from './errors.ts';

/** The longest packet that libpcap itself accepts (MAXIMUM_SNAPLEN). */
export const PACKET_BYTES_MAX = 262_144;

/** A file format of captures: records or blocks, one after the other. */
export interface CaptureFormat {
  /** The packet in the record that was read last; undefined where the record held none. */
  readonly packet: Packet | undefined;
  /**
   * Reads the record at `at`, which is byte `offset` of the file.
   * @returns its length in bytes, or 0 where `view` does not hold all of it yet
   */
  next(view: DataView, at: number, offset: number): number;
  /** The error for a file that ends in an incomplete record, `view`. */
  cut(view: DataView, offset: number): ClaimwireError;
}

export function captureFault(offset: number, expected: string, got: string | number): ClaimwireError {
  const message = `capture, byte ${offset}: expected ${expected}, got ${got}; capture again or cut the file there`;
  return new ClaimwireError('INPUT_INVALID', message, { offset });
}

/** A UDP datagram as captured. */
export interface UdpDatagram {
  /** When it was captured, seconds since 1970 and the nanoseconds after that. */
  seconds: number;
  nanoseconds: number;
  source: string;
  sourcePort: number;
  target: string;
  targetPort: number;
  payload: Uint8Array;
  /** Payload bytes that were on the wire but not captured, because of a snap length. */
  missingBytes: number;
}

/** Packets that a reader skipped, by reason. */
export interface PcapSkipped {
  /** ARP, TCP, ICMP and the like, and packets too damaged to tell. */
  notUdp: number;
  /** IP fragments: datagrams that were fragmented on their way are not reassembled. */
  fragment: number;
}

/** A UDP datagram, or why the packet was skipped. */
export type Packet = UdpDatagram | keyof PcapSkipped;

const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
/** Bytes before the IP packet, by link type: BSD loopback (0 and 108), Ethernet, raw IP, and Linux "any" (113 and 276). */
const LINK_HEADER_BYTES: Readonly<Record<number, number>> = {
  0: 4,
  [LINK_ETHERNET]: 14,
  [LINK_RAW]: 0,
  108: 4,
  113: 16,
  276: 20,
};
export const LINK_TYPES: readonly number[] = Object.keys(LINK_HEADER_BYTES).map(Number);

const VLAN_TAGS: readonly number[] = [0x8100, 0x88a8];
const VLAN_TAGS_MAX = 2;
export const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const IPV6_EXTENSIONS_MAX = 8;
export const UDP_HEADER_BYTES = 8;
export const PROTOCOL_UDP = 17;

/** Finds the IP packet in a link-layer frame. The IP version is read from the packet itself. */
export function readLink(view: DataView, start: number, end: number, linkType: number): Packet {
  let ip = start + LINK_HEADER_BYTES[linkType]!;
  let isIp = true;
  if (linkType === LINK_ETHERNET) {
    for (let tags = 0; tags < VLAN_TAGS_MAX && ip <= end; tags++) {
      if (!VLAN_TAGS.includes(view.getUint16(ip - 2))) break;
      ip += 4;
    }
    const type = ip <= end ? view.getUint16(ip - 2) : 0;
    isIp = type === 0x0800 || type === 0x86dd;
  }
  const version = isIp && ip < end ? view.getUint8(ip) >> 4 : 0;
  if (version === 4 && ip + IPV4_HEADER_BYTES <= end) return readIpv4(view, ip, end);
  if (version === 6 && ip + IPV6_HEADER_BYTES <= end) return readIpv6(view, ip, end);
  return 'notUdp';
}

function readIpv4(view: DataView, ip: number, end: number): Packet {
  const headerBytes = (view.getUint8(ip) & 0x0f) * 4;
  if (view.getUint8(ip + 9) !== PROTOCOL_UDP || headerBytes < IPV4_HEADER_BYTES) return 'notUdp';
  // Either more fragments follow (0x2000), or this one is not the first (its offset is in the 13 bits below).
  if ((view.getUint16(ip + 6) & 0x3fff) !== 0) return 'fragment';
  return readUdp(view, ip + headerBytes, end, ipv4Text(view, ip + 12), ipv4Text(view, ip + 16));
}

function readIpv6(view: DataView, ip: number, end: number): Packet {
  let next = view.getUint8(ip + 6);
  let offset = ip + IPV6_HEADER_BYTES;
  for (let extensions = 0; extensions < IPV6_EXTENSIONS_MAX && offset + 8 <= end; extensions++) {
    if (next === 44) return 'fragment';
    // Hop-by-hop, routing and destination options: the length is in units of 8 bytes, without the first unit.
    if (next !== 0 && next !== 43 && next !== 60) break;
    next = view.getUint8(offset);
    offset += (view.getUint8(offset + 1) + 1) * 8;
  }
  return next === PROTOCOL_UDP ? readUdp(view, offset, end, ipv6Text(view, ip + 8), ipv6Text(view, ip + 24)) : 'notUdp';
}

function readUdp(view: DataView, udp: number, end: number, source: string, target: string): Packet {
  const udpBytes = udp + UDP_HEADER_BYTES <= end ? view.getUint16(udp + 4) : 0;
  if (udpBytes < UDP_HEADER_BYTES) return 'notUdp';
  // Bytes after the UDP length are padding of the link (short Ethernet frames).
  const payloadEnd = Math.min(udp + udpBytes, end);
  return {
    seconds: 0,
    nanoseconds: 0,
    source,
    sourcePort: view.getUint16(udp),
    target,
    targetPort: view.getUint16(udp + 2),
    payload: new Uint8Array(view.buffer, view.byteOffset + udp + UDP_HEADER_BYTES, payloadEnd - udp - UDP_HEADER_BYTES),
    missingBytes: udp + udpBytes - payloadEnd,
  };
}

function ipv4Text(view: DataView, offset: number): string {
  return [0, 1, 2, 3].map((index) => view.getUint8(offset + index)).join('.');
}

/** In the form of RFC 5952, which is also that of a URL's host. */
function ipv6Text(view: DataView, offset: number): string {
  const groups = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => view.getUint16(offset + 2 * index).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

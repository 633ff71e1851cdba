/**
 * From a captured link-layer frame to the UDP datagram in it, in place. For tools and tests, never the claim path. The
 * frame is hostile input: what makes no sense is passed over and counted.
 */

import { ClaimwireError } from './errors.ts';

/** What libpcap itself takes as the longest sensible packet (MAXIMUM_SNAPLEN). */
export const PACKET_BYTES_MAX = 262_144;

/** A file format of captures: its records or blocks, one after the other. */
export interface CaptureFormat {
  /** What the record that was read last holds, if it is a UDP datagram. */
  readonly datagram: UdpDatagram | undefined;
  /**
   * Reads what lies at `at`, which is byte `offset` of the file.
   * @returns how many bytes that was; 0 where it is not whole yet
   */
  next(view: DataView, at: number, offset: number, skipped: PcapSkipped): number;
  /** The fault of a file that ends with `view`, which is less than whole. */
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
  /** Payload bytes that were on the wire but not captured (a snap length cut them off). */
  missingBytes: number;
}

/** Packets a reader passed over, by reason. */
export interface PcapSkipped {
  /** ARP, TCP, ICMP and the like, and packets too mangled to tell. */
  notUdp: number;
  /** IP fragments: a datagram over the path's MTU is not put together again. */
  fragment: number;
}

const LINK_NULL = 0;
const LINK_ETHERNET = 1;
export const LINK_RAW = 101;
const LINK_LOOP = 108;
const LINK_LINUX_SLL = 113;
const LINK_LINUX_SLL2 = 276;
export const LINK_TYPES: readonly number[] = [
  LINK_NULL,
  LINK_ETHERNET,
  LINK_RAW,
  LINK_LOOP,
  LINK_LINUX_SLL,
  LINK_LINUX_SLL2,
];

const VLAN_TAGS: readonly number[] = [0x8100, 0x88a8];
const VLAN_TAGS_MAX = 2;
export const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const IPV6_EXTENSIONS_MAX = 8;
export const UDP_HEADER_BYTES = 8;
export const PROTOCOL_UDP = 17;

/** Finds the IP packet in a link-layer frame. The IP version is read from the packet itself. */
export function readLink(
  view: DataView,
  start: number,
  end: number,
  linkType: number,
  skipped: PcapSkipped,
): UdpDatagram | undefined {
  let ip = start;
  if (linkType === LINK_NULL || linkType === LINK_LOOP) ip += 4;
  else if (linkType === LINK_LINUX_SLL) ip += 16;
  else if (linkType === LINK_LINUX_SLL2) ip += 20;
  else if (linkType === LINK_ETHERNET) {
    ip += 14;
    for (let tags = 0; tags < VLAN_TAGS_MAX && ip <= end; tags++) {
      if (!VLAN_TAGS.includes(view.getUint16(ip - 2))) break;
      ip += 4;
    }
  }
  const type = linkType === LINK_ETHERNET && ip <= end ? view.getUint16(ip - 2) : 0;
  const isIp = linkType !== LINK_ETHERNET || type === 0x0800 || type === 0x86dd;
  const version = isIp && ip < end ? view.getUint8(ip) >> 4 : 0;
  if (version === 4 && ip + IPV4_HEADER_BYTES <= end) return readIpv4(view, ip, end, skipped);
  if (version === 6 && ip + IPV6_HEADER_BYTES <= end) return readIpv6(view, ip, end, skipped);
  skipped.notUdp += 1;
  return undefined;
}

function readIpv4(view: DataView, ip: number, end: number, skipped: PcapSkipped): UdpDatagram | undefined {
  const headerBytes = (view.getUint8(ip) & 0x0f) * 4;
  const fragment = view.getUint16(ip + 6);
  if (view.getUint8(ip + 9) !== PROTOCOL_UDP || headerBytes < IPV4_HEADER_BYTES) {
    skipped.notUdp += 1;
    return undefined;
  }
  // Either more fragments follow (0x2000) or this one does not lie at the front (the 13 bits below).
  if ((fragment & 0x3fff) !== 0) {
    skipped.fragment += 1;
    return undefined;
  }
  return readUdp(view, ip + headerBytes, end, ipv4Text(view, ip + 12), ipv4Text(view, ip + 16), skipped);
}

function readIpv6(view: DataView, ip: number, end: number, skipped: PcapSkipped): UdpDatagram | undefined {
  let next = view.getUint8(ip + 6);
  let offset = ip + IPV6_HEADER_BYTES;
  for (let extensions = 0; extensions < IPV6_EXTENSIONS_MAX && offset + 8 <= end; extensions++) {
    if (next === 44) {
      skipped.fragment += 1;
      return undefined;
    }
    // Hop-by-hop, routing and destination options: length in units of 8 bytes, not counting the first.
    if (next !== 0 && next !== 43 && next !== 60) break;
    next = view.getUint8(offset);
    offset += (view.getUint8(offset + 1) + 1) * 8;
  }
  if (next !== PROTOCOL_UDP) {
    skipped.notUdp += 1;
    return undefined;
  }
  return readUdp(view, offset, end, ipv6Text(view, ip + 8), ipv6Text(view, ip + 24), skipped);
}

function readUdp(
  view: DataView,
  udp: number,
  end: number,
  source: string,
  target: string,
  skipped: PcapSkipped,
): UdpDatagram | undefined {
  const udpBytes = udp + UDP_HEADER_BYTES <= end ? view.getUint16(udp + 4) : 0;
  if (udpBytes < UDP_HEADER_BYTES) {
    skipped.notUdp += 1;
    return undefined;
  }
  // What lies behind the UDP length is padding of the link (short Ethernet frames).
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

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function ipv6Text(view: DataView, offset: number): string {
  const groups = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => view.getUint16(offset + 2 * index).toString(16));
  let runStart = 0;
  let runLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === '0') length += 1;
    if (length > runLength) {
      runStart = start;
      runLength = length;
    }
  }
  if (runLength === 1) return groups.join(':');
  return `${groups.slice(0, runStart).join(':')}::${groups.slice(runStart + runLength).join(':')}`;
}

/**
 * Addresses as the five words a slot's source block holds (ring/slot.ts): port and transport, then 16 address bytes.
 *
 * dgram gives and takes addresses as strings; both directions are cached, bounded, because a peer sends many times.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { SOURCE_WORDS } from '../ring/slot.ts';

/** Entries before a cache starts over: bounds what a flood of spoofed sources can make us remember. */
const CACHE_ENTRIES_MAX = 4_096;
const V4_MAPPED_WORD = 0xffff_0000; // bytes 00 00 ff ff read in machine order

/** Word 0: one byte that is not ours, the transport id, the port. Machine order is little-endian everywhere we run. */
export function sourceHead(transportId: number, port: number): number {
  return ((port << 16) | (transportId << 8)) >>> 0;
}
export function sourceTransport(head: number): number {
  return (head >>> 8) & 0xff;
}
export function sourcePort(head: number): number {
  return head >>> 16;
}

export class SourceCodec {
  readonly #words = new Map<string, Uint32Array>();
  readonly #texts = new Map<string | number, string>();

  /** Writes the address words (1..4) of `address` into `source`. */
  parse(address: string, source: Uint32Array): void {
    let words = this.#words.get(address);
    if (words === undefined) {
      words = addressWords(address);
      if (this.#words.size >= CACHE_ENTRIES_MAX) this.#words.clear();
      this.#words.set(address, words);
    }
    for (let index = 1; index < SOURCE_WORDS; index++) source[index] = words[index]!;
  }

  /** The address in `words[at..at+4]` as text; an IPv4 one behind `v4Prefix`, the same in every call. */
  format(words: Uint32Array, at: number, v4Prefix: string): string {
    const isV4 = isV4Mapped(words, at);
    const key = isV4 ? words[at + 4]! : `${words[at + 1]}:${words[at + 2]}:${words[at + 3]}:${words[at + 4]}`;
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = isV4 ? v4Prefix + addressText(words, at) : addressText(words, at);
      if (this.#texts.size >= CACHE_ENTRIES_MAX) this.#texts.clear();
      this.#texts.set(key, text);
    }
    return text;
  }
}

function isV4Mapped(words: Uint32Array, at: number): boolean {
  return words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === V4_MAPPED_WORD;
}

/** The address as words 1..4; word 0 is left 0. Link-local zones (`%eth0`) are not carried. */
function addressWords(address: string): Uint32Array {
  const words = new Uint32Array(SOURCE_WORDS);
  const bytes = new Uint8Array(words.buffer, 4, 16);
  const plain = address.split('%', 1)[0]!;
  if (isIPv4(plain)) {
    bytes.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    bytes.set(plain.split('.').map(Number), 12);
  } else if (isIPv6(plain)) {
    bytes.set(ipv6Bytes(plain));
  }
  return words;
}

function ipv6Bytes(address: string): number[] {
  const dotted = address.lastIndexOf('.') > 0 ? address.slice(address.lastIndexOf(':') + 1) : '';
  const text = dotted === '' ? address : address.slice(0, -dotted.length) + dottedAsHex(dotted);
  const [head, tail] = text.split('::') as [string, string | undefined];
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >>> 8, group & 0xff]);
}

function dottedAsHex(dotted: string): string {
  const [a, b, c, d] = dotted.split('.').map(Number) as [number, number, number, number];
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

function addressText(words: Uint32Array, at: number): string {
  const bytes = new Uint8Array(words.slice(at + 1, at + SOURCE_WORDS).buffer);
  if (isV4Mapped(words, at)) return bytes.subarray(12).join('.');
  const groups: string[] = [];
  for (let index = 0; index < 16; index += 2) groups.push(((bytes[index]! << 8) | bytes[index + 1]!).toString(16));
  return groups.join(':');
}

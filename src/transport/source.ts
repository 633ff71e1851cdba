/**
 * Sources as five words (ring/slot.ts): port and transport, then the 16 bytes of the address.
 *
 * dgram uses addresses as strings. Both directions are cached, since a peer sends many times.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { SOURCE_WORDS } from '../ring/slot.ts';

/** A cache starts over at this size, so that a flood of spoofed sources cannot make it grow. */
const CACHE_ENTRIES_MAX = 4_096;
const V4_MAPPED_WORD = 0xffff_0000; // the bytes 00 00 ff ff in machine order

/** Word 0: a byte of the claim, the transport's id, the port. Every supported machine is little-endian. */
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

  /** The address of the source at `words[at]` as text; `v4Prefix` comes before IPv4 and must not change between calls. */
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

export function isV4Mapped(words: Uint32Array, at: number): boolean {
  return words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === V4_MAPPED_WORD;
}

/** The address as words 1 to 4; word 0 is 0. The zone of a link-local address (`%eth0`) is dropped. */
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
  // The URL parser writes a dotted end (`::ffff:10.1.2.3`) in hexadecimal groups as well.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = [], right = []] = text
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))));
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >>> 8, group & 0xff]);
}

function addressText(words: Uint32Array, at: number): string {
  const bytes = new Uint8Array(words.slice(at + 1, at + SOURCE_WORDS).buffer);
  if (isV4Mapped(words, at)) return bytes.subarray(12).join('.');
  const groups: string[] = [];
  for (let index = 0; index < 16; index += 2) groups.push(((bytes[index]! << 8) | bytes[index + 1]!).toString(16));
  return groups.join(':');
}

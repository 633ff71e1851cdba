/** Hashes of sources and of their networks, so simple that a packet filter can compute them too (packet-filter.ts). Any thread. */
import { SOURCE_WORDS } from '../ring/slot.ts';
import { isV4Mapped, sourcePort } from './source.ts';

export const HASH_WORD = 0x9e37_79b1;

/** One step: takes in a word. The highest bits of the result are the best. */
export function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, HASH_WORD);
  return (product ^ (product >>> 15)) >>> 0;
}

/** Of address and port of the source at `words[at]`. */
export function sourceHash(seed: number, words: Uint32Array, at: number): number {
  let hash = seed;
  for (let word = isV4Mapped(words, at) ? 4 : 1; word < SOURCE_WORDS; word++)
    hash = mixed(hash, networkOrder(words[at + word]!));
  return mixed(hash, sourcePort(words[at]!));
}

/** Of its network: IPv4 /24, IPv6 /48. */
export function networkHash(seed: number, words: Uint32Array, at: number): number {
  if (isV4Mapped(words, at)) return mixed(v4Seed(seed), networkOrder(words[at + 4]!) >>> 8);
  return mixed(mixed(v6Seed(seed), networkOrder(words[at + 1]!)), networkOrder(words[at + 2]!) >>> 16);
}
export function v4Seed(seed: number): number {
  return mixed(seed, 4);
}
export function v6Seed(seed: number): number {
  return mixed(seed, 6);
}

/** The number that a packet's bytes stand for; every supported machine is little-endian. */
function networkOrder(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/**
 * The nodes that a payer is told of, and which places of a route it may use. Pure.
 *
 * A place is used only if its scheme is that of a seed: a payer that was given `tls://` wants authenticated answers, and no
 * map may lead it to another kind of path. `auto://` uses the places of `udp://`, where it tries TCP on the same port.
 */
import { parseNodeAddress } from '../../host-port.ts';
import { invalid } from '../claim-errors.ts';

/** Of the addresses that a payer is given. */
const SEEDS_MAX = 16;

const SCHEMES = ['udp', 'tcp', 'tls', 'auto'] as const;

/**
 * `udp://a:1,b:2` or a list of such texts as single addresses: an address without a scheme has that of the one before it.
 * Throws INPUT_INVALID for none, too many, or an empty one; what an address is, is checked where it is opened.
 */
export function parseSeeds(to: string | readonly string[]): string[] {
  const seeds: string[] = [];
  for (const text of typeof to === 'string' ? [to] : to) {
    let scheme = '';
    for (const part of text.split(',')) {
      const prefix = /^[a-z+]+:\/\//i.exec(part)?.[0];
      scheme = prefix ?? scheme;
      const seed = prefix === undefined ? scheme + part : part;
      if (part === '' && text !== '')
        throw invalid(`to: expected addresses with a comma between each two, got ${text}`);
      if (!seeds.includes(seed)) seeds.push(seed);
    }
  }
  if (seeds.length === 0 || seeds.length > SEEDS_MAX)
    throw invalid(`to: expected 1 to ${SEEDS_MAX} addresses, got ${seeds.length}`);
  return seeds;
}

/** Which places a payer with these seeds may use, and as what: the address to open, or undefined. */
export function placeFilter(seeds: readonly string[]): (place: string) => string | undefined {
  const schemes = new Set(seeds.map((seed) => parseNodeAddress(seed, SCHEMES, 'to').scheme));
  return (place) => {
    try {
      const { scheme } = parseNodeAddress(place, SCHEMES, 'place');
      if (scheme === 'udp' && schemes.has('auto') && !schemes.has('udp')) return `auto${place.slice(3)}`;
      return scheme !== 'auto' && schemes.has(scheme) ? place : undefined;
    } catch {
      return undefined;
    }
  };
}

/**
 * The same for nodes that are reached by the web: a place `wss://HOST:PORT` or `ws://HOST:PORT` is a node's `--web` listener,
 * and is used as the seeds are, by WebRTC, by a WebSocket or by both; with TLS where they have it.
 */
export function webPlaceFilter(seeds: readonly string[]): (place: string) => string | undefined {
  const [, kind = '', secure = ''] = /^(webrtc\+http|http|ws)(s?):/i.exec(seeds[0] ?? '') ?? [];
  return (place) => {
    const [, s, address] = /^ws(s?):\/\/([^/@]+)$/.exec(place) ?? [];
    return s === secure.toLowerCase() && address !== undefined ? `${kind}${s}://${address}` : undefined;
  };
}

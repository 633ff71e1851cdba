/** The addresses that a payer is given, and which places of a route it may then use. */
import { describe, expect, it } from 'vitest';
import { parseSeeds, placeFilter, webPlaceFilter } from '../../../../src/client/route/seeds.ts';

describe('parseSeeds', () => {
  it.each<[string | string[], string[]]>([
    ['udp://a:1', ['udp://a:1']],
    ['udp://a:1,b:2,[::1]:3', ['udp://a:1', 'udp://b:2', 'udp://[::1]:3']],
    ['udp://a:1,tcp://b:2,c:3', ['udp://a:1', 'tcp://b:2', 'tcp://c:3']],
    [
      ['udp://a:1', 'tls://b:2,b:3'],
      ['udp://a:1', 'tls://b:2', 'tls://b:3'],
    ],
    ['udp://a:1,a:1', ['udp://a:1']],
    ['', ['']],
  ])('%s', (to, seeds) => {
    expect(parseSeeds(to)).toEqual(seeds);
  });

  it.each<[string | string[]]>([
    ['udp://a:1,'],
    ['udp://a:1,,b:1'],
    [[]],
    [Array.from({ length: 17 }, (_, i) => `udp://a:${i + 1}`)],
  ])('refuses %s', (to) => {
    expect(() => parseSeeds(to)).toThrow(/^to: expected/);
  });
});

it.each<[string[], Record<string, string | undefined>]>([
  [['udp://a:1'], { 'udp://b:1': 'udp://b:1', 'tcp://b:1': undefined, 'auto://b:1': undefined, 'udp://b': undefined }],
  [['tls://a:1'], { 'tls://b:1': 'tls://b:1', 'udp://b:1': undefined, 'tcp://b:1': undefined, 'wss://b:1': undefined }],
  [['auto://a:1'], { 'udp://b:1': 'auto://b:1', 'tcp://b:1': undefined, 'auto://b:1': undefined }],
  [['tcp://a:1', 'tls://a:1'], { 'tcp://b:1': 'tcp://b:1', 'tls://b:1': 'tls://b:1', '': undefined }],
])('of seeds %s the places of the same kind are used', (seeds, expected) => {
  const usable = placeFilter(seeds);
  for (const [place, address] of Object.entries(expected)) expect(usable(place), place).toBe(address);
});

it.each<[string, Record<string, string | undefined>]>([
  [
    'https://a',
    { 'wss://b:1': 'https://b:1', 'ws://b:1': undefined, 'https://b:1': undefined, 'udp://b:1': undefined },
  ],
  ['http://a:1', { 'ws://b:1': 'http://b:1', 'wss://b:1': undefined }],
  ['wss://a:1', { 'wss://[::1]:2': 'wss://[::1]:2', 'wss://u:p@b:1': undefined, 'wss://b:1/path': undefined }],
  ['webrtc+http://a:1', { 'ws://b:1': 'webrtc+http://b:1', 'wss://b:1': undefined }],
  ['webrtc+https://a:1', { 'wss://b:1': 'webrtc+https://b:1', '': undefined }],
])('of %s the web places are used in the same way', (seed, places) => {
  const usable = webPlaceFilter([seed]);
  for (const [place, used] of Object.entries(places)) expect(usable(place)).toBe(used);
});

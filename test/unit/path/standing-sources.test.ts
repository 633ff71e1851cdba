/** Whose datagrams a flood's filter lets pass: sources of which a claim was verified lately, less those that misbehave. */
import { beforeEach, expect, test } from 'vitest';
import { SOURCE_FAILURES_MAX, StandingSources } from '../../../src/path/standing-sources.ts';
import { STANDING_SOURCES } from '../../../src/ring/arena.ts';
import { SOURCE_WORDS } from '../../../src/ring/slot.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_TCP } from '../../../src/transport/transport.ts';
import { Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('192.0.2.1', 5_001);
const BOB = sourceOf('2001:db8::7', 5_002);
const NOW = 1_700_000_000;

let sources: StandingSources;
const found = new Uint32Array(STANDING_SOURCES * SOURCE_WORDS);
beforeEach(() => {
  sources = new StandingSources(new Rig().arena, 0, 7);
});
/** The ports of those that pass. */
function passing(nowSeconds: number): number[] {
  const count = sources.collect(nowSeconds, found);
  return Array.from({ length: count }, (_, index) => found[index * SOURCE_WORDS]! >>> 16).sort();
}

test('a source passes for a minute after each time it was noted, IPv4 or IPv6', () => {
  expect(passing(NOW)).toEqual([]);
  sources.verified(ALICE, 0, NOW);
  sources.verified(BOB, 0, NOW + 30);
  sources.verified(BOB, 0, NOW + 40);
  expect(passing(NOW + 60)).toEqual([5_001, 5_002]);
  expect(passing(NOW + 61)).toEqual([5_002]);
  expect(passing(NOW + 101)).toEqual([]);
  expect(sources.collect(NOW + 50, found)).toBe(2);
  expect([ALICE, BOB]).toContainEqual(found.slice(0, SOURCE_WORDS));
});

test('the first byte of a source belongs to a claim, and connections are no sources of datagrams', () => {
  const [claimed, connection] = [ALICE.slice(), ALICE.slice()];
  claimed[0]! |= 0x5a;
  connection[0] = sourceHead(TRANSPORT_TCP, 5_001);
  sources.verified(connection, 0, NOW);
  expect(passing(NOW)).toEqual([]);
  sources.verified(claimed, 0, NOW);
  sources.verified(ALICE, 0, NOW);
  expect(sources.collect(NOW, found)).toBe(1);
  expect(found.slice(0, SOURCE_WORDS)).toEqual(ALICE);
});

test('too much that is worth nothing in a second, and a source passes no longer in this second and the next', () => {
  for (const source of [ALICE, BOB]) sources.verified(source, 0, NOW);
  const fail = (count: number, nowSeconds: number) => {
    for (let failed = 0; failed < count; failed++) sources.failed(ALICE, 0, nowSeconds);
  };
  for (let second = 0; second < 5; second++) fail(SOURCE_FAILURES_MAX - 1, NOW + second);
  expect(passing(NOW + 4)).toEqual([5_001, 5_002]);
  fail(1, NOW + 4);
  expect(passing(NOW + 4)).toEqual([5_002]);
  // It is not enough to pay meanwhile.
  sources.verified(ALICE, 0, NOW + 5);
  expect(passing(NOW + 5)).toEqual([5_002]);
  expect(passing(NOW + 6)).toEqual([5_001, 5_002]);
});

test('failures alone make nobody known, and take no room', () => {
  for (let port = 1; port < 2_000; port++) sources.failed(sourceOf('203.0.113.1', port), 0, NOW);
  expect(passing(NOW)).toEqual([]);
});

test('of more sources than there is room for the latest pass', () => {
  const port = (index: number) => 1 + (index % 60_000);
  const source = (index: number) => sourceOf(`10.0.${Math.floor(index / 60_000)}.1`, port(index));
  for (let index = 0; index < 3 * STANDING_SOURCES; index++) sources.verified(source(index), 0, NOW + index / 1_000);
  const ports = passing(NOW + 30);
  expect(ports.length).toBeLessThanOrEqual(STANDING_SOURCES);
  expect(ports.length).toBeGreaterThan(STANDING_SOURCES * 0.95);
  const kept = new Set(ports);
  const latest = Array.from({ length: STANDING_SOURCES / 4 }, (_, back) => port(3 * STANDING_SOURCES - 1 - back));
  expect(latest.filter((each) => kept.has(each)).length).toBeGreaterThan(latest.length * 0.98);
});

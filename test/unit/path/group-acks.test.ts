/** The acks that a group owes: one a channel and source, a bounded search for it, and nothing left after `clear`. */
import { expect, test } from 'vitest';
import { CHAIN_LOOKUPS_MAX, GroupAcks } from '../../../src/path/group-acks.ts';

/** A source block whose first byte is a claim's and means nothing. */
function source(number: number, claimByte = 0): Uint32Array {
  return Uint32Array.of((number << 8) | claimByte, 0, 0, 0, number);
}
function owed(acks: GroupAcks): [number, number][] {
  return Array.from({ length: acks.count }, (_, entry) => [acks.record(entry), acks.words[acks.source(entry) + 4]!]);
}

test('many claims of one channel from one source are owed one ack', () => {
  const acks = new GroupAcks(16, new Uint32Array(3));
  for (let claim = 0; claim < 10; claim++) acks.add(0, source(7, claim), 0);
  expect(owed(acks)).toEqual([[0, 7]]);
});

test('each source of a channel, and each channel of a source, is owed its own', () => {
  const acks = new GroupAcks(16, new Uint32Array(3));
  for (const [record, from] of [
    [0, 7],
    [0, 8],
    [1, 7],
    [0, 7],
  ] as const)
    acks.add(record, source(from), 0);
  expect(owed(acks)).toEqual([
    [0, 7],
    [0, 8],
    [1, 7],
  ]);
});

test('a source is another one where the port alone differs, or any part of the address', () => {
  const acks = new GroupAcks(16, new Uint32Array(3));
  const sources = [0, 1, 2, 3, 4].map((word) => source(7).map((value, at) => (at === word ? value + 256 : value)));
  for (const from of [source(7), ...sources, ...sources, source(7)]) acks.add(0, from, 0);
  expect(acks.count).toBe(6);
});

test('a source beyond the search may be owed a second ack', () => {
  const acks = new GroupAcks(64, new Uint32Array(3));
  for (let from = 0; from <= CHAIN_LOOKUPS_MAX; from++) acks.add(0, source(from), 0);
  acks.add(0, source(CHAIN_LOOKUPS_MAX), 0);
  expect(acks.count).toBe(CHAIN_LOOKUPS_MAX + 1);
  acks.add(0, source(0), 0);
  expect(acks.count).toBe(CHAIN_LOOKUPS_MAX + 2);
});

test('after clear nothing is owed, and a record begins a new chain', () => {
  const acks = new GroupAcks(16, new Uint32Array(3));
  acks.add(3, source(7), 0);
  acks.clear();
  expect(acks.count).toBe(0);
  acks.add(3, source(7), 0);
  expect(owed(acks)).toEqual([[3, 7]]);
});

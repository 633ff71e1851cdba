import { describe, expect, test } from 'vitest';
import { type CountersJson, contradictions, countedBetween, sumsOf } from '../../../../src/load/attack/sums.ts';

const SENT = { datagrams: 10, whole: 6, emptyDatagram: 1, unknownType: 2, cutFrame: 1, claims: 40 };
const COUNTERS: CountersJson = {
  datagrams: 10,
  received: 40,
  committed: 4,
  already: 5,
  superseded: 1,
  refused: { badSignature: 20, unknownChannel: 10 },
  dropped: { emptyDatagram: 1, unknownType: 2, cutFrame: 1, socketBuffer: 0, refusalLimited: 7 },
};
const verdict = (counters: CountersJson) => contradictions(SENT, sumsOf(SENT, counters));

describe('what was sent against what a node counted', () => {
  test('everything under a reason: no contradiction', () => {
    expect(verdict(COUNTERS)).toEqual([]);
    const dropped = { ...(COUNTERS.dropped as Record<string, number>), socketBuffer: 3, unknownType: 1 };
    const fewer = { ...COUNTERS, datagrams: 7, received: 30, refused: { badSignature: 20 }, dropped };
    expect(verdict(fewer)).toEqual([]);
  });

  test.each<[string, CountersJson]>([
    ['a datagram that nobody counted', { ...COUNTERS, datagrams: 9 }],
    ['one counted twice', { ...COUNTERS, datagrams: 11 }],
    ['a claim without a reason', { ...COUNTERS, committed: 3 }],
    ['a claim with two', { ...COUNTERS, already: 6 }],
    ['a claim that was not seen in a datagram that came', { ...COUNTERS, received: 39, committed: 3 }],
    [
      'a fault that was not sent',
      { ...COUNTERS, dropped: { ...(COUNTERS.dropped as Record<string, number>), cutFrame: 2 } },
    ],
  ])('%s: said', (_name, counters) => {
    expect(verdict(counters)).not.toEqual([]);
  });

  test("the system's own count of drops goes before the node's", () => {
    expect(sumsOf(SENT, COUNTERS, 2).datagrams).toMatchObject({ kernel: 2, missing: -2 });
  });

  test('what was counted before does not count, also of reasons that are new', () => {
    const after = { datagrams: 15, refused: { badSignature: 21, overloaded: 3 }, layout: 0 };
    expect(countedBetween({ datagrams: 10, refused: { badSignature: 20 } }, after)).toEqual({
      datagrams: 5,
      refused: { badSignature: 1, overloaded: 3 },
      layout: 0,
    });
  });
});

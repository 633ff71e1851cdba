import { describe, expect, test } from 'vitest';
import { decodeClaim } from '../../../../protocol/claim.ts';
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE, WALK_WHOLE, walkFrames } from '../../../../protocol/frames.ts';
import { CLAIM_BYTES, DATAGRAM_BYTES_MAX } from '../../../../protocol/layout.ts';
import { DatagramSet, kindsFor } from '../../../../src/load/attack/datagrams.ts';
import { DATAGRAM_KINDS } from '../../../../src/load/attack/kinds.ts';
import { ThrowawayKnown } from '../../../../src/load/attack/known-channels.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import { Random } from '../../../../src/load/random.ts';

const SEED = 7;
function known(): ThrowawayKnown {
  const channels = LoadChannels.derive(SEED, 20, 4);
  for (let channel = 0; channel < channels.count; channel++) {
    channels.setSigned(channel, 1_000);
    channels.setAcknowledged(channel, 1_000);
  }
  return new ThrowawayKnown(channels, SEED, 4);
}
function make(attack: Parameters<typeof kindsFor>[0], count = 40): DatagramSet {
  const random = new Random(SEED, 'test');
  return new DatagramSet(kindsFor(attack, count, random), random, known(), 15);
}
const datagram = (set: DatagramSet, index: number) =>
  set.bytes.slice(set.offsets[index]!, set.offsets[index]! + set.lengths[index]!);
const first = (set: DatagramSet, index: number) => decodeClaim(new DataView(datagram(set, index).buffer), 0);

describe('hostile datagrams', () => {
  test('the same seed makes the same bytes', () => {
    expect(Buffer.from(make('mixed').bytes).equals(Buffer.from(make('mixed').bytes))).toBe(true);
  });

  test('mixed has every kind, and is counted as a node walks it', () => {
    const set = make('mixed', 512);
    expect(new Set(set.kinds).size).toBe(DATAGRAM_KINDS.length);
    const ends = { [WALK_WHOLE]: 0, [WALK_EMPTY]: 0, [WALK_UNKNOWN_TYPE]: 0, [WALK_CUT_FRAME]: 0 };
    let claims = 0;
    const sink = { claim: () => claims++, ack: () => {} };
    for (let index = 0; index < 300; index++) {
      const bytes = datagram(set, index);
      ends[walkFrames(bytes, 0, bytes.length, sink)]++;
    }
    expect(set.contents(300)).toEqual({
      datagrams: 300,
      whole: ends[WALK_WHOLE],
      emptyDatagram: ends[WALK_EMPTY],
      unknownType: ends[WALK_UNKNOWN_TYPE],
      cutFrame: ends[WALK_CUT_FRAME],
      claims,
    });
    expect(Object.values(ends).every((count) => count > 0)).toBe(true);
  });

  test('a refresh makes forged signatures others, and moves nothing else', () => {
    const set = make('invalid-signatures');
    const before = first(set, 3);
    set.refresh();
    const after = first(set, 3);
    expect(after.signature).not.toEqual(before.signature);
    expect({ ...after, signature: before.signature }).toEqual(before);
    expect(after.amount).toBeGreaterThan(1_000n);
  });

  test('doubles are copies of one claim, and a refresh signs the next amount', () => {
    const set = make('doubled', 4);
    const bytes = datagram(set, 0);
    expect(bytes.length).toBe(15 * CLAIM_BYTES);
    expect(bytes.slice(0, CLAIM_BYTES)).toEqual(bytes.slice(14 * CLAIM_BYTES));
    const before = first(set, 0).amount;
    set.refresh();
    expect(first(set, 0).amount).toBeGreaterThan(before);
  });

  test('stale claims are of amounts that are committed, and junk is of any length that a datagram can have', () => {
    expect(first(make('stale'), 0).amount).toBeLessThanOrEqual(1_000n);
    const { lengths } = make('junk', 400);
    expect(Math.min(...lengths)).toBeLessThan(1_000);
    expect(Math.max(...lengths)).toBeGreaterThan(64_000);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(DATAGRAM_BYTES_MAX);
  });

  test('in other memory they go on as before', () => {
    const set = make('invalid-signatures');
    const memory = new Uint8Array(set.bytes.length + 8).subarray(8);
    const before = first(set, 0);
    set.moveTo(memory);
    expect(first(set, 0)).toEqual(before);
    set.refresh();
    expect(decodeClaim(new DataView(memory.buffer, 8), 0).signature).not.toEqual(before.signature);
  });
});

/**
 * `--verify newest` against `every` on the same claims: what is committed is the same, only what was seen valid is ever
 * committed or counted, and slots that are no longer the verifier's are left alone.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { xrplPreimage } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, SIGNATURE_BYTES, STATUS } from '../../../protocol/layout.ts';
import type { Arena } from '../../../src/ring/arena.ts';
import type { ClaimRing } from '../../../src/ring/claim-ring.ts';
import {
  isJudged,
  SLOT_VERDICT,
  VERDICT_HELD,
  VERDICT_INVALID,
  VERDICT_PENDING,
  VERDICT_VALID,
} from '../../../src/ring/slot.ts';
import { NewestBackend } from '../../../src/verify/newest-backend.ts';
import { createBackend } from '../../../src/verify/select.ts';
import { claimOf, Rig, StubBackend, sourceOf } from '../../support/rig.ts';
import { ThrowawayChannel, withBadSignature } from '../../support/throwaway-claims.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const BOB = sourceOf('127.0.0.2', 5002);
const KERNEL = { cacheBytes: 1, threads: 1, thread: 0 };

/** Judges as the rig's own backend does, but only what is pending, and remembers what it looked at. */
class RecordingBackend extends StubBackend {
  /** Signatures judged, by verdict. */
  readonly valid: string[] = [];
  readonly invalid: string[] = [];
  /** Called behind each pass over a batch. */
  afterPass: (first: number) => void = () => {};
  passes = 0;

  constructor(arena: Arena, ring: ClaimRing, batchMax: number) {
    const verdictOf = (slot: number): number | undefined => {
      if (Atomics.load(arena.ints, (slot + SLOT_VERDICT) >>> 2) !== VERDICT_PENDING) return undefined;
      const isValid = (arena.bytes[slot + CLAIM_SIGNATURE]! & 1) === 0;
      (isValid ? this.valid : this.invalid).push(signatureHex(arena.bytes, slot));
      return isValid ? VERDICT_VALID : VERDICT_INVALID;
    };
    super(arena, ring, verdictOf, batchMax);
  }

  override verifySlots(first: number, count: number): void {
    this.passes++;
    super.verifySlots(first, count);
    this.afterPass(first);
  }
}

function signatureHex(bytes: Uint8Array, claim: number): string {
  const start = claim + CLAIM_SIGNATURE;
  return Buffer.from(bytes.slice(start, start + SIGNATURE_BYTES)).toString('hex');
}

/** A rig that verifies by `policy`, and what its backend looked at. */
function rigOf(policy: 'every' | 'newest', batchMax = 64): { rig: Rig; judged: RecordingBackend } {
  let judged: RecordingBackend | undefined;
  const rig = new Rig({
    backend: (arena, ring, table) => {
      judged = new RecordingBackend(arena, ring, batchMax);
      return policy === 'every' ? judged : new NewestBackend(judged, arena, ring, table);
    },
  });
  return { rig, judged: judged! };
}

function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % bound;
  };
}

/** All the claims of a batch in the ring before the verifier looks at any. */
function together(rig: Rig, claims: readonly Uint8Array[], from = ALICE): void {
  for (const claim of claims) rig.datagram(claim, from);
  rig.turn();
}

const statuses = (rig: Rig) => rig.takeAcks().map(({ status, amount }) => [status, amount]);

describe('of a channel’s claims in one batch', () => {
  test('the newest alone is verified, and supersedes the older ones', () => {
    const { rig, judged } = rigOf('newest');
    rig.open({ channelId: 1n });
    rig.open({ channelId: 2n });
    together(rig, [
      claimOf({ channelId: 1n, amount: 3n }),
      claimOf({ channelId: 2n, amount: 9n }),
      claimOf({ channelId: 1n, amount: 4n }, false),
      claimOf({ channelId: 1n, amount: 5n }),
    ]);
    expect(statuses(rig)).toEqual([
      [STATUS.COMMITTED, 9n],
      [STATUS.COMMITTED, 5n],
    ]);
    expect([rig.counter('verified'), rig.counter('superseded'), rig.counter('committed')]).toEqual([2, 2, 2]);
    expect([judged.valid.length, judged.invalid.length, judged.passes]).toEqual([2, 0, 1]);
    expect([rig.counter('refused.badSignature'), rig.journaled().length]).toEqual([0, 2]);
  });

  test('a later one that is worth less is verified itself', () => {
    const { rig } = rigOf('newest');
    rig.open({ channelId: 1n });
    together(rig, [
      claimOf({ channelId: 1n, amount: 9n }),
      claimOf({ channelId: 1n, amount: 4n }, false),
      claimOf({ channelId: 1n, amount: 9n, sequence: 2 }),
    ]);
    expect(statuses(rig)).toEqual([
      [STATUS.BAD_SIGNATURE, 4n],
      [STATUS.COMMITTED, 9n],
    ]);
    expect([rig.counter('verified'), rig.counter('superseded')]).toEqual([2, 0]);
  });

  test('all others are verified when the newest is forged', () => {
    const { rig, judged } = rigOf('newest');
    rig.open({ channelId: 1n });
    together(rig, [
      claimOf({ channelId: 1n, amount: 3n }),
      claimOf({ channelId: 1n, amount: 4n }, false),
      claimOf({ channelId: 1n, amount: 5n }),
      claimOf({ channelId: 1n, amount: 999n }, false),
    ]);
    expect(statuses(rig).sort()).toEqual([
      [STATUS.COMMITTED, 5n],
      [STATUS.BAD_SIGNATURE, 4n],
      [STATUS.BAD_SIGNATURE, 999n],
    ]);
    expect([rig.counter('verified'), rig.counter('superseded'), judged.passes]).toEqual([2, 0, 3]);
    expect(rig.table.read(0).committed).toBe(5n);
  });

  test('link and Ed25519 claims are never held back', () => {
    const { rig } = rigOf('newest');
    rig.open({ channelId: 1n, profile: 'link' });
    rig.open({ channelId: 2n, publicKey: new Uint8Array(33).fill(0xed, 0, 1) });
    const amounts = [3n, 4n, 5n];
    together(
      rig,
      amounts.flatMap((amount) => [
        claimOf({ channelId: 1n, amount, sequence: Number(amount) * 2 }),
        claimOf({ channelId: 2n, amount }),
      ]),
    );
    expect([rig.counter('verified'), rig.counter('superseded'), rig.counter('linkGaps')]).toEqual([6, 0, 2]);
  });
});

test.each([2, 7, 64])('random batches of up to %d commit what `every` commits, of verified claims only', (batchMax) => {
  const below = generator(batchMax);
  const every = rigOf('every', batchMax);
  const newest = rigOf('newest', batchMax);
  const channels = 6;
  for (const { rig } of [every, newest])
    for (let id = 1; id <= channels; id++)
      rig.open({
        channelId: BigInt(id),
        ...(id === 5 ? { profile: 'link' as const } : {}),
        ...(id === 6 ? { publicKey: new Uint8Array(33).fill(0xed, 0, 1) } : {}),
      });
  const best = new Array<number>(channels).fill(5);
  let received = 0;
  for (let round = 0; round < 120; round++) {
    const claims: Uint8Array[] = [];
    for (let count = 1 + below(24); count > 0; count--) {
      const channel = below(channels);
      const amount = Math.max(1, best[channel]! + below(9) - 4);
      best[channel] = Math.max(best[channel]!, amount);
      // A quarter is forged, the newest of a batch as often as any other; some are in there twice.
      const claim = claimOf(
        { channelId: BigInt(channel + 1), amount: BigInt(amount), sequence: round * 2 + below(3) },
        below(4) > 0,
      );
      for (let copies = below(6) === 0 ? 2 : 1; copies > 0; copies--) claims.push(claim);
    }
    received += claims.length;
    const from = below(2) === 0 ? ALICE : BOB;
    for (const { rig } of [every, newest]) together(rig, claims, from);
    // Node's comparison takes a tenth of expect's for rows, which are bytes for the most part.
    for (let row = 0; row < channels; row++)
      expect(isDeepStrictEqual(newest.rig.table.read(row), every.rig.table.read(row)), `round ${round}`).toBe(true);
  }
  for (const { rig, judged } of [every, newest]) {
    expect(rig.counter('verified')).toBe(judged.valid.length);
    expect(rig.settled() + rig.counter('superseded')).toBe(received);
    const seen = new Set(judged.valid);
    for (const claim of rig.journaled()) expect(seen).toContain(signatureHex(claim, 0));
  }
  expect([every.rig.counter('superseded'), newest.rig.counter('linkGaps')]).toEqual([0, every.rig.counter('linkGaps')]);
  // A batch of two hardly ever has two claims of one channel, the newer one sound.
  expect(newest.rig.counter('superseded')).toBeGreaterThan(batchMax === 2 ? 4 : 60);
  expect(newest.judged.valid.length).toBeLessThan(every.judged.valid.length);
});

test('with the reference backend: real signatures of every kind', () => {
  const below = generator(3);
  const payers = [1n, 2n, 3n].map((id) => new ThrowawayChannel(id, id === 3n ? 'link' : 'xrpl'));
  const ed25519 = generateKeyPairSync('ed25519');
  const ledgerChannelId = new Uint8Array(32).fill(0x3c);
  const edClaim = (amount: bigint) => {
    const claim = claimBytes({ channelId: 4n, sequence: 1, amount, timestamp: 0, signature: new Uint8Array(64) });
    claim.set(sign(null, xrplPreimage(ledgerChannelId, claim), ed25519.privateKey), CLAIM_SIGNATURE);
    return claim;
  };
  const rigs = (['every', 'newest'] as const).map((policy) => {
    const rig = new Rig({
      backend: (arena, ring, table) => {
        const backend = createBackend('noble', arena, ring, table, KERNEL, policy);
        return { name: 'noble', batchMax: 16, verifySlots: (first, count) => backend.verifySlots(first, count) };
      },
    });
    for (const { channelId, ledgerChannelId, publicKey, profile } of payers)
      rig.open({ channelId, ledgerChannelId, publicKey, profile });
    const raw = ed25519.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    rig.open({ channelId: 4n, ledgerChannelId, publicKey: new Uint8Array([0xed, ...raw]) });
    return rig;
  });
  let amount = 100;
  for (let round = 0; round < 8; round++) {
    const claims = Array.from({ length: 12 }, () => {
      const payer = below(4);
      const value = BigInt(++amount - below(4));
      const claim = payer === 3 ? edClaim(value) : payers[payer]!.claim(value, { sequence: amount });
      return below(5) === 0 ? withBadSignature(claim) : claim;
    });
    for (const rig of rigs) together(rig, claims);
    for (let row = 0; row < 4; row++) expect(rigs[1]!.table.read(row)).toEqual(rigs[0]!.table.read(row));
  }
  expect(rigs[1]!.table.read(0).committed).toBeGreaterThan(100n);
  expect(rigs[1]!.counter('superseded')).toBeGreaterThan(5);
  expect(rigs[0]!.counter('superseded')).toBe(0);
});

/**
 * In a pipeline the committer frees what is judged while the rest of the batch is being judged, and the receiver and
 * another verifier may have the slot by the end: with a claim of theirs, whatever its verdict says.
 */
describe.each([
  ['pending', VERDICT_PENDING],
  ['held back by another verifier', VERDICT_HELD],
  ['valid', VERDICT_VALID],
])('a slot that was freed and filled again meanwhile, %s,', (_, verdict) => {
  test.each([
    ['sound', true],
    ['forged', false],
  ])('is not touched (the newest is %s)', (_name, isSound) => {
    const { rig, judged } = rigOf('newest');
    rig.open({ channelId: 1n });
    rig.open({ channelId: 2n });
    // Batch: a claim of channel 2, which is judged first, then an older and a newest one of channel 1.
    rig.datagram(claimOf({ channelId: 2n, amount: 1n }), ALICE);
    rig.datagram(claimOf({ channelId: 1n, amount: 2n }), ALICE);
    rig.datagram(claimOf({ channelId: 1n, amount: 3n }, isSound), ALICE);
    rig.receive.step(rig.now);
    const { ints, bytes } = rig.arena;
    const word = (sequence: number) => (rig.ring.slot(sequence) + SLOT_VERDICT) >>> 2;
    const other = claimOf({ channelId: 2n, amount: 77n });
    judged.afterPass = (first) => {
      judged.afterPass = () => {};
      expect([first, Atomics.load(ints, word(0))]).toEqual([0, VERDICT_VALID]);
      bytes.set(other, rig.ring.slot(0));
      Atomics.store(ints, word(0), verdict);
    };
    rig.verify.step();
    expect(Atomics.load(ints, word(0))).toBe(verdict);
    expect([...judged.valid, ...judged.invalid]).not.toContain(signatureHex(other, 0));
    expect(judged.valid).toHaveLength(2);
    expect(judged.invalid).toHaveLength(isSound ? 0 : 1);
  });
});

test('slots that are freed and filled again as soon as the ring’s order allows are never judged for another batch', () => {
  const below = generator(11);
  let again = 0;
  for (let round = 0; round < 100; round++) {
    const { rig, judged } = rigOf('newest');
    const channels = 1 + below(3);
    const count = 2 + below(8);
    for (let id = 1; id <= channels; id++) rig.open({ channelId: BigInt(id) });
    const own = Array.from({ length: count }, (_, index) =>
      claimOf({ channelId: BigInt(1 + below(channels)), amount: BigInt(index + 1) }, below(3) > 0),
    );
    for (const claim of own) rig.datagram(claim, ALICE);
    rig.receive.step(rig.now);
    const { ints, bytes } = rig.arena;
    const word = (sequence: number) => (rig.ring.slot(sequence) + SLOT_VERDICT) >>> 2;
    const other = claimOf({ channelId: 1n, amount: 77n });
    let freed = 0;
    judged.afterVerdict = () => {
      for (; freed < count && isJudged(Atomics.load(ints, word(freed))); freed++) {
        bytes.set(other, rig.ring.slot(freed));
        Atomics.store(ints, word(freed), VERDICT_PENDING);
      }
    };
    rig.verify.step();
    expect([...judged.valid, ...judged.invalid]).not.toContain(signatureHex(other, 0));
    judged.afterVerdict();
    expect(freed).toBe(count);
    again += judged.passes > 1 ? 1 : 0;
  }
  expect(again).toBeGreaterThan(25);
});

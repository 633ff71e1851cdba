/** Leaves of Merkle batches through the steps of the claim path: what is taken, answered, refused and left alone. */
import { describe, expect, test } from 'vitest';
import { statusName } from '../../../protocol/layout.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { random } from '../../support/random.ts';
import { claimOf, Rig, type RigOptions, sourceOf } from '../../support/rig.ts';
import { framesOf, type Leaf } from '../../support/root-frames.ts';
import { testSigner } from '../../support/test-signer.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const BOB = sourceOf('127.0.0.2', 5002);
const PAYER = testSigner(new Uint8Array(32).fill(7));
const OTHER = testSigner(new Uint8Array(32).fill(8));

/** A rig that takes roots, with `count` channels of the payer, numbered from 1 on. */
function rigOf(count: number, options: RigOptions = {}, channel: Partial<Channel> = {}): Rig {
  const rig = new Rig({ roots: {}, channelsMax: 256, ...options });
  for (let id = 1; id <= count; id++)
    rig.open({ channelId: BigInt(id), publicKey: PAYER.publicKey, profile: 'link', ...channel });
  return rig;
}
const leavesOf = (count: number, amount: bigint): Leaf[] =>
  Array.from({ length: count }, (_, index) => ({ channelId: BigInt(index + 1), amount: amount + BigInt(index) }));

function answers(rig: Rig, ...datagrams: Uint8Array[]) {
  for (const datagram of datagrams) rig.datagram(datagram, ALICE);
  rig.turn();
  return rig.takeAcks().map(({ status, channelId, amount, sequence }) => ({
    status: statusName(status),
    channelId,
    amount,
    sequence,
  }));
}
const committedOf = (rig: Rig, channelId: bigint) => rig.table.read(rig.table.find(0, Number(channelId))).committed;
const altered = (frame: Uint8Array, at: number) => frame.map((byte, index) => (index === at ? byte ^ 1 : byte));
const concat = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

describe('a batch', () => {
  test('of 130 leaves in three frames is committed leaf by leaf, with one signature checked', () => {
    const rig = rigOf(130);
    const frames = framesOf(PAYER, leavesOf(130, 100n), { sequence: 9 });
    expect(frames).toHaveLength(3);
    const acks = answers(rig, ...frames);
    expect(acks).toHaveLength(130);
    expect(acks[64]).toEqual({ status: 'COMMITTED', channelId: 65n, amount: 164n, sequence: 9 });
    expect([committedOf(rig, 1n), committedOf(rig, 130n)]).toEqual([100n, 229n]);
    expect(rig.counter('roots.frames')).toBe(3);
    expect(rig.counter('roots.checked')).toBe(1);
    expect([rig.counter('received'), rig.counter('verified'), rig.counter('committed')]).toEqual([130, 130, 130]);
  });

  test('stands frame by frame, in any order: where half of them are lost, the other half is committed', () => {
    const rig = rigOf(200);
    const frames = framesOf(PAYER, leavesOf(200, 50n));
    const acks = answers(rig, frames[3]!, frames[1]!);
    expect(new Set(acks.map(({ status }) => status))).toEqual(new Set(['COMMITTED']));
    expect(acks).toHaveLength(72);
    expect([committedOf(rig, 1n), committedOf(rig, 65n), committedOf(rig, 200n)]).toEqual([0n, 114n, 249n]);
  });

  test('may come with ordinary claims in one datagram, and before and after them', () => {
    const rig = rigOf(3);
    const [frame] = framesOf(PAYER, leavesOf(2, 20n), { sequence: 2 });
    const claim = claimOf({ channelId: 3n, amount: 7n });
    const acks = answers(rig, concat(claim, frame!, claimOf({ channelId: 1n, amount: 40n, sequence: 3 })));
    expect(acks.map(({ status, channelId, amount }) => [status, channelId, amount])).toEqual([
      ['COMMITTED', 3n, 7n],
      ['COMMITTED', 1n, 20n],
      ['COMMITTED', 2n, 21n],
      ['COMMITTED', 1n, 40n],
    ]);
  });

  test('of an Ed25519 key is taken as well, also beside claims of others', async () => {
    const { Ed25519Signer } = await import('../../../src/client/keys/signer.ts');
    const signer = new Ed25519Signer(new Uint8Array(32).fill(3));
    const rig = rigOf(0);
    rig.open({ channelId: 1n, publicKey: signer.publicKey, profile: 'link' });
    const [good] = framesOf(signer, [{ channelId: 1n, amount: 5n }]);
    const [bad] = framesOf(PAYER, [{ channelId: 1n, amount: 6n }], { sequence: 2 });
    expect(answers(rig, good!, bad!).map(({ status }) => status)).toEqual(['BAD_SIGNATURE', 'COMMITTED']);
  });

  test('to a node that takes none is of an unknown type, and costs nothing', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n, publicKey: PAYER.publicKey, profile: 'link' });
    expect(answers(rig, framesOf(PAYER, leavesOf(1, 5n))[0]!)).toEqual([]);
    expect(rig.counter('dropped.unknownType')).toBe(1);
    expect(rig.arena.plan.frames.bytes).toBe(0);
  });
});

describe('what is not as it was signed is refused, and moves nothing', () => {
  test('each bit of a frame but those of the type', () => {
    const rig = rigOf(66);
    const whole = framesOf(PAYER, leavesOf(66, 100n))[1]!;
    expect(whole).toHaveLength(84 + 2 * 16 + 32);
    for (let at = 1; at < whole.length; at += 3) {
      const acks = answers(rig, altered(whole, at));
      expect(
        acks.some(({ status }) => status === 'COMMITTED'),
        `byte ${at}`,
      ).toBe(false);
    }
    expect([committedOf(rig, 65n), committedOf(rig, 66n)]).toEqual([0n, 0n]);
    expect(rig.counter('committed')).toBe(0);
    expect(rig.journaled()).toEqual([]);
    expect(answers(rig, whole).map(({ status }) => status)).toEqual(['COMMITTED', 'COMMITTED']);
  });

  test('leaves of another key in the frame: none of its leaves stands', () => {
    const rig = rigOf(2);
    rig.open({ channelId: 3n, publicKey: OTHER.publicKey, profile: 'link' });
    const acks = answers(rig, framesOf(PAYER, leavesOf(3, 5n))[0]!);
    expect(acks.map(({ status }) => status)).toEqual(Array(3).fill('BAD_SIGNATURE'));
    expect(answers(rig, framesOf(OTHER, leavesOf(2, 5n), { sequence: 2 })[0]!).map(({ status }) => status)).toEqual(
      Array(2).fill('BAD_SIGNATURE'),
    );
    expect(rig.counter('roots.failed')).toBe(2);
    expect(rig.counter('roots.checked')).toBe(1);
  });

  test('a leaf of an unknown channel: it is named, and the others are not answered', () => {
    const rig = rigOf(2);
    const acks = answers(rig, framesOf(PAYER, leavesOf(3, 5n))[0]!);
    expect(acks).toEqual([{ status: 'UNKNOWN_CHANNEL', channelId: 3n, amount: 0n, sequence: 1 }]);
    expect(rig.counter('roots.unjudged')).toBe(2);
    expect(committedOf(rig, 1n)).toBe(0n);
  });

  test('a leaf that breaks a rule is refused by itself', () => {
    const rig = rigOf(1);
    rig.open({ channelId: 2n, publicKey: PAYER.publicKey, profile: 'link', capacity: 3n });
    rig.open({ channelId: 3n, publicKey: PAYER.publicKey, profile: 'link', committed: 50n, sequence: 1 });
    rig.open({ channelId: 4n, publicKey: PAYER.publicKey, profile: 'link', state: 'closed' });
    rig.open({ channelId: 5n, publicKey: PAYER.publicKey, profile: 'link', committed: 4n, sequence: 9 });
    const acks = answers(rig, framesOf(PAYER, leavesOf(5, 5n))[0]!);
    expect(acks.map(({ status, channelId }) => [status, channelId])).toEqual([
      ['OVER_CAPACITY', 2n],
      ['ALREADY', 3n],
      ['CHANNEL_CLOSED', 4n],
      ['BAD_SEQUENCE', 5n],
      ['COMMITTED', 1n],
    ]);
  });
});

describe('a channel of the ledger', () => {
  test('takes no leaf without an exposure, and none over the exposure; the answer says how far it may go', () => {
    const none = rigOf(1, {}, { profile: 'xrpl' });
    const [frame] = framesOf(PAYER, leavesOf(1, 5n));
    expect(answers(none, frame!)).toEqual([{ status: 'ROOT_EXPOSURE', channelId: 1n, amount: 0n, sequence: 1 }]);
    // At the door, before it costs a check.
    expect(none.counter('roots.checked')).toBe(0);
    const rig = rigOf(2, { roots: { exposureMax: 100 } }, { profile: 'xrpl' });
    const over = framesOf(PAYER, [{ channelId: 1n, amount: 101n }], { sequence: 1 });
    expect(answers(rig, over[0]!).map(({ status, amount }) => [status, amount])).toEqual([['ROOT_EXPOSURE', 100n]]);
    const within = framesOf(PAYER, [{ channelId: 1n, amount: 70n }], { sequence: 2 });
    expect(answers(rig, within[0]!).map(({ status }) => status)).toEqual(['COMMITTED']);
    // The exposure is the key's as well: what one channel has used, another does not get.
    const other = framesOf(PAYER, [{ channelId: 2n, amount: 31n }], { sequence: 3 });
    expect(answers(rig, other[0]!).map(({ status, amount }) => [status, amount])).toEqual([['ROOT_EXPOSURE', 30n]]);
    expect(rig.counter('refused.rootExposure')).toBe(2);
  });

  test('is refused a second leaf of one group that only together are over the exposure, at the commit', () => {
    const rig = rigOf(2, { roots: { exposureMax: 100 } }, { profile: 'xrpl' });
    const frames = [1n, 2n].map(
      (channelId) => framesOf(PAYER, [{ channelId, amount: 60n }], { sequence: Number(channelId) })[0]!,
    );
    const acks = answers(rig, ...frames);
    expect(acks.map(({ status, channelId, amount }) => [status, channelId, amount])).toEqual([
      ['ROOT_EXPOSURE', 2n, 40n],
      ['COMMITTED', 1n, 60n],
    ]);
    // Its frame, of which nothing was taken, is not written either.
    const alone = rigOf(2, { roots: { exposureMax: 100 } }, { profile: 'xrpl' });
    answers(alone, frames[0]!);
    expect(rig.counter('journalBytes')).toBe(alone.counter('journalBytes'));
    expect(rig.journaled()).toEqual([]);
  });

  test('goes on once an ordinary claim covers what leaves have paid, which is stored to be redeemed', () => {
    const rig = rigOf(1, { roots: { exposureMax: 100 } }, { profile: 'xrpl' });
    const leaf = (amount: bigint, sequence: number) => framesOf(PAYER, [{ channelId: 1n, amount }], { sequence })[0]!;
    answers(rig, leaf(100n, 1));
    const claim = claimOf({ channelId: 1n, amount: 80n });
    expect(answers(rig, claim)).toEqual([{ status: 'COMMITTED', channelId: 1n, amount: 80n, sequence: 1 }]);
    expect(answers(rig, claim).map(({ status }) => status)).toEqual(['ALREADY']);
    const channel = rig.table.read(0);
    expect([channel.committed, channel.rooted?.committed]).toEqual([100n, 80n]);
    expect(channel.signature).toEqual(claim.slice(21, 85));
    expect(answers(rig, leaf(180n, 2)).map(({ status }) => status)).toEqual(['COMMITTED']);
    expect(rig.table.read(0).signature).toEqual(claim.slice(21, 85));
    expect(answers(rig, leaf(181n, 3)).map(({ status, amount }) => [status, amount])).toEqual([
      ['ROOT_EXPOSURE', 180n],
    ]);
  });
});

describe('a link channel', () => {
  const leaf = (amount: bigint, sequence: number) => framesOf(PAYER, [{ channelId: 1n, amount }], { sequence })[0]!;
  const claim = (amount: bigint, sequence: number) => claimOf({ channelId: 1n, amount, sequence });

  test('takes a claim that was signed before the newest root and comes after it, and none for more that was', () => {
    const rig = rigOf(1);
    answers(rig, leaf(50n, 5));
    expect(answers(rig, claim(60n, 5)).map(({ status }) => status)).toEqual(['BAD_SEQUENCE']);
    expect(answers(rig, claim(30n, 4)).map(({ status }) => status)).toEqual(['COMMITTED']);
    expect(answers(rig, claim(40n, 4)).map(({ status }) => status)).toEqual(['BAD_SEQUENCE']);
    expect(answers(rig, claim(60n, 6)).map(({ status }) => status)).toEqual(['COMMITTED']);
    expect(answers(rig, leaf(70n, 6)).map(({ status }) => status)).toEqual(['BAD_SEQUENCE']);
    expect([rig.table.read(0).committed, rig.table.read(0).sequence]).toEqual([60n, 6]);
  });

  test('keeps both of one group: the claim to redeem, and the leaf for more', () => {
    const rig = rigOf(1);
    const acks = answers(rig, concat(claim(30n, 1), leaf(50n, 2), claim(40n, 3)));
    expect(acks.map(({ status, amount }) => [status, amount])).toEqual([
      ['COMMITTED', 40n],
      ['COMMITTED', 50n],
    ]);
    const { committed, rooted } = rig.table.read(0);
    expect([committed, rooted?.committed, rooted?.leaf?.amount]).toEqual([50n, 40n, 50n]);
    expect(rig.journaled()).toHaveLength(1);
  });

  test('is staged by the rules of sequences also while a group is being synced', () => {
    const rig = rigOf(1, { isOverlapping: true });
    rig.datagram(leaf(50n, 5), ALICE);
    rig.receive.step(rig.now);
    while (rig.verify.step() > 0);
    rig.commitTurn();
    for (const frame of [leaf(40n, 4), leaf(60n, 5), leaf(70n, 6)]) rig.datagram(frame, ALICE);
    rig.receive.step(rig.now);
    while (rig.verify.step() > 0);
    rig.commitTurn();
    rig.files.endSync();
    rig.commitTurn();
    rig.files.endSync();
    rig.commitTurn();
    rig.ackTurn();
    expect(rig.takeAcks().map(({ status, amount }) => [statusName(status), amount])).toEqual([
      ['BAD_SEQUENCE', 60n],
      ['COMMITTED', 50n],
      ['COMMITTED', 70n],
    ]);
  });
});

describe('hostile sources', () => {
  test('a repeated frame in flight is dropped, one that is decided is answered ALREADY', () => {
    const rig = rigOf(4);
    const [frame] = framesOf(PAYER, leavesOf(4, 5n));
    for (let copy = 0; copy < 10; copy++) rig.datagram(frame!, BOB);
    expect(answers(rig)).toHaveLength(4);
    expect(rig.counter('roots.repeated')).toBe(9);
    expect(answers(rig, frame!).map(({ status }) => status)).toEqual(Array(4).fill('ALREADY'));
  });

  test('no more bytes are answered than came, unless the frame was verified', () => {
    const rig = rigOf(64);
    const [frame] = framesOf(PAYER, leavesOf(64, 5n));
    const forged = altered(frame!, 30);
    for (const expected of ['BAD_SIGNATURE', 'COMMITTED', 'ALREADY']) {
      const acks = answers(rig, expected === 'BAD_SIGNATURE' ? forged : frame!);
      expect(new Set(acks.map(({ status }) => status))).toEqual(new Set([expected]));
      expect(acks).toHaveLength(expected === 'COMMITTED' ? 64 : Math.floor(frame!.length / 32));
    }
    expect(rig.counter('roots.unanswered')).toBe(2 * (64 - Math.floor(frame!.length / 32)));
    expect(rig.settled()).toBe(3 * 64);
  });

  test('a frame that fails counts as one failure, however many leaves it has', () => {
    const rig = rigOf(64, { strangers: 0.5 });
    const failures: number[] = [];
    const { failed } = rig.standing!;
    rig.standing!.failed = (...given) => {
      failures.push(given[2]);
      failed.apply(rig.standing, given);
    };
    answers(rig, altered(framesOf(PAYER, leavesOf(64, 5n))[0]!, 30));
    expect(failures).toEqual([0]);
  });

  test('leaves for which the ring or the pool has no room are answered OVERLOADED', () => {
    const rig = rigOf(100, { ringSlots: 64 });
    const frames = framesOf(PAYER, leavesOf(100, 5n));
    const acks = answers(rig, ...frames);
    expect(acks.filter(({ status }) => status === 'OVERLOADED')).toHaveLength(Math.floor(frames[1]!.length / 32));
    expect(rig.counter('refused.overloaded')).toBe(36);
    expect(acks.filter(({ status }) => status === 'COMMITTED')).toHaveLength(64);
    // Each of these has an entry with room for 64 leaves.
    const other = rigOf(30, { ringSlots: 64 });
    const single = Array.from(
      { length: 30 },
      (_, index) => framesOf(PAYER, [{ channelId: BigInt(index + 1), amount: 1n }], { sequence: index })[0]!,
    );
    expect(answers(other, ...single).filter(({ status }) => status === 'OVERLOADED').length).toBeGreaterThan(10);
    expect(other.counter('roots.poolFull')).toBeGreaterThan(10);
    expect(other.settled()).toBe(30);
  });

  test('thousands of different roots leave nothing behind but what was valid', () => {
    const rig = rigOf(1);
    const [frame] = framesOf(PAYER, leavesOf(1, 5n));
    const { bytes } = random(3);
    for (let round = 0; round < 60; round++) {
      const forged = frame!.slice();
      forged.set(bytes(31), 21);
      rig.datagram(forged, BOB);
      if (round % 20 === 19) rig.turn();
    }
    rig.turn();
    expect(rig.counter('roots.checked')).toBe(60);
    expect(rig.counter('roots.failed')).toBe(60);
    expect(rig.counter('committed')).toBe(0);
  });
});

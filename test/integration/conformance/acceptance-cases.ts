/**
 * Cases of the acceptance order: every status, the first rule broken, replays, edges of amounts and signatures.
 */
import { expect } from 'vitest';
import { withBadSignature, withHighS } from '../../support/throwaway-claims.ts';
import {
  ALREADY,
  BAD_AMOUNT,
  BAD_SEQUENCE,
  BAD_SIGNATURE,
  CHANNEL_CLOSED,
  COMMITTED,
  OVER_CAPACITY,
  UNKNOWN_CHANNEL,
} from '../../support/wire-client.ts';
import type { ConformanceCase } from './cases.ts';
import type { Stage } from './stage.ts';

const DROPS_MAX = 10n ** 17n;
const U64_MAX = 2n ** 64n - 1n;
/** 1970: over since long. */
const LONG_AGO = 1;

async function everyStatus(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const open = await stage.open({ capacity: 1_000n });
  const closed = await stage.open();
  const expired = await stage.open({ expiresAt: LONG_AGO });
  const link = await stage.open({ profile: 'link' });
  const fresh = () => stage.fresh();
  await stage.expectAnswer(wire, open.claim(500n, fresh()), COMMITTED, 500n);
  await stage.expectAnswer(wire, open.claim(500n, fresh()), ALREADY, 500n);
  await stage.expectAnswer(wire, open.claim(1n, fresh()), ALREADY, 1n);
  await stage.expectAnswer(wire, stage.unopened().claim(7n, fresh()), UNKNOWN_CHANNEL, 0n);
  await stage.expectAnswer(wire, withBadSignature(open.claim(501n, fresh())), BAD_SIGNATURE, 501n);
  await stage.expectAnswer(wire, open.claim(1_001n, fresh()), OVER_CAPACITY, 1_000n);
  await stage.expectAnswer(wire, closed.claim(20n, fresh()), COMMITTED, 20n);
  await stage.closeChannel(closed);
  await stage.expectAnswer(wire, closed.claim(21n, fresh()), CHANNEL_CLOSED, 21n);
  await stage.expectAnswer(wire, expired.claim(8n, fresh()), CHANNEL_CLOSED, 8n);
  await stage.expectAnswer(wire, open.claim(0n, fresh()), BAD_AMOUNT, 0n);
  await stage.expectAnswer(wire, open.claim(DROPS_MAX + 1n, fresh()), BAD_AMOUNT, DROPS_MAX + 1n);
  const first = fresh();
  await stage.expectAnswer(wire, link.claim(30n, fresh()), COMMITTED, 30n);
  await stage.expectAnswer(wire, link.claim(31n, first), BAD_SEQUENCE, 31n);
  await stage.expectAmount(open, 500n);
  await stage.expectAmount(closed, 20n);
  await stage.expectAmount(expired, 0n);
  await stage.expectAmount(link, 30n);
}

/** Each claim breaks the rule it is refused by and all that can be broken after it. */
async function firstRuleBroken(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const open = await stage.open({ capacity: 100n });
  const closed = await stage.open({ capacity: 100n });
  const link = await stage.open({ profile: 'link', capacity: 100n });
  const early = stage.fresh();
  await stage.expectAnswer(wire, open.claim(50n, stage.fresh()), COMMITTED, 50n);
  await stage.expectAnswer(wire, closed.claim(50n, stage.fresh()), COMMITTED, 50n);
  await stage.expectAnswer(wire, link.claim(50n, stage.fresh()), COMMITTED, 50n);
  await stage.closeChannel(closed);
  const forged = (channel: typeof open, amount: bigint) => withBadSignature(channel.claim(amount, stage.fresh()));
  await stage.expectAnswer(wire, forged(stage.unopened(), 0n), BAD_AMOUNT, 0n);
  await stage.expectAnswer(wire, forged(closed, 0n), BAD_AMOUNT, 0n);
  await stage.expectAnswer(wire, forged(stage.unopened(), U64_MAX), UNKNOWN_CHANNEL, 0n);
  await stage.expectAnswer(wire, forged(closed, DROPS_MAX + 1n), BAD_AMOUNT, DROPS_MAX + 1n);
  await stage.expectAnswer(wire, forged(closed, 101n), CHANNEL_CLOSED, 101n);
  await stage.expectAnswer(wire, forged(closed, 50n), CHANNEL_CLOSED, 50n);
  await stage.expectAnswer(wire, forged(open, 101n), OVER_CAPACITY, 100n);
  await stage.expectAnswer(wire, forged(link, U64_MAX), OVER_CAPACITY, 100n);
  await stage.expectAnswer(wire, forged(open, 50n), ALREADY, 50n);
  await stage.expectAnswer(wire, forged(open, 51n), BAD_SIGNATURE, 51n);
  await stage.expectAnswer(wire, withBadSignature(link.claim(51n, early)), BAD_SIGNATURE, 51n);
  for (const channel of [open, closed, link]) await stage.expectAmount(channel, 50n);
}

async function amountEdges(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const full = await stage.open({ capacity: 2n ** 33n });
  for (const amount of [1n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n, 2n ** 33n])
    await stage.expectAnswer(wire, full.claim(amount, stage.fresh()), COMMITTED, amount);
  await stage.expectAnswer(wire, full.claim(2n ** 33n + 1n, stage.fresh()), OVER_CAPACITY, 2n ** 33n);
  const largest = await stage.open({ capacity: DROPS_MAX });
  await stage.expectAnswer(wire, largest.claim(DROPS_MAX, stage.fresh()), COMMITTED, DROPS_MAX);
  const link = await stage.open({ profile: 'link', capacity: U64_MAX });
  await stage.expectAnswer(wire, link.claim(DROPS_MAX + 1n, stage.fresh()), COMMITTED, DROPS_MAX + 1n);
  await stage.expectAnswer(wire, link.claim(U64_MAX, stage.fresh()), COMMITTED, U64_MAX);
}

/** `xrpl`: the largest sequence locks nothing; a timestamp of any bits, a NaN's too, comes back as it went. */
async function hintsDecideNothing(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const bits = [0x7ff8_0000_dead_beefn, 0xfff4_0000_0000_0001n, 0n, U64_MAX, 0x8000_0000_0000_0000n];
  let amount = 0n;
  for (const [index, timestampBits] of bits.entries()) {
    const sequence = [0xffff_ffff, 0, 5, 4, 3][index]!;
    await stage.expectAnswer(wire, channel.claim(++amount, { sequence, timestampBits }), COMMITTED, amount);
  }
}

async function replays(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const other = await stage.open();
  const claim = channel.claim(40n, stage.fresh());
  const forgery = claim.slice();
  new DataView(forgery.buffer).setBigUint64(1, other.channelId);
  await stage.expectAnswer(wire, claim, COMMITTED, 40n);
  const before = wire.inbox.acks.length;
  for (let time = 0; time < 30; time++) await wire.send(claim);
  await stage.expectDurable(wire, channel.claim(41n, stage.fresh()));
  const answers = wire.inbox.acks.slice(before, -1);
  expect(answers.length).toBeLessThanOrEqual(30);
  for (const { status, amount } of answers) expect([status, amount]).toEqual([ALREADY, 40n]);
  // From another wire, as one who listened would send it; and for another channel.
  const thief = await stage.wire();
  await stage.expectAnswer(thief, claim, ALREADY, 40n);
  await stage.expectAnswer(await stage.wire(), forgery, BAD_SIGNATURE, 40n);
  await stage.expectAmount(channel, 41n);
  await stage.expectAmount(other, 0n);
}

async function signatureForms(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const xrpl = await stage.open();
  const claim = xrpl.claim(5n, stage.fresh());
  await stage.expectAnswer(wire, withHighS(claim), BAD_SIGNATURE, 5n);
  await stage.expectAmount(xrpl, 0n);
  const again = await stage.wire();
  await stage.expectAnswer(again, claim, COMMITTED, 5n);
  // `link` covers sequence and timestamp, `xrpl` neither.
  const link = await stage.open({ profile: 'link' });
  for (const [offset, bit] of [
    [12, 0x10],
    [92, 1],
  ] as const) {
    const changed = link.claim(9n, stage.fresh({ sequence: 0x100 + offset }));
    changed[offset]! ^= bit;
    await stage.expectAnswer(again, changed, BAD_SIGNATURE, 9n);
    const covered = xrpl.claim(9n + BigInt(offset), stage.fresh());
    covered[offset]! ^= bit;
    await stage.expectDurable(again, covered);
  }
  await stage.expectAmount(link, 0n);
}

export const ACCEPTANCE_CASES: readonly ConformanceCase[] = [
  { name: 'every status, with the amount it carries', run: everyStatus },
  { name: 'the first rule broken names the refusal', run: firstRuleBroken },
  { name: 'amounts at their edges', run: amountEdges },
  { name: 'sequence and timestamp are hints, echoed bit for bit', run: hintsDecideNothing },
  { name: 'a claim replayed moves nothing and is answered ALREADY', run: replays },
  { name: 'one form of a signature, over what the profile covers', run: signatureForms },
];

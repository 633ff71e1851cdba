/**
 * Cases of acks: they are cumulative, go where the claim came from, never outnumber the claims, and refusals are limited.
 */
import { expect } from 'vitest';
import { CLAIM_SIZE, type ThrowawayChannel, withBadSignature } from '../../support/throwaway-claims.ts';
import { ALREADY, COMMITTED, OVERLOADED, UNKNOWN_CHANNEL, type WireAck } from '../../support/wire-client.ts';
import type { ConformanceCase } from './cases.ts';
import type { Stage } from './stage.ts';

/** Claims in a datagram of ordinary size. */
const PACK = 15;

function rising(stage: Stage, channel: ThrowawayChannel, count: number, above = 0n): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => channel.claim(above + BigInt(index + 1), stage.fresh()));
}
export function packed(claims: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(claims));
}
const ofChannel = (acks: readonly WireAck[], { channelId }: ThrowawayChannel) =>
  acks.filter((ack) => ack.channelId === channelId);

async function cumulative(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const claims = rising(stage, channel, 20 * PACK);
  for (let at = 0; at < claims.length; at += PACK) await wire.send(packed(claims.slice(at, at + PACK)));
  await stage.expectDurable(wire, claims.at(-1)!);
  const acks = wire.inbox.acks.filter(({ status }) => status === COMMITTED);
  expect(acks.length).toBeGreaterThan(0);
  expect(acks.length).toBeLessThanOrEqual(claims.length);
  acks.forEach(({ amount }, index) => {
    expect(amount).toBeGreaterThan(index === 0 ? 0n : acks[index - 1]!.amount);
  });
  await stage.expectAmount(channel, BigInt(claims.length));
}

/** The newest first: what comes later and is lower is covered or ALREADY, and the balance never falls. */
async function newestFirst(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const claims = rising(stage, channel, PACK).reverse();
  await wire.send(packed(claims));
  await stage.expectDurable(wire, channel.claim(BigInt(PACK + 1), stage.fresh()));
  for (const { status, amount } of wire.inbox.acks) {
    if (status === COMMITTED) expect(amount).toBeGreaterThanOrEqual(BigInt(PACK));
    else expect(status).toBe(ALREADY);
  }
  await stage.expectAmount(channel, BigInt(PACK + 1));
}

/** Three payers of one channel and of their own: nobody hears what was not asked by him. */
async function whereTheClaimCameFrom(stage: Stage): Promise<void> {
  const shared = await stage.open();
  const payers = await Promise.all(
    [0, 1, 2].map(async () => ({ wire: await stage.wire(), own: await stage.open(), sequences: new Set<number>() })),
  );
  const claimOf = (payer: (typeof payers)[number], channel: ThrowawayChannel, amount: bigint) => {
    const fields = stage.fresh();
    payer.sequences.add(fields.sequence!);
    return channel.claim(amount, fields);
  };
  for (let round = 1n; round <= 20n; round++)
    for (const [index, payer] of payers.entries()) {
      await stage.expectAnswer(payer.wire, claimOf(payer, payer.own, round), COMMITTED, round);
      const amount = round * 3n + BigInt(index);
      await stage.expectAnswer(payer.wire, claimOf(payer, shared, amount), COMMITTED, amount);
    }
  for (const { wire, sequences } of payers)
    for (const { sequence } of wire.inbox.acks) expect(sequences.has(sequence)).toBe(true);
}

/** A payer that goes away without waiting: what it paid stands, and the next one is served. */
async function payerGone(stage: Stage): Promise<void> {
  const channel = await stage.open();
  for (let amount = 1n; amount <= 30n; amount++) {
    const leaver = await stage.wire();
    await leaver.send(channel.claim(amount, stage.fresh()));
    leaver.close();
  }
  await stage.expectDurable(await stage.wire(), channel.claim(31n, stage.fresh()));
  await stage.expectAmount(channel, 31n);
}

async function manyChannels(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channels = await stage.openMany(600);
  for (let round = 1n; round <= 3n; round++) {
    const claims = channels.map((channel) => channel.claim(round * 5n, stage.fresh()));
    const before = wire.inbox.acks.length;
    for (let at = 0; at < claims.length; at += PACK) await wire.send(packed(claims.slice(at, at + PACK)));
    for (const claim of claims) await stage.expectDurable(wire, claim, true, before);
  }
  const amounts = await stage.amounts();
  expect(channels.filter(({ channelId }) => amounts.get(channelId) !== 15n)).toEqual([]);
  // The wire is this case's alone.
  expect(wire.inbox.acks.filter(({ status }) => status > ALREADY)).toEqual([]);
}

/** Refusals fit a burst and then a rate; COMMITTED and ALREADY are not limited. */
async function refusalLimit(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channel = await stage.open();
  const stranger = stage.unopened();
  const junk = stranger.claim(1n, stage.fresh());
  const flood = packed(Array.from({ length: PACK }, () => junk));
  const [refusedBefore, limitedBefore] = [
    stage.counter('refused.unknownChannel'),
    stage.counter('dropped.refusalLimited'),
  ];
  const limitedNow = () => stage.counter('dropped.refusalLimited') - limitedBefore;
  const roundsMin = 40;
  const floodsMax = 100 * roundsMin;
  let [rounds, floods, perRound] = [0, 0, 50];
  while (rounds < roundsMin || (limitedNow() === 0 && floods < floodsMax)) {
    const round = ++rounds;
    // On a busy machine the two questions of a round may take so long that the limit keeps up.
    if (rounds > roundsMin) perRound *= 2;
    floods += perRound;
    for (let count = 0; count < perRound; count++) await wire.send(flood);
    // Not COMMITTED alone: what is sent again, since its answer took too long, is ALREADY.
    for (const amount of [BigInt(round), 1n])
      await stage.expectDurable(wire, channel.claim(amount, stage.fresh()), false, wire.inbox.acks.length);
  }
  // In this order, since the last of the flood may still be judged: what is refused meanwhile counts for more room, not less.
  const answered = ofChannel(wire.inbox.acks, stranger);
  const limited = limitedNow();
  const refused = stage.counter('refused.unknownChannel') - refusedBefore;
  expect(refused).toBeLessThanOrEqual(floods * PACK);
  expect(refused).toBeGreaterThan(floods);
  expect(answered.every(({ status, amount }) => status === UNKNOWN_CHANNEL && amount === 0n)).toBe(true);
  expect(answered.length).toBeGreaterThan(0);
  expect(limited).toBeGreaterThan(0);
  expect(answered.length).toBeLessThanOrEqual(refused - limited);
}

/** More claims than a node has room for: what it does not look at it says so of, and the newest sent again is durable. */
async function overload(stage: Stage): Promise<void> {
  const wire = await stage.wire();
  const channels = await stage.openMany(40);
  const claims = Array.from({ length: Math.floor(stage.entry.payloadBytesMax / CLAIM_SIZE) }, (_, index) => {
    const channel = channels[index % channels.length]!;
    const claim = channel.claim(BigInt(index + 1), stage.fresh());
    // Costs a verification, and is over what the channel is paid in the end.
    return index % 8 === 7 ? withBadSignature(channel.claim(10_000n, stage.fresh())) : claim;
  });
  await wire.send(packed(claims));
  for (const channel of channels) await stage.expectDurable(wire, channel.claim(2_000n, stage.fresh()));
  const overloaded = wire.inbox.acks.filter(({ status }) => status === OVERLOADED);
  expect(overloaded.every(({ amount }) => amount === 0n)).toBe(true);
  expect(stage.counter('refused.overloaded')).toBeGreaterThanOrEqual(overloaded.length);
  // Where a peer can be made to wait, nothing is turned away.
  if (stage.entry.hasBackpressure) expect(overloaded).toEqual([]);
  else expect(overloaded.length).toBeGreaterThan(0);
  const amounts = await stage.amounts();
  for (const channel of channels) expect(amounts.get(channel.channelId)).toBe(2_000n);
}

export const ACK_CASES: readonly ConformanceCase[] = [
  { name: 'acks are cumulative and no more than the claims', run: cumulative },
  { name: 'the newest claim first', run: newestFirst },
  { name: 'an ack leaves the way its claim came', run: whereTheClaimCameFrom },
  { name: 'a payer that does not wait for its ack', run: payerGone },
  { name: 'many channels on one wire', run: manyChannels },
];

export const REFUSAL_CASES: readonly ConformanceCase[] = [
  { name: 'refusals are limited, durable answers are not', run: refusalLimit },
];

export const SMALL_RING = { ringSlots: 16 };
export const OVERLOAD_CASES: readonly ConformanceCase[] = [
  { name: 'more claims than there is room for', run: overload, options: SMALL_RING },
];

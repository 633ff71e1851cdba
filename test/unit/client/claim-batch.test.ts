/** Claims that a payer signs together in its own thread, with a key in memory. Fake clock and socket. */

import { verify } from '@noble/secp256k1';
import { beforeEach, describe, expect, it } from 'vitest';
import { linkDigest, xrplDigest } from '../../../protocol/digest.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { Secp256k1Signer, SIGNED_TOGETHER_MAX, type Signer } from '../../../src/client/keys/secp256k1-signer.ts';
import { Payer } from '../../../src/client/payer.ts';
import { ackOf, ManualClock, MemorySocket } from '../../support/payer-fakes.ts';

const PRIVATE_KEY = new Uint8Array(32).fill(7);
/** While fewer are on their way, claims are signed one by one. */
const FEW = 8;

/** Signs as noble does, and counts how it is asked. */
class CountedSigner implements Signer {
  readonly publicKey: Uint8Array;
  singles = 0;
  readonly batches: number[] = [];
  failure: unknown;
  readonly #signer = new Secp256k1Signer(PRIVATE_KEY);

  constructor() {
    this.publicKey = this.#signer.publicKey;
  }

  signClaim(...claim: Parameters<Secp256k1Signer['signClaim']>): void {
    this.singles += 1;
    this.#signer.signClaim(...claim);
  }

  signBatch(claims: Uint8Array, ids: Uint8Array, areLink: Uint8Array, count: number): void {
    this.batches.push(count);
    if (this.failure !== undefined) throw this.failure;
    for (let index = 0; index < count; index += 1) {
      const profile = areLink[index] === 1 ? 'link' : 'xrpl';
      this.#signer.signClaim(claims, index * 93, ids.subarray(32 * index, 32 * index + 32), profile);
    }
  }
}

let clock: ManualClock;
let socket: MemorySocket;
let signer: CountedSigner;
let payer: Payer;

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  signer = new CountedSigner();
  payer = new Payer({ socket, clock, random: () => 0, window: 2_000 });
});

/** Channels of both profiles by turns. */
function open(count: number): PaymentChannel[] {
  return Array.from({ length: count }, (_, index) =>
    payer.channel({
      ledgerChannelId: new Uint8Array(32).fill(1 + (index % 250)),
      channelId: BigInt(index + 1),
      key: signer,
      profile: index % 2 === 0 ? 'xrpl' : 'link',
    }),
  );
}

function watched<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

describe('many claims', () => {
  it('a few are signed at once, one by one; the others of the turn in one call', () => {
    for (const channel of open(100)) watched(channel.claim(1n));
    expect([signer.singles, signer.batches]).toEqual([FEW, []]);
    clock.turn();
    expect([signer.singles, signer.batches]).toEqual([FEW, [100 - FEW]]);
    expect(socket.takeClaims()).toHaveLength(100);
    expect(payer.stats()).toMatchObject({ inFlight: 100, queued: 0 });
  });

  it('each has its own digest, of its profile, and its channel has the claim', async () => {
    const channels = open(60);
    const paid = channels.map((channel, index) => watched(channel.claim(BigInt(index + 5))));
    clock.turn();
    const claims = socket.takeClaims();
    for (const claim of claims) {
      const index = Number(claim.channelId) - 1;
      const bytes = channels[index]!.lastClaim()!;
      expect(Buffer.from(bytes.subarray(21, 85)).equals(Buffer.from(claim.signature))).toBe(true);
      const digest = index % 2 === 0 ? xrplDigest : linkDigest;
      const message = digest(new Uint8Array(32).fill(1 + (index % 250)), bytes);
      expect(verify(claim.signature, message, signer.publicKey, { prehash: false })).toBe(true);
    }
    socket.deliver(...claims.map((claim) => ackOf(claim)));
    const acks = await Promise.all(paid);
    expect(acks.map(({ amount }) => amount)).toEqual(channels.map((_, index) => BigInt(index + 5)));
  });

  it('what the acks of several messages ask for is one call', async () => {
    const channels = open(40);
    const first = channels.map((channel) => watched(channel.claim(1n)));
    clock.turn();
    const claims = socket.takeClaims();
    signer.batches.length = 0;
    // Half of them stay on their way, so that there are never few.
    for (const [index, claim] of claims.slice(0, 20).entries()) {
      socket.deliver(ackOf(claim));
      await first[index];
      watched(channels[Number(claim.channelId) - 1]!.claim(2n));
    }
    clock.turn();
    expect(signer.batches).toEqual([20]);
    expect(socket.takeClaims()).toHaveLength(20);
  });

  it('a call has at most SIGNED_TOGETHER_MAX claims', () => {
    for (const channel of open(FEW + SIGNED_TOGETHER_MAX + 1)) watched(channel.claim(1n));
    clock.turn();
    expect(signer.batches).toEqual([SIGNED_TOGETHER_MAX, 1]);
    expect(socket.takeClaims()).toHaveLength(FEW + SIGNED_TOGETHER_MAX + 1);
  });

  it('a call that fails fails its claims and no others, and what it did not sign is not owed', async () => {
    const channels = open(FEW + 30);
    signer.failure = new Error('a bit fell over');
    const asked = channels.map((channel) => watched(channel.claim(3n)));
    clock.turn();
    const ends = await Promise.allSettled([...asked.slice(FEW), payer.close()]);
    expect(ends.filter(({ status }) => status === 'rejected')).toHaveLength(30);
    await expect(asked[FEW]).rejects.toThrow('a bit fell over');
    await expect(asked[0]).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
    expect(channels[FEW]!.claimed).toBe(0n);
    expect(channels[FEW]!.lastClaim()).toBeUndefined();
  });

  it('a payer that is closed before its turn ends signs no more', async () => {
    const asked = open(FEW + 5).map((channel) => watched(channel.claim(1n)));
    await payer.close();
    clock.turn();
    expect(signer.batches).toEqual([]);
    await expect(asked.at(-1)).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });

  it('a higher amount that is asked for meanwhile is the one that is signed', () => {
    const channels = open(FEW + 3);
    for (const channel of channels) watched(channel.claim(1n));
    for (const amount of [2n, 9n, 4n]) watched(channels.at(-1)!.claim(amount));
    clock.turn();
    expect(signer.batches).toEqual([3]);
    const amounts = socket.takeClaims().map(({ amount }) => amount);
    expect(amounts.at(-1)).toBe(9n);
  });
});

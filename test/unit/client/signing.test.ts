/** Claims signed together, or elsewhere and later: the payer's rules with a signer that a test makes wait. Fake clock. */
import { beforeEach, expect, it } from 'vitest';
import { xrplDigest } from '../../../protocol/digest.ts';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { SIGNED_TOGETHER_MAX, type Signer } from '../../../src/client/keys/secp256k1-signer.ts';
import { Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { ackOf, ManualClock, MemorySocket } from '../../support/payer-fakes.ts';

/** Signs with the digest twice over, when it is let. */
class SlowSigner implements Signer {
  readonly publicKey = new Uint8Array(33);
  readonly calls: { digests: Uint8Array; answer: (signatures: Uint8Array | Error) => void }[] = [];
  /** How many calls were under way at once. */
  mostAtOnce = 0;

  signDigests(digests: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const answer = (signatures: Uint8Array | Error) => {
        this.calls.splice(this.calls.indexOf(call), 1);
        if (signatures instanceof Error) reject(signatures);
        else resolve(signatures);
      };
      const call = { digests: digests.slice(), answer };
      this.mostAtOnce = Math.max(this.mostAtOnce, this.calls.push(call));
    });
  }
}

let clock: ManualClock;
let socket: MemorySocket;
let signer: SlowSigner;
let payer: Payer;

function open(limits: PayerLimits = {}): void {
  payer = new Payer({ socket, clock, random: () => 0, ...limits });
}

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  signer = new SlowSigner();
  open();
});

function channel(number = 1, key: Signer = signer): PaymentChannel {
  return payer.channel({ ledgerChannelId: new Uint8Array(32).fill(number), key });
}

/** A rejection is handled, and looked at later. */
function watched<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

function twice(digests: Uint8Array): Uint8Array {
  const signatures = new Uint8Array(digests.length * 2);
  for (let at = 0; at < digests.length; at += 32) {
    signatures.set(digests.subarray(at, at + 32), at * 2);
    signatures.set(digests.subarray(at, at + 32), at * 2 + 32);
  }
  return signatures;
}

/** Lets the oldest call end, and takes what is sent then. */
async function sign(): Promise<ReturnType<MemorySocket['takeClaims']>> {
  await turn();
  const [call] = signer.calls;
  call!.answer(twice(call!.digests));
  await turn();
  clock.turn();
  return socket.takeClaims();
}

async function sent(): Promise<ReturnType<MemorySocket['takeClaims']>> {
  await turn();
  clock.turn();
  return socket.takeClaims();
}

it('what is asked for in one turn is signed in one call, each claim under its own digest', async () => {
  const paid = [1, 2, 3].map((number) => watched(channel(number).claim(BigInt(number * 10))));
  expect(await sent()).toEqual([]);
  expect(signer.calls[0]!.digests).toHaveLength(96);
  const claims = await sign();
  expect(claims.map(({ amount }) => amount)).toEqual([10n, 20n, 30n]);
  for (const { channelId, signature, amount } of claims) {
    const bytes = new Uint8Array(93);
    new DataView(bytes.buffer).setBigUint64(13, amount);
    const digest = xrplDigest(new Uint8Array(32).fill(Number(channelId & 0xffn)), bytes);
    expect(signature).toEqual(twice(digest));
  }
  socket.deliver(...claims.map((claim) => ackOf(claim)));
  expect((await Promise.all(paid)).map(({ amount }) => amount)).toEqual([10n, 20n, 30n]);
  expect(payer.stats()).toMatchObject({ inFlight: 0, queued: 0, waiting: 0, claimsSent: 3 });
});

it('while a call is under way the next one gathers, of each channel the newest amount', async () => {
  const [one, two] = [channel(1), channel(2)];
  const paid = [watched(one.claim(1n))];
  await turn();
  for (const amount of [2n, 3n, 4n]) paid.push(watched(one.claim(amount)));
  paid.push(watched(two.claim(7n)));
  await turn();
  expect(signer.calls).toHaveLength(1);
  const first = await sign();
  expect(first.map(({ amount, sequence }) => [amount, sequence])).toEqual([[1n, 1]]);
  const second = await sign();
  expect(second.map(({ amount, sequence }) => [amount, sequence])).toEqual([
    [7n, 1],
    [4n, 2],
  ]);
  expect(signer.mostAtOnce).toBe(1);
  socket.deliver(...[...first, ...second].map((claim) => ackOf(claim)));
  await Promise.all(paid);
});

it('a call has at most SIGNED_TOGETHER_MAX digests', async () => {
  open({ window: 2_000 });
  const paid = Array.from({ length: 300 }, (_, number) =>
    watched(
      payer
        .channel({ ledgerChannelId: new Uint8Array(32).fill(1), channelId: BigInt(number + 1), key: signer })
        .claim(5n),
    ),
  );
  const sizes: number[] = [];
  const claims: ReturnType<MemorySocket['takeClaims']> = [];
  while (claims.length < 300) {
    await turn();
    clock.turn();
    sizes.push(signer.calls[0]!.digests.length / 32);
    claims.push(...(await sign()));
  }
  expect(Math.max(...sizes)).toBeLessThanOrEqual(SIGNED_TOGETHER_MAX);
  expect(new Set(claims.map(({ channelId }) => channelId)).size).toBe(300);
  socket.deliver(...claims.map((claim) => ackOf(claim)));
  await Promise.all(paid);
});

it('what is being signed holds room in the window', async () => {
  open({ window: 2 });
  const paid = [1, 2, 3].map((number) => watched(channel(number).claim(1n)));
  const claims = await sign();
  expect(claims).toHaveLength(2);
  expect(payer.stats()).toMatchObject({ inFlight: 2, queued: 1 });
  socket.deliver(ackOf(claims[0]!));
  expect(await sign()).toHaveLength(1);
  expect(payer.stats()).toMatchObject({ inFlight: 2, queued: 0 });
  await payer.close();
  await expect(paid[2]).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
});

it('nothing is sent again while its first claim is being signed, and an older one is', async () => {
  const paying = channel();
  const paid = watched(paying.claim(1n));
  await turn();
  clock.advance(3_000);
  expect(await sent()).toEqual([]);
  const [first] = await sign();
  const more = watched(paying.claim(2n));
  await turn();
  clock.advance(3_000);
  const again = await sent();
  expect(new Set(again.map(({ amount, sequence }) => `${amount} ${sequence}`))).toEqual(new Set(['1 1']));
  expect(again[0]!.signature).toEqual(first!.signature);
  const [second] = await sign();
  socket.deliver(ackOf(second!));
  await Promise.all([paid, more]);
});

it('a signer that fails fails the claims of that call, and the next call is made', async () => {
  const [one, two] = [channel(1), channel(2)];
  const failing = [watched(one.claim(1n)), watched(two.claim(1n))];
  await turn();
  signer.calls[0]!.answer(new Error('token removed'));
  for (const promise of failing) await expect(promise).rejects.toThrow('token removed');
  expect(payer.stats()).toMatchObject({ inFlight: 0, queued: 0, waiting: 0 });
  const paid = watched(one.claim(2n));
  const [claim] = await sign();
  expect(claim).toMatchObject({ amount: 2n, sequence: 1 });
  socket.deliver(ackOf(claim!));
  await paid;
});

it('too few signatures are a failure, and no claim is sent', async () => {
  const paid = watched(channel().claim(1n));
  await turn();
  signer.calls[0]!.answer(new Uint8Array(63));
  await expect(paid).rejects.toThrow('signer: expected 64 bytes for 1 digests, got 63 bytes');
  expect(await sent()).toEqual([]);
});

it('a payer that is closed meanwhile sends nothing', async () => {
  const paid = watched(channel().claim(1n));
  await turn();
  const closing = payer.close();
  const [call] = signer.calls;
  call!.answer(twice(call!.digests));
  await closing;
  await expect(paid).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  expect(await sent()).toEqual([]);
});

it('a refusal of an older claim leaves the amount that is being signed', async () => {
  const paying = channel();
  const refused = watched(paying.claim(5n));
  const [first] = await sign();
  const higher = watched(paying.claim(6n));
  await turn();
  socket.deliver(ackOf(first!, { status: STATUS.BAD_SIGNATURE }));
  await expect(refused).rejects.toMatchObject({ code: 'CLAIM_REFUSED' });
  const [second] = await sign();
  expect(second).toMatchObject({ amount: 6n, sequence: 2 });
  socket.deliver(ackOf(second!));
  await higher;
});

it('a signer in this thread loses no turn', async () => {
  const atOnce: Signer = { publicKey: new Uint8Array(33), signDigests: twice };
  const paid = watched(channel(1, atOnce).claim(1n));
  await Promise.resolve();
  const [claim] = socket.takeClaims().concat(await sent());
  socket.deliver(ackOf(claim!));
  await paid;
});

it('a claim asked for again while its abandoned one is being signed hears of its refusal', async () => {
  const paying = channel();
  const control = new AbortController();
  const abandoned = watched(paying.claim(5n, { signal: control.signal }));
  await turn();
  control.abort(new Error('enough'));
  await expect(abandoned).rejects.toThrow('enough');
  const again = watched(paying.claim(5n));
  const [claim] = await sign();
  expect(claim).toMatchObject({ amount: 5n, sequence: 1 });
  socket.deliver(ackOf(claim!, { status: STATUS.OVER_CAPACITY, amount: 1n }));
  await expect(again).rejects.toMatchObject({ code: 'CLAIM_REFUSED' });
  expect(payer.stats()).toMatchObject({ inFlight: 0, queued: 0, waiting: 0 });
});

it('what was not signed is not owed: who pays again after a failure pays once', async () => {
  const paying = payer.channel({ ledgerChannelId: new Uint8Array(32).fill(1), key: signer, committed: 0n });
  const ask = watched(paying.claim(10n));
  const [first] = await sign();
  socket.deliver(ackOf(first!));
  await ask;
  const failing = watched(paying.claim(paying.claimed + 5n));
  const behind = watched(paying.claim(paying.claimed + 5n));
  await turn();
  signer.calls[0]!.answer(new Error('token removed'));
  await expect(failing).rejects.toThrow('token removed');
  await expect(behind).rejects.toThrow('token removed');
  expect(paying.claimed).toBe(10n);
});

it('a failure leaves alone what was signed before: it is sent until it is acknowledged', async () => {
  const paying = channel();
  const sentBefore = watched(paying.claim(5n));
  const [first] = await sign();
  const failing = watched(paying.claim(6n));
  await turn();
  signer.calls[0]!.answer(new Error('token removed'));
  await expect(failing).rejects.toThrow('token removed');
  expect(paying.claimed).toBe(5n);
  expect(payer.stats()).toMatchObject({ inFlight: 1, queued: 0, waiting: 1 });
  clock.advance(1_000);
  expect((await sent()).every(({ amount, sequence }) => amount === 5n && sequence === 1)).toBe(true);
  expect(payer.stats().retransmits).toBeGreaterThan(0);
  socket.deliver(ackOf(first!));
  expect((await sentBefore).amount).toBe(5n);
  expect(payer.stats()).toMatchObject({ inFlight: 0, queued: 0, waiting: 0 });
});

it('an amount that timed out unacknowledged is still owed after a failure: the node may hold it', async () => {
  const paying = channel();
  const unheard = watched(paying.claim(5n));
  await sign();
  clock.advance(11_000);
  await expect(unheard).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
  const failing = watched(paying.claim(8n));
  await turn();
  signer.calls[0]!.answer(new Error('token removed'));
  await expect(failing).rejects.toThrow('token removed');
  expect(paying.claimed).toBe(5n);
});

it('a signer may reject with anything, and the next claim is signed', async () => {
  const reasons: unknown[] = ['removed', undefined, { reason: 'removed' }];
  const strange: Signer = {
    publicKey: new Uint8Array(33),
    signDigests: async (digests) => {
      if (reasons.length > 0) throw reasons.shift();
      return twice(digests);
    },
  };
  const paying = channel(1, strange);
  for (let left = reasons.length; left > 0; left--)
    await expect(paying.claim(1n)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('signer: expected an Error'),
    });
  const paid = watched(paying.claim(1n));
  const [claim] = await sent();
  socket.deliver(ackOf(claim!));
  await paid;
});

it.each(['xrpl', 'link'] as const)('the time that signing takes is none of the round trip: %s', async (profile) => {
  const paying = payer.channel({ ledgerChannelId: new Uint8Array(32).fill(1), key: signer, profile });
  const paid = watched(paying.claim(1n));
  await turn();
  clock.advance(2_000);
  const [claim] = await sign();
  clock.advance(5);
  socket.deliver(ackOf(claim!));
  await paid;
  expect(payer.stats().smoothedRttMs).toBe(5);
});

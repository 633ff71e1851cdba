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

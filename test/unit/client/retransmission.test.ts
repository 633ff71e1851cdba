/** When the payer sends again, how many claims it has in flight, and when it gives up; on a manual clock. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Claim } from '../../../protocol/claim.ts';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { RttEstimator } from '../../../src/client/rto.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { ackOf, ManualClock, MemorySocket, payMore, stubSigner } from '../../support/payer-fakes.ts';

let clock: ManualClock;
let socket: MemorySocket;
let payer: Payer;

function open(limits: PayerLimits = {}): void {
  payer = new Payer({ socket, clock, random: () => 0, ...limits });
}

function channel(number = 1, profile: 'xrpl' | 'link' = 'xrpl'): PaymentChannel {
  const ledgerChannelId = new Uint8Array(32);
  new DataView(ledgerChannelId.buffer).setUint32(4, number);
  return payer.channel({ ledgerChannelId, key: stubSigner, profile });
}

function sent(): Claim[] {
  clock.turn();
  return socket.takeClaims();
}

const ignore = (promise: Promise<unknown>): void => void promise.catch(() => {});

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  open();
});

describe('round trips', () => {
  it('are smoothed as in RFC 6298, with bounds', () => {
    const rtt = new RttEstimator({ initialMs: 250, minMs: 20, maxMs: 60_000, backoffMaxMs: 2_000 });
    expect(rtt.rtoMs).toBe(250);
    rtt.sample(100);
    expect([rtt.smoothedMs, rtt.variationMs, rtt.rtoMs]).toEqual([100, 50, 300]);
    rtt.sample(180);
    expect([rtt.smoothedMs, rtt.variationMs, rtt.rtoMs]).toEqual([110, 57.5, 340]);
    for (let count = 0; count < 100; count += 1) rtt.sample(110);
    expect(rtt.rtoMs).toBeCloseTo(220, 0);
    for (let count = 0; count < 100; count += 1) rtt.sample(0.2);
    expect(rtt.rtoMs).toBe(20);
    const { smoothedMs } = rtt;
    for (const nonsense of [0, -5, Number.NaN, Number.POSITIVE_INFINITY, 1e9]) rtt.sample(nonsense);
    expect([rtt.smoothedMs, rtt.rtoMs]).toEqual([smoothedMs, 20]);
  });

  it('of a slow node lengthen the wait of what is already on its way', () => {
    ignore(channel(1).claim(1n));
    ignore(channel(2).claim(1n));
    const [first] = sent();
    clock.advance(200);
    socket.deliver(ackOf(first!));
    expect(payer.stats().rtoMs).toBe(600);
    clock.advance(399);
    expect(sent()).toEqual([]);
    clock.advance(2);
    expect(sent().map(({ channelId }) => channelId)).toEqual([2n]);
  });

  it('are measured on retransmitted xrpl claims, whose timestamp tells the transmission', () => {
    ignore(channel().claim(1n));
    const [first] = sent();
    clock.advance(260);
    const [again] = sent();
    expect(again).toMatchObject({ sequence: 1, amount: 1n, timestamp: first!.timestamp + 250 });
    expect(again!.signature).toEqual(first!.signature);
    socket.deliver(ackOf(again!));
    expect(payer.stats().smoothedRttMs).toBe(10);
  });

  it('are not measured on retransmitted link claims, whose bytes are signed (Karn)', () => {
    const paying = channel(1, 'link');
    ignore(paying.claim(1n));
    const [first] = sent();
    clock.advance(260);
    const [again] = sent();
    expect(again).toEqual(first);
    socket.deliver(ackOf(again!));
    expect(payer.stats()).toMatchObject({ smoothedRttMs: 0, rtoMs: 250 });
    ignore(paying.claim(2n));
    const [next] = sent();
    clock.advance(8);
    socket.deliver(ackOf(next!));
    expect(payer.stats().smoothedRttMs).toBe(8);
  });
});

describe('retransmission', () => {
  it('backs off to a bound, with jitter, until the claim times out', async () => {
    open({ random: () => 0.5, ackTimeoutMs: 10_000 });
    const paid = channel().claim(1n);
    const start = clock.time;
    const times: number[] = [];
    for (let elapsed = 0; elapsed <= 11_000; elapsed += 1) {
      if (sent().length > 0) times.push(clock.time - start);
      clock.advance(1);
    }
    const gaps = times.slice(1).map((time, index) => Math.round(time - times[index]!));
    expect(gaps.slice(0, 5)).toEqual([282, 563, 1125, 1125, 1125].map((gap) => expect.closeTo(gap, -1)));
    await expect(paid).rejects.toMatchObject({ code: 'ACK_TIMEOUT', message: expect.stringContaining('from memory') });
    expect(times.at(-1)).toBeLessThan(10_000);
    expect(clock.pendingTimers).toBe(0);
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0, retransmits: times.length - 1 });
  });

  it.each(['claim', 'pay'] as const)(
    'backs off less where other claims get through: %s, of which pay asks first',
    (name) => {
      ignore(channel(1)[name](1n));
      const other = channel(2);
      const start = clock.time;
      const times: number[] = [];
      for (let elapsed = 0; elapsed < 1_500; elapsed += 1) {
        if (elapsed % 10 === 0) ignore(payMore(other, 1n));
        for (const claim of sent()) {
          if (claim.channelId === 1n) times.push(clock.time - start);
          else socket.deliver(ackOf(claim, { timestamp: claim.timestamp - 5 }));
        }
        clock.advance(1);
      }
      // RTO 20 ms: the first wait was set when it was 250 ms, the longest is 8 times 20.
      const gaps = times.slice(2).map((time, index) => time - times[index + 1]!);
      expect(gaps.slice(0, 5)).toEqual([40, 80, 160, 160, 160].map((gap) => expect.closeTo(gap, -1)));
    },
  );

  it('sends the newest claim only, once, whatever was lost before', () => {
    const paying = channel();
    for (const amount of [1n, 2n, 3n]) ignore(paying.claim(amount));
    expect(sent()).toHaveLength(3);
    clock.advance(260);
    expect(sent().map(({ amount, sequence }) => [amount, sequence])).toEqual([[3n, 3]]);
    expect(payer.stats().inFlight).toBe(1);
  });

  it('waits for acks that are ready to be read before it takes silence for loss', () => {
    ignore(channel().claim(1n));
    const [claim] = sent();
    clock.afterInput(() => socket.deliver(ackOf(claim!)));
    clock.time += 5_000;
    clock.advance(1);
    expect(sent()).toEqual([]);
    expect(payer.stats().retransmits).toBe(0);
  });

  it('names a socket fault in the timeout', async () => {
    open({ ackTimeoutMs: 1_000, waitForNode: true });
    const paid = channel().claim(1n);
    socket.fail(Object.assign(new Error('read'), { code: 'ECONNREFUSED' }));
    clock.advance(1_001);
    await expect(paid).rejects.toThrow('got ECONNREFUSED, check that the node runs there');
    expect(payer.stats().socketErrors).toBe(1);
  });

  it('fails at once where nothing ever listened, and waits for a node that did', async () => {
    open({ ackTimeoutMs: 1_000 });
    const paying = channel();
    const refused = Object.assign(new Error('read'), { code: 'ECONNREFUSED' });
    const failed = [paying.claim(1n), paying.isDurable(1n)];
    socket.fail(refused);
    for (const promise of failed)
      await expect(promise).rejects.toMatchObject({
        code: 'NODE_UNREACHABLE',
        message: expect.stringMatching(/^expected a node at memory, got ECONNREFUSED/),
      });
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
    const first = paying.claim(2n);
    socket.deliver(ackOf(sent().at(-1)!));
    await first;
    const second = paying.claim(3n);
    socket.fail(refused);
    socket.deliver(ackOf(sent().at(-1)!));
    expect(await second).toMatchObject({ amount: 3n });
  });

  it('a claim made later times out later', async () => {
    open({ ackTimeoutMs: 1_000 });
    const paying = channel();
    const first = paying.claim(1n);
    clock.advance(600);
    const second = paying.claim(2n);
    ignore(second);
    clock.advance(401);
    await expect(first).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
    expect(payer.stats().waiting).toBe(1);
    clock.advance(600);
    await expect(second).rejects.toMatchObject({ code: 'ACK_TIMEOUT' });
  });
});

describe('window', () => {
  it('bounds claims on their way over all channels; the others wait in line with their newest amount', async () => {
    open({ window: 20 });
    const channels = Array.from({ length: 50 }, (_, index) => channel(index + 1));
    const all = channels.flatMap((paying) => [paying.claim(1n), paying.claim(2n), paying.claim(3n)]);
    const committed = new Map<bigint, bigint>();
    let most = 0;
    for (let claims = sent(); claims.length > 0; claims = sent()) {
      most = Math.max(most, payer.stats().inFlight);
      for (const claim of claims) {
        committed.set(claim.channelId, claim.amount);
        socket.deliver(ackOf(claim));
      }
    }
    await Promise.all(all);
    expect(most).toBe(20);
    expect([...committed.values()].every((amount) => amount === 3n)).toBe(true);
    // 20 went out one by one; of the rest only the newest of each channel, the seventh (2 of its 3 sent) included.
    expect(payer.stats()).toMatchObject({ claimsSent: 20 + 44, queued: 0, inFlight: 0, waiting: 0 });
  });

  it('lets a channel in line replace its own lost claim', async () => {
    open({ window: 1 });
    const paying = channel();
    ignore(paying.claim(1n));
    const newest = paying.claim(2n);
    expect(sent().map(({ amount }) => amount)).toEqual([1n]);
    clock.advance(260);
    const claims = sent();
    expect(claims.map(({ amount, sequence }) => [amount, sequence])).toEqual([[2n, 2]]);
    expect(payer.stats()).toMatchObject({ inFlight: 1, queued: 0 });
    socket.deliver(ackOf(claims[0]!));
    await newest;
  });

  it('frees the room of what timed out', async () => {
    open({ window: 1, ackTimeoutMs: 1_000 });
    ignore(channel(1).claim(1n));
    clock.advance(500);
    ignore(channel(2).claim(1n));
    expect(sent().map(({ channelId }) => channelId)).toContain(1n);
    clock.advance(501);
    expect(sent().map(({ channelId }) => channelId)).toContain(2n);
  });

  it('packs at most 15 claims into a datagram', () => {
    for (let number = 1; number <= 40; number += 1) ignore(channel(number).claim(1n));
    clock.turn();
    expect(socket.datagrams.map(({ length }) => length / 93)).toEqual([15, 15, 10]);
    expect(payer.stats()).toMatchObject({ datagramsSent: 3, claimsSent: 40 });
  });

  it('bounds promises', async () => {
    open({ waitingMax: 2 });
    const paying = channel();
    ignore(paying.claim(1n));
    ignore(paying.claim(2n));
    await expect(paying.claim(3n)).rejects.toMatchObject({ code: 'PAYER_FULL' });
  });

  const CHANNELS = brieflyOrAtLength(20_000, 100_000);
  it(`carries ${CHANNELS} channels on one timer`, async () => {
    const channels = Array.from({ length: CHANNELS }, (_, index) => channel(index));
    const all = channels.map((paying) => paying.claim(7n));
    let answered = 0;
    for (let turn = 0; turn < 10_000 && payer.stats().waiting > 0; turn += 1) {
      const claims = sent();
      expect(clock.pendingTimers).toBe(1);
      // Every tenth is lost: it comes again.
      const heard = claims.filter(() => {
        answered += 1;
        return answered % 10 !== 0;
      });
      for (let start = 0; start < heard.length; start += 45)
        socket.deliver(...heard.slice(start, start + 45).map((claim) => ackOf(claim)));
      clock.advance(1);
    }
    await Promise.all(all);
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0, queued: 0 });
    expect(payer.stats().retransmits).toBeGreaterThan(CHANNELS / 10);
  });
});

describe('close', () => {
  it('rejects what waits, sent or in line, and leaves no timer', async () => {
    open({ window: 1 });
    const settled = Promise.allSettled([channel(1).claim(1n), channel(2).claim(1n)]);
    await payer.close();
    for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'PAYER_CLOSED' } });
    expect(socket.closed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    expect(sent()).toEqual([]);
    await payer.close();
    const late = ackOf({ channelId: 1n, sequence: 1, amount: 1n, timestamp: 0, signature: new Uint8Array(64) });
    socket.deliver({ ...late, status: STATUS.COMMITTED });
  });

  it('turns down later claims', async () => {
    const paying = channel();
    await payer.close();
    await expect(paying.claim(1n)).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });
});

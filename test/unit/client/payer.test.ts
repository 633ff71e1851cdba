/** The payer's rules, on a manual clock and a socket in memory, so that nothing is random and no test waits. */
import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { type ChannelOptions, Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { ackOf, ManualClock, MemorySocket, stubSigner } from '../../support/payer-fakes.ts';

let clock: ManualClock;
let socket: MemorySocket;
let payer: Payer;

function open(limits: PayerLimits = {}): void {
  payer = new Payer({ socket, clock, random: () => 0, ...limits });
}

function channel(number = 1, options: Partial<ChannelOptions> = {}): PaymentChannel {
  return payer.channel({ ledgerChannelId: new Uint8Array(32).fill(number), key: stubSigner, ...options });
}

/** Calls claim() and looks at how its promise stands; a rejection is handled. */
function watch(promise: Promise<unknown>): { state: () => Promise<string> } {
  let state = 'waiting';
  promise.then(
    () => {
      state = 'done';
    },
    (error) => {
      state = error.details.status ?? error.code;
    },
  );
  return {
    state: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return state;
    },
  };
}

/** Ends the turn and takes what was sent. */
function sent(): ReturnType<MemorySocket['takeClaims']> {
  clock.turn();
  return socket.takeClaims();
}

const amountsSent = (): bigint[] => sent().map(({ amount }) => amount);

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  open();
});

describe('acks', () => {
  it('resolve the claim they cover, with what they say', async () => {
    const paid = channel().claim(5n);
    const [claim] = sent();
    expect(claim).toMatchObject({ channelId: 0x0101010101010101n, sequence: 1, amount: 5n, timestamp: clock.time });
    clock.advance(3);
    socket.deliver(ackOf(claim!));
    expect(await paid).toEqual({
      status: 'COMMITTED',
      channelId: 0x0101010101010101n,
      sequence: 1,
      amount: 5n,
      timestamp: clock.time - 3,
      rttMs: 3,
    });
    expect(payer.stats()).toMatchObject({ acks: { COMMITTED: 1 }, waiting: 0, inFlight: 0, rtt: { count: 1 } });
    expect(payer.stats().rtt.p50Ms).toBeCloseTo(3, 1);
    clock.advance(100_000);
    expect(sent()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('cover every older claim of the channel, and no newer one', async () => {
    const paying = channel();
    const [first, second, third] = [1n, 2n, 3n].map((amount) => watch(paying.claim(amount)));
    const claims = sent();
    expect(claims.map(({ sequence, amount }) => [sequence, amount])).toEqual([
      [1, 1n],
      [2, 2n],
      [3, 3n],
    ]);
    socket.deliver(ackOf(claims[1]!));
    expect([await first!.state(), await second!.state(), await third!.state()]).toEqual(['done', 'done', 'waiting']);
    expect(paying.committed).toBe(2n);
    expect(payer.stats().inFlight).toBe(1);
    socket.deliver(ackOf(claims[0]!), ackOf(claims[2]!, { status: STATUS.ALREADY }));
    expect(await third!.state()).toBe('done');
    expect(paying.committed).toBe(3n);
  });

  it('that match nothing sent are counted and change nothing', async () => {
    const paid = watch(channel().claim(5n));
    const [claim] = sent();
    socket.deliver(ackOf(claim!, { channelId: 9n }), ackOf(claim!, { sequence: 2 }), ackOf(claim!, { status: 7 }));
    socket.deliverBytes(new Uint8Array(31).fill(2));
    socket.deliverBytes(new Uint8Array(0));
    socket.deliverBytes(new Uint8Array(93).fill(1));
    expect(await paid.state()).toBe('waiting');
    expect(payer.stats()).toMatchObject({ unmatched: 3, malformed: 3, inFlight: 1 });
  });

  it('never raise what pay() adds to, whatever they say', async () => {
    const paying = channel(1, { committed: 100n });
    const paid = paying.pay(5n);
    const [over, reached] = sent();
    expect([over!.amount, reached!.amount]).toEqual([101n, 100n]);
    socket.deliver(ackOf(over!, { status: STATUS.BAD_SIGNATURE }), ackOf(reached!, { status: STATUS.ALREADY }));
    await new Promise((resolve) => setImmediate(resolve));
    const [claim] = sent();
    expect(claim!.amount).toBe(105n);
    socket.deliver(ackOf(claim!, { amount: 10n ** 17n }));
    await paid;
    expect(paying.committed).toBe(105n);
    paying.pay(1n);
    expect(amountsSent()).toEqual([106n]);
  });

  it('are matched when sequences go round at 2^32', async () => {
    const paying = channel(1, { lastSequence: 0xffff_fffe });
    const all = [1n, 2n, 3n].map((amount) => watch(paying.claim(amount)));
    const claims = sent();
    expect(claims.map(({ sequence }) => sequence)).toEqual([0xffff_ffff, 0, 1]);
    socket.deliver(ackOf(claims[0]!));
    expect(payer.stats().inFlight).toBe(2);
    socket.deliver(ackOf(claims[1]!));
    expect(payer.stats().inFlight).toBe(1);
    socket.deliver(ackOf(claims[2]!));
    expect(await all[2]!.state()).toBe('done');
    expect(payer.stats()).toMatchObject({ inFlight: 0, unmatched: 0 });
  });
});

describe('refusals', () => {
  it.each(['UNKNOWN_CHANNEL', 'BAD_SIGNATURE', 'OVER_CAPACITY', 'CHANNEL_CLOSED', 'BAD_AMOUNT'] as const)(
    '%s rejects with its name',
    async (status) => {
      const paid = channel().claim(5n);
      const [claim] = sent();
      const amount = { UNKNOWN_CHANNEL: 0n, OVER_CAPACITY: 4n }[status as string] ?? 5n;
      clock.advance(2);
      socket.deliver(ackOf(claim!, { status: STATUS[status], amount }));
      await expect(paid).rejects.toMatchObject({
        code: 'CLAIM_REFUSED',
        details: { status, channelId: '72340172838076673', sequence: 1, amount: String(amount), rttMs: 2 },
      });
      clock.advance(100_000);
      expect(sent()).toEqual([]);
      expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
    },
  );

  it.each([
    [STATUS.BAD_SIGNATURE, 'BAD_SIGNATURE'],
    [STATUS.UNKNOWN_CHANNEL, 'UNKNOWN_CHANNEL'],
  ])('of an older claim leave the newest alone (%i %s)', async (status, name) => {
    const paying = channel();
    const older = watch(paying.claim(1n));
    const newer = watch(paying.claim(2n));
    const [first, second] = sent();
    socket.deliver(ackOf(first!, { status }));
    expect([await older.state(), await newer.state()]).toEqual([name, 'waiting']);
    socket.deliver(ackOf(first!, { status }));
    expect(await newer.state()).toBe('waiting');
    clock.advance(300);
    expect(amountsSent()).toEqual([2n]);
    socket.deliver(ackOf(second!));
    expect(await newer.state()).toBe('done');
  });

  it('over capacity fall back to the highest amount within it, signed anew', async () => {
    const paying = channel();
    const within = watch(paying.claim(10n));
    const over = watch(paying.claim(2000n));
    const claims = sent();
    socket.deliver(ackOf(claims[1]!, { status: STATUS.OVER_CAPACITY, amount: 1000n }));
    expect([await within.state(), await over.state()]).toEqual(['waiting', 'OVER_CAPACITY']);
    expect(paying.claimed).toBe(10n);
    const [again] = sent();
    expect(again).toMatchObject({ amount: 10n, sequence: 3 });
    socket.deliver(ackOf(again!, { status: STATUS.ALREADY }));
    expect(await within.state()).toBe('done');
  });

  it('do not settle a claim that is not sent yet', async () => {
    open({ window: 1 });
    const paying = channel();
    const first = watch(paying.claim(1n));
    const waiting = watch(paying.claim(2n));
    const [claim] = sent();
    socket.deliver(ackOf(claim!, { status: STATUS.UNKNOWN_CHANNEL, amount: 0n }));
    expect([await first.state(), await waiting.state()]).toEqual(['UNKNOWN_CHANNEL', 'waiting']);
    expect(amountsSent()).toEqual([2n]);
  });

  it('OVERLOADED is not final: sent again after a back-off that grows, with a smaller window', async () => {
    open({ window: 64, rto: { initialMs: 100 } });
    const paid = watch(channel().claim(5n));
    let [claim] = sent();
    for (const waitMs of [200, 400, 800]) {
      socket.deliver(ackOf(claim!, { status: STATUS.OVERLOADED, amount: 0n }));
      clock.advance(waitMs - 1);
      expect(sent()).toEqual([]);
      clock.advance(1);
      [claim] = sent();
      expect(claim).toMatchObject({ amount: 5n, sequence: 1 });
    }
    expect(payer.stats().window).toBe(15);
    socket.deliver(ackOf(claim!));
    expect(await paid.state()).toBe('done');
    expect(payer.stats()).toMatchObject({ acks: { OVERLOADED: 3, COMMITTED: 1 }, retransmits: 3 });
  });

  it('OVERLOADED for a burst halves the window once', () => {
    open({ window: 64 });
    const claims = Array.from({ length: 20 }, (_, index) => {
      watch(channel(index + 1).claim(1n));
      return sent()[0]!;
    });
    socket.deliver(...claims.map((claim) => ackOf(claim, { status: STATUS.OVERLOADED, amount: 0n })));
    expect(payer.stats().window).toBe(32);
  });
});

describe('bad use', () => {
  it('is told what was expected', async () => {
    const key = stubSigner;
    expect(() => payer.channel({ ledgerChannelId: 'AB', key })).toThrow('ledgerChannelId: expected 64 hex digits');
    expect(() => payer.channel({ ledgerChannelId: new Uint8Array(31), key })).toThrow('expected 32 bytes, got 31');
    const ledgerChannelId = 'ab'.repeat(32);
    expect(() => payer.channel({ ledgerChannelId, key, channelId: 2n ** 64n })).toThrow(
      'channelId: expected 0..2^64-1',
    );
    expect(() => payer.channel({ ledgerChannelId, key, lastSequence: 2 ** 32 })).toThrow(
      'lastSequence: expected a u32',
    );
    const paying = payer.channel({ ledgerChannelId, key });
    expect(paying.channelId).toBe(0xabab_abab_abab_ababn);
    expect(() => payer.channel({ ledgerChannelId, key })).toThrow('channelId: expected a handle not in use');
    await expect(paying.claim(5 as unknown as bigint)).rejects.toThrow('amount: expected a bigint');
    await expect(paying.claim(-1n)).rejects.toThrow('amount: expected a bigint in 0..2^64-1');
    await expect(paying.pay(0n)).rejects.toThrow('drops: expected a bigint above 0');
    expect(() => open({ window: 0 })).toThrow('window: expected a number of at least 1, got 0');
  });

  it('a signer that fails rejects the claim and holds no room', async () => {
    const ledgerChannelId = new Uint8Array(32).fill(3);
    const signClaim = (): void => {
      throw new Error('token is gone');
    };
    const paying = payer.channel({ ledgerChannelId, key: { publicKey: new Uint8Array(33), signClaim } });
    await expect(paying.claim(1n)).rejects.toThrow('token is gone');
    expect(payer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
  });
});

/** A payer that signs roots, at a node in memory that judges every frame by itself: loss, order, exposure, slow signers. Fake clock. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { Payer, type PayerLimits } from '../../../src/client/payer.ts';
import { PayerState, type StateRecord } from '../../../src/client/state/payer-state.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { ManualClock, MemorySocket } from '../../support/payer-fakes.ts';
import { idOf, RootNode, RootSigner } from '../../support/root-node.ts';

let clock: ManualClock;
let socket: MemorySocket;
let signer: RootSigner;
let node: RootNode;
let payer: Payer;

function open(limits: PayerLimits = {}): void {
  payer = new Payer({ socket, clock, random: () => 0, roots: {}, ...limits });
}

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  signer = new RootSigner();
  node = new RootNode();
  open();
});

function channel(number: number, profile: 'xrpl' | 'link' = 'xrpl'): PaymentChannel {
  return payer.channel({ ledgerChannelId: idOf(number), key: signer, profile });
}

function watched<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

/** Lets promises settle, then what was sent arrive, but for what `isLost` says. */
async function exchange(milliseconds = 10, isLost: (datagram: number) => boolean = () => false): Promise<void> {
  await settle();
  clock.advance(milliseconds);
  await settle();
  clock.turn();
  for (const [index, datagram] of socket.datagrams.splice(0).entries())
    if (!isLost(index)) socket.deliverBytes(node.take(datagram));
  await settle();
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('roots', () => {
  it('what many channels ask for within 10 ms is one signature, and each frame holds alone', async () => {
    const paid = Array.from({ length: 130 }, (_, index) => channel(index + 1).claim(BigInt(index + 10)));
    await exchange(9);
    expect([signer.roots, node.roots.length]).toEqual([0, 0]);
    await exchange(1);
    expect(signer.roots).toBe(1);
    expect(node.roots).toEqual([0, 1, 2].map((block) => ({ sequence: 1, leaves: 130, block })));
    const acks = await Promise.all(paid);
    expect(acks.map(({ amount }) => amount)).toEqual(paid.map((_, index) => BigInt(index + 10)));
    expect(payer.stats()).toMatchObject({ rootsSigned: 1, claimsSent: 130, inFlight: 0, waiting: 0, datagramsSent: 3 });
    expect(node.claims).toEqual([]);
  });

  it('what was lost goes into a new root with the newest amount, and no frame is sent twice', async () => {
    const channels = Array.from({ length: 100 }, (_, index) => channel(index + 1));
    const paid = channels.map((each) => watched(each.claim(5n)));
    await exchange(10, (datagram) => datagram === 0);
    paid.push(watched(channels[0]!.claim(8n)));
    await exchange(10, () => true);
    await exchange(400);
    await exchange(400);
    await Promise.all(paid);
    expect(node.channels.get(BigInt(`0x${'0001'.repeat(4)}`))!.committed).toBe(8n);
    const sequences = node.roots.map(({ sequence, block }) => `${sequence}/${block}`);
    expect(new Set(sequences).size).toBe(sequences.length);
    expect(payer.stats().retransmits).toBeGreaterThanOrEqual(64);
    expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0, queued: 0 });
  });

  it('has at most leavesMax leaves to a root', async () => {
    open({ roots: { everyMs: 1, leavesMax: 64 } });
    const paid = Array.from({ length: 150 }, (_, index) => channel(index + 1).claim(1n));
    for (let round = 0; round < 4; round++) await exchange(1);
    await Promise.all(paid);
    expect(node.roots.map(({ leaves }) => leaves)).toEqual([64, 64, 22]);
  });

  it('while the signer is busy with a root the next one gathers, of each channel the newest amount', async () => {
    signer.isSlow = true;
    const [one, two] = [channel(1), channel(2)];
    const paid = [watched(one.claim(1n))];
    await exchange(10);
    for (const amount of [2n, 3n, 4n]) paid.push(watched(one.claim(amount)));
    paid.push(watched(two.claim(7n)));
    await exchange(50);
    expect(signer.calls).toHaveLength(1);
    signer.calls[0]!();
    await exchange(10);
    await exchange(10);
    expect(signer.calls).toHaveLength(2);
    signer.calls[1]!();
    await exchange(10);
    await Promise.all(paid);
    expect(node.roots.map(({ leaves, sequence }) => [leaves, sequence])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it('a root that cannot be signed is owed by nobody, and the next one is tried', async () => {
    signer.isSlow = true;
    const [one, two] = [channel(1), channel(2)];
    const paid = [watched(one.claim(1n)), watched(two.claim(2n))];
    await exchange(10);
    signer.calls[0]!(new Error('token lost'));
    await exchange();
    await expect(paid[0]).rejects.toThrow('token lost');
    await expect(paid[1]).rejects.toThrow('token lost');
    expect([one.claimed, two.claimed]).toEqual([0n, 0n]);
    const again = one.claim(3n);
    await exchange(10);
    signer.calls[1]!();
    await exchange(10);
    expect((await again).amount).toBe(3n);
    expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  it('keeps sequences ahead of the key, not of the channel: those of roots rise without it', async () => {
    const kept = new Map<string, StateRecord>();
    const write = async (records: readonly (readonly [string, StateRecord])[]) => {
      for (const [id, record] of records) kept.set(id, record);
    };
    const state = new PayerState({ name: 'memory', write, close: async () => {} }, new Map());
    payer = new Payer({ socket, clock, random: () => 0, roots: {} }, state);
    const [one, two] = [channel(1), channel(2)];
    for (const amount of [1n, 2n, 3n]) {
      const paid = one.claim(amount);
      await exchange();
      await paid;
    }
    const paid = two.claim(1n);
    await exchange();
    await paid;
    expect(node.roots.at(-1)!.sequence).toBe(4);
    expect(kept.get('0002'.repeat(16))!.sequence).toBeGreaterThan(4 + 32_768);
    await payer.close();
    expect([...kept.values()].map(({ sequence }) => sequence)).toEqual([3, 4]);
  });

  it('asks by a leaf what is durable: an ordinary claim for what leaves have paid would not be ALREADY', async () => {
    const paid = channel(1).claim(5n);
    await exchange();
    await paid;
    await payer.close();
    socket = new MemorySocket();
    open();
    const again = payer.channel({ ledgerChannelId: idOf(1), key: signer, committed: 5n, lastSequence: 1 });
    const more = again.pay(2n);
    for (let round = 0; round < 6; round++) await exchange();
    expect((await more).amount).toBe(7n);
    expect(node.claims).toEqual([]);
    expect(payer.stats().questionsSent).toBeGreaterThan(0);
  });

  it('two keys have two roots', async () => {
    const other = new RootSigner();
    other.publicKey.fill(3);
    const paid = [channel(1).claim(1n), payer.channel({ ledgerChannelId: idOf(2), key: other }).claim(1n)];
    await exchange(10);
    await Promise.all(paid);
    expect([signer.roots, other.roots]).toEqual([1, 1]);
  });

  it('refuses links without frames, signers without messages, and numbers that are none', async () => {
    const link = { peer: 'tcp', listen() {}, open: () => true, send: () => true, close: async () => {} };
    const stats = () => ({ transport: 'tcp', transportSwitches: 0, datagramsSent: 0 }) as const;
    expect(() => new Payer({ link: { ...link, stats }, clock, roots: {} })).toThrow('roots: expected a link');
    expect(() => payer.channel({ ledgerChannelId: idOf(1), key: { publicKey: idOf(2) } })).toThrow('expected a signer');
    for (const roots of [{ everyMs: -1 }, { leavesMax: 0 }, { leavesMax: 65_537 }, { exposure: -1n }])
      expect(() => open({ roots })).toThrow('roots.');
    await expect(Payer.open({ to: 'tcp://127.0.0.1:1', roots: { everyMs: -1 } })).rejects.toThrow('roots.everyMs');
  });
});

describe('ordinary claims beside leaves', () => {
  it('after ROOT_EXPOSURE an ordinary claim follows, and from then on before the limit is passed', async () => {
    node.exposure = 100n;
    const one = channel(1);
    for (const amount of [60n, 100n]) {
      const paid = one.claim(amount);
      await exchange();
      await paid;
    }
    expect(node.claims).toEqual([]);
    const over = one.claim(130n);
    await exchange();
    expect(node.refusals).toEqual([STATUS.ROOT_EXPOSURE]);
    await exchange();
    expect((await over).amount).toBe(130n);
    expect(node.claims.map(({ amount }) => amount)).toEqual([130n]);
    const within = one.claim(230n);
    await exchange();
    await within;
    expect(node.claims).toHaveLength(1);
    const beyond = one.claim(231n);
    await exchange();
    await beyond;
    expect(node.claims.map(({ amount }) => amount)).toEqual([130n, 231n]);
    expect(node.refusals).toHaveLength(1);
  });

  it('a node that takes no leaves of the channel gets ordinary claims only', async () => {
    node.exposure = 0n;
    const one = channel(1);
    for (const amount of [1n, 2n, 3n]) {
      const paid = one.claim(amount);
      await exchange();
      await exchange();
      await paid;
    }
    expect(node.roots).toHaveLength(1);
    expect(node.claims.map(({ amount }) => amount)).toEqual([1n, 2n, 3n]);
  });

  it('follows with an ordinary claim too where others of the key have used up what was left', async () => {
    node.exposure = 100n;
    const one = channel(1);
    const over = one.claim(130n);
    await exchange();
    await exchange();
    await over;
    node.exposure = 10n;
    const more = one.claim(180n);
    await exchange();
    await exchange();
    expect((await more).amount).toBe(180n);
    expect(node.claims.map(({ amount }) => amount)).toEqual([130n, 180n]);
  }, 2_000);

  it('keeps within the exposure that it was given', async () => {
    open({ roots: { exposure: 10n } });
    node.exposure = 10n;
    const one = channel(1);
    for (const amount of [10n, 20n, 25n, 31n]) {
      const paid = one.claim(amount);
      await exchange();
      await paid;
    }
    expect(node.refusals).toEqual([]);
    expect(node.claims.map(({ amount }) => amount)).toEqual([20n, 31n]);
  });

  it.each(['xrpl', 'link'] as const)('cover() is an ordinary claim for what leaves have paid (%s)', async (profile) => {
    node = new RootNode(profile === 'link');
    const one = channel(1, profile);
    const paid = one.claim(50n);
    await exchange();
    await paid;
    const cover = watched(one.cover());
    await exchange(10, () => true);
    // A late ack of the leaf is not the ordinary claim's.
    let isCovered = false;
    cover.then(() => {
      isCovered = true;
    });
    socket.deliver({ status: 0, sequence: 1, channelId: one.channelId, amount: 50n, timestamp: 0 });
    await settle();
    expect(isCovered).toBe(false);
    await exchange(1_000);
    expect((await cover).amount).toBe(50n);
    for (const { amount, sequence } of node.claims) expect([amount, sequence]).toEqual([50n, 2]);
    expect(one.lastClaim()).toHaveLength(93);
    const more = one.claim(60n);
    await exchange();
    await more;
    expect(node.roots.at(-1)!.sequence).toBe(3);
    expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  it('cover() while a leaf is being signed waits for the claim after it', async () => {
    signer.isSlow = true;
    const one = channel(1);
    const paid = watched(one.claim(5n));
    await exchange(10);
    const cover = watched(one.cover());
    signer.calls[0]!();
    await exchange();
    await exchange();
    expect((await cover).amount).toBe(5n);
    await paid;
    expect(node.claims.map(({ amount }) => amount)).toEqual([5n]);
  });

  it('whatever is lost, delayed, covered or refused for exposure: all is paid, once, and sequences rise', async () => {
    const step = fc.record({
      channel: fc.nat({ max: 4 }),
      drops: fc.bigInt({ min: 1n, max: 30n }),
      what: fc.constantFrom('pay', 'pay', 'pay', 'cover'),
      wait: fc.constantFrom(0, 3, 10, 300),
      lost: fc.constantFrom(0, 0, 1, 2),
    });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isLink) => {
      clock = new ManualClock();
      socket = new MemorySocket();
      signer = new RootSigner();
      node = new RootNode(isLink);
      node.exposure = 40n;
      open({ ackTimeoutMs: 1e7 });
      const channels = [1, 2, 3, 4, 5].map((number) => channel(number, isLink ? 'link' : 'xrpl'));
      const promises: Promise<unknown>[] = [];
      for (const { channel: number, drops, what, wait, lost } of steps) {
        const each = channels[number]!;
        const isCover = what === 'cover' && each.claimed > 0n;
        promises.push(watched(isCover ? each.cover() : each.claim(each.claimed + drops)));
        await exchange(wait, (index) => lost > 0 && index % lost === 0);
      }
      for (let round = 0; round < 12; round++) await exchange(2_000);
      await Promise.all(promises);
      for (const each of channels) expect(node.channels.get(each.channelId)?.committed ?? 0n).toBe(each.claimed);
      for (const { committed, ordinary } of node.channels.values())
        expect(committed - ordinary).toBeLessThanOrEqual(40n);
      expect(node.refusals.filter((status) => status !== STATUS.ROOT_EXPOSURE)).toEqual([]);
      expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0, queued: 0 });
    });
    await fc.assert(property, { numRuns: brieflyOrAtLength(20, 1_000) });
  });
});

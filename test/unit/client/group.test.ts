/** Channels that are paid together, at a node in memory that judges every frame by itself: loss, order, refusals, slow signers. Fake clock. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import type { PaymentChannel } from '../../../src/client/channel.ts';
import { GroupError } from '../../../src/client/group/group-error.ts';
import type { GroupOptions, PaymentGroup } from '../../../src/client/group/payment-group.ts';
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

beforeEach(() => {
  clock = new ManualClock();
  socket = new MemorySocket();
  signer = new RootSigner();
  node = new RootNode();
  open();
});

function open(limits: PayerLimits = {}, state?: PayerState): void {
  payer = new Payer({ socket, clock, random: () => 0, roots: {}, ...limits }, state);
}

function channels(count: number, profile: 'xrpl' | 'link' = 'xrpl'): PaymentChannel[] {
  const one = (index: number) =>
    payer.channel({ ledgerChannelId: idOf(index + 1), key: signer, profile, committed: 0n });
  return Array.from({ length: count }, (_, index) => one(index));
}

/** A group that knows what the node holds. */
async function begun(
  count: number,
  options: GroupOptions = {},
  profile: 'xrpl' | 'link' = 'xrpl',
): Promise<PaymentGroup> {
  const group = payer.group(channels(count, profile), options);
  const first = group.pay(1n);
  while (payer.stats().waiting > 0) await exchange();
  await first;
  node.roots.length = 0;
  return group;
}

function watched<Result>(promise: Promise<Result>): Promise<Result> {
  promise.catch(() => {});
  return promise;
}

/** Lets time pass until something was sent again, then it arrives. */
async function resent(): Promise<void> {
  while (payer.stats().retransmits === 0) await exchange(5);
}

/** Lets promises and turns of the event loop go by. */
async function settle(): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.turn();
  }
}

/** Lets time pass, then what was sent arrive, but for what `isLost` says; acks in the order that `order` makes of them. */
async function exchange(
  milliseconds = 10,
  isLost: (datagram: number) => boolean = () => false,
  order: (acks: Uint8Array[]) => Uint8Array[] = (acks) => acks,
): Promise<void> {
  await settle();
  clock.advance(milliseconds);
  await settle();
  const acks = socket.datagrams.splice(0).flatMap((datagram, index) => (isLost(index) ? [] : [node.take(datagram)]));
  for (const ack of order(acks)) socket.deliverBytes(ack);
  await settle();
}

const committedOf = (group: PaymentGroup) => group.channels.map(({ committed }) => committed);

describe('a wave', () => {
  it('is one signature and as many frames as it takes, and resolves when all of it is durable', async () => {
    const group = payer.group(channels(130));
    const paid = group.pay(5n);
    for (let round = 0; round < 4; round++) await exchange();
    expect(await paid).toMatchObject({ claims: 130 });
    expect(node.roots).toEqual([0, 1, 2].map((block) => ({ sequence: 1, leaves: 130, block })));
    expect(committedOf(group)).toEqual(Array(130).fill(5n));
    expect(payer.stats()).toMatchObject({ rootsSigned: 1, claimsSent: 130, inFlight: 0, waiting: 0, retransmits: 0 });
    expect(node.claims).toEqual([]);
  });

  it('pays each channel its own drops, and has no leaf of those that it does not pay', async () => {
    const group = await begun(100);
    const drops = new BigUint64Array(100).map((_, index) => (index % 3 === 0 ? 0n : BigInt(index) << 33n));
    const paid = group.pay(drops);
    await exchange();
    expect(await paid).toMatchObject({ claims: 66 });
    expect(node.roots.map(({ leaves }) => leaves)).toEqual([66, 66]);
    expect(committedOf(group)).toEqual([...drops].map((more) => more + 1n));
  });

  it('of nothing is durable at once', async () => {
    const group = await begun(3);
    expect(await group.pay(new BigUint64Array(3))).toMatchObject({ claims: 0 });
    expect(signer.roots).toBe(1);
  });

  it('larger than a root has several, one after the other', async () => {
    open({ roots: { leavesMax: 64 } });
    const group = await begun(150);
    const paid = group.pay(1n);
    await exchange();
    await paid;
    expect(node.roots.map(({ leaves, sequence }) => [leaves, sequence])).toEqual([
      [64, 4],
      [64, 5],
      [22, 6],
    ]);
  });

  it('fills the window, and goes on as acks come', async () => {
    open({ window: 128 });
    const group = await begun(300);
    const paid = group.pay(1n);
    await settle();
    expect(socket.datagrams).toHaveLength(2);
    expect(payer.stats().inFlight).toBe(128);
    for (let round = 0; round < 3; round++) await exchange(0);
    await paid;
    expect(payer.stats()).toMatchObject({ inFlight: 0, retransmits: 0 });
  });

  it('that lost a frame sends that one again, and nothing else', async () => {
    const group = await begun(130);
    const paid = group.pay(2n);
    await exchange(0, (datagram) => datagram === 1);
    expect(node.roots.map(({ block }) => block)).toEqual([0, 2]);
    await resent();
    await paid;
    expect(node.roots.map(({ block, sequence }) => [block, sequence])).toEqual([
      [0, 2],
      [2, 2],
      [1, 2],
    ]);
    expect(payer.stats()).toMatchObject({ retransmits: 64, inFlight: 0 });
  });

  it('whose acks are lost is answered ALREADY', async () => {
    const group = await begun(10);
    const paid = group.pay(2n);
    await exchange(0, undefined, () => []);
    await resent();
    await paid;
    expect(payer.stats().acks).toMatchObject({ ALREADY: 10 });
  });

  it('times out for the channels that nobody answers, and what was asked for stays claimed', async () => {
    open({ ackTimeoutMs: 1_000 });
    const group = await begun(130);
    const paid = watched(group.pay(7n));
    for (let round = 0; round < 12; round++) await exchange(100, () => true);
    const error = await paid.catch((reason: unknown) => reason as GroupError);
    expect(error).toMatchObject({ code: 'GROUP_FAILED', details: { claims: 130, failed: 130 } });
    expect((error as GroupError).failures[5]).toMatchObject({ amount: 8n, error: { code: 'ACK_TIMEOUT' } });
    expect([group.channels[5]!.claimed, group.channels[5]!.committed]).toEqual([8n, 1n]);
    const more = group.pay(1n);
    await exchange();
    await more;
    expect(committedOf(group)).toEqual(Array(130).fill(9n));
    expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });
});

describe('several waves', () => {
  it('are under way at once, each with its own root, and as many as were said', async () => {
    const group = await begun(70, { waves: 2 });
    const [one, two] = [group.pay(1n), group.pay(2n)];
    await expect(group.pay(3n)).rejects.toMatchObject({ code: 'PAYER_FULL' });
    await settle();
    expect(socket.datagrams).toHaveLength(4);
    await exchange();
    await Promise.all([one, two]);
    expect(node.roots.map(({ sequence }) => sequence)).toEqual([2, 2, 3, 3]);
    expect(committedOf(group)).toEqual(Array(70).fill(4n));
    const three = group.pay(3n);
    await exchange();
    await three;
  });

  it('the next one is hashed while the signer is busy, and signed after it', async () => {
    const group = await begun(5);
    signer.isSlow = true;
    const paid = [group.pay(1n), group.pay(1n)];
    await settle();
    expect(signer.calls).toHaveLength(1);
    signer.calls[0]!();
    await settle();
    expect(signer.calls).toHaveLength(2);
    expect(socket.datagrams).toHaveLength(1);
    signer.calls[1]!();
    await exchange();
    await Promise.all(paid);
  });

  it.each(['xrpl', 'link'] as const)('resolve in whatever order their frames arrive (%s)', async (profile) => {
    node = new RootNode(profile === 'link');
    const group = await begun(130, {}, profile);
    const paid = [group.pay(1n), group.pay(2n), group.pay(3n)];
    await settle();
    socket.datagrams.reverse();
    await exchange(0, undefined, (acks) => acks.reverse());
    await Promise.all(paid);
    expect(node.refusals.filter((status) => status !== STATUS.BAD_SIGNATURE)).toEqual([]);
    expect(committedOf(group)).toEqual(Array(130).fill(7n));
  });

  it('a frame of which a newer wave has every leaf is not sent again', async () => {
    const group = await begun(64);
    const one = group.pay(1n);
    await exchange(0, () => true);
    const two = group.pay(1n);
    await exchange(0);
    await Promise.all([one, two]);
    await exchange(1_000);
    expect(payer.stats().retransmits).toBe(0);
  });
});

describe('refusals', () => {
  it('fail their channels alone, which claim no more than before', async () => {
    const group = await begun(100);
    node.answers.set(group.channels[3]!.channelId, STATUS.CHANNEL_CLOSED);
    node.answers.set(group.channels[70]!.channelId, STATUS.BAD_SIGNATURE);
    const paid = watched(group.pay(4n));
    await exchange();
    const error = (await paid.catch((reason: unknown) => reason)) as GroupError;
    expect(error).toBeInstanceOf(GroupError);
    expect(error.failures.map(({ channel, error: why }) => [group.channels.indexOf(channel), why])).toMatchObject([
      [3, { code: 'CLAIM_REFUSED', details: { status: 'CHANNEL_CLOSED' } }],
      [70, { code: 'CLAIM_REFUSED', details: { status: 'BAD_SIGNATURE' } }],
    ]);
    expect([group.channels[3]!.claimed, group.channels[4]!.claimed]).toEqual([1n, 5n]);
    node.answers.clear();
    const more = group.pay(2n);
    await exchange();
    await more;
    expect([group.channels[3]!.committed, group.channels[4]!.committed]).toEqual([3n, 7n]);
    expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
  });

  it('OVER_CAPACITY concerns what is over it: what is not is sent again', async () => {
    const group = await begun(10, {}, 'link');
    node.capacity = 5n;
    const paid = [watched(group.pay(3n)), watched(group.pay(3n)), watched(group.pay(3n))];
    await settle();
    // The first wave is lost.
    await exchange(0, (datagram) => datagram === 0);
    await expect(paid[1]).rejects.toMatchObject({ code: 'GROUP_FAILED', details: { failed: 10 } });
    await expect(paid[2]).rejects.toMatchObject({ code: 'GROUP_FAILED' });
    expect(group.channels[0]!.claimed).toBe(4n);
    await exchange(400);
    await paid[0];
    const last = group.pay(1n);
    await exchange();
    await last;
    expect(committedOf(group)).toEqual(Array(10).fill(5n));
  });

  it('OVERLOADED is sent again later, with a smaller window meanwhile', async () => {
    const group = await begun(10);
    const { channelId } = group.channels[0]!;
    node.answers.set(channelId, STATUS.OVERLOADED);
    const paid = group.pay(1n);
    await exchange(0);
    node.answers.clear();
    expect(payer.stats().window).toBeLessThan(4_416);
    await exchange(400);
    await paid;
  });

  it('ROOT_EXPOSURE is followed by an ordinary claim, and leaves go on after it', async () => {
    const group = await begun(3);
    node.exposure = 10n;
    const paid = group.pay(BigUint64Array.of(10n, 8n, 1n));
    for (let round = 0; round < 3; round++) await exchange();
    await paid;
    expect(node.claims.map(({ channelId, amount }) => [channelId, amount])).toEqual([
      [group.channels[0]!.channelId, 11n],
    ]);
    node.roots.length = 0;
    const more = group.pay(1n);
    for (let round = 0; round < 3; round++) await exchange();
    await more;
    expect(node.roots.map(({ leaves }) => leaves)).toEqual([3]);
    // Its limit is known by now, so no leaf is refused before the ordinary claim.
    const last = group.pay(BigUint64Array.of(10n, 0n, 0n));
    for (let round = 0; round < 3; round++) await exchange();
    await last;
    expect(node.refusals.filter((status) => status === STATUS.ROOT_EXPOSURE)).toHaveLength(1);
    expect(committedOf(group)).toEqual([22n, 10n, 3n]);
  });

  it('MOVED is final over a link with one node', async () => {
    const group = await begun(2);
    node.answers.set(group.channels[1]!.channelId, STATUS.MOVED);
    const paid = group.pay(1n);
    const fails = expect(paid).rejects.toMatchObject({ cause: { details: { status: 'MOVED' } } });
    await exchange();
    await fails;
  });

  it('of acks that no root can have caused, and of more than was asked for, nothing is believed', async () => {
    const group = await begun(2);
    watched(group.pay(1n));
    await settle();
    const ack = { sequence: 2, channelId: group.channels[0]!.channelId, amount: 2n, timestamp: 0 };
    socket.deliver(
      { ...ack, status: STATUS.COMMITTED, sequence: 9 },
      { ...ack, status: STATUS.CHANNEL_CLOSED, sequence: 9 },
    );
    expect(payer.stats().unmatched).toBe(2);
    expect(group.channels[0]!.committed).toBe(1n);
    socket.deliver({ ...ack, status: STATUS.COMMITTED, amount: 1_000n });
    expect(group.channels[0]!.committed).toBe(2n);
  });
});

describe('what is not signed', () => {
  it('is not owed: neither by its wave nor by those that add to it', async () => {
    const group = await begun(5);
    signer.isSlow = true;
    const paid = [watched(group.pay(10n)), watched(group.pay(20n)), watched(group.pay(30n))];
    await settle();
    signer.calls[0]!();
    await settle();
    signer.calls[1]!(new Error('token lost'));
    await settle();
    for (const each of [1, 2]) await expect(paid[each]).rejects.toMatchObject({ cause: { message: 'token lost' } });
    expect(group.channels[0]!.claimed).toBe(11n);
    await exchange();
    await paid[0];
    const more = group.pay(4n);
    await settle();
    signer.calls[2]!();
    await exchange();
    await more;
    expect(committedOf(group)).toEqual(Array(5).fill(15n));
    expect(signer.calls).toHaveLength(3);
  });

  it('a signed amount stays claimed where a later one cannot be signed, also after its time-out', async () => {
    open({ ackTimeoutMs: 500 });
    const group = await begun(3);
    const paid = watched(group.pay(10n));
    for (let round = 0; round < 6; round++) await exchange(100, () => true);
    await expect(paid).rejects.toMatchObject({ code: 'GROUP_FAILED' });
    signer.isSlow = true;
    const next = watched(group.pay(5n));
    await settle();
    signer.calls[0]!(new Error('token lost'));
    await settle();
    await expect(next).rejects.toMatchObject({ code: 'GROUP_FAILED' });
    expect(group.channels[0]!.claimed).toBe(11n);
  });

  it('ends with its signal, and with the payer', async () => {
    const group = await begun(5);
    signer.isSlow = true;
    const stop = new AbortController();
    const [one, two] = [watched(group.pay(1n, { signal: stop.signal })), watched(group.pay(1n))];
    await settle();
    stop.abort(new Error('enough'));
    await expect(one).rejects.toThrow('enough');
    await payer.close();
    await expect(two).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
    signer.calls[0]!();
    await settle();
    expect(socket.datagrams).toEqual([]);
    await expect(group.pay(1n)).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
    await expect(group.pay(1n, { signal: stop.signal })).rejects.toMatchObject({ code: 'PAYER_CLOSED' });
  });
});

describe('ordinary claims', () => {
  it.each(['xrpl', 'link'] as const)(
    'cover() follows with one for each channel that leaves have paid (%s)',
    async (profile) => {
      node = new RootNode(profile === 'link');
      const group = await begun(20, {}, profile);
      const covered = group.cover();
      await exchange();
      expect(await covered).toMatchObject({ claims: 20 });
      expect(node.claims.map(({ amount }) => amount)).toEqual(Array(20).fill(1n));
      expect(await group.cover()).toMatchObject({ claims: 0 });
      const paid = group.pay(2n);
      await exchange();
      await paid;
      const one = group.channels[0]!.cover();
      await exchange();
      expect((await one).amount).toBe(3n);
      expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0 });
    },
  );

  it('a channel that is covered has no leaf meanwhile: the next wave pays it', async () => {
    const group = await begun(3);
    const covered = watched(group.channels[0]!.cover());
    await settle();
    const paid = group.pay(5n);
    await exchange(0, (datagram) => datagram === 0);
    expect(node.roots.map(({ leaves }) => leaves)).toEqual([2]);
    for (let round = 0; round < 4; round++) await exchange(400);
    await Promise.all([covered, paid]);
    expect(committedOf(group)).toEqual([6n, 6n, 6n]);
  });
});

describe('a group', () => {
  it('asks what the node holds before its first wave, and goes on from there', async () => {
    const paid = payer.group(channels(3)).pay(5n);
    for (let round = 0; round < 4; round++) await exchange();
    await paid;
    await payer.close();
    socket = new MemorySocket();
    open();
    const again = [0, 1, 2].map((index) =>
      payer.channel({
        ledgerChannelId: idOf(index + 1),
        key: signer,
        committed: index === 1 ? 9n : 5n,
        lastSequence: 1,
      }),
    );
    const group = payer.group(again);
    const more = watched(group.pay(2n));
    for (let round = 0; round < 4; round++) await exchange();
    await expect(more).rejects.toMatchObject({
      failures: [{ channel: again[1], error: { code: 'COMMITTED_MISMATCH' } }],
    });
    expect(again.map(({ claimed }) => claimed)).toEqual([5n, 9n, 5n]);
  });

  it('has amounts in the state before they are signed, and what is durable when it ends', async () => {
    const kept = new Map<string, StateRecord>();
    let write: (() => void) | undefined;
    const store = {
      name: 'memory',
      write: async (records: readonly (readonly [string, StateRecord])[]) => {
        if (write !== undefined) await new Promise<void>((resolve) => (write = resolve));
        for (const [id, record] of records) kept.set(id, record);
      },
      close: async () => {},
    };
    open({}, new PayerState(store, new Map()));
    const group = await begun(3);
    write = () => {};
    const paid = [group.pay(10n), group.pay(5n)];
    await settle();
    expect(signer.roots).toBe(1);
    for (let round = 0; round < 3; round++) {
      write();
      await settle();
    }
    expect(signer.roots).toBe(3);
    expect([...kept.values()].map(({ signed }) => signed)).toEqual([16n, 16n, 16n]);
    await exchange();
    await Promise.all(paid);
    write = undefined;
    await payer.close();
    expect([...kept.values()]).toEqual(Array(3).fill({ committed: 16n, signed: 16n, sequence: 3 }));
  });

  it('signs nothing where the state cannot be written', async () => {
    let isFull = false;
    const write = async () => {
      if (isFull) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    open({}, new PayerState({ name: 'memory', write, close: async () => {} }, new Map()));
    const group = await begun(3);
    isFull = true;
    await expect(group.pay(1n)).rejects.toMatchObject({ code: 'STATE_FAILED' });
    await expect(group.cover()).rejects.toMatchObject({ failures: [{ error: { code: 'STATE_FAILED' } }, {}, {}] });
    expect(signer.roots).toBe(1);
    expect(node.claims).toEqual([]);
  });

  it('alone pays its channels', async () => {
    const group = await begun(2);
    const [one] = group.channels as [PaymentChannel];
    await expect(one.pay(1n)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await expect(one.claim(9n)).rejects.toThrow('outside of groups');
    await expect(payer.resume(one)).rejects.toThrow('outside of groups');
  });

  it('says where nothing listens', async () => {
    const group = payer.group(channels(2));
    const paid = watched(group.pay(1n));
    await settle();
    socket.fail(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
    await expect(paid).rejects.toMatchObject({ cause: { code: 'NODE_UNREACHABLE' } });
  });

  it('refuses channels and drops that are none', async () => {
    const two = channels(2);
    expect(() => payer.group([])).toThrow('expected at least one');
    expect(() => payer.group(two, { waves: 0 })).toThrow('waves: expected 1..64');
    const other = new RootSigner();
    other.publicKey.fill(3);
    const third = payer.channel({ ledgerChannelId: idOf(9), key: other });
    expect(() => payer.group([...two, third])).toThrow('expected those of one key');
    expect(() => payer.group([two[0]!, two[0]!])).toThrow('expected each once');
    const group = payer.group(two);
    expect(() => payer.group(two)).toThrow('expected none of another group');
    for (const drops of [0n, -1n, 2n ** 64n, new BigUint64Array(3), 5 as unknown as bigint])
      await expect(group.pay(drops)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const first = group.pay(1n);
    for (let round = 0; round < 4; round++) await exchange();
    await first;
    await expect(group.pay(2n ** 64n - 1n)).rejects.toThrow('expected a sum in');
    expect(group.channels[0]!.claimed).toBe(1n);
    const others = new Payer({ socket: new MemorySocket(), clock });
    expect(() => others.group([])).toThrow('expected a payer with `roots`');
    expect(() => new Payer({ socket: new MemorySocket(), clock, roots: {} }).group(two)).toThrow('of this payer');
  });

  it('whatever is lost, delayed, covered or refused for exposure: all is paid, once, and no amount falls', async () => {
    const step = fc.record({
      drops: fc.array(fc.bigInt({ min: 0n, max: 30n }), { minLength: 5, maxLength: 5 }),
      what: fc.constantFrom('pay', 'pay', 'pay', 'cover', 'one'),
      wait: fc.constantFrom(0, 3, 10, 300),
      lost: fc.constantFrom(0, 0, 1, 2),
      isReversed: fc.boolean(),
    });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.boolean(), async (steps, isLink) => {
      clock = new ManualClock();
      socket = new MemorySocket();
      signer = new RootSigner();
      node = new RootNode(isLink);
      open({ ackTimeoutMs: 1e7, roots: { leavesMax: 3 } });
      const group = await begun(5, { waves: 8 }, isLink ? 'link' : 'xrpl');
      node.exposure = 40n;
      const promises: Promise<unknown>[] = [];
      let owed = [1n, 1n, 1n, 1n, 1n];
      for (const { drops, what, wait, lost, isReversed } of steps) {
        if (what === 'cover') promises.push(watched(group.cover()));
        else if (what === 'one') promises.push(watched(group.channels[2]!.cover()));
        else {
          const paid = watched(group.pay(BigUint64Array.from(drops)));
          const isFull = await Promise.race([paid.catch(({ code }) => code === 'PAYER_FULL'), settle()]);
          if (isFull !== true) {
            promises.push(paid);
            owed = owed.map((sum, index) => sum + drops[index]!);
          }
        }
        const order = (acks: Uint8Array[]) => (isReversed ? acks.reverse() : acks);
        await exchange(wait, (index) => lost > 0 && index % lost === 0, order);
      }
      for (let round = 0; round < 20; round++) await exchange(2_000);
      await Promise.all(promises);
      expect(committedOf(group)).toEqual(owed);
      expect(group.channels.map(({ channelId }) => node.channels.get(channelId)!.committed)).toEqual(owed);
      expect(
        node.refusals.filter((status) => status !== STATUS.ROOT_EXPOSURE && status !== STATUS.BAD_SIGNATURE),
      ).toEqual([]);
      expect(payer.stats()).toMatchObject({ inFlight: 0, waiting: 0, queued: 0 });
    });
    await fc.assert(property, { numRuns: brieflyOrAtLength(25, 1_000) });
  });
});

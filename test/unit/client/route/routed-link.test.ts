/**
 * A payer over a cluster, on a manual clock and with nodes in memory: where claims go, what a move, a takeover and a silent
 * node come to, and what nodes or forgers that mean ill can make of it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STATUS, U64_MAX } from '../../../../protocol/layout.ts';
import { shardOfChannel } from '../../../../protocol/shard.ts';
import type { PaymentChannel } from '../../../../src/client/channel.ts';
import type { Payer, PayerLimits } from '../../../../src/client/payer.ts';
import { webPlaceFilter } from '../../../../src/client/route/seeds.ts';
import { FakeCluster, type FakeNode, type View } from '../../../support/fake-cluster.ts';
import { ackOf, isQuestion, ManualClock, stubSigner } from '../../../support/payer-fakes.ts';

let clock: ManualClock;
let cluster: FakeCluster;
let payer: Payer | undefined;

beforeEach(() => {
  clock = new ManualClock();
  cluster = new FakeCluster(clock);
});

afterEach(async () => {
  await payer?.close();
  payer = undefined;
  await cluster.advance(2_000);
  expect(clock.pendingTimers).toBe(0);
});

/** Even shards are of node a, odd ones of node b. */
const halves = (version = 1): View => ({ version, holder: (shard) => (shard % 2 === 0 ? 'a' : 'b') });
const allOf = (name: string | undefined, version: number): View => ({ version, holder: () => name });

function two(): [FakeNode, FakeNode] {
  return [cluster.add('a', halves()), cluster.add('b', halves())];
}

function show(view: View): void {
  for (const node of cluster.nodes) node.view = view;
}

function open(seeds: string[], options: PayerLimits = {}, random?: () => number): Payer {
  payer = cluster.payer(seeds, { ackTimeoutMs: 10_000, ...options }, random);
  return payer;
}

/** Channels whose shards are even (`a`), or odd (`b`), in the order of their handles. */
function channels(of: Payer, count: number, side?: 'a' | 'b'): PaymentChannel[] {
  const found: PaymentChannel[] = [];
  for (let handle = 1n; found.length < count; handle++) {
    if (side !== undefined && shardOfChannel(handle) % 2 !== (side === 'a' ? 0 : 1)) continue;
    found.push(of.channel({ channelId: handle, ledgerChannelId: new Uint8Array(32), key: stubSigner, committed: 0n }));
  }
  return found;
}

/** Claims, and notes how each ends: its status or the error's code. */
function claim(of: readonly PaymentChannel[], amount: bigint): { ends: string[] } {
  const result: { ends: string[] } = { ends: [] };
  of.forEach((channel, index) => {
    result.ends.push('waiting');
    channel.claim(amount).then(
      ({ status }) => {
        result.ends[index] = status;
      },
      (error) => {
        result.ends[index] = error.code;
      },
    );
  });
  return result;
}

const all = (count: number, end: string) => Array(count).fill(end);

describe('where claims go', () => {
  it('to the holder of each channel, from the first claim on, where several seeds are given', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 40);
    const { ends } = claim(made, 5n);
    await cluster.advance(50);
    expect(ends).toEqual(all(40, 'COMMITTED'));
    expect(a.claims.every(({ channelId }) => shardOfChannel(channelId) % 2 === 0)).toBe(true);
    expect(b.claims.every(({ channelId }) => shardOfChannel(channelId) % 2 === 1)).toBe(true);
    expect(a.asked + b.asked).toBe(1);
    expect(payer!.stats().route).toMatchObject({ version: '1', places: 2, changes: 1, moved: 0 });
  });

  it('to the one seed until it answers MOVED, and nobody is asked before', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1']), 1, 'a');
    const first = claim(made, 5n);
    await cluster.advance(20);
    expect([first.ends, a.asked, cluster.opened]).toEqual([['COMMITTED'], 0, ['udp://a:1']]);
    expect(payer!.stats().route).toBeUndefined();
    const others = claim(channels(payer!, 3, 'b').slice(0, 3), 7n);
    await cluster.advance(60);
    expect(others.ends).toEqual(all(3, 'COMMITTED'));
    expect(a.asked).toBe(1);
    expect(b.claims).toHaveLength(3);
  });

  it('to the new holder after a move: newest claims only, acknowledged within a round trip of the route', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 20);
    claim(made, 5n);
    await cluster.advance(1_500);
    show(allOf('b', 2));
    const before = b.claims.length;
    const { ends } = claim(made, 6n);
    await cluster.advance(60);
    expect(ends).toEqual(all(20, 'COMMITTED'));
    expect(a.asked + b.asked).toBe(2);
    expect(b.claims.length - before).toBe(20);
    expect(payer!.stats().route).toMatchObject({ version: '2', changes: 2 });
  });

  it('soon after a move in which neither node serves them for a while: MOVED by no newer map is not asked about', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 20, 'a');
    claim(made, 5n);
    await cluster.advance(1_500);
    const asked = a.asked + b.asked;
    a.view = allOf(undefined, 1);
    const { ends } = claim(made, 6n);
    await cluster.advance(100);
    a.view = allOf('b', 2);
    await cluster.advance(80);
    b.view = allOf('b', 2);
    await cluster.advance(100);
    expect(ends).toEqual(all(20, 'COMMITTED'));
    expect(a.asked + b.asked - asked).toBe(1);
  });

  it('at once after a move that the receiver learns of late: who told of the newer map is asked for it', async () => {
    const [a, b] = two();
    const made = channels(
      open(['udp://a:1', 'udp://b:1'], {}, () => 0.99),
      20,
    );
    a.delayMs = 8;
    claim(made, 5n);
    await cluster.advance(1_500);
    show(halves(2));
    cluster.links.get('udp://b:1')!.deliver(ackOf(b.claims[0]!, { status: STATUS.MOVED, amount: 2n }));
    await cluster.advance(1_500);
    // Both were asked, so that the quicker one is asked first otherwise.
    expect([a.asked, b.asked, payer!.stats().route!.version]).toEqual([1, 1, '2']);
    a.view = allOf('b', 3);
    const { ends } = claim(made, 6n);
    await cluster.advance(100);
    b.view = allOf('b', 3);
    await cluster.advance(60);
    expect([ends, a.asked, b.asked]).toEqual([all(20, 'COMMITTED'), 2, 1]);
  });

  it('soon after a move whose map was not there yet when it was asked for: it is asked for again, some times', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 20, 'a');
    claim(made, 5n);
    await cluster.advance(1_500);
    a.view = allOf('b', 2);
    a.odd = { version: '1', shards: [1_024, 0] };
    const { ends } = claim(made, 6n);
    await cluster.advance(100);
    a.odd = {};
    b.view = allOf('b', 2);
    await cluster.advance(200);
    expect(ends).toEqual(all(20, 'COMMITTED'));
  });

  it('at once where a second batch is told of while the map with the first is on its way', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1'], { rto: { minMs: 2_000, initialMs: 2_000 } }), 20, 'a');
    claim(made, 5n);
    await cluster.advance(1_500);
    const isFirst = ({ channelId }: PaymentChannel) => shardOfChannel(channelId) % 4 === 0;
    const holder = (shard: number) => (shard % 4 === 2 ? 'a' : 'b');
    show({ version: 2, holder });
    a.delayMs = b.delayMs = 40;
    claim(made.filter(isFirst), 6n);
    await cluster.advance(30);
    show(allOf('b', 3));
    a.odd = b.odd = { version: '2', shards: Array.from({ length: 256 }, () => [2, 1, 1, 0, 1, 1]).flat() };
    const second = claim(
      made.filter((channel) => !isFirst(channel)),
      6n,
    );
    await cluster.advance(51);
    expect(payer!.stats().route).toMatchObject({ version: '2' });
    a.odd = b.odd = {};
    await cluster.advance(110);
    expect(new Set(second.ends)).toEqual(new Set(['COMMITTED']));
  });

  it('again soon where the map of one batch comes, and their own is still being made', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1'], { rto: { minMs: 2_000, initialMs: 2_000 } }), 20, 'a');
    claim(made, 5n);
    await cluster.advance(1_500);
    const view: View = { version: 2, holder: (shard) => (shard % 4 === 2 ? undefined : 'b') };
    a.view = b.view = { ...view };
    // Those that are still at node a by this map.
    a.odd = b.odd = { version: '2', shards: Array.from({ length: 256 }, () => [2, 1, 1, 0, 1, 1]).flat() };
    const { ends } = claim(made, 6n);
    await cluster.advance(60);
    expect(new Set(ends)).toEqual(new Set(['COMMITTED', 'waiting']));
    a.odd = b.odd = {};
    show(allOf('b', 3));
    await cluster.advance(120);
    expect(ends).toEqual(all(20, 'COMMITTED'));
  });

  it('to a new holder that takes half a second to load: again and again, and not ever less often until then', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 5, 'a');
    claim(made, 5n);
    await cluster.advance(1_500);
    a.view = allOf('b', 2);
    b.view = allOf('c', 2);
    const { ends } = claim(made, 6n);
    await cluster.advance(500);
    expect(ends).toEqual(all(5, 'waiting'));
    b.view = allOf('b', 2);
    await cluster.advance(70);
    expect(ends).toEqual(all(5, 'COMMITTED'));
  });

  it('never to a place of another kind than the seeds: what is paid over TLS is paid over TLS', async () => {
    const holder = cluster.add('a', allOf('a', 1), 'udp://a:1', 'tcp://a:1', 'tls://a:1', 'wss://a:2', 'nonsense');
    cluster.add('b', allOf('a', 1), 'tls://b:1');
    const { ends } = claim(channels(open(['tls://b:1']), 5), 5n);
    await cluster.advance(60);
    expect(ends).toEqual(all(5, 'COMMITTED'));
    expect([...new Set(holder.claims.map(({ address }) => address))]).toEqual(['tls://a:1']);
    expect(cluster.opened.sort()).toEqual(['tls://a:1', 'tls://b:1']);
  });

  it('auto:// takes the places of udp', async () => {
    cluster.add('a', allOf('b', 1));
    cluster.add('b', allOf('b', 1), 'udp://b:1', 'tls://b:1');
    const { ends } = claim(channels(open(['auto://a:1']), 2), 5n);
    await cluster.advance(60);
    expect([ends, cluster.opened]).toEqual([all(2, 'COMMITTED'), ['auto://a:1', 'auto://b:1']]);
  });

  it('to the seed where the map has no place at all that this payer may use', async () => {
    const [a] = two();
    const [mine, other] = [channels(open(['tls://a:2']), 1, 'a'), channels(payer!, 3, 'b').slice(0, 1)];
    a.listen('tls://a:2');
    const ends = [claim(mine, 5n).ends, claim(other, 5n).ends];
    await cluster.advance(200);
    const again = claim(mine, 6n);
    await cluster.advance(200);
    expect([ends, again.ends]).toEqual([[['COMMITTED'], ['waiting']], ['COMMITTED']]);
    expect(payer!.stats().route).toMatchObject({ version: '1' });
    await cluster.advance(10_000);
    expect(ends[1]).toEqual(['ACK_TIMEOUT']);
  });

  it('of a page: to where a node says that its --web listens, as the page was told to pay', async () => {
    cluster.add('a', allOf('b', 1), 'udp://a:1', 'ws://a:9', 'wss://a:2', 'https://a:3');
    cluster.add('b', allOf('b', 1), 'udp://b:1', 'ws://b:9', 'wss://b:2', 'https://b:3');
    payer = cluster.payer(['https://a:2'], { ackTimeoutMs: 10_000 }, () => 0, webPlaceFilter(['https://a:2']));
    for (const [name, node] of [
      ['a', cluster.nodes[0]!],
      ['b', cluster.nodes[1]!],
    ] as const)
      node.listen(`https://${name}:2`);
    const { ends } = claim(channels(payer, 3), 5n);
    await cluster.advance(100);
    expect(ends).toEqual(all(3, 'COMMITTED'));
    expect(cluster.opened).toEqual(['https://a:2', 'https://b:2']);
  });

  it('questions follow as claims do', async () => {
    const [a, b] = two();
    const [channel] = channels(open(['udp://a:1']), 1, 'b');
    const asked = channel!.isDurable(3n);
    await cluster.advance(400);
    expect(await asked).toBe(false);
    expect([a.claims.every(isQuestion), b.claims.length]).toEqual([true, 1]);
  });

  it('requests follow as well: resume is answered by the holder', async () => {
    const [a, b] = two();
    open(['udp://a:1']);
    const signer = { ...stubSigner, signMessage: () => new Uint8Array(64) };
    const channelId = [1n, 2n, 3n, 4n].find((handle) => shardOfChannel(handle) % 2 === 1)!;
    const channel = payer!.channel({ channelId, ledgerChannelId: new Uint8Array(32), key: signer });
    const resumed = payer!.resume(channel);
    await cluster.advance(200);
    expect(await resumed).toMatchObject({ committed: 0n });
    expect([a.resumed, b.resumed]).toEqual([1, 1]);
  });
});

describe('a node that is gone', () => {
  it('is taken over: its channels are paid again within half a second, and those of others never wait', async () => {
    const [a, b] = two();
    open(['udp://a:1', 'udp://b:1'], { window: 4 });
    const mine = channels(payer!, 30, 'a');
    const others = channels2(30);
    claim([...mine, ...others], 5n);
    await cluster.advance(1_000);
    a.isAlive = false;
    const lost = claim(mine, 6n);
    await cluster.advance(300);
    const beside = claim(others, 6n);
    await cluster.advance(40);
    expect(beside.ends).toEqual(all(30, 'COMMITTED'));
    await cluster.advance(660);
    b.view = allOf('b', 2);
    await cluster.advance(500);
    expect(lost.ends).toEqual(all(30, 'COMMITTED'));
    expect(b.asked).toBeLessThan(8);
  });

  it('is taken over after two seconds: that late too its channels are paid a third of a second later', async () => {
    const [a, b] = two();
    const mine = channels(
      open(['udp://a:1', 'udp://b:1'], {}, () => 0.99),
      10,
      'a',
    );
    claim(mine, 5n);
    await cluster.advance(1_000);
    a.isAlive = false;
    const { ends } = claim(mine, 6n);
    await cluster.advance(2_000);
    b.view = allOf('b', 2);
    await cluster.advance(350);
    expect(ends).toEqual(all(10, 'COMMITTED'));
  });

  it('is noticed within a second also where its answers were slow before', async () => {
    const [a, b] = two();
    const mine = channels(open(['udp://a:1', 'udp://b:1']), 3, 'a');
    a.delayMs = 2_000;
    claim(mine, 5n);
    await cluster.advance(3_000);
    claim(mine, 6n);
    await cluster.advance(5_000);
    expect(payer!.stats().rtoMs).toBeGreaterThan(2_000);
    a.isAlive = false;
    b.view = allOf('b', 2);
    const { ends } = claim(mine, 7n);
    await cluster.advance(1_000);
    expect(ends).toEqual(all(3, 'COMMITTED'));
  });

  /** Channels of node b, with handles that `channels` has not used. */
  function channels2(count: number): PaymentChannel[] {
    const made: PaymentChannel[] = [];
    for (let handle = 10_000n; made.length < count; handle++)
      if (shardOfChannel(handle) % 2 === 1)
        made.push(payer!.channel({ channelId: handle, ledgerChannelId: new Uint8Array(32), key: stubSigner }));
    return made;
  }

  it('and nobody takes over: the claims end with ACK_TIMEOUT, and the route is asked for ever less often', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 3, 'a');
    claim(made, 5n);
    await cluster.advance(500);
    a.isAlive = false;
    const asked = a.asked + b.asked;
    const { ends } = claim(made, 6n);
    await cluster.advance(12_000);
    expect(ends).toEqual(all(3, 'ACK_TIMEOUT'));
    expect(a.asked + b.asked - asked).toBeLessThan(22);
    const rounds = payer!.stats().route!.asked;
    await cluster.advance(20_000);
    expect(payer!.stats().route!.asked - rounds).toBeLessThan(4);
  });

  it.each([0, 0.99])('may be the seed that is asked: the next one is, a moment later (chance %d)', async (chance) => {
    const [a, b] = two();
    a.isAlive = false;
    show(allOf('b', 1));
    const { ends } = claim(
      channels(
        open(['udp://a:1', 'udp://b:1'], {}, () => chance),
        3,
      ),
      5n,
    );
    await cluster.advance(400);
    expect([ends, b.asked]).toEqual([all(3, 'COMMITTED'), 1]);
  });

  it('and no seed listens: NODE_UNREACHABLE at once', async () => {
    const [a, b] = two();
    a.refuses = true;
    b.refuses = true;
    const { ends } = claim(channels(open(['udp://a:1', 'udp://b:1']), 2), 5n);
    await cluster.advance(700);
    expect(ends).toEqual(all(2, 'NODE_UNREACHABLE'));
  });
});

describe('several places of a node', () => {
  const places = ['udp://near:1', 'udp://far:1'];

  it('the quicker one carries the channels, once both were tried', async () => {
    const holder = cluster.add('a', allOf('a', 1), ...places);
    cluster.delays.set('udp://near:1', 2);
    cluster.delays.set('udp://far:1', 60);
    const turns = [0.1, 0.6];
    open(['udp://near:1', 'udp://far:1'], {}, () => turns[0]!);
    for (let round = 0n; round < 6n; round++) {
      const made = Array.from({ length: 10 }, (_, index) => {
        const channelId = round * 10n + BigInt(index) + 1n;
        return payer!.channel({ channelId, ledgerChannelId: new Uint8Array(32), key: stubSigner, committed: 0n });
      });
      claim(made, 5n);
      turns.reverse();
      await cluster.advance(200);
    }
    const carried = (place: string) => holder.claims.filter(({ address }) => address === place).length;
    expect(carried('udp://far:1')).toBeGreaterThan(0);
    expect(carried('udp://near:1')).toBeGreaterThanOrEqual(40);
  });

  it('the other one carries them when one is silent', async () => {
    cluster.add('a', allOf('a', 1), ...places);
    const made = channels(open(['udp://near:1', 'udp://far:1']), 10);
    claim(made, 5n);
    await cluster.advance(200);
    const used = cluster.nodes[0]!.claims[0]!.address;
    cluster.silent.add(used);
    const { ends } = claim(made, 6n);
    await cluster.advance(600);
    expect(ends).toEqual(all(10, 'COMMITTED'));
  });
});

describe('what others may try', () => {
  it('MOVED by the thousand, forged, with any version: one question a second to a known seed, and claims go on', async () => {
    const [a, b] = two();
    const made = channels(open(['udp://a:1', 'udp://b:1']), 4);
    claim(made, 5n);
    await cluster.advance(2_000);
    const [forged] = a.claims;
    const asked = a.asked + b.asked;
    for (let tenth = 0; tenth < 100; tenth++) {
      const acks = Array(50).fill(ackOf(forged!, { status: STATUS.MOVED, amount: U64_MAX }));
      cluster.links.get('udp://a:1')!.deliver(...acks);
      await cluster.advance(100);
    }
    expect(payer!.stats().route!.moved).toBe(5_000);
    expect(a.asked + b.asked - asked).toBeLessThanOrEqual(5);
    const { ends } = claim(made, 6n);
    await cluster.advance(20);
    expect(ends).toEqual(all(4, 'COMMITTED'));
    expect(cluster.opened.sort()).toEqual(['udp://a:1', 'udp://b:1']);
  });

  it('never more than five questions a second but the first few, also while each brings a newer map', async () => {
    const [a] = two();
    const made = channels(open(['udp://a:1']), 1, 'a');
    claim(made, 5n);
    await cluster.advance(100);
    for (let version = 2; version < 102; version++) {
      show(halves(version));
      cluster.links.get('udp://a:1')!.deliver(ackOf(a.claims[0]!, { status: STATUS.MOVED, amount: 9n }));
      await cluster.advance(100);
    }
    const asked = cluster.nodes.reduce((sum, node) => sum + node.asked, 0);
    expect(asked).toBeGreaterThan(7);
    expect(asked).toBeLessThanOrEqual(60);
  });

  it('a map of a lower version is not taken', async () => {
    const [a, b] = two();
    show(allOf('b', 7));
    const made = channels(open(['udp://a:1', 'udp://b:1']), 4);
    claim(made, 5n);
    await cluster.advance(1_200);
    show(allOf('a', 6));
    b.view = allOf('b', 7);
    b.isAlive = false;
    const before = a.claims.length;
    claim(made, 6n);
    await cluster.advance(3_000);
    expect(payer!.stats().route).toMatchObject({ version: '7' });
    expect(payer!.stats().route!.refused).toBeGreaterThan(0);
    expect(a.claims.length).toBe(before);
  });

  it('two nodes that each say that the other holds it: claims and questions stay few, and end with ACK_TIMEOUT', async () => {
    const [a, b] = two();
    a.view = allOf('b', 3);
    b.view = allOf('a', 4);
    const [channel] = channels(open(['udp://a:1', 'udp://b:1']), 1);
    const error = channel!.claim(5n).catch(({ code, message }) => [code, /got (\w+)/.exec(message)![1]]);
    await cluster.advance(11_000);
    expect(await error).toEqual(['ACK_TIMEOUT', 'MOVED']);
    expect(a.claims.length + b.claims.length).toBeLessThan(32);
    expect(a.asked + b.asked).toBeLessThan(12);
  });

  it('two nodes whose versions rise against each other: nothing spins', async () => {
    const [a, b] = two();
    const [channel] = channels(open(['udp://a:1', 'udp://b:1']), 1);
    const { ends } = claim([channel!], 5n);
    for (let version = 2; version < 200; version++) {
      show(allOf(version % 2 === 0 ? 'a' : 'b', version));
      for (const node of cluster.nodes) node.view = { ...node.view, holder: () => (node === a ? 'b' : 'a') };
      await cluster.advance(50);
    }
    await cluster.advance(2_000);
    expect(ends).toEqual(['ACK_TIMEOUT']);
    expect(a.claims.length + b.claims.length).toBeLessThan(220);
    expect(a.asked + b.asked).toBeLessThan(70);
  });

  it.each<[string, Record<string, unknown>]>([
    ['no runs', { shards: 7 }],
    ['257 nodes', { nodes: Array.from({ length: 257 }, (_, index) => ({ name: `n${index}`, places: [] })) }],
    ['a version that is no number', { version: 'new' }],
  ])('a map with %s is not taken, and claims go to the first seed', async (_, odd) => {
    const [a, b] = two();
    a.odd = odd;
    b.odd = odd;
    const made = channels(open(['udp://a:1', 'udp://b:1']), 3, 'a');
    const { ends } = claim(made, 5n);
    await cluster.advance(100);
    expect(ends).toEqual(all(3, 'COMMITTED'));
    expect(payer!.stats().route).toMatchObject({ version: null, refused: 2 });
  });

  it.each<[string, string[]]>([
    ['no place', []],
    ['no place of a kind that this payer may use', ['tls://c:1', 'wss://c:2', 'udp://']],
  ])('a holder with %s: the claim waits and times out, and resume says what is missing', async (_, places) => {
    cluster.add('a', allOf('c', 1));
    cluster.add('c', allOf('c', 1), 'udp://c:1').places.splice(0, 1, ...places);
    open(['udp://a:1']);
    const signer = { ...stubSigner, signMessage: () => new Uint8Array(64) };
    const channel = payer!.channel({ channelId: 1n, ledgerChannelId: new Uint8Array(32), key: signer, committed: 0n });
    const { ends } = claim([channel], 5n);
    await cluster.advance(500);
    let code = '';
    payer!.resume(channel).catch((error) => {
      code = `${error.code} ${error.message.slice(0, 24)}`;
    });
    await cluster.advance(11_000);
    expect([ends, code]).toEqual([['ACK_TIMEOUT'], 'NODE_UNREACHABLE route: expected an addre']);
    expect(cluster.opened).toEqual(['udp://a:1']);
  });

  it('a shard that nobody holds yet: the claim waits, and is paid once somebody does', async () => {
    const [a] = two();
    show(allOf(undefined, 1));
    const { ends } = claim(channels(open(['udp://a:1', 'udp://b:1']), 2), 5n);
    await cluster.advance(3_000);
    expect(ends).toEqual(all(2, 'waiting'));
    show(allOf('a', 2));
    await cluster.advance(3_000);
    expect([ends, a.claims.length > 0]).toEqual([all(2, 'COMMITTED'), true]);
  });
});

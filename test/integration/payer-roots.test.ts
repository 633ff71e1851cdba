/** A payer that signs roots, at a real node: many channels, a restart on both sides, and the exposure of `xrpl` channels. The node runs the compiled code. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import { generateKey, keySigner, Payer, type PayerLimits, type StateOptions } from '../../src/client/index.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-payer-roots-'));
const signer = keySigner(generateKey());
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(ROOT, { recursive: true, force: true });
});

async function start(more: NodeOptions = {}): Promise<ClaimwireNode> {
  const udp = { host: '127.0.0.1', port: 0 };
  const limits = { channelsMax: 1 << 12, segmentBytes: 1 << 22 };
  const node = await ClaimwireNode.start({ data: join(ROOT, 'node'), udp, roots: true, ...limits, ...more });
  closing.push(() => node.stop());
  return node;
}

const idOf = (number: number): Uint8Array => new Uint8Array(32).fill(number);
const handleOf = (number: number): bigint => BigInt(`0x${Buffer.from(idOf(number)).toString('hex').slice(0, 16)}`);

async function open(node: ClaimwireNode, count: number, profile: 'xrpl' | 'link'): Promise<void> {
  const { publicKey } = signer;
  const rest = { publicKey, capacity: 1_000_000n, profile, expiresAt: 0 };
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  await node.openChannels(numbers.map((each) => ({ channelId: handleOf(each), ledgerChannelId: idOf(each), ...rest })));
}

async function pay(node: ClaimwireNode, options: PayerLimits & StateOptions = {}, scheme = 'udp'): Promise<Payer> {
  // Another program may have TCP's port of that number.
  const address = scheme === 'tcp' ? node.tcp : node.udp;
  const payer = await Payer.open({ to: `${scheme}://${address}`, roots: { everyMs: 2 }, ...options });
  closing.push(() => payer.close());
  return payer;
}

it.each(['udp', 'tcp', 'auto'])(
  'pays 150 link channels by a root each time, over %s, before and after payer and node start anew',
  async (scheme) => {
    const state = join(ROOT, 'payer.state');
    let node = await start();
    await open(node, 150, 'link');
    for (const round of [1n, 2n]) {
      const payer = await pay(node, { state }, scheme);
      const channels = Array.from({ length: 150 }, (_, index) =>
        payer.channel({ ledgerChannelId: idOf(index + 1), key: signer, profile: 'link' }),
      );
      const acks = await Promise.all(channels.map((channel, index) => channel.pay(BigInt(index + 1))));
      expect(acks.map(({ amount }) => amount)).toEqual(acks.map((_, index) => round * BigInt(index + 1)));
      expect(payer.stats().rootsSigned).toBeLessThan(150);
      const { acks: answers } = payer.stats();
      expect(Object.keys(answers).filter((name) => !['COMMITTED', 'ALREADY', 'OVERLOADED'].includes(name))).toEqual([]);
      for (const close of closing.splice(0).reverse()) await close();
      node = await start();
      for (let number = 1; number <= 150; number++)
        expect(node.channel(handleOf(number))!.committed).toBe(round * BigInt(number));
    }
  },
  30_000,
);

it('follows with ordinary claims where xrpl channels have reached the exposure, and covers the rest when asked', async () => {
  const node = await start({ rootExposureDrops: 100 });
  await open(node, 2, 'xrpl');
  const payer = await pay(node);
  const [one, two] = [1, 2].map((number) => payer.channel({ ledgerChannelId: idOf(number), key: signer }));
  for (const drops of [40n, 50n, 70n]) await Promise.all([one!.pay(drops), two!.pay(5n)]);
  expect([one!.committed, two!.committed]).toEqual([160n, 15n]);
  expect(payer.stats().acks.ROOT_EXPOSURE).toBeGreaterThan(0);
  await Promise.all([one!.cover(), two!.cover()]);
  for (const [number, amount] of [
    [1, 160n],
    [2, 15n],
  ] as const) {
    const held = node.channel(handleOf(number))!;
    expect(held.rooted?.committed ?? held.committed).toBe(amount);
  }
}, 30_000);

/** Channels that are paid together, at a real node: over restarts of both sides, refusals, and the exposure of `xrpl` channels. The node runs the compiled code. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { ClaimwireNode, type NodeOptions } from '../../dist/src/index.js';
import {
  type GroupError,
  generateKey,
  keySigner,
  Payer,
  type PayerLimits,
  type PaymentGroup,
  type StateOptions,
} from '../../src/client/index.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-payer-group-'));
const CAPACITY = 1_000_000n;
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

const idOf = (number: number): Uint8Array =>
  new Uint8Array(32).map((_, at) => (at % 2 === 0 ? number >>> 8 : number) + 1);
const handleOf = (number: number): bigint => BigInt(`0x${Buffer.from(idOf(number)).toString('hex').slice(0, 16)}`);

async function open(node: ClaimwireNode, count: number, profile: 'xrpl' | 'link'): Promise<void> {
  const { publicKey } = signer;
  const rest = { publicKey, capacity: CAPACITY, profile, expiresAt: 0 };
  const numbers = Array.from({ length: count }, (_, index) => index);
  await node.openChannels(numbers.map((each) => ({ channelId: handleOf(each), ledgerChannelId: idOf(each), ...rest })));
}

async function group(
  node: ClaimwireNode,
  count: number,
  profile: 'xrpl' | 'link',
  options: PayerLimits & StateOptions = {},
): Promise<{ payer: Payer; group: PaymentGroup }> {
  const payer = await Payer.open({ to: `udp://${node.udp}`, roots: {}, ...options });
  closing.push(() => payer.close());
  const channels = Array.from({ length: count }, (_, index) =>
    payer.channel({ ledgerChannelId: idOf(index), key: signer, profile }),
  );
  return { payer, group: payer.group(channels) };
}

const heldBy = (node: ClaimwireNode, count: number) =>
  Array.from({ length: count }, (_, index) => node.channel(handleOf(index))!.committed);

it('pays 500 link channels, a root a wave, before and after payer and node start anew', async () => {
  const state = join(ROOT, 'payer.state');
  const drops = new BigUint64Array(500).map((_, index) => BigInt(index));
  let node = await start();
  await open(node, 500, 'link');
  for (const round of [1n, 2n]) {
    const { payer, group: paid } = await group(node, 500, 'link', { state });
    const waves = await Promise.all([paid.pay(drops), paid.pay(1n), paid.pay(drops)]);
    expect(waves.map(({ claims }) => claims)).toEqual([499, 500, 499]);
    expect(payer.stats()).toMatchObject({ rootsSigned: 3, waiting: 0, inFlight: 0 });
    for (const close of closing.splice(0).reverse()) await close();
    node = await start();
    expect(heldBy(node, 500)).toEqual([...drops].map((each) => round * (2n * each + 1n)));
  }
}, 60_000);

it('says which channels the node refused, and pays the others', async () => {
  const node = await start();
  await open(node, 100, 'link');
  const { group: paid } = await group(node, 100, 'link');
  await paid.pay(1n);
  await node.closeChannel(handleOf(7));
  const drops = new BigUint64Array(100).fill(5n);
  drops[50] = CAPACITY;
  const error = (await paid.pay(drops).catch((reason: unknown) => reason)) as GroupError;
  const failed = error.failures.map(({ channel, error: why }) => [
    paid.channels.indexOf(channel),
    (why as GroupError).details.status,
  ]);
  expect(failed.sort(([one], [other]) => Number(one) - Number(other))).toEqual([
    [7, 'CHANNEL_CLOSED'],
    [50, 'OVER_CAPACITY'],
  ]);
  const expected = Array(100).fill(6n);
  for (const index of [7, 50]) expected[index] = 1n;
  expect(heldBy(node, 100)).toEqual(expected);
}, 60_000);

it('follows with ordinary claims where xrpl channels have reached the exposure, and covers the rest when asked', async () => {
  const node = await start({ rootExposureDrops: 1_000 });
  await open(node, 20, 'xrpl');
  const { payer, group: paid } = await group(node, 20, 'xrpl');
  for (const drops of [30n, 30n, 30n]) await paid.pay(drops);
  expect(heldBy(node, 20)).toEqual(Array(20).fill(90n));
  expect(payer.stats().acks.ROOT_EXPOSURE).toBeGreaterThan(0);
  await paid.cover();
  for (let index = 0; index < 20; index++) {
    const { committed, rooted } = node.channel(handleOf(index))!;
    expect(rooted?.committed ?? committed).toBe(90n);
  }
}, 60_000);

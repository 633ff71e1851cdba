/**
 * A checkpoint while claims come in: what is committed after its rows were read stays in the journal. Runs the compiled
 * code, since threads cannot run TypeScript; the interleaving is forced, not waited for.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { Journals } from '../../dist/src/journal/lane-journals.js';
import { ChannelStore } from '../../dist/src/registry/channel-store.js';
import { recoverJournal } from '../../src/journal/walk.ts';
import { ThrowawayChannel } from '../support/throwaway-claims.ts';
import { WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-checkpoint-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
const SETTINGS = { udp: { host: '127.0.0.1', port: 0 }, channelsMax: 256, segmentBytes: 1 << 20, lanes: 1 };

test('a segment that ends while a checkpoint runs is kept: what it holds is not in the registry yet', async () => {
  const data = join(ROOT, 'data');
  const copy = join(ROOT, 'copy');
  const node = await ClaimwireNode.start({ ...SETTINGS, data, checkpointSeconds: 1 });
  const [early, filling] = [new ThrowawayChannel(1n), new ThrowawayChannel(2n)];
  await node.openChannels(
    [early, filling].map(({ channelId, ledgerChannelId, publicKey }) => ({
      channelId,
      ledgerChannelId,
      publicKey,
      capacity: 1_000_000n,
      profile: 'xrpl' as const,
      expiresAt: 0,
    })),
  );
  const peer = await WirePeer.to(node.udp);
  const lane = join(data, 'journal', '0');
  let paid = 0n;
  const pay = async (channel: ThrowawayChannel) => {
    const amount = ++paid;
    await peer.ack((ack) => ack.channelId === channel.channelId && ack.amount === amount, channel.claim(amount));
  };
  const earlyAmount = 1n;
  const { checkpoint } = ChannelStore.prototype;
  const { release } = Journals.prototype;
  let isFilled = false;
  const isCopied = new Promise<void>((resolve) => {
    vi.spyOn(Journals.prototype, 'release').mockImplementation(async function (this: Journals, segments) {
      await release.call(this, segments);
      if (!isFilled) return;
      // What a kill at this moment leaves; nothing else runs in this thread meanwhile.
      execFileSync('cp', ['-r', data, copy]);
      isFilled = false;
      vi.restoreAllMocks();
      resolve();
    });
  });
  vi.spyOn(ChannelStore.prototype, 'checkpoint').mockImplementationOnce(async function (this: ChannelStore) {
    const rows = await checkpoint.call(this);
    // The rows are written. Now a claim that is in the old segment alone, and others until the next one has begun.
    await pay(early);
    while (recoverJournal(lane, () => {}, { sync: false }).lastSegment < 2)
      for (let i = 0; i < 20; i++) await pay(filling);
    isFilled = true;
    return rows;
  });
  await isCopied;
  peer.close();
  await node.stop();
  const again = await ClaimwireNode.start({ ...SETTINGS, data: copy });
  expect(again.channel(early.channelId)!.committed).toBe(earlyAmount);
  expect(again.channel(filling.channelId)!.committed).toBe(paid);
  await again.stop();
}, 60_000);

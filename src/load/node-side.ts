/**
 * What the run asks of the node's admin interface: channels opened, their amounts before and after, what it is.
 *
 * Main thread. Amounts afterwards are the proof: every amount that was acknowledged has to be there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import type { AdminClient } from '../http/client.ts';
import type { LoadChannels } from './channels.ts';
import type { LoadResult, Reconciliation } from './result.ts';

const LINES_PER_WRITE = 10_000;

/** Opens the channels that are not open yet, and starts each at what the node has committed. */
export async function openLoadChannels(
  admin: AdminClient,
  channels: LoadChannels,
  progress: (text: string) => void,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-load-'));
  try {
    const file = join(folder, 'channels.ndjson');
    await writeOpenings(file, channels);
    const total = await admin.importChannels(file, ({ opened, unchanged }) =>
      progress(`${opened} channels opened, ${unchanged} were open`),
    );
    const [refusal] = total.refused;
    if (refusal !== undefined)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `channels: expected the node to open all ${channels.count}, got ${total.refusedCount} refused, the first ${refusal.code}: ${refusal.message}; take another --seed`,
      );
    if (total.unchanged > 0)
      for await (const { channel, committed } of committedAmounts(admin, channels))
        channels.startAt(channel, committed);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compares what was acknowledged with what the node has now. */
export async function reconcile(admin: AdminClient, channels: LoadChannels): Promise<Reconciliation> {
  let committedDrops = 0n;
  let found = 0;
  let short = 0;
  for await (const { channel, committed } of committedAmounts(admin, channels)) {
    found += 1;
    committedDrops += committed;
    if (committed < BigInt(channels.acknowledged(channel))) short += 1;
  }
  let acknowledgedDrops = 0n;
  for (let channel = 0; channel < channels.count; channel++)
    acknowledgedDrops += BigInt(channels.acknowledged(channel));
  return {
    channels: channels.count,
    acknowledgedDrops: String(acknowledgedDrops),
    committedDrops: String(committedDrops),
    short: short + (channels.count - found),
  };
}

/** What the node says of itself, and has counted so far. */
export interface NodeView {
  target: NonNullable<LoadResult['target']>;
  received: number;
  verified: number;
  drops: number;
}

export async function viewNode(admin: AdminClient): Promise<NodeView> {
  const { backend, kernel, layout, counters } = await admin.stats();
  const { received, verified, dropped } = counters;
  const count = (value: unknown) => (typeof value === 'number' ? value : 0);
  const drops = typeof dropped === 'object' ? count(dropped.socketBuffer) : 0;
  return { target: { backend, kernel, layout }, received: count(received), verified: count(verified), drops };
}

/** Of the run's channels, in the node's order; others are passed over. */
async function* committedAmounts(
  admin: AdminClient,
  channels: LoadChannels,
): AsyncGenerator<{ channel: number; committed: bigint }> {
  for await (const row of admin.channels()) {
    const channel = channels.find(BigInt(row.channelId));
    if (channel >= 0) yield { channel, committed: BigInt(row.committed) };
  }
}

async function writeOpenings(path: string, channels: LoadChannels): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let first = 0; first < channels.count; first += LINES_PER_WRITE) {
      let lines = '';
      for (let channel = first; channel < Math.min(first + LINES_PER_WRITE, channels.count); channel++)
        lines += `${JSON.stringify(channels.opening(channel))}\n`;
      await file.write(lines);
    }
  } finally {
    await file.close();
  }
}

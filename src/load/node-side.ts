/**
 * What the run asks of the node's admin interface: channels opened, their amounts before and after, what it is.
 *
 * Main thread. Amounts afterwards are the proof: every amount that was acknowledged has to be there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ClaimwireError } from '../errors.ts';
import type { AdminClient } from '../http/client.ts';
import type { LoadChannels } from './channels.ts';
import type { SendTotals } from './generator.ts';
import type { Delivery, LoadResult, Reconciliation } from './result.ts';

const LINES_PER_WRITE = 10_000;

/** Looks at a node's counters until they stand still, at most so often and so far apart. */
const LOOKS_MAX = 20;
const LOOK_MS = 100;

/**
 * Opens the channels that are not open yet, marked as throw-away, and starts each at what the node has committed: also
 * one that was removed and comes back may have an amount.
 */
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
    for await (const { channel, committed } of committedAmounts(admin, channels)) channels.startAt(channel, committed);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Removes the run's channels; says how many are gone. */
export async function removeLoadChannels(
  admin: AdminClient,
  channels: LoadChannels,
  progress: (text: string) => void,
): Promise<void> {
  const ids = Array.from({ length: channels.count }, (_, channel) => channels.handle(channel));
  const { removed, refused, refusedCount } = await admin.removeChannels(ids);
  progress(`${removed} channels removed`);
  const [refusal] = refused;
  if (refusal !== undefined)
    progress(`${refusedCount} channels could not be removed, the first for ${refusal.code}: ${refusal.message}`);
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
interface NodeView {
  target: NonNullable<LoadResult['target']>;
  received: number;
  verified: number;
  drops: number;
}

async function viewNode(admin: AdminClient): Promise<NodeView> {
  const { backend, kernel, layout, counters } = await admin.stats();
  const { received, verified, dropped } = counters;
  const count = (value: unknown) => (typeof value === 'number' ? value : 0);
  const drops = typeof dropped === 'object' ? count(dropped.socketBuffer) : 0;
  return { target: { backend, kernel, layout }, received: count(received), verified: count(verified), drops };
}

/** What a node counts while a run's claims are on their way, step by step. */
export class NodeCounts {
  readonly #admin: AdminClient;
  readonly #unreachable: (error: ClaimwireError) => void;
  #first: NodeView | null;
  #last: NodeView | null;
  #totals: SendTotals = NOTHING_SENT;

  private constructor(admin: AdminClient, view: NodeView | null, unreachable: (error: ClaimwireError) => void) {
    this.#admin = admin;
    this.#unreachable = unreachable;
    this.#first = view;
    this.#last = view;
  }

  /** @param unreachable hears that the node's admin interface does not answer: then nothing is known of its side */
  static async begin(admin: AdminClient, unreachable: (error: ClaimwireError) => void): Promise<NodeCounts> {
    return new NodeCounts(admin, await ifReachable(() => viewNode(admin), unreachable), unreachable);
  }

  /** What the node last said of itself. */
  get target(): LoadResult['target'] {
    return this.#last?.target ?? null;
  }

  /** Of the claims since the last call, or the beginning. `totals` are the generator's so far. */
  async step(totals: SendTotals): Promise<Delivery | null> {
    const [before, sentBefore] = [this.#last, this.#totals];
    if (before === null) return null;
    const expected = totals.sent - sentBefore.sent;
    this.#last = await ifReachable(() => viewSettled(this.#admin, before, expected), this.#unreachable);
    this.#totals = totals;
    return deliveryBetween(before, this.#last, sentBefore, totals);
  }

  /** Of all claims of the steps so far. */
  get whole(): Delivery | null {
    return this.#first === null ? null : deliveryBetween(this.#first, this.#last, NOTHING_SENT, this.#totals);
  }
}

const NOTHING_SENT: SendTotals = { sent: 0, acknowledged: 0, acknowledgedByNewer: 0, ackDrops: 0 };

/** Null where a view is missing, or the node was started anew in between: its counters begin at 0. */
function deliveryBetween(
  before: NodeView,
  after: NodeView | null,
  sentBefore: SendTotals,
  sentAfter: SendTotals,
): Delivery | null {
  if (after === null || after.received < before.received || after.verified < before.verified) return null;
  return {
    sent: sentAfter.sent - sentBefore.sent,
    received: after.received - before.received,
    verified: after.verified - before.verified,
    acknowledged: sentAfter.acknowledged - sentBefore.acknowledged,
    acknowledgedByNewer: sentAfter.acknowledgedByNewer - sentBefore.acknowledgedByNewer,
    nodeDrops: after.drops - before.drops,
    ackDrops: sentAfter.ackDrops - sentBefore.ackDrops,
  };
}

/** The node's counters once it has counted the claims `expected` since `before`, or counts no more. */
async function viewSettled(admin: AdminClient, before: NodeView, expected: number): Promise<NodeView> {
  let view = await viewNode(admin);
  for (let look = 1; look < LOOKS_MAX && view.received - before.received < expected; look++) {
    await setTimeout(LOOK_MS);
    const next = await viewNode(admin);
    if (next.received === view.received) return next;
    view = next;
  }
  return view;
}

/** A node that died meanwhile, or a replay's that has no admin interface here: the result says so by having none. */
export async function ifReachable<Answer>(
  ask: () => Promise<Answer>,
  unreachable: (error: ClaimwireError) => void,
): Promise<Answer | null> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ClaimwireError) || error.code !== 'NODE_UNREACHABLE') throw error;
    unreachable(error);
    return null;
  }
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

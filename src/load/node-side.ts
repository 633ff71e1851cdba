/**
 * What the run asks of the node's admin interface: to open channels, their amounts before and after, and its counters.
 *
 * Main thread. The amounts afterwards are the proof: every amount that was acknowledged has to be committed.
 */
import { setTimeout } from 'node:timers/promises';
import type { ProfileName } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import type { AdminClient, OpeningJson } from '../http/client.ts';
import { type HiccupCounts, hiccupsBetween, readHiccups } from '../native/hiccups.ts';
import type { LoadChannels } from './channels.ts';
import type { SendTotals } from './generator.ts';
import type { Delivery, LoadResult, LoadStep, Reconciliation } from './result.ts';

/** A row of a channel, as far as a load asks for it. */
export interface CommittedRow {
  channelId: string;
  committed: string;
}

/** What a run asks of the admin interface of its node, or of those of a cluster (cluster/cluster-admin.ts). */
export interface LoadAdmin extends Pick<AdminClient, 'removeChannels' | 'stats'> {
  /** @param source may be gone through several times */
  importChannels(
    source: Iterable<OpeningJson>,
    progress: (total: BulkResult, bytes: number) => void,
  ): Promise<BulkResult>;
  channels(): AsyncIterable<CommittedRow>;
}

type BulkResult = Awaited<ReturnType<AdminClient['importChannels']>>;

/** How often, and how far apart, a node's counters are read until they stand still. */
const LOOKS_MAX = 20;
const LOOK_MS = 100;

/**
 * Opens the channels that are not open yet, marked as throw-away, and starts each at what the node has committed. A
 * channel that was removed and is opened again may have an amount as well.
 */
export async function openLoadChannels(
  admin: LoadAdmin,
  channels: LoadChannels,
  progress: (text: string) => void,
  profile: ProfileName = 'xrpl',
): Promise<void> {
  const total = await admin.importChannels(
    { [Symbol.iterator]: () => openings(channels, profile) },
    ({ opened, unchanged }) => progress(`${opened} channels opened, ${unchanged} were open`),
  );
  const [refusal] = total.refused;
  if (refusal !== undefined)
    throw new ClaimwireError(
      'INPUT_INVALID',
      `channels: expected the node to open all ${channels.count}, got ${total.refusedCount} refused, the first ${refusal.code}: ${refusal.message}; take another --seed`,
    );
  for await (const { channel, committed } of committedAmounts(admin, channels)) channels.startAt(channel, committed);
}

/** Removes the run's channels and reports how many were removed. */
export async function removeLoadChannels(
  admin: LoadAdmin,
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
export async function reconcile(admin: LoadAdmin, channels: LoadChannels): Promise<Reconciliation> {
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

/** What the node says of itself, and the counters of its side of a delivery. */
async function viewNode(admin: LoadAdmin) {
  const { backend, kernel, layout, counters, hiccups } = await admin.stats();
  const { received, verified, dropped } = counters;
  const count = (value: unknown) => (typeof value === 'number' ? value : 0);
  const nodeDrops = typeof dropped === 'object' ? count(dropped.socketBuffer) : 0;
  const counted = { received: count(received), verified: count(verified), nodeDrops };
  return {
    target: { backend, kernel, layout },
    counted,
    hiccups: { generator: readHiccups(), node: hiccups ?? undefined },
  };
}

/** What the meters of both processes counted so far. */
interface HiccupReadings {
  generator: HiccupCounts | undefined;
  node: HiccupCounts | undefined;
}

const NOTHING_SENT: SendTotals = { sent: 0, acknowledged: 0, acknowledgedByNewer: 0, ackDrops: 0 };

/** What became of a run's claims on their way, step by step: the generator's counters beside the node's. */
export class NodeCounts {
  /** What the node last said of itself; null where it did not answer. */
  target: LoadResult['target'] = null;
  readonly #admin: LoadAdmin;
  readonly #unreachable: (error: ClaimwireError) => void;
  #first: Delivery | null = null;
  #last: Delivery | null = null;
  #hiccups: HiccupReadings = { generator: undefined, node: undefined };

  private constructor(admin: LoadAdmin, unreachable: (error: ClaimwireError) => void) {
    this.#admin = admin;
    this.#unreachable = unreachable;
  }

  /** @param unreachable is called where the node's admin interface does not answer; then its counters are unknown */
  static async begin(admin: LoadAdmin, unreachable: (error: ClaimwireError) => void): Promise<NodeCounts> {
    const counts = new NodeCounts(admin, unreachable);
    await counts.#look(NOTHING_SENT, 0);
    counts.#first = counts.#last;
    return counts;
  }

  /** Of the claims since the last call, or the beginning. `totals` are the generator's so far. */
  async step(totals: SendTotals): Promise<Pick<LoadStep, 'delivery' | 'hiccups'>> {
    const [before, hiccups] = [this.#last, this.#hiccups];
    if (before === null) return { delivery: null, hiccups: null };
    await this.#look(totals, before.received + totals.sent - before.sent);
    const { generator, node } = this.#hiccups;
    return {
      delivery: deliveryBetween(before, this.#last),
      hiccups: {
        generator: hiccupsBetween(hiccups.generator, generator),
        node: hiccupsBetween(hiccups.node, node),
      },
    };
  }

  /** The delivery of all claims of the steps so far. */
  get whole(): Delivery | null {
    return deliveryBetween(this.#first, this.#last);
  }

  async #look(totals: SendTotals, expected: number): Promise<void> {
    const view = await ifReachable(() => viewAtRest(this.#admin, expected), this.#unreachable);
    this.target = view?.target ?? null;
    this.#last = view && { ...totals, ...view.counted };
    if (view !== null) this.#hiccups = view.hiccups;
  }
}

/** Null where a look is missing, or the node was started anew in between, so that its counters began at 0 again. */
function deliveryBetween(before: Delivery | null, after: Delivery | null): Delivery | null {
  if (before === null || after === null) return null;
  if (after.received < before.received || after.verified < before.verified) return null;
  const delivery = { ...after };
  for (const name of Object.keys(delivery) as (keyof Delivery)[]) delivery[name] -= before[name];
  return delivery;
}

/** Looks at the node until it has received `expected` claims in all, or receives no more. */
async function viewAtRest(admin: LoadAdmin, expected: number) {
  let view = await viewNode(admin);
  for (let look = 1; look < LOOKS_MAX && view.counted.received < expected; look++) {
    await setTimeout(LOOK_MS);
    const before = view.counted.received;
    view = await viewNode(admin);
    if (view.counted.received === before) break;
  }
  return view;
}

/** Null where the admin interface does not answer: the node died, or a replay's node has none. */
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

/** The amounts of the run's channels, in the node's order, without other channels. */
async function* committedAmounts(
  admin: LoadAdmin,
  channels: LoadChannels,
): AsyncGenerator<{ channel: number; committed: bigint }> {
  for await (const row of admin.channels()) {
    const channel = channels.find(BigInt(row.channelId));
    if (channel >= 0) yield { channel, committed: BigInt(row.committed) };
  }
}

function* openings(channels: LoadChannels, profile: ProfileName): Generator<OpeningJson> {
  for (let channel = 0; channel < channels.count; channel++) yield channels.opening(channel, profile);
}

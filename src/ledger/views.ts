/**
 * The views of all watched channels, in memory and in the side tables. Main thread.
 *
 * That a channel was seen again, unchanged, is stored for all together, in one small entry per poll, so that watching many
 * channels does not write many entries a minute. Where nodes share a store there is such an entry for each shard, and all that is
 * stored of a channel belongs to its shard.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import type { SideTables } from '../registry/side-tables.ts';
import { decodeView, type LedgerView, type Sight, unversioned } from './view.ts';
import {
  changeOf,
  isOperators,
  META_TABLE,
  markOf,
  POLLED_KEY,
  POLLED_TABLE,
  type Polled,
  polledChange,
  REMOVED_TABLE,
  type Removed,
  removalOf,
  shardOfKey,
  unmarkOf,
  VIEWS_TABLE,
} from './view-entries.ts';

/** Each takes about 1 KB of memory, and a moment of every poll. */
const VIEWS_MAX = 100_000;

/** Entries of a table, as they are stored. */
export type StoredEntries = (table: string) => Iterable<readonly [Uint8Array, Uint8Array]>;

export class LedgerViews {
  readonly #tables: SideTables;
  readonly #views = new Map<bigint, LedgerView>();
  /** Handles by ledger id in hex. */
  readonly #handles = new Map<string, bigint>();
  /** By ledger id in hex. */
  readonly #removed = new Map<string, Removed>();
  /** Views whose stored form is behind. */
  readonly #unsaved = new Set<bigint>();
  /** Shards that are being given away, or were, and what was known of their channels. */
  readonly #drained = new Set<number>();
  readonly #parked: LedgerView[] = [];
  readonly #parkedRemoved = new Map<string, Removed>();
  /** When all were seen, by shard; undefined stands for those of a node that has all. */
  readonly #polled = new Map<number | undefined, Polled>();
  #polledAt = 0;

  constructor(tables: SideTables) {
    this.#tables = tables;
    const polled = this.#isSharded ? undefined : tables.get(META_TABLE, POLLED_KEY);
    if (polled !== undefined) this.#polled.set(undefined, unversioned(polled, 'the last poll') as Polled);
    this.load((table) => tables.entries(table));
    if (this.#polled.size > 0) this.#polledAt = oldest(this.#polled.values());
  }

  get #isSharded(): boolean {
    return this.#tables.isSharded === true;
  }

  /** Takes in what is stored, also of shards that the node gets. Throws REGISTRY_CORRUPT. @returns the views */
  load(entries: StoredEntries): LedgerView[] {
    for (const [key, value] of entries(POLLED_TABLE))
      this.#polled.set(shardOfKey(key), unversioned(value, 'the last poll of a shard') as Polled);
    for (const [key, value] of entries(REMOVED_TABLE)) {
      const { seenAt, channelId } = unversioned(value, 'a removed channel') as { seenAt: number; channelId?: string };
      const handle = channelId === undefined ? defaultChannelId(key) : BigInt(channelId);
      this.#removed.set(upperHex(key), { seenAt, channelId: handle });
    }
    const loaded: LedgerView[] = [];
    for (const [key, value] of entries(VIEWS_TABLE)) {
      const view = this.#asPolled(decodeView(key, value));
      this.#put(view);
      loaded.push(view);
    }
    return loaded;
  }

  /** Says and stores nothing of the channels of these shards, until `serve` or `drop`. */
  drain(shards: ReadonlySet<number>): void {
    for (const shard of shards) this.#drained.add(shard);
    for (const view of this.all())
      if (shards.has(shardOfChannel(view.channelId))) {
        this.#drop(view);
        this.#parked.push(view);
      }
    for (const [id, removed] of this.#removed)
      if (shards.has(shardOfChannel(removed.channelId))) {
        this.#removed.delete(id);
        this.#parkedRemoved.set(id, removed);
      }
  }
  /** @returns the views that are there again */
  serve(shards: ReadonlySet<number>): LedgerView[] {
    for (const shard of shards) this.#drained.delete(shard);
    const { views, removed } = this.#unpark(shards);
    for (const view of views) {
      this.#put(view);
      // What was new when it was put aside may not be stored.
      this.#unsaved.add(view.channelId);
    }
    for (const [id, each] of removed) this.#removed.set(id, each);
    return views;
  }
  drop(shards: ReadonlySet<number>): void {
    this.#unpark(shards);
    for (const shard of shards) this.#polled.delete(shard);
  }

  #unpark(shards: ReadonlySet<number>): { views: LedgerView[]; removed: [string, Removed][] } {
    const isBack = ({ channelId }: { channelId: bigint }) => shards.has(shardOfChannel(channelId));
    const views = this.#parked.filter(isBack);
    const rest = this.#parked.filter((view) => !isBack(view));
    this.#parked.splice(0, this.#parked.length, ...rest);
    const removed = [...this.#parkedRemoved].filter(([, each]) => isBack(each));
    for (const [id] of removed) this.#parkedRemoved.delete(id);
    return { views, removed };
  }

  /** Whether the channel's shard is not being given away, and was not. */
  #isHere(channelId: bigint): boolean {
    return this.#drained.size === 0 || !this.#drained.has(shardOfChannel(channelId));
  }

  /** The last complete poll saw every channel of its account that was there; of others it tells nothing. */
  #asPolled(view: LedgerView): LedgerView {
    const polled = this.#polled.get(this.#isSharded ? shardOfChannel(view.channelId) : undefined);
    if (!view.exists || polled?.account !== view.destination || polled.seenAt <= view.seenAt) return view;
    return { ...view, seenAt: polled.seenAt, clockBehind: polled.clockBehind };
  }

  get count(): number {
    return this.#views.size;
  }
  /** When the last complete poll saw all channels; 0 = never. */
  get polledAt(): number {
    return this.#polledAt;
  }

  get(channelId: bigint): LedgerView | undefined {
    return this.#views.get(channelId);
  }
  /** By the ledger's id, under whatever handle. */
  ofLedgerId(ledgerChannelId: Uint8Array): LedgerView | undefined {
    const channelId = this.#handles.get(upperHex(ledgerChannelId));
    return channelId === undefined ? undefined : this.#views.get(channelId);
  }
  /** Whether the operator removed a channel, and nobody has opened it since. */
  isRemoved(ledgerChannelId: Uint8Array): boolean {
    return this.#removed.has(upperHex(ledgerChannelId));
  }
  all(): LedgerView[] {
    return [...this.#views.values()];
  }

  /** Puts a view in memory; `save` stores what is new in it. */
  set(view: LedgerView): void {
    if (!this.#isHere(view.channelId)) return;
    const before = this.#views.get(view.channelId);
    if (before === undefined || isNews(before, view) || isOtherHere(before, view)) this.#unsaved.add(view.channelId);
    this.#put(view);
  }

  /** Stores all that is not stored yet, in one commit. */
  async save(): Promise<void> {
    const unsaved = [...this.#unsaved].map((channelId) => this.#views.get(channelId)!);
    if (unsaved.length === 0) return;
    await this.#tables.commit(unsaved.map(changeOf));
    for (const view of unsaved) if (this.#views.get(view.channelId) === view) this.#unsaved.delete(view.channelId);
  }

  /** Stores a new channel's view, also under another handle than before. Throws LEDGER_REFUSED where too many are watched. */
  async add(view: LedgerView): Promise<void> {
    const { channelId, ledgerChannelId } = view;
    if (this.count >= VIEWS_MAX && !this.#views.has(channelId))
      throw new ClaimwireError(
        'LEDGER_REFUSED',
        `ledger: expected at most ${VIEWS_MAX} watched channels, got one more; remove some`,
      );
    const changes = [changeOf(view)];
    const before = this.#views.get(channelId);
    if (this.isRemoved(ledgerChannelId))
      changes.push(unmarkOf(upperHex(ledgerChannelId), this.#removed.get(upperHex(ledgerChannelId))!));
    if (before !== undefined && upperHex(before.ledgerChannelId) !== upperHex(ledgerChannelId))
      await this.remove(before);
    await this.#tables.commit(changes);
    if (!this.#isHere(channelId)) return;
    const elsewhere = this.ofLedgerId(ledgerChannelId);
    if (elsewhere !== undefined) this.#drop(elsewhere);
    this.#removed.delete(upperHex(ledgerChannelId));
    this.#put(view);
    this.#unsaved.delete(channelId);
  }

  /** Forgets a channel that the node has no more. One that was open, and is still on the ledger, its operator removed. */
  async remove(view: LedgerView): Promise<void> {
    // The node has it no more since its shard is another node's.
    if (!this.#isHere(view.channelId)) return;
    await this.#tables.commit(removalOf(view));
    this.#drop(view);
    if (isOperators(view)) this.#setRemoved(view);
  }

  /** Remembers that the operator removed a channel. */
  async markRemoved(channel: Pick<LedgerView, 'channelId' | 'ledgerChannelId' | 'seenAt'>): Promise<void> {
    if (this.isRemoved(channel.ledgerChannelId) || !this.#isHere(channel.channelId)) return;
    await this.#tables.commit([markOf(channel)]);
    this.#setRemoved(channel);
  }

  #setRemoved({
    ledgerChannelId,
    channelId,
    seenAt,
  }: Pick<LedgerView, 'channelId' | 'ledgerChannelId' | 'seenAt'>): void {
    const removed = this.#isHere(channelId) ? this.#removed : this.#parkedRemoved;
    removed.set(upperHex(ledgerChannelId), { channelId, seenAt });
  }

  /** Forgets removed channels that a newer ledger does not have. @param isThere by ledger id in hex */
  async forgetRemoved(isThere: (id: string) => boolean, { seenAt }: Sight): Promise<void> {
    const gone = [...this.#removed].filter(([id, removed]) => removed.seenAt < seenAt && !isThere(id));
    if (gone.length === 0) return;
    await this.#tables.commit(gone.map(([id, removed]) => unmarkOf(id, removed)));
    for (const [id] of gone) this.#removed.delete(id);
  }

  #put(view: LedgerView): void {
    this.#views.set(view.channelId, view);
    this.#handles.set(upperHex(view.ledgerChannelId), view.channelId);
  }

  #drop({ channelId, ledgerChannelId }: LedgerView): void {
    const id = upperHex(ledgerChannelId);
    if (this.#handles.get(id) !== channelId) return;
    this.#handles.delete(id);
    this.#views.delete(channelId);
    this.#unsaved.delete(channelId);
  }

  /** Every channel of the account was looked at, and all that was new is stored. */
  async polled(clockBehind: number, account: string): Promise<void> {
    // A server that is behind may have answered for some of them.
    const seen = new Map<number | undefined, Polled>();
    for (const { exists, destination, channelId, seenAt } of this.all()) {
      if (!exists || destination !== account) continue;
      const shard = this.#isSharded ? shardOfChannel(channelId) : undefined;
      seen.set(shard, { seenAt: Math.min(seenAt, seen.get(shard)?.seenAt ?? seenAt), clockBehind, account });
    }
    const polls = [...seen].filter(([shard, { seenAt }]) => seenAt > (this.#polled.get(shard)?.seenAt ?? 0));
    if (polls.length === 0) return;
    await this.#tables.commit(polls.map(([shard, polled]) => polledChange(shard, polled)));
    for (const [shard, polled] of polls) this.#polled.set(shard, polled);
    this.#polledAt = oldest(seen.values());
  }
}

function oldest(polls: Iterable<Polled>): number {
  return Math.min(...[...polls].map(({ seenAt }) => seenAt));
}

/** Whether the ledger says something else of the channel than before. */
export function isNews(before: LedgerView, after: LedgerView): boolean {
  return (
    before.deposited !== after.deposited ||
    before.redeemed !== after.redeemed ||
    before.expiration !== after.expiration ||
    before.cancelAfter !== after.cancelAfter ||
    before.settleDelay !== after.settleDelay ||
    before.destination !== after.destination ||
    before.exists !== after.exists
  );
}

/** Whether what is known beside the ledger's state differs. */
function isOtherHere(before: LedgerView, after: LedgerView): boolean {
  return before.publicKey !== after.publicKey || before.followed !== after.followed;
}

/** For messages. */
export function nameOf({ channelId, ledgerChannelId }: LedgerView): string {
  return `channel ${channelId} (${upperHex(ledgerChannelId)})`;
}

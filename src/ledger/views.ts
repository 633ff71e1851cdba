/**
 * The views of all watched channels, in memory and in the side tables. Main thread.
 *
 * That a channel was seen again, unchanged, is stored for all together, in one small entry per poll, so that watching many
 * channels does not write many entries a minute.
 */
import { upperHex } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { decodeView, encodeView, type LedgerView, type Sight, unversioned, versioned } from './view.ts';

const VIEWS_TABLE = 'ledger-channels';
/** By ledger id, channels that the operator removed: they open by themselves no more. */
const REMOVED_TABLE = 'ledger-removed';
export const META_TABLE = 'ledger-meta';
const POLLED_KEY = Buffer.from('polled');
/** When all channels of an account were seen last. */
type Polled = Pick<Sight, 'seenAt' | 'clockBehind'> & { account: string };
/** Each takes about 1 KB of memory, and a moment of every poll. */
const VIEWS_MAX = 100_000;

export class LedgerViews {
  readonly #tables: SideTables;
  readonly #views = new Map<bigint, LedgerView>();
  /** Handles by ledger id in hex. */
  readonly #handles = new Map<string, bigint>();
  /** When each of these channels was seen last, by ledger id in hex. */
  readonly #removed = new Map<string, number>();
  /** Views whose stored form is behind. */
  readonly #unsaved = new Set<bigint>();
  #polled: Polled | undefined;

  constructor(tables: SideTables) {
    this.#tables = tables;
    const polled = tables.get(META_TABLE, POLLED_KEY);
    if (polled !== undefined) this.#polled = unversioned(polled, 'the last poll') as Polled;
    for (const [key, value] of tables.entries(VIEWS_TABLE)) {
      const view = decodeView(key, value);
      this.#put(this.#asPolled(view));
    }
    for (const [key, value] of tables.entries(REMOVED_TABLE))
      this.#removed.set(upperHex(key), (unversioned(value, 'a removed channel') as { seenAt: number }).seenAt);
  }

  /** The last complete poll saw every channel of its account that was there; of others it tells nothing. */
  #asPolled(view: LedgerView): LedgerView {
    const polled = this.#polled;
    if (!view.exists || polled?.account !== view.destination || polled.seenAt <= view.seenAt) return view;
    return { ...view, seenAt: polled.seenAt, clockBehind: polled.clockBehind };
  }

  get count(): number {
    return this.#views.size;
  }
  /** When the last complete poll saw all channels; 0 = never. */
  get polledAt(): number {
    return this.#polled?.seenAt ?? 0;
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
    if (this.isRemoved(ledgerChannelId)) changes.push({ table: REMOVED_TABLE, key: ledgerChannelId });
    if (before !== undefined && upperHex(before.ledgerChannelId) !== upperHex(ledgerChannelId))
      await this.remove(before);
    await this.#tables.commit(changes);
    const elsewhere = this.ofLedgerId(ledgerChannelId);
    if (elsewhere !== undefined) this.#drop(elsewhere);
    this.#removed.delete(upperHex(ledgerChannelId));
    this.#put(view);
    this.#unsaved.delete(channelId);
  }

  /** Forgets a channel that the node has no more. One that was open, and is still on the ledger, its operator removed. */
  async remove(view: LedgerView): Promise<void> {
    await this.#tables.commit(removalOf(view));
    this.#drop(view);
    if (isOperators(view)) this.#removed.set(upperHex(view.ledgerChannelId), view.seenAt);
  }

  /** Remembers that the operator removed a channel. */
  async markRemoved({ ledgerChannelId, seenAt }: Pick<LedgerView, 'ledgerChannelId' | 'seenAt'>): Promise<void> {
    if (this.isRemoved(ledgerChannelId)) return;
    await this.#tables.commit([markOf(ledgerChannelId, seenAt)]);
    this.#removed.set(upperHex(ledgerChannelId), seenAt);
  }

  /** Forgets removed channels that a newer ledger does not have. @param isThere by ledger id in hex */
  async forgetRemoved(isThere: (id: string) => boolean, { seenAt }: Sight): Promise<void> {
    const gone = [...this.#removed].filter(([id, seen]) => seen < seenAt && !isThere(id)).map(([id]) => id);
    if (gone.length === 0) return;
    await this.#tables.commit(gone.map((id) => ({ table: REMOVED_TABLE, key: Buffer.from(id, 'hex') })));
    for (const id of gone) this.#removed.delete(id);
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
    const seen = this.all().filter(({ exists, destination }) => exists && destination === account);
    const seenAt = seen.reduce((oldest, view) => Math.min(oldest, view.seenAt), Number.POSITIVE_INFINITY);
    if (seen.length === 0 || seenAt <= this.polledAt) return;
    const polled = { seenAt, clockBehind, account };
    await this.#tables.commit([{ table: META_TABLE, key: POLLED_KEY, value: versioned(polled) }]);
    this.#polled = polled;
  }
}

function changeOf(view: LedgerView): SideChange {
  return { table: VIEWS_TABLE, key: view.ledgerChannelId, value: encodeView(view) };
}

function removalOf(view: LedgerView): SideChange[] {
  const { ledgerChannelId, seenAt } = view;
  const marks = isOperators(view) ? [markOf(ledgerChannelId, seenAt)] : [];
  return [{ table: VIEWS_TABLE, key: ledgerChannelId }, ...marks];
}

function markOf(ledgerChannelId: Uint8Array, seenAt: number): SideChange {
  return { table: REMOVED_TABLE, key: ledgerChannelId, value: versioned({ seenAt }) };
}

/** Whether it was the operator who removed a channel that the node has no more: it was open, and is still on the ledger. */
function isOperators({ exists, followed }: LedgerView): boolean {
  return exists && followed !== undefined;
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

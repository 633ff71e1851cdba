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
export const META_TABLE = 'ledger-meta';
const POLLED_KEY = Buffer.from('polled');
/** When all channels of an account were seen last. */
type Polled = Pick<Sight, 'seenAt' | 'clockBehind'> & { account: string };
/** Each takes about 1 KB of memory, and a moment of every poll. */
const VIEWS_MAX = 100_000;

export class LedgerViews {
  readonly #tables: SideTables;
  readonly #views = new Map<bigint, LedgerView>();
  /** Views whose stored form is behind. */
  readonly #unsaved = new Set<bigint>();
  #polled: Polled | undefined;

  constructor(tables: SideTables) {
    this.#tables = tables;
    const polled = tables.get(META_TABLE, POLLED_KEY);
    if (polled !== undefined) this.#polled = unversioned(polled, 'the last poll') as Polled;
    for (const [key, value] of tables.entries(VIEWS_TABLE)) {
      const view = decodeView(key, value);
      this.#views.set(view.channelId, this.#asPolled(view));
    }
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
  all(): LedgerView[] {
    return [...this.#views.values()];
  }

  /** Puts a view in memory; `save` stores what is new in it. */
  set(view: LedgerView): void {
    const before = this.#views.get(view.channelId);
    if (before === undefined || isNews(before, view) || isOtherHere(before, view)) this.#unsaved.add(view.channelId);
    this.#views.set(view.channelId, view);
  }

  /** Stores all that is not stored yet, in one commit. */
  async save(): Promise<void> {
    const unsaved = [...this.#unsaved].map((channelId) => this.#views.get(channelId)!);
    if (unsaved.length === 0) return;
    await this.#tables.commit(unsaved.map(changeOf));
    for (const view of unsaved) if (this.#views.get(view.channelId) === view) this.#unsaved.delete(view.channelId);
  }

  /** Stores a new channel's view. Throws LEDGER_REFUSED where too many are watched. */
  async add(view: LedgerView): Promise<void> {
    if (this.count >= VIEWS_MAX && !this.#views.has(view.channelId))
      throw new ClaimwireError(
        'LEDGER_REFUSED',
        `ledger: expected at most ${VIEWS_MAX} watched channels, got one more; remove some`,
      );
    await this.#tables.commit([changeOf(view)]);
    this.#views.set(view.channelId, view);
    this.#unsaved.delete(view.channelId);
  }

  async remove(view: LedgerView): Promise<void> {
    this.#views.delete(view.channelId);
    this.#unsaved.delete(view.channelId);
    await this.#tables.commit([{ table: VIEWS_TABLE, key: view.ledgerChannelId }]);
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

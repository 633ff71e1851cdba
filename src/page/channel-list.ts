/** The channels with the most exposure, and the search for one. */
import { byId, make, setText } from './dom.ts';
import { tokenHeaders } from './token.ts';
import { dropsText, percentText } from './units.ts';

/** A channel as GET /channels has it. */
export interface ChannelRow {
  channelId: string;
  ledgerChannelId: string;
  publicKey: string;
  capacity: string;
  committed: string;
  sequence: number;
  signature?: string | null;
  profile: string;
  state: string;
  expiresAt: string | null;
  throwAway: boolean;
  ledger?: { deposited: string; redeemed: string; exposure: string; ageSeconds: number; exists: boolean };
}

const LISTED = 50;

interface Column {
  title: string;
  text: (row: ChannelRow) => string;
  /** What rows are ordered by; the column cannot be ordered by without. */
  key?: (row: ChannelRow) => bigint | string;
  kind?: string;
}

/** Committed and not paid out; a throw-away channel is never paid out. */
export function exposureOf({ ledger, committed, throwAway }: ChannelRow): bigint {
  return BigInt(ledger?.exposure ?? (throwAway ? '0' : committed));
}

function usedText({ committed, capacity }: ChannelRow): string {
  return capacity === '0' ? '–' : percentText(Number((BigInt(committed) * 10_000n) / BigInt(capacity)) / 10_000);
}

const COLUMNS: readonly Column[] = [
  { title: 'Handle', text: ({ channelId }) => channelId, key: ({ channelId }) => BigInt(channelId) },
  { title: 'Ledger id', text: ({ ledgerChannelId: id }) => `${id.slice(0, 8)}…${id.slice(-4)}`, kind: 'id left wide' },
  {
    title: 'State',
    text: ({ state, throwAway }) => (throwAway ? `${state}, throw-away` : state),
    key: ({ state }) => state,
    kind: 'left',
  },
  { title: 'Exposure', text: (row) => dropsText(String(exposureOf(row))), key: exposureOf },
  { title: 'Committed', text: ({ committed }) => dropsText(committed), key: ({ committed }) => BigInt(committed) },
  { title: 'Capacity', text: ({ capacity }) => dropsText(capacity), key: ({ capacity }) => BigInt(capacity) },
  { title: 'Used', text: usedText, kind: 'wide' },
  { title: 'Ends', text: ({ expiresAt }) => endText(expiresAt), key: ({ expiresAt }) => expiresAt ?? '9999' },
];

function endText(expiresAt: string | null): string {
  return expiresAt === null ? 'never' : expiresAt.slice(0, 16).replace('T', ' ');
}

/** A request to the node; what it refuses is thrown with its own words. */
export async function ask<T>(path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { headers: tokenHeaders(), cache: 'no-store' });
  } catch {
    throw new Error('The node does not answer. The page connects again by itself; then try once more.');
  }
  const body = (await response.json().catch(() => undefined)) as T & { error?: { message?: string } };
  if (response.ok) return body;
  throw new Error(
    response.status === 404
      ? 'There is no such channel here.'
      : (body?.error?.message ?? `The node answers ${response.status}.`),
  );
}

export class ChannelList {
  readonly #onOpen: (row: ChannelRow) => void;
  readonly #body = make('tbody');
  readonly #heads: HTMLTableCellElement[] = [];
  #rows: ChannelRow[] = [];
  #sort = COLUMNS.findIndex(({ title }) => title === 'Exposure');
  #isDescending = true;

  /** @param onOpen called with the channel to be shown alone */
  constructor(onOpen: (row: ChannelRow) => void) {
    this.#onOpen = onOpen;
    for (const [index, column] of COLUMNS.entries()) this.#heads.push(this.#head(column, index));
    const caption = make('caption.hidden', 'Channels; amounts in drops');
    const table = make('table', caption, make('thead', make('tr', ...this.#heads)), this.#body);
    byId('channel-table').append(table);
    byId('refresh').addEventListener('click', () => void this.load());
    byId('search').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#find(byId<HTMLInputElement>('search-id').value.trim());
    });
  }

  /** Asks for the list anew. */
  async load(): Promise<void> {
    try {
      this.#rows = await ask<ChannelRow[]>(`/channels?sort=exposure&limit=${LISTED}`);
      message('');
    } catch (error) {
      message((error as Error).message, true);
    }
    this.#show();
  }

  async #find(id: string): Promise<void> {
    if (!/^(\d{1,20}|[0-9a-fA-F]{64})$/.test(id)) {
      message('Expected a handle (a number) or a ledger id (64 hex digits).', true);
      byId('search-id').focus();
      return;
    }
    try {
      const row = await ask<ChannelRow>(`/channels/${id}`);
      message('');
      this.#onOpen(row);
    } catch (error) {
      message(`${id}: ${(error as Error).message}`, true);
    }
  }

  #head({ title, key, kind = '' }: Column, index: number): HTMLTableCellElement {
    const cell = make('th');
    cell.scope = 'col';
    cell.className = kind.replace('id ', '');
    if (key === undefined) {
      cell.append(title);
      return cell;
    }
    const button = make('button', title);
    button.type = 'button';
    button.addEventListener('click', () => {
      this.#isDescending = this.#sort === index ? !this.#isDescending : true;
      this.#sort = index;
      this.#show();
    });
    cell.append(button);
    return cell;
  }

  #show(): void {
    for (const [index, head] of this.#heads.entries()) {
      if (index === this.#sort) head.setAttribute('aria-sort', this.#isDescending ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    const key = COLUMNS[this.#sort]!.key!;
    const order = this.#isDescending ? -1 : 1;
    // The order in which the node sent them, the largest exposure first, stays among equals.
    const sorted = this.#rows.toSorted((left, right) => {
      const [a, b] = [key(left), key(right)];
      return a === b ? 0 : a < b ? -order : order;
    });
    this.#body.replaceChildren(...sorted.map((row) => this.#row(row)));
    setText(byId('channels-note'), noteOf(this.#rows.length));
  }

  #row(row: ChannelRow): HTMLTableRowElement {
    const link = make('button.link', row.channelId);
    link.type = 'button';
    link.addEventListener('click', async () => {
      // The list may be old: what is shown alone is asked for anew.
      const fresh = await ask<ChannelRow>(`/channels/${row.channelId}`).catch(() => row);
      this.#onOpen(fresh);
    });
    const heading = make('th', link);
    heading.scope = 'row';
    const cells = COLUMNS.slice(1).map(({ text, kind = '' }) => {
      const cell = make('td', text(row));
      cell.className = kind;
      return cell;
    });
    return make('tr', heading, ...cells);
  }
}

function noteOf(count: number): string {
  if (count === 0) return 'No channel is open yet: "claimwire channel open" opens one.';
  return count < LISTED
    ? `${count} in all, amounts in drops`
    : `the ${LISTED} with the most exposure, amounts in drops`;
}

function message(text: string, isBad = false): void {
  const element = byId('channels-message');
  setText(element, text);
  element.classList.toggle('bad', isBad);
}

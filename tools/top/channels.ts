/**
 * The channels of a node as `claimwire top` shows them: the first of a sort. By exposure the node itself finds them, of all;
 * by another order they are the first of a bounded number of rows.
 */
import type { AdminClient } from '../../src/http/client.ts';
import type { RowJson } from '../../src/http/ledger.ts';
import { compareRows, exposureOf, type SortName } from '../channel-list.ts';

/** A page of GET /channels; more would cost the node more than a look is worth. */
const ROWS_MAX = 10_000;
const SHOWN_MAX = 200;

export interface ChannelView {
  readonly sort: SortName;
  /** Decimal drops. */
  readonly rows: readonly { channelId: string; state: string; exposure: string; committed: string; capacity: string }[];
  /** Rows that were looked at, and whether the node has more. */
  readonly looked: number;
  readonly isPart: boolean;
}

export const SORTS = ['exposure', 'committed', 'expiry'] as const satisfies readonly SortName[];

type Lists = Pick<AdminClient, 'channels' | 'largestChannels'>;

export async function readChannels(admin: Lists, sort: SortName): Promise<ChannelView> {
  if (sort === 'exposure') {
    const rows = (await admin.largestChannels(SHOWN_MAX)).map(shown);
    return { sort, rows, looked: rows.length, isPart: false };
  }
  const rows = [];
  let isPart = false;
  for await (const row of admin.channels()) {
    rows.push(row);
    isPart = rows.length === ROWS_MAX;
    if (isPart) break;
  }
  const first = rows.toSorted((left, right) => compareRows(left, right, sort)).slice(0, SHOWN_MAX);
  return {
    sort,
    rows: first.map(shown),
    looked: rows.length,
    isPart,
  };
}

function shown(row: RowJson): ChannelView['rows'][number] {
  return { ...row, exposure: String(exposureOf(row)) };
}

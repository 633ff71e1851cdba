/** `claimwire channel list`: a line, a JSON object or a CSV line for each channel, in the order of opening or sorted. */
import { AdminClient } from '../src/http/client.ts';
import type { RowJson } from '../src/http/ledger.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { adminAddress, NODE_OPTIONS } from './options.ts';
import { write } from './output.ts';
import { durationText } from './units.ts';

export type SortName = 'exposure' | 'committed' | 'expiry';

export const listing = defineCommand({
  name: 'channel list',
  summary: 'lists channels',
  options: {
    state: {
      value: 'NAME',
      description: 'only those that are open, expired or closed',
      choices: ['open', 'expired', 'closed'],
    },
    sort: {
      value: 'NAME',
      description: 'exposure and committed: the most drops first. expiry: the earliest first, those without one last',
      choices: ['exposure', 'committed', 'expiry'],
      defaultText: 'the order of opening',
    },
    csv: { description: 'for spreadsheets: a line of names, then a line for each channel' },
    ...NODE_OPTIONS,
  },
  examples: [
    ['claimwire channel list --state open', 'a line for each open channel'],
    ['claimwire channel list --sort exposure', 'first those with the most drops that are not redeemed'],
  ],
  notes: `EXPOSURE is what is committed and not paid out by the ledger yet; SEEN is how long ago the
channel was seen there. Both are known of channels that the node watches (node --ledger);
of others all that is committed counts as exposure.

With --json an array, a row a line. Without the node's token rows have no signatures.

Exit code: 0 fine, 1 failed or anything refused, 2 usage.`,
  act: async (values) => {
    if (values.json && values.csv) return usage('--csv: expected it or --json, got both');
    const rows = AdminClient.open(adminAddress(values)).channels(values.state);
    await print(values.sort === undefined ? rows : await sorted(rows, values.sort), formOf(values));
    return 0;
  },
});

/** How rows are written. `header` comes before the first one, `none` instead of it where there is none. */
interface Form {
  header: string;
  none: string;
  between: string;
  end: string;
  line(row: RowJson): string;
}

const JSON_FORM: Form = {
  header: '[\n',
  none: '[]\n',
  between: ',\n',
  end: '\n]\n',
  line: (row) => JSON.stringify(row),
};

const CSV_FIELDS = {
  channelId: (row: RowJson) => row.channelId,
  ledgerChannelId: (row: RowJson) => row.ledgerChannelId,
  state: (row: RowJson) => row.state,
  profile: (row: RowJson) => row.profile,
  capacity: (row: RowJson) => row.capacity,
  committed: (row: RowJson) => row.committed,
  redeemed: ({ ledger }: RowJson) => ledger?.redeemed ?? '',
  exposure: (row: RowJson) => String(exposureOf(row)),
  expiresAt: (row: RowJson) => row.expiresAt ?? '',
  seenAt: ({ ledger }: RowJson) => ledger?.seenAt ?? '',
  throwAway: (row: RowJson) => String(row.throwAway),
};
const CSV_FORM: Form = {
  header: `${Object.keys(CSV_FIELDS).join()}\n`,
  none: `${Object.keys(CSV_FIELDS).join()}\n`,
  between: '\n',
  end: '\n',
  // No field has a comma, a quote or the end of a line in it.
  line: (row) =>
    Object.values(CSV_FIELDS)
      .map((field) => field(row))
      .join(),
};

/** A terminal of 80 columns has no room for profiles and sightings; larger amounts than of ten digits take more. */
const isNarrow = (process.stdout.columns ?? 200) < 140;
const amountText = (amount: string) => amount.padStart(isNarrow ? 10 : 18);
const wide = (text: string, columns: number) => (isNarrow ? '' : `${text.padEnd(columns)} `);

const TEXT_FORM: Form = {
  header: `${'CHANNEL'.padEnd(20)} ${'STATE'.padEnd(7)} ${wide('PROFILE', 7)}${['COMMITTED', 'CAPACITY', 'EXPOSURE'].map(amountText).join(' ')} ${wide('SEEN', 12)}EXPIRES\n`,
  none: 'no channels\n',
  between: '\n',
  end: '\n',
  line: (row) => {
    const { channelId, state, profile, committed, capacity, expiresAt, throwAway, ledger } = row;
    const amounts = [committed, capacity, String(exposureOf(row))].map(amountText).join(' ');
    const seen = ledger === undefined ? '-' : ledger.exists ? durationText(ledger.ageSeconds * 1_000) : 'gone';
    const expiry = isNarrow ? expiresAt?.replace(/:00Z$/, 'Z') : expiresAt;
    return `${channelId.padEnd(20)} ${state.padEnd(7)} ${wide(profile, 7)}${amounts} ${wide(seen, 12)}${expiry ?? '-'}${throwAway ? ' throw-away' : ''}`;
  },
};

function formOf({ json, csv }: { json: boolean; csv: boolean }): Form {
  return json ? JSON_FORM : csv ? CSV_FORM : TEXT_FORM;
}

async function print(rows: AsyncIterable<RowJson> | Iterable<RowJson>, form: Form): Promise<void> {
  let count = 0;
  for await (const row of rows) await write(`${count++ === 0 ? form.header : form.between}${form.line(row)}`);
  await write(count === 0 ? form.none : form.end);
}

async function sorted(rows: AsyncIterable<RowJson>, by: SortName): Promise<RowJson[]> {
  const all: RowJson[] = [];
  for await (const row of rows) all.push(row);
  return all.sort((left, right) => compareRows(left, right, by));
}

/** For a sort: the first row is the one to look at. */
export function compareRows(left: RowJson, right: RowJson, by: SortName): number {
  return compare(sortKey(left, by), sortKey(right, by));
}

/** The smallest key comes first. */
function sortKey(row: RowJson, by: SortName): bigint {
  if (by === 'exposure') return -exposureOf(row);
  if (by === 'committed') return -BigInt(row.committed);
  return BigInt(row.expiresAt === null ? Number.MAX_SAFE_INTEGER : Date.parse(row.expiresAt));
}

function compare(left: bigint, right: bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Drops that are committed and not paid out, as the node sums them up. */
export function exposureOf({ ledger, committed, throwAway }: RowJson): bigint {
  return BigInt(ledger?.exposure ?? (throwAway ? '0' : committed));
}

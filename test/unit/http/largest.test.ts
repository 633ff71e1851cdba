/** GET /channels?sort=exposure: the channels with the largest exposure, of all, however many there are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Channel } from '../../../src/channel/row.ts';
import type { LedgerState } from '../../../src/control/ledger-control.ts';
import { Largest } from '../../../src/http/largest.ts';
import type { Ledger } from '../../../src/http/ledger.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingOf } from '../../support/wire.ts';

let admin: FakeAdmin;
beforeAll(async () => {
  admin = await startFakeAdmin();
});
afterAll(() => admin.close());

const channel = (channelId: bigint, committed: bigint, fields: Partial<Channel> = {}): Channel => ({
  ...openingOf(channelId),
  committed,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(64),
  state: 'open',
  ...fields,
});

test('it keeps the largest, as sorting all of them would', () => {
  const amounts = Array.from({ length: 2_000 }, (_, index) => BigInt((index * 7_919) % 1_009));
  const largest = new Largest(50, undefined);
  for (const [position, amount] of amounts.entries()) largest.add(channel(BigInt(position), amount), position);
  const expected = amounts.toSorted((left, right) => Number(right - left)).slice(0, 50);
  expect(largest.positions.map((position) => amounts[position])).toEqual(expected);
  expect(new Set(largest.positions).size).toBe(50);
});

test('what the ledger has paid is no exposure, nor is a throw-away channel or one that is gone; among equals the committed amount counts', () => {
  const states: Record<string, Partial<LedgerState>> = { 1: { redeemed: 90n, exists: true }, 2: { exists: false } };
  const ledger = { state: (id: bigint) => states[String(id)] } as unknown as Ledger;
  const largest = new Largest(9, ledger);
  const rows = [
    channel(1n, 100n),
    channel(2n, 900n),
    channel(3n, 11n),
    channel(4n, 500n, { throwAway: true }),
    channel(5n, 0n),
  ];
  for (const [position, row] of rows.entries()) largest.add(row, position);
  expect(largest.positions).toEqual([2, 0, 1, 3, 4]);
});

test('the route lists rows of all channels, and refuses what it cannot do', async () => {
  for (let id = 1n; id <= 1_000n; id++) admin.node.rows.set(id, channel(id, (id * 37n) % 1_000n));
  admin.node.rows.get(27n)!.state = 'removed';
  const response = await fetch(`${admin.url}/channels?sort=exposure&limit=3`);
  const rows = (await response.json()) as { committed: string; signature?: string }[];
  expect(rows.map(({ committed }) => committed)).toEqual(['998', '997', '996']);
  expect(rows.every((row) => !('signature' in row))).toBe(true);
  for (const query of ['sort=committed', 'sort=exposure&from=1', 'sort=exposure&limit=201'])
    expect((await fetch(`${admin.url}/channels?${query}`)).status, query).toBe(400);
  expect(await (await fetch(`${admin.url}/channels?sort=exposure&state=closed`)).json()).toEqual([]);
});

/** The exposure of all channels, summed a slice at a time: against a plain sum, and bounded in what one tick does. */
import { expect, test } from 'vitest';
import { type Channel, packedRows, ROW } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { type ExposureTotals, ExposureWalk, type LedgerStates } from '../../../src/control/exposure.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const NOW = 1_800_000_000;
const KEY = Uint8Array.of(2, ...new Uint8Array(32).fill(7));

function channel(channelId: bigint, fields: Partial<Channel> = {}): Channel {
  return {
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId & 0xffn)),
    publicKey: KEY,
    capacity: 2n ** 64n - 1n,
    committed: 0n,
    sequence: 1,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
    ...fields,
  };
}

function walkOver(channelsMax: number, states?: LedgerStates) {
  const table = new ChannelTable(
    Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax }),
  );
  const clock = new ManualClock(NOW * 1_000);
  const walk = new ExposureWalk(table, clock);
  if (states !== undefined) walk.useLedger(states);
  return { table, clock, walk };
}
const brief = ({ drops, ending }: ExposureTotals) => [drops, ...ending.map((each) => [each.drops, each.channels])];

test('committed amounts are summed to the drop, however large; throw-away and removed channels are not', () => {
  const { table, clock, walk } = walkOver(16);
  const most = 2n ** 64n - 1n;
  table.insert(channel(1n, { committed: most }));
  table.insert(channel(2n, { committed: most, state: 'closed' }));
  table.insert(channel(3n, { committed: 5n, throwAway: true }));
  table.insert(channel(4n, { committed: 5n, state: 'removed' }));
  table.insert(channel(5n));
  walk.start();
  expect(walk.exposure()).toMatchObject({ drops: 0n, ageSeconds: null });
  clock.advance(100);
  expect(brief(walk.exposure())).toEqual([2n * most, [0n, 0], [0n, 0]]);
  clock.advance(500);
  expect(walk.exposure().ageSeconds).toBe(0.5);
  walk.stop();
  expect(clock.pending).toBe(0);
});

test('what ends within an hour and within a day, and what has ended, is summed beside it', () => {
  const { table, clock, walk } = walkOver(16);
  table.insert(channel(1n, { committed: 1n, expiresAt: NOW - 1 }));
  table.insert(channel(2n, { committed: 10n, expiresAt: NOW + 3_600 }));
  table.insert(channel(3n, { committed: 100n, expiresAt: NOW + 3_605 }));
  table.insert(channel(4n, { committed: 1_000n, expiresAt: NOW + 90_000 }));
  table.insert(channel(5n, { committed: 10_000n }));
  walk.start();
  clock.advance(100);
  expect(brief(walk.exposure())).toEqual([11_111n, [11n, 2], [111n, 3]]);
});

test('what the ledger has paid is off, and its end of the channel counts, not the lease in the table', () => {
  const never = { expiration: 0, cancelAfter: 0 };
  const states = new Map([
    [1n, { redeemed: 30n, exists: true, ...never }],
    [2n, { redeemed: 300n, exists: true, expiration: NOW + 60, cancelAfter: NOW + 90_000 }],
    [3n, { redeemed: 0n, exists: false, ...never }],
    [4n, { redeemed: 9_000n, exists: true, ...never }],
  ]);
  const { table, clock, walk } = walkOver(16, (channelId) => states.get(channelId));
  table.insert(channel(1n, { committed: 100n, expiresAt: NOW + 5 }));
  table.insert(channel(2n, { committed: 1_000n }));
  table.insert(channel(3n, { committed: 10_000n }));
  table.insert(channel(4n, { committed: 8_000n }));
  table.insert(channel(5n, { committed: 100_000n }));
  walk.start();
  clock.advance(100);
  expect(brief(walk.exposure())).toEqual([100_770n, [700n, 1], [700n, 1]]);
});

test('one tick walks a slice, less of it where the ledger is asked, and the sum changes when the walk is whole', () => {
  const count = 40_000;
  let asked = 0;
  const { table, clock, walk } = walkOver(count, () => void asked++);
  const rows = packedRows([channel(1n, { committed: 2n })]);
  const view = new DataView(rows.buffer);
  for (let id = 1; id <= count; id++) {
    view.setBigUint64(ROW.channelId, BigInt(id), true);
    table.insertRow(rows, view, 0);
  }
  walk.start();
  clock.advance(100);
  expect(asked).toBeGreaterThan(500);
  expect(asked).toBeLessThan(1_500);
  expect(walk.exposure()).toMatchObject({ drops: 0n, ageSeconds: null });
  const each = asked;
  clock.advance(100 * Math.ceil(count / each));
  expect(walk.exposure().drops).toBe(80_000n);
});

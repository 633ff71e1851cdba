/** Which record a row has in a group, against a Map that is told the same; and C, which finds rows the same way. */
import { expect, test } from 'vitest';
import { packedRows, UNUSED } from '../../../src/channel/row.ts';
import { CommitGroup, GROUP_CLAIMS_MAX } from '../../../src/path/commit-group.ts';
import { GroupRows, ROW_HEADS } from '../../../src/path/group-rows.ts';
import { describeNative } from '../../support/native-only.ts';
import { random } from '../../support/random.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

/** Rows that have one chain: their higher bits, folded onto the lower ones, are the same. */
const CHAINED = [5, ROW_HEADS + 4, 2 * ROW_HEADS + 7];

test('a group of as many rows as it can have, with rows anywhere or side by side, does what a Map does', () => {
  const from = random(3);
  const rows = new GroupRows(GROUP_CLAIMS_MAX);
  for (const most of [100, 2 * GROUP_CLAIMS_MAX, 2 ** 24, 2 ** 32]) {
    const twin = new Map<number, number>();
    for (let tries = 0; tries < 20_000 && twin.size < GROUP_CLAIMS_MAX; tries++) {
      const row = from.below(9) === 0 ? CHAINED[from.below(3)]! : from.u32() % most;
      if (rows.find(row) !== (twin.get(row) ?? -1)) expect.fail(`row ${row} has record ${rows.find(row)}`);
      if (twin.has(row)) continue;
      rows.add(row, twin.size);
      twin.set(row, twin.size);
    }
    expect([...twin].filter(([row, record]) => rows.find(row) !== record || rows.rows[record] !== row)).toEqual([]);
    rows.clear(twin.size);
    expect([...twin.keys()].filter((row) => rows.find(row) !== -1)).toEqual([]);
    expect(rows.heads.every((head) => head === 0)).toBe(true);
  }
});

test('rows that lie a table of heads apart do not share one', () => {
  const rows = new GroupRows(GROUP_CLAIMS_MAX);
  for (let record = 0; record < 1_000; record++) rows.add(record * ROW_HEADS, record);
  expect(rows.next.every((next) => next === 0)).toBe(true);
});

const SECONDS = 1_700_000_000;
const SOURCE = sourceOf('192.0.2.1', 4_000);

describeNative('C', () => {
  test('finds the rows of a chain, in the open group and in the one being synced, and adds to it', () => {
    const rig = new Rig({ path: 'native', ringSlots: 64, channelsMax: 3 * ROW_HEADS });
    for (const row of CHAINED) {
      const ledgerChannelId = new Uint8Array(32);
      new DataView(ledgerChannelId.buffer).setBigUint64(0, BigInt(row));
      const publicKey = Uint8Array.of(2, ...new Uint8Array(32).fill(row));
      const terms = { capacity: 1_000n, profile: 'xrpl', expiresAt: 0 } as const;
      const bytes = packedRows([{ ...UNUSED, ...terms, channelId: BigInt(row), ledgerChannelId, publicKey }]);
      rig.table.insertRow(bytes, new DataView(bytes.buffer), 0, row);
    }
    const [group, syncing] = [new CommitGroup(), new CommitGroup()];
    /** The amounts of claims, a round through the channels each, staged by C; returns the records of both groups. */
    const stage = (open: CommitGroup, beside: CommitGroup | undefined, amounts: bigint[]) => {
      const first = rig.ring.next;
      for (const amount of amounts)
        for (const row of CHAINED) rig.datagram(claimOf({ channelId: BigInt(row), amount }), SOURCE);
      rig.receive.step(rig.now);
      rig.verify.step();
      const count = amounts.length * CHAINED.length;
      expect(rig.path!.stage(open, beside, first, first + count, SECONDS)).toBe(count);
      return [group, syncing].map(({ journal }) => journal.count);
    };
    const amountOf = ({ journal }: CommitGroup, record: number) =>
      journal.view.getBigUint64(journal.recordOffset(record) + 13);
    expect(stage(syncing, undefined, [5n, 6n])).toEqual([0, 3]);
    // No more than what is being synced has already.
    expect(stage(group, syncing, [4n])).toEqual([0, 3]);
    expect(syncing.accepted).toBe(9);
    expect(stage(group, syncing, [7n, 9n, 8n])).toEqual([3, 3]);
    // As the steps in TypeScript see it.
    for (const [record, row] of CHAINED.entries())
      for (const [side, amount] of [
        [group, 9n],
        [syncing, 6n],
      ] as const) {
        expect([side.recordOf(row), side.rowOf(record)]).toEqual([record, row]);
        expect(amountOf(side, record)).toBe(amount);
      }
    group.clear();
    for (const row of CHAINED) expect(group.recordOf(row)).toBe(-1);
    // A group that TypeScript began.
    for (const row of CHAINED) group.append(row, claimOf({ channelId: BigInt(row), amount: 1n }), 0);
    expect(stage(group, undefined, [10n])).toEqual([3, 3]);
  });
});

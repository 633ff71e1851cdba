/** Parts of the bench report that need no kernel, as briefly as they go: they prove their own work or throw. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PartArgs } from '../../../../bench/framework/part.ts';
import { measureCodec } from '../../../../bench/framework/parts/codec.ts';
import { measureDisk } from '../../../../bench/framework/parts/disk.ts';
import { measureAcks, measureSockets } from '../../../../bench/framework/parts/sockets.ts';
import { nativeUdpFault } from '../../../../src/transport/udp-native.ts';

const folder = join(mkdtempSync(join(tmpdir(), 'claimwire-parts-')), 'disk');
const ARGS: PartArgs = { effort: { seconds: 0, roundsMin: 2, roundsMax: 2 }, seconds: 0.005, quick: true, folder };
const hasAddon = nativeUdpFault() === undefined;

test('the codec, beside copying the same bytes', async () => {
  const values = await measureCodec({ ...ARGS, effort: { seconds: 0, roundsMin: 1, roundsMax: 1 } });
  for (const [name, list] of Object.entries(values)) expect(list[0], name).toBeGreaterThan(0);
});

test('the journal, whose groups are read back, beside a bare write and sync', async () => {
  const values = await measureDisk(ARGS);
  expect(Object.values(values).every((list) => list.length === 2 && list.every((value) => value > 0))).toBe(true);
  expect(values['journal.groupedPerSecond']![1]).toBeGreaterThan(values['journal.oneClaimAGroupPerSecond']![1]!);
  expect(existsSync(folder)).toBe(false);
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

test.skipIf(!hasAddon)('every way of the sockets loses nothing', async () => {
  const values = { ...(await measureSockets(ARGS)), ...(await measureAcks(ARGS)) };
  expect(Object.keys(values)).toHaveLength(7);
  for (const [name, list] of Object.entries(values)) expect(list[0], name).toBeGreaterThan(0);
});

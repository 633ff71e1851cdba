/** An import's openings: from a file and from what makes them one by one, and what the node is asked for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AdminClient, type OpeningJson } from '../../../src/http/client.ts';
import { blocksOf } from '../../../src/http/import-blocks.ts';
import { startFakeAdmin } from '../../support/fake-node.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-import-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const opening = (index: number): OpeningJson => ({
  ledgerChannelId: index.toString(16).padStart(16, '0').padEnd(64, 'A'),
  publicKey: KEY,
  capacity: '1000',
});

test('blocks are whole lines, and hold all of them in order', async () => {
  const file = join(work, 'large.ndjson');
  const line = (index: number) => `{"number":${index},"padding":"${'x'.repeat(index % 700)}"}`;
  const text = Array.from({ length: 60_000 }, (_, index) => line(index)).join('\n');
  writeFileSync(file, text);
  const blocks: string[] = [];
  for await (const block of blocksOf(file)) blocks.push(block.toString());
  expect(blocks.length).toBeGreaterThan(1);
  for (const block of blocks.slice(0, -1)) expect(block.endsWith('\n')).toBe(true);
  expect(blocks.join('') === text).toBe(true);
});

test('openings are imported as they are made, a request at a time, and lines count from 1', async () => {
  const admin = await startFakeAdmin();
  try {
    const client = AdminClient.open({ http: admin.url, tokenFile: admin.tokenFile });
    let made = 0;
    async function* openings() {
      for (; made < 2_500; made++) yield made === 1_234 ? { ...opening(made), capacity: 'much' } : opening(made);
    }
    const seen: number[] = [];
    const result = await client.importChannels(openings(), ({ opened }, bytes) => seen.push(opened, bytes));
    expect(result).toMatchObject({ opened: 2_499, unchanged: 0, refusedCount: 1, refused: [{ line: 1_235 }] });
    expect(admin.node.rows.size).toBe(2_499);
    expect(seen).toEqual([2_499, expect.any(Number)]);
    // An array does too, and again changes nothing.
    expect(await client.importChannels([opening(1), opening(2)])).toMatchObject({ opened: 0, unchanged: 2 });
    expect(await client.importChannels([])).toMatchObject({ opened: 0, unchanged: 0, refusedCount: 0 });
  } finally {
    await admin.close();
  }
});

test('not all openings are made before the first request', async () => {
  let made = 0;
  const wide = { ...opening(1), publicKey: 'A'.repeat(8_000) };
  const blocks = blocksOf(
    (function* () {
      for (; made < 10_000; made++) yield wide;
    })(),
  );
  expect((await blocks.next()).done).toBe(false);
  expect(made).toBeLessThan(4_000);
  await blocks.return(undefined);
});

test('what the maker of openings throws comes as it is; a file that is not there is INPUT_INVALID', async () => {
  const fault = new Error('the other end is gone');
  // biome-ignore lint/correctness/useYield: it fails before its first opening.
  async function* failing(): AsyncGenerator<OpeningJson> {
    throw fault;
  }
  await expect(blocksOf(failing()).next()).rejects.toBe(fault);
  await expect(blocksOf(join(work, 'none')).next()).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('expected a readable NDJSON file, got ENOENT'),
  });
});

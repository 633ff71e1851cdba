/**
 * The promise "acked COMMITTED ⇒ durable", over a network that loses, doubles and reorders, and through kill -9.
 */
import { expect, test } from 'vitest';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { getJson, NodeProcess, openChannels, type ReadyLine, temporaryFolders } from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';

const folder = temporaryFolders();

async function committed(ready: ReadyLine, run: PayerRun): Promise<bigint[]> {
  const rows = await getJson<ChannelJson[]>(ready, '/channels?limit=1000');
  const byId = new Map(rows.map((row) => [row.ledgerChannelId, BigInt(row.committed)]));
  return run.channels.map(({ ledgerChannelId }) => byId.get(ledgerChannelId)!);
}

test('20,000 claims over 200 channels through a faulty socket: every final amount is committed', {
  timeout: 180_000,
}, async () => {
  const data = folder('faults');
  const node = new NodeProcess(data);
  const ready = await node.ready;
  const run = new PayerRun(200, 1);
  await openChannels(ready, data, run.channels);
  await run.run(ready, 20_000);
  expect(run.sent).toBe(20_000);
  expect(run.faults.dropped).toBeGreaterThan(100);
  expect(run.faults.duplicated).toBeGreaterThan(100);
  expect(run.faults.reordered).toBeGreaterThan(100);
  expect(await committed(ready, run)).toEqual(run.claimed);
  await node.stop();
});

test('kill -9 in the middle, 20 times in a row: no acknowledged amount is ever missing', {
  timeout: 300_000,
}, async () => {
  const data = folder('kill');
  const run = new PayerRun(200, 2);
  let opened = false;
  for (let round = 0; round < 20; round++) {
    const node = new NodeProcess(data);
    const ready = await node.ready;
    if (!opened) await openChannels(ready, data, run.channels);
    opened = true;
    const now = await committed(ready, run);
    now.forEach((amount, index) => {
      expect(amount, `round ${round}, channel ${index}`).toBeGreaterThanOrEqual(run.acknowledged[index]!);
      expect(amount, `round ${round}, channel ${index}`).toBeLessThanOrEqual(run.claimed[index]!);
    });
    const before = run.acknowledged.reduce((sum, amount) => sum + amount, 0n);
    let killed = false;
    const timer = setTimeout(
      () => {
        killed = true;
        node.kill('SIGKILL');
      },
      300 + round * 40,
    );
    await run.run(ready, 20_000, () => killed);
    clearTimeout(timer);
    expect((await node.exit).signal).toBe('SIGKILL');
    const after = run.acknowledged.reduce((sum, amount) => sum + amount, 0n);
    expect(after, `round ${round} acknowledged something before the kill`).toBeGreaterThan(before);
  }
});

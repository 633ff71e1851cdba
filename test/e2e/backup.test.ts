/**
 * Backups as an operator makes them: which copy of a data folder may be restored, and what a payer sees then.
 */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Payer } from '../../src/client/index.ts';
import { processAtOnePort } from '../support/at-one-port.ts';
import {
  adminFlags,
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  temporaryFolders,
} from '../support/node-process.ts';
import { PayerRun } from '../support/payer-run.ts';

vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();

/** Amounts that a node holds, lowest first. */
async function amounts(node: NodeProcess): Promise<string[]> {
  const rows = await getJson<{ committed: string }[]>(await node.ready, '/channels');
  return rows.map(({ committed }) => committed).sort();
}

test('the folder of a stopped node, copied: a node on the copy has every amount and the same token', async () => {
  const data = folder('backup');
  const node = new NodeProcess(data);
  const ready = await node.ready;
  const run = new PayerRun(20, 11);
  await openChannels(ready, data, run.channels);
  await run.run(ready, 300);
  // A running node can also be asked what its claims are worth; amounts below the fee are left out.
  const account = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
  const { stdout } = await claimwire('settle', '--all', '--account', account, '--json', ...adminFlags(ready, data));
  const redemptions = JSON.parse(stdout.replaceAll('\n', '')) as { transaction: { Amount: string } }[];
  const worth = run.claimed.filter((amount) => amount > 10n);
  expect(redemptions.map(({ transaction }) => transaction.Amount).sort()).toEqual(worth.map(String).sort());
  await node.stop();
  const copy = join(folder('restored'), 'data');
  cpSync(data, copy, { recursive: true });

  const restored = new NodeProcess(copy);
  expect(await amounts(restored)).toEqual(run.claimed.map(String).sort());
  expect(readFileSync(join(copy, 'admin-token'))).toEqual(readFileSync(join(data, 'admin-token')));
  await restored.stop();
});

test('the folder of a running node, copied: refused while that node lives, and where its parts are of two times', async () => {
  const data = folder('running');
  const node = new NodeProcess(data);
  const run = new PayerRun(5, 12);
  await openChannels(await node.ready, data, run.channels);
  await run.run(await node.ready, 100);
  const copy = join(folder('early'), 'data');
  // Whatever copies a folder file by file reads its parts one after the other. Meanwhile the node may checkpoint and
  // begin new segments, as it does here by starting anew.
  cpSync(join(data, 'registry'), join(copy, 'registry'), { recursive: true });
  const early = new NodeProcess(copy);
  expect((await early.exit).code).toBe(1);
  expect(early.stderr).toContain(`got one used by process ${node.pid}`);
  node.kill('SIGKILL');
  await node.exit;
  const again = new NodeProcess(data);
  await run.run(await again.ready, 100);
  // A file of a running node may go while it is copied: then whoever copies does so once more.
  await vi.waitFor(() => cpSync(join(data, 'journal'), join(copy, 'journal'), { recursive: true }));

  const late = new NodeProcess(copy);
  expect((await late.exit).code).toBe(1);
  expect(late.stderr).toMatch(/journal: corrupt end .*nothing was changed; .*restore a backup/);
  expect(await amounts(again)).toEqual(run.claimed.map(String).sort());
  await again.stop();
});

test('after an old backup a payer is told that amounts are missing, and its next claim brings them back', async () => {
  const data = folder('old');
  const node = await processAtOnePort(() => new NodeProcess(data));
  const run = new PayerRun(1, 14);
  const [opening] = run.channels;
  await openChannels(await node.ready, data, run.channels);
  const state = join(folder('state'), 'payer.state');
  const pay = async (to: NodeProcess, work: (channel: ReturnType<Payer['channel']>) => Promise<unknown>) => {
    const payer = await Payer.open({ to: `udp://${(await to.ready).udp}`, state });
    try {
      await work(payer.channel({ ledgerChannelId: opening!.ledgerChannelId, key: run.key }));
    } finally {
      await payer.close();
    }
  };
  await pay(node, (channel) => channel.pay(50n));
  await node.stop();
  const copy = join(folder('old-copy'), 'data');
  cpSync(data, copy, { recursive: true });
  const later = await processAtOnePort(() => new NodeProcess(data));
  await pay(later, (channel) => channel.pay(50n));
  expect(await amounts(later)).toEqual(['100']);
  await later.stop();

  const restored = await processAtOnePort(() => new NodeProcess(copy));
  expect(await amounts(restored)).toEqual(['50']);
  await expect(pay(restored, (channel) => channel.pay(1n))).rejects.toMatchObject({ code: 'COMMITTED_MISMATCH' });
  await pay(restored, (channel) => channel.claim(100n));
  await pay(restored, (channel) => channel.pay(1n));
  expect(await amounts(restored)).toEqual(['101']);
  await restored.stop();
});

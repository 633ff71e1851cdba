/** `claimwire channel list`: sorted, as CSV, and with what the ledger says; run in this process against the real admin server. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { command } from '../../../tools/channel.ts';
import { FakeLedgerControl } from '../../support/fake-ledger-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingOf } from '../../support/wire.ts';

let admin: FakeAdmin;
let ledger: FakeLedgerControl;
beforeEach(async () => {
  ledger = new FakeLedgerControl();
  admin = await startFakeAdmin(undefined, undefined, { ledger });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await admin.close();
});

async function run(...args: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const node = ['--http', admin.url, '--token-file', admin.tokenFile];
  expect(await command.run([...args, ...node])).toBe(0);
  vi.restoreAllMocks();
  return printed;
}
const handles = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/[ ,]/)[0]);

/** Channel 8 of the ledger, with 300 drops of 2,300 not paid out; 9 with 900 drops by hand; 10 without a claim. */
async function fill(): Promise<void> {
  const id = Buffer.from(openingOf(8n).ledgerChannelId).toString('hex');
  await run('open', '--ledger-channel', id);
  await admin.node.openChannels([openingOf(9n, { expiresAt: 1_800_000_000 }), openingOf(10n)]);
  admin.node.rows.get(8n)!.committed = 2_300n;
  admin.node.rows.get(9n)!.committed = 900n;
}

test('by exposure, by what is committed, by expiry', async () => {
  await fill();
  expect(handles(await run('list'))).toEqual(['8', '9', '10']);
  expect(handles(await run('list', '--sort', 'exposure'))).toEqual(['9', '8', '10']);
  expect(handles(await run('list', '--sort', 'committed'))).toEqual(['8', '9', '10']);
  expect(handles(await run('list', '--sort', 'expiry'))).toEqual(['9', '8', '10']);
  const [, first] = (await run('list')).split('\n');
  expect(first).toMatch(/^8 +open +xrpl +2300 +5000 +300 +10\.0 s +-$/);
});

test('exposure is that of the live page: link channels count, and nothing is left of a channel that is gone from the ledger', async () => {
  await fill();
  await admin.node.openChannels([openingOf(11n, { profile: 'link' })]);
  admin.node.rows.get(11n)!.committed = 5_000n;
  ledger.states.set(8n, { ...ledger.states.get(8n)!, exists: false });
  const page = (await (await fetch(`${admin.url}/channels?sort=exposure`)).json()) as { channelId: string }[];
  expect(page.map(({ channelId }) => channelId)).toEqual(['11', '9', '8', '10']);
  expect(handles(await run('list', '--sort', 'exposure'))).toEqual(['11', '9', '8', '10']);
});

test('as CSV, and as JSON', async () => {
  expect(await run('list', '--csv')).toMatch(/^channelId,[^\n]+\n$/);
  await fill();
  const [names, eight] = (await run('list', '--csv')).split('\n');
  const fields = Object.fromEntries(names!.split(',').map((name, index) => [name, eight!.split(',')[index]]));
  expect(fields).toMatchObject({ channelId: '8', committed: '2300', redeemed: '2000', exposure: '300', expiresAt: '' });
  const rows = JSON.parse(await run('list', '--json', '--sort', 'exposure')) as { channelId: string }[];
  expect(rows.map(({ channelId }) => channelId)).toEqual(['9', '8', '10']);
  await expect(run('list', '--csv', '--json')).rejects.toThrow(/--csv: expected it or --json, got both/);
});

test('a channel shows what the ledger says of it', async () => {
  await fill();
  expect(await run('show', '8')).toMatch(/\nledger\.redeemed +2000\nledger\.exposure +300\n/);
});

test('what is given beside the ledger id must be whole', async () => {
  const key = Buffer.from(openingOf(9n).publicKey).toString('hex');
  const open = ['open', '--ledger-channel', 'AB'.repeat(32), '--public-key', key];
  await expect(run(...open)).rejects.toThrow(/--capacity: expected an amount in drops, got nothing/);
});

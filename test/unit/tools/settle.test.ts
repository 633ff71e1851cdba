/** `claimwire settle` against a fake node's rows: what it prints is what a wallet and a machine can take. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { dropsToXrp, verifyPaymentChannelClaim } from 'xrpl';
import { channelJson } from '../../../src/channel/parse.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { run } from '../../../tools/settle.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const V1: Channel = {
  channelId: 0x5db01b7ffed6b67en,
  ledgerChannelId: bytes('5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3'),
  publicKey: bytes('0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7'),
  capacity: 5_000_000n,
  committed: 1_000_000n,
  sequence: 4,
  timestampBits: 0n,
  signature: bytes(
    '7A942607EFB90C9D38769330B3B540F7D83B3A38E7A621A59C9B6A51F3116D233BC45DB3E6CA873DCAC00EE6753FD982F9328A7BD3231B314C7195CAD2B4F5A3',
  ),
  profile: 'xrpl',
  state: 'open',
  expiresAt: 0,
};
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

let admin: FakeAdmin;
let out = '';
let errors = '';

beforeEach(async () => {
  admin = await startFakeAdmin();
  out = errors = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += text;
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await admin.close();
});

const settle = (...args: string[]) =>
  run([...args, '--account', PAYEE, '--http', admin.url, '--token-file', admin.tokenFile]);
const put = (id: bigint, change: Partial<Channel> = {}) => admin.node.rows.set(id, { ...V1, channelId: id, ...change });

test('one channel: the transaction alone for people, with advice for machines; xrpl.js verifies it', async () => {
  put(V1.channelId);
  expect(await settle(String(V1.channelId))).toBe(0);
  const transaction = JSON.parse(out);
  expect(
    verifyPaymentChannelClaim(
      transaction.Channel,
      String(dropsToXrp(transaction.Amount)),
      transaction.Signature,
      transaction.PublicKey,
    ),
  ).toBe(true);
  expect(transaction).toMatchObject({ Account: PAYEE, Balance: '1000000', Amount: '1000000', Flags: 0 });
  out = '';
  expect(await settle('5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3', '--json')).toBe(0);
  expect(JSON.parse(out)).toEqual({
    channelId: String(V1.channelId),
    worthRedeeming: true,
    warnings: [],
    expiresAt: null,
    expiration: null,
    transaction,
  });
  expect(errors).toBe('');
});

test('the file that the live page exports becomes the same transaction, without a node', async () => {
  put(V1.channelId);
  await settle(String(V1.channelId));
  const transaction = JSON.parse(out);
  out = '';
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-settle-'));
  const file = join(folder, 'claim.json');
  const { channelId, ledgerChannelId, publicKey, profile, sequence, signature } = channelJson(V1, true, 0);
  const claim = { channelId, ledgerChannelId, publicKey, profile, amount: '1000000', sequence, signature };
  const offline = (...args: string[]) =>
    run(['--claim', file, '--account', PAYEE, '--http', 'http://127.0.0.1:1', ...args]);
  writeFileSync(file, JSON.stringify({ ...claim, exportedAt: new Date().toISOString() }));
  expect(await offline()).toBe(0);
  expect(JSON.parse(out)).toEqual(transaction);
  expect(errors).toContain('when the channel ends is not known from a file');
  for (const [text, message] of [
    [JSON.stringify({ ...claim, amount: '1e6' }), /claim\.json: amount: expected a decimal string/],
    [JSON.stringify({ ...claim, signature: null }), /claim\.json: signature: expected/],
    [JSON.stringify({ ...claim, profile: 'link' }), /profile is link/],
    ['[]', /claim\.json: /],
    ['{', /claim\.json: expected JSON/],
    [' '.repeat(1 << 17), /claim\.json: expected at most 65536 bytes/],
  ] as const) {
    writeFileSync(file, text);
    await expect(offline(), text.slice(0, 60)).rejects.toThrow(message);
  }
  await expect(offline('--all')).rejects.toMatchObject({ code: 'USAGE' });
  rmSync(folder, { recursive: true });
  await expect(offline()).rejects.toThrow(/claim\.json: expected a file that can be read, got ENOENT/);
});

test('one channel with nothing to redeem is an error', async () => {
  put(1n, { committed: 0n, signature: new Uint8Array(64) });
  put(2n, { profile: 'link' });
  await expect(settle('1')).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('nothing is committed'),
  });
  await expect(settle('2')).rejects.toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining('link') });
  await expect(settle('3')).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  expect(out).toBe('');
});

test('a throw-away channel is refused with the reason: the ledger knows nothing of it', async () => {
  put(1n, { throwAway: true });
  await expect(settle('1')).rejects.toMatchObject({
    code: 'INPUT_INVALID',
    message: expect.stringContaining('throw-away'),
  });
  expect(out).toBe('');
});

test('near expiry and after it: warned, and no longer worth it', async () => {
  put(1n, { expiresAt: inSeconds(3600) });
  expect(await settle('1', '--json')).toBe(0);
  const near = JSON.parse(out);
  expect(near).toMatchObject({ worthRedeeming: true, warnings: [expect.stringContaining('redeem now')] });
  expect(near.expiration).toBe(Date.parse(near.expiresAt) / 1000 - 946_684_800);
  out = '';
  put(2n, { expiresAt: inSeconds(-5) });
  expect(await settle('2')).toBe(0);
  expect(JSON.parse(out).TransactionType).toBe('PaymentChannelClaim');
  expect(errors).toContain('channel 2: expired at');
});

test('all: an array of those worth it; the rest is counted, or included when asked for', async () => {
  put(1n);
  put(2n, { committed: 10n });
  put(3n, { expiresAt: inSeconds(-5) });
  put(4n, { profile: 'link' });
  put(5n, { committed: 0n, signature: new Uint8Array(64) });
  put(6n, { state: 'closed' });
  put(7n, { throwAway: true });
  expect(await settle('--all', '--json')).toBe(0);
  expect(JSON.parse(out).map(({ channelId }: { channelId: string }) => channelId)).toEqual(['1', '6']);
  expect(errors).toBe(
    '2 transactions; left out: 1 without a claim, 2 not worth redeeming, 1 of the link profile, 1 throw-away\n',
  );
  out = '';
  expect(await settle('--all', '--json', '--include-unprofitable')).toBe(0);
  const all = JSON.parse(out);
  expect(all.map(({ worthRedeeming }: { worthRedeeming: boolean }) => worthRedeeming)).toEqual([
    true,
    false,
    false,
    true,
  ]);
  out = '';
  expect(await settle('--all', '--fee', '9')).toBe(0);
  expect(JSON.parse(out).map(({ Balance }: { Balance: string }) => Balance)).toEqual(['1000000', '10', '1000000']);
  admin.node.rows.clear();
  out = '';
  expect(await settle('--all', '--json')).toBe(0);
  expect(JSON.parse(out)).toEqual([]);
});

/** `claimwire redeem` against a fake node: what it asks for, what it prints, and its exit code. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { RedemptionResult } from '../../../src/control/ledger-control.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { run } from '../../../tools/redeem.ts';
import { FakeLedgerControl, record } from '../../support/fake-ledger-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingOf } from '../../support/wire.ts';

let ledger: FakeLedgerControl;
let admin: FakeAdmin;
let out = '';
beforeEach(async () => {
  ledger = new FakeLedgerControl();
  admin = await startFakeAdmin(undefined, undefined, { ledger });
  out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text, done?: unknown) => {
    out += text;
    if (typeof done === 'function') done();
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await admin.close();
});

const redeem = (...args: string[]) => run([...args, '--http', admin.url, '--token-file', admin.tokenFile]);
const result = (channelId: bigint, outcome: RedemptionResult['outcome'], reason = 'tesSUCCESS'): RedemptionResult => {
  const isPaid = outcome === 'paid';
  return { channelId, outcome, reason, paid: isPaid ? 500n : 0n, feeDrops: 10n, hash: isPaid ? 'A'.repeat(64) : null };
};
const put = (channelId: bigint, committed: bigint, profile: 'xrpl' | 'link' = 'xrpl') =>
  admin.node.rows.set(channelId, {
    ...openingOf(channelId),
    capacity: 9_000n,
    committed,
    sequence: 1,
    timestampBits: 0n,
    signature: new Uint8Array(64).fill(1),
    profile,
    state: 'open',
    expiresAt: 0,
  });

test('one channel: a line, or one of JSON; what failed is exit code 1', async () => {
  put(2n, 500n);
  ledger.outcome = async (id, options) => result(id, options?.close ? 'failed' : 'paid');
  expect(await redeem('2')).toBe(0);
  expect(out).toBe(`2 paid: 500 drops for a fee of 10, tesSUCCESS, ${'A'.repeat(64)}\n`);
  out = '';
  expect(await redeem('2', '--close', '--json')).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ channelId: '2', outcome: 'failed', paid: '0', hash: null });
  await expect(redeem()).rejects.toMatchObject({ code: 'USAGE' });
  await expect(redeem('2', '--all')).rejects.toMatchObject({ code: 'USAGE' });
});

test('--all asks for those that have something to redeem, and one that fails stops no other', async () => {
  put(2n, 500n);
  put(3n, 0n);
  put(4n, 500n, 'link');
  put(6n, 500n);
  put(8n, 500n);
  put(10n, 500n);
  const paidOut = { deposited: 9_000n, redeemed: 500n, settleDelay: 3_600, expiration: 0, cancelAfter: 0 };
  ledger.states.set(10n, { ...paidOut, seenAt: 1, exists: true });
  const asked: bigint[] = [];
  ledger.outcome = async (id) => {
    asked.push(id);
    if (id === 6n) throw new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: none');
    return id === 8n ? result(id, 'nothing', 'the fee is higher') : result(id, 'paid');
  };
  expect(await redeem('--all')).toBe(1);
  expect(asked.sort()).toEqual([2n, 6n, 8n]);
  expect(out).toContain('2 paid');
  expect(out).toContain('6 error: ledger: none (LEDGER_UNREACHABLE)');
  expect(out).not.toContain('8 nothing');
});

test('--list shows what was redeemed', async () => {
  ledger.records = [record(2n), record(1n, { state: 'failed', paid: 0n, reason: 'tecNO_TARGET' })];
  expect(await redeem('--list')).toBe(0);
  const hash = 'A'.repeat(64);
  expect(out).toBe(`2023-11-14T22:13:20Z 2 paid 5 drops, fee 10, tesSUCCESS, ${hash}
2023-11-14T22:13:20Z 1 failed 0 drops, fee 10, tecNO_TARGET, ${hash}
`);
});

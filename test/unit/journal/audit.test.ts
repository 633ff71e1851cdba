import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, hashes, sign } from '@noble/secp256k1';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { linkDigest, xrplDigest } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, type ProfileName } from '../../../protocol/layout.ts';
import { type Channel, encodeRow, ROW_BYTES } from '../../../src/channel/row.ts';
import { Ed25519Signer } from '../../../src/client/keys/signer.ts';
import { auditSignatures, ChannelKeys } from '../../../src/journal/audit.ts';
import checkBatch, { AUDIT_BYTES } from '../../../src/journal/audit-worker.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { JOURNAL_ID, TIME } from './fixtures.ts';

hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

const SECRET = new Uint8Array(32).fill(7);
const LEDGER_ID = new Uint8Array(32).fill(9);
const keys = new ChannelKeys();
let folder: string;

function register(channelId: bigint, profile: ProfileName, publicKey: Uint8Array = getPublicKey(SECRET)): void {
  const row = new Uint8Array(ROW_BYTES);
  encodeRow(
    {
      channelId,
      ledgerChannelId: LEDGER_ID,
      publicKey,
      capacity: 1000n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      profile,
      state: 'open',
      expiresAt: 0,
    },
    row,
  );
  keys.add(row);
}

function signedClaim(channelId: bigint, profile: ProfileName, number: number): Uint8Array {
  const amount = BigInt(number);
  const claim = claimBytes({ channelId, sequence: number, amount, signature: new Uint8Array(64), timestamp: TIME });
  const digest = (profile === 'link' ? linkDigest : xrplDigest)(LEDGER_ID, claim);
  claim.set(sign(digest, SECRET, { prehash: false }), CLAIM_SIGNATURE);
  return claim;
}

const ED25519 = new Ed25519Signer(SECRET);

function ed25519Claim(channelId: bigint, profile: ProfileName, number: number): Uint8Array {
  const claim = signedClaim(channelId, profile, number);
  ED25519.signClaim(claim, 0, LEDGER_ID, profile);
  return claim;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-audit-'));
  // Enough rows for the packed keys to grow.
  for (let channel = 1000n; channel < 3000n; channel++) register(channel, 'xrpl');
  register(1n, 'xrpl');
  register(2n, 'link');
  register(4n, 'xrpl', ED25519.publicKey);
  register(5n, 'link', ED25519.publicKey);
  const claims = [
    signedClaim(1n, 'xrpl', 1),
    signedClaim(2n, 'link', 2),
    signedClaim(3n, 'xrpl', 3),
    signedClaim(2n, 'xrpl', 4),
    signedClaim(1n, 'xrpl', 5),
    signedClaim(2999n, 'xrpl', 6),
    ed25519Claim(4n, 'xrpl', 7),
    ed25519Claim(5n, 'link', 8),
    signedClaim(4n, 'xrpl', 9),
    ed25519Claim(5n, 'xrpl', 10),
    ed25519Claim(1n, 'xrpl', 11),
  ];
  // The sequence is covered under `link` only.
  claims[0]![12] = 99;
  claims[4]![20] = 6;
  const writer = new JournalWriter({
    directory: folder,
    segmentBytes: 1024 * 1024,
    groupClaimsMax: 300,
    journalId: JOURNAL_ID,
    segment: 1,
    group: 1,
    ...nodeSystem,
  });
  const journalGroup = new JournalGroup(300);
  const commit = () => {
    writer.commit(journalGroup, TIME);
    journalGroup.clear();
  };
  for (const claim of claims) journalGroup.append(claim, 0);
  commit();
  for (let group = 0; group < 4; group++) {
    for (let index = 0; index < 300; index++) journalGroup.append(claims[index % 2]!, 0);
    commit();
  }
  writer.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

it('checks every record against the registered key, under the registered profile', async () => {
  const progress: number[] = [];
  let underWay = 0;
  let most = 0;
  const report = await auditSignatures({
    directory: folder,
    keys,
    workers: 1,
    onProgress: (checked) => progress.push(checked),
    check: async (batch) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay--;
      return checkBatch(batch);
    },
  });
  expect(report).toMatchObject({ checked: 1211, badSignatures: 5, unknownChannels: 1, journal: { end: 'whole' } });
  const failures = report.failures.map(({ group, record, channelId }) => [group, record, channelId]);
  expect(failures).toEqual([
    [1, 2, 3n],
    [1, 3, 2n],
    [1, 4, 1n],
    [1, 8, 4n],
    [1, 9, 5n],
    [1, 10, 1n],
  ]);
  expect(progress.at(-1)).toBe(1211);
  expect(most).toBe(2);
});

it('fails when a worker does', async () => {
  const check = async (): Promise<number[]> => {
    throw new Error('worker lost');
  };
  await expect(auditSignatures({ directory: folder, keys, workers: 1, check })).rejects.toThrow('worker lost');
});

it('knows a channel by the row that lives, whatever older rows were removed under its handle, before or behind it', () => {
  const known = new ChannelKeys();
  const rowOf = (channelId: bigint, state: Channel['state'], byte: number) => {
    const row = new Uint8Array(ROW_BYTES);
    const publicKey = new Uint8Array(33).fill(byte);
    const nothing = { committed: 0n, sequence: 0, timestampBits: 0n, signature: new Uint8Array(64), expiresAt: 0 };
    const channel = { channelId, ledgerChannelId: LEDGER_ID, publicKey, capacity: 1n, profile: 'xrpl', state } as const;
    encodeRow({ ...channel, ...nothing }, row);
    return row;
  };
  known.add(rowOf(1n, 'open', 1));
  known.add(rowOf(2n, 'removed', 2));
  known.add(rowOf(1n, 'removed', 3));
  known.add(rowOf(2n, 'closed', 4));
  known.add(rowOf(3n, 'open', 5));
  known.add(rowOf(4n, 'removed', 6));
  const keyOf = (channelId: bigint) => {
    const target = new Uint8Array(AUDIT_BYTES);
    return known.copy(channelId, target, 0) ? target[0] : undefined;
  };
  // Of a channel removed since the last start the journal may have claims: its key is still known.
  expect([1n, 2n, 3n, 4n, 5n].map(keyOf)).toEqual([1, 4, 5, 6, undefined]);
});

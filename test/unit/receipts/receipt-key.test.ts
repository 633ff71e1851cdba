/** The key of --receipt-key. What a token says is in test/integration/pkcs11.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { generateKey, KEY_TYPES, writeKeyFile } from '../../../src/client/keys/key-file.ts';
import { verifyReceipt } from '../../../src/client/verify-receipt.ts';
import { openReceiptKey } from '../../../src/receipts/receipt-key.ts';
import { receiptRig } from '../../support/receipts.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-receipt-key-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(KEY_TYPES)('a file of a %s key signs receipts that verify', async (type) => {
  const key = generateKey(type);
  writeKeyFile(join(folder, type), key);
  const { receipts, source } = receiptRig(await openReceiptKey(join(folder, type)));
  source.grow([1n, 5n]);
  const receipt = await receipts.receipt(1n);
  expect(receipt.publicKey).toBe(key.publicKey);
  await verifyReceipt(receipt, { key: key.publicKey });
  await expect(verifyReceipt({ ...receipt, time: receipt.time + 1 })).rejects.toMatchObject({
    code: 'RECEIPT_INVALID',
  });
});

test('what is no key is told by its code', async () => {
  await expect(openReceiptKey(join(folder, 'none'))).rejects.toMatchObject({ code: 'KEY_FILE_INVALID' });
  await expect(openReceiptKey('pkcs11:token=a')).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

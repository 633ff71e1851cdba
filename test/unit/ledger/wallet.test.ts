/** Wallets: which files are taken, that no secret is told, and that only what was asked for is signed. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as xrpl from 'xrpl';
import { checkSigned } from '../../../src/ledger/signed-transaction.ts';
import type { LedgerTransaction } from '../../../src/ledger/signing.ts';
import { fileWallet } from '../../../src/ledger/wallet.ts';
import { commandWallet } from '../../../src/ledger/wallet-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-wallet-'));
afterAll(() => rmSync(folder, { recursive: true }));

// The ledger's well-known genesis account, "masterpassphrase".
const SEED = 'snoPBrXtMeMyMHUVTgbuqAfg1SUTb';
const ADDRESS = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const HEX = '1ACAAEDECE405B2A958212629E16F2EB46B153EEE94CDD350FDEFF52795525B7';

let files = 0;
function file(text: string, mode = 0o600): string {
  const path = join(folder, `wallet-${files++}`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function transaction(change: Partial<LedgerTransaction> = {}): LedgerTransaction {
  return {
    TransactionType: 'PaymentChannelClaim',
    Account: ADDRESS,
    Channel: '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3',
    Balance: '1000000',
    Amount: '1000000',
    Signature: '30',
    PublicKey: '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7',
    Flags: 0,
    Fee: '10',
    Sequence: 7,
    LastLedgerSequence: 100,
    ...change,
  };
}

const invalid = (text: string) =>
  expect.objectContaining({ code: 'WALLET_INVALID', message: expect.stringContaining(text) });

test('a seed, a private key and comments around them are taken', async () => {
  for (const text of [SEED, HEX, HEX.toLowerCase(), `# the till's key\n\n${SEED}\r\n`]) {
    const wallet = fileWallet(file(text), xrpl);
    expect(wallet.address).toBe(ADDRESS);
    const { blob, hash } = await wallet.sign(transaction());
    expect(xrpl.verifySignature(blob)).toBe(true);
    expect(xrpl.hashes.hashSignedTx(blob)).toBe(hash);
  }
});

test('Ed25519 seeds and keys are told by their first characters', async () => {
  const { seed, privateKey, address } = xrpl.Wallet.generate('ed25519' as never);
  for (const text of [seed!, privateKey]) {
    const wallet = fileWallet(file(text), xrpl);
    expect(wallet.address).toBe(address);
    const { blob } = await wallet.sign(transaction({ Account: address }));
    expect(xrpl.verifySignature(blob)).toBe(true);
  }
});

test('a file that others may read, or without just one key, is refused, and its text is not told', () => {
  expect(() => fileWallet(file(SEED, 0o640), xrpl)).toThrow(invalid('mode 0600, got 0640'));
  expect(() => fileWallet(join(folder, 'none'), xrpl)).toThrow(invalid('ENOENT'));
  expect(() => fileWallet(file(''), xrpl)).toThrow(invalid('0 lines'));
  expect(() => fileWallet(file(`${SEED}\n${SEED}`), xrpl)).toThrow(invalid('2 lines'));
  const near = [`${SEED.slice(0, -1)}c`, `${HEX}00`, 'F'.repeat(64), `${SEED.slice(0, 20)} `, 'ED00'];
  for (const text of near) {
    const secret = text.trim();
    let message = '';
    try {
      fileWallet(file(text), xrpl);
    } catch (error) {
      message = `${(error as Error).stack} ${JSON.stringify(error)} ${(error as Error).cause}`;
    }
    expect(message).toContain('WALLET_INVALID');
    expect(message.replaceAll(/\/\S+/g, '')).not.toContain(secret.slice(0, 8));
  }
});

test('a transaction of another account is not signed', async () => {
  const { address: other } = xrpl.Wallet.generate();
  await expect(fileWallet(file(SEED), xrpl).sign(transaction({ Account: other }))).rejects.toThrow(
    invalid(`its own account ${ADDRESS}, got one of ${other}`),
  );
});

test('what was signed is compared field by field with what was asked', () => {
  const wallet = xrpl.Wallet.fromSeed(SEED, { algorithm: 'ecdsa-secp256k1' as never });
  const check = (signed: object, change: { blob?: string; hash?: string } = {}) => {
    const { tx_blob: blob, hash } = wallet.sign(signed as never);
    return checkSigned(transaction(), { blob, hash, ...change }, xrpl);
  };
  expect(check(transaction()).hash).toHaveLength(64);
  const { address } = xrpl.Wallet.generate();
  const changes: Partial<LedgerTransaction>[] = [
    { Balance: '999999' },
    { Fee: '11' },
    { Sequence: 8 },
    { LastLedgerSequence: 101 },
    { Flags: 0x20000 },
    { Channel: '0'.repeat(64) },
    { SourceTag: 1 },
  ];
  for (const change of changes) expect(() => check(transaction(change))).toThrow(invalid(Object.keys(change)[0]!));
  const payment = { TransactionType: 'Payment', Account: ADDRESS, Destination: address, Amount: '1', Fee: '10' };
  const { Sequence, LastLedgerSequence } = transaction();
  expect(() => check({ ...payment, Sequence, LastLedgerSequence, Flags: 0 })).toThrow(invalid('PaymentChannelClaim'));
  expect(() => check(transaction(), { hash: '0'.repeat(64) })).toThrow(invalid('hash'));
  expect(() => check(transaction(), { blob: 'XYZ' })).toThrow(invalid('a blob in hex'));
  expect(() => check(transaction(), { blob: 'FFFF' })).toThrow(invalid('decodes'));
  const { tx_blob: blob } = wallet.sign(transaction() as never);
  const fields = xrpl.decode(blob);
  const forged = xrpl.encode({ ...fields, TxnSignature: `${String(fields.TxnSignature).slice(0, -2)}00` } as never);
  expect(() => check(transaction(), { blob: forged })).toThrow(invalid('a valid signature'));
});

test('a command signs; its answer is checked like any', async () => {
  const { tx_blob, hash } = xrpl.Wallet.fromSeed(SEED, { algorithm: 'ecdsa-secp256k1' as never }).sign(
    transaction() as never,
  );
  const seen = join(folder, 'seen');
  const signer = `cat > ${seen}; echo '${JSON.stringify({ tx_blob, hash })}'`;
  const wallet = commandWallet(signer, ADDRESS, xrpl);
  await expect(wallet.sign(transaction())).resolves.toEqual({ blob: tx_blob, hash });
  const { readFileSync } = await import('node:fs');
  expect(JSON.parse(readFileSync(seen, 'utf8'))).toEqual(transaction());
  // The same answer to another question.
  await expect(wallet.sign(transaction({ Balance: '5' }))).rejects.toThrow(invalid('Balance 5, got "1000000"'));
});

test('a command that fails, says too much, or nothing in time is ended, and its words are not told', async () => {
  const sign = (command: string, timeoutMs = 20_000) =>
    commandWallet(command, ADDRESS, xrpl, { timeoutMs }).sign(transaction());
  await expect(sign('echo secret >&2; exit 3')).rejects.toThrow(invalid('exit code 0, got 3'));
  await expect(sign('exec sleep 20', 300)).rejects.toThrow(invalid('within 300 ms'));
  await expect(sign('head -c 100000 /dev/zero')).rejects.toThrow(invalid('on stdout, got more'));
  await expect(sign('echo hello')).rejects.toThrow(invalid('expected JSON'));
  await expect(sign('echo "{}"')).rejects.toThrow(invalid('{"tx_blob", "hash"}'));
  await expect(sign('echo PASS=hunter2; exit 1')).rejects.not.toThrow(/hunter2/);
  const stop = AbortSignal.abort();
  await expect(commandWallet('sleep 20', ADDRESS, xrpl).sign(transaction(), stop)).rejects.toThrow(invalid('a stop'));
});

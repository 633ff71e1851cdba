/**
 * The test ledger as a program (`make ledger`), for who tries the commands without a real ledger. It is a test double: its drops
 * are worth nothing, its keys are known to everybody, and what it knows is gone when it ends.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TestLedger } from './test-ledger.ts';
import { testWallet } from './test-wallet.ts';

const XRP = 1_000_000n;
const CLOSE_SECONDS = 1;

const folder = process.argv[2] ?? join('build', 'try-ledger');
const wallets = { payer: testWallet('payer'), payee: testWallet('payee') };
mkdirSync(folder, { recursive: true });
for (const [name, { seed, address }] of Object.entries(wallets))
  writeFileSync(join(folder, `${name}.wallet`), `# ${address}, of the test ledger alone: never fund it\n${seed}\n`, {
    mode: 0o600,
  });

const accounts = Object.fromEntries(Object.values(wallets).map(({ address }) => [address, 1_000n * XRP]));
const ledger = await TestLedger.start({ accounts, closeSeconds: CLOSE_SECONDS, closeEveryMs: CLOSE_SECONDS * 1_000 });
process.stdout.write(
  [
    'A TEST DOUBLE of the XRP Ledger, on this machine alone. A ledger closes each second; nothing is kept.',
    '',
    `LEDGER=${ledger.url}`,
    `PAYEE=${wallets.payee.address}`,
    `PAYEE_WALLET=${join(folder, 'payee.wallet')}`,
    `PAYER=${wallets.payer.address}`,
    `PAYER_WALLET=${join(folder, 'payer.wallet')}`,
    '',
  ].join('\n'),
);
const stop = () => void ledger.stop();
process.once('SIGINT', stop).once('SIGTERM', stop);

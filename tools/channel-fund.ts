/**
 * `claimwire channel create` and `channel fund`: a payer's transactions on the XRP Ledger. Main thread of its own process;
 * no node is asked.
 */
import { DROPS_MAX, LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES } from '../protocol/layout.ts';
import { parseExpiry, upperHex } from '../src/channel/parse.ts';
import { channelOf, type FundingOptions, prepareCreate, prepareFund, submitFunding } from '../src/ledger/funding.ts';
import { openWallet } from '../src/ledger/redeem-options.ts';
import type { LedgerTransaction, Wallet } from '../src/ledger/signing.ts';
import { parseAddress } from '../src/ledger/xrpl.ts';
import { connectLedger } from '../src/ledger/xrpl-connection.ts';
import { lineLogger } from '../src/log.ts';
import { nodeSystem } from '../src/system/system.ts';
import { asUsage, drops, hex, isoDate, usage } from './args.ts';
import { defineCommand } from './command.ts';
import { WALLET_OPTIONS } from './node-options.ts';
import type { OptionSpecs, Values } from './options.ts';
import { write, writeJson } from './output.ts';
import { publicKeyOfKey } from './payer-key.ts';
import { duration } from './units.ts';

const address = (text: string, flag: string) => asUsage(() => parseAddress(text, flag));
const amount = (text: string, flag: string) => drops(text, flag, 1n, DROPS_MAX);
const PAYER = "The payer's account:";

const COMMON = {
  ledger: {
    value: 'URL',
    description: 'a server, like wss://s1.ripple.com; repeatable, or a list with commas',
    repeatable: true,
    read: (text: string) => text.split(','),
    env: 'CLAIMWIRE_LEDGER',
    group: PAYER,
  },
  wallet: {
    ...WALLET_OPTIONS.wallet,
    description: 'its key: a file of mode 0600 with a seed or a private key',
    group: PAYER,
  },
  'wallet-command': { ...WALLET_OPTIONS['wallet-command'], group: PAYER },
  account: { value: 'rADDRESS', description: 'its address, where no --wallet tells it', read: address, group: PAYER },
  'max-fee': { ...WALLET_OPTIONS['max-fee'], group: PAYER },
  prepare: { description: 'signs and submits nothing: prints the unsigned transaction', group: PAYER },
} as const satisfies OptionSpecs;

const NOTES = `With --json {"ledgerChannelId", "channelId", "hash", "ledgerIndex", "transaction"}. The hash is told on
stderr before the transaction is submitted: after a crash, look it up before you try again.
A key file for claims (claimwire keygen) is not a wallet: its key signs claims, not transactions.

Exit code: 0 validated, 1 refused or not validated, 2 usage.`;

export const create = defineCommand({
  name: 'channel create',
  summary: 'makes a payment channel on the ledger, as its payer',
  description: 'locks drops of the payer for one payee on the XRP Ledger, and prints the id of the new channel.',
  options: {
    destination: { value: 'rPAYEE', description: 'whom it pays', required: "the payee's address", read: address },
    amount: { value: 'DROPS', description: 'what it holds', required: 'an amount in drops', read: amount },
    'settle-delay': {
      value: 'S',
      description: 'time that the payee has after the payer asked to close, like 1d',
      required: 'a duration like 1d',
      read: duration('s', 1, 0xffff_ffff),
    },
    key: {
      value: 'FILE|pkcs11:URI|HEX66',
      description: 'the key that signs claims: a key file, one in a hardware module, or its public key',
      required: 'a key file or 66 hex digits',
    },
    'cancel-after': { value: 'ISO', description: 'the channel ends then, whatever happens', read: isoDate },
    ...COMMON,
  },
  examples: [
    [
      'claimwire channel create --ledger wss://s1.ripple.com --wallet payer.wallet --destination rPAYEE --amount 10000000 --settle-delay 1d --key me.json',
      'ten XRP for rPAYEE',
    ],
  ],
  notes: NOTES,
  act: async (values) => {
    const cancelAfter =
      values['cancel-after'] === undefined ? 0 : parseExpiry(values['cancel-after'], '--cancel-after');
    const settleDelaySeconds = Math.round(values['settle-delay'] / 1_000);
    const { destination, amount } = values;
    const publicKey = await publicKeyOf(values.key);
    const terms = { destination, amount, settleDelaySeconds, publicKey, cancelAfter };
    return onLedger(values, (options) => prepareCreate(terms, options));
  },
});

export const fund = defineCommand({
  name: 'channel fund',
  summary: 'adds to the deposit of a payment channel on the ledger, as its payer',
  options: {
    'ledger-channel': {
      value: 'HEX64',
      description: 'its id on the ledger',
      required: '64 hex digits',
      read: (text: string, flag: string) => hex(text, LEDGER_CHANNEL_ID_BYTES, flag),
    },
    amount: { value: 'DROPS', description: 'what is added', required: 'an amount in drops', read: amount },
    expiration: { value: 'ISO', description: 'a new end, at least SettleDelay from now', read: isoDate },
    ...COMMON,
  },
  examples: [
    [
      'claimwire channel fund --ledger wss://s1.ripple.com --wallet payer.wallet --ledger-channel 5DB0… --amount 5000000',
      'five XRP more',
    ],
  ],
  notes: NOTES,
  act: (values) => {
    const expiration = values.expiration === undefined ? 0 : parseExpiry(values.expiration, '--expiration');
    const ledgerChannelId = new Uint8Array(Buffer.from(values['ledger-channel'], 'hex'));
    return onLedger(values, (options) => prepareFund({ ledgerChannelId, amount: values.amount, expiration }, options));
  },
});

/** The public key of a key file or a token, or as it is given. */
async function publicKeyOf(text: string): Promise<Uint8Array> {
  const isHex = /^[0-9a-f]{66}$/i.test(text);
  return new Uint8Array(Buffer.from(isHex ? text : await publicKeyOfKey(text), 'hex').subarray(0, PUBLIC_KEY_BYTES));
}

type Common = Pick<Values<typeof COMMON>, keyof typeof COMMON> & { json: boolean };

async function onLedger(
  values: Common,
  prepare: (options: FundingOptions) => Promise<LedgerTransaction>,
): Promise<number> {
  const urls = values.ledger.flat();
  if (urls.length === 0) return usage('--ledger: expected a server like wss://s1.ripple.com, got nothing');
  const wallet = await walletOf(values);
  const account = wallet?.address ?? values.account ?? usage('--account: expected it or --wallet, got nothing');
  const connection = await connectLedger({ urls, logger: lineLogger('warn') });
  try {
    const feeMaxDrops = values['max-fee'];
    const { signal } = new AbortController();
    const options: FundingOptions = { connection, account, feeMaxDrops, clock: nodeSystem.clock, signal };
    const transaction = await prepare(options);
    if (values.prepare || wallet === undefined) {
      await write(`${JSON.stringify(transaction, undefined, values.json ? 0 : 2)}\n`);
      return 0;
    }
    return await submit(transaction, wallet, options, values.json);
  } finally {
    await connection.close();
  }
}

/** With --prepare no wallet is needed. */
async function walletOf(values: Common): Promise<Wallet | undefined> {
  const { wallet: file, 'wallet-command': command, account, prepare } = values;
  if (file !== undefined && command !== undefined) return usage('--wallet: expected it or --wallet-command, got both');
  if (file !== undefined) return openWallet({ file }, account);
  if (command !== undefined && !prepare)
    return openWallet(
      { command },
      account ?? usage('--account: expected it, as --wallet-command is there, got nothing'),
    );
  return prepare ? undefined : usage('--wallet: expected it, --wallet-command or --prepare, got nothing');
}

async function submit(
  transaction: LedgerTransaction,
  wallet: Wallet,
  options: FundingOptions,
  json: boolean,
): Promise<number> {
  const signed = await wallet.sign(transaction);
  const id = upperHex(channelOf(transaction));
  process.stderr.write(`submitting ${signed.hash}: ${transaction.TransactionType} of ledger channel ${id}\n`);
  const { final } = await submitFunding(transaction, signed, options);
  const channelId = String(BigInt(`0x${id.slice(0, 16)}`));
  const { hash, ledgerIndex } = final;
  if (json) writeJson({ ledgerChannelId: id, channelId, hash, ledgerIndex, transaction });
  else await write(`${id}\n`);
  return 0;
}

/**
 * The test ledger's chain with a payer, a payee and a steered clock, and a connection to it without sockets: for tests of
 * what is done on the ledger, step by step. Test's thread.
 */
import type { Channel } from '../../src/channel/row.ts';
import { ClaimwireError } from '../../src/errors.ts';
import type { FinalTransaction, LedgerConnection, Submission, ValidatedLedger } from '../../src/ledger/ledger-port.ts';
import type { LedgerTransaction, Wallet } from '../../src/ledger/signing.ts';
import { type Applied, Chain, channelsOf, type Ledger, RIPPLE_EPOCH } from './ledger/chain.ts';
import { accountIndex, channelIndex, transactionHash } from './ledger/entries.ts';
import { channelOf, seen, touched } from './ledger/port-views.ts';
import { type TestWallet, testWallet } from './ledger/test-wallet.ts';
import { SteeredClock } from './steered-clock.ts';

export const PAYER = testWallet('payer');
export const PAYEE = testWallet('payee');
const STARTS_AT = 1_900_000_000;
const FIRST_INDEX = 1_000;
const CLOSE_SECONDS = 4;
const XRP = 1_000_000n;

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

export class LedgerRig {
  readonly clock = new SteeredClock(STARTS_AT * 1_000);
  readonly chain: Chain;
  /** What is submitted gets the usual answer, and is lost. */
  losesSubmissions = false;
  readonly #connections = new Set<ChainConnection>();

  constructor({ networkId = 0 } = {}) {
    const rules = { networkId, baseFee: 10n, reserveBase: XRP, reserveIncrement: XRP / 5n };
    const balances = new Map([PAYER, PAYEE].map(({ address }) => [address, 1_000n * XRP]));
    this.chain = new Chain(rules, FIRST_INDEX, STARTS_AT - RIPPLE_EPOCH, balances);
  }

  /** Unix seconds. */
  get now(): number {
    return this.clock.wall() / 1_000;
  }

  connect(): ChainConnection {
    const connection = new ChainConnection(this);
    this.#connections.add(connection);
    return connection;
  }

  /** A wallet that signs as the payee, or as another, without any check. */
  wallet(of: TestWallet = PAYEE): Wallet {
    const sign = async (transaction: LedgerTransaction) => {
      const blob = of.sign({ ...transaction });
      return { blob, hash: transactionHash(blob) };
    };
    return { address: of.address, sign };
  }

  /** Closes a ledger and lets its time pass, and all that waits for either go on. */
  async step(seconds = CLOSE_SECONDS): Promise<void> {
    this.chain.close(this.chain.last.closeTime + seconds);
    this.clock.advance(seconds * 1_000);
    for (const connection of this.#connections) connection.tell();
    await settled();
  }

  /** Steps until the promise has an end. */
  async until<Result>(promise: Promise<Result>, stepsMax = 200): Promise<Result> {
    let isDone = false;
    const done = () => {
      isDone = true;
    };
    promise.then(done, done);
    await settled();
    for (let steps = 0; !isDone; steps++) {
      if (steps === stepsMax) throw new Error(`expected an end within ${stepsMax} ledgers, got none`);
      await this.step();
    }
    return promise;
  }

  /** Submits for the payer, and closes the ledger. */
  async pay(fields: Record<string, unknown>, of: TestWallet = PAYER): Promise<void> {
    const { Sequence } = this.account(of.address);
    const submitted = this.chain.submit(of.sign({ Sequence, ...fields }));
    if (submitted?.code !== 'tesSUCCESS') throw new Error(`expected tesSUCCESS, got ${submitted?.code}`);
    await this.step();
  }

  /** Makes a channel from the payer to the payee, and the node's row of it with a claim. */
  async channel(
    options: { deposit?: bigint; committed?: bigint; settleDelay?: number; cancelAfter?: number } = {},
  ): Promise<Channel> {
    const { deposit = 100n * XRP, committed = 5n * XRP, settleDelay = 3_600, cancelAfter } = options;
    const id = channelIndex(PAYER.address, PAYEE.address, this.account(PAYER.address).Sequence);
    await this.pay({
      TransactionType: 'PaymentChannelCreate',
      Destination: PAYEE.address,
      Amount: deposit.toString(),
      SettleDelay: settleDelay,
      PublicKey: PAYER.publicKey,
      ...(cancelAfter !== undefined && { CancelAfter: cancelAfter - RIPPLE_EPOCH }),
    });
    return {
      channelId: BigInt(`0x${id.slice(0, 16)}`),
      ledgerChannelId: bytes(id),
      publicKey: bytes(PAYER.publicKey),
      capacity: deposit,
      committed,
      sequence: 1,
      timestampBits: 0n,
      signature: signature(id, committed),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    };
  }

  /** The payer asks to close: Expiration appears. */
  askToClose(row: Channel): Promise<void> {
    return this.pay({ TransactionType: 'PaymentChannelClaim', Channel: idOf(row), Flags: 0x20000 });
  }

  account(address: string) {
    const entry = this.chain.last.state.get(accountIndex(address));
    if (entry?.LedgerEntryType !== 'AccountRoot') throw new Error(`expected an account, got none at ${address}`);
    return entry;
  }

  /** Drops paid out of a channel, or undefined once it is gone. */
  paidOut(row: Channel): bigint | undefined {
    const entry = channelsOf(this.chain.last.state).find(({ index }) => index === idOf(row));
    return entry === undefined ? undefined : BigInt(entry.Balance);
  }

  /** Transactions of an account that were validated: each cost a fee. */
  transactionsOf(address: string): Applied[] {
    return this.chain.ledgers.flatMap(({ transactions }) => transactions).filter(({ tx }) => tx.Account === address);
  }
}

export function idOf({ ledgerChannelId }: Pick<Channel, 'ledgerChannelId'>): string {
  return Buffer.from(ledgerChannelId).toString('hex').toUpperCase();
}

/** The payer's compact signature r‖s over a claim. */
export function signature(ledgerChannelId: string, drops: bigint): Uint8Array {
  const der = bytes(PAYER.signClaim(ledgerChannelId, drops));
  const r = der.subarray(4, 4 + der[3]!);
  const s = der.subarray(6 + der[3]!);
  const scalar = (integer: Uint8Array) => Buffer.from(integer).toString('hex').padStart(64, '0').slice(-64);
  return bytes(scalar(r) + scalar(s));
}

/** Lets everything run that waits for no ledger and no clock. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise(setImmediate);
}

/** A connection to the chain of a rig, which may be down, behind, or without history. */
export class ChainConnection implements LedgerConnection {
  url: string | undefined = 'memory:1';
  /** Nothing is reached; calls that are under way fail. */
  isDown = false;
  /** Ledgers that the server is behind. */
  lagLedgers = 0;
  /** The server knows no ledger before this one. */
  knowsFrom = 0;
  feeDrops = 10n;
  /** Calls by name, in their order. */
  readonly calls: string[] = [];
  readonly #rig: LedgerRig;
  readonly #listeners = new Set<(ledger: ValidatedLedger) => void>();
  #newest: Ledger | undefined;

  constructor(rig: LedgerRig) {
    this.#rig = rig;
    this.tell();
  }

  get validated(): ValidatedLedger | undefined {
    return this.#newest && seen(this.#newest);
  }

  /** Tells of the newest ledger, unless the connection is down. */
  tell(): void {
    if (this.isDown) return;
    const newest = this.#last();
    if (newest.index <= (this.#newest?.index ?? 0)) return;
    this.#newest = newest;
    for (const listener of [...this.#listeners]) listener(seen(newest));
  }

  networkId(): Promise<number> {
    return this.#ask('networkId', () => this.#rig.chain.rules.networkId);
  }

  channel(ledgerChannelId: Uint8Array) {
    return this.#ask('channel', (ledger) => {
      const id = idOf({ ledgerChannelId });
      const entry = channelsOf(ledger.state).find(({ index }) => index === id);
      return { ledger: seen(ledger), channel: entry && channelOf(entry) };
    });
  }

  channelsTo(account: string) {
    return this.#ask('channelsTo', (ledger) => {
      const entries = channelsOf(ledger.state).filter(({ Destination }) => Destination === account);
      return { ledger: seen(ledger), channels: entries.map(channelOf) };
    });
  }

  account(address: string) {
    return this.#ask('account', (ledger) => {
      const entry = ledger.state.get(accountIndex(address));
      if (entry?.LedgerEntryType !== 'AccountRoot') return undefined;
      return { ledgerIndex: ledger.index, sequence: entry.Sequence, balance: BigInt(entry.Balance) };
    });
  }

  fee(): Promise<bigint> {
    return this.#ask('fee', () => this.feeDrops);
  }

  submit(blob: string): Promise<Submission> {
    return this.#ask('submit', () => {
      if (this.#rig.losesSubmissions) return { preliminary: 'tesSUCCESS' };
      return { preliminary: this.#rig.chain.submit(blob)?.code ?? 'invalidTransaction' };
    });
  }

  transaction(hash: string): Promise<FinalTransaction | undefined> {
    return this.#ask('transaction', (ledger) => {
      const found = this.#rig.chain.find(hash);
      if (found === undefined || found.ledgerIndex > ledger.index || found.ledgerIndex < this.knowsFrom)
        return undefined;
      return { hash, ledgerIndex: found.ledgerIndex, result: found.result, channel: touched(found) };
    });
  }

  knowsLedgers(fromLedger: number, toLedger: number): Promise<boolean> {
    return this.#ask('knowsLedgers', ({ index }) => fromLedger >= this.knowsFrom && toLedger <= index);
  }

  onLedger(listener: (ledger: ValidatedLedger) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  onChannelTouched(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}

  #last(): Ledger {
    const { ledgers } = this.#rig.chain;
    return ledgers[Math.max(0, ledgers.length - 1 - this.lagLedgers)]!;
  }

  async #ask<Result>(name: string, answer: (ledger: Ledger) => Result): Promise<Result> {
    this.calls.push(name);
    await new Promise(setImmediate);
    if (this.isDown) throw new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: expected a server, got none');
    return answer(this.#last());
  }
}

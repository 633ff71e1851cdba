/**
 * A TEST DOUBLE of the XRP Ledger: servers in the shape of rippled, at WebSockets on loopback, for tests alone.
 *
 * It keeps to: real signed blobs and their signatures; the rules of PaymentChannelCreate, Fund and Claim; fees, reserves,
 * sequences, LastLedgerSequence, NetworkID; the ledger's time; the difference between a preliminary result and a validated
 * one; the shapes of API version 2. It knows no other transactions than these, Payment of XRP and AccountSet, no tickets,
 * no regular keys, no signer lists, no consensus; hashes of ledgers are made up. Beyond the faults that a test asks for it
 * tells no lies.
 *
 *     const ledger = await TestLedger.start({ accounts: { [payer.address]: 1_000_000_000n, [payee.address]: 50_000_000n } });
 *     const client = new Client(ledger.url);                       // xrpl.js, or connectLedger({ urls: [ledger.url] })
 *     await client.connect();
 *     const tx = await client.autofill({ TransactionType: 'PaymentChannelCreate', ... });
 *     await client.submit(payer.sign(tx).tx_blob);                 // preliminary: it waits for the next ledger
 *     ledger.closeLedger();                                        // now it is validated, and subscribers are told
 *     const [channel] = ledger.channels;                           // as rippled prints it: Amount, Balance, index, ...
 *     ledger.advance(3600);                                        // an hour later one ledger closes: what expired, expired
 *     ledger.server.dropConnections();                             // faults: see TestServer and this class
 *     const other = await ledger.addServer();                      // a second URL that shows the same chain
 *     await ledger.stop();
 *
 * Ledgers close when the test says so; `closeEveryMs` makes them close by themselves, for what polls in real time.
 */

import { type Applied, Chain, channelsOf, type Ledger, RIPPLE_EPOCH } from './chain.ts';
import { type AccountEntry, accountIndex, type ChannelEntry } from './entries.ts';
import { TestServer } from './test-server.ts';

export interface TestLedgerOptions {
  /** Drops by address; an account that is not named here does not exist. */
  accounts: Record<string, bigint>;
  /** Default 0, the main network's. */
  networkId?: number;
  /** Ledger time from one ledger to the next. Default 4. */
  closeSeconds?: number;
  /** Ledgers that close before one is validated. Default 0: closed is validated. */
  validationDelay?: number;
  /** Unix seconds of the first ledger. Default now. */
  startsAt?: number;
  /** Index of the first ledger. Default 1000. */
  firstIndex?: number;
  /** Closes a ledger so often in real time. Default never. */
  closeEveryMs?: number;
  /** Drops. Defaults: 10, 1 XRP, 0.2 XRP. */
  baseFee?: bigint;
  reserveBase?: bigint;
  reserveIncrement?: bigint;
}

const CLOSE_SECONDS = 4;
const FIRST_INDEX = 1000;

export class TestLedger {
  readonly chain: Chain;
  readonly servers: TestServer[] = [];
  private readonly closeSeconds: number;
  private readonly validationDelay: number;
  private timer: NodeJS.Timeout | undefined;

  private constructor(options: TestLedgerOptions) {
    this.closeSeconds = options.closeSeconds ?? CLOSE_SECONDS;
    this.validationDelay = options.validationDelay ?? 0;
    const rules = {
      networkId: options.networkId ?? 0,
      baseFee: options.baseFee ?? 10n,
      reserveBase: options.reserveBase ?? 1_000_000n,
      reserveIncrement: options.reserveIncrement ?? 200_000n,
    };
    const startsAt = options.startsAt ?? Math.floor(Date.now() / 1000);
    const balances = new Map(Object.entries(options.accounts));
    this.chain = new Chain(rules, options.firstIndex ?? FIRST_INDEX, startsAt - RIPPLE_EPOCH, balances);
    if (options.closeEveryMs !== undefined) this.timer = setInterval(() => this.closeLedger(), options.closeEveryMs);
  }

  static async start(options: TestLedgerOptions): Promise<TestLedger> {
    const ledger = new TestLedger(options);
    await ledger.addServer();
    return ledger;
  }

  /** Another URL, with faults of its own, that shows the same chain. */
  async addServer(): Promise<TestServer> {
    const server = await TestServer.start(this.chain, this.validationDelay);
    this.servers.push(server);
    return server;
  }

  /** The first server. */
  get server(): TestServer {
    return this.servers[0]!;
  }

  get url(): string {
    return this.server.url;
  }

  /** Unix seconds at which the newest ledger closed. */
  get now(): number {
    return this.chain.last.closeTime + RIPPLE_EPOCH;
  }

  /** Closes `count` ledgers. */
  closeLedger(count = 1): Ledger {
    for (let closed = 0; closed < count; closed += 1) this.closeAfter(this.closeSeconds);
    return this.chain.last;
  }

  /** Lets time pass: one ledger closes, this many seconds after the last one. */
  advance(seconds: number): Ledger {
    return this.closeAfter(seconds);
  }

  /** Channels in the newest closed ledger. */
  get channels(): ChannelEntry[] {
    return channelsOf(this.chain.last.state);
  }

  /** Drops of an account in the newest closed ledger. */
  balance(address: string): bigint {
    return BigInt(this.account(address).Balance);
  }

  /** An account in the newest closed ledger. */
  account(address: string): AccountEntry {
    const entry = this.chain.last.state.get(accountIndex(address));
    if (entry?.LedgerEntryType !== 'AccountRoot') throw new Error(`expected an account, got nothing at ${address}`);
    return entry;
  }

  /** Every transaction of every closed ledger, oldest first. */
  get transactions(): Applied[] {
    return this.chain.ledgers.flatMap(({ transactions }) => transactions);
  }

  /** Gives a signed blob as `submit` does, without a connection: the preliminary result. */
  submit(blob: string): string {
    return this.chain.submit(blob)?.code ?? 'invalidTransaction';
  }

  /** From now on what is submitted gets the usual answer and is lost. */
  loseSubmissions(on = true): void {
    this.chain.loseSubmissions = on;
  }

  /** From now on what was submitted waits, while ledgers close without it. */
  holdSubmissions(on = true): void {
    this.chain.holdSubmissions = on;
  }

  dropConnections(): void {
    for (const server of this.servers) server.dropConnections();
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  private closeAfter(seconds: number): Ledger {
    const closed = this.chain.close(this.chain.last.closeTime + Math.max(1, seconds));
    for (const server of this.servers) server.publish();
    return closed;
  }
}

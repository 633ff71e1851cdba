/**
 * The XRP Ledger of a world: the test double's rules (test/support/ledger) over virtual time, without sockets. Transactions are
 * JSON in hex, which nobody signs; claims have the world's signatures, and the ledger refuses those that are not valid.
 */
import { derFromCompact } from '../../src/ledger/xrpl.ts';
import { Chain, type Ledger, RIPPLE_EPOCH, type Submitted } from '../support/ledger/chain.ts';
import {
  type AccountEntry,
  accountIndex,
  type Entry,
  sha512Half,
  type Transaction,
} from '../support/ledger/entries.ts';
import { isSigned } from '../support/ledger/pay-channel-rules.ts';
import { type TestWallet, testWallet } from '../support/ledger/test-wallet.ts';
import { LedgerLink } from './ledger-link.ts';
import type { Owner } from './scheduler.ts';
import type { ChannelTruth } from './truth.ts';
import type { World } from './world.ts';

const FIRST_INDEX = 1_000;
const RULES = { networkId: 0, baseFee: 10n, reserveBase: 1_000_000n, reserveIncrement: 0n };
const BALANCE = 10n ** 15n;
const FEE = '10';
const TF_CLOSE = 0x20000;
const SETTLE_SECONDS = 120;
const TOP_UP = 100_000;

/** Every world has the same: made before any world has its chance, of which a keypair would draw. */
const PAYER = testWallet('payer');
export const PAYEE = testWallet('payee');

export function blobOf(transaction: object): string {
  return Buffer.from(JSON.stringify(transaction)).toString('hex').toUpperCase();
}

export class SimulatedLedger {
  readonly chain: Chain;
  /** Called with each ledger that closes. */
  onClosed: (ledger: Ledger) => void = () => {};
  /** Called with what the node submits, before the ledger has it. */
  onSubmitted: (submitted: Submitted & { code: string }) => void = () => {};
  /** Hashes of what reached a server, whether it is lost then or not. */
  readonly reached = new Set<string>();
  readonly #world: World;
  readonly #links = new Set<LedgerLink>();
  #held = 0;

  constructor(world: World, truths: readonly ChannelTruth[]) {
    this.#world = world;
    const balances = new Map([PAYER, PAYEE].map(({ address }) => [address, BALANCE]));
    const codec = {
      decode: (blob: string) => JSON.parse(Buffer.from(blob, 'hex').toString()) as Transaction,
      hash: (blob: string) => sha512Half(blob),
    };
    const { signatures } = world;
    const isClaimSigned = signatures.isReal
      ? isSigned
      : (channel: string, amount: string, signature: string, publicKey: string) =>
          derFromCompact(signatures.overAmount(channel, BigInt(amount), publicKey)) === signature;
    const startTime = Math.floor(world.wall / 1_000) - RIPPLE_EPOCH;
    this.chain = new Chain({ ...RULES, isClaimSigned }, FIRST_INDEX, startTime, balances, codec);
    const state = this.chain.last.state as Map<string, Entry>;
    for (const truth of truths) {
      const index = hex(truth.ledgerChannelId);
      const channel = { LedgerEntryType: 'PayChannel', Account: PAYER.address, Destination: PAYEE.address } as const;
      const amount = String(world.chance.of([5_000, 300_000, 10_000_000]));
      const place = { OwnerNode: '0', DestinationNode: '0', Flags: 0, PreviousTxnID: '', PreviousTxnLgrSeq: 0 };
      const terms = { Amount: amount, Balance: '0', PublicKey: hex(truth.signer.publicKey) };
      state.set(index, { ...channel, ...place, ...terms, SettleDelay: SETTLE_SECONDS, index });
    }
  }

  /** Closes ledgers for as long as the world is. */
  begin(): void {
    const { scheduler, chance, plan } = this.#world;
    scheduler.after(plan.ledgerMs * (0.5 + chance.fraction()), () => this.#close(), scheduler.world);
    this.#world.repeat(plan.lifeMs / 3, () => {
      if (this.#world.strikes('ledgerPayer')) this.#payerActs();
      if (this.#world.strikes('ledgerOutrun')) this.#outrun();
    });
  }

  /** A node's connection, for as long as its process lives. */
  connect(owner: Owner): LedgerLink {
    const link = new LedgerLink(this.#world, this, owner);
    this.#links.add(link);
    return link;
  }

  disconnect(link: LedgerLink): void {
    this.#links.delete(link);
  }

  /** What a server does that is given a transaction. */
  submit(blob: string): string {
    const world = this.#world;
    const isLost = world.strikes('ledgerLoses');
    if (isLost) world.happened('ledger.submission-lost');
    this.chain.loseSubmissions = isLost;
    const submitted = this.chain.submit(blob)!;
    this.chain.loseSubmissions = false;
    this.reached.add(submitted.hash);
    world.trace.note(() => `ledger: is given ${submitted.hash.slice(0, 8)}, ${submitted.code}`);
    this.onSubmitted(submitted);
    return submitted.code;
  }

  channel({ ledgerChannelId }: Pick<ChannelTruth, 'ledgerChannelId'>) {
    const entry = this.chain.last.state.get(hex(ledgerChannelId));
    return entry?.LedgerEntryType === 'PayChannel' ? entry : undefined;
  }

  #close(): void {
    const world = this.#world;
    const { chain } = this;
    if (this.#held === 0 && world.strikes('ledgerHolds')) {
      this.#held = world.chance.between(1, 24);
      world.happened('ledger.held', () => `${this.#held} ledgers`);
    }
    chain.holdSubmissions = this.#held > 0 && !world.isCalm;
    if (this.#held > 0) this.#held--;
    const ledger = chain.close(chain.last.closeTime + 1);
    for (const { hash, result } of ledger.transactions)
      world.trace.note(() => `ledger ${ledger.index}: ${hash.slice(0, 8)} ${result}`);
    this.onClosed(ledger);
    for (const link of this.#links) link.tell();
    this.#again();
  }

  #again(): void {
    const { scheduler, chance, plan } = this.#world;
    scheduler.after(plan.ledgerMs * (0.5 + chance.fraction()), () => this.#close(), scheduler.world);
  }

  /** The payer tops a channel up, or asks to close one. */
  #payerActs(): void {
    const world = this.#world;
    const open = [...this.chain.last.state.values()].filter((entry) => entry.LedgerEntryType === 'PayChannel');
    if (open.length === 0) return;
    const { index } = world.chance.of(open);
    if (world.chance.is(0.7)) {
      world.happened('ledger.topped-up');
      const Amount = String(world.chance.between(1, TOP_UP));
      this.#send(PAYER, { TransactionType: 'PaymentChannelFund', Channel: index, Amount });
    } else {
      world.happened('ledger.close-asked');
      this.#send(PAYER, { TransactionType: 'PaymentChannelClaim', Channel: index, Flags: TF_CLOSE });
    }
  }

  /** Somebody else who has the payee's key uses its next sequence number. */
  #outrun(): void {
    this.#world.happened('ledger.outrun');
    this.#send(PAYEE, { TransactionType: 'AccountSet' });
  }

  #send({ address, publicKey }: TestWallet, fields: object): void {
    const { chain } = this;
    const { Sequence } = chain.open.state.get(accountIndex(address)) as AccountEntry;
    chain.submit(blobOf({ Account: address, Sequence, Fee: FEE, ...fields, SigningPubKey: publicKey }));
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

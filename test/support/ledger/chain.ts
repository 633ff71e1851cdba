/**
 * The test ledger's chain of ledgers, and the transactions that wait to get into the next one. It knows nothing of
 * servers: they show parts of it.
 */
import {
  accountIndex,
  type ChannelEntry,
  type Entry,
  type State,
  sha512Half,
  type Transaction,
  transactionHash,
  u32,
} from './entries.ts';
import { applyTransaction, decodeSigned } from './rules.ts';
import type { AffectedNode, LedgerRules, Place } from './sandbox.ts';

/** Unix seconds at 2000-01-01T00:00:00Z, where the ledger's time begins. */
export const RIPPLE_EPOCH = 946_684_800;
const NO_HASH = '0'.repeat(64);
const ACCOUNT_SEQUENCE = 1;

/** A transaction as it was given. */
export interface Submitted {
  hash: string;
  blob: string;
  tx: Transaction;
}

/** A transaction as a ledger has it. */
export interface Applied extends Submitted {
  ledgerIndex: number;
  result: string;
  meta: { AffectedNodes: AffectedNode[]; TransactionIndex: number; TransactionResult: string };
}

export interface Ledger {
  index: number;
  /** Not rippled's hash, which covers a tree of all entries; it differs for different ledgers, and that is all. */
  hash: string;
  parentHash: string;
  /** Seconds since 2000-01-01. */
  closeTime: number;
  parentCloseTime: number;
  state: State;
  transactions: Applied[];
}

/** How transactions are written. By default as rippled does it, each signed by the key that it names. */
export interface TransactionCodec {
  /** Undefined for what is no signed transaction. */
  decode(blob: string): Transaction | undefined;
  hash(blob: string): string;
}

const SIGNED: TransactionCodec = { decode: decodeSigned, hash: transactionHash };

export class Chain {
  readonly rules: LedgerRules;
  readonly #codec: TransactionCodec;
  readonly ledgers: Ledger[];
  /** What the next ledger would be, had it closed now: never final. */
  open: Ledger;
  /** The same with what was lost, which no ledger will ever have. */
  fork: Ledger;
  /** Transactions are answered as ever, and thrown away. */
  loseSubmissions = false;
  /** Transactions wait, while ledgers close without them. */
  holdSubmissions = false;
  /** What a transaction costs, as a multiple of the base fee, while servers are busy. */
  loadFactor = 1;
  private pending: Submitted[] = [];
  private lost: Submitted[] = [];

  constructor(
    rules: LedgerRules,
    firstIndex: number,
    startTime: number,
    balances: ReadonlyMap<string, bigint>,
    codec = SIGNED,
  ) {
    this.rules = rules;
    this.#codec = codec;
    const state = new Map<string, Entry>();
    for (const [address, balance] of balances) {
      const index = accountIndex(address);
      state.set(index, {
        LedgerEntryType: 'AccountRoot',
        Account: address,
        Balance: String(balance),
        Flags: 0,
        OwnerCount: 0,
        Sequence: ACCOUNT_SEQUENCE,
        PreviousTxnID: NO_HASH,
        PreviousTxnLgrSeq: firstIndex,
        index,
      });
    }
    const hash = sha512Half(u32(firstIndex), u32(startTime));
    const first = { index: firstIndex, hash, parentHash: NO_HASH, closeTime: startTime, parentCloseTime: startTime };
    this.ledgers = [{ ...first, state, transactions: [] }];
    this.open = this.build([], startTime).ledger;
    this.fork = this.open;
  }

  get last(): Ledger {
    return this.ledgers.at(-1)!;
  }

  ledger(index: number): Ledger | undefined {
    return this.ledgers[index - this.ledgers[0]!.index];
  }

  find(hash: string): Applied | undefined {
    for (const ledger of this.ledgers) {
      const found = ledger.transactions.find((applied) => applied.hash === hash);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Gives the preliminary result, or undefined for a blob that is no signed transaction. */
  submit(blob: string): (Submitted & { code: string }) | undefined {
    const tx = this.#codec.decode(blob);
    if (tx === undefined) return undefined;
    const submitted = { hash: this.#codec.hash(blob), blob, tx };
    const rules = { ...this.rules, baseFee: this.rules.baseFee * BigInt(this.loadFactor) };
    const { code } = applyTransaction(this.open.state, tx, submitted.hash, { ...this.place(), rules });
    // A sequence ahead of its time waits for those before it.
    if (/^(tes|tec)|^terPRE_SEQ$/.test(code)) {
      (this.loseSubmissions ? this.lost : this.pending).push(submitted);
      this.reopen();
    }
    return { ...submitted, code };
  }

  /** Closes the next ledger at `closeTime` with what is in wait. */
  close(closeTime: number): Ledger {
    const waiting = this.holdSubmissions ? [] : this.pending;
    const { ledger, left } = this.build(waiting, closeTime);
    this.ledgers.push(ledger);
    if (!this.holdSubmissions) this.pending = left;
    this.reopen();
    return ledger;
  }

  private place(): Place {
    return { rules: this.rules, ledgerIndex: this.last.index + 1, parentCloseTime: this.last.closeTime };
  }

  private reopen(): void {
    this.open = this.build(this.pending, this.last.closeTime).ledger;
    this.fork = this.build([...this.pending, ...this.lost], this.last.closeTime).ledger;
  }

  /** Applies what can be applied, again and again while that lets others follow; `left` waits for a later ledger. */
  private build(waiting: readonly Submitted[], closeTime: number): { ledger: Ledger; left: Submitted[] } {
    const place = this.place();
    const { hash: parentHash, closeTime: parentCloseTime } = this.last;
    const transactions: Applied[] = [];
    let { state } = this.last;
    let left = [...waiting];
    for (let before = -1; before !== transactions.length; ) {
      before = transactions.length;
      left = left.filter((submitted) => {
        const { code, applied } = applyTransaction(state, submitted.tx, submitted.hash, place);
        if (applied === undefined) return code.startsWith('ter');
        state = applied.state;
        const meta = { AffectedNodes: applied.nodes, TransactionIndex: transactions.length, TransactionResult: code };
        transactions.push({ ...submitted, ledgerIndex: place.ledgerIndex, result: code, meta });
        return false;
      });
    }
    const hashes = transactions.map(({ hash }) => hash);
    const hash = sha512Half(u32(place.ledgerIndex), u32(closeTime), parentHash, ...hashes);
    const ledger = { index: place.ledgerIndex, hash, parentHash, closeTime, parentCloseTime, state, transactions };
    return { ledger, left };
  }
}

export function channelsOf(state: State): ChannelEntry[] {
  return [...state.values()].filter((entry) => entry.LedgerEntryType === 'PayChannel');
}

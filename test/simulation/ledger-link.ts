/**
 * A node's connection to the ledger of its world (src/ledger/ledger-port.ts): to a server that may be behind, know little of the
 * past, or not answer. What reaches the server happens, though its asker has died; and its answer may be lost.
 */
import { ClaimwireError } from '../../src/errors.ts';
import type {
  FinalTransaction,
  LedgerAccount,
  LedgerChannel,
  LedgerConnection,
  Submission,
  ValidatedLedger,
} from '../../src/ledger/ledger-port.ts';
import { channelsOf, type Ledger } from '../support/ledger/chain.ts';
import { accountIndex, type ChannelEntry } from '../support/ledger/entries.ts';
import { channelOf, seen, touched } from '../support/ledger/port-views.ts';
import { hex, type SimulatedLedger } from './ledger.ts';
import type { Owner } from './scheduler.ts';
import type { World } from './world.ts';

const WAY_MS = 1;
const LAG_MAX = 6;

export class LedgerLink implements LedgerConnection {
  readonly url = 'wss://simulated';
  readonly #world: World;
  readonly #ledger: SimulatedLedger;
  readonly #owner: Owner;
  /** Ledgers that the server is behind, and the first that it knows. */
  readonly #lag: number = 0;
  readonly knowsFrom: number = 0;
  readonly #listeners = new Set<(ledger: ValidatedLedger) => void>();
  #validated: ValidatedLedger;

  constructor(world: World, ledger: SimulatedLedger, owner: Owner) {
    this.#world = world;
    this.#ledger = ledger;
    this.#owner = owner;
    if (world.strikes('ledgerBehind')) {
      this.#lag = world.chance.between(1, LAG_MAX);
      world.happened('ledger.server-behind', () => `${this.#lag} ledgers`);
    }
    if (world.strikes('ledgerForgets')) {
      this.knowsFrom = this.#newest().index;
      world.happened('ledger.server-forgets', () => `what was before ${this.knowsFrom}`);
    }
    this.#validated = seen(this.#newest());
  }

  get validated(): ValidatedLedger {
    return this.#validated;
  }

  /** A ledger has closed. */
  tell(): void {
    const { scheduler, chance } = this.#world;
    if (this.#listeners.size === 0) this.#validated = seen(this.#newest());
    else scheduler.after(chance.fraction() * WAY_MS, () => this.#hear(), this.#owner);
  }

  #hear(): void {
    const newest = seen(this.#newest());
    if (newest.index <= this.#validated.index) return;
    this.#validated = newest;
    for (const listener of [...this.#listeners]) listener(newest);
  }

  networkId(): Promise<number> {
    return this.#ask(() => this.#ledger.chain.rules.networkId);
  }
  channel(ledgerChannelId: Uint8Array): Promise<{ ledger: ValidatedLedger; channel: LedgerChannel | undefined }> {
    return this.#ask((ledger) => {
      const entry = ledger.state.get(hex(ledgerChannelId)) as ChannelEntry | undefined;
      return { ledger: seen(ledger), channel: entry && channelOf(entry) };
    });
  }
  channelsTo(account: string) {
    return this.#ask((ledger) => {
      const channels = channelsOf(ledger.state).filter(({ Destination }) => Destination === account);
      return { ledger: seen(ledger), channels: channels.map(channelOf) };
    });
  }
  account(address: string): Promise<LedgerAccount | undefined> {
    return this.#ask((ledger) => {
      const entry = ledger.state.get(accountIndex(address));
      if (entry?.LedgerEntryType !== 'AccountRoot') return undefined;
      return { ledgerIndex: ledger.index, sequence: entry.Sequence, balance: BigInt(entry.Balance) };
    });
  }
  fee(): Promise<bigint> {
    return this.#ask(() => this.#ledger.chain.rules.baseFee);
  }
  submit(blob: string): Promise<Submission> {
    return this.#ask(() => ({ preliminary: this.#ledger.submit(blob) }));
  }
  transaction(hash: string): Promise<FinalTransaction | undefined> {
    return this.#ask(({ index }) => {
      const found = this.#ledger.chain.find(hash);
      if (found === undefined || found.ledgerIndex > index || found.ledgerIndex < this.knowsFrom) return undefined;
      return { hash, ledgerIndex: found.ledgerIndex, result: found.result, channel: touched(found) };
    });
  }
  knowsLedgers(fromLedger: number, toLedger: number): Promise<boolean> {
    return this.#ask(({ index }) => fromLedger >= this.knowsFrom && toLedger <= index);
  }
  onLedger(listener: (ledger: ValidatedLedger) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  onChannelTouched(): () => void {
    return () => {};
  }
  async close(): Promise<void> {
    this.#ledger.disconnect(this);
  }

  /** The ledger that the server shows: it has not heard of those after it. */
  #newest(): Ledger {
    const { ledgers } = this.#ledger.chain;
    return ledgers[Math.max(0, ledgers.length - 1 - (this.#world.isCalm ? 0 : this.#lag))]!;
  }

  #ask<Answer>(answer: (ledger: Ledger) => Answer): Promise<Answer> {
    const world = this.#world;
    const { scheduler, chance } = world;
    return new Promise((resolve, reject) => {
      const way = () => chance.fraction() * WAY_MS;
      const fail = () =>
        scheduler.after(
          way(),
          () => reject(new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: expected an answer, got none')),
          this.#owner,
        );
      const arrive = () => {
        const isUnreachable = world.strikes('ledgerUnreachable');
        if (isUnreachable) world.happened('ledger.unreachable');
        if (isUnreachable && chance.is(0.5)) return void fail();
        const result = answer(this.#newest());
        if (isUnreachable) fail();
        else scheduler.after(way(), () => resolve(result), this.#owner);
      };
      scheduler.after(way(), arrive, scheduler.world);
    });
  }
}

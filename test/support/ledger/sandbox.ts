/**
 * What one transaction changes, on top of a ledger that stays as it is; and the metadata that tells of it.
 */
import { type AccountEntry, accountIndex, type ChannelEntry, type Entry, type State } from './entries.ts';

export interface LedgerRules {
  networkId: number;
  /** Drops. */
  baseFee: bigint;
  reserveBase: bigint;
  reserveIncrement: bigint;
  /** Whether a claim is signed; by default as the ledger sees it. */
  isClaimSigned?: ((channel: string, amount: string, signature: string, publicKey: string) => boolean) | undefined;
}

/** Where a transaction is applied. */
export interface Place {
  rules: LedgerRules;
  ledgerIndex: number;
  /** Seconds since 2000-01-01; expiry is measured by it. */
  parentCloseTime: number;
}

/** One of CreatedNode, ModifiedNode and DeletedNode, with its fields. */
export type AffectedNode = Record<string, Record<string, unknown>>;

export class Sandbox {
  /** Entries as they are after the transaction. */
  private readonly written = new Map<string, Entry>();
  private readonly removed = new Set<string>();
  private readonly state: State;
  private readonly place: Place;

  constructor(state: State, place: Place) {
    this.state = state;
    this.place = place;
  }

  get parentCloseTime(): number {
    return this.place.parentCloseTime;
  }

  reserve(owned: number): bigint {
    return this.place.rules.reserveBase + BigInt(owned) * this.place.rules.reserveIncrement;
  }

  account(address: string): AccountEntry | undefined {
    const entry = this.entry(accountIndex(address));
    return entry?.LedgerEntryType === 'AccountRoot' ? entry : undefined;
  }

  channel(index: string): ChannelEntry | undefined {
    const entry = this.entry(index);
    return entry?.LedgerEntryType === 'PayChannel' ? entry : undefined;
  }

  private entry(index: string): Entry | undefined {
    return this.removed.has(index) ? undefined : (this.written.get(index) ?? this.state.get(index));
  }

  put(entry: Entry): void {
    this.written.set(entry.index, entry);
  }

  remove(index: string): void {
    this.removed.add(index);
  }

  /** The ledger with the changes of transaction `hash`, and their metadata. */
  finish(hash: string): { state: State; nodes: AffectedNode[] } {
    const state = new Map(this.state);
    const nodes: AffectedNode[] = [];
    for (const [index, written] of this.written) {
      const before = this.state.get(index);
      if (before !== undefined && !this.removed.has(index) && sameFields(before, written)) continue;
      const after = { ...written, PreviousTxnID: hash, PreviousTxnLgrSeq: this.place.ledgerIndex };
      if (this.removed.has(index)) state.delete(index);
      else state.set(index, after);
      nodes.push(affectedNode(before, after, this.removed.has(index)));
    }
    return { state, nodes };
  }
}

function sameFields(left: Entry, right: Entry): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Fields as metadata shows them: what threads transactions together stands beside them. */
function shown(entry: Entry): Record<string, unknown> {
  const { LedgerEntryType: _, PreviousTxnID: _id, PreviousTxnLgrSeq: _ledger, index: _index, ...fields } = entry;
  return fields;
}

function affectedNode(before: Entry | undefined, after: Entry, removed: boolean): AffectedNode {
  const node = { LedgerEntryType: after.LedgerEntryType, LedgerIndex: after.index };
  const fields = shown(after);
  if (before === undefined) {
    // rippled leaves out what is zero: a new channel's Balance, for one.
    const set = Object.entries(fields).filter(([, value]) => value !== 0 && value !== '0');
    return { CreatedNode: { ...node, NewFields: Object.fromEntries(set) } };
  }
  const old = Object.entries(shown(before)).filter(([name, value]) => fields[name] !== value);
  const previous = old.length === 0 ? {} : { PreviousFields: Object.fromEntries(old) };
  if (removed) return { DeletedNode: { ...node, FinalFields: fields, ...previous } };
  const { PreviousTxnID, PreviousTxnLgrSeq } = before;
  const thread = { PreviousTxnID, PreviousTxnLgrSeq };
  return { ModifiedNode: { ...node, FinalFields: fields, ...previous, ...thread } };
}

/**
 * The rules of the channel store: which channels may be opened, changed and removed. Main thread; pure functions.
 */
import { upperHex } from '../channel/parse.ts';
import { type Channel, decodeRow, hasDefaultHandle, ROW, ROW_BYTES, raised } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';

/** Ledger ids opened earlier in the same call; kept only if one of its rows has a handle that an operator chose. */
export class FreshLedgerIds {
  readonly #rows: Uint8Array;
  readonly #offsets: Map<string, number> | undefined;

  constructor(rows: Uint8Array, view: DataView) {
    this.#rows = rows;
    for (let offset = 0; offset < rows.length && this.#offsets === undefined; offset += ROW_BYTES)
      if (!hasDefaultHandle(view, offset)) this.#offsets = new Map();
  }
  offsetOf(offset: number): number | undefined {
    return this.#offsets?.get(ledgerIdHex(this.#rows, offset));
  }
  add(offset: number): void {
    this.#offsets?.set(ledgerIdHex(this.#rows, offset), offset);
  }
}

/** The ledger id of the row at `offset`, as the key of a map. */
export function ledgerIdHex(bytes: Uint8Array, offset: number): string {
  const start = offset + ROW.ledgerChannelId;
  return upperHex(bytes.subarray(start, start + 32));
}

export function rowAt(bytes: Uint8Array, offset: number): Channel {
  return decodeRow(bytes.subarray(offset, offset + ROW_BYTES));
}

export function unknown(channelId: bigint): ClaimwireError {
  return new ClaimwireError('CHANNEL_UNKNOWN', `channel ${channelId}: expected an open channel, got none`);
}

/** Why a channel may not be removed; undefined where it may. */
export function unredeemed({ channelId, committed, throwAway }: Channel, force: boolean): ClaimwireError | undefined {
  if (force || throwAway === true || committed === 0n) return undefined;
  return new ClaimwireError(
    'CHANNEL_UNREDEEMED',
    `channel ${channelId}: expected nothing committed, got ${committed} drops; redeem them with claimwire settle, then remove it with --force`,
  );
}

/** Why the row at `offset` can't be opened beside `known`; undefined where it can, or where it is the same channel. */
export function refusalOf(known: Channel | undefined, rows: Uint8Array, offset: number): ClaimwireError | undefined {
  if (known === undefined) return undefined;
  const channel = rowAt(rows, offset);
  return known.state === 'removed' ? revivalFault(known, channel) : difference(known, channel);
}

/**
 * Why `channel` can't replace `known`, which was removed since the start; undefined where it can. Claims in flight and in
 * the journal name the row by its handle, so they must be as valid for the new channel.
 */
function revivalFault(known: Channel, channel: Channel): ClaimwireError | undefined {
  const isItself =
    isSame(known.ledgerChannelId, channel.ledgerChannelId) &&
    isSame(known.publicKey, channel.publicKey) &&
    known.profile === channel.profile;
  if (!isItself)
    return new ClaimwireError(
      'CHANNEL_EXISTS',
      `channel ${channel.channelId}: expected the ledger channel, key and profile of the channel removed under this handle, got others; choose another handle, or restart the node first (where nodes share a store, another handle alone helps)`,
    );
  if (channel.capacity >= known.committed) return undefined;
  return new ClaimwireError(
    'CAPACITY_BELOW_COMMITTED',
    `channel ${channel.channelId}: expected a capacity of at least the ${known.committed} drops committed before it was removed, got ${channel.capacity}; raise it, or restart the node first`,
  );
}

/**
 * A removed channel that is opened again: it has the terms of the new opening, and its old amount, unless the ledger has paid
 * more since.
 */
export function revival(known: Channel, { capacity, expiresAt, committed, throwAway = false }: Channel): Channel {
  const revived: Channel = { ...known, capacity, expiresAt, throwAway, state: 'open' };
  if (committed <= known.committed) return revived;
  return raised(revived, committed);
}

/** Why `channel` can't be opened beside `known`, which has its handle or its ledger id; undefined when it is the same. */
function difference(known: Channel, channel: Channel): ClaimwireError | undefined {
  const refusal = (message: string) => new ClaimwireError('CHANNEL_EXISTS', `channel ${channel.channelId}: ${message}`);
  if (!isSame(known.ledgerChannelId, channel.ledgerChannelId))
    return refusal(
      `expected a free handle, got one that ledger channel ${upperHex(known.ledgerChannelId)} has; choose another with --channel`,
    );
  if (known.channelId !== channel.channelId)
    return refusal(`expected a new ledger channel, got one that is open as channel ${known.channelId}`);
  const isUnchanged =
    known.state === 'open' &&
    isSame(known.publicKey, channel.publicKey) &&
    known.profile === channel.profile &&
    known.capacity === channel.capacity &&
    known.expiresAt === channel.expiresAt &&
    (known.throwAway ?? false) === (channel.throwAway ?? false);
  if (isUnchanged) return undefined;
  return refusal(`expected a new channel, got one that is ${known.state} with other parameters; use channel update`);
}

export function expectCovers(capacity: bigint, channel: Channel): void {
  if (capacity < channel.committed)
    throw new ClaimwireError(
      'CAPACITY_BELOW_COMMITTED',
      `channel ${channel.channelId}: expected a capacity of at least the ${channel.committed} drops committed, got ${capacity}`,
    );
}

export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

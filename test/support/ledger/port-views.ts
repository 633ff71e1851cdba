/** The test ledger's entries as the port to a ledger shows them (src/ledger/ledger-port.ts). */
import type { FinalTransaction, LedgerChannel, ValidatedLedger } from '../../../src/ledger/ledger-port.ts';
import { type Applied, type Ledger, RIPPLE_EPOCH } from './chain.ts';
import type { ChannelEntry } from './entries.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));

export function seen({ index, closeTime }: Ledger): ValidatedLedger {
  return { index, closedAt: closeTime + RIPPLE_EPOCH };
}

export function channelOf(entry: ChannelEntry): LedgerChannel {
  const unix = (time: number | undefined) => (time === undefined ? 0 : time + RIPPLE_EPOCH);
  return {
    ledgerChannelId: bytes(entry.index),
    account: entry.Account,
    destination: entry.Destination,
    publicKey: bytes(entry.PublicKey),
    amount: BigInt(entry.Amount),
    balance: BigInt(entry.Balance),
    settleDelay: entry.SettleDelay,
    expiration: unix(entry.Expiration),
    cancelAfter: unix(entry.CancelAfter),
  };
}

export function touched({ meta }: Applied): FinalTransaction['channel'] {
  for (const node of meta.AffectedNodes as unknown as Record<string, Record<string, unknown>>[]) {
    const [kind, change] = Object.entries(node)[0]!;
    const { LedgerEntryType, LedgerIndex, FinalFields, NewFields } = change as Record<string, Record<string, string>>;
    if ((LedgerEntryType as unknown) !== 'PayChannel') continue;
    const fields = FinalFields ?? NewFields!;
    return {
      ledgerChannelId: bytes(LedgerIndex as unknown as string),
      amount: BigInt(fields.Amount!),
      balance: BigInt(fields.Balance ?? 0),
      deleted: kind === 'DeletedNode',
    };
  }
  return undefined;
}

/** Why a channel of the ledger is not opened here. Pure functions, any thread. */
import { defaultChannelId, upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import type { LedgerChannel } from './ledger-port.ts';

/** Throws where a channel of this handle is open, but cannot be this one. */
export function expectSame(known: Channel, { ledgerChannelId, publicKey }: LedgerChannel): void {
  if (upperHex(known.ledgerChannelId) !== upperHex(ledgerChannelId))
    throw refusal(
      ledgerChannelId,
      `expected a free handle, got ${known.channelId}, which channel ${upperHex(known.ledgerChannelId)} has; open it by hand with --channel`,
    );
  if (upperHex(known.publicKey) !== upperHex(publicKey))
    throw refusal(
      ledgerChannelId,
      `expected the key ${upperHex(known.publicKey)}, with which it is open, got ${upperHex(publicKey)}: its claims are worth nothing; remove it and open it from the ledger`,
    );
  if (known.profile !== 'xrpl')
    throw refusal(
      ledgerChannelId,
      `expected it open with profile xrpl, got ${known.profile}, which the ledger does not pay`,
    );
  if (known.state !== 'open')
    throw refusal(ledgerChannelId, `expected an open channel, got one that is ${known.state} here`);
}

export function refusal(ledgerChannelId: Uint8Array, reason: string): ClaimwireError {
  const id = upperHex(ledgerChannelId);
  return new ClaimwireError('LEDGER_REFUSED', `ledger channel ${id}: ${reason}`, {
    ledgerChannelId: id,
    channelId: defaultChannelId(ledgerChannelId).toString(),
  });
}

/** Refusals of payments that several ways of paying share. Pure. */
import type { Channel } from '../channel/row.ts';
import { refused, type Unpaid } from './verdict.ts';
import type { Voucher } from './voucher.ts';

export function unpaid(channel: Channel, price: bigint): Unpaid {
  return refused('payment-required', `this costs ${price} drops, and less is left of what was paid`, channel);
}

export function short(voucher: Voucher, spent: bigint, price: bigint, channel: Channel): Unpaid {
  const detail = `expected a voucher of ${spent + price} drops, got ${voucher.amount}`;
  return refused('session/delta-too-small', detail, channel);
}

export function wrongSignature(): Unpaid {
  return refused('session/invalid-signature', 'the voucher is not signed by the key of its channel');
}

/** Why the node did not take a voucher's claim, by the status that it answered. */
export function statusRefusal(status: string, channel: Channel, notFound: string): Unpaid {
  switch (status) {
    case 'BAD_SIGNATURE':
      return wrongSignature();
    case 'OVER_CAPACITY':
      return refused('session/amount-exceeds-deposit', `the channel holds ${channel.capacity} drops`);
    case 'CHANNEL_CLOSED':
      return refused('session/channel-finalized', 'the channel is closed or has expired');
    case 'UNKNOWN_CHANNEL':
      return refused('session/channel-not-found', notFound);
    case 'OVERLOADED':
      return { kind: 'busy' };
    default:
      return refused('verification-failed', `the node refused the claim: ${status}`);
  }
}

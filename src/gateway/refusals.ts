/** Refusals of payments that several ways of paying share. Pure. */
import type { Channel } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import { type GatewayNode, refused, type Unpaid } from './verdict.ts';
import type { Voucher } from './voucher.ts';

/** Another node of the cluster holds the channel, or is about to: nothing was charged here. */
export const MOVED: Unpaid = { kind: 'busy', detail: 'another node holds this channel now; try again shortly' };

/** Whether the node serves a channel's shard no more. Its own row of the channel says nothing then. */
export function isElsewhere(node: Pick<GatewayNode['node'], 'expectHere'>, channelId: bigint): boolean {
  try {
    node.expectHere?.(channelId);
    return false;
  } catch (error) {
    if (error instanceof ClaimwireError && error.code === 'MOVED') return true;
    throw error;
  }
}

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
    case 'MOVED':
      return MOVED;
    case 'OVERLOADED':
      return { kind: 'busy' };
    default:
      return refused('verification-failed', `the node refused the claim: ${status}`);
  }
}

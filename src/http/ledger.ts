/**
 * What the admin interface says of the XRP Ledger: GET /ledger, and a channel's part of its row. Main thread.
 */
import { type ChannelJson, channelJson, isoTime } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import { exposureOf } from '../control/exposure.ts';
import type { LedgerControl } from '../control/ledger-control.ts';
import { HttpRefusal, sendJson } from './message.ts';
import type { Route } from './route.ts';

/** A channel as a validated ledger had it. Amounts in drops, times in ISO 8601 by the ledger's clock, or null for never. */
export interface ChannelLedgerJson {
  deposited: string;
  /** Paid out. */
  redeemed: string;
  /** Committed and not paid out: what would be lost if the channel ended now. 0 once it is gone. */
  exposure: string;
  settleDelaySeconds: number;
  expiration: string | null;
  cancelAfter: string | null;
  seenAt: string | null;
  /** Since then, by the node's clock. */
  ageSeconds: number;
  /** False once the channel is gone from the ledger. */
  exists: boolean;
}

/** A channel's row; `ledger` is there where the node watches the channel on the ledger. */
export interface RowJson extends ChannelJson {
  ledger?: ChannelLedgerJson;
}

/** Of a node without a ledger undefined stands for it. */
export type Ledger = Pick<LedgerControl, 'health' | 'state' | 'openFromLedger' | 'redeem' | 'redemptions'>;

export function rowJson(channel: Channel, withSignature: boolean, ledger: Ledger | undefined, now: number): RowJson {
  const row = channelJson(channel, withSignature, now);
  const state = ledger?.state(channel.channelId);
  if (state === undefined) return row;
  const { deposited, redeemed, settleDelay, expiration, cancelAfter, seenAt, exists } = state;
  return {
    ...row,
    ledger: {
      deposited: String(deposited),
      redeemed: String(redeemed),
      exposure: String(exists ? exposureOf(channel.committed, state) : 0n),
      settleDelaySeconds: settleDelay,
      expiration: isoTime(expiration),
      cancelAfter: isoTime(cancelAfter),
      seenAt: isoTime(seenAt),
      ageSeconds: Math.max(0, now - seenAt),
      exists,
    },
  };
}

export function ledgerRoutes(ledger: Ledger | undefined): Route[] {
  return [
    {
      method: 'GET',
      path: '/ledger',
      scope: undefined,
      takesBody: false,
      answer: ({ response }) => {
        if (ledger === undefined)
          throw new HttpRefusal(404, 'ledger: expected a node started with --ledger, got one without');
        sendJson(response, 200, ledger.health());
      },
    },
  ];
}

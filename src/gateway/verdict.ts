/** What became of a request's payment, and what the gateway has to find that out with. */
import type { Channel } from '../channel/row.ts';
import type { LedgerControl } from '../control/ledger-control.ts';
import type { MeterControl } from '../control/meter-control.ts';
import type { NodeControl } from '../control/node-control.ts';
import type { ProblemType } from './scheme.ts';

/** What the gateway sees of its node. */
export interface GatewayNode {
  node: Pick<NodeControl, 'channel' | 'channelVersion' | 'expectHere' | 'holderOf' | 'ruleSeconds'>;
  meter: MeterControl;
  /** Left out: no payer opens or closes a channel over HTTP. */
  ledger?: Pick<LedgerControl, 'openFromLedger' | 'createChannel' | 'redeem'> | undefined;
}

/** How a gateway takes payments. */
export interface PaymentSettings {
  /** A channel is not taken any more so long before its end: time to redeem it. */
  settleMarginSeconds: number;
  /** How long a request may wait for its claim, which may come by UDP a little later. */
  claimWaitMs: number;
}

/** A request that was charged. */
export interface Payment {
  by: 'voucher' | 'session';
  channel: Channel;
  /** The channel's id on the ledger in 64 upper-case hex digits. */
  id: string;
  /** Drops of this charge. */
  drops: bigint;
  /** Charged on the channel in all. */
  spent: bigint;
  /** The charge's key; absent where a repeated request is a new one. */
  key: string | undefined;
  /** What a repeated request must show: signature or token. */
  proof: string;
  challengeId: string | undefined;
  /**
   * There while the charge is reserved and not durable yet. Resolves with undefined once it is, and `spent` says so; with the
   * answer to the request where it could not be made. Nothing of what was paid for goes out before.
   */
  settled?: Promise<Unpaid | undefined> | undefined;
}

/** Why a request is not served, and what the next challenge may tell its sender. */
export interface Refusal {
  problem: ProblemType;
  detail: string;
  /** The channel, where the sender has shown that it is its own. */
  channel?: Channel | undefined;
}

export type Verdict =
  | { kind: 'paid'; payment: Payment }
  | { kind: 'repeated'; key: string; proof: string; channel: Channel }
  | { kind: 'refused'; refusal: Refusal }
  /** The channel was closed, or is to be: nothing is forwarded. */
  | { kind: 'done'; channel: Channel; cumulative: bigint; body: object }
  | { kind: 'denied'; detail: string }
  /** Nothing was decided or charged: the same request may do better in a while. */
  | { kind: 'busy'; detail?: string };

export type Unpaid = Exclude<Verdict, { kind: 'paid' }>;

export function refused(problem: ProblemType, detail: string, channel?: Channel): Unpaid {
  return { kind: 'refused', refusal: { problem, detail, channel } };
}

/**
 * The package's entry point: run a node. Payers are behind `claimwire/client`, the wire format behind `claimwire/protocol`.
 *
 * @module claimwire
 */

export type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from './channel/changes.ts';
export {
  type ChannelJson,
  KeyCheck,
  type OpeningText,
  parseOpening,
  parseRow,
  type ShownState,
} from './channel/parse.ts';
export type { Channel, ChannelState } from './channel/row.ts';
export type {
  Durability,
  LayoutName,
  NodeConfig,
  NodeOptions,
  PathKind,
  SocketKind,
  VerifyPolicy,
} from './config.ts';
export type { ChargeResult, CommittedBatch, MeterControl, SubmitResult } from './control/meter-control.ts';
export type { NodeControl, NodeStats } from './control/node-control.ts';
export { ClaimwireError, type ErrorCode } from './errors.ts';
export type { Merchant } from './gateway/challenges.ts';
export { Gateway, type GatewayOptions } from './gateway/gateway.ts';
export type { GatewayLimits } from './gateway/listener.ts';
export type { ReplyLimits } from './gateway/replies.ts';
export { type Price, type PriceUnit, type RouteRule, Routes } from './gateway/routes.ts';
export type { UpstreamLimits } from './gateway/upstream.ts';
export type { GatewayNode, PaymentSettings } from './gateway/verdict.ts';
export type { HostPort } from './host-port.ts';
export type { BulkResult } from './http/bulk.ts';
export type { RemovalJson } from './http/channels.ts';
export type { ChargeItemJson, ChargeJson } from './http/charges.ts';
export type { SubmitJson } from './http/claims.ts';
export { AdminClient, type OpeningJson } from './http/client.ts';
export type { EventsOptions } from './http/event-follower.ts';
export type { CommittedJson } from './http/event-reader.ts';
export type { ChannelLedgerJson, RowJson } from './http/ledger.ts';
export type { RedemptionJson, RedemptionResultJson } from './http/redemptions.ts';
export type { AdminClientOptions } from './http/requests.ts';
export type { RedeemOptions, WalletOptions } from './ledger/redeem-options.ts';
export type { LedgerOptions } from './ledger/settings.ts';
export {
  type PaymentChannelClaim,
  paymentChannelClaim,
  type RedeemAdvice,
  type Redeemable,
  redeemAdvice,
} from './ledger/xrpl.ts';
export type { Logger } from './log.ts';
export type { CommittedAmount } from './meter/meter.ts';
export { ClaimwireNode, type NodeStartOptions, type NodeTotals } from './node/node.ts';
export { type ServeOptions, type ServingNode, serve } from './serve.ts';
export type { SpanOptions } from './spans/settings.ts';
export type { BackendChoice, BackendName } from './verify/backend.ts';
export type { KernelStats } from './verify/kernel.ts';

/**
 * `claimwire/client`: sign, send and see acknowledged the claims of payment channels.
 *
 * @module claimwire/client
 */
export { ClaimwireError, type ErrorCode } from '../errors.ts';
export type { Abortable } from './abort.ts';
export type { PaymentChannel, ReceiptOptions } from './channel.ts';
export type { Clock } from './clock.ts';
export type { PayerStats, Percentiles } from './counters.ts';
export { GroupError, type GroupFailure } from './group/group-error.ts';
export type { GroupAck, GroupOptions, PaymentGroup } from './group/payment-group.ts';
export type { ChannelIdentityOptions } from './identity.ts';
export { generateKey, type KeyPair, type KeyType, keySigner, loadKeyFile, writeKeyFile } from './keys/key-file.ts';
export { type Pkcs11Options, Pkcs11Signer } from './keys/pkcs11-signer.ts';
export { Ed25519Signer, Secp256k1Signer, type Signer } from './keys/signer.ts';
export type { LinkOptions } from './links/open-link.ts';
export type { LinkReceiver, LinkStats, PeerLink, RouteStats } from './links/peer-link.ts';
export type { TlsOptions } from './links/tcp-connect.ts';
export { type DatagramSocket, openUdpSocket } from './links/transport-udp.ts';
export { type NettingLine, type NettingPeer, type NettingReport, netting, nettingText } from './netting.ts';
export {
  type PaidFetch,
  type PaidFetchOptions,
  paidFetch,
  type SessionOptions,
  sessionAuthorization,
} from './paid-fetch.ts';
export { type ChannelOptions, Payer, type PayerLimits, type StateOptions } from './payer.ts';
export {
  type AcceptOptions,
  type DialOptions,
  Peering,
  type PeeringOptions,
  type PeeringStats,
} from './peering/peering.ts';
export { ConnectionPool } from './pool/pool.ts';
export type { PoolOptions } from './pool/pool-options.ts';
export type { PoolStats } from './pool/pool-stats.ts';
export type { Receipt, ReceiptExpectation } from './receipt.ts';
export type { ResumedChannel } from './resume.ts';
export type { RootsOptions } from './roots.ts';
export type { RtoLimits } from './rto.ts';
export { verifyReceipt } from './verify-receipt.ts';
export type { ClaimAck } from './waiter-queue.ts';

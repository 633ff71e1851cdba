/**
 * `claimwire/browser`: the payer for pages and whatever else has no Node: WebRTC or a WebSocket, secp256k1 by noble, keys and
 * amounts kept in IndexedDB. It imports nothing of Node.
 *
 * @module claimwire/browser
 */
export { ClaimwireError, type ErrorCode } from '../../errors.ts';
export type { Abortable } from '../abort.ts';
export type { PaymentChannel, ReceiptOptions } from '../channel.ts';
export type { Clock } from '../clock.ts';
export type { PayerStats, Percentiles } from '../counters.ts';
export type { ChannelIdentityOptions } from '../identity.ts';
export { type KeyPair, pairSigner as keySigner, secp256k1Key as generateKey } from '../keys/key-pair.ts';
export { Secp256k1Signer, type Signer } from '../keys/secp256k1-signer.ts';
export type { LinkReceiver, LinkStats, PeerLink } from '../links/peer-link.ts';
export type { ChannelOptions, PayerCore, PayerLimits } from '../payer-core.ts';
export type { Receipt } from '../receipt.ts';
export type { ResumedChannel } from '../resume.ts';
export type { RtoLimits } from '../rto.ts';
export type { ClaimAck } from '../waiter-queue.ts';
export type { IceServer } from '../web-globals.ts';
export { keptKey } from './key-vault.ts';
export type { WebLinkOptions } from './open-web-link.ts';
export { type PageStateOptions, Payer } from './payer.ts';

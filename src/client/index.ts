/** `claimwire/client`: sign, send and see acknowledged the claims of payment channels. */
export { ClaimwireError, type ErrorCode } from '../errors.ts';
export type { Clock } from './clock.ts';
export type { PayerStats, Percentiles } from './counters.ts';
export type { DatagramSocket } from './datagram-socket.ts';
export { Ed25519Signer } from './ed25519-signer.ts';
export { generateKey, type KeyPair, type KeyType, keySigner, loadKeyFile, writeKeyFile } from './key-file.ts';
export type { LinkOptions } from './open-link.ts';
export { type ChannelOptions, Payer, type PayerLimits, type PaymentChannel } from './payer.ts';
export type { LinkReceiver, LinkStats, PeerLink } from './peer-link.ts';
export { ConnectionPool } from './pool.ts';
export type { PoolOptions } from './pool-options.ts';
export type { PoolStats } from './pool-stats.ts';
export type { ResumedChannel } from './resume.ts';
export type { RtoLimits } from './rto.ts';
export { Secp256k1Signer, type Signer } from './signer.ts';
export type { TlsOptions } from './tcp-connect.ts';
export { openUdpSocket } from './transport-udp.ts';
export type { ClaimAck } from './waiter-queue.ts';

/**
 * The payer's port to its node, whatever carries the claims: UDP (link-udp.ts), connections of a pool (link-tcp.ts), or
 * the one that gets through (link-auto.ts). All calls are on the payer's thread.
 *
 * A link keeps no claim: amounts are cumulative, so what it could not send, or may have lost, is made good by asking the
 * receiver for the channel's newest claim, whose memory is the receiver's.
 */
import type { ControlAnswer, ControlRequest } from '../../../protocol/control.ts';
import type { PoolStats } from '../pool/pool-stats.ts';
import type { RttEstimator } from '../rto.ts';

/** The payer's side. */
export interface LinkReceiver {
  readonly rtt: Pick<RttEstimator, 'smoothedMs' | 'rtoMs'>;
  /** Frames from the node in `bytes[start, end)`, borrowed for the call. */
  message(bytes: Uint8Array, start: number, end: number): void;
  /**
   * A fault the link survives (nothing listens at the peer).
   * @param isOnlyWay false where the link has another way to the peer. Default true
   */
  fault(error: Error, isOnlyWay?: boolean): void;
  /** What was sent of the channel may be lost: its newest claim is to be sent now if it is unacknowledged. */
  resend(channelId: bigint): void;
  /** The same of all channels. */
  resendAll(): void;
}

/** What a link has carried. */
export interface LinkStats {
  /** What carries claims now. */
  transport: 'udp' | 'tcp' | 'tls';
  /** Times an `auto` link changed it. */
  transportSwitches: number;
  datagramsSent: number;
  /** Of all payers of the pool; absent without one. */
  pool?: PoolStats;
}

/** The way to the node. */
export interface PeerLink {
  /** The other end, for messages, e.g. `127.0.0.1:9393`. */
  readonly peer: string;
  /** Called once, by the payer, before anything else. */
  listen(receiver: LinkReceiver): void;
  /** Makes the channel known. False where its acks could not be told from those of another payer. */
  open(channelId: bigint): boolean;
  /**
   * Takes a copy of the 93-byte claim at `offset`. False where it could not: `resend` is called when it can, or the
   * receiver tries again by its own time-out, whichever is first. Never calls the receiver.
   */
  send(claims: DataView, offset: number): boolean;
  /**
   * Asks the node. `request` is given the nonce of the connection that carries it. Rejects with ClaimwireError; absent
   * where the link has no control channel.
   */
  ask?: ((request: (nonce: string) => AskedRequest) => Promise<ControlAnswer>) | undefined;
  /** Counters, now. */
  stats(): LinkStats;
  /** Lets go of sockets of its own. */
  close(): Promise<void>;
}

/** A link that can ask. */
export type ControlLink = PeerLink & { ask(request: (nonce: string) => AskedRequest): Promise<ControlAnswer> };

/** A request without its id, which the connection gives it. */
export type AskedRequest = ControlRequest extends infer Request
  ? Request extends ControlRequest
    ? Omit<Request, 'id'>
    : never
  : never;

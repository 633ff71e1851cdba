/**
 * The payer's way to its node, whatever carries the claims: UDP (link-udp.ts), connections of a pool (link-tcp.ts), or
 * whichever of them gets through (link-auto.ts). Payer's thread.
 *
 * A link keeps no claims. Amounts are cumulative, so for a claim that it could not send, or may have lost, it asks the
 * receiver for the channel's newest one.
 */
import type { ControlAnswer, ControlRequest } from '../../../protocol/control.ts';
import type { PoolStats } from '../pool/pool-stats.ts';
import type { RttEstimator } from '../rto.ts';
import type { SendPath } from '../send-path.ts';

/** The payer's side. */
export interface LinkReceiver {
  readonly rtt: Pick<RttEstimator, 'smoothedMs' | 'rtoMs'>;
  /** Frames from the node in `bytes[start, end)`, borrowed for the call. */
  message(bytes: Uint8Array, start: number, end: number): void;
  /**
   * An error that the link survives, such as that nothing listens at the peer.
   * @param isOnlyWay false where the link has another way to the peer. Default true
   */
  fault(error: Error, isOnlyWay?: boolean): void;
  /** What was sent of the channel may be lost: send its newest claim now if it is unacknowledged. */
  resend(channelId: bigint): void;
  /** The same of all channels. */
  resendAll(): void;
  /** A path that no channel has any more; absent where the link has one node. */
  endPath?(path: SendPath): void;
}

/** What a link has carried. */
export interface LinkStats {
  /** What carries the claims now. */
  transport: 'udp' | 'tcp' | 'tls' | 'websocket' | 'webrtc';
  /** How often a link with two ways changed it. */
  transportSwitches: number;
  datagramsSent: number;
  /** Of a WebSocket or data channel: messages sent; connections opened, not opened, and lost. */
  messages?: { messagesSent: number; opened: number; openFailures: number; lost: number };
  /** Of all payers of the pool; absent without one. */
  pool?: PoolStats;
  /** Over a cluster. */
  route?: RouteStats;
}

/** What a link over a cluster knows and has done. */
export interface RouteStats {
  /** Of the map of shards, a decimal u64; null before the first. */
  version: string | null;
  /** Addresses of nodes with an open link. */
  places: number;
  /** How often the route was asked for, and the answers that were no map or an older one. */
  asked: number;
  refused: number;
  /** Answers MOVED. */
  moved: number;
  /** Newer maps taken. */
  changes: number;
}

/** The way to the node. */
export interface PeerLink {
  /** The other end, for messages, e.g. `127.0.0.1:9393`. */
  readonly peer: string;
  /** The path of channels without one of their own, where the link has several nodes. */
  readonly path?: SendPath;
  /** Called once, by the payer, before anything else. */
  listen(receiver: LinkReceiver): void;
  /** Adds a channel. Returns false where its acks could not be told from those of another payer. */
  open(channelId: bigint): boolean;
  /**
   * Copies and sends the 93-byte claim at `offset`. Returns false where it could not: it calls `resend` when it can, or the
   * receiver tries again after its own time-out, whichever is first. Never calls the receiver itself.
   */
  send(claims: DataView, offset: number): boolean;
  /** The same with a frame of a Merkle batch; absent where the link carries none. False: `resend` is called for each of its channels. */
  sendFrame?(bytes: Uint8Array, offset: number, size: number): boolean;
  /**
   * Asks the node, or that of the channel. `request` is given the nonce of the connection that carries it. Rejects with ClaimwireError; absent
   * where the link has no control channel.
   */
  ask?: ((request: RequestMaker, channelId?: bigint) => Promise<ControlAnswer>) | undefined;
  /** The path of the channel now, where the link has several nodes. */
  pathOf?(channelId: bigint): SendPath;
  /**
   * Some node answered MOVED, by a map of this version, or somebody forged it. The link asks its nodes for the route, within its
   * limits, and calls `resend` for the channels whose path has changed, and in a while for this one. Absent where the link has one node: MOVED is a final refusal then.
   */
  moved?(channelId: bigint, version: bigint): void;
  /** Counters, now. */
  stats(): LinkStats;
  /** Closes the sockets that it owns. */
  close(): Promise<void>;
}

/** A link that can ask. */
export type ControlLink = PeerLink & { ask(request: RequestMaker): Promise<ControlAnswer> };

/** Makes a request for the nonce of the connection that will carry it: a signer may need a while. */
export type RequestMaker = (nonce: string) => AskedRequest | Promise<AskedRequest>;

/** A request without its id, which the connection gives it. */
export type AskedRequest = WithoutId<ControlRequest>;
type WithoutId<Request> = Request extends ControlRequest ? Omit<Request, 'id'> : never;

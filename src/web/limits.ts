/** The limits of a web process, and the reasons for them. */
export interface WebLimits {
  /** WebSocket connections and WebRTC peers together. */
  peersMax: number;
  peersPerAddressMax: number;
  /** Of these, WebRTC peers, since each holds some 300 KB in its library. */
  rtcPeersMax: number;
  /** Offers that are answered in a second, in all; a quarter of them for one address. */
  offersPerSecond: number;
  /** From a peer's beginning to its first message, including handshakes. */
  helloMsMax: number;
  /** Between messages. */
  idleMsMax: number;
}

export const WEB_LIMITS: WebLimits = {
  peersMax: 4_096,
  /** A quarter of all, so that one address (IPv6: one /64) leaves room for others. */
  peersPerAddressMax: 1_024,
  rtcPeersMax: 1_024,
  /** An offer costs some 5 ms of processor time until the peer is connected: at most half a core. */
  offersPerSecond: 100,
  helloMsMax: 10_000,
  idleMsMax: 60_000,
};

/** Connections that are neither upgraded nor answered yet: in all, and of one address beside its peers. */
export const REQUESTS_MAX = 256;
export const REQUESTS_PER_ADDRESS_MAX = REQUESTS_MAX / 4;
/** As over TCP. */
export const MESSAGE_BYTES_MAX = 65_536;
/** A session description with many candidates has some 2 KB. */
export const OFFER_BYTES_MAX = 16_384;
/** What a message that waits takes beside its bytes, so that a peer's empty messages are bounded too. */
export const WAITING_OVERHEAD_BYTES = 128;
/** What a peer may have sent and the node not taken: a largest message, and the one behind it. */
export const WAITING_BYTES_MAX = 2 * (MESSAGE_BYTES_MAX + WAITING_OVERHEAD_BYTES);
/** Bytes on their way to one thread: 2,800 claims, some 3 ms of its work. */
export const WINDOW_BYTES = 256 << 10;
/** Between two batches for a thread, unless so many bytes wait: some 300 messages of a claim each. */
export const BATCH_MS = 1;
export const BATCH_BYTES = 64 << 10;
/** Acks that wait in a peer's socket: 2,048, or fewer where many peers share the memory for them. */
const UNSENT_BYTES_MAX = 64 << 10;
const UNSENT_BYTES_MIN = 4 << 10;
const UNSENT_BYTES_OF_ALL = 32 << 20;

/** The bound on what waits in each socket of so many peers. */
export function unsentBytesMax(peers: number): number {
  return Math.max(UNSENT_BYTES_MIN, Math.min(UNSENT_BYTES_MAX, UNSENT_BYTES_OF_ALL / Math.max(1, peers)));
}

/**
 * A data channel as a carrier, unordered and never sent again: the browser's own, or that of the library
 * `node-datachannel`. Payer's thread; no modules of Node.
 */
import { OFFER_PATH, SDP_TYPE, WEB_PROTOCOL } from '../../../protocol/web.ts';
import type { Carrier, ConnectCarrier } from './carrier.ts';

/** What is used of an RTCDataChannel. */
interface DataChannelLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
}
interface SessionDescription {
  type: 'answer' | 'offer' | 'pranswer' | 'rollback';
  sdp?: string;
}
/** What is used of an RTCPeerConnection. */
export interface PeerConnectionLike {
  readonly iceGatheringState: string;
  readonly connectionState: string;
  readonly localDescription: { readonly sdp: string } | null;
  onicegatheringstatechange: ((event: never) => void) | null;
  onconnectionstatechange: ((event: never) => void) | null;
  createDataChannel(
    label: string,
    options: { ordered: boolean; maxRetransmits: number; protocol: string },
  ): DataChannelLike;
  createOffer(): Promise<SessionDescription>;
  setLocalDescription(description: SessionDescription): Promise<void>;
  setRemoteDescription(description: { type: 'answer'; sdp: string }): Promise<void>;
  close(): void;
}
/** What is used of `fetch`. */
export type FetchLike = (
  url: string,
  options: { method: 'POST'; headers: Record<string, string>; body: string; signal: AbortSignal },
) => Promise<{ readonly ok: boolean; readonly status: number; text(): Promise<string> }>;

export interface WebRtcOptions {
  /** Where the node takes offers, e.g. `https://node.example:9395`. */
  url: string;
  /** Makes a connection, e.g. `() => new RTCPeerConnection()`. */
  open: () => PeerConnectionLike;
  fetch: FetchLike;
}

const OPEN_MS_MAX = 10_000;
/** The offer goes with the candidates that there are by then. */
const GATHER_MS_MAX = 2_000;

export function webRtcCarrier({ url, open, fetch }: WebRtcOptions): ConnectCarrier {
  return async (events) => {
    const connection = open();
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      connection.close();
      events.closed();
    };
    try {
      const options = { ordered: false, maxRetransmits: 0, protocol: WEB_PROTOCOL };
      const channel = connection.createDataChannel('claims', options);
      channel.binaryType = 'arraybuffer';
      channel.onmessage = ({ data }: { data: unknown }) => {
        if (data instanceof ArrayBuffer) events.message(new Uint8Array(data));
      };
      const opened = new Promise<void>((resolve, reject) => {
        channel.onopen = () => resolve();
        channel.onclose = () => {
          reject(new Error('a channel that was closed'));
          end();
        };
        connection.onconnectionstatechange = () => {
          if (connection.connectionState !== 'failed' && connection.connectionState !== 'closed') return;
          reject(new Error('a connection that failed'));
          end();
        };
      });
      opened.catch(() => {});
      await connection.setLocalDescription(await connection.createOffer());
      await gathered(connection);
      const sdp = await exchange(fetch, url, connection.localDescription?.sdp ?? '');
      await connection.setRemoteDescription({ type: 'answer', sdp });
      await within(opened, OPEN_MS_MAX);
      return carrierOf(connection, channel);
    } catch (error) {
      isOver = true;
      connection.close();
      throw error;
    }
  };
}

function carrierOf(connection: PeerConnectionLike, channel: DataChannelLike): Carrier {
  return {
    get unsentBytes() {
      return channel.bufferedAmount;
    },
    send: (bytes) => {
      try {
        channel.send(bytes);
      } catch {
        // It is closing, which is told as well.
      }
    },
    close: () => connection.close(),
  };
}

/** The node's answer to an offer. */
async function exchange(fetch: FetchLike, url: string, offer: string): Promise<string> {
  const response = await fetch(new URL(OFFER_PATH, url).href, {
    method: 'POST',
    headers: { 'content-type': SDP_TYPE },
    body: offer,
    signal: AbortSignal.timeout(OPEN_MS_MAX),
  });
  if (!response.ok) throw new Error(`HTTP status ${response.status} for the offer`);
  return await response.text();
}

function gathered(connection: PeerConnectionLike): Promise<void> {
  const complete = new Promise<void>((resolve) => {
    const look = () => connection.iceGatheringState === 'complete' && resolve();
    connection.onicegatheringstatechange = look;
    look();
  });
  return within(complete, GATHER_MS_MAX).catch(() => {});
}

async function within<Result>(promise: Promise<Result>, ms: number): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

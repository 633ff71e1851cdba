/** Carriers of a payer in Node, over the optional libraries. Payer's thread, which for WebRTC must be the only one of its process. */
import { X509Certificate } from 'node:crypto';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText } from '../../host-port.ts';
import { loadPeerConnection, loadWebSocket } from '../../optional-libraries.ts';
import type { Clock } from '../clock.ts';
import { CarrierSocket, type ConnectCarrier } from './carrier.ts';
import { type PeerConnectionLike, webRtcCarrier } from './carrier-webrtc.ts';
import { type WebSocketLike, webSocketCarrier } from './carrier-websocket.ts';
import type { TlsOptions } from './tcp-connect.ts';

export const CARRIER_SCHEMES = ['ws', 'wss', 'webrtc+http', 'webrtc+https'] as const;
export type CarrierScheme = (typeof CARRIER_SCHEMES)[number];

/** A socket over a carrier to the node. Rejects with NODE_UNREACHABLE, or DEPENDENCY_MISSING. */
export async function openCarrierSocket(
  scheme: CarrierScheme,
  address: HostPort,
  tls: TlsOptions | undefined,
  clock: Clock,
  random: () => number,
): Promise<CarrierSocket> {
  return await CarrierSocket.open(hostPortText(address), await carrierTo(scheme, address, tls), clock, random);
}

/** How carriers to the node are connected. Rejects with DEPENDENCY_MISSING. */
export async function carrierTo(scheme: CarrierScheme, address: HostPort, tls?: TlsOptions): Promise<ConnectCarrier> {
  const place = hostPortText(address);
  return scheme === 'ws' || scheme === 'wss'
    ? await overWebSocket(`${scheme}://${place}/`, tls)
    : await overWebRtc(`${scheme.slice('webrtc+'.length)}://${place}`);
}

async function overWebSocket(url: string, tls: TlsOptions | undefined): Promise<ConnectCarrier> {
  try {
    if (tls?.ca !== undefined) new X509Certificate(tls.ca);
  } catch (error) {
    const message = `tls.ca: expected certificates as PEM, got ${(error as Error).message}`;
    throw new ClaimwireError('INPUT_INVALID', message, {}, { cause: error });
  }
  const { WebSocket } = await loadWebSocket();
  return webSocketCarrier(
    (protocol) => new WebSocket(url, protocol, { perMessageDeflate: false, ...tls }) as unknown as WebSocketLike,
  );
}

async function overWebRtc(url: string): Promise<ConnectCarrier> {
  const PeerConnection = await loadPeerConnection();
  return webRtcCarrier({ url, open: () => new PeerConnection() as unknown as PeerConnectionLike, fetch });
}

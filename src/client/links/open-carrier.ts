/** Carriers of a payer in Node, over the optional libraries. Payer's thread, which for WebRTC must be the only one of its process. */
import { X509Certificate } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { request as requestByTls } from 'node:https';
import { ClaimwireError } from '../../errors.ts';
import { type HostPort, hostPortText } from '../../host-port.ts';
import { loadPeerConnection, loadWebSocket } from '../../optional-libraries.ts';
import type { Clock } from '../clock.ts';
import { CarrierSocket, type ConnectCarrier } from './carrier.ts';
import { type FetchLike, type PeerConnectionLike, webRtcCarrier } from './carrier-webrtc.ts';
import { type WebSocketLike, webSocketCarrier } from './carrier-websocket.ts';
import type { TlsOptions } from './tcp-connect.ts';

export const CARRIER_SCHEMES = ['ws', 'wss', 'webrtc+http', 'webrtc+https'] as const;
export type CarrierScheme = (typeof CARRIER_SCHEMES)[number];

/** As in the other direction; acks come 45 in one. */
const MESSAGE_BYTES_MAX = 65_536;
/** A node's answer has some 1 KB. */
const ANSWER_BYTES_MAX = 65_536;

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
    : await overWebRtc(`${scheme.slice('webrtc+'.length)}://${place}`, tls);
}

async function overWebSocket(url: string, tls: TlsOptions | undefined): Promise<ConnectCarrier> {
  expectCertificates(tls);
  const { WebSocket } = await loadWebSocket();
  const options = { perMessageDeflate: false, maxPayload: MESSAGE_BYTES_MAX, ...tls };
  return webSocketCarrier((protocol) => new WebSocket(url, protocol, options) as unknown as WebSocketLike);
}

async function overWebRtc(url: string, tls: TlsOptions | undefined): Promise<ConnectCarrier> {
  expectCertificates(tls);
  const PeerConnection = await loadPeerConnection();
  const open = () => new PeerConnection() as unknown as PeerConnectionLike;
  return webRtcCarrier({ url, open, fetch: fetchBy(tls) });
}

/** Node's fetch takes no certificates of the caller's, and reads whatever comes. */
function fetchBy(tls: TlsOptions | undefined): FetchLike {
  return (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const ask = url.startsWith('https:') ? requestByTls : request;
      const asked = ask(url, { method, headers, signal, agent: false, ...tls }, (response) => {
        const { statusCode = 0 } = response;
        const ok = statusCode >= 200 && statusCode < 300;
        resolve({ ok, status: statusCode, text: () => textOf(response) });
      });
      asked.on('error', reject);
      asked.end(body);
    });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += (chunk as Buffer).length;
    if (length > ANSWER_BYTES_MAX) throw new Error(`an answer of over ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function expectCertificates(tls: TlsOptions | undefined): void {
  try {
    if (tls?.ca !== undefined) new X509Certificate(tls.ca);
  } catch (error) {
    const message = `tls.ca: expected certificates as PEM, got ${(error as Error).message}`;
    throw new ClaimwireError('INPUT_INVALID', message, {}, { cause: error });
  }
}

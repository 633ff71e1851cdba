/** Opens the link that an address such as `https://HOST:PORT` calls for in a page. */
import { CLAIMS_PER_DATAGRAM_MAX } from '../../../protocol/layout.ts';
import { hostPortText, parseHostPort } from '../../host-port.ts';
import { invalid } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import { webRtcCarrier } from '../links/carrier-webrtc.ts';
import { webSocketCarrier } from '../links/carrier-websocket.ts';
import { AutoLink } from '../links/link-auto.ts';
import type { PeerLink } from '../links/peer-link.ts';
import { RoutedLink } from '../route/routed-link.ts';
import { parseSeeds, webPlaceFilter } from '../route/seeds.ts';
import type { SendPath } from '../send-path.ts';
import { type IceServer, type WebGlobals, web } from '../web-globals.ts';
import { MessageLink } from './message-link.ts';

/** As many claims as a message over TCP has. */
const CLAIMS_PER_MESSAGE_MAX = 45;

/** Which node, and how to reach it. */
export interface WebLinkOptions {
  /**
   * The address of the node's `--web` listener: `https://HOST:PORT` or `http://HOST:PORT` for WebRTC, and a WebSocket while
   * WebRTC does not get through; `wss://` or `ws://` for a WebSocket alone; `webrtc+https://` or `webrtc+http://` for WebRTC
   * alone. A page that came by https can use the addresses with an `s` only. Of a cluster several nodes may be given:
   * `https://HOST:PORT,HOST:PORT` or a list. The payer follows its channels to the nodes that hold them.
   */
  to: string | readonly string[];
  /** STUN and TURN servers for WebRTC, for a node behind a NAT. Default none. */
  iceServers?: IceServer[];
}

interface WebAddress {
  isSecure: boolean;
  by: 'webrtc' | 'websocket' | 'both';
  host: string;
}

/** Rejects with ClaimwireError INPUT_INVALID. Only the first claim shows whether a node listens. */
export async function openWebLink(
  options: WebLinkOptions,
  clock: Clock,
  random: () => number,
  newPath: () => SendPath,
  globals: Pick<WebGlobals, 'WebSocket' | 'RTCPeerConnection'> = web,
): Promise<PeerLink> {
  const seeds = parseSeeds(options.to);
  const open = async (to: string) => openOne({ ...options, to }, clock, random, globals);
  return await new RoutedLink({ seeds, open, newPath, usable: webPlaceFilter(seeds), clock, random }).start();
}

function openOne(
  options: WebLinkOptions & { to: string },
  clock: Clock,
  random: () => number,
  globals: Pick<WebGlobals, 'WebSocket' | 'RTCPeerConnection'>,
): PeerLink {
  const { isSecure, by, host } = parseWebAddress(options.to);
  const s = isSecure ? 's' : '';
  const common = { peer: host, clock, random };
  const websocket = () =>
    new MessageLink({
      ...common,
      transport: 'websocket',
      connect: webSocketCarrier((protocol) => new globals.WebSocket(`ws${s}://${host}/`, protocol)),
      claimsPerMessageMax: CLAIMS_PER_MESSAGE_MAX,
    });
  const PeerConnection = globals.RTCPeerConnection;
  if (by === 'websocket' || (by === 'both' && PeerConnection === undefined)) return websocket();
  if (PeerConnection === undefined)
    throw invalid(`to: expected a browser with WebRTC for ${options.to}, got one without; use http${s}://${host}`);
  const { iceServers = [] } = options;
  const webrtc = new MessageLink({
    ...common,
    transport: 'webrtc',
    connect: webRtcCarrier({
      url: `http${s}://${host}`,
      open: () => new PeerConnection({ iceServers }),
      fetch: (url, init) => fetch(url, init),
    }),
    claimsPerMessageMax: CLAIMS_PER_DATAGRAM_MAX,
  });
  return by === 'webrtc' ? webrtc : new AutoLink(webrtc, websocket(), clock);
}

function parseWebAddress(to: string): WebAddress {
  const [, scheme, secure, rest = ''] = /^(webrtc\+http|http|ws)(s?):\/\/(.*?)\/?$/i.exec(to) ?? [];
  const address = parseHostPort(rest, secure === '' ? 80 : 443);
  if (scheme === undefined || address === undefined || address.port === 0)
    throw invalid(`to: expected https://HOST:PORT (or http, wss, ws, webrtc+https, webrtc+http), got ${to}`);
  const by = ({ http: 'both', ws: 'websocket' } as const)[scheme.toLowerCase()] ?? 'webrtc';
  return { isSecure: secure !== '', by, host: hostPortText(address) };
}

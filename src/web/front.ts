/**
 * The listener of a web process: HTTP or HTTPS, which upgrades to WebSocket at `/` and takes WebRTC offers at `/rtc`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { OFFER_PATH, SDP_TYPE, WEB_PROTOCOL } from '../../protocol/web.ts';
import type { HostPort } from '../host-port.ts';
import { loadDataChannel, loadWebSocket } from '../optional-libraries.ts';
import { AddressCounts } from '../transport/tcp-admission.ts';
import { type WebCounts, zeroCounts } from './counters.ts';
import { OFFER_BYTES_MAX, REQUESTS_MAX, REQUESTS_PER_ADDRESS_MAX, WEB_LIMITS, type WebLimits } from './limits.ts';
import type { WebCall, WebSettings } from './messages.ts';
import { OfferRate } from './offers.ts';
import { Peers } from './peers.ts';
import { WebRtcPeers } from './webrtc.ts';
import { WebSocketPeers } from './websocket.ts';

const TICK_MS_MAX = 1_000;
const CLOSE_MS_MAX = 1_000;
/** The system may pick a port that another program has for UDP. */
const PICKS_MAX = 8;

/** The node, as the front sees it. */
export interface FrontNode {
  /** Given batches as in transport/web-batch.ts for one of the threads. */
  send: (ring: number, batch: Uint8Array) => void;
  /** Given requests, which are answered by `peers.control.answer`. */
  ask: (call: WebCall) => void;
}

export class Front {
  readonly counts: WebCounts;
  readonly peers: Peers;
  readonly #settings: WebSettings;
  readonly #limits: WebLimits;
  readonly #server: Server;
  readonly #rate: OfferRate;
  readonly #addresses: AddressCounts;
  readonly #timer: NodeJS.Timeout;
  readonly #clock: () => number;
  #websockets!: WebSocketPeers;
  #webrtc: WebRtcPeers | undefined;
  address!: HostPort;
  /** Connections of WebSockets and of requests. */
  connections = 0;

  private constructor(settings: WebSettings, node: FrontNode, clock: () => number) {
    this.#settings = settings;
    this.#clock = clock;
    this.counts = zeroCounts();
    this.#limits = { ...WEB_LIMITS, ...settings.limits };
    const { peersMax, peersPerAddressMax, helloMsMax, idleMsMax, offersPerSecond } = this.#limits;
    const { rings, tls } = settings;
    this.peers = new Peers({ limits: this.#limits, counts: this.counts, rings, clock, ...node });
    this.#rate = new OfferRate(offersPerSecond);
    this.#addresses = new AddressCounts(peersPerAddressMax + REQUESTS_PER_ADDRESS_MAX);
    const options = {
      maxHeaderSize: 8_192,
      headersTimeout: helloMsMax,
      requestTimeout: helloMsMax,
      keepAliveTimeout: 1,
      connectionsCheckingInterval: Math.min(TICK_MS_MAX, helloMsMax),
      noDelay: true,
    };
    this.#server = tls
      ? createTlsServer({ ...options, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: helloMsMax })
      : createServer(options);
    this.#server.maxConnections = peersMax + REQUESTS_MAX;
    this.#server.on('connection', (socket) => this.#accept(socket));
    this.#server.on('drop', () => this.counts.refusedFull++);
    this.#server.on('tlsClientError', (_error, socket: Duplex) => {
      this.counts.tlsFailed++;
      socket.destroy();
    });
    this.#server.on('clientError', (_error, socket) => {
      this.counts.refusedRequest++;
      socket.destroy();
    });
    this.#server.on('request', (request, response) => void this.#request(request, response));
    this.#server.on('upgrade', (request, stream, head) => this.#upgrade(request, stream, head));
    this.#timer = setInterval(
      () => this.peers.tick(),
      Math.max(10, Math.min(TICK_MS_MAX, helloMsMax / 4, idleMsMax / 4)),
    );
  }

  /**
   * Listens. Rejects with the system's error, or with DEPENDENCY_MISSING.
   * @param clock milliseconds of a monotonic clock, by which peers are silent; requests have the system's
   */
  static async open(settings: WebSettings, node: FrontNode, clock = () => performance.now()): Promise<Front> {
    const front = new Front(settings, node, clock);
    try {
      front.#websockets = new WebSocketPeers(await loadWebSocket(), front.peers);
      const library = settings.webrtc ? await loadDataChannel() : undefined;
      for (let picks = 1; ; picks++) {
        await front.#listen();
        if (library === undefined) return front;
        try {
          const { iceServers, listen } = settings;
          const place = { host: listen.host, port: front.address.port };
          front.#webrtc = new WebRtcPeers(library, front.peers, place, iceServers);
          return front;
        } catch (error) {
          if (settings.listen.port !== 0 || picks === PICKS_MAX)
            throw Object.assign(new Error(`UDP port: ${(error as Error).message}`), { code: 'EADDRINUSE' });
          await new Promise((resolve) => front.#server.close(resolve));
        }
      }
    } catch (error) {
      clearInterval(front.#timer);
      front.#server.close();
      throw error;
    }
  }

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...this.#settings.listen }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', () => {});
    const { address: host, port } = this.#server.address() as AddressInfo;
    this.address = { host, port };
  }

  // --- requests ---

  /** Those that say nothing yet count too, so that one address leaves room for the requests of others. */
  #accept(socket: Socket): void {
    const address = socket.remoteAddress;
    if (address === undefined || !this.#addresses.add(address)) {
      this.counts.refusedAddress++;
      socket.destroy();
      return;
    }
    this.connections++;
    socket.once('close', () => {
      this.connections--;
      this.#addresses.release(address);
    });
  }

  #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => {});
    const protocols = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
    if (request.url !== '/') this.#refuseUpgrade(stream, 'refusedRequest', '404 Not Found');
    else if (!this.#isAllowed(request.headers.origin)) this.#refuseUpgrade(stream, 'refusedOrigin', '403 Forbidden');
    else if (!protocols.includes(WEB_PROTOCOL)) this.#refuseUpgrade(stream, 'refusedRequest', '400 Bad Request');
    else if (!this.#websockets.upgrade(request, stream, head)) refuse(stream, '503 Service Unavailable');
  }

  #refuseUpgrade(stream: Duplex, reason: 'refusedRequest' | 'refusedOrigin', status: string): void {
    this.counts[reason]++;
    refuse(stream, status);
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { origin } = request.headers;
    response.on('error', () => {});
    response.setHeader('connection', 'close');
    if (request.url !== OFFER_PATH || this.#webrtc === undefined) return this.#reply(response, 404, 'refusedRequest');
    if (!this.#isAllowed(origin)) return this.#reply(response, 403, 'refusedOrigin');
    if (origin !== undefined) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'origin');
    }
    if (request.method === 'OPTIONS') {
      response.setHeader('access-control-allow-methods', 'POST');
      response.setHeader('access-control-allow-headers', 'content-type');
      response.setHeader('access-control-max-age', '600');
      return this.#reply(response, 204);
    }
    if (request.method !== 'POST') return this.#reply(response, 405, 'refusedRequest');
    if (request.headers['content-type'] !== SDP_TYPE) return this.#reply(response, 415, 'refusedRequest');
    const address = request.socket.remoteAddress ?? '';
    if (!this.#rate.pass(address, this.#clock())) {
      response.setHeader('retry-after', '1');
      return this.#reply(response, 429, 'refusedRate');
    }
    const offer = await bodyOf(request);
    if (offer === undefined) return this.#reply(response, 413, 'refusedRequest');
    const answer = await this.#webrtc.answer(offer, address);
    if (answer === 'full') return this.#reply(response, 503);
    if (answer === 'unsound') return this.#reply(response, 400);
    response.setHeader('content-type', SDP_TYPE);
    response.end(answer);
  }

  #reply(response: ServerResponse, status: number, reason?: keyof WebCounts): void {
    if (reason !== undefined) this.counts[reason]++;
    response.statusCode = status;
    response.end();
  }

  /** A program sends no Origin and may claim any, so the list holds for pages of browsers only. */
  #isAllowed(origin: string | undefined): boolean {
    const { origins } = this.#settings;
    return origin === undefined || origins.includes(origin) || origins.includes('*');
  }

  // --- end ---

  stopReceiving(): void {
    this.#server.close();
    this.peers.stopReceiving();
  }

  /** Sends what it was given, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#webrtc?.close();
    // It calls back once the last connection has ended.
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.peers.close();
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS_MAX);
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 2 * CLOSE_MS_MAX).unref())]);
    clearTimeout(timer);
  }
}

/** And ends the connection: no time-out of the server holds for one that asked for an upgrade. */
function refuse(stream: Duplex, status: string): void {
  stream.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => stream.destroy());
}

/** Undefined where it is too long, or does not come to its end. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request) {
      length += (chunk as Buffer).length;
      if (length > OFFER_BYTES_MAX) return undefined;
      chunks.push(chunk as Buffer);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/**
 * Passes a paid request on to the gateway of the node that holds its channel, and the answer back. Main thread.
 *
 * In a cluster a charge is made at the channel's holder alone. So the whole request goes there, after this gateway has found that
 * the channel is elsewhere and before it has charged anything or read of the body: the holder charges, asks the service and
 * answers, all in one place. It goes once: a holder that does not hold the channel either answers 503. It goes only where the
 * cluster's own map says that the holder's gateway is, over TLS with certificates of the cluster on both sides, or plainly on
 * this machine. Both bodies stream, whoever is slow holds the other up, and who goes takes the exchange with it.
 */
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
  type ServerResponse,
} from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { isIP } from 'node:net';
import { pipeline } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { decodeSessionToken, SESSION_SCHEME } from '../../protocol/session.ts';
import { defaultChannelId } from '../channel/parse.ts';
import type { NodeControl } from '../control/node-control.ts';
import { type HostPort, isLoopback, parseHostPort } from '../host-port.ts';
import type { Answers } from './answers.ts';
import type { GatewayCounters } from './counters.ts';
import { framing, HOP_HEADER, hopRequestHeaders, hopResponseHeaders } from './headers.ts';
import { credentialOf, parseCredential } from './scheme.ts';
import { parsePayload } from './voucher.ts';

/** As a node names its gateway among its places. */
const SCHEMES = ['gateway+https://', 'gateway+http://'] as const;
const HEADER_BYTES_MAX = 32 << 10;
/** What a client may go on sending after an answer that did not wait for its body. */
const LINGER_MS = 1_000;

const UNSENT = 'the node that holds this channel does not answer; nothing was charged, try again shortly';
const UNKNOWN = 'the node that holds this channel broke off; whether this was charged is not known';

/** How a gateway of a cluster reaches the others. */
export interface GatewayPeers {
  /** PEM. Both sides show a certificate that this authority has signed; it is to be the cluster's own. */
  tls?: { ca: string; cert: string; key: string } | undefined;
  /** Passes requests on to other machines without TLS: for a network that nobody else can reach. */
  isPlain?: boolean | undefined;
}

/** Bounds of the connections to other gateways. */
export interface ForwardingLimits {
  /** Sockets to each of them. Requests beyond wait for one. */
  socketsMax: number;
  /** For a connection, with its certificates. */
  connectMs: number;
  /** How long the other gateway may be silent: longer than it lets the service be. */
  silenceMs: number;
}

const LIMITS: ForwardingLimits = { socketsMax: 256, connectMs: 2_000, silenceMs: 70_000 };

export interface ForwarderParts {
  node: Pick<NodeControl, 'holderOf'>;
  peers: GatewayPeers;
  answers: Pick<Answers, 'busy' | 'plain'>;
  counters: Pick<GatewayCounters, 'forwarded' | 'forwardFailed'>;
}

/**
 * `unsent`: the holder has got nothing of the request. `unknown`: it has, and there is no answer. `answered` and `cut`: the client
 * has an answer, or a part of it. `gone`: the client went.
 */
type Passed = 'unsent' | 'unknown' | 'answered' | 'cut' | 'gone';

type Place = HostPort & { isTls: boolean };

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** The client sends its body when it is told to: then the holder says when. */
  expectsGo: boolean;
}

export class GatewayForwarder {
  readonly #parts: ForwarderParts;
  readonly #limits: ForwardingLimits;
  readonly #plain: Agent;
  readonly #tls: TlsAgent | undefined;

  constructor(parts: ForwarderParts, limits: Partial<ForwardingLimits> = {}) {
    const { tls } = parts.peers;
    this.#parts = parts;
    this.#limits = { ...LIMITS, ...limits };
    // A kept connection goes before the other side would close it: what is sent on it must not be sent twice.
    const options = { keepAlive: true, maxSockets: this.#limits.socketsMax, maxFreeSockets: this.#limits.socketsMax };
    this.#plain = new Agent(options);
    if (tls !== undefined)
      this.#tls = new TlsAgent({ ...options, ...tls, minVersion: 'TLSv1.3', rejectUnauthorized: true });
  }

  close(): void {
    this.#plain.destroy();
    this.#tls?.destroy();
  }

  /** Answers a request whose channel another node holds, after nothing was charged here. False where its gateway cannot be asked. */
  async forward(exchange: Exchange): Promise<boolean> {
    const { answers, counters } = this.#parts;
    const { request, response } = exchange;
    const place = this.#holderOf(request);
    if (place === undefined) return false;
    counters.forwarded++;
    const passed = await this.#pass(exchange, place);
    if (passed !== 'answered') counters.forwardFailed++;
    if (passed === 'unsent') answers.busy(request, response, UNSENT);
    if (passed === 'unknown') answers.plain(request, response, 502, UNKNOWN);
    return true;
  }

  /** Where the request's channel is held, if that can be asked. */
  #holderOf(request: IncomingMessage): Place | undefined {
    if (request.headers[HOP_HEADER] !== undefined) return undefined;
    const channelId = channelOf(request.headers.authorization);
    const holder = channelId === undefined ? undefined : this.#parts.node.holderOf?.(channelId);
    return holder && this.#placeOf(holder.places);
  }

  /** Never rejects. The client has got nothing where the answer is `unsent` or `unknown`. */
  #pass(exchange: Exchange, place: Place): Promise<Passed> {
    const { request, response, expectsGo } = exchange;
    return new Promise((resolve) => {
      let hasHead = false;
      let isConnected = false;
      const outgoing = this.#open(request, place, expectsGo);
      const end = (passed: Passed) => {
        clearTimeout(late);
        response.off('close', onGone);
        resolve(passed);
      };
      const onGone = () => {
        if (response.writableFinished) return;
        end('gone');
        outgoing.destroy();
      };
      const late = setTimeout(() => !isConnected && outgoing.destroy(), this.#limits.connectMs);
      response.once('close', onGone);
      outgoing.on('socket', (socket) => {
        const up = () => {
          isConnected = true;
          clearTimeout(late);
        };
        // One that another request has done with is up already.
        if (place.isTls ? (socket as TLSSocket).authorized : !socket.connecting) up();
        else socket.once(place.isTls ? 'secureConnect' : 'connect', up);
      });
      outgoing.on('timeout', () => outgoing.destroy());
      outgoing.on('continue', () => {
        response.writeContinue();
        request.pipe(outgoing);
      });
      outgoing.on('response', (incoming) => {
        hasHead = true;
        void copy(incoming, request, response).then((passed) => {
          if (passed !== 'answered') outgoing.destroy();
          end(passed);
        });
      });
      outgoing.on('error', () => {});
      outgoing.on('close', () => {
        request.unpipe(outgoing);
        if (!hasHead) end(isConnected ? 'unknown' : 'unsent');
      });
    });
  }

  /** Over TLS where this gateway has a certificate for that, else on this machine. */
  #placeOf(places: readonly string[]): Place | undefined {
    for (const scheme of SCHEMES)
      for (const text of places) {
        const place = text.startsWith(scheme) ? parseHostPort(text.slice(scheme.length)) : undefined;
        if (place === undefined || place.port === 0) continue;
        const isTls = scheme === SCHEMES[0];
        if (isTls ? this.#tls !== undefined : this.#parts.peers.isPlain === true || isLoopback(place.host))
          return { ...place, isTls };
      }
    return undefined;
  }

  #open(request: IncomingMessage, { host, port, isTls }: Place, expectsGo: boolean): ClientRequest {
    const frame = framing(request.headers);
    const earlier = request.headers['x-forwarded-for'];
    const from = request.socket.remoteAddress ?? 'unknown';
    const options = {
      host,
      port,
      method: request.method!,
      path: request.url!,
      headers: [
        ...['host', request.headers.host ?? host, 'connection', 'keep-alive'],
        ...frame,
        ...hopRequestHeaders(request.rawHeaders, request.headers.connection),
        ...['x-forwarded-for', earlier === undefined ? from : `${earlier}, ${from}`, HOP_HEADER, '1'],
        ...(expectsGo ? ['expect', '100-continue'] : []),
      ],
      maxHeaderSize: HEADER_BYTES_MAX,
      timeout: this.#limits.silenceMs,
    };
    // Without a name of its own it would take that of the Host header, and check the certificate for that.
    const servername = isIP(host) === 0 ? host : '';
    const outgoing = isTls
      ? requestTls({ ...options, agent: this.#tls!, servername })
      : requestHttp({ ...options, agent: this.#plain });
    if (expectsGo) outgoing.flushHeaders();
    else if (frame.length === 0) outgoing.end();
    else request.pipe(outgoing);
    return outgoing;
  }
}

/** Passes an answer on as it comes. One that breaks off breaks off here too: who reads on must not take the part for the whole. */
function copy(incoming: IncomingMessage, request: IncomingMessage, response: ServerResponse): Promise<Passed> {
  const hasMore = !request.complete && framing(request.headers).length > 0;
  const headers = hopResponseHeaders(incoming.rawHeaders, incoming.headers.connection);
  if (hasMore) {
    headers.push('Connection', 'close');
    response.on('finish', () => {
      request.resume();
      setTimeout(() => request.socket.destroy(), LINGER_MS).unref();
    });
  }
  return new Promise((resolve) => {
    try {
      response.writeHead(incoming.statusCode!, headers);
    } catch {
      // A status or a header that nobody may send.
      incoming.resume();
      response.destroy();
      return resolve('cut');
    }
    pipeline(incoming, response, (error) => {
      if (error) response.destroy();
      resolve(error ? 'cut' : 'answered');
    });
  });
}

/** The handle of the channel by which an Authorization pays; undefined where it says none. */
function channelOf(authorization: string | undefined): bigint | undefined {
  const credential = credentialOf(authorization, 'Payment');
  if (credential !== undefined) {
    const parsed = parseCredential(credential);
    const payload = typeof parsed === 'string' ? parsed : parsePayload(parsed.payload);
    return typeof payload === 'string' || payload.action === 'open' ? undefined : payload.handle;
  }
  const text = credentialOf(authorization, SESSION_SCHEME);
  const token = text === undefined ? undefined : decodeSessionToken(Buffer.from(text, 'base64url'));
  return token && defaultChannelId(token.ledgerChannelId);
}

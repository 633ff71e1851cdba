/**
 * Passes a request about one channel on to the node that holds the channel, and the answer back. Main thread.
 *
 * A request is passed on after it was refused as MOVED, so that nothing of it was done here, and once: the holder answers 421
 * where it does not hold the channel either. It goes only where the cluster's own map says that the holder is, over TLS with
 * certificates of the cluster on both sides, or plainly on this machine. The holder judges the caller's token by itself.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp, type ServerResponse } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP } from 'node:net';
import { pipeline } from 'node:stream';
import type { NodeControl } from '../control/node-control.ts';
import { isAuthorized } from '../control/token.ts';
import { ClaimwireError } from '../errors.ts';
import { type HostPort, hostPortText, isLoopback, parseHostPort } from '../host-port.ts';
import type { Hold, Holds } from './holds.ts';
import { keptBodyOf } from './message.ts';
import type { Call, Route } from './route.ts';

/** A request that has it was passed on by a node. */
export const HOP_HEADER = 'claimwire-forwarded';
/** A request keeps what its holder needs of these; an answer what its client needs of those. */
const REQUEST_HEADERS = ['content-type', 'authorization', 'traceparent'];
const ANSWER_HEADERS = [
  'content-type',
  'content-length',
  'cache-control',
  'x-content-type-options',
  'www-authenticate',
  'retry-after',
];
const HEADER_BYTES_MAX = 8 << 10;
/** Rows are below 1 KB; the longest answer is that of a redemption that waits for days. */
const ANSWER_BYTES_MAX = 1 << 20;

/** How a node of a cluster reaches the others, and lets them in. */
export interface PeerSettings {
  /** Where requests of other nodes come in over TLS, beside the admin interface. Needs `tls`. */
  listen?: HostPort | undefined;
  /** PEM. Both sides show a certificate that this authority has signed; it is to be the cluster's own. */
  tls?: { ca: string; cert: string; key: string } | undefined;
  /** Passes requests on to other machines without TLS: for a network that nobody else can reach. */
  isPlain?: boolean | undefined;
  /** A token of scope admin that all nodes of the cluster take: 64 hex digits. */
  token?: string | undefined;
}

/** How long the holder may take, milliseconds. */
export interface ForwardingLimits {
  /** For the connection, with its certificates. */
  connectMs: number;
  /** For each part of an answer. */
  silenceMs: number;
  /** The same where the request may wait: a minute at most, and a sign of life comes sooner. */
  holdSilenceMs: number;
}

const LIMITS: ForwardingLimits = { connectMs: 2_000, silenceMs: 10_000, holdSilenceMs: 65_000 };

interface ForwarderParts {
  control: Pick<NodeControl, 'holderOf'>;
  /** The node's own token, which no other node is shown. */
  ownToken: string;
  holds: Holds;
  counters: { forwarded: number; forwardFailed: number };
  settings?: PeerSettings | undefined;
  /** For tests. */
  limits?: Partial<ForwardingLimits> | undefined;
}

interface Passage {
  call: Call;
  node: string;
  place: HostPort & { isTls: boolean };
  headers: Record<string, string>;
  body: Buffer | undefined;
  silenceMs: number;
}

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #limits: ForwardingLimits;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    this.#limits = { ...LIMITS, ...parts.limits };
  }

  /**
   * Answers a request that was refused with `error`, where that is MOVED and the holder can be asked; false where the refusal
   * stands. Throws MOVED where another token is needed, NODE_UNREACHABLE where the holder does not answer, NODE_BUSY, NODE_STOPPING.
   */
  async forward(call: Call, route: Route, error: unknown): Promise<boolean> {
    const { request, response } = call;
    if (!(error instanceof ClaimwireError) || error.code !== 'MOVED' || response.headersSent) return false;
    if (request.headers[HOP_HEADER] !== undefined) return false;
    const body = keptBodyOf(request);
    if (route.takesBody && body === undefined) return false;
    const holder = this.#parts.control.holderOf?.(BigInt(String(error.details.channelId ?? -1)));
    const place = holder && this.#placeOf(holder.places);
    if (holder === undefined || place === undefined) return false;
    const headers = this.#headers(request, route, error);
    const silenceMs = route.mayWait === true ? this.#limits.holdSilenceMs : this.#limits.silenceMs;
    await this.#pass({ call, node: holder.node, place, headers, body, silenceMs });
    return true;
  }

  /** Where to ask the holder: over TLS where this node has a certificate for that, else on this machine. */
  #placeOf(places: readonly string[]): (HostPort & { isTls: boolean }) | undefined {
    const { tls, isPlain = false } = this.#parts.settings ?? {};
    for (const scheme of ['https://', 'http://'])
      for (const text of places) {
        const place = text.startsWith(scheme) ? parseHostPort(text.slice(scheme.length)) : undefined;
        if (place === undefined || place.port === 0) continue;
        const isTls = scheme === 'https://';
        if (isTls ? tls !== undefined : isPlain || isLoopback(place.host)) return { ...place, isTls };
      }
    return undefined;
  }

  /** A node's own token never leaves it: whoever had the other node would have this one. */
  #headers(request: IncomingMessage, route: Route, moved: ClaimwireError): Record<string, string> {
    // Browsers and their tricks with names were looked at here; the holder takes this name from everybody.
    const headers: Record<string, string> = { host: 'localhost', connection: 'close', [HOP_HEADER]: '1' };
    for (const name of REQUEST_HEADERS) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    if (!isAuthorized(headers.authorization, this.#parts.ownToken)) return headers;
    if (route.scope !== undefined)
      throw new ClaimwireError(
        'MOVED',
        `${moved.message}; expected a token that all nodes take, which is passed on, got this node's own; give the one of --cluster-token-file, or ask that node`,
        { ...moved.details },
      );
    delete headers.authorization;
    return headers;
  }

  async #pass(passage: Passage): Promise<void> {
    const { holds, counters } = this.#parts;
    const hold = holds.begin(passage.call);
    counters.forwarded++;
    try {
      const answer = await this.#ask(passage, hold);
      await copy(answer, passage.call.response, () => {
        if (hold.end === undefined) counters.forwardFailed++;
      });
    } catch (error) {
      if (hold.end === 'gone' || passage.call.response.headersSent) return void passage.call.response.destroy();
      counters.forwardFailed++;
      if (hold.end === 'stopping') throw hold.signal.reason;
      const { node, place } = passage;
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      throw new ClaimwireError(
        'NODE_UNREACHABLE',
        `node ${node} at ${hostPortText(place)}: expected an answer from the holder of the channel, got ${reason}; whether it did what was asked is not known: ask again`,
        { node },
        { cause: error },
      );
    } finally {
      hold.release();
    }
  }

  #ask({ call, place, headers, body, silenceMs }: Passage, { signal }: Hold): Promise<IncomingMessage> {
    const { tls } = this.#parts.settings ?? {};
    const { request, url } = call;
    const { host, port, isTls } = place;
    const options = {
      host,
      port,
      method: request.method!,
      path: url.pathname + url.search,
      headers: body === undefined ? headers : { ...headers, 'content-length': String(body.length) },
      agent: false as const,
      signal,
      timeout: silenceMs,
      maxHeaderSize: HEADER_BYTES_MAX,
    };
    return new Promise((resolve, reject) => {
      // Without a name of its own it would take that of the Host header, and check the certificate for that.
      const servername = isIP(host) === 0 ? host : '';
      const asked: ClientRequest = isTls
        ? requestTls({ ...options, ...tls, servername, minVersion: 'TLSv1.3', rejectUnauthorized: true })
        : requestHttp(options);
      const late = setTimeout(() => asked.destroy(new Error('no connection')), this.#limits.connectMs);
      asked.on('socket', (socket) => socket.once(isTls ? 'secureConnect' : 'connect', () => clearTimeout(late)));
      asked.on('timeout', () => asked.destroy(new Error(`nothing for ${silenceMs} ms`)));
      asked.on('close', () => clearTimeout(late));
      asked.on('error', reject);
      asked.on('response', resolve);
      asked.end(body);
    });
  }
}

/** Passes an answer on as it comes. One that breaks off breaks off here too, which `onBroken` is told first. */
function copy(answer: IncomingMessage, response: ServerResponse, onBroken: () => void): Promise<void> {
  const headers = ANSWER_HEADERS.flatMap((name) => {
    const value = answer.headers[name];
    return typeof value === 'string' ? [name, value] : [];
  });
  response.writeHead(answer.statusCode!, headers);
  return new Promise((resolve, reject) => {
    const bounded = (parts: AsyncIterable<Buffer>) => boundedParts(parts, onBroken);
    pipeline(answer, bounded, response, (error) => (error ? reject(error) : resolve()));
  });
}

async function* boundedParts(parts: AsyncIterable<Buffer>, onBroken: () => void): AsyncIterable<Buffer> {
  let bytes = 0;
  try {
    for await (const part of parts) {
      bytes += part.length;
      if (bytes > ANSWER_BYTES_MAX) throw new Error(`more than ${ANSWER_BYTES_MAX} bytes`);
      yield part;
    }
  } catch (error) {
    onBroken();
    throw error;
  }
}

/**
 * Passes one request on to the service behind the gateway, and its answer back: both bodies stream, whoever is slow holds the
 * other up, and who goes takes the exchange with it. Main thread.
 */
import {
  Agent,
  type ClientRequest,
  type IncomingMessage,
  request as requestHttp,
  type ServerResponse,
} from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { ClaimwireError } from '../errors.ts';
import { framing, requestHeaders, responseHeaders } from './headers.ts';

/** Bounds of the connections to the service behind a gateway. */
export interface UpstreamLimits {
  /** Sockets to the service. Requests beyond wait for one. */
  socketsMax: number;
  /** How long the service may be silent: before its answer, and in it. */
  silenceMs: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = { socketsMax: 1_024, silenceMs: 60_000 };
const HEADER_BYTES_MAX = 32 << 10;
/** A longer body is written as it is, beside its head: by then copying it costs more than the second piece. */
const STRING_BYTES_MAX = 8 << 10;

/** The head of an answer, as the client is to get it. */
export interface AnswerHead {
  status: number;
  /** Names and values in turn. */
  headers: string[];
  isEventStream: boolean;
  isEncoded: boolean;
}

export interface Forwarding {
  request: IncomingMessage;
  response: ServerResponse;
  /** Headers that the gateway adds to the request, names and values in turn. */
  headers: readonly string[];
  /** Stands for the client's own, where this request has a span. */
  traceparent?: string | undefined;
  /** Whether the answer must not be compressed, as its events are to be counted. */
  isPlain: boolean;
  /** The answer's first byte goes out when this resolves with true; with false it is thrown away. */
  ready?: Promise<boolean> | undefined;
  /** Called with the answer's head; writes it. The body is piped afterwards, unless this returns its own way to pass it. */
  onHead(head: AnswerHead): ((body: IncomingMessage) => Promise<void>) | undefined;
  /** Called with each piece of a piped body. */
  onBody?: ((chunk: Buffer) => void) | undefined;
}

/**
 * `failed`: nothing was answered, and the client has got nothing. `cut`: the answer broke off. `gone`: the client went.
 * `withheld`: there was an answer, and the client has got nothing of it.
 */
export type Outcome =
  | { kind: 'answered' | 'cut' | 'gone' | 'withheld' }
  | { kind: 'failed'; status: 502 | 504; reason: string };

export class Upstream {
  readonly #url: URL;
  readonly #base: string;
  readonly #limits: UpstreamLimits;
  readonly #agent: Agent;
  readonly #isTls: boolean;

  /** Throws CONFIG_INVALID where the URL is not one of http or https, without a query. */
  constructor(url: string, limits: UpstreamLimits = UPSTREAM_LIMITS) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
    if (parsed === undefined || !isHttp || parsed.search !== '' || parsed.hash !== '' || parsed.username !== '')
      throw new ClaimwireError('CONFIG_INVALID', `upstream: expected a URL like http://127.0.0.1:3000, got ${url}`, {
        setting: 'upstream',
      });
    this.#url = parsed;
    this.#base = parsed.pathname.replace(/\/$/, '');
    this.#limits = limits;
    this.#isTls = parsed.protocol === 'https:';
    const options = { keepAlive: true, maxSockets: limits.socketsMax, maxFreeSockets: limits.socketsMax };
    this.#agent = this.#isTls ? new TlsAgent(options) : new Agent(options);
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Never rejects. */
  async forward(forwarding: Forwarding): Promise<Outcome> {
    const outcome = await this.#attempt(forwarding);
    // A kept connection may end just as it is used again; what has no body and changes nothing is sent once more.
    if (outcome !== 'stale') return outcome;
    const again = await this.#attempt(forwarding);
    return again === 'stale' ? { kind: 'failed', status: 502, reason: 'the service closes its connections' } : again;
  }

  #attempt(forwarding: Forwarding): Promise<Outcome | 'stale'> {
    return new Promise((resolve) => {
      const { request, response } = forwarding;
      let hasHead = false;
      let fault: Outcome | undefined;
      const onGone = () => {
        if (response.writableFinished) return;
        fault ??= { kind: 'gone' };
        outgoing.destroy();
        // What passes the answer on ends by itself, and settles what was paid.
        if (!hasHead) resolve(fault);
      };
      const outgoing = this.#send(forwarding);
      response.once('close', onGone);
      const end = (outcome: Outcome | 'stale') => {
        response.off('close', onGone);
        resolve(fault ?? outcome);
      };
      outgoing.on('response', (incoming) => {
        hasHead = true;
        void passWhenReady(forwarding, incoming).then((outcome) => {
          if (outcome.kind !== 'answered') outgoing.destroy();
          end(outcome);
        });
      });
      outgoing.on('timeout', () => {
        if (!hasHead) fault ??= { kind: 'failed', status: 504, reason: 'the service was silent for too long' };
        outgoing.destroy();
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        if (hasHead) return;
        const hasBody = framing(request.headers).length > 0;
        const isSafe = !hasBody && (request.method === 'GET' || request.method === 'HEAD');
        if (fault === undefined && outgoing.reusedSocket && isSafe && error.code === 'ECONNRESET') return end('stale');
        end({ kind: 'failed', status: 502, reason: `the service does not answer: ${error.code ?? error.message}` });
      });
      outgoing.on('close', () => {
        if (!hasHead) end({ kind: 'failed', status: 502, reason: 'the service closed the connection' });
      });
    });
  }

  #send({ request, headers, traceparent, isPlain }: Forwarding): ClientRequest {
    const frame = framing(request.headers);
    const passed = requestHeaders(request.rawHeaders, request.headers.connection);
    const plain = isPlain ? without(passed, 'accept-encoding') : passed;
    const kept = traceparent === undefined ? plain : [...without(plain, 'traceparent'), 'traceparent', traceparent];
    const earlier = request.headers['x-forwarded-for'];
    const from = request.socket.remoteAddress ?? 'unknown';
    const outgoing = (this.#isTls ? requestTls : requestHttp)({
      agent: this.#agent,
      host: this.#url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: this.#url.port === '' ? (this.#isTls ? 443 : 80) : Number(this.#url.port),
      method: request.method!,
      path: this.#base + request.url!,
      headers: [
        ...['host', this.#url.host, 'connection', 'keep-alive'],
        ...frame,
        ...kept,
        ...headers,
        ...['x-forwarded-for', earlier === undefined ? from : `${earlier}, ${from}`],
      ],
      maxHeaderSize: HEADER_BYTES_MAX,
      timeout: this.#limits.silenceMs,
    });
    if (frame.length === 0) outgoing.end();
    else request.pipe(outgoing);
    return outgoing;
  }
}

function without(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]!.toLowerCase() !== name);
}

async function passWhenReady(forwarding: Forwarding, incoming: IncomingMessage): Promise<Outcome> {
  const { ready, response } = forwarding;
  if (ready === undefined) return pass(forwarding, incoming);
  incoming.on('error', () => {});
  if (!(await ready)) return { kind: 'withheld' };
  if (response.destroyed) return { kind: 'gone' };
  if (!incoming.destroyed) return pass(forwarding, incoming);
  response.destroy();
  return { kind: 'cut' };
}

/** Passes the answer on. Resolves when the client has it all, or when that can not be. */
async function pass(forwarding: Forwarding, incoming: IncomingMessage): Promise<Outcome> {
  const { response, onHead, onBody } = forwarding;
  let own: ((body: IncomingMessage) => Promise<void>) | undefined;
  try {
    own = onHead({
      status: incoming.statusCode!,
      headers: responseHeaders(incoming.rawHeaders, incoming.headers.connection),
      isEventStream: /^text\/event-stream\b/i.test(incoming.headers['content-type'] ?? ''),
      isEncoded: incoming.headers['content-encoding'] !== undefined,
    });
  } catch (error) {
    // A status or a header that nobody may send.
    incoming.on('error', () => {});
    return {
      kind: 'failed',
      status: 502,
      reason: `the service's answer can not be passed on: ${(error as Error).message}`,
    };
  }
  if (own !== undefined) {
    try {
      await own(incoming);
      return { kind: incoming.complete || response.writableEnded ? 'answered' : 'cut' };
    } catch {
      response.destroy();
      return { kind: 'cut' };
    }
  }
  if (incoming.complete) return passWhole(forwarding, incoming);
  return new Promise((resolve) => {
    if (onBody !== undefined) incoming.on('data', onBody);
    const onCut = () => {
      // Who reads on must not take the part for the whole.
      response.destroy();
      resolve({ kind: 'cut' });
    };
    incoming.on('error', onCut);
    incoming.on('aborted', onCut);
    response.on('finish', () => resolve({ kind: 'answered' }));
    response.on('close', () => resolve({ kind: 'cut' }));
    incoming.pipe(response);
  });
}

/** The answer was held until all of it was here, so that one write passes it on; a pipe would take a dozen listeners. */
function passWhole({ response, onBody }: Forwarding, incoming: IncomingMessage): Promise<Outcome> {
  const body: Buffer | null = incoming.read();
  if (body !== null) onBody?.(body);
  return new Promise((resolve) => {
    response.on('close', () => resolve({ kind: response.writableFinished ? 'answered' : 'cut' }));
    if (body === null) response.end();
    // As the head is a string too, both are one.
    else if (body.length <= STRING_BYTES_MAX) response.end(body.toString('latin1'), 'latin1');
    else response.end(body);
  });
}

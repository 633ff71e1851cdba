/**
 * Requests to a node's HTTP interface: the token from its file where it is needed, and the node's errors with their codes.
 * Main thread of a tool's or a service's process.
 */
import { setImmediate } from 'node:timers/promises';
import { readToken } from '../control/token.ts';
import { ClaimwireError, ERROR_CODES, type ErrorCode } from '../errors.ts';
import { isLoopback, parseHostPort } from '../host-port.ts';

/** Time until the answer begins; an import's request opens some 70,000 channels, and no long poll takes more than a minute. */
const ANSWER_MS_MAX = 120_000;

/** A client may hold several connections that the node has closed. */
const ATTEMPTS_MAX = 3;

/** Where an AdminClient finds its node and the token that it presents. */
export interface AdminClientOptions {
  /** http://HOST:PORT of the node. */
  http: string;
  /** The operator's token, or one of a smaller scope. Read at the first request that needs it. */
  tokenFile: string;
  /** Requires the token for reads too: without it the node shows no signatures. */
  forSignatures?: boolean;
  /** Ends every call under way, and lets no other begin: they are rejected with its reason. */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  body?: object | undefined;
  /** Whether the route needs a token. By default all but GET do. */
  needsToken?: boolean;
  /** Whether the node may get the request twice. By default GET alone. */
  isRepeatable?: boolean;
  signal?: AbortSignal | undefined;
}

type Body = string | Uint8Array<ArrayBuffer>;

export class Requests {
  readonly #options: AdminClientOptions;
  readonly #isLocal: boolean;
  #token: string | undefined;

  /** Throws USAGE where `http` is not such a URL. Sends nothing yet. */
  constructor(options: AdminClientOptions) {
    const url = URL.canParse(options.http) ? new URL(options.http) : undefined;
    if (url?.protocol !== 'http:' || url.pathname !== '/' || url.search !== '' || url.username !== '')
      throw new ClaimwireError('USAGE', `--http: expected a URL like http://127.0.0.1:9394, got ${options.http}`);
    this.#options = { ...options, http: url.origin };
    this.#isLocal = isLoopback(parseHostPort(url.host, 80)?.host ?? '');
  }

  /** The JSON of an answer. Rejects with the node's error, or NODE_UNREACHABLE. */
  async json(method: string, path: string, body?: object, options: RequestOptions = {}): Promise<unknown> {
    const type = body instanceof Uint8Array ? 'application/x-ndjson' : 'application/json';
    const headers = body === undefined ? {} : { 'content-type': type };
    return this.body(await this.fetch(method, path, { ...options, headers, body }));
  }

  /** The JSON of an answer that has begun. */
  async body(response: Response): Promise<unknown> {
    try {
      return await response.json();
    } catch (error) {
      throw this.unreachable(error);
    }
  }

  /** An answer with a status of 200 to 299. Rejects with the node's error, NODE_UNREACHABLE, or the signal's reason. */
  async fetch(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const { body, signal, headers = {}, needsToken = method !== 'GET', isRepeatable = method === 'GET' } = options;
    this.#options.signal?.throwIfAborted();
    this.#authorize(needsToken || this.#options.forSignatures === true, headers);
    const payload = body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body);
    const send = () => this.#send(path, { method, headers, body: payload as Body | undefined }, signal);
    let response: Response | undefined;
    for (let attempt = 1; response === undefined; attempt++) {
      try {
        response = await send();
      } catch (error) {
        signal?.throwIfAborted();
        if (!isRepeatable || attempt === ATTEMPTS_MAX || !isConnectionLost(error)) throw this.unreachable(error);
      }
    }
    if (!response.ok) throw await this.#refusal(response, `${method} ${path.replace(/\?.*$/, '')}`);
    return response;
  }

  async #send(
    path: string,
    { body, ...request }: { method: string; headers: Record<string, string>; body: Body | undefined },
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    // A program that was busy for seconds sees here that the node has closed an idle connection, before it is used again.
    for (let turn = 0; turn < 2; turn++) await setImmediate();
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer in ${ANSWER_MS_MAX} ms`)), ANSWER_MS_MAX);
    const signals = [timeout.signal, signal, this.#options.signal].filter((each) => each !== undefined);
    try {
      const options = { ...request, body: body ?? null, redirect: 'error', signal: AbortSignal.any(signals) } as const;
      return await fetch(this.#options.http + path, options);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Throws the reason of the client's own signal instead, where that ended the request. */
  unreachable(error: unknown): ClaimwireError {
    this.#options.signal?.throwIfAborted();
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    const remedy = 'start one with "claimwire node" or name it with --http';
    const text = `${this.#options.http}: expected a claimwire node, got ${reason}; ${remedy}`;
    return new ClaimwireError('NODE_UNREACHABLE', text, {}, { cause: error });
  }

  /**
   * Adds the token where it is needed. To a node on this machine it is added to other requests as well if its file is
   * readable, since the node reserves connections for the token's holder.
   */
  #authorize(isRequired: boolean, headers: Record<string, string>): void {
    try {
      if (isRequired || this.#isLocal) this.#token ??= readToken(this.#options.tokenFile);
    } catch (error) {
      if (isRequired) throw error;
    }
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
  }

  async #refusal(response: Response, route: string): Promise<ClaimwireError> {
    try {
      const { code, message, ...details } = ((await response.json()) as { error: Record<string, unknown> }).error;
      if (code === 'UNAUTHORIZED')
        return new ClaimwireError(
          'UNAUTHORIZED',
          `the node did not take the token in ${this.#options.tokenFile}; name its DATA/admin-token with --token-file`,
        );
      // Every release has its own list of paths, and this client asks for paths of its own release alone.
      if (response.status === 404 && String(message).startsWith('path: '))
        return new ClaimwireError(
          'NODE_UNREACHABLE',
          `${this.#options.http}: expected a node that answers ${route}, got one without; it is of an earlier release`,
        );
      return new ClaimwireError(asCode(code), String(message), details);
    } catch {
      return this.unreachable(new Error(`HTTP status ${response.status}, not an answer of a claimwire node`));
    }
  }
}

/**
 * Whether the node closed the connection under a request. It closes one that is idle, and a program that was busy for
 * seconds sends on it before it has seen that.
 */
function isConnectionLost(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

/** A code of an answer, as one that this version knows. */
export function asCode(code: unknown): ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(code) ? (code as ErrorCode) : 'NODE_FAILED';
}

/**
 * The tools' side of the admin interface: requests with the token from its file, and the node's errors with their codes.
 * Main thread of a tool's process.
 */
import type { ChannelJson } from '../channel/parse.ts';
import type { NodeStats } from '../control/node-control.ts';
import { readToken } from '../control/token.ts';
import { ClaimwireError, ERROR_CODES, type ErrorCode } from '../errors.ts';
import { isLoopback, parseHostPort } from '../host-port.ts';
import { REFUSED_MAX } from '../registry/import-lines.ts';
import { type BulkResult, emptyResult, REFUSED_LISTED_MAX } from './bulk.ts';
import type { RemovalJson } from './channels.ts';
import { blocksOf, NEWLINE } from './import-blocks.ts';
import { NEXT_FROM_HEADER } from './listing.ts';
import { JSON_BYTES_MAX } from './message.ts';

const REMOVALS_PER_REQUEST = 5_000;
/** Time until the answer begins; an import's request opens some 70,000 channels. */
const ANSWER_MS_MAX = 120_000;
/** Rows of a page: some 4 MB. */
const PAGE_ROWS = 10_000;

/** Where an AdminClient finds its node and the node's token. */
export interface AdminClientOptions {
  /** http://HOST:PORT of the node. */
  http: string;
  /** Read at the first request that changes something. */
  tokenFile: string;
  /** Requires the token for reads too: without it the node shows no signatures. */
  forSignatures?: boolean;
  /** Ends every call under way, and lets no other begin: they are rejected with its reason. */
  signal?: AbortSignal | undefined;
}

type OpeningOption = 'profile' | 'expiresAt' | 'channelId' | 'throwAway';
/** The body of POST /channels. Amounts in drops. */
export type OpeningJson = Pick<ChannelJson, 'ledgerChannelId' | 'publicKey' | 'capacity'> &
  Partial<Pick<ChannelJson, OpeningOption>>;

/** An operator's client of a node's admin interface. Every call rejects with ClaimwireError: the node's own code, or NODE_UNREACHABLE. */
export class AdminClient {
  readonly #options: AdminClientOptions;
  readonly #isLocal: boolean;
  #token: string | undefined;

  private constructor(options: AdminClientOptions) {
    this.#options = options;
    this.#isLocal = isLoopback(parseHostPort(new URL(options.http).host, 80)?.host ?? '');
  }

  /** Throws USAGE where `http` is not such a URL. Sends nothing yet. */
  static open(options: AdminClientOptions): AdminClient {
    const url = URL.canParse(options.http) ? new URL(options.http) : undefined;
    if (url?.protocol !== 'http:' || url.pathname !== '/' || url.search !== '' || url.username !== '')
      throw new ClaimwireError('USAGE', `--http: expected a URL like http://127.0.0.1:9394, got ${options.http}`);
    return new AdminClient({ ...options, http: url.origin });
  }

  /** Opens one channel, or finds it open with the same parameters. */
  async openChannel(opening: OpeningJson): Promise<ChannelJson> {
    return (await this.#json('POST', '/channels', opening)) as ChannelJson;
  }

  /** Opens some (up to a few thousand, as JSON); throws the first refusal if there is one. */
  async openChannels(openings: readonly OpeningJson[]): Promise<BulkResult> {
    if (JSON.stringify(openings).length > JSON_BYTES_MAX)
      throw new ClaimwireError('INPUT_INVALID', 'openings: expected at most 1 MiB of them; importChannels takes more');
    const result = (await this.#json('POST', '/channels', openings)) as BulkResult;
    const [refusal] = result.refused;
    if (refusal === undefined) return result;
    throw new ClaimwireError(asCode(refusal.code), refusal.message, { ...result });
  }

  /**
   * Opens any number of channels, request by request: those of an NDJSON file, or openings that are given one by one, of which
   * a request's worth is in memory. After each request `progress` gets the total and the bytes sent so far. It stops after
   * REFUSED_MAX refused ones, as one request does. A refusal's line is the opening's number, from 1.
   * @param source a path, or openings, which may come as they are made
   */
  async importChannels(
    source: string | Iterable<OpeningJson> | AsyncIterable<OpeningJson>,
    progress: (total: BulkResult, bytes: number) => void = () => {},
  ): Promise<BulkResult> {
    const total = emptyResult();
    let lines = 0;
    let bytes = 0;
    for await (const block of blocksOf(source)) {
      bytes += block.length;
      const result = (await this.#json('POST', '/channels', block)) as BulkResult;
      total.opened += result.opened;
      total.unchanged += result.unchanged;
      total.refusedCount += result.refusedCount;
      for (const refusal of result.refused.slice(0, REFUSED_LISTED_MAX - total.refused.length))
        total.refused.push({ ...refusal, line: refusal.line + lines });
      if (result.stoppedAt !== null) total.stoppedAt = result.stoppedAt + lines;
      for (let at = block.indexOf(NEWLINE); at >= 0; at = block.indexOf(NEWLINE, at + 1)) lines++;
      if (total.refusedCount >= REFUSED_MAX) total.stoppedAt ??= lines;
      progress(total, bytes);
      if (total.stoppedAt !== null) break;
    }
    return total;
  }

  /** @param id u64 handle in decimal, or ledger channel id in hex */
  /** The channel of this handle. Rejects with CHANNEL_UNKNOWN. */
  async channel(id: string): Promise<ChannelJson> {
    return (await this.#json('GET', `/channels/${encodeURIComponent(id)}`)) as ChannelJson;
  }

  /** All channels in the order of opening, read page by page, so that a slow reader keeps no answer open in the node. */
  async *channels(state?: string): AsyncGenerator<ChannelJson> {
    const query = state === undefined ? '' : `&state=${encodeURIComponent(state)}`;
    for (let from: string | null = '0'; from !== null; ) {
      const response = await this.#fetch('GET', `/channels?from=${from}&limit=${PAGE_ROWS}${query}`, {});
      from = response.headers.get(NEXT_FROM_HEADER);
      yield* (await this.#body(response)) as ChannelJson[];
    }
  }

  /** Changes capacity (drops) or expiry (ISO 8601, null for never); the channel afterwards. */
  async updateChannel(id: string, change: { capacity?: string; expiresAt?: string | null }): Promise<ChannelJson> {
    return (await this.#json('PATCH', `/channels/${encodeURIComponent(id)}`, change)) as ChannelJson;
  }

  /** Closes it for good: it takes no more claims. Its best claim stays. */
  async closeChannel(id: string): Promise<ChannelJson> {
    return (await this.#json('DELETE', `/channels/${encodeURIComponent(id)}`)) as ChannelJson;
  }

  /** Removes channels, some thousands in each request, which is one commit of the node. */
  async removeChannels(ids: readonly string[], force = false): Promise<RemovalJson> {
    const total: RemovalJson = { removed: 0, refusedCount: 0, refused: [] };
    for (let first = 0; first < ids.length; first += REMOVALS_PER_REQUEST) {
      const some = ids.slice(first, first + REMOVALS_PER_REQUEST);
      const result = (await this.#json('POST', '/channels/remove', { ids: some, force })) as RemovalJson;
      total.removed += result.removed;
      total.refusedCount += result.refusedCount;
      total.refused.push(...result.refused.slice(0, REFUSED_LISTED_MAX - total.refused.length));
    }
    return total;
  }

  /** What the node runs with and has counted. */
  async stats(): Promise<NodeStats> {
    return (await this.#json('GET', '/stats')) as NodeStats;
  }

  async #json(method: string, path: string, body?: object): Promise<unknown> {
    const type = body instanceof Uint8Array ? 'application/x-ndjson' : 'application/json';
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': type };
    return this.#body(await this.#fetch(method, path, headers, body));
  }

  async #body(response: Response): Promise<unknown> {
    try {
      return await response.json();
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #fetch(method: string, path: string, headers: Record<string, string>, body?: object): Promise<Response> {
    this.#options.signal?.throwIfAborted();
    this.#authorize(method, headers);
    const payload = body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body);
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer in ${ANSWER_MS_MAX} ms`)), ANSWER_MS_MAX);
    let response: Response;
    try {
      response = await fetch(this.#options.http + path, {
        method,
        headers,
        body: (payload as string | Uint8Array<ArrayBuffer> | undefined) ?? null,
        redirect: 'error',
        signal: AbortSignal.any([
          timeout.signal,
          ...(this.#options.signal === undefined ? [] : [this.#options.signal]),
        ]),
      });
    } catch (error) {
      throw this.#unreachable(error);
    } finally {
      clearTimeout(timer);
    }
    if (!response.ok) throw await this.#refusal(response);
    return response;
  }

  /**
   * Adds the token where it is needed: for changes and signatures. To a node on this machine it is added to other reads
   * as well if its file is readable, since the node reserves connections for the token's holder.
   */
  #authorize(method: string, headers: Record<string, string>): void {
    const isRequired = method !== 'GET' || this.#options.forSignatures;
    try {
      if (isRequired || this.#isLocal) this.#token ??= readToken(this.#options.tokenFile);
    } catch (error) {
      if (isRequired) throw error;
    }
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
  }

  async #refusal(response: Response): Promise<ClaimwireError> {
    try {
      const { code, message, ...details } = ((await response.json()) as { error: Record<string, unknown> }).error;
      if (code === 'UNAUTHORIZED')
        return new ClaimwireError(
          'UNAUTHORIZED',
          `the node did not take the token in ${this.#options.tokenFile}; name its DATA/admin-token with --token-file`,
        );
      return new ClaimwireError(asCode(code), String(message), details);
    } catch {
      return this.#unreachable(new Error(`HTTP status ${response.status}, not an answer of a claimwire node`));
    }
  }

  /** Throws the reason of the caller's signal instead, where that ended the request. */
  #unreachable(error: unknown): ClaimwireError {
    this.#options.signal?.throwIfAborted();
    const { message, cause } = error as Error;
    const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    const remedy = 'start one with "claimwire node" or name it with --http';
    const text = `${this.#options.http}: expected a claimwire node, got ${reason}; ${remedy}`;
    return new ClaimwireError('NODE_UNREACHABLE', text, {}, { cause: error });
  }
}

function asCode(code: unknown): ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(code) ? (code as ErrorCode) : 'NODE_FAILED';
}

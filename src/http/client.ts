/**
 * The tools' and services' side of the HTTP interface: a method for each route. Main thread of their process.
 */

import type { Receipt } from '../../protocol/receipt.ts';
import type { LeafProofJson } from '../channel/leaf-proof.ts';
import type { ChannelJson } from '../channel/parse.ts';
import type { ClusterFigures } from '../control/cluster-control.ts';
import type { NodeProfile, TracedClaim, TraceSummary } from '../control/inspect-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Sample } from '../metrics/sample.ts';
import { REFUSED_MAX } from '../registry/import-lines.ts';
import { type BulkResult, emptyResult, REFUSED_LISTED_MAX } from './bulk.ts';
import type { RemovalJson } from './channels.ts';
import type { ChargeItemJson, ChargeJson } from './charges.ts';
import type { SubmitJson } from './claims.ts';
import type { ClusterRequestJson } from './cluster.ts';
import type { EventsOptions } from './event-follower.ts';
import { type CommittedJson, readEvents, readObjects } from './event-reader.ts';
import { blocksOf, NEWLINE } from './import-blocks.ts';
import type { RowJson } from './ledger.ts';
import { NEXT_FROM_HEADER } from './listing.ts';
import { JSON_BYTES_MAX } from './message.ts';
import type { RedemptionJson, RedemptionResultJson } from './redemptions.ts';
import { type AdminClientOptions, asCode, type RequestOptions, Requests } from './requests.ts';

const REMOVALS_PER_REQUEST = 5_000;
/** A long poll at a time: shorter than what proxies bear. */
const POLL_MS = 30_000;
/** Rows of a page: some 4 MB. */
const PAGE_ROWS = 10_000;

type OpeningOption = 'profile' | 'expiresAt' | 'channelId' | 'throwAway';
/** The body of POST /channels. Amounts in drops. */
export type OpeningJson = Pick<ChannelJson, 'ledgerChannelId' | 'publicKey' | 'capacity'> &
  Partial<Pick<ChannelJson, OpeningOption>>;

/** An operator's client of a node's admin interface. Every call rejects with ClaimwireError: the node's own code, or NODE_UNREACHABLE. */
export class AdminClient {
  readonly #requests: Requests;

  private constructor(options: AdminClientOptions) {
    this.#requests = new Requests(options);
  }

  /** Throws USAGE where `http` is not such a URL. Sends nothing yet. */
  static open(options: AdminClientOptions): AdminClient {
    return new AdminClient(options);
  }

  /** Opens one channel, or finds it open with the same parameters. */
  async openChannel(opening: OpeningJson): Promise<ChannelJson> {
    return (await this.#requests.json('POST', '/channels', opening)) as ChannelJson;
  }

  /** Opens a channel with what a validated ledger says of it. The node needs --ledger. */
  async openFromLedger(ledgerChannelId: string): Promise<RowJson> {
    return (await this.#requests.json('POST', '/channels', { ledgerChannelId })) as RowJson;
  }

  /** Opens some (up to a few thousand, as JSON); throws the first refusal if there is one. */
  async openChannels(openings: readonly OpeningJson[]): Promise<BulkResult> {
    if (JSON.stringify(openings).length > JSON_BYTES_MAX)
      throw new ClaimwireError('INPUT_INVALID', 'openings: expected at most 1 MiB of them; importChannels takes more');
    const result = (await this.#requests.json('POST', '/channels', openings)) as BulkResult;
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
      const result = (await this.#requests.json('POST', '/channels', block, { isRepeatable: true })) as BulkResult;
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
  async channel(id: string): Promise<RowJson> {
    return (await this.#requests.json('GET', `/channels/${encodeURIComponent(id)}`)) as RowJson;
  }

  /**
   * A signed receipt for so many drops of a channel; by default for what is committed. Rejects with NO_RECEIPTS, RECEIPT_NOT_YET or
   * CHANNEL_UNKNOWN. Nothing of it is checked here.
   */
  async receipt(id: string, amount?: bigint): Promise<Receipt> {
    const query = amount === undefined ? '' : `?amount=${amount}`;
    return (await this.#requests.json('GET', `/channels/${encodeURIComponent(id)}/receipt${query}`)) as Receipt;
  }

  /** The proof of a channel's newest leaf. Throws where it has none. */
  async proof(id: string): Promise<LeafProofJson> {
    return (await this.#requests.json('GET', `/channels/${encodeURIComponent(id)}/proof`, undefined, {
      needsToken: true,
    })) as LeafProofJson;
  }

  /** All channels in the order of opening, read page by page, so that a slow reader keeps no answer open in the node. */
  async *channels(state?: string): AsyncGenerator<RowJson> {
    const query = state === undefined ? '' : `&state=${encodeURIComponent(state)}`;
    for (let from: string | null = '0'; from !== null; ) {
      const response = await this.#requests.fetch('GET', `/channels?from=${from}&limit=${PAGE_ROWS}${query}`);
      from = response.headers.get(NEXT_FROM_HEADER);
      yield* (await this.#requests.body(response)) as RowJson[];
    }
  }

  /** The channels with the largest exposure, of all: 200 at most. */
  async largestChannels(limit: number): Promise<RowJson[]> {
    return (await this.#requests.json('GET', `/channels?sort=exposure&limit=${limit}`)) as RowJson[];
  }

  /** Changes capacity (drops) or expiry (ISO 8601, null for never); the channel afterwards. */
  async updateChannel(id: string, change: { capacity?: string; expiresAt?: string | null }): Promise<ChannelJson> {
    return (await this.#requests.json('PATCH', `/channels/${encodeURIComponent(id)}`, change)) as ChannelJson;
  }

  /** Closes it for good: it takes no more claims. Its best claim stays. */
  async closeChannel(id: string): Promise<ChannelJson> {
    return (await this.#requests.json('DELETE', `/channels/${encodeURIComponent(id)}`)) as ChannelJson;
  }

  /** Removes channels, some thousands in each request, which is one commit of the node. */
  async removeChannels(ids: readonly string[], force = false): Promise<RemovalJson> {
    const total: RemovalJson = { removed: 0, refusedCount: 0, refused: [] };
    for (let first = 0; first < ids.length; first += REMOVALS_PER_REQUEST) {
      const some = ids.slice(first, first + REMOVALS_PER_REQUEST);
      const result = (await this.#requests.json('POST', '/channels/remove', { ids: some, force })) as RemovalJson;
      total.removed += result.removed;
      total.refusedCount += result.refusedCount;
      total.refused.push(...result.refused.slice(0, REFUSED_LISTED_MAX - total.refused.length));
    }
    return total;
  }

  /** Redeems a channel's best claim, and waits for the final result: seconds, or as long as the ledger is away. */
  async redeem(id: string, close: boolean): Promise<RedemptionResultJson> {
    const answer = (await this.#requests.json('POST', '/redemptions', { id, close })) as Record<string, unknown>;
    // After a long wait the status was sent before what went wrong.
    const { error } = answer as { error?: { code: string; message: string } };
    if (error !== undefined) throw new ClaimwireError(asCode(error.code), error.message);
    return answer as unknown as RedemptionResultJson;
  }

  /** The newest redemptions, newest first. */
  async redemptions(limit: number): Promise<RedemptionJson[]> {
    return (await this.#requests.json('GET', `/redemptions?limit=${limit}`, undefined, {
      needsToken: true,
    })) as RedemptionJson[];
  }

  /** What the node runs with and has counted. */
  async stats(): Promise<NodeStats> {
    return (await this.#requests.json('GET', '/stats')) as NodeStats;
  }

  /**
   * Charges drops on a channel; a negative amount refunds. Rejects with PAYMENT_REQUIRED, whose details say what is missing,
   * CHARGE_CONFLICT or CHANNEL_UNKNOWN. After NODE_UNREACHABLE it is not known whether the charge was made: with a key it may
   * be repeated.
   * @param options.wait how long to wait for claims that cover it, like 30s, 60s at most; by default not at all
   */
  async charge(id: string, drops: bigint | string, options: { key?: string; wait?: string } = {}): Promise<ChargeJson> {
    const body = { channelId: id, drops: String(drops), ...options };
    return (await this.#requests.json('POST', '/charge', body)) as ChargeJson;
  }

  /** Up to 5,000 charges, none of which waits: a result or an error for each, in their order. */
  async chargeMany(charges: readonly { channelId: string; drops: string; key?: string }[]): Promise<ChargeItemJson[]> {
    const { results } = (await this.#requests.json('POST', '/charges', { charges })) as { results: ChargeItemJson[] };
    return results;
  }

  /**
   * Waits until so many drops are committed on a channel. Resolves with the committed amount, or undefined after `timeoutMs`
   * (by default it waits for ever).
   */
  async wait(
    id: string,
    amount: bigint | string,
    { timeoutMs = Number.POSITIVE_INFINITY, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<string | undefined> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const ms = Math.max(1, Math.min(POLL_MS, Math.ceil(deadline - performance.now())));
      const path = `/channels/${encodeURIComponent(id)}/wait?amount=${amount}&timeout=${ms}ms`;
      const response = await this.#requests.fetch('GET', path, { needsToken: true, signal });
      if (response.status !== 204) return ((await this.#requests.body(response)) as CommittedJson).committed;
      if (performance.now() >= deadline) return undefined;
    }
  }

  /**
   * Channels whose committed amount grows, as it does. It ends when the node stops or `signal` aborts, and throws
   * NODE_UNREACHABLE where the connection breaks; amounts are cumulative, so a new call with `snapshot` misses nothing.
   * @param options.channels only these; by default all
   * @param options.snapshot tells of the present amounts first
   * @param options.onOpen called when the node has begun to answer
   */
  async *events(options: EventsOptions = {}): AsyncGenerator<CommittedJson> {
    const { channels = [], snapshot = false, signal, onOpen } = options;
    const query = new URLSearchParams();
    if (channels.length > 0) query.set('channels', channels.join(','));
    if (snapshot) query.set('snapshot', '1');
    yield* readEvents(this.#parts('GET', `/events?${query}`, { needsToken: true, signal }, onOpen));
  }

  /**
   * Looks at the node, one a second, after up to `history` of the past. It ends when the node stops or `signal` aborts, and
   * throws NODE_UNREACHABLE where the connection breaks.
   */
  async *samples(options: { history?: number; signal?: AbortSignal } = {}): AsyncGenerator<Sample> {
    const { history = 0, signal } = options;
    const parts = this.#parts('GET', `/feed?history=${history}`, { signal });
    for await (const { value } of readObjects(parts, 'sample')) yield value as Sample;
  }

  /**
   * Follows a channel's claims through the node for some seconds, 300 at most: claims as they leave their ring, and at the end
   * the summary. Needs the operator's token. Throws CHANNEL_UNKNOWN or NODE_BUSY.
   */
  async *trace(
    id: string,
    options: { seconds: number; signal?: AbortSignal },
  ): AsyncGenerator<{ claim: TracedClaim } | { summary: TraceSummary }> {
    const path = `/channels/${encodeURIComponent(id)}/trace?seconds=${options.seconds}`;
    const parts = this.#parts('GET', path, { needsToken: true, signal: options.signal });
    for await (const { name, value } of readObjects(parts, 'claim', 'summary'))
      yield name === 'claim' ? { claim: value as TracedClaim } : { summary: value as TraceSummary };
  }

  /** Asks something of a node of a cluster; it is begun when it is answered. Needs the operator's token. Throws INPUT_INVALID. */
  async cluster(request: ClusterRequestJson): Promise<ClusterFigures> {
    return (await this.#requests.json('POST', '/cluster', request)) as ClusterFigures;
  }

  /** A CPU profile of all threads of the node over some seconds, 60 at most. Needs the operator's token. Throws NODE_BUSY. */
  async profile(seconds: number): Promise<NodeProfile> {
    return (await this.#requests.json('POST', `/profile?seconds=${seconds}`)) as NodeProfile;
  }

  /**
   * What an answer that lasts brings, part by part, until `signal` aborts. The reader is cancelled here: a signal made of
   * others (AbortSignal.any), as a request's is, may be collected as garbage while its answer goes on, and then ends nothing.
   */
  async *#parts(
    method: string,
    path: string,
    options: RequestOptions,
    onOpen?: () => void,
  ): AsyncGenerator<Uint8Array> {
    const { signal } = options;
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
    const end = () => void reader?.cancel().catch(() => {});
    try {
      const response = await this.#requests.fetch(method, path, options);
      onOpen?.();
      reader = response.body!.getReader();
      signal?.addEventListener('abort', end);
      if (signal?.aborted) return;
      for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
    } catch (error) {
      if (signal?.aborted) return;
      throw error instanceof ClaimwireError ? error : this.#requests.unreachable(error);
    } finally {
      signal?.removeEventListener('abort', end);
      // Whoever leaves the loop early ends the answer too.
      end();
    }
  }

  /** Hands in a claim of 93 bytes. Needs no token. Resolves with its status: COMMITTED, ALREADY or a refusal. */
  async submit(claim: Uint8Array): Promise<SubmitJson> {
    const body = { claim: Buffer.from(claim).toString('hex') };
    return (await this.#requests.json('POST', '/claims', body, { needsToken: false })) as SubmitJson;
  }
}

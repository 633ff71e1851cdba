/**
 * GET /channels: a page as a JSON array, or all rows as NDJSON, a piece at a time. Main thread.
 *
 * A piece is made when the kernel has the one before, and none is made for a client that is gone. So a listing of any
 * length holds the memory of one piece.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { got, parseDecimal, stateAt } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import { type Access, covers, includes } from '../control/access.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import { LARGEST_MAX, Largest } from './largest.ts';
import { type Ledger, rowJson } from './ledger.ts';
import type { Call } from './route.ts';
import type { Turns } from './turns.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
/** Rows made into text before the event loop has its turn: about 0.5 ms and 45 KiB. */
const PIECE_ROWS = 128;
/** Rows of which only the state is read before the event loop has its turn: about 0.5 ms. */
const SCAN_ROWS = 512;
/** Listings under way for clients without the token. */
const LISTINGS_MAX = 16;
export const NEXT_FROM_HEADER = 'x-next-from';

/** Made once: a stack for each would cost as much as the rest of the answer, and a flood gets many. */
const BUSY = new ClaimwireError(
  'NODE_BUSY',
  `listings: expected at most ${LISTINGS_MAX} at a time, got one more; try again shortly or present the token`,
);

interface Reader {
  /** The connection has presented the operator's token, now or before. */
  isTrusted: boolean;
  /** What this request's token allows. */
  access: Access | undefined;
}

interface ListQuery extends Reader {
  /** A position in the order of opening. */
  from: number;
  limit: number;
  state: string | null;
  /** Whether the rows with the largest exposure are listed, of all channels, instead of a page in the order of opening. */
  isByExposure: boolean;
}

export class Listings {
  readonly #control: NodeControl;
  readonly #ledger: Ledger | undefined;
  readonly #turns: Turns;
  readonly #onBusy: () => void;
  #underWay = 0;

  constructor(control: NodeControl, ledger: Ledger | undefined, turns: Turns, onBusy: () => void) {
    this.#control = control;
    this.#ledger = ledger;
    this.#turns = turns;
    this.#onBusy = onBusy;
  }

  /**
   * A JSON array of `limit` rows at most from position `from`, of one `state` if asked for; the header x-next-from says where the
   * next page begins, and is absent on the last. Who accepts NDJSON gets all rows, one a line. With `sort=exposure` the rows
   * with the largest exposure come instead, of all channels. Throws 503 while too many run.
   */
  async list({ request, response, url, access, connection }: Call): Promise<void> {
    const isStream = (request.headers.accept ?? '').includes('application/x-ndjson');
    const isTrusted = connection.place === 'operator';
    const query = { ...listQuery(url), isTrusted, access };
    if (!isTrusted && this.#underWay >= LISTINGS_MAX) {
      this.#onBusy();
      throw BUSY;
    }
    if (!isTrusted) this.#underWay++;
    try {
      if (query.isByExposure) await this.#largest(query, response);
      else if (isStream) await this.#stream(query, response);
      else await this.#page(query, response);
    } finally {
      if (!isTrusted) this.#underWay--;
    }
  }

  async #stream(query: ListQuery, response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    await this.#write(query, Number.POSITIVE_INFINITY, response, (rows) => rows.map((row) => `${row}\n`).join(''));
    response.end();
  }

  async #page(query: ListQuery, response: ServerResponse): Promise<void> {
    const end = await this.#endOf(query, response);
    if (response.destroyed) return;
    const isLast = this.#control.channels(end, 1).length === 0;
    response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(isLast ? {} : { [NEXT_FROM_HEADER]: String(end) }),
    });
    let separator = '[';
    await this.#write(query, end, response, (rows) => {
      if (rows.length === 0) return '';
      const text = separator + rows.join(',');
      separator = ',';
      return text;
    });
    response.end(separator === '[' ? '[]\n' : ']\n');
  }

  /** Walks over all rows, and lists those with the largest exposure. */
  async #largest({ limit, state, isTrusted, access }: ListQuery, response: ServerResponse): Promise<void> {
    const largest = new Largest(limit, this.#ledger);
    for (let position = 0, more = true; more && !response.destroyed; )
      more = await this.#turns.piece(isTrusted, () => {
        const rows = this.#control.channels(position, PIECE_ROWS);
        const now = this.#control.ruleSeconds;
        for (const row of rows) {
          if (isListed(row, state, now)) largest.add(row, position);
          position++;
        }
        return rows.length > 0;
      });
    const rows = largest.positions.flatMap((position) => this.#control.channels(position, 1));
    const texts = rows
      .filter((row) => isListed(row, state, this.#control.ruleSeconds))
      .map((row) => this.#text(row, access));
    response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(`[${texts.join(',')}]\n`);
  }

  /** Where the page ends. The header that says so comes first, so rows of the state are counted before any is sent. */
  async #endOf({ from, limit, state, isTrusted }: ListQuery, response: ServerResponse): Promise<number> {
    if (state === null) return from + limit;
    let end = from;
    for (let found = 0, more = true; more && found < limit && !response.destroyed; )
      await this.#turns.piece(isTrusted, () => {
        const rows = this.#control.channels(end, SCAN_ROWS);
        more = rows.length > 0;
        for (const row of rows) {
          if (found >= limit) break;
          end++;
          if (isListed(row, state, this.#control.ruleSeconds)) found++;
        }
      });
    return end;
  }

  async #write(
    { from, state, isTrusted, access }: ListQuery,
    end: number,
    response: ServerResponse,
    join: (rows: string[]) => string,
  ): Promise<void> {
    // A client that is gone answers this with a reset, before the first piece is made.
    response.flushHeaders();
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    for (let position = from; position < end && !response.destroyed; ) {
      const piece = await this.#turns.piece(isTrusted, () => {
        if (response.destroyed) return undefined;
        const channels = this.#control.channels(position, Math.min(PIECE_ROWS, end - position));
        position += channels.length;
        const now = this.#control.ruleSeconds;
        const rows = channels.filter((channel) => isListed(channel, state, now));
        if (channels.length === 0) return undefined;
        return join(rows.map((channel) => this.#text(channel, access)));
      });
      if (piece === undefined) return;
      if (piece === '' || response.write(piece)) continue;
      // Where the reader goes away instead, the loop sees that the response is destroyed.
      await once(response, 'drain', { signal: closed.signal }).catch(() => {});
    }
  }

  #text(channel: Channel, access: Access | undefined): string {
    const withSignature = seesSignature(access, channel.channelId);
    return JSON.stringify(rowJson(channel, withSignature, this.#ledger, this.#control.ruleSeconds));
  }
}

/** Signatures are for holders of a token, each for the channels that it is for. */
export function seesSignature(access: Access | undefined, channelId: bigint): boolean {
  return covers(access, 'read') && includes(access!, channelId);
}

/** A removed channel's row keeps its position, and is shown to nobody. */
function isListed(channel: Channel, state: string | null, nowSeconds: number): boolean {
  return channel.state !== 'removed' && (state === null || stateAt(channel, nowSeconds) === state);
}

function listQuery(url: URL): Omit<ListQuery, keyof Reader> {
  for (const name of url.searchParams.keys())
    if (name !== 'from' && name !== 'limit' && name !== 'state' && name !== 'sort')
      throw new ClaimwireError('INPUT_INVALID', `query: expected from, limit, state or sort, got ${got(name)}`);
  const state = url.searchParams.get('state');
  if (state !== null && state !== 'open' && state !== 'expired' && state !== 'closed')
    throw new ClaimwireError('INPUT_INVALID', `state: expected open, expired or closed, got ${got(state)}`);
  const number = (name: string, byDefault: number, minimum: bigint, maximum: bigint) => {
    const text = url.searchParams.get(name);
    return text === null ? byDefault : Number(parseDecimal(text, minimum, maximum, name));
  };
  const sort = url.searchParams.get('sort');
  if (sort !== null && sort !== 'exposure')
    throw new ClaimwireError('INPUT_INVALID', `sort: expected exposure, got ${got(sort)}`);
  const isByExposure = sort !== null;
  if (isByExposure && url.searchParams.has('from'))
    throw new ClaimwireError('INPUT_INVALID', 'from: expected none with sort, which lists the largest of all channels');
  return {
    from: number('from', 0, 0n, BigInt(2 ** 32)),
    limit: number('limit', LIMIT_DEFAULT, 1n, BigInt(isByExposure ? LARGEST_MAX : LIMIT_MAX)),
    state,
    isByExposure,
  };
}

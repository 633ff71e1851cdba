/**
 * GET /channels: a page as a JSON array, or all rows as NDJSON, a piece at a time. Main thread.
 *
 * A piece is made when the one before is with the kernel, and none for a client that is gone: a listing holds one piece's
 * memory however long it is.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { channelJson, got, parseDecimal } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { NodeControl } from '../control/node-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Turns } from './turns.ts';

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
/** Rows made into text before the event loop has its turn: about 0.5 ms and 45 KiB. */
const PIECE_ROWS = 128;
/** Rows looked at for their state only: about 0.5 ms. */
const SCAN_ROWS = 512;
/** Listings under way for clients without the token. */
const LISTINGS_MAX = 16;
const RETRY_AFTER_SECONDS = 1;
export const NEXT_FROM_HEADER = 'x-next-from';

/** Made once: a stack for each would cost as much as the rest of the answer, and those who flood get most of them. */
const BUSY = new ClaimwireError(
  'NODE_BUSY',
  `listings: expected at most ${LISTINGS_MAX} at a time, got one more; try again shortly or present the token`,
);

interface ListQuery {
  from: number;
  limit: number;
  state: string | null;
  /** Rows have their signatures. */
  hasToken: boolean;
}

/** Who asks: over a connection that has presented the token before, and with this request. */
interface Reader {
  isTrusted: boolean;
  hasToken: boolean;
}

/** Where the rows of an answer begin and end, as positions in the order of opening. */
interface Range {
  from: number;
  end: number;
}

export class Listings {
  readonly #control: NodeControl;
  readonly #turns: Turns;
  readonly #onBusy: () => void;
  #underWay = 0;

  constructor(control: NodeControl, turns: Turns, onBusy: () => void) {
    this.#control = control;
    this.#turns = turns;
    this.#onBusy = onBusy;
  }

  /**
   * A JSON array of `limit` rows at most from position `from`, of one `state` if asked for; the header x-next-from says where the
   * next page begins, and is absent on the last. With `isStream` all rows, one a line. Throws 503 while too many run.
   */
  async list(url: URL, isStream: boolean, { isTrusted, hasToken }: Reader, response: ServerResponse): Promise<void> {
    const query = { ...listQuery(url), hasToken };
    if (!isTrusted && this.#underWay >= LISTINGS_MAX) {
      this.#onBusy();
      response.setHeader('retry-after', RETRY_AFTER_SECONDS);
      throw BUSY;
    }
    if (!isTrusted) this.#underWay++;
    try {
      if (isStream) await this.#stream(query, isTrusted, response);
      else await this.#page(query, isTrusted, response);
    } finally {
      if (!isTrusted) this.#underWay--;
    }
  }

  async #stream(query: ListQuery, isTrusted: boolean, response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    const range = { from: query.from, end: Number.POSITIVE_INFINITY };
    await this.#write(range, query, isTrusted, response, (rows) => rows.map((row) => `${row}\n`).join(''));
    response.end();
  }

  async #page(query: ListQuery, isTrusted: boolean, response: ServerResponse): Promise<void> {
    const range = await this.#rangeOf(query, isTrusted, response);
    if (response.destroyed) return;
    const isLast = this.#control.channels(range.end, 1).length === 0;
    response.writeHead(200, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(isLast ? {} : { [NEXT_FROM_HEADER]: String(range.end) }),
    });
    let separator = '[';
    await this.#write(range, query, isTrusted, response, (rows) => {
      if (rows.length === 0) return '';
      const text = separator + rows.join(',');
      separator = ',';
      return text;
    });
    response.end(separator === '[' ? '[]\n' : ']\n');
  }

  /** The header that says where the next page begins goes first, so rows of another state are counted before any is sent. */
  async #rangeOf({ from, limit, state }: ListQuery, isTrusted: boolean, response: ServerResponse): Promise<Range> {
    if (state === null) return { from, end: from + limit };
    let end = from;
    for (let found = 0, more = true; more && found < limit && !response.destroyed; )
      await this.#turns.piece(isTrusted, () => {
        const rows = this.#control.channels(end, SCAN_ROWS);
        more = rows.length > 0;
        for (const row of rows) {
          if (found >= limit) break;
          end++;
          if (isListed(row, state)) found++;
        }
      });
    return { from, end };
  }

  async #write(
    { from, end }: Range,
    { state, hasToken }: ListQuery,
    isTrusted: boolean,
    response: ServerResponse,
    join: (rows: string[]) => string,
  ): Promise<void> {
    // A client that left answers this with a reset, before the first piece is made.
    response.flushHeaders();
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    for (let position = from; position < end && !response.destroyed; ) {
      const piece = await this.#turns.piece(isTrusted, () => {
        if (response.destroyed) return undefined;
        const channels = this.#control.channels(position, Math.min(PIECE_ROWS, end - position));
        position += channels.length;
        const rows = channels.filter((channel) => isListed(channel, state));
        return channels.length === 0
          ? undefined
          : join(rows.map((channel) => JSON.stringify(channelJson(channel, hasToken))));
      });
      if (piece === undefined) return;
      if (piece !== '' && !response.write(piece)) await drained(response, closed.signal);
    }
  }
}

/** A removed channel's row has its place still, and is shown to nobody. */
function isListed(channel: Channel, state: string | null): boolean {
  return channel.state !== 'removed' && (state === null || channel.state === state);
}

/** Also resolves when the reader went away instead. */
async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  try {
    await once(response, 'drain', { signal });
  } catch {
    // Whoever waits sees that the response is destroyed.
  }
}

function listQuery(url: URL): Omit<ListQuery, 'hasToken'> {
  for (const name of url.searchParams.keys())
    if (name !== 'from' && name !== 'limit' && name !== 'state')
      throw new ClaimwireError('INPUT_INVALID', `query: expected from, limit or state, got ${got(name)}`);
  const state = url.searchParams.get('state');
  if (state !== null && state !== 'open' && state !== 'closed')
    throw new ClaimwireError('INPUT_INVALID', `state: expected open or closed, got ${got(state)}`);
  const number = (name: string, byDefault: number, minimum: bigint, maximum: bigint) => {
    const text = url.searchParams.get(name);
    return text === null ? byDefault : Number(parseDecimal(text, minimum, maximum, name));
  };
  return {
    from: number('from', 0, 0n, BigInt(2 ** 32)),
    limit: number('limit', LIMIT_DEFAULT, 1n, BigInt(LIMIT_MAX)),
    state,
  };
}

/**
 * GET /feed: one look at the node a second, as server-sent events, after those of the last minutes where they are asked for.
 * Main thread.
 *
 * It needs no token, as /stats does not: a sample names no channel. A reader is a position among the samples that are kept for
 * all, so that a slow one holds no memory of its own. One that falls behind is cut: a page that shows the past as the
 * present is worse than one that says that it has lost its node.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { got, parseDecimal } from '../channel/parse.ts';
import { ClaimwireError } from '../errors.ts';
import { HISTORY_MAX, type Sampler } from '../metrics/sampler.ts';
import type { Holds } from './holds.ts';
import type { Call, Route } from './route.ts';

/** Readers without the operator's token, and with it: neither keeps the other out. */
const READERS_MAX = 32;
/** Samples that a reader may be behind the newest, beside those that it asked for. */
const BEHIND_MAX = 30;
/** Samples handed to a connection at a time: some 40 KB. */
const PIECE_SAMPLES = 16;

export interface FeedOptions {
  sampler: Sampler;
  holds: Holds;
  /** Called when a reader is refused for being one too many, and when one is cut for being slow. */
  onBusy(): void;
  onCut(): void;
}

interface Reader {
  readonly response: ServerResponse;
  readonly isOperator: boolean;
  /** The number of the sample that it gets next, and how many it may be behind. */
  next: number;
  behindMax: number;
  isPumping: boolean;
  /** Aborted when the response is closed. */
  readonly closed: AbortController;
}

export class Feed {
  readonly #options: FeedOptions;
  readonly #readers = new Set<Reader>();
  #end: (() => void) | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  routes(): Route[] {
    const answer = (call: Call) => this.#stream(call);
    return [{ method: 'GET', path: '/feed', scope: undefined, takesBody: false, answer }];
  }

  async #stream(call: Call): Promise<void> {
    const { response, connection } = call;
    const history = historyOf(call.url);
    const isOperator = connection.place === 'operator';
    if ([...this.#readers].filter((reader) => reader.isOperator === isOperator).length >= READERS_MAX) {
      this.#options.onBusy();
      throw new ClaimwireError('NODE_BUSY', `feed: expected at most ${READERS_MAX} readers, got one more`);
    }
    const hold = this.#options.holds.begin(call);
    const ended = new Promise<void>((resolve) => {
      if (hold.signal.aborted) resolve();
      else hold.signal.addEventListener('abort', () => resolve());
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.flushHeaders();
    const { sampler } = this.#options;
    const first = Math.max(sampler.next - history, sampler.history[0]?.number ?? sampler.next);
    const behindMax = Math.min(HISTORY_MAX, sampler.next - first + BEHIND_MAX);
    const closed = new AbortController();
    const reader: Reader = { response, isOperator, next: first, behindMax, isPumping: false, closed };
    this.#readers.add(reader);
    this.#end ??= sampler.listen(() => {
      for (const each of this.#readers) void this.#pump(each);
    });
    void this.#pump(reader);
    await Promise.race([ended, new Promise((resolve) => response.once('close', resolve))]);
    closed.abort();
    this.#remove(reader);
    hold.release();
    if (hold.end === 'gone') response.destroy();
    else response.end();
  }

  /** Sends what the reader has not got, as fast as it takes it. Never throws. */
  async #pump(reader: Reader): Promise<void> {
    const { sampler, onCut } = this.#options;
    const { response } = reader;
    if (sampler.next - reader.next > reader.behindMax) {
      if (!response.destroyed) onCut();
      response.destroy();
    }
    if (reader.isPumping) return;
    reader.isPumping = true;
    while (reader.next < sampler.next && !response.destroyed && !response.writableEnded) {
      const oldest = sampler.history[0]!.number;
      const samples = sampler.history.slice(reader.next - oldest, reader.next - oldest + PIECE_SAMPLES);
      reader.next += samples.length;
      const isTaken = response.write(samples.map(({ text }) => `event: sample\ndata: ${text}\n\n`).join(''));
      // Where the reader goes away instead, the loop sees that the response is destroyed.
      if (!isTaken) await once(response, 'drain', { signal: reader.closed.signal }).catch(() => {});
    }
    reader.isPumping = false;
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#end?.();
    this.#end = undefined;
  }
}

/** How many samples of the past are asked for. */
function historyOf(url: URL): number {
  for (const name of url.searchParams.keys())
    if (name !== 'history') throw new ClaimwireError('INPUT_INVALID', `query: expected history, got ${got(name)}`);
  const text = url.searchParams.get('history') ?? '0';
  return Number(parseDecimal(text, 0n, BigInt(HISTORY_MAX), 'history'));
}

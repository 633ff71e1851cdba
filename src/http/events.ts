/**
 * GET /events: committed amounts as they grow, as server-sent events. Main thread.
 *
 * The node is listened to while somebody reads. All readers are told in one go, at most every FLUSH_MS: at a million claims
 * a second that is what keeps their cost small.
 */
import { got } from '../channel/parse.ts';
import { expectChannel } from '../control/access.ts';
import type { MeterControl } from '../control/meter-control.ts';
import { ClaimwireError } from '../errors.ts';
import { findChannel } from './channels.ts';
import { type EventSource, EventStream } from './event-stream.ts';
import type { Holds } from './holds.ts';
import type { Call, Route } from './route.ts';

const FLUSH_MS = 20;
/** Often enough for proxies, which close a connection that is silent for a minute. */
const HEARTBEAT_MS = 15_000;
/** Event streams at a time: each batch is looked through for each of them. */
const STREAMS_MAX = 64;
/** Channels that a stream may name. */
const CHANNELS_MAX = 256;

interface EventsOptions extends EventSource {
  meter: MeterControl;
  holds: Holds;
  /** Called when a stream is refused for being one too many. */
  onBusy(): void;
  /** For tests. */
  heartbeatMs?: number | undefined;
}

interface Reader {
  stream: EventStream;
  beat(): void;
}

export class Events {
  readonly #options: EventsOptions;
  readonly #readers = new Set<Reader>();
  #end: (() => void) | undefined;
  #flush: NodeJS.Timeout | undefined;
  #flushedAt = Number.NEGATIVE_INFINITY;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  routes(): Route[] {
    const answer = (call: Call) => this.#stream(call);
    return [{ method: 'GET', path: '/events', scope: 'read', takesBody: false, answer }];
  }

  async #stream(call: Call): Promise<void> {
    const { response } = call;
    const { channels, withSnapshot } = this.#query(call);
    if (this.#readers.size >= STREAMS_MAX) {
      this.#options.onBusy();
      throw new ClaimwireError('NODE_BUSY', `event streams: expected at most ${STREAMS_MAX}, got one more`);
    }
    const hold = this.#options.holds.begin(call);
    const stream = new EventStream(this.#options, response, channels);
    const ended = new Promise<void>((resolve) => {
      if (hold.signal.aborted) resolve();
      else hold.signal.addEventListener('abort', () => resolve());
    });
    const beat = () => {
      // A revoked token ends its streams.
      if (call.isStillAllowed()) stream.heartbeat();
      else response.end();
    };
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.flushHeaders();
    const reader = { stream, beat };
    this.#add(reader);
    if (withSnapshot) stream.snapshot();
    void stream.pump();
    response.once('close', () => hold.release());
    await Promise.race([ended, new Promise((resolve) => response.once('close', resolve))]);
    this.#remove(reader);
    hold.release();
    if (hold.end === 'gone') response.destroy();
    else response.end();
  }

  #query({ url, access }: Call): { channels: Set<bigint> | null; withSnapshot: boolean } {
    for (const name of url.searchParams.keys())
      if (name !== 'channels' && name !== 'snapshot')
        throw new ClaimwireError('INPUT_INVALID', `query: expected channels or snapshot, got ${got(name)}`);
    const snapshot = url.searchParams.get('snapshot') ?? '0';
    if (snapshot !== '0' && snapshot !== '1')
      throw new ClaimwireError('INPUT_INVALID', `snapshot: expected 0 or 1, got ${got(snapshot)}`);
    const ids = url.searchParams.get('channels')?.split(',') ?? [];
    if (ids.length > CHANNELS_MAX)
      throw new ClaimwireError('INPUT_INVALID', `channels: expected at most ${CHANNELS_MAX} IDs, got ${ids.length}`);
    const named = new Set(ids.map((id) => findChannel(this.#options.control, id).channelId));
    for (const channelId of named) expectChannel(access!, channelId);
    // A token for some channels sees these, named or not.
    const channels = named.size > 0 ? named : access!.channels === null ? null : new Set(access!.channels);
    return { channels, withSnapshot: snapshot === '1' };
  }

  #add(reader: Reader): void {
    this.#readers.add(reader);
    if (this.#end !== undefined) return;
    const { meter, heartbeatMs = HEARTBEAT_MS } = this.#options;
    const beats = setInterval(() => {
      for (const { beat } of this.#readers) beat();
    }, heartbeatMs).unref();
    const endListening = meter.onCommitted((batch) => {
      for (let index = 0; index < batch.length; index++) {
        const channelId = batch.channelId(index);
        const committed = batch.committed(index);
        for (const { stream } of this.#readers) stream.add(channelId, committed);
      }
      this.#scheduleFlush();
    });
    this.#end = () => {
      clearInterval(beats);
      endListening();
    };
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#end?.();
    this.#end = undefined;
    clearTimeout(this.#flush);
    this.#flush = undefined;
  }

  #scheduleFlush(): void {
    this.#flush ??= setTimeout(
      () => {
        this.#flush = undefined;
        this.#flushedAt = performance.now();
        for (const { stream } of this.#readers) void stream.pump();
      },
      Math.max(0, this.#flushedAt + FLUSH_MS - performance.now()),
    );
  }
}

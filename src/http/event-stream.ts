/**
 * One reader of GET /events: the newest committed amount of each channel that it has not been told yet, in bounded memory.
 *
 * Main thread. Amounts are cumulative, so a newer one stands for those before it, and a slow reader just misses steps. Where more
 * channels have changed than are kept for a reader, they are forgotten, and the table of channels is walked instead (a
 * sweep). A sweep is also how a reader gets all channels at first.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { NodeControl } from '../control/node-control.ts';
import type { Turns } from './turns.ts';

/** Channels kept for a reader that is behind: some 600 KB. */
const PENDING_MAX = 8_192;
/** Channels of one event: some 35 KB. */
const EVENT_CHANNELS = 512;
/** Rows of a sweep that are read before the event loop has its turn: about 0.5 ms. */
const SWEEP_ROWS = 128;

export interface EventSource {
  control: NodeControl;
  turns: Turns;
  /** Called for each sweep that begins because a reader was too far behind. */
  onSweep(): void;
}

export class EventStream {
  /** The channels that it tells of; null: all. */
  readonly #channels: ReadonlySet<bigint> | null;
  readonly #source: EventSource;
  readonly #response: ServerResponse;
  readonly #closed = new AbortController();
  readonly #pending = new Map<bigint, bigint>();
  /** The row at which the sweep goes on; undefined without one. */
  #sweepAt: number | undefined;
  /** Whether channels were forgotten that the sweep may have passed, so that another follows. */
  #mustSweepAgain = false;
  #mustEndSnapshot = false;
  #isPumping = false;

  constructor(source: EventSource, response: ServerResponse, channels: ReadonlySet<bigint> | null) {
    this.#source = source;
    this.#response = response;
    this.#channels = channels;
    response.once('close', () => this.#closed.abort());
  }

  /** Tells of all its channels as they are now, and then, by the event `snapshot`, that these were all. */
  snapshot(): void {
    this.#mustEndSnapshot = true;
    if (this.#channels === null) this.#sweepAt = 0;
    for (const channelId of this.#channels ?? []) {
      const committed = this.#source.control.channel(channelId)?.committed;
      if (committed !== undefined) this.#pending.set(channelId, committed);
    }
  }

  /** A channel's amount has grown. It is sent by the next `pump`. */
  add(channelId: bigint, committed: bigint): void {
    if (this.#channels !== null && !this.#channels.has(channelId)) return;
    if (this.#pending.size >= PENDING_MAX && !this.#pending.has(channelId)) {
      this.#pending.clear();
      if (this.#sweepAt === undefined) this.#sweepAt = 0;
      else this.#mustSweepAgain = true;
      this.#source.onSweep();
    }
    this.#pending.set(channelId, committed);
  }

  /** Keeps proxies from closing a silent stream, and finds out that a client is gone. */
  heartbeat(): void {
    if (!this.#isPumping && !this.#response.destroyed) this.#response.write(':\n\n');
  }

  /** Sends what there is, as fast as the reader takes it. Never throws. */
  async pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#hasMore && !this.#response.destroyed && !this.#response.writableEnded) {
        const text = this.#pendingText() + (await this.#sweepText()) + this.#snapshotText();
        // Where the client goes away instead, the loop sees that the response is destroyed.
        if (text !== '' && !this.#response.destroyed && !this.#response.writableEnded && !this.#response.write(text))
          await once(this.#response, 'drain', { signal: this.#closed.signal }).catch(() => {});
      }
    } catch {
      // The table could not be read: its reader asks again, and finds out what the node says then.
      this.#response.destroy();
    } finally {
      this.#isPumping = false;
    }
  }

  get #hasMore(): boolean {
    return this.#pending.size > 0 || this.#sweepAt !== undefined || this.#mustEndSnapshot;
  }

  #pendingText(): string {
    const changes: string[] = [];
    for (const [channelId, committed] of this.#pending) {
      if (changes.length >= EVENT_CHANNELS) break;
      this.#pending.delete(channelId);
      changes.push(changeText(channelId, committed));
    }
    return eventText(changes);
  }

  async #sweepText(): Promise<string> {
    if (this.#sweepAt === undefined) return '';
    return this.#source.turns.piece(false, () => {
      const rows = this.#source.control.channels(this.#sweepAt!, SWEEP_ROWS);
      this.#sweepAt! += rows.length;
      if (rows.length === 0) {
        this.#sweepAt = this.#mustSweepAgain ? 0 : undefined;
        this.#mustSweepAgain = false;
      }
      const told = rows.filter(({ committed, state }) => committed > 0n && state !== 'removed');
      return eventText(told.map(({ channelId, committed }) => changeText(channelId, committed)));
    });
  }

  #snapshotText(): string {
    if (!this.#mustEndSnapshot || this.#sweepAt !== undefined || this.#pending.size > 0) return '';
    this.#mustEndSnapshot = false;
    return 'event: snapshot\ndata: {}\n\n';
  }
}

function changeText(channelId: bigint, committed: bigint): string {
  return `{"channelId":"${channelId}","committed":"${committed}"}`;
}

function eventText(changes: readonly string[]): string {
  return changes.length === 0 ? '' : `event: committed\ndata: [${changes.join(',')}]\n\n`;
}

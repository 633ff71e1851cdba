/**
 * Follows GET /events over the ends of connections and of nodes: it connects again, asks for the present amounts, and tells
 * of those that it has not told of. Main thread of a tool's or a service's process.
 */
import { ClaimwireError, type ErrorCode } from '../errors.ts';
import type { CommittedJson } from './event-reader.ts';

/** AdminClient.events. */
export interface EventsOptions {
  channels?: readonly string[];
  snapshot?: boolean;
  signal?: AbortSignal;
  /** Called when the node has begun to answer. */
  onOpen?: () => void;
}

export interface FollowerParts {
  events(options: EventsOptions): AsyncIterable<CommittedJson>;
  /** Resolves after so long, or when the signal aborts. */
  wait(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Told of each end, and of when it is tried again. */
  onEnd(reason: string, milliseconds: number): void;
}

/** Ends that pass: the node restarts, or has too many readers. */
const PASSING: readonly ErrorCode[] = ['NODE_UNREACHABLE', 'NODE_STOPPING', 'NODE_BUSY'];
const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 10_000;
/**
 * Channels whose amounts are remembered, so that a snapshot tells of no amount twice: some 100 MB. Of those beyond it the
 * present amount is told again after each end, which as a cumulative one does no harm.
 */
const REMEMBERED_MAX = 1_000_000;

/** Ends when `signal` aborts. Throws where the node was never there, or refuses: no such channel, a token without the scope. */
export async function* followEvents(options: EventsOptions, parts: FollowerParts): AsyncGenerator<CommittedJson> {
  const { signal } = options;
  const told = new Map<string, string>();
  let wasOpen = false;
  let pauseMs = PAUSE_MS_MIN;
  while (!signal?.aborted) {
    let reason = 'the node ended the stream';
    try {
      const snapshot = wasOpen || options.snapshot === true;
      const onOpen = () => {
        wasOpen = true;
        pauseMs = PAUSE_MS_MIN;
      };
      for await (const change of parts.events({ ...options, snapshot, onOpen })) {
        const { channelId, committed } = change;
        if (told.get(channelId) === committed) continue;
        if (told.size < REMEMBERED_MAX || told.has(channelId)) told.set(channelId, committed);
        yield change;
      }
    } catch (error) {
      if (!wasOpen || !(error instanceof ClaimwireError) || !PASSING.includes(error.code)) throw error;
      reason = error.message;
    }
    if (signal?.aborted) return;
    parts.onEnd(reason, pauseMs);
    await parts.wait(pauseMs, signal);
    pauseMs = Math.min(PAUSE_MS_MAX, 2 * pauseMs);
  }
}

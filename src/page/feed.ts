/**
 * The connection to the node's feed: reads it, notices when it is silent, and connects again by itself.
 *
 * It is read with fetch and not with EventSource, which says nothing of why it is refused.
 */
import type { Sample } from '../metrics/sample.ts';
import { tokenHeaders } from './token.ts';

export interface FeedListener {
  /** A connection begins: what it tells first is the past. */
  begun(): void;
  sample(sample: Sample): void;
  /** No sample comes any more; `reason` is for people. It is tried again at `nextAt`, by Date.now(). */
  lost(reason: string, nextAt: number): void;
}

/** A node that is silent for so long is gone: it tells something every second. */
const SILENT_MS_MAX = 8_000;
const WAIT_MS = [500, 1_000, 2_000, 4_000, 5_000];
const HISTORY = 600;
/** Longer than any sample: what is longer is no feed. */
const EVENT_CHARACTERS_MAX = 1 << 20;

export async function followFeed(listener: FeedListener): Promise<never> {
  for (let failures = 0; ; failures++) {
    const reason = await readOnce({
      ...listener,
      sample: (sample) => {
        failures = 0;
        listener.sample(sample);
      },
    });
    const waitMs = WAIT_MS[Math.min(failures, WAIT_MS.length - 1)]!;
    listener.lost(reason, Date.now() + waitMs);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

/** Reads until the connection ends. Resolves with why it did. */
async function readOnce(listener: FeedListener): Promise<string> {
  const end = new AbortController();
  let watchdog = setTimeout(() => end.abort(), SILENT_MS_MAX);
  try {
    const response = await fetch(`/feed?history=${HISTORY}`, {
      headers: tokenHeaders(),
      signal: end.signal,
      cache: 'no-store',
    });
    if (!response.ok || response.body === null) return await refusalOf(response);
    listener.begun();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; ; ) {
      const { value, done } = await reader.read();
      if (done) return 'The node closed the connection.';
      clearTimeout(watchdog);
      watchdog = setTimeout(() => end.abort(), SILENT_MS_MAX);
      const events = (text + value).split('\n\n');
      text = events.pop() ?? '';
      if (text.length > EVENT_CHARACTERS_MAX) return 'What the node sends is not a feed.';
      for (const event of events) {
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (data !== undefined) listener.sample(JSON.parse(data) as Sample);
      }
    }
  } catch {
    return end.signal.aborted ? 'The node is silent.' : 'The node does not answer.';
  } finally {
    clearTimeout(watchdog);
    end.abort();
  }
}

async function refusalOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => undefined)) as { error?: { message?: string } } | undefined;
  return `The node refuses: ${body?.error?.message ?? `status ${response.status}`}.`;
}

/** Reads GET /events: server-sent events as committed amounts. Main thread of a tool's or a service's process. */
import { ClaimwireError } from '../errors.ts';

/** An event of the node has some 35 KB. */
const EVENT_CHARACTERS_MAX = 1 << 20;

/** A channel whose committed amount has grown. */
export interface CommittedJson {
  channelId: string;
  /** Drops, cumulative and durable. */
  committed: string;
}

/** The changes of a stream, as they come. Throws INPUT_INVALID for what is no such stream. */
export async function* readEvents(source: AsyncIterable<Uint8Array>): AsyncGenerator<CommittedJson> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of source) {
    text += decoder.decode(part, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      yield* changesOf(event);
    }
    if (text.length > EVENT_CHARACTERS_MAX)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `events: expected at most ${EVENT_CHARACTERS_MAX} characters each, got more`,
      );
  }
}

function changesOf(event: string): CommittedJson[] {
  const lines = event.split('\n');
  if (!lines.includes('event: committed')) return [];
  const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice('data: '.length));
  try {
    const changes: unknown = JSON.parse(data.join('\n'));
    if (Array.isArray(changes) && changes.every(isChange)) return changes;
  } catch {
    // It is told below.
  }
  throw new ClaimwireError('INPUT_INVALID', 'events: expected an array of channels and amounts, got something else');
}

function isChange(value: unknown): value is CommittedJson {
  const { channelId, committed } = Object(value) as Record<string, unknown>;
  return typeof channelId === 'string' && typeof committed === 'string';
}

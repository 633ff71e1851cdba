/** Reads server-sent events: committed amounts of GET /events, and objects of other streams. Main thread of a tool's or a service's process. */
import { ClaimwireError } from '../errors.ts';

/** An event of the node has some 35 KB. */
const EVENT_CHARACTERS_MAX = 1 << 20;

/** A channel whose committed amount has grown. */
export interface CommittedJson {
  channelId: string;
  /** Drops, cumulative and durable. */
  committed: string;
}

interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** The events of a stream, as they come; comments are passed over. Throws INPUT_INVALID for one that is too long. */
async function* eventsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const part of source) {
    text += decoder.decode(part, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name: string) =>
        lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      const [name] = field('event');
      if (name !== undefined) yield { name, data: field('data').join('\n') };
    }
    if (text.length > EVENT_CHARACTERS_MAX)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `events: expected at most ${EVENT_CHARACTERS_MAX} characters each, got more`,
      );
  }
}

/** The changes of a stream, as they come. Throws INPUT_INVALID for what is no such stream. */
export async function* readEvents(source: AsyncIterable<Uint8Array>): AsyncGenerator<CommittedJson> {
  for await (const { name, data } of eventsOf(source)) {
    if (name !== 'committed') continue;
    const changes = parsed(data);
    if (!Array.isArray(changes) || !changes.every(isChange))
      throw new ClaimwireError(
        'INPUT_INVALID',
        'events: expected an array of channels and amounts, got something else',
      );
    yield* changes;
  }
}

/** The events of a stream that have one of these names, as objects. Throws INPUT_INVALID for what is none. */
export async function* readObjects<Name extends string>(
  source: AsyncIterable<Uint8Array>,
  ...names: readonly Name[]
): AsyncGenerator<{ name: Name; value: object }> {
  for await (const { name, data } of eventsOf(source)) {
    const known = names.find((each) => each === name);
    if (known === undefined) continue;
    const value = parsed(data);
    if (typeof value !== 'object' || value === null)
      throw new ClaimwireError('INPUT_INVALID', `events: expected an object with ${name}, got something else`);
    yield { name: known, value };
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

function isChange(value: unknown): value is CommittedJson {
  const { channelId, committed } = Object(value) as Record<string, unknown>;
  return typeof channelId === 'string' && typeof committed === 'string';
}

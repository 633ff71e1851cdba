/** The looks at a node, also across its restarts: a lost node is told, and asked again until it is there. */
import { setTimeout as pause } from 'node:timers/promises';
import { ClaimwireError } from '../../src/errors.ts';
import type { AdminClient } from '../../src/http/client.ts';
import type { Sample } from '../../src/metrics/sample.ts';

/** A node sends one a second, so one that is silent for so long is stuck, or gone without a word. */
const SILENT_MS_MAX = 5_000;
const RETRY_MS = 1_000;
/** Looks of the past come in one go, those of the present a second apart. */
const PRESENT_GAP_MS = 500;

export type Look = { readonly sample: Sample } | { readonly lost: string };

interface FollowOptions {
  /** Looks of the past that are asked for at the first connection. */
  history: number;
  signal: AbortSignal;
  silentMsMax?: number;
  retryMs?: number;
}

/** Looks until `signal` aborts. Throws where the first connection fails: then the address is wrong. */
export async function* follow(admin: Pick<AdminClient, 'samples'>, options: FollowOptions): AsyncGenerator<Look, void> {
  const { signal, silentMsMax = SILENT_MS_MAX, retryMs = RETRY_MS } = options;
  let newest = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const ended = new AbortController();
    let isSilent = false;
    const end = () => ended.abort();
    const timer = setTimeout(() => {
      isSilent = true;
      end();
    }, silentMsMax);
    // Not AbortSignal.any: what that returns may be collected as garbage before it aborts.
    signal.addEventListener('abort', end);
    let lost = 'the node has ended the connection';
    try {
      let isRepeated = true;
      let cameAt = Number.POSITIVE_INFINITY;
      for await (const sample of admin.samples({ history: options.history, signal: ended.signal })) {
        timer.refresh();
        if (!isSample(sample))
          throw new ClaimwireError('INPUT_INVALID', 'feed: expected samples of a node, got something else');
        // After a reconnection the past is sent again. A look of the present is never left out, also where the node's clock was
        // set back.
        isRepeated &&= sample.at <= newest && performance.now() - cameAt < PRESENT_GAP_MS;
        cameAt = performance.now();
        if (isRepeated) continue;
        newest = sample.at;
        yield { sample };
      }
      if (isSilent) lost = `no sign of the node for ${silentMsMax / 1_000} s`;
    } catch (error) {
      if (newest === Number.NEGATIVE_INFINITY || !(error instanceof ClaimwireError) || error.code === 'INPUT_INVALID')
        throw error;
      lost = error.message;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    }
    if (signal.aborted) return;
    yield { lost };
    await pause(retryMs, undefined, { signal }).catch(() => {});
  }
}

/** Whether what a server sent has the parts that are shown. A newer node may add others. */
function isSample(value: unknown): value is Sample {
  const sample = Object(value) as Record<keyof Sample, unknown>;
  const parts = [
    'rates',
    'refused',
    'dropped',
    'ack',
    'stages',
    'sync',
    'busy',
    'ring',
    'channels',
    'connections',
    'memory',
  ] as const;
  return (
    typeof sample.at === 'number' &&
    typeof sample.uptimeSeconds === 'number' &&
    typeof sample.exposureDrops === 'string' &&
    parts.every((name) => isObject(sample[name])) &&
    Array.isArray(sample.lanes) &&
    sample.lanes.every((lane) => isObject(lane) && isObject(lane.ring) && isObject(lane.ack)) &&
    Object.values(sample.stages as object).every(isObject)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

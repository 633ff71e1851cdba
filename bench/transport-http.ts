/**
 * Latency beside the rate of the HTTP server of http-peer.ts, which runs as a program of its own.
 *
 * Main thread of the bench, where autocannon runs: closed loop, as many requests in flight as connections.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { CLAIM_BYTES } from '../protocol/layout.ts';
import { assert } from '../src/errors.ts';
import { LoadChannels } from '../src/load/channels.ts';
import { endsWithBench, within } from './node-under-test.ts';
import { signAhead } from './signed-ahead.ts';

declare module 'autocannon' {
  interface Result {
    /** Milliseconds, whole. */
    latency: { p50: number; p99: number };
  }
}

const server = fileURLToPath(new URL('./http-peer.js', import.meta.url));
/** Those of http-peer.ts: with others its answer is 404, and nothing is measured. */
const SEED = 9;
const CHANNELS = 256;
const CONNECTIONS = 50;
const WARM_SECONDS = 1;
const ANSWER_MS_MAX = 20_000;

export interface HttpRate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Throws where the server did not verify every claim it accepted. */
export async function measureHttpLatency(seconds: number, note: (line: string) => void): Promise<HttpRate> {
  const channels = LoadChannels.derive(SEED, CHANNELS, CHANNELS);
  const claims = Buffer.from(signAhead(SEED, channels, CHANNELS).buffer);
  const requests = Array.from({ length: CHANNELS }, (_, index) => ({
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: claims.subarray(index * CLAIM_BYTES, (index + 1) * CLAIM_BYTES),
  }));
  const child = endsWithBench(fork(server));
  try {
    const port = await numberOf(child);
    const run = (duration: number) =>
      autocannon({ url: `http://127.0.0.1:${port}/claims`, connections: CONNECTIONS, duration, requests });
    await run(WARM_SECONDS);
    const before = await countOf(child);
    const { duration, errors, timeouts, non2xx, '2xx': accepted, latency } = await run(seconds);
    const verified = (await countOf(child)) - before;
    assert(
      errors === 0 && timeouts === 0 && non2xx === 0 && verified >= accepted && accepted > 0,
      `every claim is accepted: ${errors} errors, ${timeouts} timeouts, ${non2xx} refused, ${accepted} accepted, ${verified} verified`,
    );
    note(`HTTP: ${verified} claims verified by the handler, one a request, nothing on disk: this flatters HTTP`);
    return { perSecond: accepted / duration, p50Ms: latency.p50, p99Ms: latency.p99 };
  } finally {
    child.kill('SIGKILL');
  }
}

async function numberOf(child: ChildProcess): Promise<number> {
  const [answer] = await within(once(child, 'message'), ANSWER_MS_MAX, 'an answer of the HTTP server');
  return answer as number;
}

function countOf(child: ChildProcess): Promise<number> {
  const answer = numberOf(child);
  child.send('count');
  return answer;
}

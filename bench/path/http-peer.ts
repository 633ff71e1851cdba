/**
 * The same claims over HTTP: each is the body of a POST to a plain node:http handler with the node's own verification
 * kernel. autocannon sends them. It answers once the signature is found valid and the channel's best claim is kept in
 * memory: nothing is written to disk, which flatters HTTP.
 *
 * `measureHttp` is the bench's side, where autocannon runs; started as a program, this file is the server.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { xrplDigest } from '../../protocol/digest.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SIGNATURE,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import { LoadChannels } from '../../src/load/channels.ts';
import { KERNEL_PATHS } from '../../src/verify/kernel.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { endsWithBench, within } from '../node-under-test.ts';
import { signAhead } from '../pool/signed-ahead.ts';

const program = fileURLToPath(import.meta.url);
const SEED = 9;
/** Each is one body. A body that is posted again is verified again. */
const CHANNELS = 256;
const CONNECTIONS = 50;
const CACHE_BYTES = 256 * 2 ** 20;
const WARM_SECONDS = 1;
const ANSWER_MS_MAX = 20_000;

/** Claims per second, and latency in whole milliseconds: a closed loop with one request per connection. */
interface HttpRate {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Throws where the server did not verify every claim it accepted. */
export async function measureHttp(seconds: number, note: (line: string) => void): Promise<HttpRate> {
  const channels = LoadChannels.derive(SEED, CHANNELS, CHANNELS);
  const claims = Buffer.from(signAhead(SEED, channels, CHANNELS).buffer);
  const requests = Array.from({ length: CHANNELS }, (_, index) => ({
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: claims.subarray(index * CLAIM_BYTES, (index + 1) * CLAIM_BYTES),
  }));
  const server = endsWithBench(fork(program));
  try {
    const port = await answerOf(server);
    const run = (duration: number) =>
      autocannon({ url: `http://127.0.0.1:${port}/claims`, connections: CONNECTIONS, duration, requests });
    await run(Math.min(WARM_SECONDS, seconds));
    const before = await countOf(server);
    const { duration, errors, timeouts, non2xx, '2xx': accepted, latency } = await run(seconds);
    const verified = (await countOf(server)) - before;
    assert(
      errors === 0 && timeouts === 0 && non2xx === 0 && verified >= accepted && accepted > 0,
      `every claim is accepted: ${errors} errors, ${timeouts} timeouts, ${non2xx} refused, ${accepted} accepted, ${verified} verified`,
    );
    note(`HTTP: ${verified} claims verified by the handler, one a request, nothing on disk: the ratio flatters HTTP`);
    return { perSecond: accepted / duration, p50Ms: latency.p50, p99Ms: latency.p99 };
  } finally {
    server.kill('SIGKILL');
  }
}

function answerOf(server: ChildProcess): Promise<number> {
  const answer = new Promise<number>((resolve, reject) => {
    const onExit = (code: number | null) =>
      reject(new Error(`expected an answer of the server, got exit code ${code}`));
    server.once('exit', onExit);
    server.once('message', (message) => {
      server.off('exit', onExit);
      resolve(message as number);
    });
  });
  return within(answer, ANSWER_MS_MAX, 'an answer of the server');
}

function countOf(server: ChildProcess): Promise<number> {
  const answer = answerOf(server);
  server.send('count');
  return answer;
}

/** Verifies one claim at a time in the kernel, as a handler receives them. */
class Handler {
  verified = 0;
  readonly #kernel = new NativeKernel(CACHE_BYTES);
  readonly #channels = new Map<
    bigint,
    { publicKey: Uint8Array; ledgerChannelId: Uint8Array; best: Buffer | undefined }
  >();
  readonly #verdicts = new Uint8Array(1);

  constructor(channels: LoadChannels) {
    for (let row = 0; row < channels.count; row++) {
      const { channelId, publicKey, ledgerChannelId } = channels.table.read(row);
      this.#channels.set(channelId, { publicKey, ledgerChannelId, best: undefined });
    }
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const [code, answer] = this.#judge(parts.length === 1 ? parts[0]! : Buffer.concat(parts));
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  }

  #judge(claim: Buffer): [number, object] {
    if (claim.length !== CLAIM_BYTES) return [400, { status: 'BAD_REQUEST' }];
    const channel = this.#channels.get(claim.readBigUInt64BE(CLAIM_CHANNEL_ID));
    if (channel === undefined) return [404, { status: 'UNKNOWN_CHANNEL' }];
    const digest = xrplDigest(channel.ledgerChannelId, claim);
    const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_SIGNATURE + SIGNATURE_BYTES);
    this.#kernel.verifyMany(digest, signature, channel.publicKey, this.#verdicts, KERNEL_PATHS.single);
    if (this.#verdicts[0] !== 1) return [403, { status: 'BAD_SIGNATURE' }];
    this.verified++;
    const amount = claim.readBigUInt64BE(CLAIM_AMOUNT);
    const isNewer = channel.best === undefined || amount > channel.best.readBigUInt64BE(CLAIM_AMOUNT);
    if (isNewer) channel.best = claim;
    return [200, { status: isNewer ? 'COMMITTED' : 'ALREADY', amount: String(amount) }];
  }
}

function serve(): void {
  const handler = new Handler(LoadChannels.derive(SEED, CHANNELS, CHANNELS));
  const server = createServer((request, response) => void handler.answer(request, response));
  process.on('message', () => process.send!(handler.verified));
  process.on('disconnect', () => process.exit());
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port));
}

if (process.argv[1] === program) serve();

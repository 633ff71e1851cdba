/** A node's GET /feed, /stats and /channels without a node: what `claimwire top` and `stats` are tested against. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Percentiles, Sample } from '../../src/metrics/sample.ts';

export const percentiles = (p50: number): Percentiles => ({
  count: 1_000,
  p50,
  p90: p50 * 2,
  p99: p50 * 4,
  p999: p50 * 8,
  max: p50 * 10,
});

/** A look at a busy node, `index` seconds after the first one. */
export function sampleAt(index: number, more: Partial<Sample> = {}): Sample {
  const wave = 1 + Math.sin(index / 5) / 2;
  const received = 180_000 * wave;
  return {
    at: Date.UTC(2026, 5, 1, 12) + index * 1_000,
    seconds: 1,
    uptimeSeconds: 11_520 + index,
    ready: true,
    rates: {
      datagrams: received / 14,
      received,
      committed: received - 13,
      already: 0,
      acked: received / 40,
      refused: 12,
      dropped: 1,
      groups: 240,
      syncs: 240,
      journalBytes: 240 * 43_000,
      charges: 7,
      linkGaps: 0,
    } as Sample['rates'],
    refused: { badSignature: 9, unknownChannel: 3 },
    dropped: { refusalLimited: 1 },
    ack: percentiles(1.2 * wave),
    stages: {
      queue: percentiles(0.08),
      receive: percentiles(0.02),
      verify: percentiles(0.35),
      commit: percentiles(0.1),
      sync: percentiles(0.6 * wave),
      ack: percentiles(0.05),
    },
    sync: percentiles(0.55 * wave),
    groupClaims: 754.2,
    busy: { receive: 0.21, verify: 1.32, commit: 0.18, write: 0.07, send: 0.06 },
    ring: { depth: 1_234, slots: 16_384 },
    lanes: [
      { ring: { depth: 234, slots: 8_192 }, ack: percentiles(1.1) },
      { ring: { depth: 1_000, slots: 8_192 }, ack: percentiles(1.3) },
    ],
    channels: { open: 3, max: 2_097_152 },
    exposureDrops: '12345670000',
    keyTables: null,
    connections: { tcp: 3, websocket: 0, webrtc: 0 },
    memory: { resident: 432 * 2 ** 20, limit: 16 * 2 ** 30 },
    ledger: null,
    bottleneck: { cause: 'payers', text: 'Nothing holds the node back.', change: 'Nothing.' },
    ...more,
  };
}

const STATS = {
  backend: 'native',
  kernel: 'avx2',
  layout: 'lanes',
  verifiers: 2,
  sockets: 'native',
  path: 'native',
  durability: 'sync',
  store: 'embedded',
  verify: 'every',
  uptimeSeconds: 11_520,
  channels: 3,
  ring: { depth: 1_234, slots: 16_384 },
  counters: {
    received: 1_000_000,
    committed: 999_000,
    refused: { badSignature: 42, badAmount: 0 },
    busyUs: { verify: 5 },
  },
  keyTables: null,
};

function row(channelId: string, committed: string) {
  const fixed = { ledgerChannelId: '00'.repeat(32), publicKey: '02', capacity: '100000000', profile: 'xrpl' };
  return { channelId, ...fixed, state: 'open', committed, expiresAt: null, throwAway: false };
}
const ROWS = [row('11', '500'), row('6743924028402237286', '90000000'), row('12', '7000')];

export class FakeFeed {
  readonly #server: Server;
  readonly #readers = new Set<ServerResponse>();
  /** Sent to whoever asks for the past. */
  history: Sample[] = [];
  /** Paths that were asked for. */
  readonly asked: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push(request.url ?? '');
      if (request.url?.startsWith('/feed')) this.#feed(request.url, response);
      else response.end(JSON.stringify(request.url === '/stats' ? STATS : ROWS));
    });
  }

  static async start(port = 0): Promise<FakeFeed> {
    const feed = new FakeFeed();
    feed.#server.listen(port, '127.0.0.1');
    await once(feed.#server, 'listening');
    return feed;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }
  get readers(): number {
    return this.#readers.size;
  }

  send(...samples: readonly object[]): void {
    this.sendText(samples.map((sample) => `event: sample\ndata: ${JSON.stringify(sample)}\n\n`).join(''));
  }
  sendText(text: string): void {
    for (const reader of this.#readers) reader.write(text);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #feed(path: string, response: ServerResponse): void {
    const count = Number(/history=(\d+)/.exec(path)?.[1] ?? 0);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    this.#readers.add(response);
    response.on('close', () => this.#readers.delete(response));
    const past = count === 0 ? [] : this.history.slice(-count);
    response.write(past.map((sample) => `event: sample\ndata: ${JSON.stringify(sample)}\n\n`).join(''));
  }
}

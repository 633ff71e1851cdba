/**
 * Payers whose channels each have one claim on its way at any time, and their own record of what was acknowledged when. They
 * know of one node and follow the cluster's map by themselves. Main thread of the bench.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { shardOfChannel } from '../../protocol/shard.ts';
import { generateKey, keySigner, Payer, type PaymentChannel } from '../../src/client/index.ts';
import type { ClusterNode } from './nodes.ts';

/** Between an ack and the next claim of its channel. */
const PAUSE_MS = 10;
const CAPACITY = '1000000000';
const WINDOW_MS_MAX = 60_000;

/** One claim, as its payer sees it. */
export interface Paid {
  askedAt: number;
  ackedAt: number;
}

export class PaidChannel {
  readonly shard: number;
  readonly paid: Paid[] = [];
  readonly channel: PaymentChannel;

  constructor(channel: PaymentChannel) {
    this.channel = channel;
    this.shard = shardOfChannel(channel.channelId);
  }
}

export class Payers {
  readonly channels: readonly PaidChannel[];
  readonly #payer: Payer;
  #isEnding = false;
  #runs: Promise<void>[] = [];
  #failure: Error | undefined;

  private constructor(payer: Payer, channels: readonly PaidChannel[]) {
    this.#payer = payer;
    this.channels = channels;
  }

  /** Opens channels at a node that has all shards, and begins to pay. */
  static async start(node: ClusterNode, count: number): Promise<Payers> {
    const key = generateKey();
    const publicKey = Buffer.from(keySigner(key).publicKey).toString('hex');
    const payer = await Payer.open({ to: `udp://${node.udp}`, ackTimeoutMs: WINDOW_MS_MAX });
    const channels: PaidChannel[] = [];
    for (let number = 0; number < count; number++) {
      const ledgerChannelId = new Uint8Array(32).fill(0xbe);
      new DataView(ledgerChannelId.buffer).setUint32(0, number + 1);
      await node.admin.openChannel({
        ledgerChannelId: Buffer.from(ledgerChannelId).toString('hex'),
        publicKey,
        capacity: CAPACITY,
      });
      channels.push(new PaidChannel(payer.channel({ ledgerChannelId, key, committed: 0n })));
    }
    const payers = new Payers(payer, channels);
    payers.#runs = channels.map((channel) => payers.#pay(channel));
    return payers;
  }

  /** Resolves once each of the channels has an ack of a claim that was asked for after `since`. @returns when each came */
  async acknowledged(channels: readonly PaidChannel[], since: number, msMax: number): Promise<number[]> {
    for (const until = performance.now() + msMax; ; await sleep(2)) {
      if (this.#failure !== undefined) throw this.#failure;
      const acked = channels.map(({ paid }) => paid.find(({ askedAt }) => askedAt > since)?.ackedAt);
      if (acked.every((at) => at !== undefined)) return acked;
      if (performance.now() > until)
        throw new Error(
          `expected ${channels.length} channels to be acknowledged again within ${msMax} ms, got ${acked.filter(Boolean).length}`,
        );
    }
  }

  /** Forgets what was acknowledged so far, so that the records stay short. */
  forget(): void {
    for (const { paid } of this.channels) paid.length = 0;
  }

  /** Stops paying, and waits for what is on its way. @returns what each channel was acknowledged, by its handle */
  async end(): Promise<Map<bigint, bigint>> {
    this.#isEnding = true;
    await Promise.all(this.#runs);
    await this.#payer.close();
    if (this.#failure !== undefined) throw this.#failure;
    return new Map(this.channels.map(({ channel }) => [channel.channelId, channel.committed]));
  }

  async #pay({ channel, paid }: PaidChannel): Promise<void> {
    try {
      for (let amount = 1n; !this.#isEnding; amount++) {
        const askedAt = performance.now();
        await channel.claim(amount);
        paid.push({ askedAt, ackedAt: performance.now() });
        await sleep(PAUSE_MS);
      }
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }
}

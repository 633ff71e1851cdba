/** A payer as users have it, with seeds: it follows MOVED, silence and takeovers by itself. Its promises are the records. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Payer, type PaymentChannel } from '../../../src/client/index.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { openingOf } from '../wire.ts';
import type { Records } from './records.ts';

const PAUSE_MS = 80;

/** The private key of every channel (test/support/wire.ts). */
const KEY = {
  privateKey: '07'.repeat(32),
  publicKey: Buffer.from(openingOf(1n).publicKey).toString('hex').toUpperCase(),
};

export class LibraryPayer {
  readonly channels: readonly bigint[];
  readonly #records: Records;
  readonly #payer: Payer;
  readonly #quiet = new Set<bigint>();
  #isOver = false;
  readonly #loops: Promise<void>[];
  /** Claims that were not acknowledged in their time, by code. */
  readonly failures = new Map<string, number>();

  private constructor(records: Records, payer: Payer, channels: readonly bigint[]) {
    this.#records = records;
    this.#payer = payer;
    this.channels = channels;
    this.#loops = channels.map((channelId) =>
      this.#loop(payer.channel({ ledgerChannelId: openingOf(channelId).ledgerChannelId, key: KEY })),
    );
  }

  static async start(records: Records, to: string, channels: readonly bigint[]): Promise<LibraryPayer> {
    return new LibraryPayer(records, await Payer.open({ to, waitForNode: true, ackTimeoutMs: 5_000 }), channels);
  }

  /** A quiet channel begins no claim; one that is under way is sent on. */
  setQuiet(channelId: bigint, isQuiet: boolean): void {
    if (isQuiet) this.#quiet.add(channelId);
    else this.#quiet.delete(channelId);
  }

  stats(): object {
    return this.#payer.stats();
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#payer.close();
    await Promise.all(this.#loops);
  }

  async #loop(channel: PaymentChannel): Promise<void> {
    const { channelId } = channel;
    while (!this.#isOver) {
      await sleep(PAUSE_MS);
      if (this.#quiet.has(channelId)) continue;
      const amount = this.#records.signed.get(channelId)! + 1n;
      this.#records.signs(channelId, amount);
      const askedAt = performance.now();
      try {
        const ack = await channel.claim(amount);
        this.#records.tells({ channelId, amount: ack.amount, askedAt, at: performance.now() });
      } catch (error) {
        const code = error instanceof ClaimwireError ? error.code : String(error);
        this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
      }
    }
  }
}

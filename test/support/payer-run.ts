/**
 * A payer that sends many claims over many channels through a faulty socket, and what it was told.
 */
import { randomBytes } from 'node:crypto';
import { generateKey, openUdpSocket, Payer } from '../../src/client/index.ts';
import { FaultySocket } from './faulty-socket.ts';
import type { ReadyLine } from './node-process.ts';
import { testSigner } from './test-signer.ts';

/** A tenth of the datagrams each. */
const FAULTS = { drop: 0.1, duplicate: 0.1, reorder: 0.1 };

export interface TestChannel {
  ledgerChannelId: string;
  publicKey: string;
  capacity: string;
}

/** Channels of one payer; what was acknowledged of each is kept over restarts of the node. */
export class PayerRun {
  readonly key = generateKey();
  readonly channels: TestChannel[];
  /** Highest amount acknowledged as durable, per channel. */
  readonly acknowledged: bigint[];
  /** Highest amount a claim was signed for, per channel. */
  readonly claimed: bigint[];
  sent = 0;
  faults = { dropped: 0, duplicated: 0, reordered: 0 };
  readonly #seed: number;

  constructor(channels: number, seed: number) {
    this.#seed = seed;
    this.acknowledged = new Array<bigint>(channels).fill(0n);
    this.claimed = new Array<bigint>(channels).fill(0n);
    this.channels = Array.from({ length: channels }, () => ({
      ledgerChannelId: randomBytes(32).toString('hex').toUpperCase(),
      publicKey: this.key.publicKey,
      capacity: '1000000000',
    }));
  }

  /**
   * Sends `claims` more, spread over the channels, with at most `perChannel` unanswered of each. Ends when all are
   * acknowledged, or when `isOver()` returns true.
   */
  async run(ready: ReadyLine, claims: number, isOver: () => boolean = () => false): Promise<void> {
    const socket = new FaultySocket(await openUdpSocket(`udp://${ready.udp}`), {
      ...FAULTS,
      seed: this.#seed + this.sent,
    });
    const payer = new Payer({ socket, ackTimeoutMs: 60_000 });
    const signer = testSigner(Buffer.from(this.key.privateKey, 'hex'));
    const flows = this.channels.map(({ ledgerChannelId }, index) =>
      payer.channel({ ledgerChannelId, key: signer, committed: this.acknowledged[index]! }),
    );
    let left = claims;
    const stream = async (index: number) => {
      while (left > 0 && !isOver()) {
        left--;
        this.sent++;
        const amount = this.claimed[index]! + 1n + BigInt(index % 7);
        this.claimed[index] = amount;
        const ack = await flows[index]!.claim(amount);
        if (ack.amount > this.acknowledged[index]!) this.acknowledged[index] = ack.amount;
      }
    };
    const streams = Promise.allSettled(flows.map((_, index) => stream(index)));
    const watch = setInterval(() => {
      if (isOver()) void payer.close();
    }, 5);
    const results = await streams;
    clearInterval(watch);
    await payer.close();
    const { dropped, duplicated, reordered } = socket;
    this.faults = {
      dropped: this.faults.dropped + dropped,
      duplicated: this.faults.duplicated + duplicated,
      reordered: this.faults.reordered + reordered,
    };
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined && !isOver()) throw failed.reason;
  }
}

/**
 * A payer as a process of its own: every channel has one claim on its way at any time, and each ack brings the channel's next
 * claim. So it can be held on one core, the collector's threads included.
 *
 * When started as a program this file is the payer. Between the two sides: one `Work`, `ready`, `pay`, and one `Paid`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Payer, type PaymentChannel, Secp256k1Signer, type Signer } from '../../src/client/index.ts';

export const PAYING = fileURLToPath(import.meta.url);

export interface Work {
  to: string;
  /** Hex. The key of all channels. */
  privateKey: string;
  ledgerChannelIds: string[];
  window: number;
  warmMs: number;
  measuredMs: number;
}

/** What the payer saw and used in the time that was measured. */
export interface Paid {
  /** Claims acknowledged. */
  claims: number;
  seconds: number;
  /** Processor time of the process, and that part of it which signing took. */
  processorSeconds: number;
  signingSeconds: number;
  /** Claims of a call of the signer. */
  batch: number;
  claimsPerDatagram: number;
  retransmits: number;
  /** From the call of claim() to the ack, over the whole run. */
  p50Ms: number;
  p99Ms: number;
  /** Over the whole run: drops acknowledged, and claims that failed. */
  acknowledgedDrops: string;
  failed: number;
}

/** Measures the processor time that a signer takes. */
class TimedSigner implements Signer {
  readonly publicKey: Uint8Array;
  seconds = 0;
  claims = 0;
  calls = 0;
  readonly #signer: Secp256k1Signer;

  constructor(signer: Secp256k1Signer) {
    this.#signer = signer;
    this.publicKey = signer.publicKey;
  }

  get signBatch(): Signer['signBatch'] {
    return this.#signer.signBatch && this.#signBatch;
  }

  signClaim(...claim: Parameters<Secp256k1Signer['signClaim']>): void {
    this.#time(1, () => this.#signer.signClaim(...claim));
  }

  #signBatch(...claims: Parameters<NonNullable<Signer['signBatch']>>): void {
    this.#time(claims[3], () => this.#signer.signBatch!(...claims));
  }

  #time(claims: number, work: () => void): void {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    this.seconds += (user + system) / 1e6;
    this.claims += claims;
    this.calls += 1;
  }
}

class Paying {
  acknowledged = 0;
  failed = 0;
  #unsettled = 0;
  #isEnding = false;
  #ended: () => void = () => {};

  start(channels: readonly PaymentChannel[]): void {
    for (const channel of channels) this.#pay(channel);
  }

  /** Resolves when the last claims have ended. */
  async end(): Promise<void> {
    this.#isEnding = true;
    if (this.#unsettled > 0) await new Promise<void>((resolve) => (this.#ended = resolve));
  }

  /** The channel is new, so nothing is committed, and the node need not be asked. */
  #pay(channel: PaymentChannel): void {
    this.#unsettled += 1;
    channel.claim(channel.claimed + 1n).then(
      () => {
        this.acknowledged += 1;
        this.#settled(channel);
      },
      (error: Error) => {
        if (this.failed === 0) process.stderr.write(`${error.message}\n`);
        this.failed += 1;
        this.#settled(channel);
      },
    );
  }

  #settled(channel: PaymentChannel): void {
    this.#unsettled -= 1;
    if (!this.#isEnding) this.#pay(channel);
    else if (this.#unsettled === 0) this.#ended();
  }
}

async function payed({ to, privateKey, ledgerChannelIds, window, warmMs, measuredMs }: Work): Promise<Paid> {
  const payer = await Payer.open({ to, window, ackTimeoutMs: 60_000 });
  const signer = new TimedSigner(new Secp256k1Signer(Buffer.from(privateKey, 'hex')));
  const channels = ledgerChannelIds.map((ledgerChannelId) => payer.channel({ ledgerChannelId, key: signer }));
  const paying = new Paying();
  paying.start(channels);
  await sleep(warmMs);
  const look = () => ({ ...paying, ...payer.stats(), now: performance.now(), ...signer });
  const [before, cpuBefore] = [look(), process.cpuUsage()];
  await sleep(measuredMs);
  const [after, { user, system }] = [look(), process.cpuUsage(cpuBefore)];
  await paying.end();
  const acknowledged = channels.reduce((sum, channel) => sum + channel.committed, 0n);
  const { rtt } = payer.stats();
  await payer.close();
  return {
    claims: after.acknowledged - before.acknowledged,
    seconds: (after.now - before.now) / 1_000,
    processorSeconds: (user + system) / 1e6,
    signingSeconds: after.seconds - before.seconds,
    batch: (after.claims - before.claims) / Math.max(1, after.calls - before.calls),
    claimsPerDatagram: (after.claimsSent - before.claimsSent) / Math.max(1, after.datagramsSent - before.datagramsSent),
    retransmits: after.retransmits - before.retransmits,
    p50Ms: rtt.p50Ms,
    p99Ms: rtt.p99Ms,
    acknowledgedDrops: String(acknowledged),
    failed: paying.failed,
  };
}

if (process.argv[1] === PAYING)
  process.once('message', (work) => {
    void payed(work as Work).then((paid) => process.send!(paid, () => process.disconnect()));
  });

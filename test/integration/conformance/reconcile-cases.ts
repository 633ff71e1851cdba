/**
 * 100,000 claims (briefly some thousands, see transports.ts) over 200 channels by the worst way there is to the node, and
 * then the books: the model, every ack on the way, GET /channels, and the same once more after a restart.
 *
 * The payer sends each claim once, in rounds, and at the end again the newest of each channel until it is durable: a
 * newer claim heals the loss of every older one. Refusals that were lost are asked for again too, so that each was seen.
 */
import { expect } from 'vitest';
import { random } from '../../support/random.ts';
import type { Wire } from '../../support/wire-client.ts';
import type { FaultyPath } from '../../support/wire-udp.ts';
import { SMALL_RING } from './ack-cases.ts';
import type { ConformanceCase } from './cases.ts';
import { ClaimPlan, PLAN_CAPACITY } from './claim-plan.ts';
import { Judge } from './judge.ts';
import type { Stage } from './stage.ts';
import { TRANSPORTS } from './transports.ts';

/** What the transports' `faultsMin` is of. */
const CLAIMS_AT_LENGTH = 100_000;
const CHANNELS = 200;
/** So many that connections are cut within rounds, and so few that some are not and hear their answers. */
const roundOf = (claims: number): number => Math.min(600, claims / 50);
/** A datagram's worth; on a stream the path cuts and splits as it likes. */
const CLAIMS_PER_PAYLOAD = 15;
/** A round goes on without the answers that are still out when most have come, or after this long. */
const ROUND_MS_MAX = 60;
const MOST = 0.8;
/** At the end a slow node is waited for, twice as long each time, up to this long: else each connection is cut before it answers. */
const PATIENCE_MS_MAX = 2_000;
const SETTLE_MS_MAX = 60_000;

/** Signed once, at first use: every transport has the same claims, or as many of them from the first on. */
let signed: ClaimPlan | undefined;
const plan = (): ClaimPlan => {
  signed ??= new ClaimPlan(Math.max(...TRANSPORTS.map((entry) => entry.claims)), CHANNELS, 5_2026);
  return signed;
};

/** The payer: one wire at a time, opened anew when it was cut. */
class Payer {
  readonly #stage: Stage;
  readonly #path: FaultyPath;
  readonly #plan: ClaimPlan;
  readonly #judge: Judge;
  /** What the payer was told is durable, by channel. */
  readonly #heard = new BigUint64Array(CHANNELS);
  #wire: Wire | undefined;

  constructor(stage: Stage, path: FaultyPath, plan: ClaimPlan, judge: Judge) {
    this.#stage = stage;
    this.#path = path;
    this.#plan = plan;
    this.#judge = judge;
    if (path.witness !== undefined) path.witness.onAck = (ack) => judge.ack(ack);
  }

  async run(): Promise<void> {
    const { claims } = this.#stage.entry;
    const perRound = roundOf(claims);
    for (let first = 0; first < claims; first += perRound) {
      const last = Math.min(first + perRound, claims);
      for (let at = first; at < last; at += CLAIMS_PER_PAYLOAD)
        await this.#send(at, Math.min(at + CLAIMS_PER_PAYLOAD, last));
      await this.#wait(() => this.#open().length <= CHANNELS * (1 - MOST), ROUND_MS_MAX);
    }
    const end = performance.now() + SETTLE_MS_MAX;
    let patienceMs = ROUND_MS_MAX;
    for (let again = this.#again(); again.length > 0; again = this.#again()) {
      if (performance.now() > end) throw new Error(`expected every claim to be answered, ${again.length} were not`);
      for (const number of again) await this.#send(number, number + 1);
      await this.#wait(() => this.#again().length === 0, patienceMs);
      patienceMs = Math.min(2 * patienceMs, PATIENCE_MS_MAX);
    }
  }

  close(): void {
    this.#wire?.close();
  }

  /** What is sent again at the end: newest claims not known to be durable, and some of each refusal that is hardly heard. */
  #again(): number[] {
    return [...this.#open().map((channel) => this.#judge.newest[channel]!), ...this.#judge.unheard()];
  }

  /** Channels whose newest claim is not known to be durable. */
  #open(): number[] {
    const open: number[] = [];
    for (let channel = 0; channel < CHANNELS; channel++)
      if (this.#heard[channel]! < this.#judge.best[channel]!) open.push(channel);
    return open;
  }

  async #wait(isEnough: () => boolean, ms: number): Promise<void> {
    for (const end = performance.now() + ms; !isEnough(); ) {
      const left = end - performance.now();
      if (left <= 0) return;
      await this.#wire?.inbox.more(left);
    }
  }

  async #send(first: number, end: number): Promise<void> {
    for (let number = first; number < end; number++) this.#judge.sent(number);
    if (this.#wire?.isOpen !== true) this.#wire = await this.#connect();
    await this.#wire.send(this.#plan.payload(first, end));
  }

  async #connect(): Promise<Wire> {
    this.#wire?.close();
    const wire = await this.#stage.entry.connect(this.#path.address);
    wire.inbox.onAck = (ack) => {
      if (this.#path.witness === undefined) this.#judge.ack(ack);
      const channel = this.#plan.channelOf(ack.sequence);
      if (ack.status < 16 && channel !== undefined && ack.amount > this.#heard[channel]!)
        this.#heard[channel] = ack.amount;
      // Nobody looks at them again.
      wire.inbox.acks.length = 0;
    };
    this.#stage.keep(wire);
    return wire;
  }
}

async function reconcile(stage: Stage): Promise<void> {
  const claims = plan();
  await stage.openThese(claims.channels, { capacity: PLAN_CAPACITY, expiresAt: 0 });
  const path = await stage.entry.faultyPath(stage.address!, random(100_000));
  const judge = new Judge(claims, path.isUnordered !== true);
  const receivedBefore = stage.counter('received');
  const payer = new Payer(stage, path, claims, judge);
  try {
    await payer.run();
  } finally {
    payer.close();
    await path.close();
  }
  judge.expectSound();
  expect(judge.acks).toBeLessThanOrEqual(stage.counter('received') - receivedBefore);
  judge.expectAmounts(await stage.amounts());
  expect(path.witness?.faults ?? []).toEqual([]);
  const faultsMin = (stage.entry.faultsMin * stage.entry.claims) / CLAIMS_AT_LENGTH;
  for (const [fault, times] of Object.entries(path.faults)) expect(times, fault).toBeGreaterThanOrEqual(faultsMin);
  await stage.restart(SMALL_RING);
  judge.expectAmounts(await stage.amounts());
}

export const RECONCILE_CASES: readonly ConformanceCase[] = [
  { name: 'reconciles claims with faults, to the drop', run: reconcile },
];

/**
 * The model a run is reconciled with: of each channel the highest sound amount sent, and what an ack may say of each claim.
 *
 * It knows the plan and what was handed to the wire, not what arrived: whatever was lost, the newest claim came through in the end.
 */
import { expect } from 'vitest';
import {
  ALREADY,
  BAD_AMOUNT,
  BAD_SIGNATURE,
  COMMITTED,
  OVER_CAPACITY,
  OVERLOADED,
  UNKNOWN_CHANNEL,
  type WireAck,
} from '../../support/wire-client.ts';
import { type ClaimPlan, FORGED, NOTHING, PLAN_CAPACITY, SOUND, STRANGE, TOO_MUCH } from './claim-plan.ts';

/** The one refusal of each kind of claim that is not sound. */
const REFUSAL: Record<number, number> = {
  [FORGED]: BAD_SIGNATURE,
  [TOO_MUCH]: OVER_CAPACITY,
  [STRANGE]: UNKNOWN_CHANNEL,
  [NOTHING]: BAD_AMOUNT,
};
const FAULTS_KEPT = 20;
/** Claims of a kind that are sent again at a time. */
const ASKED_AGAIN = 5;

export class Judge {
  /** Highest sound amount sent, by channel, and the number of that claim. */
  readonly best: BigUint64Array;
  readonly newest: Uint32Array;
  /** Acks there were. */
  acks = 0;
  readonly #plan: ClaimPlan;
  readonly #isSent: Uint8Array;
  /** Highest amount in a COMMITTED, by channel. */
  readonly #committed: BigUint64Array;
  readonly #statuses = new Map<number, number>();
  readonly #faults: string[] = [];

  readonly #isOrdered: boolean;

  /** @param isOrdered whether acks are told in the order in which the node sent them */
  constructor(plan: ClaimPlan, isOrdered: boolean) {
    this.#plan = plan;
    this.#isOrdered = isOrdered;
    this.best = new BigUint64Array(plan.channels.length);
    this.newest = new Uint32Array(plan.channels.length);
    this.#committed = new BigUint64Array(plan.channels.length);
    this.#isSent = new Uint8Array(plan.claims);
  }

  /** The claim is about to be handed to the wire. */
  sent(number: number): void {
    this.#isSent[number] = 1;
    const channel = this.#plan.channelOf(number);
    if (this.#plan.kinds[number] !== SOUND || channel === undefined) return;
    const amount = this.#plan.amounts[number]!;
    if (amount <= this.best[channel]!) return;
    this.best[channel] = amount;
    this.newest[channel] = number;
  }

  /** An ack. */
  ack(ack: WireAck): void {
    this.acks++;
    this.#statuses.set(ack.status, (this.#statuses.get(ack.status) ?? 0) + 1);
    const fault = this.#faultOf(ack);
    if (fault === undefined || this.#faults.length === FAULTS_KEPT) return;
    this.#faults.push(
      `claim ${ack.sequence}, status ${ack.status}, amount ${ack.amount}, channel ${ack.channelId}: ${fault}`,
    );
  }

  #faultOf({ status, sequence, channelId, amount, timestampBits }: WireAck): string | undefined {
    const plan = this.#plan;
    if (this.#isSent[sequence] !== 1) return 'no such claim was sent';
    if (channelId !== plan.channelId(sequence)) return 'not that claim’s channel';
    if (timestampBits !== plan.timestampBits(sequence)) return 'not that claim’s timestamp';
    if (status === OVERLOADED) return amount === 0n ? undefined : 'expected no amount';
    const kind = plan.kinds[sequence]!;
    if (kind === SOUND) return this.#durableFault(status, plan.channelOf(sequence)!, amount, plan.amounts[sequence]!);
    if (status !== REFUSAL[kind]) return `expected status ${REFUSAL[kind]}`;
    const expected = kind === TOO_MUCH ? PLAN_CAPACITY : kind === STRANGE ? 0n : plan.amounts[sequence]!;
    return amount === expected ? undefined : `expected amount ${expected}`;
  }

  #durableFault(status: number, channel: number, amount: bigint, own: bigint): string | undefined {
    if (status !== COMMITTED && status !== ALREADY) return 'a sound claim, refused';
    if (amount !== own) return `expected amount ${own}`;
    if (amount > this.best[channel]!) return 'more than was sent';
    // ALREADY is answered on receipt, so it may overtake a COMMITTED of less that is on its way out.
    if (status === ALREADY) return undefined;
    if (amount < this.#committed[channel]! && this.#isOrdered)
      return `below ${this.#committed[channel]}, COMMITTED before`;
    this.#committed[channel] = amount;
    return undefined;
  }

  /**
   * A few claims of each kind that is refused and was hardly heard of: their answers are given once and go with a cut connection,
   * nearly all of them where the node is slow.
   */
  unheard(): number[] {
    const numbers: number[] = [];
    for (const [kind, status] of Object.entries(REFUSAL)) {
      if (this.#heard(status) > this.#enough) continue;
      let left = ASKED_AGAIN;
      for (let number = 0; left > 0 && number < this.#plan.claims; number++)
        if (this.#isSent[number] === 1 && this.#plan.kinds[number] === Number(kind)) {
          numbers.push(number);
          left--;
        }
    }
    return numbers;
  }

  /** No ack was wrong, and each kind of claim was answered. */
  expectSound(): void {
    expect(this.#faults).toEqual([]);
    // Where the node is slow, connections are cut before it says COMMITTED, and it says ALREADY later.
    expect(this.#heard(COMMITTED) + this.#heard(ALREADY), 'durable answers').toBeGreaterThan(this.#enough);
    for (const status of Object.values(REFUSAL))
      expect(this.#heard(status), `acks of status ${status}`).toBeGreaterThan(this.#enough);
  }

  #heard(status: number): number {
    return this.#statuses.get(status) ?? 0;
  }
  get #enough(): number {
    return this.#isSent.reduce((sum, isSent) => sum + isSent, 0) / 1_000;
  }

  /** Every channel is paid what the model says, to the drop. */
  expectAmounts(amounts: ReadonlyMap<bigint, bigint>): void {
    const expected = this.#plan.channels.map(({ channelId }, index) => [channelId, this.best[index]!] as const);
    expect(this.#plan.channels.map(({ channelId }) => [channelId, amounts.get(channelId)])).toEqual(expected);
  }
}

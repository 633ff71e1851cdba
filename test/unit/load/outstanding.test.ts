/** Outstanding claims against a naive model: a list, searched. */
import { expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { type ClaimEnds, Outstanding, QUEUE_STRIDE } from '../../../src/load/outstanding.ts';
import { Random } from '../../../src/load/random.ts';

/** How each claim ended, by its intended time, which the test makes its name. */
class Ends implements ClaimEnds {
  readonly all = new Map<number, string>();

  committed(dueAt: number): void {
    this.#end(dueAt, 'committed');
  }
  already(dueAt: number): void {
    this.#end(dueAt, 'already');
  }
  refused(dueAt: number, status: number, isExpected: boolean): void {
    this.#end(dueAt, `refused ${status} ${isExpected}`);
  }
  covered(dueAt: number): void {
    this.#end(dueAt, 'covered');
  }
  uncovered(dueAt: number): void {
    expect(this.all.get(dueAt)).toBe('covered');
    this.all.delete(dueAt);
  }
  unanswered(dueAt: number): void {
    this.#end(dueAt, 'unanswered');
  }
  #end(dueAt: number, how: string): void {
    expect(this.all.has(dueAt), `claim ${dueAt} ends once`).toBe(false);
    this.all.set(dueAt, how);
  }
}

interface ModelClaim {
  number: number;
  channel: number;
  amount: number;
  isDoomed: boolean;
  end: string | undefined;
  /** Its queue has let go of it. */
  isGone: boolean;
}

/** The same rules, over a list. A claim behind one that is not covered stays, whatever its own amount. */
class Model {
  readonly claims: ModelClaim[] = [];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(channel: number, amount: number, isDoomed: boolean): void {
    const pushedOut = this.claims.at(-this.#capacity);
    if (pushedOut !== undefined) this.#giveUp(pushedOut);
    this.claims.push({ number: this.claims.length, channel, amount, isDoomed, end: undefined, isGone: false });
  }
  cover(channel: number, amount: number, isCommitted: boolean): void {
    for (const claim of this.claims) {
      if (claim.channel !== channel || claim.isGone) continue;
      if (claim.end === undefined) {
        if (claim.amount > amount) return;
        claim.end = claim.isDoomed ? 'covered' : isCommitted ? 'committed' : 'already';
      }
      claim.isGone = true;
    }
  }
  refuse(number: number, status: number): void {
    const claim = this.claims[number];
    if (claim === undefined || number < this.claims.length - this.#capacity) return;
    if (claim.end !== undefined && claim.end !== 'covered') return;
    claim.end = `refused ${status} ${claim.isDoomed}`;
  }
  expire(below: number): void {
    for (const claim of this.claims) {
      if (claim.number < below) this.#giveUp(claim);
      else if (claim.end === undefined) return;
      claim.isGone ||= claim.end !== undefined;
    }
  }
  #giveUp(claim: ModelClaim): void {
    claim.end ??= 'unanswered';
    claim.isGone = true;
  }
}

/** As LoadChannels has them: of the last channel nothing lies behind its queue. */
const queuesOf = (channels: number) => new Int32Array(QUEUE_STRIDE * channels - 6);

test.each([1, 2, 3, 4, 5, 6])('random claims and acks, seed %i: every claim ends as the model says', (seed) => {
  const random = new Random(seed, 'outstanding');
  const [channels, capacity] = [3, 32];
  const ends = new Ends();
  const outstanding = new Outstanding(capacity, queuesOf(channels), ends);
  const model = new Model(capacity);
  const highest = new Array<number>(channels).fill(0);
  for (let turn = 0; turn < 5_000; turn++) {
    const channel = random.below(channels);
    const what = random.below(100);
    if (what < 55) {
      const isStale = random.below(8) === 0;
      const amount = isStale ? Math.max(1, highest[channel]! - random.below(4)) : highest[channel]! + 1;
      if (!isStale) highest[channel] = amount;
      const isDoomed = random.below(6) === 0;
      const number = outstanding.next;
      model.add(channel, amount, isDoomed);
      outstanding.add(channel, amount, number, number, isDoomed);
    } else if (what < 80) {
      const amount = Math.max(0, highest[channel]! - random.below(10));
      const isCommitted = random.below(4) > 0;
      model.cover(channel, amount, isCommitted);
      outstanding.cover(channel, amount, isCommitted, turn);
    } else if (what < 99) {
      const number = Math.max(0, outstanding.next - 1 - random.below(capacity + 8));
      const claim = model.claims[number];
      if (claim === undefined) continue;
      model.refuse(number, STATUS.BAD_SIGNATURE);
      outstanding.refuse(claim.channel, number, STATUS.BAD_SIGNATURE);
    } else {
      const below = Math.max(0, outstanding.next - random.below(capacity));
      model.expire(below);
      outstanding.expire(below);
    }
    expect(outstanding.count).toBe(model.claims.filter(({ end }) => end === undefined).length);
  }
  outstanding.expire(Number.POSITIVE_INFINITY);
  model.expire(Number.POSITIVE_INFINITY);
  expect(outstanding.count).toBe(0);
  expect(model.claims.length).toBeGreaterThan(2_000);
  expect([...ends.all].sort(([left], [right]) => left - right)).toEqual(
    model.claims.map(({ number, end }) => [number, end]),
  );
});

test('a claim made to be refused is never acknowledged, and an old sequence is nobody else', () => {
  const ends = new Ends();
  const outstanding = new Outstanding(4, queuesOf(1), ends);
  outstanding.add(0, 1, 0, 0, true);
  outstanding.add(0, 2, 1, 1, false);
  outstanding.cover(0, 2, true, 5);
  expect([...ends.all.values()]).toEqual(['covered', 'committed']);
  expect(outstanding.refuse(0, 0, STATUS.BAD_SIGNATURE)).toBe(true);
  expect(ends.all.get(0)).toBe('refused 17 true');
  for (let number = 2; number < 6; number++) outstanding.add(0, number + 1, number, number, false);
  expect(outstanding.channelOf(1)).toBe(-1);
  expect(outstanding.refuse(0, 1, STATUS.BAD_SIGNATURE)).toBe(false);
  expect(outstanding.channelOf(5)).toBe(0);
  expect(outstanding.channelOf(6)).toBe(-1);
  expect(outstanding.refuseOldest(0, STATUS.OVERLOADED)).toBe(true);
  expect(ends.all.get(2)).toBe('refused 21 false');
});

test('a claim that is answered itself ends, though an older one with a higher amount still waits', () => {
  const ends = new Ends();
  const outstanding = new Outstanding(8, queuesOf(1), ends);
  outstanding.add(0, 10, 1, 1, true);
  outstanding.add(0, 9, 2, 2, false);
  outstanding.add(0, 8, 3, 3, true);
  // ALREADY comes from the receive step; the first claim's signature is looked at only later.
  expect(outstanding.cover(0, 9, false, 4)).toBe(0);
  expect(outstanding.answer(0, 1, 9, false, 4)).toBe(1);
  expect(outstanding.answer(0, 1, 9, false, 4)).toBe(0);
  expect(outstanding.answer(0, 2, 8, false, 4)).toBe(1);
  expect(outstanding.answer(0, 0, 9, false, 4)).toBe(0);
  expect(outstanding.refuse(0, 0, STATUS.BAD_SIGNATURE)).toBe(true);
  expect(outstanding.count).toBe(0);
  outstanding.add(0, 11, 4, 5, false);
  expect(outstanding.cover(0, 11, true, 6)).toBe(1);
  expect([...ends.all.values()]).toEqual(['already', 'covered', `refused ${STATUS.BAD_SIGNATURE} true`, 'committed']);
  outstanding.expire(Number.POSITIVE_INFINITY);
  expect(ends.all.size).toBe(4);
});

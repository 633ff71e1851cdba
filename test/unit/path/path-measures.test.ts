/**
 * What is measured of claims, against a plain computation: a log of each claim's times, from which every bucket is counted
 * claim by claim. The steps run in any order under a steered clock, with and without C, with syncs in the thread and beside.
 */
import { describe, expect, test, vi } from 'vitest';
import { bucketOf, highestOf } from '../../../src/log-buckets.ts';
import { nativePathFault } from '../../../src/path/native-path.ts';
import { ReceiveStep } from '../../../src/path/receive-step.ts';
import { VerifyStep } from '../../../src/path/verify-step.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { Counters } from '../../../src/ring/counters.ts';
import { Histograms, MEASURE, readHistogram } from '../../../src/ring/histogram.ts';
import { SLOT_VERDICT, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { random } from '../../support/random.ts';
import { claimOf, Rig, type RigOptions, StubBackend, sourceOf } from '../../support/rig.ts';

const BITS = 7;
const PAYER = sourceOf('192.0.2.1', 4_000);
const CHANNELS = 5n;

/** Times of one claim, microseconds; undefined until they are known. */
interface Way {
  isValid: boolean;
  /** False while measuring is switched off. */
  isMeasured: boolean;
  arrived: number;
  read: number;
  published?: number;
  judged?: number;
  written?: number;
  durable?: number;
  answered?: number;
}

/** A rig, and beside it the log of every claim that entered its ring. */
class LoggedRig {
  readonly rig: Rig;
  readonly ways: Way[] = [];
  readonly groups: number[] = [];
  readonly syncs: number[] = [];
  #published = 0;
  #judged = 0;
  #applied = 0;
  #answered = 0;
  #amount = 0n;
  #write: { at: number; durable: number } | undefined;

  constructor(options: RigOptions) {
    this.rig = new Rig(options);
    // A clock whose microseconds are about to wrap.
    this.rig.monotonic = 2 ** 32 / 1_000 - 3;
    for (let channelId = 1n; channelId <= CHANNELS; channelId++) this.rig.open({ channelId, capacity: 10n ** 15n });
    const { arena, journal, ring, files } = this.rig;
    const markOf = (sequence: number) => arena.plan.arrivals.offset / 4 + (sequence & ring.mask) * 4;
    const [write, release] = [journal.write.bind(journal), ring.release.bind(ring)];
    journal.write = (group, now) => {
      write(group, now);
      this.#write = { at: this.us, durable: this.us };
    };
    ring.release = (sequence) => {
      this.#apply((sequence - ring.committed) >>> 0);
      const freed = ring.committed;
      release(sequence);
      // Who still reads the marks of free slots finds what another thread may have written there.
      for (let at = freed; at !== sequence; at = (at + 1) >>> 0)
        arena.words.fill(0xaaaaaaaa, markOf(at), markOf(at) + 4);
    };
    let began = 0;
    const [sync, syncLater, endSync] = [files.fdatasyncSync, files.fdatasync.bind(files), files.endSync.bind(files)];
    files.fdatasyncSync = () => {
      began = this.us;
      sync();
      this.#synced(began);
    };
    files.fdatasync = (fd, done) => {
      began = this.us;
      syncLater(fd, done);
    };
    files.endSync = () => {
      this.#synced(began);
      endSync();
    };
  }

  get us(): number {
    return Math.floor(this.rig.monotonic * 1_000);
  }
  pass(us: number): void {
    this.rig.monotonic += us / 1_000;
  }

  /** A datagram of claims that rise, each valid or not, which waited in the socket; read with the one before, or by itself. */
  datagram(valid: readonly boolean[], waited: number, isReadAlone = true): void {
    const { receive, ring } = this.rig;
    const claims = valid.map((isValid) =>
      claimOf({ channelId: (this.#amount % CHANNELS) + 1n, amount: ++this.#amount }, isValid),
    );
    const bytes = new Uint8Array(Buffer.concat(claims));
    const before = ring.next;
    if (isReadAlone) receive.now = this.rig.now;
    receive.waited(waited);
    receive.payload(bytes, new DataView(bytes.buffer), 0, bytes.length, PAYER);
    const entered = (ring.next - before) >>> 0;
    const isMeasured = receive.isMeasuring;
    for (const isValid of valid.slice(0, entered))
      this.ways.push({ isValid, isMeasured, arrived: this.us - waited, read: this.us });
  }
  publish(): void {
    this.rig.receive.step(this.rig.now);
    while (this.#published < this.ways.length) this.ways[this.#published++]!.published = this.us;
  }
  verify(): void {
    for (let count = this.rig.verify.step(); count > 0; count--) this.ways[this.#judged++]!.judged = this.us;
  }
  commit(): void {
    this.rig.commitTurn();
  }
  answer(): void {
    this.rig.ackTurn();
    while (this.#answered < this.#applied) this.ways[this.#answered++]!.answered = this.us;
  }

  drain(): void {
    while (this.rig.ring.depth > 0 || this.#published < this.ways.length) {
      this.publish();
      this.verify();
      this.commit();
      if (this.rig.files.syncing.length > 0) this.rig.files.endSync();
    }
    this.commit();
    this.answer();
  }

  #synced(began: number): void {
    this.#write!.durable = this.us;
    if (this.rig.ring.isMeasured) this.syncs.push(this.us - began);
  }

  /** One group becomes visible: so many claims after those of the groups before. */
  #apply(claims: number): void {
    const write = this.#write ?? { at: this.us, durable: this.us };
    const ways = this.ways.slice(this.#applied, this.#applied + claims);
    for (const way of ways) Object.assign(way, { written: write.at, durable: write.durable });
    if (this.#write !== undefined && this.rig.ring.isMeasured)
      this.groups.push(ways.filter(({ isValid }) => isValid).length);
    this.#applied += claims;
    this.#write = undefined;
  }

  /** Every bucket of every histogram, by the plain computation. */
  expected(): Record<keyof typeof MEASURE, number[][]> {
    const valid = this.ways.filter(({ isValid, isMeasured }) => isValid && isMeasured);
    const between = (from: keyof Way, to: keyof Way, ways = valid) =>
      buckets(ways.map((way) => (way[to] as number) - (way[from] as number)));
    const answered = valid.filter((way) => way.answered !== undefined);
    return {
      queue: between('arrived', 'read'),
      receive: between('read', 'published'),
      verify: between('published', 'judged'),
      commit: between('judged', 'written'),
      sync: between('written', 'durable'),
      ack: between('durable', 'answered', answered),
      whole: between('arrived', 'answered', answered),
      journalSync: buckets(this.syncs),
      group: buckets(this.groups),
    };
  }
}

/** Pairs of a bucket's highest value and how many values it has. */
function buckets(values: readonly number[]): number[][] {
  const counts = new Map<number, number>();
  for (const value of values) {
    const bound = highestOf(bucketOf(value, BITS), BITS);
    counts.set(bound, (counts.get(bound) ?? 0) + 1);
  }
  return [...counts].sort(([left], [right]) => left - right);
}

function measured(rig: Rig): Record<string, number[][]> {
  return Object.fromEntries(
    Object.entries(MEASURE).map(([name, measure]) => {
      const { bounds, counts } = readHistogram(rig.arena, 0, measure);
      return [name, Array.from(bounds, (bound, index) => [bound, counts[index]!])];
    }),
  );
}

const PATHS = nativePathFault() === undefined ? (['portable', 'native'] as const) : (['portable'] as const);

describe.each(PATHS)('path %s', (path) => {
  test.each<[string, RigOptions, number]>([
    ['a usual ring', {}, 1],
    ['a ring of four', { ringSlots: 4 }, 2],
    ['sequence numbers that wrap', { firstSequence: 2 ** 32 - 100 }, 3],
    ['small batches', { batchMax: 3 }, 4],
    ['syncs beside the thread', { isOverlapping: true }, 5],
    ['written is enough', { durability: 'os' }, 6],
  ])('%s: every bucket is that of the claims’ own times', (_, options, seed) => {
    const from = random(seed);
    const logged = new LoggedRig({ ...options, path });
    const steps = ['publish', 'verify', 'commit', 'answer'] as const;
    for (let step = 0; step < 1_500; step++) {
      logged.pass(from.below(4) === 0 ? from.below(30_000) : from.below(200));
      logged.rig.syncMs = from.below(5_000) / 1_000;
      if (from.below(2) === 0) {
        const valid = Array.from({ length: 1 + from.below(12) }, () => from.below(5) > 0);
        // Waits that are told apart: those that hardly differ share a mark, see below.
        logged.datagram(valid, [0, 40, 900, 7_000, 2_000_000][from.below(5)]!);
      } else if (logged.rig.files.syncing.length > 0 && from.below(4) === 0) logged.rig.files.endSync();
      else logged[steps[from.below(4)]!]();
    }
    logged.drain();
    expect(measured(logged.rig)).toEqual(logged.expected());
    const { count } = readHistogram(logged.rig.arena, 0, MEASURE.whole);
    expect(count).toBe(logged.rig.counter('committed'));
    expect(count).toBeGreaterThan(100);
  });

  test.each<[string, RigOptions]>([
    ['alone', {}],
    ['with syncs beside the thread', { isOverlapping: true }],
  ])(
    'measuring is switched off and on, %s: each claim is measured as it was received, whole or not at all',
    (_, options) => {
      const from = random(7);
      const logged = new LoggedRig({ ...options, path });
      const steps = ['publish', 'verify', 'commit', 'answer'] as const;
      for (let step = 0; step < 1_500; step++) {
        logged.pass(from.below(200));
        if (from.below(6) === 0) logged.rig.settings.set('measuring', from.below(2));
        const what = from.below(12);
        if (what === 0) logged.drain();
        else if (what < 6) logged.datagram([true, from.below(5) > 0], [0, 40, 900][from.below(3)]!);
        else if (logged.rig.files.syncing.length > 0 && from.below(2) === 0) logged.rig.files.endSync();
        else logged[steps[from.below(4)]!]();
      }
      logged.drain();
      expect(measured(logged.rig)).toEqual(logged.expected());
      const { count } = readHistogram(logged.rig.arena, 0, MEASURE.whole);
      expect(count).toBeGreaterThan(100);
      expect(count).toBeLessThan(logged.rig.counter('committed') - 100);
    },
  );
});

test('datagrams that waited nearly as long share a mark, which is off by a 64th at most', () => {
  const logged = new LoggedRig({ ringSlots: 1_024 });
  logged.pass(50_000);
  for (let waited = 20_000; waited > 0; waited -= 61) logged.datagram([true], waited, false);
  const add = vi.spyOn(Histograms.prototype, 'add');
  logged.drain();
  const runs = add.mock.calls.filter(([measure]) => measure === MEASURE.queue).length;
  add.mockRestore();
  expect(runs).toBeLessThan(logged.ways.length * 0.8);
  const { bounds, counts } = readHistogram(logged.rig.arena, 0, MEASURE.queue);
  expect(bounds.length).toBeGreaterThan(100);
  const seen = Array.from(bounds).flatMap((bound, index) => new Array<number>(counts[index]!).fill(bound));
  const waits = logged.ways.map((way) => way.read - way.arrived).sort((left, right) => left - right);
  expect(seen.length).toBe(waits.length);
  // A bucket is another 128th wide.
  for (const [index, wait] of waits.entries()) expect(Math.abs(seen[index]! - wait)).toBeLessThanOrEqual(wait / 40 + 1);
});

test('a wait longer than the clock has run, or the clock standing still: no time is negative', () => {
  const logged = new LoggedRig({});
  logged.rig.monotonic = 0;
  logged.datagram([true], 1_000);
  logged.drain();
  for (const measure of [MEASURE.verify, MEASURE.commit, MEASURE.sync, MEASURE.ack])
    expect([...readHistogram(logged.rig.arena, 0, measure).bounds]).toEqual([0]);
  expect([...readHistogram(logged.rig.arena, 0, MEASURE.queue).bounds]).toEqual([1_003]);
});

/** Two verifiers over one ring: the second judges its batch before the first is done with its own. */
test('verifiers that end out of order: each claim has the time of its own batch', () => {
  let second: () => void = () => {};
  const rig = new Rig({
    backend: (arena, ring) => {
      const stub = new StubBackend(arena, ring, () => VERDICT_VALID, 2);
      return {
        name: 'noble',
        batchMax: 2,
        verifySlots: (first, count) => {
          second();
          stub.verifySlots(first, count);
        },
      };
    },
  });
  const ring = new ClaimRing(rig.arena, 0);
  const other = new VerifyStep(ring, new StubBackend(rig.arena, ring, () => VERDICT_VALID, 3), 3, rig.measures);
  second = () => {
    rig.monotonic = 1;
    other.step();
    rig.monotonic = 5;
  };
  rig.open({ channelId: 1n });
  for (let amount = 1n; amount <= 5n; amount++) rig.datagram(claimOf({ channelId: 1n, amount }), PAYER);
  rig.receive.step(rig.now);
  rig.verify.step();
  rig.commitTurn();
  expect(measured(rig).verify).toEqual([
    [1_003, 3],
    [5_023, 2],
  ]);
});

test('a committer that is quicker than the verifier says when: the group’s time stands for it, and the next batch is found', () => {
  const rig = new Rig({ batchMax: 4 });
  rig.open({ channelId: 1n });
  for (let amount = 1n; amount <= 8n; amount++) rig.datagram(claimOf({ channelId: 1n, amount }), PAYER);
  rig.receive.step(rig.now);
  rig.ring.reserve(4);
  rig.measures.judging(0, 4);
  for (let sequence = 0; sequence < 4; sequence++)
    Atomics.store(rig.arena.ints, (rig.ring.slot(sequence) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
  rig.monotonic = 2;
  rig.commitTurn();
  rig.monotonic = 3;
  rig.verify.step();
  rig.monotonic = 4;
  rig.commitTurn();
  const { verify, commit } = measured(rig);
  expect(verify).toEqual([
    [2_007, 4],
    [3_007, 4],
  ]);
  expect(commit).toEqual([
    [0, 4],
    [1_003, 4],
  ]);
});

test('a sender that is far behind: claims are left out of what is measured, and none is counted twice', () => {
  const rig = new Rig({ ringSlots: 4, ackSlots: 64 });
  rig.open({ channelId: 1n });
  const pay = (amount: bigint) => {
    rig.datagram(claimOf({ channelId: 1n, amount }), PAYER);
    rig.receive.step(rig.now);
    rig.verify.step();
    rig.commitTurn();
  };
  for (let amount = 1n; amount <= 10n; amount++) pay(amount);
  rig.ackTurn();
  expect(readHistogram(rig.arena, 0, MEASURE.whole).count).toBe(4);
  pay(11n);
  rig.ackTurn();
  expect(readHistogram(rig.arena, 0, MEASURE.whole).count).toBe(5);
  expect(readHistogram(rig.arena, 0, MEASURE.sync).count).toBe(11);
  expect(rig.counter('unmeasured')).toBe(6);
});

test('a verifier that says when after its claims are written: they were judged by then', () => {
  const rig = new Rig({ batchMax: 4 });
  rig.open({ channelId: 1n });
  for (let amount = 1n; amount <= 4n; amount++) rig.datagram(claimOf({ channelId: 1n, amount }), PAYER);
  rig.receive.step(rig.now);
  rig.ring.reserve(4);
  rig.measures.judging(0, 4);
  for (let sequence = 0; sequence < 4; sequence++)
    Atomics.store(rig.arena.ints, (rig.ring.slot(sequence) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
  rig.monotonic = 2;
  rig.files.before = (operation) => {
    if (operation !== 'sync') return;
    rig.monotonic = 3;
    rig.measures.judged(0);
    rig.monotonic = 4;
  };
  rig.commitTurn();
  const { verify, commit, sync } = measured(rig);
  expect([verify, commit, sync]).toEqual([[[2_007, 4]], [[0, 4]], [[2_007, 4]]]);
});

test('a claim is on its way until its ack has crossed to the thread that sends it', () => {
  const rig = new Rig();
  rig.open({ channelId: 1n });
  rig.datagram(claimOf({ channelId: 1n, amount: 1n }), PAYER);
  rig.receive.step(rig.now);
  rig.verify.step();
  // Applied, and the ack is not published yet.
  rig.commit.step(rig.now);
  rig.monotonic = 1;
  rig.ackStep.step(rig.now);
  expect(measured(rig).whole).toEqual([]);
  rig.ackWriter.publish();
  rig.monotonic = 3;
  rig.ackStep.step(rig.now);
  expect(measured(rig).whole).toEqual([[3_007, 1]]);
});

test('a committer that sees a batch’s verdicts before its verifier is done counts the batch as a whole', () => {
  const rig = new Rig({ ringSlots: 1_024, batchMax: 200 });
  rig.open({ channelId: 1n });
  const claims = Array.from({ length: 200 }, (_, index) => claimOf({ channelId: 1n, amount: BigInt(index) + 1n }));
  rig.datagram(new Uint8Array(Buffer.concat(claims)), PAYER);
  rig.receive.step(rig.now);
  const add = vi.spyOn(Histograms.prototype, 'add');
  rig.measures.judged = () => {};
  rig.verify.step();
  rig.commitTurn();
  const adds = add.mock.calls.length;
  add.mockRestore();
  expect(readHistogram(rig.arena, 0, MEASURE.commit).count).toBe(200);
  // Six stages and the group, not six for each claim.
  expect(adds).toBeLessThan(10);
});

test('a receiver that measures nothing before a committer that does: it is told, and does not wait for ever', () => {
  const rig = new Rig();
  rig.open({ channelId: 1n });
  rig.receive.step(rig.now);
  const { arena, ring, table, sender } = rig;
  const receive = new ReceiveStep(arena, ring, table, sender, new Counters(arena, 0), nodeSystem.random);
  const bytes = new Uint8Array(claimOf({ channelId: 1n, amount: 1n }));
  receive.now = rig.now;
  receive.payload(bytes, new DataView(bytes.buffer), 0, bytes.length, PAYER);
  receive.step(rig.now);
  rig.verify.step();
  expect(() => rig.commitTurn()).toThrow('the receiver marks every run of claims');
});

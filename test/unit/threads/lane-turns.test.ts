/**
 * Two lanes' turns in one thread, and a pipeline's: the very same turns that their threads run, over one shared arena, with
 * transports, disks, clocks and chance that the test hands in. No worker, no socket, no time that passes by itself.
 */
import { MessageChannel } from 'node:worker_threads';
import { beforeEach, expect, test } from 'vitest';
import { statusName } from '../../../protocol/layout.ts';
import { AckRingWriter } from '../../../src/path/ack-step.ts';
import { AckRing } from '../../../src/ring/ack-ring.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { PHASE_STOPPING } from '../../../src/ring/control-words.ts';
import { readCounters } from '../../../src/ring/counters.ts';
import { CommitTurn } from '../../../src/threads/committer.ts';
import type { ThreadContext } from '../../../src/threads/context.ts';
import { LaneTurn } from '../../../src/threads/lane.ts';
import { NetTurn } from '../../../src/threads/net.ts';
import { ThreadParts } from '../../../src/threads/parts.ts';
import { RigTransport, sourceOf } from '../../support/rig.ts';
import { RigFiles } from '../../support/rig-files.ts';
import { openingOf, signedClaim } from '../../support/wire.ts';

const START_SECONDS = 1_700_000_000;
const PAYER = sourceOf('192.0.2.1', 4_000);

/** Both clocks go by what the test says. */
class HandClock {
  wallMs = START_SECONDS * 1_000;
  monotonicMs = 0;
  wall(): number {
    return this.wallMs;
  }
  monotonic(): number {
    return this.monotonicMs;
  }
}

class HandLane {
  readonly clock = new HandClock();
  readonly files = new RigFiles();
  readonly transport = new RigTransport();
  readonly parts: ThreadParts;
  readonly turn: LaneTurn;
  /** Syncs beside the thread that have ended, and asked for a turn. */
  asked = 0;

  constructor(arena: Arena, ring: number) {
    this.parts = new ThreadParts(contextOf(arena, ring), {
      clock: this.clock,
      random: (count) => Buffer.alloc(count, 7),
      files: this.files,
    });
    const sockets = { transports: [this.transport], afterTurn: () => {}, hasTimes: false };
    this.turn = new LaneTurn(this.parts, sockets, () => this.asked++);
  }

  receive(claim: Uint8Array): void {
    this.turn.receive.now = this.parts.now();
    this.turn.receive.payload(claim, new DataView(claim.buffer), 0, claim.length, PAYER);
  }

  /** One turn, and more while another is due. */
  step(): void {
    while (this.turn.step(this.parts.now()));
  }

  /** What it says to one claim, right away. */
  answer(claim: Uint8Array): [string, bigint][] {
    this.receive(claim);
    this.step();
    return this.takeAcks();
  }

  takeAcks(): [string, bigint][] {
    const datagrams = this.transport.datagrams.splice(0);
    return datagrams.flatMap(({ acks }) => acks.map(({ status, amount }) => [statusName(status), amount]));
  }
}

function contextOf(arena: Arena, ring: number): ThreadContext {
  return {
    role: 'lane',
    memory: arena.memory,
    shape: arena.plan.shape,
    backend: 'noble',
    verify: 'every',
    durability: 'sync',
    sockets: 'dgram',
    path: 'portable',
    idle: { spins: 0, sleepMsMax: 100 },
    measuring: true,
    ring,
    thread: ring,
    kernel: { cacheBytes: 1, threads: 1, thread: 0 },
    udp: { host: '', port: 0, isShared: false },
    tcp: { listen: undefined, isShared: false, tls: undefined, limits: {} },
    controlPort: new MessageChannel().port1,
    journal: { directory: `/lane-${ring}`, segmentBytes: 1 << 20, journalId: new Uint8Array(16), segment: 1, group: 1 },
  };
}

let arena: Arena;
let one: HandLane;
let two: HandLane;
beforeEach(() => {
  arena = Arena.create({ kernelBytes: 0, rings: 2, ringSlots: 16, ackSlots: 16, threads: 2, channelsMax: 16 });
  [one, two] = [new HandLane(arena, 0), new HandLane(arena, 1)];
  const unused = {
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    state: 'open',
  } as const;
  for (const channelId of [1n, 2n, 3n])
    one.parts.table.insert({
      ...openingOf(channelId, channelId === 3n ? { expiresAt: START_SECONDS + 10 } : {}),
      ...unused,
    });
});
const committed = (row: number) => one.parts.table.read(row).committed;

test('commits through either lane, each answered where it came in, and the balance is the maximum', () => {
  one.receive(signedClaim(1n, 5n));
  two.receive(signedClaim(1n, 9n));
  two.receive(signedClaim(2n, 3n));
  // Nothing happens between turns.
  expect([one.parts.ring.received, two.parts.ring.received, committed(0)]).toEqual([0, 0, 0n]);
  two.step();
  expect([one.takeAcks(), committed(0), committed(1)]).toEqual([[], 9n, 3n]);
  expect(two.takeAcks().sort()).toEqual([
    ['COMMITTED', 3n],
    ['COMMITTED', 9n],
  ]);
  // Received before the other lane committed more: looked at again, and covered.
  one.step();
  expect([one.takeAcks(), committed(0)]).toEqual([[['ALREADY', 5n]], 9n]);
  expect(readCounters(arena)).toMatchObject({ received: 3, committed: 2, already: 1, groupCommits: 1, syncs: 1 });
});

test('refuses at receipt and at commit, by whatever lane it comes', () => {
  expect(one.answer(signedClaim(1n, 1_000_001n))).toEqual([['OVER_CAPACITY', 1_000_000n]]);
  expect(two.answer(signedClaim(9n, 1n))).toEqual([['UNKNOWN_CHANNEL', 0n]]);
  expect(two.answer(signedClaim(1n, 6n, 1, 'link'))).toEqual([['BAD_SIGNATURE', 6n]]);
  one.receive(signedClaim(2n, 4n));
  one.parts.table.change(1, { open: false });
  one.step();
  expect(one.takeAcks()).toEqual([['CHANNEL_CLOSED', 4n]]);
  expect([committed(0), committed(1)]).toEqual([0n, 0n]);
  expect(readCounters(arena)).toMatchObject({ committed: 0, groupCommits: 0 });
});

test('a channel expires at its second, in every lane, and stays so when a clock is set back', () => {
  one.clock.wallMs = (START_SECONDS + 10) * 1_000 - 1;
  expect(one.answer(signedClaim(3n, 1n))).toEqual([['COMMITTED', 1n]]);
  // In time when it was received, too late when it is committed.
  one.receive(signedClaim(3n, 2n));
  one.clock.wallMs += 1;
  one.step();
  expect(one.takeAcks()).toEqual([['CHANNEL_CLOSED', 2n]]);
  // The other lane's own clock is ten seconds behind.
  expect(two.answer(signedClaim(3n, 3n))).toEqual([['CHANNEL_CLOSED', 3n]]);
  one.clock.wallMs -= 3_600_000;
  expect(one.answer(signedClaim(3n, 4n))).toEqual([['CHANNEL_CLOSED', 4n]]);
  expect(committed(2)).toBe(1n);
});

test('a slow disk holds up no lane: syncs after the first go on beside it, and nothing is told before their end', () => {
  const sync = one.files.fdatasyncSync.bind(one.files);
  one.files.fdatasyncSync = () => {
    one.clock.monotonicMs += 15;
    sync();
  };
  expect(one.answer(signedClaim(1n, 1n))).toEqual([['COMMITTED', 1n]]);
  expect(one.answer(signedClaim(1n, 2n))).toEqual([]);
  expect(one.answer(signedClaim(2n, 7n))).toEqual([]);
  expect([one.files.syncing.length, committed(0), one.asked, one.turn.isBusy]).toEqual([1, 1n, 0, true]);
  // A lane with a fast disk goes its own way.
  expect(two.answer(signedClaim(2n, 6n))).toEqual([['COMMITTED', 6n]]);
  one.files.endSync();
  expect(one.asked).toBe(1);
  one.step();
  expect([one.takeAcks(), committed(0), one.files.syncing.length]).toEqual([[['COMMITTED', 2n]], 2n, 1]);
  one.files.endSync();
  one.step();
  expect([one.takeAcks(), committed(1), one.turn.isBusy]).toEqual([[['COMMITTED', 7n]], 7n, false]);
});

test('a fence is passed between two groups, also while a sync goes on beside the lane', () => {
  const { control, ring } = one.parts;
  one.clock.monotonic = () => (one.clock.monotonicMs += 15);
  one.answer(signedClaim(1n, 1n));
  one.answer(signedClaim(1n, 2n));
  const asked = control.askFence();
  one.receive(signedClaim(1n, 3n));
  one.turn.step(one.parts.now());
  two.step();
  expect([ring.fencePassed, two.parts.ring.fencePassed, committed(0)]).toEqual([0, asked, 1n]);
  one.files.endSync();
  one.turn.step(one.parts.now());
  expect([ring.fencePassed, committed(0), ring.depth]).toEqual([asked, 2n, 1]);
  one.step();
  expect(one.files.syncing.length).toBe(1);
});

test("a pipeline: the net thread's turn takes in and answers, and the other steps lie between two of its turns", () => {
  const { clock, files, transport } = one;
  const machine = { clock, files, random: (count: number) => Buffer.alloc(count, 7) };
  const parts = new ThreadParts({ ...contextOf(arena, 1), role: 'net' }, machine);
  const net = new NetTurn(parts, { transports: [transport], afterTurn: () => {}, hasTimes: false });
  const verify = parts.verifyStep();
  const answers = new AckRingWriter(arena, new AckRing(arena, 1), parts.counters);
  const committer = parts.commitStep(two.turn.journal, answers);
  for (const claim of [signedClaim(1n, 8n), signedClaim(9n, 1n)]) {
    net.receive.now = parts.now();
    net.receive.payload(claim, new DataView(claim.buffer), 0, claim.length, PAYER);
  }
  expect([net.step(parts.now()), one.takeAcks()]).toEqual([false, [['UNKNOWN_CHANNEL', 0n]]]);
  expect([verify.step(), net.hasWork()]).toEqual([1, false]);
  committer.step(parts.now());
  answers.publish();
  expect([net.hasWork(), committed(0)]).toEqual([true, 8n]);
  net.step(parts.now());
  expect([one.takeAcks(), net.hasWork()]).toEqual([[['COMMITTED', 8n]], false]);
});

test('a pipeline that stops waits for no more claims, though some are still to come in', () => {
  const { clock, files } = one;
  const machine = { clock, files, random: (count: number) => Buffer.alloc(count, 7) };
  const parts = new ThreadParts({ ...contextOf(arena, 1), role: 'committer' }, machine);
  const turn = new CommitTurn(parts, two.turn.journal);
  parts.settings.set('groupWaitMs', 60_000);
  two.receive(signedClaim(1n, 5n));
  two.turn.receive.step(parts.now());
  parts.verifyStep().step();
  turn.step(parts.now());
  expect(committed(0)).toBe(0n);
  // The clock may stand still: a copy of this claim is held back until it is decided, and the net thread waits for that.
  parts.control.advanceTo(PHASE_STOPPING);
  turn.step(parts.now());
  expect([committed(0), parts.ring.depth]).toEqual([5n, 0]);
});

/**
 * The threads that commit, over a database in this thread: a lane and a committer acknowledge what it has answered, a fence
 * waits for it, a stop waits for it within its bound, and the end of the right to write ends the thread.
 */
import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { AckRing } from '../../../src/ring/ack-ring.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ControlWords, PHASE_DRAINING, PHASE_STOPPING } from '../../../src/ring/control-words.ts';
import { readCounters } from '../../../src/ring/counters.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { HeldFence } from '../../../src/store/held-fence.ts';
import { MemoryDatabase } from '../../../src/store/memory-database.ts';
import { MemoryTables } from '../../../src/store/memory-tables.ts';
import { StoreCounts } from '../../../src/store/store-figures.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { runCommitter } from '../../../src/threads/committer.ts';
import type { ThreadReady, ThreadRole } from '../../../src/threads/context.ts';
import { runLane } from '../../../src/threads/lane.ts';
import { ThreadParts } from '../../../src/threads/parts.ts';
import { openingOf, signedClaim, WirePeer } from '../../support/wire.ts';

const ADDRESS = { url: 'postgres://host/name', passwordFile: undefined, mayBeUnreplicated: false, waitMs: 0 };

/** Appends wait while it is held. */
class Held {
  isHeld = false;
  readonly waiting: (() => void)[] = [];
  readonly underWay = (call: string) =>
    this.isHeld && call === 'append' ? new Promise<void>((resolve) => this.waiting.push(resolve)) : undefined;
  end(): void {
    this.isHeld = false;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});
async function until(is: () => boolean): Promise<void> {
  for (const end = Date.now() + 10_000; !is() && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 1));
  expect(is()).toBe(true);
}
const opened = (database: MemoryDatabase) => database.readGroups('one', () => {});

async function start(role: ThreadRole) {
  const tables = new MemoryTables();
  const held = new Held();
  const other = new MemoryDatabase(tables);
  const fence = HeldFence.of(await other.enter('one'));
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 64, ackSlots: 64, threads: 1, channelsMax: 16 });
  const control = new ControlWords(arena);
  const parts = new ThreadParts(
    {
      role,
      memory: arena.memory,
      shape: arena.plan.shape,
      backend: 'noble',
      verify: 'every',
      durability: 'sync',
      sockets: 'dgram',
      path: 'portable',
      idle: { spins: 0, sleepMsMax: 100 },
      // A committer measures what the receiver has marked.
      measuring: role === 'lane',
      ring: 0,
      thread: 0,
      kernel: { cacheBytes: 1, threads: 1, thread: 0 },
      udp: { host: '127.0.0.1', port: 0, isShared: false },
      tcp: { listen: undefined, isShared: false, tls: undefined, limits: {} },
      controlPort: new MessageChannel().port1,
      database: { address: ADDRESS, fence: fence.start, counts: new StoreCounts().words },
    },
    { ...nodeSystem, openDatabase: async () => new MemoryDatabase(tables, { underWay: held.underWay }) },
  );
  for (const id of [1n, 2n])
    parts.table.insert({
      ...openingOf(id),
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
  let over!: Promise<void>;
  const ready = await new Promise<ThreadReady>((resolve, reject) => {
    over = (role === 'lane' ? runLane : runCommitter)(parts, resolve);
    over.catch(reject);
  });
  const committed = () => parts.table.read(0).committed;
  return { parts, control, held, other, ready, committed, ring: parts.ring, over: () => over };
}

describe('a lane', () => {
  async function startLane() {
    const lane = await start('lane');
    const { host, port } = lane.ready.udp!;
    const peer = await WirePeer.to(`${host}:${port}`);
    let isStopped = false;
    const stop = async (): Promise<void> => {
      if (isStopped) return;
      isStopped = true;
      lane.control.advanceTo(PHASE_STOPPING);
      lane.ring.ringAll();
      await lane.over();
      peer.close();
    };
    ends.push(stop, () => lane.held.end());
    return { ...lane, peer, stop };
  }

  test('acknowledges what the database has, lets a fence wait for it, and stops once it has answered', async () => {
    const { peer, held, ring, control, committed, stop, other } = await startLane();
    expect((await peer.ask(signedClaim(1n, 4n))).status).toBe(STATUS.COMMITTED);
    held.isHeld = true;
    await peer.send(signedClaim(1n, 5n));
    await until(() => held.waiting.length === 1);
    control.askFence();
    ring.ringAll();
    await peer.send(signedClaim(1n, 6n));
    await until(() => ring.received === 3);
    expect([ring.fencePassed, committed()]).toEqual([0, 4n]);
    held.end();
    await until(() => ring.fencePassed === 1);
    expect((await peer.ack((ack) => ack.amount === 6n)).status).toBe(STATUS.COMMITTED);
    held.isHeld = true;
    await peer.send(signedClaim(1n, 7n));
    await until(() => held.waiting.length === 1);
    const stopped = stop();
    setTimeout(() => held.end(), 20);
    await stopped;
    expect([committed(), await opened(other)]).toEqual([7n, 4]);
  });

  test('that is abandoned gives up a database that does not answer: nothing of the group is acknowledged', async () => {
    const { peer, held, control, committed, stop, parts } = await startLane();
    held.isHeld = true;
    await peer.send(signedClaim(1n, 5n));
    await until(() => held.waiting.length === 1);
    const stopped = stop();
    setTimeout(() => control.abandon(), 20);
    await stopped;
    expect([committed(), readCounters(parts.arena).acked, peer.acks]).toEqual([0n, 0, []]);
  });
});

describe('a committer', () => {
  /** Puts a judged claim into the ring, as the threads before it do. */
  function judge({ parts, ring }: Awaited<ReturnType<typeof start>>, claim: Uint8Array, row: number): void {
    const slot = ring.tryNext();
    parts.arena.bytes.set(claim, slot);
    parts.arena.words[(slot + SLOT_ROW) >>> 2] = row;
    ring.push();
    ring.publish();
    ring.reserve(1);
    Atomics.store(parts.arena.ints, (slot + SLOT_VERDICT) >>> 2, VERDICT_VALID);
    ring.verified();
  }
  async function startCommitter() {
    const committer = await start('committer');
    const stop = async (): Promise<void> => {
      committer.control.advanceTo(PHASE_DRAINING);
      committer.ring.ringAll();
      await committer.over();
    };
    ends.push(stop, () => committer.held.end());
    return { ...committer, stop };
  }

  test('leaves the event loop to the database: acknowledges its answers, and passes a fence behind them', async () => {
    const committer = await startCommitter();
    const { held, ring, control, committed, stop, parts, other } = committer;
    judge(committer, signedClaim(1n, 5n), 0);
    await until(() => committed() === 5n);
    expect(new AckRing(parts.arena, 0).written).toBe(1);
    held.isHeld = true;
    judge(committer, signedClaim(1n, 6n), 0);
    await until(() => held.waiting.length === 1);
    control.askFence();
    ring.ringAll();
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect([ring.fencePassed, committed()]).toEqual([0, 5n]);
    held.end();
    await until(() => ring.fencePassed === 1);
    expect(committed()).toBe(6n);
    judge(committer, signedClaim(1n, 7n), 0);
    await stop();
    expect([committed(), ring.depth, await opened(other)]).toEqual([7n, 0, 3]);
  });

  test('writes a group that waits for more claims in time, and gives up a silent database when it is abandoned', async () => {
    const committer = await startCommitter();
    const { held, control, committed, parts, stop } = committer;
    parts.settings.set('groupWaitMs', 4);
    judge(committer, signedClaim(1n, 5n), 0);
    await until(() => committed() === 5n);
    held.isHeld = true;
    judge(committer, signedClaim(1n, 6n), 0);
    await until(() => held.waiting.length === 1);
    setTimeout(() => {
      control.abandon();
      committer.ring.ringAll();
    }, 20);
    await stop();
    expect(committed()).toBe(5n);
  });
});

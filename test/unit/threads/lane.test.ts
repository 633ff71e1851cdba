/**
 * A lane's loop in this thread, over a real socket and journal: fences that come one right behind the other, while it is
 * idle and while a sync goes on beside it, and a stop with claims still to be judged.
 */
import fs, { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { afterAll, afterEach, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_STOPPING } from '../../../src/ring/control-words.ts';
import { readCounters } from '../../../src/ring/counters.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import type { ThreadContext, ThreadReady } from '../../../src/threads/context.ts';
import { runLane } from '../../../src/threads/lane.ts';
import { ThreadParts } from '../../../src/threads/parts.ts';
import { openingOf, signedClaim, WirePeer } from '../../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-lane-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

let folders = 0;
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface RunningLane {
  parts: ThreadParts;
  control: ControlWords;
  udp: string;
  peer: WirePeer;
  stop(): Promise<void>;
}

/** To a lane with this clock every disk is slow: what is synced after the first group is synced beside it, few claims as well. */
let ticks = 0;
const slowDisk = { ...nodeSystem, clock: { ...nodeSystem.clock, monotonic: () => (ticks += 15) } };

/** A lane with channels 1 to `channels`. */
async function startLane(settings: Partial<ThreadContext> = {}, channels = 4): Promise<RunningLane> {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 4_096, ackSlots: 64, threads: 1, channelsMax: 4_096 };
  const arena = Arena.create(shape);
  const parts = new ThreadParts(
    {
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
      ring: 0,
      thread: 0,
      kernel: { cacheBytes: 1, threads: 1, thread: 0 },
      udp: { host: '127.0.0.1', port: 0, isShared: false },
      tcp: { listen: undefined, isShared: false, tls: undefined, limits: {} },
      controlPort: new MessageChannel().port1,
      journal: {
        directory: join(ROOT, String(folders++)),
        segmentBytes: 1 << 20,
        journalId: new Uint8Array(16).fill(1),
        segment: 1,
        group: 1,
      },
      ...settings,
    },
    slowDisk,
  );
  for (let id = 1; id <= channels; id++)
    parts.table.insert({
      ...openingOf(BigInt(id)),
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
  const control = new ControlWords(arena);
  const ring = new ClaimRing(arena, 0);
  let over: Promise<void> | undefined;
  const ready = await new Promise<ThreadReady>((resolve, reject) => {
    over = runLane(parts, resolve);
    over.catch(reject);
  });
  const udp = `${ready.udp!.host}:${ready.udp!.port}`;
  const peer = await WirePeer.to(udp);
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    control.advanceTo(PHASE_STOPPING);
    ring.ringAll();
    await over;
    peer.close();
  };
  stops.push(stop);
  return { parts, control, udp, peer, stop };
}

async function until(is: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!is() && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(is()).toBe(true);
}

/** Asks for the next fence at the very moment one is passed, as a main thread may that has more to change. */
function askRightBehind(lane: RunningLane, fences: number): void {
  const { ring } = lane.parts;
  const pass = ring.passFence.bind(ring);
  ring.passFence = (asked) => {
    pass(asked);
    if (asked < fences) lane.control.askFence();
  };
}

test('fences that follow each other at once are all passed, by an idle lane too', async () => {
  const lane = await startLane();
  askRightBehind(lane, 5);
  lane.control.askFence();
  lane.parts.ring.ringAll();
  await until(() => lane.parts.ring.fencePassed === 5);
});

test('a fence waits for the group at the disk, and takes in nothing more meanwhile', async () => {
  const syncs: (() => void)[] = [];
  const { fdatasync } = fs;
  fs.fdatasync = ((fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
    syncs.push(() => fdatasync(fd, done));
  }) as typeof fs.fdatasync;
  syncBuiltinESMExports();
  try {
    const lane = await startLane();
    const { ring, table } = lane.parts;
    const pass = ring.passFence.bind(ring);
    const passed: [number, bigint][] = [];
    ring.passFence = (asked) => {
      passed.push([ring.depth, table.read(0).committed]);
      pass(asked);
    };
    // The first sync is in the lane, and tells how slow the disk is.
    expect((await lane.peer.ask(signedClaim(1n, 4n))).status).toBe(STATUS.COMMITTED);
    await lane.peer.send(signedClaim(1n, 5n));
    await until(() => syncs.length === 1);
    lane.control.askFence();
    ring.ringAll();
    await lane.peer.send(signedClaim(1n, 6n));
    await until(() => ring.received === 3);
    expect([ring.fencePassed, table.read(0).committed]).toEqual([0, 4n]);
    syncs[0]!();
    await until(() => ring.fencePassed === 1);
    // What came behind the fence was not in any group when it was passed.
    expect(passed).toEqual([[1, 5n]]);
    await until(() => syncs.length === 2);
    syncs[1]!();
    expect((await lane.peer.ack((ack) => ack.amount === 6n)).status).toBe(STATUS.COMMITTED);
  } finally {
    fs.fdatasync = fdatasync;
    syncBuiltinESMExports();
  }
});

test('a stop waits for the sync beside it, acknowledges its group and closes the journal behind it', async () => {
  const lane = await startLane();
  for (let amount = 1n; amount <= 20n; amount++) await lane.peer.send(signedClaim(1n + (amount % 4n), amount));
  await until(() => lane.parts.ring.received === 20);
  await lane.stop();
  expect([1n, 2n, 3n, 4n].map((id) => lane.parts.table.read(Number(id) - 1).committed)).toEqual([20n, 17n, 18n, 19n]);
  const { acked, committed, already, syncs, groupCommits } = readCounters(lane.parts.arena) as Record<string, number>;
  expect(committed! + already!).toBe(20);
  expect([syncs, acked! >= 4]).toEqual([groupCommits, true]);
});

test('a group that waits for more claims is written in time, and before a fence is passed', async () => {
  const lane = await startLane();
  const { ring, settings, table } = lane.parts;
  settings.set('groupWaitMs', 4);
  // Nothing but the wait's own end brings the turn that writes it.
  await lane.peer.send(signedClaim(1n, 4n));
  await until(() => table.read(0).committed === 4n);
  settings.set('groupWaitMs', 60_000);
  await lane.peer.send(signedClaim(1n, 5n));
  await until(() => ring.reserved === 2);
  expect(table.read(0).committed).toBe(4n);
  lane.control.askFence();
  ring.ringAll();
  await until(() => ring.fencePassed === 1);
  expect(table.read(0).committed).toBe(5n);
  await lane.peer.send(signedClaim(1n, 6n));
  await until(() => ring.reserved === 3);
  await lane.stop();
  expect(table.read(0).committed).toBe(6n);
});

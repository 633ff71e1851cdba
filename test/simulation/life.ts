/**
 * What surrounds one life of a node: what it finds and leaves behind, who looks on, how it ends; and what it is given of the
 * machine, and its threads of it.
 */
import type { Journals } from '../../src/journal/lane-journals.ts';
import type { LaneStart } from '../../src/journal/segment.ts';
import type { Logger } from '../../src/log.ts';
import type { SideTables } from '../../src/registry/side-tables.ts';
import type { Arena } from '../../src/ring/arena.ts';
import type { SettingWords } from '../../src/ring/setting-words.ts';
import type { System } from '../../src/system/system.ts';
import type { ThreadContext, ThreadRole } from '../../src/threads/context.ts';
import { Housekeeping } from '../../src/threads/housekeeping.ts';
import type { Packet } from '../../src/transport/transport.ts';
import type { MemoryRegistry } from '../support/memory-registry.ts';
import type { MemorySideTables } from '../support/memory-side-tables.ts';
import type { SimulatedFiles } from './files.ts';
import type { SimulatedNode } from './node.ts';
import type { Plan } from './plan.ts';
import type { World } from './world.ts';

export const DATA = '/data';

/** What is durable beside the journals; each life has its own handle. */
export interface Stores {
  registry: MemoryRegistry;
  sides: MemorySideTables;
}

/** Who looks on: the oracle, and what keeps the node's lives. */
export interface Watchers {
  /** All that was ever acknowledged is in the table now, or it is lost. */
  recovered(node: SimulatedNode): void;
  /** The same is durable now, and the node takes claims. */
  ready(node: SimulatedNode): void;
  acked(node: SimulatedNode, packet: Packet, words: Uint32Array, at: number): void;
  /** All claims of the life were drained. */
  drained(node: SimulatedNode): void;
  ended(node: SimulatedNode, how: Ending): void;
}

export type Ending = 'crash' | 'failure' | 'stop' | 'refused';

/** The machine as the node's main thread sees it, and every other. */
export function systemOf(world: World, files: SimulatedFiles): System {
  const { scheduler, chance } = world;
  return {
    files,
    clock: {
      wall: () => world.wall,
      monotonic: () => scheduler.now,
      every(periodMs, callback) {
        const timer = setInterval(callback, periodMs);
        return () => clearInterval(timer);
      },
    },
    random: (count) => Buffer.from(chance.random.bytes(count)),
    memory: () => ({ resident: 0, limit: 0 }),
  };
}

/** What the node logs is in the trace. */
export function loggerOf(world: World): Logger {
  const { trace } = world;
  return {
    info: (line) => trace.note(() => line),
    warn: (line) => {
      trace.note(() => `WARN ${line}`);
      if (line.includes('cut as asked')) world.happened('journal.cut');
    },
    error: (line) => trace.note(() => `ERROR ${line}`),
  };
}

/** What an operator may change while a node runs: here it has any of it from the start. */
export function setSettings({ plan, chance }: World, settings: SettingWords): void {
  if (plan.groupWaitMs > 0) settings.set('groupWaitMs', plan.groupWaitMs);
  if (chance.is(0.3)) settings.set('groupClaims', chance.between(1, 5));
  if (chance.is(0.3)) settings.set('verifyBatch', chance.between(1, 5));
}

/** The side tables as the node has them: `watch` sees how each commit ends. */
export function sidesOf({ sides }: Stores, watch: (commit: Promise<void>) => Promise<void>): SideTables {
  return {
    get: (table, key) => sides.get(table, key),
    entries: (table, from) => sides.entries(table, from),
    commit: (changes) => watch(sides.commit(changes)),
  };
}

/** The node's housekeeping, which also counts segments that lanes leave while the registry is written. */
export function houseOf(world: World, node: SimulatedNode, logs: Journals, { clock }: System, logger: Logger) {
  const { rings, control, store } = node;
  const { checkpointSeconds } = world.plan;
  const segments = () => rings.map((ring) => ring.journalSegment);
  const checkpoint = store.checkpoint.bind(store);
  store.checkpoint = async () => {
    const before = String(segments());
    const written = await checkpoint();
    if (String(segments()) !== before) world.happened('segment.rolled-in-checkpoint');
    return written;
  };
  const topology = Object.defineProperty({ rings, control, journalSegments: [0] }, 'journalSegments', {
    get: segments,
  });
  const onFailure = (error: Error) => node.fail(error);
  return new Housekeeping({ store, logs, topology, checkpointSeconds, clock, logger, onFailure });
}

/** The sync of a group hangs: its claims wait, and before it has ended the node has to say so. */
export function expectStall(world: World, node: SimulatedNode, forMs: number): void {
  const { scheduler } = world;
  const withinMs = forMs - 1_000;
  world.pausedUntil = Math.max(world.pausedUntil, scheduler.now + forMs);
  const look = () => {
    const waits = node.rings.some((ring) => ring.depth > 0);
    if (node.isReady && waits && !node.isStalled)
      world.violated('a node whose disk hangs says so', `nothing was said within ${withinMs} ms`);
  };
  scheduler.after(withinMs, look, scheduler.world);
}

/** What a thread is told at its start. What it would be told of sockets and kernels it has no use for. */
export function contextOf(
  plan: Plan,
  arena: Arena,
  role: ThreadRole,
  thread: number,
  journal: LaneStart | undefined,
  rooted?: ThreadContext['rooted'],
): ThreadContext {
  const { verify, durability, path, measuring } = plan;
  const context: Partial<ThreadContext> = {
    role,
    memory: arena.memory,
    shape: arena.plan.shape,
    backend: 'noble',
    verify,
    durability,
    path,
    measuring,
    idle: { spins: 0, sleepMsMax: 1_000 },
    ring: role === 'lane' ? thread : 0,
    thread,
    journal,
    rooted,
  };
  return context as ThreadContext;
}

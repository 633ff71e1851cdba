/** The warm-up runs a lane like the real one; here it is looked at what it leaves of its work, which is nothing. */
import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RootedRows } from '../../../src/channel/rooted.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import type { ThreadContext } from '../../../src/threads/context.ts';
import { ThreadParts } from '../../../src/threads/parts.ts';
import { warmUp } from '../../../src/threads/warm-up.ts';
import { nativeUdpFault } from '../../../src/transport/udp-native.ts';

const before = process.env.CLAIMWIRE_WARM_UP;
beforeEach(() => {
  delete process.env.CLAIMWIRE_WARM_UP;
});
afterEach(() => {
  if (before !== undefined) process.env.CLAIMWIRE_WARM_UP = before;
});

const noFiles = new Proxy(nodeSystem.files, {
  get: (_files, name) => {
    throw new Error(`expected nothing of the disk, got ${String(name)}`);
  },
});

function partsOf(arena: Arena, kind: Pick<ThreadContext, 'sockets' | 'path' | 'rooted'>): ThreadParts {
  const context: ThreadContext = {
    ...kind,
    role: 'lane',
    memory: arena.memory,
    shape: arena.plan.shape,
    backend: 'noble',
    verify: 'every',
    durability: 'sync',
    idle: { spins: 0, sleepMsMax: 100 },
    measuring: true,
    standing: { part: 0.5, seed: 7 },
    ring: 0,
    thread: 0,
    kernel: { cacheBytes: 1, threads: 1, thread: 0 },
    udp: { host: '203.0.113.1', port: 9, isShared: false },
    tcp: { listen: undefined, isShared: false, tls: undefined, limits: {} },
    controlPort: new MessageChannel().port1,
    journal: { directory: '/nowhere', segmentBytes: 1 << 20, journalId: new Uint8Array(16), segment: 1, group: 1 },
  };
  return new ThreadParts(context, { ...nodeSystem, files: noFiles });
}

const isNative = nativeUdpFault() === undefined;
const KINDS = [
  { sockets: 'dgram', path: 'portable' },
  ...(isNative ? ([{ sockets: 'native', path: 'native' }] as const) : []),
] as const;

test.each(KINDS)(
  'goes through every step with $sockets sockets and the $path path, and leaves arena and disk alone',
  async (kind) => {
    const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 16 });
    const parts = partsOf(arena, kind);
    const untouched = arena.bytes.slice();
    // It asserts itself that it was paid.
    await warmUp(parts);
    expect(Buffer.compare(arena.bytes, untouched)).toBe(0);
    process.env.CLAIMWIRE_WARM_UP = 'off';
    await warmUp(parts);
  },
);

test('goes through every step of a node with roots, and leaves its rows alone', async () => {
  const shape = {
    kernelBytes: 0,
    rings: 1,
    ringSlots: 1_024,
    ackSlots: 16,
    threads: 1,
    channelsMax: 16,
    hasFrames: true,
  };
  const arena = Arena.create(shape);
  const memory = RootedRows.memoryFor({ capacity: shape.channelsMax });
  for (const kind of KINDS) await warmUp(partsOf(arena, { ...kind, rooted: { memory, exposureMax: 100 } }));
  expect(new Uint8Array(memory).every((byte) => byte === 0)).toBe(true);
});

/** The memory of simulated nodes: small, and used again by the next life, since every WebAssembly.Memory reserves gigabytes. */
import { blockAlign, GROUP_FRAMES_BYTES_MAX, groupBytes } from '../../src/journal/record.ts';
import { Arena, type ArenaShape } from '../../src/ring/arena.ts';
import { ACK_READ_LINE, ACK_WRITTEN_LINE, cursorWord } from '../../src/ring/claim-ring.ts';
import type { Plan } from './plan.ts';

const memories = new Map<number, WebAssembly.Memory>();

/** Every cursor of a ring, which all begin at the same sequence. */
const CURSOR_LINES = [0, 1, 2, ACK_WRITTEN_LINE, ACK_READ_LINE];

/** An empty arena. That of the life before of the same node is gone then. */
export function newArena(plan: Plan, rings: number, threads: number, node = 0): Arena {
  const arena = emptyArena(plan, rings, threads, node);
  // Where sequences wrap soon, they do so in every life.
  for (let ring = 0; ring < rings; ring++)
    for (const line of CURSOR_LINES) Atomics.store(arena.ints, cursorWord(arena, ring, line), plan.firstSequence | 0);
  return arena;
}

function emptyArena(plan: Plan, rings: number, threads: number, node: number): Arena {
  const { ringSlots, channelsMax, roots } = plan;
  const sizes = { kernelBytes: 0, rings, ringSlots, ackSlots: 2 * ringSlots, threads, channelsMax };
  const shape: ArenaShape = roots ? { ...sizes, hasFrames: true } : sizes;
  const key =
    (roots ? 100_000_000 : 0) + node * 10_000_000 + rings * 1_000_000 + ringSlots * 1_000 + channelsMax * 10 + threads;
  const known = memories.get(key);
  if (known === undefined) {
    const arena = Arena.create(shape);
    memories.set(key, arena.memory);
    return arena;
  }
  new Uint8Array(known.buffer).fill(0);
  return new Arena(known, shape);
}

/** Some of the largest groups fit a segment, so that lanes go on in another one often. */
export function segmentBytesOf({ ringSlots, blockBytes, segmentGroups, roots }: Plan): number {
  const framesBytes = roots ? GROUP_FRAMES_BYTES_MAX : 0;
  return blockBytes + segmentGroups * blockAlign(groupBytes(ringSlots) + framesBytes, blockBytes);
}

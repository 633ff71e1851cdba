/**
 * Bit rot: a bit of what the journals have is turned, on a copy of the disk, and the copy is replayed. It has to be noticed: the
 * replay is refused, or says what it passed over, or reads all the same claims. It never yields a claim that nobody made.
 */
import { Journals } from '../../src/journal/lane-journals.ts';
import type { StoredLeaf } from '../../src/journal/stored-frame.ts';
import type { MemoryRegistry } from '../support/memory-registry.ts';
import type { SimulatedDisk } from './disk.ts';
import { SimulatedFiles } from './files.ts';
import { DATA } from './life.ts';
import { QUIET } from './root-books.ts';
import { segmentBytesOf } from './sizes.ts';
import type { World } from './world.ts';

interface Replay {
  /** Claims in order, in hex; undefined where it is refused. */
  claims: string[] | undefined;
  warnings: number;
}

export function probeBitRot(world: World, registry: MemoryRegistry): void {
  const { chance, disk } = world;
  const segments = [...disk.names.keys()].filter((name) => name.endsWith('.seg'));
  if (segments.length === 0) return;
  const sound = replay(world, disk.copy(), registry);
  if (sound.claims === undefined) return;
  const rotten = disk.copy();
  const path = chance.of(segments);
  const { bytes, size } = rotten.names.get(path)!;
  // Mostly where something is written.
  let used = size;
  while (used > 0 && bytes[used - 1] === 0) used--;
  const at = chance.random.below(Math.max(1, chance.is(0.9) ? used : size));
  bytes[at]! ^= 1 << chance.random.below(8);
  world.happened('disk.bit-rot', () => `${path}:${at}`);
  const found = replay(world, rotten, registry);
  if (found.claims === undefined) return;
  const known = new Set(sound.claims);
  const strange = found.claims.find((claim) => !known.has(claim));
  if (strange !== undefined) world.violated('a turned bit makes no claim', `${path}:${at}: ${strange}`);
  if (found.claims.length < sound.claims.length && found.warnings <= sound.warnings)
    world.violated(
      'bit rot is noticed',
      `${path}:${at}: ${found.claims.length} of ${sound.claims.length} claims, and nothing said`,
    );
}

function replay(world: World, disk: SimulatedDisk, registry: MemoryRegistry): Replay {
  const { plan, scheduler } = world;
  const claims: string[] = [];
  let warnings = 0;
  const clock = { wall: () => 0, monotonic: () => 0, every: () => () => {} };
  const files = new SimulatedFiles(disk, QUIET, scheduler);
  const system = {
    files,
    clock,
    random: (count: number) => Buffer.alloc(count),
    memory: () => ({ resident: 0, limit: 0 }),
  };
  const table = {
    find: () => 0,
    commit: (_row: number, view: DataView, offset: number) => {
      claims.push(Buffer.from(view.buffer, view.byteOffset + offset, 93).toString('latin1'));
    },
  };
  const logger = { info() {}, warn: () => void warnings++, error() {} };
  const options = {
    data: DATA,
    lanes: 1,
    segmentBytes: segmentBytesOf(plan),
    blockBytes: plan.blockBytes,
    cut: false,
    logger,
    hasFrames: plan.roots,
    onLeaf: (_lane: number, segment: number, leaf: StoredLeaf) => void claims.push(leafText(segment, leaf)),
  };
  try {
    Journals.replay(options, { meta: registry.meta, setMeta() {} }, table, system);
    return { claims, warnings };
  } catch (error) {
    if ((error as { code?: string }).code !== 'JOURNAL_CORRUPT') throw error;
    return { claims: undefined, warnings };
  }
}

function leafText(segment: number, { channelId, amount, sequence, timestampBits }: StoredLeaf): string {
  return `leaf ${[segment, channelId, amount, sequence, timestampBits]}`;
}

/**
 * The channel table: look-ups by random handles with the rules of acceptance, beside a table of one object a channel, and how
 * much memory a channel takes. A process of its own.
 */
import { freemem } from 'node:os';
import { SIGNATURE_BYTES } from '../../../protocol/layout.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { assert } from '../../../src/errors.ts';
import { Random } from '../../../src/load/random.ts';
import { admit } from '../../../src/path/rules.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { inTurns, perCoreSecond } from '../measure.ts';
import type { PartArgs, PartResult } from '../part.ts';

const CHANNELS = 100_000;
const BATCH = 1_000;
const NOW_SECONDS = 1_800_000_000;

/** A channel as an object, as a program without shared memory would keep it. */
interface ChannelObject {
  idHigh: number;
  idLow: number;
  isOpen: boolean;
  expiresAt: number;
  capacity: bigint;
  committed: bigint;
  ledgerId: Uint8Array;
  publicKey: Uint8Array;
  signature: Uint8Array;
}

/** Handles as the ledger's ids give them: random words. */
function handles(count: number): Uint32Array {
  const random = new Random(5, 'handles');
  return Uint32Array.from({ length: 2 * count }, () => random.word());
}

function openTable(count: number, ids: Uint32Array): ChannelTable {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 2, ackSlots: 2, threads: 1, channelsMax: count };
  const table = new ChannelTable(Arena.create(shape));
  const [publicKey, signature] = [new Uint8Array(33).fill(2), new Uint8Array(SIGNATURE_BYTES)];
  for (let channel = 0; channel < count; channel++) {
    const ledgerChannelId = new Uint8Array(32);
    const view = new DataView(ledgerChannelId.buffer);
    view.setUint32(0, ids[2 * channel]!);
    view.setUint32(4, ids[2 * channel + 1]!);
    table.insert({
      channelId: view.getBigUint64(0),
      ledgerChannelId,
      publicKey,
      capacity: 1n << 56n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature,
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
  }
  return table;
}

/** Looks up a batch of channels picked at random, and applies the rules to a claim of each; returns how many. */
function tableBatch(table: ChannelTable, ids: Uint32Array, count: number): () => number {
  const random = new Random(6, 'picks');
  return () => {
    let admitted = 0;
    for (let claim = 0; claim < BATCH; claim++) {
      const channel = random.below(count);
      const row = table.find(ids[2 * channel]!, ids[2 * channel + 1]!);
      if (admit(table, table.hot(row), 0, 7, NOW_SECONDS) === -1) admitted++;
    }
    assert(admitted === BATCH, 'every channel is found, and takes the claim');
    return BATCH;
  };
}

function objectBatch(ids: Uint32Array, count: number): () => number {
  const channels = new Map<bigint, ChannelObject>();
  for (let channel = 0; channel < count; channel++) {
    const [idHigh, idLow] = [ids[2 * channel]!, ids[2 * channel + 1]!];
    channels.set((BigInt(idHigh) << 32n) | BigInt(idLow), {
      idHigh,
      idLow,
      isOpen: true,
      expiresAt: 0,
      capacity: 1n << 56n,
      committed: 0n,
      ledgerId: new Uint8Array(32),
      publicKey: new Uint8Array(33),
      signature: new Uint8Array(SIGNATURE_BYTES),
    });
  }
  const random = new Random(6, 'picks');
  return () => {
    let admitted = 0;
    for (let claim = 0; claim < BATCH; claim++) {
      const pick = random.below(count);
      const channel = channels.get((BigInt(ids[2 * pick]!) << 32n) | BigInt(ids[2 * pick + 1]!));
      const isLive = channel!.isOpen && (channel!.expiresAt === 0 || channel!.expiresAt > NOW_SECONDS);
      if (isLive && 7n <= channel!.capacity && 7n > channel!.committed) admitted++;
    }
    assert(admitted === BATCH, 'every channel is found, and takes the claim');
    return BATCH;
  };
}

export async function measureTable({ effort, seconds }: PartArgs): Promise<PartResult> {
  const ids = handles(CHANNELS);
  const inArrays = tableBatch(openTable(CHANNELS, ids), ids, CHANNELS);
  const before = process.memoryUsage.rss();
  const inObjects = objectBatch(ids, CHANNELS);
  const objectBytes = (process.memoryUsage.rss() - before) / CHANNELS;
  const higher = { unit: 'look-ups/s', better: 'higher' as const };
  const values = await inTurns(
    [
      { name: 'table.perSecond', ...higher, measure: () => perCoreSecond(seconds, inArrays) },
      { name: 'table.objectsPerSecond', ...higher, measure: () => perCoreSecond(seconds, inObjects) },
    ],
    effort,
  );
  return { ...Object.fromEntries(values), objectBytes: [objectBytes] };
}

/** By powers of ten: look-ups a second and resident bytes of a table with so many channels. */
export function measureTableSizes({ effort, seconds, quick }: PartArgs): PartResult {
  const free = freemem();
  const result: Required<PartResult> = { channels: [], perSecond: [], residentBytes: [] };
  const end = performance.now() + effort.seconds * 1_000;
  for (const count of quick ? [1_000, 10_000, 30_000, 70_000, 150_000, 300_000] : SIZES) {
    // A channel takes some 230 bytes; a run must not push the machine to its limit.
    if (count * 300 > free / 2 || performance.now() > end) break;
    const ids = handles(count);
    const before = residentBytes();
    const table = openTable(count, ids);
    result.residentBytes!.push(residentBytes() - before);
    const batch = tableBatch(table, ids, count);
    perCoreSecond(seconds / 2, batch);
    result.channels!.push(count);
    result.perSecond!.push(perCoreSecond(seconds, batch));
  }
  return result;
}
const SIZES = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000];

/** Resident memory outside the heap of JavaScript, whose garbage would count. */
function residentBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapTotal } = process.memoryUsage();
  return rss - heapTotal;
}

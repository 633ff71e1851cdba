/**
 * bench:journal: the journal alone: syncs per second, claims per sync, bytes per second, and recovery.
 *
 * Main thread, synchronous, one lane. The floor (one 128-byte write + fdatasync into a preallocated, zero-filled file)
 * and the journal are measured in turns, because a disk's speed changes. The folder lies under the
 * current directory: a temporary folder may be memory, where a sync is free. Everything written is read back through
 * recovery at the end, and its sum compared.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { claimAmountLow, claimBytes } from '../../protocol/claim.ts';
import { CLAIM_AMOUNT } from '../../protocol/layout.ts';
import { assert } from '../../src/errors.ts';
import { JournalGroup } from '../../src/journal/group.ts';
import type { RecoveryReport } from '../../src/journal/report.ts';
import { SEGMENT_BYTES } from '../../src/journal/segment.ts';
import { recoverJournal } from '../../src/journal/walk.ts';
import { JournalWriter } from '../../src/journal/writer.ts';
import { nodeSystem } from '../../src/system/system.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';

const CHANNELS = 1000;
/** Slots as the ring has them: 128 bytes apart, in shared memory. */
const SLOTS = 8192;
const SLOT_BYTES = 128;
const GROUP_CLAIMS_MAX = 4096;
/** Claims per second that arrive while the busy committer syncs. */
const ARRIVALS_PER_SECOND = 1_000_000;
/** Journal and floor alternate after this many syncs. */
const TURN_SYNCS = 100;
const FLOOR_WRITE_BYTES = 128;

const FILESYSTEMS: Record<number, string> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
  16914836: 'tmpfs (memory: a sync costs nothing here, these figures mean nothing)',
};

/** A source of claims in shared slots, and a journal with the sum of the amounts that recovery should give back. */
class Load {
  readonly slots = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true }).buffer);
  readonly view = new DataView(this.slots.buffer);
  readonly writer: JournalWriter;
  readonly directory: string;
  readonly group = new JournalGroup(GROUP_CLAIMS_MAX);
  /** Sum of the amounts of the records committed, modulo 2^32. */
  sum = 0;
  #next = 0;

  constructor(directory: string) {
    this.directory = directory;
    this.writer = new JournalWriter({
      directory,
      segmentBytes: SEGMENT_BYTES,
      groupClaimsMax: GROUP_CLAIMS_MAX,
      journalId: randomBytes(16),
      segment: 1,
      group: 1,
      ...nodeSystem,
    });
    for (let slot = 0; slot < SLOTS; slot++) {
      const channelId = BigInt(slot % CHANNELS);
      const signature = randomBytes(64);
      this.slots.set(
        claimBytes({ channelId, sequence: slot, amount: 0n, signature, timestamp: Date.now() }),
        slot * SLOT_BYTES,
      );
    }
  }

  /** Writes a new amount into the next slot, and returns where its claim lies. */
  arrive(): number {
    const offset = (this.#next & (SLOTS - 1)) * SLOT_BYTES;
    this.view.setUint32(offset + CLAIM_AMOUNT + 4, this.#next++);
    return offset;
  }

  commit(): void {
    const { writer, group } = this;
    for (let record = 0; record < group.count; record++)
      this.sum = (this.sum + claimAmountLow(group.view, group.recordOffset(record))) >>> 0;
    writer.commit(group, Date.now());
    group.clear();
  }
}

/** One-claim groups in turns with the floor. */
function measureSyncs(load: Load, seconds: number): Figures {
  const floorPath = join(load.directory, '../..', 'floor');
  fs.writeFileSync(floorPath, new Uint8Array(SEGMENT_BYTES));
  const fd = fs.openSync(floorPath, 'r+');
  fs.fsyncSync(fd);
  const floorBytes = randomBytes(FLOOR_WRITE_BYTES);
  let floorOffset = 0;
  let journalMs = 0;
  let floorMs = 0;
  let syncs = 0;
  while (journalMs + floorMs < seconds * 1000) {
    const start = performance.now();
    for (let turn = 0; turn < TURN_SYNCS; turn++) {
      load.group.append(load.slots, load.arrive());
      load.commit();
    }
    const middle = performance.now();
    for (let turn = 0; turn < TURN_SYNCS; turn++) {
      fs.writeSync(fd, floorBytes, 0, FLOOR_WRITE_BYTES, floorOffset);
      fs.fdatasyncSync(fd);
      floorOffset = (floorOffset + 512) % SEGMENT_BYTES;
    }
    journalMs += middle - start;
    floorMs += performance.now() - middle;
    syncs += TURN_SYNCS;
  }
  fs.closeSync(fd);
  fs.rmSync(floorPath);
  return {
    'journal.syncsPerSecond': (syncs / journalMs) * 1000,
    'journal.floorSyncsPerSecond': (syncs / floorMs) * 1000,
    'journal.syncTimesFloor': journalMs / floorMs,
  };
}

/**
 * A busy committer. In each turn it commits the newest claim of each channel among those that arrived during the last turn:
 * simulated at a fixed rate of the clock, and at most as many as a group holds.
 */
function measureBusy(load: Load, seconds: number): Figures {
  const { writer, group } = load;
  const records = new Int32Array(CHANNELS);
  const syncsBefore = writer.syncs;
  const start = performance.now();
  let taken = 0;
  let written = 0;
  for (let now = start; now - start < seconds * 1000; now = performance.now()) {
    const due = Math.floor(((now - start) / 1000) * ARRIVALS_PER_SECOND) - taken;
    const count = Math.min(Math.max(due, 1), GROUP_CLAIMS_MAX);
    records.fill(-1);
    for (let index = 0; index < count; index++) {
      const offset = load.arrive();
      const channel = (offset / SLOT_BYTES) % CHANNELS;
      const record = records[channel]!;
      if (record >= 0) group.replace(record, load.slots, offset);
      else records[channel] = group.append(load.slots, offset);
    }
    taken += count;
    written += group.count;
    load.commit();
  }
  const syncs = writer.syncs - syncsBefore;
  return {
    'journal.claimsPerSync': taken / syncs,
    'journal.recordsPerSync': written / syncs,
    'journal.busyClaimsPerSecond': (taken / (performance.now() - start)) * 1000,
  };
}

/** Full groups back to back, which includes the time to make new segments. */
function measureBytes(load: Load, bytes: number): Figures {
  const { writer, group } = load;
  const end = writer.bytesWritten + bytes;
  const start = performance.now();
  let appendMs = 0;
  let claims = 0;
  while (writer.bytesWritten < end) {
    const before = performance.now();
    for (let index = 0; index < GROUP_CLAIMS_MAX; index++) group.append(load.slots, load.arrive());
    appendMs += performance.now() - before;
    claims += GROUP_CLAIMS_MAX;
    load.commit();
  }
  return {
    'journal.bytesPerSecond': (bytes / (performance.now() - start)) * 1000,
    'journal.appendNs': (appendMs / claims) * 1e6,
  };
}

/** Reads everything back, from the page cache mostly, and compares. */
function measureRecovery(load: Load): { figures: Figures; report: RecoveryReport; sum: number } {
  let view: DataView = new DataView(new ArrayBuffer(0));
  let sum = 0;
  const start = performance.now();
  const report = recoverJournal(load.directory, (bytes, offset) => {
    if (view.buffer !== bytes.buffer) view = new DataView(bytes.buffer);
    sum = (sum + claimAmountLow(view, offset)) >>> 0;
  });
  const seconds = (performance.now() - start) / 1000;
  assert(report.end === 'whole', `the journal reads back whole, got ${report.bad?.reason}`);
  assert(report.bytes === load.writer.bytesWritten && sum === load.sum, 'what was written is what is read');
  return { figures: { 'journal.recoveryMBPerSecond': report.bytes / 1e6 / seconds }, report, sum };
}

function measure({ quick, repeat, note }: BenchContext): Figures {
  const folder = resolve('data', `bench-journal-${process.pid}`);
  fs.mkdirSync(folder, { recursive: true });
  try {
    if (repeat === 0) {
      const { type } = fs.statfsSync(folder);
      note(`filesystem: ${FILESYSTEMS[type] ?? `type 0x${type.toString(16)}`}`);
      note(`busy: ${ARRIVALS_PER_SECOND} claims/s over ${CHANNELS} channels arrive by the clock, nothing is verified`);
    }
    const load = new Load(join(folder, 'lane'));
    const figures = {
      ...measureSyncs(load, quick ? 2 : 5),
      ...measureBusy(load, quick ? 2 : 5),
      ...measureBytes(load, quick ? 2 ** 27 : 2 ** 29),
    };
    load.writer.close();
    const { figures: recovery, report, sum } = measureRecovery(load);
    note(`read back: ${report.groups} groups, ${report.claims} claims, ${report.bytes} bytes, sum of amounts ${sum}`);
    return { ...figures, ...recovery };
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

await runBench({ name: 'journal' }, measure);

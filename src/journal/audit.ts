/**
 * The audit of a lane's journal: checks every record's signature against the key with which its channel is registered.
 *
 * Main thread of a tool; signatures are checked in Piscina workers (audit-worker.ts). It owns a packed copy of the keys, and
 * at most two batches per worker, so that a journal of any size takes the same memory.
 */
import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { CLAIM_BYTES, CLAIM_CHANNEL_ID, LEDGER_CHANNEL_ID_BYTES, PUBLIC_KEY_BYTES } from '../../protocol/layout.ts';
import { ROW, STATE_REMOVED, stateOf } from '../channel/row.ts';
import type { JournalFiles } from '../system/files.ts';
import { FrameAudit } from './audit-frames.ts';
import { AUDIT, AUDIT_BYTES } from './audit-worker.ts';
import { RECORD_BYTES } from './record.ts';
import type { RecoveryReport, StoredGroup } from './report.ts';
import { forEachLeaf } from './stored-frame.ts';
import { walkJournal } from './walk.ts';

/** Claims per batch: about 80 ms of work at 3,000 checks a second, so the cost of the transfer does not matter. */
const BATCH_CLAIMS = 256;
const BATCHES_PER_WORKER = 2;
const FAILURES_MAX = 100;

/** A record whose claim is not valid. */
interface AuditFailure {
  group: number;
  /** Index in the group; of a frame that of its first accepted leaf, behind the records. */
  record: number;
  channelId: bigint;
  reason: string;
}

export interface AuditReport {
  /** Signatures: one of each record, and one of each frame. */
  checked: number;
  /** Frames of signed roots. */
  frames: number;
  /** Records, and frames, whose signature is not by the registered key. */
  badSignatures: number;
  /** Records of channels that are not registered. */
  unknownChannels: number;
  /** The first 100 of both, in no order. */
  failures: AuditFailure[];
  /** What the journal itself holds. */
  journal: RecoveryReport;
}

type CheckBatch = (batch: Uint8Array<ArrayBuffer>) => Promise<number[]>;

export interface AuditOptions {
  /** The lane's folder. */
  directory: string;
  /** By default the machine's files. */
  files?: JournalFiles | undefined;
  keys: ChannelKeys;
  /** Threads; by default one per core. */
  workers?: number;
  /** Called after each batch with the number of records checked so far. */
  onProgress?: (checked: number) => void;
  /** Checks one batch and returns the indexes that fail; by default a pool of workers does. */
  check?: CheckBatch;
}

/** The registered keys by channel, packed into 66 bytes each, since there may be millions. */
export class ChannelKeys {
  static readonly #STRIDE = PUBLIC_KEY_BYTES + LEDGER_CHANNEL_ID_BYTES + 1;
  readonly #positions = new Map<bigint, number>();
  #bytes = new Uint8Array(1024 * ChannelKeys.#STRIDE);

  /**
   * Adds the key of a sound registry row (channel/row.ts). A removed channel's row keeps its handle until it is reused,
   * while another row may have the same handle again; then the row that is not removed counts.
   */
  add(row: Uint8Array): void {
    const view = new DataView(row.buffer, row.byteOffset, row.byteLength);
    const channelId = view.getBigUint64(ROW.channelId, true);
    const known = this.#positions.get(channelId);
    if (known !== undefined && stateOf(row[ROW.state]!) === STATE_REMOVED) return;
    const position = known ?? this.#positions.size * ChannelKeys.#STRIDE;
    if (position === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#positions.set(channelId, position);
    const id = position + PUBLIC_KEY_BYTES;
    this.#bytes.set(row.subarray(ROW.publicKey, ROW.publicKey + PUBLIC_KEY_BYTES), position);
    this.#bytes.set(row.subarray(ROW.ledgerChannelId, ROW.ledgerChannelId + LEDGER_CHANNEL_ID_BYTES), id);
    this.#bytes[id + LEDGER_CHANNEL_ID_BYTES] = row[ROW.profile]!;
  }

  /** Copies a channel's key, ledger id and profile to `target[offset]`; returns false when it is not registered. */
  copy(channelId: bigint, target: Uint8Array, offset: number): boolean {
    const position = this.#positions.get(channelId);
    if (position === undefined) return false;
    target.set(this.#bytes.subarray(position, position + ChannelKeys.#STRIDE), offset);
    return true;
  }
}

/** Checks every sound record of a lane's journal. Rejects when a worker fails; damage of the journal is in the report. */
export async function auditSignatures(options: AuditOptions): Promise<AuditReport> {
  const workers = options.workers ?? availableParallelism();
  const underWayMax = workers * BATCHES_PER_WORKER;
  if (options.check !== undefined) return new Audit(options, options.check, underWayMax).run();
  const pool = new Piscina<Uint8Array, number[]>({
    filename: new URL('./audit-worker.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: workers,
    maxQueue: underWayMax,
  });
  try {
    return await new Audit(options, (batch) => pool.run(batch, { transferList: [batch.buffer] }), underWayMax).run();
  } finally {
    await pool.destroy();
  }
}

interface Batch {
  bytes: Uint8Array<ArrayBuffer>;
  count: number;
  places: { group: number; record: number; channelId: bigint }[];
}

class Audit {
  readonly #options: AuditOptions;
  readonly #check: CheckBatch;
  readonly #underWayMax: number;
  readonly #underWay: Promise<void>[] = [];
  readonly #frames: FrameAudit;
  readonly #report = { checked: 0, frames: 0, badSignatures: 0, unknownChannels: 0, failures: [] as AuditFailure[] };

  constructor(options: AuditOptions, check: CheckBatch, underWayMax: number) {
    this.#options = options;
    this.#check = check;
    this.#underWayMax = underWayMax;
    this.#frames = new FrameAudit((channelId, target, offset) => options.keys.copy(channelId, target, offset));
  }

  async run(): Promise<AuditReport> {
    const { directory, files } = this.#options;
    const walk = walkJournal(directory, { sync: false, files });
    let batch = newBatch();
    for (;;) {
      const step = walk.next();
      if (step.done) {
        await this.#start(batch);
        await Promise.all(this.#underWay);
        return { ...this.#report, journal: step.value };
      }
      const { bytes, offset, count, number } = step.value;
      this.#checkFrames(step.value);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let record = 0; record < count; record++) {
        this.#add(batch, bytes, view, offset + record * RECORD_BYTES, number, record);
        if (batch.count < BATCH_CLAIMS) continue;
        // Waiting here bounds the memory; the walk's window stays unchanged meanwhile.
        await this.#start(batch);
        batch = newBatch();
      }
    }
  }

  #checkFrames(group: StoredGroup): void {
    let last = -1;
    let index = group.count;
    forEachLeaf(group, ({ channelId, frameAt, frameBytes }) => {
      const record = index++;
      if (frameAt === last) return;
      last = frameAt;
      this.#report.checked++;
      this.#report.frames++;
      const reason = this.#frames.fault(group.bytes, frameAt, frameBytes);
      if (reason === undefined) return;
      this.#report.badSignatures++;
      this.#fail({ group: group.number, record, channelId, reason });
    });
  }

  #add(batch: Batch, bytes: Uint8Array, view: DataView, offset: number, group: number, record: number): void {
    const channelId = view.getBigUint64(offset + CLAIM_CHANNEL_ID);
    const target = batch.count * AUDIT_BYTES;
    if (!this.#options.keys.copy(channelId, batch.bytes, target + AUDIT.publicKey)) {
      this.#report.checked++;
      this.#report.unknownChannels++;
      this.#fail({ group, record, channelId, reason: 'expected a registered channel, got none with this id' });
      return;
    }
    batch.bytes.set(bytes.subarray(offset, offset + CLAIM_BYTES), target);
    batch.places.push({ group, record, channelId });
    batch.count++;
  }

  /** Starts to check a batch, once fewer than the most are under way; throws the failure of the oldest one. */
  async #start(batch: Batch): Promise<void> {
    if (batch.count === 0) return;
    if (this.#underWay.length >= this.#underWayMax) await this.#underWay.shift();
    const work = this.#judge(batch);
    // A failure is thrown by the await above or in `run`.
    work.catch(() => undefined);
    this.#underWay.push(work);
  }

  async #judge(batch: Batch): Promise<void> {
    const failing = await this.#check(batch.bytes.slice(0, batch.count * AUDIT_BYTES));
    this.#report.checked += batch.count;
    this.#report.badSignatures += failing.length;
    for (const index of failing)
      this.#fail({ ...batch.places[index]!, reason: 'expected a signature by the registered key, got another' });
    this.#options.onProgress?.(this.#report.checked);
  }

  #fail(failure: AuditFailure): void {
    if (this.#report.failures.length < FAILURES_MAX) this.#report.failures.push(failure);
  }
}

function newBatch(): Batch {
  return { bytes: new Uint8Array(BATCH_CLAIMS * AUDIT_BYTES), count: 0, places: [] };
}

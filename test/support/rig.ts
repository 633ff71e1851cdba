/**
 * The claim path in one thread: every step over a real arena and a real journal, with a clock, a socket, a disk and
 * verdicts that the test decides. Runs in the test's thread, which owns all of it.
 */
import { type Ack, decodeAck } from '../../protocol/ack.ts';
import { type Claim, claimBytes } from '../../protocol/claim.ts';
import { ACK_BYTES, CLAIM_SIGNATURE, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { RootedRows } from '../../src/channel/rooted.ts';
import type { Channel } from '../../src/channel/row.ts';
import { ChannelTable } from '../../src/channel/table.ts';
import type { PathKind } from '../../src/config.ts';
import type { GroupLog } from '../../src/journal/group-log.ts';
import { recoverJournal } from '../../src/journal/walk.ts';
import { JournalWriter } from '../../src/journal/writer.ts';
import { AckSender } from '../../src/path/ack-sender.ts';
import { AckRingWriter, AckStep } from '../../src/path/ack-step.ts';
import { GROUP_CLAIMS_MAX } from '../../src/path/commit-group.ts';
import { CommitStep } from '../../src/path/commit-step.ts';
import type { NativePath } from '../../src/path/native-path.ts';
import { PathMeasures } from '../../src/path/path-measures.ts';
import { ReceiveStep } from '../../src/path/receive-step.ts';
import { StageClock } from '../../src/path/stage-clock.ts';
import { Standing } from '../../src/path/standing.ts';
import { VerifyStep } from '../../src/path/verify-step.ts';
import { AckRing } from '../../src/ring/ack-ring.ts';
import { Arena } from '../../src/ring/arena.ts';
import { ACK_READ_LINE, ACK_WRITTEN_LINE, ClaimRing, cursorWord } from '../../src/ring/claim-ring.ts';
import { type CounterName, Counters, readCounters } from '../../src/ring/counters.ts';
import { SettingWords } from '../../src/ring/setting-words.ts';
import { SLOT_VERDICT, SOURCE_WORDS, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../../src/ring/slot.ts';
import { type Clock, nodeSystem, type System } from '../../src/system/system.ts';
import { NoTransport } from '../../src/transport/no-transport.ts';
import { SourceCodec, sourceHead, sourcePort } from '../../src/transport/source.ts';
import type { Packet } from '../../src/transport/transport.ts';
import { emptyPacket } from '../../src/transport/transport.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';
import { FrameJudge } from '../../src/verify/frame-judge.ts';
import type { Kernel } from '../../src/verify/kernel.ts';
import { LeafBackend } from '../../src/verify/leaf-backend.ts';
import { merkleFrames } from '../../src/verify/tree-hash.ts';
import { RigFiles } from './rig-files.ts';

const LANE = '/rig/lane';
const JOURNAL_ID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
/** Lines of the claim ring's cursor block: received, claimed, committed. */
const CURSOR_LINES = [0, 1, 2, ACK_WRITTEN_LINE, ACK_READ_LINE];

const addresses = new SourceCodec();

/** A payer's address as the five words a datagram brings along. */
export function sourceOf(address: string, port: number): Uint32Array {
  const source = new Uint32Array(SOURCE_WORDS);
  source[0] = sourceHead(0, port);
  addresses.parse(address, source);
  return source;
}

/** Collects what is sent, by destination `address:port`, one entry per datagram. */
export class RigTransport extends NoTransport {
  readonly datagrams: { to: string; acks: Ack[]; bytes: Uint8Array }[] = [];
  /** How many packets there are; too few for the acks represent a socket that does not keep up. */
  packetsLeft = Number.POSITIVE_INFINITY;

  override acquire(): Packet | undefined {
    if (this.packetsLeft <= 0) return undefined;
    this.packetsLeft--;
    return emptyPacket();
  }
  override send(packet: Packet, words: Uint32Array, at: number): void {
    const to = `${addresses.format(words, at, '')}:${sourcePort(words[at]!)}`;
    const acks: Ack[] = [];
    for (let offset = 0; offset < packet.length; offset += ACK_BYTES) acks.push(decodeAck(packet.view, offset));
    this.datagrams.push({ to, acks, bytes: packet.bytes.slice(0, packet.length) });
    this.packetsLeft++;
  }
}

/** What handles plain claims unless a test says otherwise; a suite that runs with both sets it here once. */
export const rigDefaults: { path: PathKind } = { path: 'portable' };

export interface RigOptions {
  ringSlots?: number;
  ackSlots?: number;
  channelsMax?: number;
  /** Sequence number every cursor begins at. */
  firstSequence?: number;
  /** Verdict by a claim's 64 signature bytes; by default the first one even. */
  judge?: (signature: Uint8Array) => boolean;
  batchMax?: number;
  durability?: 'sync' | 'os';
  /** Which syncs run beside the thread until the test ends them (`files.endSync`): each, or those of a slow disk. */
  isOverlapping?: boolean | 'when slow';
  /** Takes the groups in place of the journal. */
  log?: GroupLog;
  /** What handles plain claims: the steps alone, or C with them. */
  path?: PathKind;
  /** Where the duplicate filter looks, and how the limiter hashes. */
  random?: System['random'];
  /** The part of the ring that strangers may fill; left out, nobody is looked at. */
  strangers?: number;
  /** Takes Merkle batches, whose roots noble checks; with so much exposure of `xrpl` channels. */
  roots?: { exposureMax?: number; kernel?: Kernel };
  /** A real backend in place of `judge`. */
  backend?: (arena: Arena, ring: ClaimRing, table: ChannelTable) => VerifyBackend;
}

export class Rig {
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly ackRing: AckRing;
  readonly table: ChannelTable;
  readonly files = new RigFiles();
  readonly transport = new RigTransport();
  readonly sender: AckSender;
  readonly receive: ReceiveStep;
  readonly measures: PathMeasures;
  readonly path: NativePath | undefined;
  readonly counters: Counters;
  readonly standing: Standing | undefined;
  readonly rooted: RootedRows | undefined;
  /** What may be changed while it runs. */
  readonly settings: SettingWords;
  readonly verify: VerifyStep;
  readonly journal: JournalWriter;
  readonly commit: CommitStep;
  readonly ackWriter: AckRingWriter;
  readonly ackStep: AckStep;
  /** Milliseconds since 1970. */
  now = 1_700_000_000_000;
  /** How long each sync seems to take, milliseconds. */
  syncMs = 0;
  /** Milliseconds of the monotonic clock. */
  monotonic = 0;
  readonly clock: Pick<Clock, 'wall' | 'monotonic'> = { wall: () => this.now, monotonic: () => this.monotonic };

  constructor(options: RigOptions = {}) {
    const { ringSlots = 256, channelsMax = 64, firstSequence = 0 } = options;
    const ackSlots = options.ackSlots ?? ringSlots * 2;
    const hasFrames = options.roots !== undefined;
    this.arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots, ackSlots, threads: 1, channelsMax, hasFrames });
    for (const line of CURSOR_LINES) Atomics.store(this.arena.ints, cursorWord(this.arena, 0, line), firstSequence | 0);
    this.ring = new ClaimRing(this.arena, 0);
    this.ackRing = new AckRing(this.arena, 0);
    this.table = new ChannelTable(this.arena);
    const counters = new Counters(this.arena, 0);
    this.counters = counters;
    const random = options.random ?? nodeSystem.random;
    this.sender = new AckSender([this.transport], counters, random);
    const acks = new AckRing(this.arena, 0);
    const measuring = { arena: this.arena, number: 0, ring: this.ring, acks, clock: this.clock, counters };
    const measures = new PathMeasures(measuring);
    this.measures = measures;
    const { monotonic } = this.clock;
    const { strangers: part } = options;
    if (part !== undefined) this.standing = new Standing(this.arena, 0, { part, seed: Standing.newSeed(random) });
    const { standing } = this;
    this.receive = new ReceiveStep(
      this.arena,
      this.ring,
      this.table,
      this.sender,
      counters,
      random,
      measures,
      standing,
      monotonic,
    );
    if (hasFrames) this.rooted = new RootedRows(this.table, options.roots!.exposureMax);
    const { rooted } = this;
    this.receive.rooted = rooted;
    if (rooted !== undefined)
      this.receive.useRoots({
        arena: this.arena,
        number: 0,
        ring: this.ring,
        table: this.table,
        counters,
        random,
      });
    const isNative = (options.path ?? rigDefaults.path) === 'native';
    this.path = isNative ? this.receive.useNativePath(this.arena) : undefined;
    const judge = options.judge ?? ((signature) => (signature[0]! & 1) === 0);
    const verdictOf = (slot: number): number => {
      const signature = this.arena.bytes.slice(slot + CLAIM_SIGNATURE, slot + CLAIM_SIGNATURE + SIGNATURE_BYTES);
      return judge(signature) ? VERDICT_VALID : VERDICT_INVALID;
    };
    const claims =
      options.backend?.(this.arena, this.ring, this.table) ??
      new StubBackend(this.arena, this.ring, verdictOf, options.batchMax);
    const backend =
      rooted === undefined
        ? claims
        : new LeafBackend(
            claims,
            new FrameJudge(
              this.arena,
              this.ring,
              this.table,
              counters,
              options.roots?.kernel,
              7,
              isNative ? merkleFrames() : undefined,
            ),
            this.arena,
            this.ring,
          );
    this.settings = new SettingWords(this.arena);
    const { settings } = this;
    this.verify = new VerifyStep(this.ring, backend, undefined, measures, settings);
    this.journal = new JournalWriter({
      directory: LANE,
      segmentBytes: hasFrames ? 1 << 21 : 1 << 20,
      groupClaimsMax: GROUP_CLAIMS_MAX,
      journalId: JOURNAL_ID,
      segment: 1,
      group: 1,
      hasFrames,
      clock: this.clock,
      files: this.files,
    });
    this.ackWriter = new AckRingWriter(this.arena, acks, counters);
    const { arena, ring, table, journal, ackWriter } = this;
    this.commit = new CommitStep({
      arena,
      ring,
      table,
      journal: options.log ?? journal,
      answers: ackWriter,
      counters,
      clock: new StageClock(counters, this.clock),
      durability: options.durability ?? 'sync',
      path: this.path,
      measures,
      settings,
      monotonic,
      standing,
      rooted: rooted && { rows: rooted, lane: 0 },
      onSynced: options.isOverlapping || options.log ? () => {} : undefined,
      overlaps: options.isOverlapping === true ? Number.POSITIVE_INFINITY : 0,
    });
    this.ackStep = new AckStep(arena, this.ackRing, this.sender, measures);
    const sync = this.files.fdatasyncSync.bind(this.files);
    this.files.fdatasyncSync = () => {
      this.monotonic += this.syncMs;
      sync();
    };
  }

  /** Opens a channel with sane defaults; returns its row. */
  open(channel: Partial<Channel> & { channelId: bigint }): number {
    const ledgerChannelId = new Uint8Array(32);
    new DataView(ledgerChannelId.buffer).setBigUint64(0, channel.channelId);
    return this.table.insert({
      ledgerChannelId,
      publicKey: Uint8Array.from({ length: 33 }, (_, index) => (index === 0 ? 2 : Number(channel.channelId & 0xffn))),
      capacity: 1_000_000n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(SIGNATURE_BYTES),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
      ...channel,
    });
  }

  /** Receives one datagram. Nothing is published before `take` or `turn`. */
  datagram(bytes: Uint8Array, source: Uint32Array): void {
    this.receive.now = this.now;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.receive.payload(bytes, view, 0, bytes.length, source);
  }

  /** Runs turns of each step while there is work, so that every claim leaves the ring. */
  turn(): void {
    do {
      this.receive.step(this.now);
      while (this.verify.step() > 0);
      this.commitTurn();
      this.ackTurn();
    } while (this.ring.depth > 0 || this.receive.hasWork());
  }

  commitTurn(): number {
    const count = this.commit.step(this.now);
    if (count > 0) this.ackWriter.publish();
    return count;
  }

  ackTurn(): void {
    do this.ackStep.step(this.now);
    while (this.ackStep.hasWork());
  }

  /** Acks sent since the last call, with where they went. */
  takeAcks(): (Ack & { to: string })[] {
    return this.transport.datagrams.splice(0).flatMap(({ to, acks }) => acks.map((ack) => ({ ...ack, to })));
  }

  counter(name: CounterName): number {
    const [group, reason] = name.split('.') as [string, string | undefined];
    const value = readCounters(this.arena)[group]!;
    return reason === undefined ? (value as number) : (value as Record<string, number>)[reason]!;
  }

  /** Every way a claim can leave the node; the rest is in the ring or held back. */
  settled(): number {
    const counters = readCounters(this.arena) as Record<string, number> & Record<string, Record<string, number>>;
    const refused = Object.values(counters.refused!).reduce((sum, count) => sum + count, 0);
    return counters.committed! + counters.already! + refused;
  }

  /** What the journal holds, claim by claim, in the order written. */
  journaled(): Uint8Array[] {
    const claims: Uint8Array[] = [];
    recoverJournal(LANE, (bytes, offset) => claims.push(bytes.slice(offset, offset + 93)), { files: this.files });
    return claims;
  }
}

/** A whole claim datagram from fields; the signature's first byte says whether the rig finds it valid. */
export function claimOf(fields: Partial<Claim> & { channelId: bigint; amount: bigint }, isValid = true): Uint8Array {
  const signature = Uint8Array.from({ length: 64 }, (_, index) => Number((fields.amount >> BigInt(index % 8)) & 0xffn));
  new DataView(signature.buffer).setBigUint64(8, fields.channelId);
  signature[0] = isValid ? 0 : 1;
  return claimBytes({ sequence: 1, timestamp: 0, signature, ...fields });
}

/** Writes the given verdicts, slot by slot, and none where none is given. */
export class StubBackend implements VerifyBackend {
  readonly name = 'noble';
  readonly batchMax: number;
  afterVerdict: () => void = () => {};
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #verdictOf: (slot: number) => number | undefined;

  constructor(arena: Arena, ring: ClaimRing, verdictOf: (slot: number) => number | undefined, batchMax = 64) {
    this.#arena = arena;
    this.#ring = ring;
    this.#verdictOf = verdictOf;
    this.batchMax = batchMax;
  }

  verifySlots(first: number, count: number): void {
    for (let index = 0; index < count; index++) {
      const slot = this.#ring.slot(first + index);
      if (Atomics.load(this.#arena.ints, (slot + SLOT_VERDICT) >>> 2) !== VERDICT_PENDING) continue;
      const verdict = this.#verdictOf(slot);
      if (verdict === undefined) continue;
      Atomics.store(this.#arena.ints, (slot + SLOT_VERDICT) >>> 2, verdict);
      this.afterVerdict();
    }
  }
}

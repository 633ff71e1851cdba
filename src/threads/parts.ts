/**
 * One thread's parts, built from its context: views of the arena, its ring, the table, its counters. Made once.
 */
import { ChannelTable } from '../channel/table.ts';
import { JournalWriter } from '../journal/writer.ts';
import { AckSender, type AnswerSink } from '../path/ack-sender.ts';
import { GROUP_CLAIMS_MAX } from '../path/commit-group.ts';
import { CommitStep } from '../path/commit-step.ts';
import type { NativePath } from '../path/native-path.ts';
import { ReceiveStep } from '../path/receive-step.ts';
import { StageClock } from '../path/stage-clock.ts';
import { VerifyStep } from '../path/verify-step.ts';
import { AckRing } from '../ring/ack-ring.ts';
import { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { ControlWords } from '../ring/control-words.ts';
import { Counters } from '../ring/counters.ts';
import { createBackend } from '../verify/select.ts';
import type { ThreadContext } from './context.ts';
import { Sockets } from './sockets.ts';

/** Of several verifiers none should take what would keep the others busy. */
const SHARED_CLAIMS_MAX = 128;

export class ThreadParts {
  readonly context: ThreadContext;
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly ackRing: AckRing;
  readonly table: ChannelTable;
  readonly control: ControlWords;
  readonly counters: Counters;
  readonly clock: StageClock;

  constructor(context: ThreadContext) {
    this.context = context;
    this.arena = new Arena(context.memory, context.shape);
    this.ring = new ClaimRing(this.arena, context.ring);
    this.ackRing = new AckRing(this.arena, context.ring);
    this.table = new ChannelTable(this.arena);
    this.control = new ControlWords(this.arena);
    this.counters = new Counters(this.arena, context.thread);
    this.clock = new StageClock(this.counters);
  }

  /** Milliseconds since 1970, never less than a second that any thread has seen: what has expired stays so. */
  now(): number {
    const wall = Date.now();
    const seconds = Math.floor(wall / 1_000);
    const seen = this.control.advanceClock(seconds);
    return seen > seconds ? seen * 1_000 : wall;
  }

  verifyStep(): VerifyStep {
    const { backend, kernel, verify, role } = this.context;
    const claimsMax = role === 'lane' ? undefined : SHARED_CLAIMS_MAX;
    return new VerifyStep(
      this.ring,
      createBackend(backend, this.arena, this.ring, this.table, kernel, verify),
      claimsMax,
    );
  }

  openJournal(): JournalWriter {
    const journal = JournalWriter.open({ ...this.context.journal, groupClaimsMax: GROUP_CLAIMS_MAX });
    this.ring.publishJournalSegment(journal.segment);
    return journal;
  }

  /** @param onSynced where syncs may go on beside this thread, see CommitStep */
  commitStep(journal: JournalWriter, answers: AnswerSink, path?: NativePath, onSynced?: () => void): CommitStep {
    const { arena, ring, table, counters, clock } = this;
    const { durability, journalSync } = this.context;
    return new CommitStep({
      arena,
      ring,
      table,
      journal,
      answers,
      counters,
      clock,
      durability,
      journalSync,
      path,
      onSynced,
    });
  }

  /**
   * Sockets, ack sender and receive step. Nothing is received before `sockets.startReceiving`: a socket may be readable
   * while another one's address is still looked up.
   */
  async openSockets(): Promise<{
    sockets: Sockets;
    receive: ReceiveStep;
    sender: AckSender;
    path: NativePath | undefined;
  }> {
    const { counters } = this;
    const sockets = await Sockets.open(this.context, counters);
    const sender = new AckSender(sockets.transports, counters);
    const receive = new ReceiveStep(this.arena, this.ring, this.table, sender, counters);
    const path = receive.useNativePath(this.arena);
    return { sockets, receive, sender, path };
  }
}

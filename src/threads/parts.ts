/**
 * One thread's parts, built from its context: views of the arena, its ring, the table, its counters. Made once.
 */
import { ChannelTable } from '../channel/table.ts';
import { JournalWriter } from '../journal/writer.ts';
import { AckRing } from '../ring/ack-ring.ts';
import { Arena } from '../ring/arena.ts';
import { ClaimRing } from '../ring/claim-ring.ts';
import { ControlWords } from '../ring/control-words.ts';
import { Counters, counterIndex } from '../ring/counters.ts';
import { UdpTransport } from '../transport/udp.ts';
import { createBackend } from '../verify/select.ts';
import { AckSender, type AnswerSink } from './ack-sender.ts';
import { CommitStep, GROUP_CLAIMS_MAX } from './commit-step.ts';
import type { ThreadContext } from './context.ts';
import { ReceiveStep } from './receive-step.ts';
import { VerifyStep } from './verify-step.ts';

const SEND_FAILED = counterIndex('dropped.sendFailed');

export class ThreadParts {
  readonly context: ThreadContext;
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly ackRing: AckRing;
  readonly table: ChannelTable;
  readonly control: ControlWords;
  readonly counters: Counters;

  constructor(context: ThreadContext) {
    this.context = context;
    this.arena = new Arena(context.memory, context.shape);
    this.ring = new ClaimRing(this.arena, context.ring);
    this.ackRing = new AckRing(this.arena, context.ring);
    this.table = new ChannelTable(this.arena);
    this.control = new ControlWords(this.arena);
    this.counters = new Counters(this.arena, context.thread);
  }

  verifyStep(): VerifyStep {
    const { backend, kernel } = this.context;
    return new VerifyStep(this.ring, createBackend(backend, this.arena, this.ring, this.table, kernel));
  }

  openJournal(): JournalWriter {
    const journal = JournalWriter.open({ ...this.context.journal, groupClaimsMax: GROUP_CLAIMS_MAX });
    this.ring.publishJournalSegment(journal.segment);
    return journal;
  }

  commitStep(journal: JournalWriter, answers: AnswerSink): CommitStep {
    const { arena, ring, table, counters } = this;
    return new CommitStep({ arena, ring, table, journal, answers, counters });
  }

  /** Socket, receive step and ack sender, wired to each other. `onDatagram` is called after each one taken in. */
  async openSocket(onDatagram: () => void): Promise<{ socket: UdpTransport; receive: ReceiveStep; sender: AckSender }> {
    const { counters } = this;
    let receive: ReceiveStep | undefined;
    const sink = {
      payload: (bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array) => {
        onDatagram();
        receive?.payload(bytes, view, offset, length, source);
      },
    };
    const socket = await UdpTransport.open(this.context.udp, sink, () => counters.add(SEND_FAILED, 1));
    const sender = new AckSender([socket], counters);
    receive = new ReceiveStep(this.arena, this.ring, this.table, sender, counters);
    return { socket, receive, sender };
  }
}

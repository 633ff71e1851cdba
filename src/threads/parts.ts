/**
 * One thread's parts, built from its context: views of the arena, its ring, the table, its counters, and the steps over
 * them. Made once. Time, chance and files come from the machine, or from whoever runs a thread's turns without one.
 */
import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { ChannelTable } from '../channel/table.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { JournalFiles } from '../journal/segment.ts';
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
import type { Transport } from '../transport/transport.ts';
import { createBackend } from '../verify/select.ts';
import type { ThreadContext } from './context.ts';
import { Sockets } from './sockets.ts';

/** Of several verifiers none should take what would keep the others busy. */
const SHARED_CLAIMS_MAX = 128;

/** What a thread has of the machine beside its sockets. */
export interface Machine {
  clock: Clock;
  /** A whole number below its argument that nobody outside can tell. */
  randomInt: (below: number) => number;
  files: JournalFiles;
}
export const systemMachine: Machine = { clock: systemClock, randomInt: (below) => randomInt(below), files: fs };

export class ThreadParts {
  readonly context: ThreadContext;
  readonly machine: Machine;
  readonly arena: Arena;
  readonly ring: ClaimRing;
  readonly ackRing: AckRing;
  readonly table: ChannelTable;
  readonly control: ControlWords;
  readonly counters: Counters;
  readonly stages: StageClock;

  constructor(context: ThreadContext, machine: Machine = systemMachine) {
    this.context = context;
    this.machine = machine;
    this.arena = new Arena(context.memory, context.shape);
    this.ring = new ClaimRing(this.arena, context.ring);
    this.ackRing = new AckRing(this.arena, context.ring);
    this.table = new ChannelTable(this.arena);
    this.control = new ControlWords(this.arena);
    this.counters = new Counters(this.arena, context.thread);
    this.stages = new StageClock(this.counters, machine.clock);
  }

  /** Milliseconds since 1970, never less than a second that any thread has seen: what has expired stays so. */
  now(): number {
    const wall = this.machine.clock.wall();
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
    const journal = JournalWriter.open({
      ...this.context.journal,
      groupClaimsMax: GROUP_CLAIMS_MAX,
      file: this.machine.files,
    });
    this.ring.publishJournalSegment(journal.segment);
    return journal;
  }

  /** @param onSynced where syncs may go on beside this thread, see CommitStep */
  commitStep(journal: JournalWriter, answers: AnswerSink, path?: NativePath, onSynced?: () => void): CommitStep {
    const { arena, ring, table, counters, stages } = this;
    const { durability } = this.context;
    return new CommitStep({
      arena,
      ring,
      table,
      journal,
      answers,
      counters,
      clock: stages,
      durability,
      path,
      onSynced,
    });
  }

  /**
   * Nothing is received before `sockets.startReceiving`: a socket may be readable while another one's address is still
   * looked up.
   */
  openSockets(): Promise<Sockets> {
    return Sockets.open(this.context, this.counters, this.machine.clock);
  }

  /** The receive step, the sender of all answers, and the C path where it is wanted. Transports by their id. */
  receiveStep(transports: readonly Transport[]): {
    receive: ReceiveStep;
    sender: AckSender;
    path: NativePath | undefined;
  } {
    const { arena, ring, table, counters } = this;
    const { randomInt } = this.machine;
    const sender = new AckSender(transports, counters, randomInt);
    const receive = new ReceiveStep(arena, ring, table, sender, counters, randomInt);
    const isNative = this.context.path === 'native';
    return { receive, sender, path: isNative ? receive.useNativePath(arena, this.context.ring) : undefined };
  }
}

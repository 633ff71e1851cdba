/**
 * The commit thread (`pipeline`) commits judged claims and writes their acks into the ack ring. It blocks when idle, unless
 * its groups go to a database, whose answers the event loop brings.
 */
import type { GroupLog } from '../journal/group-log.ts';
import { AckRingWriter } from '../path/ack-step.ts';
import type { CommitStep } from '../path/commit-step.ts';
import { PHASE_DRAINED, PHASE_DRAINING, PHASE_STOPPING } from '../ring/control-words.ts';
import { Idle } from '../ring/doorbell.ts';
import type { ThreadReady } from './context.ts';
import { passFence } from './fence.ts';
import type { ThreadParts } from './parts.ts';

/** The steps behind the verdicts, a turn at a time, in whichever thread calls it. */
export class CommitTurn {
  readonly commit: CommitStep;
  readonly #parts: ThreadParts;
  readonly #journal: GroupLog;
  readonly #acks: AckRingWriter;

  constructor(parts: ThreadParts, journal: GroupLog) {
    this.#parts = parts;
    this.#journal = journal;
    this.#acks = new AckRingWriter(parts.arena, parts.ackRing, parts.counters);
    const onSynced = journal.syncsInline ? undefined : () => parts.ring.committerDoorbell.ring();
    this.commit = parts.commitStep(journal, this.#acks, undefined, onSynced);
  }

  get isOver(): boolean {
    const { control, ring } = this.#parts;
    return control.phase >= PHASE_DRAINING && (ring.depth === 0 || control.isAbandoned);
  }

  /** Whether a turn would do something now; a fence is passed once no group is under way. */
  hasWork(): boolean {
    const { control, ring } = this.#parts;
    if (this.commit.hasWork() || this.isOver) return true;
    return control.fenceAsked !== ring.fencePassed && !this.#journal.isSyncing;
  }

  /** Whether it did something. */
  step(now: number): boolean {
    const { control, ring, stages } = this.#parts;
    const { commit } = this;
    // Already before all claims are in: a copy that is held back comes in once its original, in a group that waits, is decided.
    commit.isEnding = control.phase >= PHASE_STOPPING;
    // A group that waits for more claims is open between two steps: it is written before a fence is passed.
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.isHolding && commit.isIdle) {
      passFence(this.#parts);
      commit.isHolding = false;
    }
    stages.start();
    if (commit.step(now) === 0) return false;
    this.#acks.publish();
    ring.publishJournalSegment(this.#journal.segment);
    ring.netDoorbell.ring();
    return true;
  }
}

export async function runCommitter(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  const journal = await parts.openLog();
  const turn = new CommitTurn(parts, journal);
  ready({});
  if (journal.syncsInline) runBlocking(parts, turn);
  else await runBesideDatabase(parts, turn);
  passFence(parts);
  journal.close();
  control.advanceTo(PHASE_DRAINED);
  ring.ringAll();
}

function runBlocking(parts: ThreadParts, turn: CommitTurn): void {
  const idle = new Idle(parts.ring.committerDoorbell, parts.idle);
  const hasWork = () => turn.hasWork();
  while (!turn.isOver) {
    const now = parts.now();
    if (turn.step(now)) idle.reset();
    else idle.wait(hasWork, turn.commit.waitMs(now) || undefined);
  }
}

/** A timer may be set so far ahead at most, milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Sleeps rather than blocks between two turns, so that the event loop goes on. */
export async function runBesideDatabase(parts: ThreadParts, turn: CommitTurn): Promise<void> {
  const doorbell = parts.ring.committerDoorbell;
  const hasWork = () => turn.hasWork();
  // The doorbell keeps no thread alive, and the connection does only while it stands.
  const alive = setInterval(() => {}, TIMER_MS_MAX);
  while (!turn.isOver) {
    const now = parts.now();
    const hasWorked = turn.step(now);
    // Answers of the database come between two turns.
    await new Promise(setImmediate);
    if (hasWorked) continue;
    const waitMs = turn.commit.waitMs(now);
    const timer = waitMs === 0 ? undefined : setTimeout(() => doorbell.ring(), waitMs);
    await doorbell.sleepAsync(hasWork);
    clearTimeout(timer);
  }
  clearInterval(alive);
}

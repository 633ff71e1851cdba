/**
 * A lane (`lanes`): one thread runs every step over its own sockets, ring and journal.
 *
 * The event loop brings payloads, and the steps run in the check phase of the same turn; they run again while there is
 * work, and the loop brings more between two groups. Acks need no ack ring. Batches form by themselves while a lane
 * verifies: waiting 300 or 1,000 µs before a read made no difference, neither near the limit nor on a slow disk.
 */
import type { GroupLog } from '../journal/group-log.ts';
import type { AckSender } from '../path/ack-sender.ts';
import type { CommitStep } from '../path/commit-step.ts';
import type { ReceiveStep } from '../path/receive-step.ts';
import { STAGE } from '../path/stage-clock.ts';
import type { VerifyStep } from '../path/verify-step.ts';
import { PHASE_STOPPING } from '../ring/control-words.ts';
import type { ThreadReady } from './context.ts';
import { passFence } from './fence.ts';
import type { ThreadParts } from './parts.ts';
import { type Turn, TurnLoop, type TurnSockets } from './turn-loop.ts';

/** Milliseconds. With a slow backend verifying stops after this, so that what was judged is committed. */
const VERIFY_MS_MAX = 2;
/** Milliseconds between two looks whether a database has answered, while a fence or the end waits for it. */
const LOOK_MS = 1;
/** libuv's pool has four threads, of which the main thread's files and the registry need one: more lanes would wait. */
const OVERLAP_LANES_MAX = 3;

/** Every step of a lane, a turn at a time, in whichever thread calls it. */
export class LaneTurn implements Turn {
  readonly receive: ReceiveStep;
  readonly commit: CommitStep;
  readonly journal: GroupLog;
  readonly #parts: ThreadParts;
  readonly #sockets: TurnSockets;
  readonly #sender: AckSender;
  readonly #verify: VerifyStep;

  /** @param onSynced called when a sync beside this thread has ended and a turn is due */
  constructor(
    parts: ThreadParts,
    sockets: TurnSockets,
    onSynced: () => void,
    journal: GroupLog = parts.openJournal(),
    verify: VerifyStep = parts.verifyStep(),
  ) {
    const { receive, sender } = parts.receiveStep(sockets.transports);
    const mayOverlap = !journal.syncsInline || parts.arena.plan.shape.rings <= OVERLAP_LANES_MAX;
    this.#parts = parts;
    this.#sockets = sockets;
    this.#sender = sender;
    this.receive = receive;
    this.journal = journal;
    this.#verify = verify;
    this.commit = parts.commitStep(this.journal, sender, receive.path, mayOverlap ? onSynced : undefined);
  }

  step(now: number): boolean {
    const { control, ring, stages } = this.#parts;
    const { receive, commit, journal } = this;
    receive.step(now);
    stages.lap(STAGE.receive);
    this.#verifySome();
    stages.lap(STAGE.verify);
    commit.isEnding = control.phase >= PHASE_STOPPING;
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.step(now) > 0) ring.publishJournalSegment(journal.segment);
    if (commit.isHolding && commit.isIdle) passFence(this.#parts);
    this.#sender.flush();
    this.#parts.measures?.answered(0);
    stages.lap(STAGE.send);
    this.#sockets.hasTimes = this.receive.isMeasuring;
    this.#sockets.afterTurn();
    commit.isHolding = false;
    return commit.hasWork() || receive.hasWork() || ring.reserved !== ring.received;
  }

  waitMs(now: number): number {
    return this.commit.waitMs(now);
  }

  /** Whether a received claim is not yet answered. */
  get isBusy(): boolean {
    return this.#parts.ring.depth > 0 || this.receive.isHolding || !this.commit.isIdle;
  }

  #verifySome(): void {
    const { clock } = this.#parts.system;
    for (const until = clock.monotonic() + VERIFY_MS_MAX; this.#verify.step() > 0 && clock.monotonic() < until; );
  }
}

/** The event loop brings the ends of syncs beside this thread, and packets that were sent. */
function otherEvents({ syncsInline }: GroupLog): Promise<void> {
  // A database takes long: its answer schedules a turn by itself.
  return new Promise((resolve) => (syncsInline ? setImmediate(resolve) : setTimeout(resolve, LOOK_MS)));
}

export async function runLane(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  const sockets = await parts.openSockets();
  const journal = await parts.openLog();
  const lane = new LaneTurn(parts, sockets, () => loop.schedule(), journal);
  const loop = new TurnLoop(parts, lane);
  sockets.startReceiving(lane.receive, loop.schedule);
  ready(sockets.bound);

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => control.fenceAsked !== ring.fencePassed || control.phase >= PHASE_STOPPING);
    loop.wakeUp();
    // The fence waits for the group being synced, or it was asked for after this turn looked.
    if (control.fenceAsked !== ring.fencePassed) await otherEvents(journal);
  }
  sockets.stopReceiving();
  do {
    loop.wakeUp();
    await otherEvents(journal);
  } while (lane.isBusy && !control.isAbandoned);
  // A disk is always waited for; a database that does not answer is given up.
  while (journal.isSyncing && (journal.syncsInline || !control.isAbandoned)) await otherEvents(journal);
  loop.end();
  passFence(parts);
  journal.close();
  await sockets.close();
}

/**
 * A lane (`lanes`): one thread runs every step, to completion, over its own sockets, ring and journal.
 *
 * The event loop brings payloads; the steps run in the check phase of the same turn, again while there is work, so that
 * what arrived meanwhile joins between two groups. Acks skip the ack ring: the sockets are right here. Batches form by
 * themselves while a lane verifies. To wait for more before a read was tried: 300 or 1,000 us made no difference, neither
 * to a lane near its limit nor on a slow disk.
 */

import type { JournalWriter } from '../journal/writer.ts';
import type { AckSender } from '../path/ack-sender.ts';
import type { CommitStep } from '../path/commit-step.ts';
import type { ReceiveStep } from '../path/receive-step.ts';
import { STAGE } from '../path/stage-clock.ts';
import type { VerifyStep } from '../path/verify-step.ts';
import { PHASE_STOPPING } from '../ring/control-words.ts';
import { passFence } from './committer.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';
import { type Turn, TurnLoop, type TurnSockets } from './turn-loop.ts';
import { warmUp } from './warm-up.ts';

/** A slow verifier's turn ends after so long, so that what it has judged is committed meanwhile. Milliseconds. */
const VERIFY_MS_MAX = 2;
/** libuv's pool has four threads, and the main thread's files and the registry need one: more lanes would queue there. */
const OVERLAP_LANES_MAX = 3;

/** Every step of a lane, a turn at a time, in whichever thread calls it. */
export class LaneTurn implements Turn {
  readonly receive: ReceiveStep;
  readonly commit: CommitStep;
  readonly journal: JournalWriter;
  readonly #parts: ThreadParts;
  readonly #sockets: TurnSockets;
  readonly #sender: AckSender;
  readonly #verify: VerifyStep;

  /** @param onSynced called when a sync that went on beside the thread has ended: a turn is due */
  constructor(parts: ThreadParts, sockets: TurnSockets, onSynced: () => void) {
    const { receive, sender } = parts.receiveStep(sockets.transports);
    const mayOverlap = parts.arena.plan.shape.rings <= OVERLAP_LANES_MAX;
    this.#parts = parts;
    this.#sockets = sockets;
    this.#sender = sender;
    this.receive = receive;
    this.journal = parts.openJournal();
    this.#verify = parts.verifyStep();
    this.commit = parts.commitStep(this.journal, sender, receive.path, mayOverlap ? onSynced : undefined);
  }

  step(now: number): boolean {
    const { control, ring, stages } = this.#parts;
    const { receive, commit, journal } = this;
    receive.step(now);
    stages.lap(STAGE.receive);
    this.#verifySome();
    stages.lap(STAGE.verify);
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.step(now) > 0) ring.publishJournalSegment(journal.segment);
    if (commit.isHolding && commit.isIdle) passFence(this.#parts);
    this.#sender.flush();
    stages.lap(STAGE.send);
    this.#sockets.afterTurn();
    commit.isHolding = false;
    return commit.hasWork() || receive.hasWork() || ring.reserved !== ring.received;
  }

  /** Claims received and not yet answered. */
  get isBusy(): boolean {
    return this.#parts.ring.depth > 0 || this.receive.isHolding || !this.commit.isIdle;
  }

  #verifySome(): void {
    const { clock } = this.#parts.system;
    for (const until = clock.monotonic() + VERIFY_MS_MAX; this.#verify.step() > 0 && clock.monotonic() < until; );
  }
}

export async function runLane(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  warmUp(parts);
  const sockets = await parts.openSockets();
  const lane = new LaneTurn(parts, sockets, () => loop.schedule());
  const loop = new TurnLoop(parts, lane);
  // Not before: whatever comes is handed to all of the above.
  sockets.startReceiving(lane.receive, loop.schedule);
  const { udp, tcp, receiveBufferBytes } = sockets;
  ready({ udp, tcp, receiveBufferBytes });

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => control.fenceAsked !== ring.fencePassed || control.phase >= PHASE_STOPPING);
    loop.wakeUp();
    // A fence waits for the group at the disk; another may have been asked for since this turn looked.
    if (control.fenceAsked !== ring.fencePassed) await new Promise(setImmediate);
  }
  sockets.stopReceiving();
  do {
    loop.wakeUp();
    // Syncs beside this thread end, and a transport's packets come back, in the event loop.
    await new Promise(setImmediate);
  } while (lane.isBusy && !control.isAbandoned);
  while (lane.journal.isSyncing) await new Promise(setImmediate);
  loop.end();
  passFence(parts);
  lane.journal.close();
  await sockets.close();
}

/**
 * A lane (`lanes`): one thread runs every step, to completion, over its own sockets, ring and journal.
 *
 * The event loop brings payloads; the steps run in the check phase of the same turn, again while there is work, so that
 * what arrived meanwhile joins between two groups. Acks skip the ack ring: the sockets are right here. Batches form by
 * themselves while a lane verifies. To wait for more before a read was tried: 300 or 1,000 us made no difference, neither
 * to a lane near its limit nor on a slow disk.
 */

import { STAGE } from '../path/stage-clock.ts';
import { PHASE_STOPPING } from '../ring/control-words.ts';
import { passFence } from './committer.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';
import { warmUp } from './warm-up.ts';

/** A slow verifier's turn ends after so long, so that what it has judged is committed meanwhile. Milliseconds. */
const VERIFY_MS_MAX = 2;

export async function runLane(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring, clock } = parts;
  warmUp();
  const { sockets, receive, sender, path } = await parts.openSockets();
  let isScheduled = false;
  let isOver = false;
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    clock.start();
    receive.now = parts.now();
    setImmediate(() => {
      isScheduled = false;
      // The last turn of an abandoned drain asked for another one; by now the journal is closed.
      if (!isOver) turn();
    });
  };
  const journal = parts.openJournal();
  const verify = parts.verifyStep();
  const commit = parts.commitStep(journal, sender, path, schedule);
  const turn = () => {
    const now = parts.now();
    receive.step(now);
    clock.lap(STAGE.receive);
    for (const until = performance.now() + VERIFY_MS_MAX; verify.step() > 0 && performance.now() < until; );
    clock.lap(STAGE.verify);
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.step(now) > 0) ring.publishJournalSegment(journal.segment);
    if (commit.isHolding && commit.isIdle) passFence(parts);
    sender.flush();
    clock.lap(STAGE.send);
    sockets.afterTurn();
    commit.isHolding = false;
    if (commit.hasWork() || receive.hasWork() || ring.reserved !== ring.received) schedule();
  };
  // Not before: whatever comes is handed to all of the above.
  sockets.startReceiving(receive, schedule);
  const { udp, tcp, receiveBufferBytes } = sockets;
  ready({ udp, tcp, receiveBufferBytes });

  const wakeUp = () => {
    clock.start();
    turn();
  };
  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => control.fenceAsked !== ring.fencePassed || control.phase >= PHASE_STOPPING);
    wakeUp();
    // A fence waits for the group at the disk; another may have been asked for since this turn looked.
    if (control.fenceAsked !== ring.fencePassed) await new Promise(setImmediate);
  }
  sockets.stopReceiving();
  do {
    wakeUp();
    // Syncs beside this thread end, and a transport's packets come back, in the event loop.
    await new Promise(setImmediate);
  } while ((ring.depth > 0 || receive.isHolding || !commit.isIdle) && !control.isAbandoned);
  while (journal.isSyncing) await new Promise(setImmediate);
  isOver = true;
  passFence(parts);
  journal.close();
  await sockets.close();
}

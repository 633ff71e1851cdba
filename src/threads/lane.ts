/**
 * A lane (`lanes`): one thread runs every step, to completion, over its own sockets, ring and journal.
 *
 * The event loop brings payloads; the steps run in the check phase of the same turn, again while there is work, so that
 * what arrived meanwhile joins between two groups. Acks skip the ack ring: the sockets are right here. Batches form by
 * themselves while a lane verifies; a busy lane may be told to wait for more as well, an idle one never does.
 */

import { STAGE } from '../path/stage-clock.ts';
import { PHASE_STOPPING } from '../ring/control-words.ts';
import { passFence } from './committer.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';
import { warmUp } from './warm-up.ts';

/**
 * A turn of so many claims took longer than the wait for more will: the lane is near its limit, and fewer, larger groups
 * save it writes and syncs (on two cores 5 % more claims, two thirds of the syncs). Below that batches form by themselves,
 * and any wait is only latency: from 8 claims on it doubled p50 and p99 at half load.
 */
const BUSY_CLAIMS = 256;
/** A slow verifier's turn ends after so long, so that what it has judged is committed meanwhile. Milliseconds. */
const VERIFY_MS_MAX = 2;

export async function runLane(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring, clock, context } = parts;
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
    const claims = receive.step(now);
    clock.lap(STAGE.receive);
    for (const until = performance.now() + VERIFY_MS_MAX; verify.step() > 0 && performance.now() < until; );
    clock.lap(STAGE.verify);
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.step(now) > 0) ring.publishJournalSegment(journal.segment);
    if (commit.isHolding && commit.isIdle) passFence(parts);
    sender.flush();
    clock.lap(STAGE.send);
    sockets.afterTurn();
    sockets.coalesceUs = claims >= BUSY_CLAIMS ? context.coalesceUs : 0;
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

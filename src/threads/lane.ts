/**
 * A lane (`lanes`): one thread runs every step, to completion, over its own socket, ring and journal.
 *
 * The event loop brings datagrams; the steps run in the check phase of the same turn, again and again while there is
 * work, so that new datagrams join between two groups. Acks skip the ack ring: the socket is right here.
 */
import { PHASE_DRAINED, PHASE_DRAINING, PHASE_STOPPING } from '../ring/control-words.ts';
import { passFence } from './committer.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';

export async function runLane(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  let isScheduled = false;
  let isOver = false;
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    receive.now = Date.now();
    setImmediate(() => {
      isScheduled = false;
      // The last turn of an abandoned drain asked for another one; by now the journal is closed.
      if (!isOver) turn();
    });
  };
  const { socket, receive, sender } = await parts.openSocket(schedule);
  const journal = parts.openJournal();
  const verify = parts.verifyStep();
  const commit = parts.commitStep(journal, sender);
  const turn = () => {
    const now = Date.now();
    receive.step(now);
    verify.step();
    if (commit.step(now) > 0) ring.publishJournalSegment(journal.segment);
    sender.flush();
    if (ring.depth > 0 || receive.hasWork()) schedule();
  };
  ready({ udp: socket.address, receiveBufferBytes: socket.receiveBufferBytes });

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => control.fenceAsked !== ring.fencePassed || control.phase >= PHASE_STOPPING);
    passFence(parts);
  }
  socket.stopReceiving();
  control.advanceTo(PHASE_DRAINING);
  do turn();
  while ((ring.depth > 0 || receive.isHolding) && !control.isAbandoned);
  isOver = true;
  passFence(parts);
  journal.close();
  await socket.close();
  control.advanceTo(PHASE_DRAINED);
}

/** The commit thread (`pipeline`) commits judged claims and writes their acks into the ack ring. It blocks when idle. */
import { AckRingWriter } from '../path/ack-step.ts';
import { PHASE_DRAINED, PHASE_DRAINING } from '../ring/control-words.ts';
import { Idle } from '../ring/doorbell.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';

export function runCommitter(parts: ThreadParts, ready: (message: ThreadReady) => void): void {
  const { control, ring, stages } = parts;
  const journal = parts.openJournal();
  const acks = new AckRingWriter(parts.arena, parts.ackRing, parts.counters);
  const commit = parts.commitStep(journal, acks);
  const idle = new Idle(ring.committerDoorbell, parts.idle);
  const isOver = () => control.phase >= PHASE_DRAINING && (ring.depth === 0 || control.isAbandoned);
  const hasWork = () => commit.hasWork() || control.fenceAsked !== ring.fencePassed || isOver();
  ready({});
  while (!isOver()) {
    commit.isEnding = control.phase >= PHASE_DRAINING;
    // A group that waits for more claims is open between two steps: it is written before a fence is passed.
    commit.isHolding = control.fenceAsked !== ring.fencePassed;
    if (commit.isHolding && commit.isIdle) {
      passFence(parts);
      commit.isHolding = false;
    }
    stages.start();
    const now = parts.now();
    if (commit.step(now) > 0) {
      acks.publish();
      ring.publishJournalSegment(journal.segment);
      ring.netDoorbell.ring();
      idle.reset();
    } else {
      idle.wait(hasWork, commit.waitMs(now) || undefined);
    }
  }
  passFence(parts);
  journal.close();
  control.advanceTo(PHASE_DRAINED);
  ring.ringAll();
}

/** Called between two groups: tells the main thread so, if it asked. */
export function passFence(parts: ThreadParts): void {
  const asked = parts.control.fenceAsked;
  if (asked === parts.ring.fencePassed) return;
  parts.ring.passFence(asked);
  parts.control.mainDoorbell.ring();
}

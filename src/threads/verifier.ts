/** A verifier thread (`pipeline`) reserves batches of received claims and judges them in place. It blocks when idle. */
import { STAGE } from '../path/stage-clock.ts';
import { PHASE_DRAINING } from '../ring/control-words.ts';
import { Idle } from '../ring/doorbell.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';

export function runVerifier(parts: ThreadParts, ready: (message: ThreadReady) => void): void {
  const { control, ring, stages } = parts;
  const verify = parts.verifyStep();
  const idle = new Idle(ring.verifierDoorbell, parts.idle);
  const isOver = () => control.phase >= PHASE_DRAINING && (ring.reserved === ring.received || control.isAbandoned);
  const hasWork = () => ring.reserved !== ring.received || isOver();
  ready({});
  while (!isOver()) {
    stages.start();
    if (verify.step() > 0) {
      stages.lap(STAGE.verify);
      idle.reset();
    } else {
      idle.wait(hasWork);
    }
  }
}

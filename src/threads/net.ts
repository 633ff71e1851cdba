/**
 * The net thread (`pipeline`): owns the sockets. Payloads into the ring, acks out of the ack ring.
 *
 * What the event loop brings in a turn is published together in the check phase of that turn. Acks come by doorbell. The
 * thread never blocks: its event loop is the idle strategy.
 */

import { AckStep } from '../path/ack-step.ts';
import { STAGE } from '../path/stage-clock.ts';
import { PHASE_DRAINED, PHASE_DRAINING, PHASE_STOPPING } from '../ring/control-words.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';

export async function runNet(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring, clock } = parts;
  const { sockets, receive, sender } = await parts.openSockets();
  const acks = new AckStep(parts.arena, parts.ackRing, sender);
  const turn = () => {
    const now = parts.now();
    receive.step(now);
    clock.lap(STAGE.receive);
    acks.step(now);
    clock.lap(STAGE.send);
    sockets.afterTurn();
  };
  let isScheduled = false;
  let isOver = false;
  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    clock.start();
    receive.now = parts.now();
    setImmediate(() => {
      isScheduled = false;
      // Asked for by what came just before the end; by now the sockets are closed.
      if (!isOver) turn();
    });
  };
  const wakeUp = () => {
    clock.start();
    turn();
  };
  const hasWork = () => acks.hasWork() || receive.hasWork();
  // Not before: whatever comes is handed to all of the above.
  sockets.startReceiving(receive, schedule);
  const { udp, tcp, receiveBufferBytes } = sockets;
  ready({ udp, tcp, receiveBufferBytes });

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.phase >= PHASE_STOPPING);
    wakeUp();
  }
  sockets.stopReceiving();
  wakeUp();
  // A claim held back may still have to go through the ring: nobody there leaves before that.
  while (receive.isHolding && !control.isAbandoned) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.isAbandoned);
    wakeUp();
  }
  control.advanceTo(PHASE_DRAINING);
  ring.ringAll();
  while (control.phase < PHASE_DRAINED) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.phase >= PHASE_DRAINED);
    wakeUp();
  }
  while (acks.hasWork()) wakeUp();
  sender.flush();
  isOver = true;
  await sockets.close();
}

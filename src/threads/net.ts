/**
 * The net thread (`pipeline`): owns the UDP socket. Datagrams into the ring, acks out of the ack ring.
 *
 * libuv hands in up to 32 datagrams a turn; they are published together in the check phase of that turn. Acks come by
 * doorbell. The thread never blocks: its event loop is the idle strategy.
 */
import { PHASE_DRAINED, PHASE_DRAINING, PHASE_STOPPING } from '../ring/control-words.ts';
import { AckStep } from './ack-step.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';

export async function runNet(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  let isScheduled = false;
  const { socket, receive, sender } = await parts.openSocket(() => {
    if (isScheduled) return;
    isScheduled = true;
    receive.now = Date.now();
    setImmediate(() => {
      isScheduled = false;
      turn();
    });
  });
  const acks = new AckStep(parts.arena, parts.ackRing, sender);
  const turn = () => {
    const now = Date.now();
    receive.step(now);
    acks.step(now);
  };
  const hasWork = () => acks.hasWork() || receive.hasWork();
  ready({ udp: socket.address, receiveBufferBytes: socket.receiveBufferBytes });

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.phase >= PHASE_STOPPING);
    turn();
  }
  socket.stopReceiving();
  turn();
  // A claim held back may still have to go through the ring: nobody there leaves before that.
  while (receive.isHolding && !control.isAbandoned) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.isAbandoned);
    turn();
  }
  control.advanceTo(PHASE_DRAINING);
  ring.ringAll();
  while (control.phase < PHASE_DRAINED) {
    await ring.netDoorbell.sleepAsync(() => hasWork() || control.phase >= PHASE_DRAINED);
    turn();
  }
  while (acks.hasWork()) turn();
  sender.flush();
  await socket.close();
}

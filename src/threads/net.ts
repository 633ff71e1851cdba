/**
 * The net thread (`pipeline`) owns the sockets: it receives claims into the ring, and sends the acks of the ack ring.
 *
 * What the event loop brings in a turn is published together in the check phase of that turn; the committer wakes the
 * thread for acks. It never blocks: its event loop waits.
 */
import type { AckSender } from '../path/ack-sender.ts';
import { AckStep } from '../path/ack-step.ts';
import type { ReceiveStep } from '../path/receive-step.ts';
import { STAGE } from '../path/stage-clock.ts';
import { PHASE_DRAINED, PHASE_DRAINING, PHASE_STOPPING } from '../ring/control-words.ts';
import type { ThreadReady } from './context.ts';
import type { ThreadParts } from './parts.ts';
import { type Turn, TurnLoop, type TurnSockets } from './turn-loop.ts';

/** The steps at the sockets, a turn at a time, in whichever thread calls it. */
export class NetTurn implements Turn {
  readonly receive: ReceiveStep;
  readonly acks: AckStep;
  readonly sender: AckSender;
  readonly #parts: ThreadParts;
  readonly #sockets: TurnSockets;

  constructor(parts: ThreadParts, sockets: TurnSockets) {
    const { receive, sender } = parts.receiveStep(sockets.transports);
    this.#parts = parts;
    this.#sockets = sockets;
    this.receive = receive;
    this.sender = sender;
    this.acks = new AckStep(parts.arena, parts.ackRing, sender, parts.measures);
  }

  /** No further turn is due, since the committer rings the doorbell for later acks. */
  step(now: number): boolean {
    const { stages } = this.#parts;
    this.receive.step(now);
    stages.lap(STAGE.receive);
    this.acks.step(now);
    stages.lap(STAGE.send);
    this.#sockets.hasTimes = this.receive.isMeasuring;
    this.#sockets.afterTurn();
    return false;
  }

  hasWork(): boolean {
    return this.acks.hasWork() || this.receive.hasWork();
  }
}

export async function runNet(parts: ThreadParts, ready: (message: ThreadReady) => void): Promise<void> {
  const { control, ring } = parts;
  const sockets = await parts.openSockets();
  const net = new NetTurn(parts, sockets);
  const loop = new TurnLoop(parts, net);
  sockets.startReceiving(net.receive, loop.schedule);
  ready(sockets.bound);

  while (control.phase < PHASE_STOPPING) {
    await ring.netDoorbell.sleepAsync(() => net.hasWork() || control.phase >= PHASE_STOPPING);
    loop.wakeUp();
  }
  sockets.stopReceiving();
  loop.wakeUp();
  // A copy that is held back may still enter the ring, so the other threads must not end before that.
  while (net.receive.isHolding && !control.isAbandoned) {
    await ring.netDoorbell.sleepAsync(() => net.hasWork() || control.isAbandoned);
    loop.wakeUp();
  }
  control.advanceTo(PHASE_DRAINING);
  ring.ringAll();
  while (control.phase < PHASE_DRAINED) {
    await ring.netDoorbell.sleepAsync(() => net.hasWork() || control.phase >= PHASE_DRAINED);
    loop.wakeUp();
  }
  while (net.acks.hasWork()) loop.wakeUp();
  net.sender.flush();
  loop.end();
  await sockets.close();
}

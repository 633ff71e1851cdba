/**
 * Runs the turns of a net thread or lane: after what the event loop brought at once, a turn follows in its check phase.
 *
 * The turns themselves (LaneTurn, NetTurn) do not know event loops, so a simulator can call `step` itself.
 */
import type { ReceiveStep } from '../path/receive-step.ts';
import type { ThreadParts } from './parts.ts';
import type { Sockets } from './sockets.ts';

/** What a turn needs of its thread's sockets. */
export type TurnSockets = Pick<Sockets, 'transports' | 'afterTurn'>;

/** One thread's work, a turn at a time. */
export interface Turn {
  /** Receives payloads before the turn that publishes them; its `now` is set first. */
  readonly receive: ReceiveStep;
  /**
   * Runs every step once; returns whether another turn is due that nothing else would schedule.
   * @param now milliseconds since 1970
   */
  step(now: number): boolean;
}

export class TurnLoop {
  readonly #parts: ThreadParts;
  readonly #turn: Turn;
  #isScheduled = false;
  #isOver = false;

  constructor(parts: ThreadParts, turn: Turn) {
    this.#parts = parts;
    this.#turn = turn;
  }

  /** Schedules a turn. Must also be called before payloads are handed in. */
  readonly schedule = (): void => {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.stages.start();
    this.#turn.receive.now = this.#parts.now();
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isOver) this.#run();
    });
  };

  wakeUp(): void {
    this.#parts.stages.start();
    this.#run();
  }

  /** Cancels a scheduled turn, since journal and sockets are about to be closed. */
  end(): void {
    this.#isOver = true;
  }

  #run(): void {
    if (this.#turn.step(this.#parts.now())) this.schedule();
  }
}

/**
 * Runs a thread's turns from its event loop: what the loop brings in one go is one turn, in the check phase that follows.
 *
 * A thread that has sockets (net or lane). The turn itself is the thread's: LaneTurn, NetTurn. Those know nothing of event
 * loops, so a simulator calls `step` itself.
 */
import type { ReceiveStep } from '../path/receive-step.ts';
import type { ThreadParts } from './parts.ts';
import type { Sockets } from './sockets.ts';

/** What a turn needs of its thread's sockets. */
export type TurnSockets = Pick<Sockets, 'transports' | 'afterTurn'>;

/** One thread's work, a turn at a time. */
export interface Turn {
  /** Takes payloads, before the turn that publishes them; its `now` is set first. */
  readonly receive: ReceiveStep;
  /**
   * Runs every step once; whether another turn is due that nothing will ask for.
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

  /** A turn is due. To be called before payloads are handed in, too. */
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

  /** A turn right now. */
  wakeUp(): void {
    this.#parts.stages.start();
    this.#run();
  }

  /** Turns that were asked for just before are not taken: journal and sockets are closed. */
  end(): void {
    this.#isOver = true;
  }

  #run(): void {
    if (this.#turn.step(this.#parts.now())) this.schedule();
  }
}

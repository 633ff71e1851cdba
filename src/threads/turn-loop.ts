/**
 * Runs a thread's turns from its event loop: what the loop brings in one go is one turn, in the check phase that follows.
 *
 * A thread that has sockets (net or lane). The turn itself is the thread's: LaneTurn, NetTurn. Those know nothing of event
 * loops, so a simulator calls `step` itself.
 */
import type { Transport } from '../transport/transport.ts';
import type { ThreadParts } from './parts.ts';

/** One thread's work, a turn at a time. */
export interface Turn {
  /** Before payloads are handed in. @param now milliseconds since 1970 */
  begin(now: number): void;
  /** Runs every step once; whether another turn is due that nothing will ask for. */
  step(now: number): boolean;
}

/** What a turn needs of its thread's sockets. */
export interface TurnSockets {
  /** By transport id. */
  readonly transports: readonly Transport[];
  /** Once a turn, after slots were freed. */
  afterTurn(): void;
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
    this.#turn.begin(this.#parts.now());
    setImmediate(this.#run);
  };

  /** A turn right now. */
  wakeUp(): void {
    this.#parts.stages.start();
    if (this.#turn.step(this.#parts.now())) this.schedule();
  }

  /** Turns that were asked for just before are not taken: journal and sockets are closed. */
  end(): void {
    this.#isOver = true;
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    if (!this.#isOver && this.#turn.step(this.#parts.now())) this.schedule();
  };
}

/**
 * Runs the turns of a net thread or lane: after what the event loop brought at once, a turn follows in its check phase.
 *
 * The turns themselves (LaneTurn, NetTurn) do not know event loops, so a simulator can call `step` itself.
 */
import type { ReceiveStep } from '../path/receive-step.ts';
import type { ThreadParts } from './parts.ts';
import type { Sockets } from './sockets.ts';

/** What a turn needs of its thread's sockets. */
export type TurnSockets = Pick<Sockets, 'transports' | 'afterTurn' | 'hasTimes'>;

/** One thread's work, a turn at a time. */
export interface Turn {
  /** Receives payloads before the turn that publishes them; its `now` is set first. */
  readonly receive: ReceiveStep;
  /**
   * Runs every step once; returns whether another turn is due that nothing else would schedule.
   * @param now milliseconds since 1970
   */
  step(now: number): boolean;
  /** In how many milliseconds a turn is due by itself, 0 for none: a group waits for more claims. */
  waitMs?(now: number): number;
}

export class TurnLoop {
  readonly #parts: ThreadParts;
  readonly #turn: Turn;
  #isScheduled = false;
  #isOver = false;
  #isTimed = false;
  /** With `busyPollUs`: until when the loop goes round without sleeping, in monotonic milliseconds, and whether it does. */
  readonly #awakeMs: number;
  #awakeUntil = 0;
  #isAwake = false;

  constructor(parts: ThreadParts, turn: Turn) {
    this.#parts = parts;
    this.#turn = turn;
    this.#awakeMs = (parts.context.busyPollUs ?? 0) / 1_000;
  }

  /** Schedules a turn. Must also be called before payloads are handed in. */
  readonly schedule = (): void => {
    if (this.#awakeMs > 0) this.#stayAwake();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.stages.start();
    this.#turn.receive.now = this.#parts.now();
    setImmediate(() => {
      this.#isScheduled = false;
      if (!this.#isOver) this.#run();
    });
  };

  /** An event loop with an immediate looks for events and does not sleep: a datagram then waits for no scheduler. */
  #stayAwake(): void {
    const { clock } = this.#parts.system;
    this.#awakeUntil = clock.monotonic() + this.#awakeMs;
    if (this.#isAwake) return;
    this.#isAwake = true;
    const goRound = () => {
      this.#isAwake = !this.#isOver && clock.monotonic() < this.#awakeUntil;
      if (this.#isAwake) setImmediate(goRound);
    };
    setImmediate(goRound);
  }

  wakeUp(): void {
    this.#parts.stages.start();
    this.#run();
  }

  /** Cancels a scheduled turn, since journal and sockets are about to be closed. */
  end(): void {
    this.#isOver = true;
  }

  #run(): void {
    const now = this.#parts.now();
    if (this.#turn.step(now)) this.schedule();
    else this.#wait(this.#turn.waitMs?.(now) ?? 0);
  }

  #wait(forMs: number): void {
    if (forMs === 0 || this.#isTimed) return;
    this.#isTimed = true;
    setTimeout(() => {
      this.#isTimed = false;
      if (!this.#isOver) this.schedule();
    }, forMs);
  }
}

/**
 * Requests that are held open until something happens: long polls, charges that wait, event streams. Main thread.
 *
 * Each keeps a connection, so there is a limit, and a smaller one for connections of the operator's own, which must have some
 * left. A held request ends when its client leaves, also by closing only its side, or when the server stops.
 */
import { ClaimwireError } from '../errors.ts';
import type { Call } from './route.ts';

/** Below the places of connections with a token (connections.ts), so that those who do not wait find one. */
const HOLDS_MAX = 192;
const OPERATOR_HOLDS_MAX = 32;

/** Made once: a flood of pollers gets many. */
const BUSY = new ClaimwireError(
  'NODE_BUSY',
  `held requests: expected at most ${HOLDS_MAX}, ${OPERATOR_HOLDS_MAX} of them with the operator's token, got one more; try again shortly`,
);

/** Why a hold has ended: its time is over, its client has left, or the server stops. */
type HoldEnd = 'late' | 'gone' | 'stopping';

export interface Hold {
  /** Aborts when the hold ends before `release` was called. */
  readonly signal: AbortSignal;
  /** Undefined while it goes on. */
  readonly end: HoldEnd | undefined;
  /** The request is answered. */
  release(): void;
}

interface Held extends Hold {
  isOperator: boolean;
  stop(end: HoldEnd): void;
}

export class Holds {
  readonly #held = new Set<Held>();
  readonly #counters: { held: number; busy: number };
  #isClosed = false;

  /** @param counters shown by /stats: requests that are held now, and requests refused for being too many */
  constructor(counters: { held: number; busy: number }) {
    this.#counters = counters;
  }

  /** Holds a request, for at most `timeoutMs` where that is given. Throws NODE_BUSY or NODE_STOPPING. */
  begin({ connection }: Call, timeoutMs?: number): Hold {
    if (this.#isClosed) throw stopping();
    const isOperator = connection.place === 'operator';
    const operators = isOperator ? [...this.#held].filter((held) => held.isOperator).length : 0;
    if (this.#held.size >= HOLDS_MAX || operators >= OPERATOR_HOLDS_MAX) {
      this.#counters.busy++;
      throw BUSY;
    }
    const abort = new AbortController();
    let end: HoldEnd | undefined;
    const onLeave = () => held.stop('gone');
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => held.stop('late'), timeoutMs);
    const held: Held = {
      isOperator,
      signal: abort.signal,
      get end() {
        return end;
      },
      release: () => {
        if (!this.#held.delete(held)) return;
        this.#counters.held--;
        clearTimeout(timer);
        connection.off('close', onLeave);
        connection.off('clientEnd', onLeave);
      },
      stop: (reason) => {
        end ??= reason;
        held.release();
        abort.abort(reason === 'stopping' ? stopping() : new Error(`held request: ${reason}`));
      },
    };
    this.#held.add(held);
    this.#counters.held++;
    connection.on('close', onLeave);
    connection.on('clientEnd', onLeave);
    if (connection.destroyed || connection.hasEnded) held.stop('gone');
    return held;
  }

  /** Ends all of them: the server stops. */
  close(): void {
    this.#isClosed = true;
    for (const held of [...this.#held]) held.stop('stopping');
  }
}

function stopping(): ClaimwireError {
  return new ClaimwireError('NODE_STOPPING', 'node: expected it ready, got it stopping; try again shortly');
}

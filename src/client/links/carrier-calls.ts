/**
 * Requests to the node over a carrier (carrier.ts), beside its claims. Payer's thread; no modules of Node.
 *
 * A carrier may be lost and replaced, and each has a nonce of its own: what was not answered is asked again on the next one.
 * A data channel also loses single messages, so a request is sent again, with its id, until it is answered. Every request
 * may be: none changes anything at the node.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { PAYLOAD_CONTROL } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import { closedError } from '../claim-errors.ts';
import type { Clock } from '../clock.ts';
import { ControlCalls } from '../control-calls.ts';
import type { RequestMaker } from './peer-link.ts';

/** When a request is sent again: far more than a node takes to answer one. */
const AGAIN_MS = 500;
/** How long a request may wait for a carrier and its answer. */
const ASK_MS_MAX = 10_000;
const WAITING_MAX = 1_024;

type Waiting = (outcome: ControlCalls | Error) => void;

export class CarrierCalls {
  readonly #clock: Pick<Clock, 'after' | 'now'>;
  readonly #peer: string;
  #calls: ControlCalls | undefined;
  #isClosed = false;
  readonly #waiting = new Set<Waiting>();

  constructor(clock: Pick<Clock, 'after' | 'now'>, peer: string) {
    this.#clock = clock;
    this.#peer = peer;
  }

  /** Whether a request waits for a carrier. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** There is a carrier. @param send takes a whole message */
  opened(send: (payload: Uint8Array<ArrayBuffer>) => void): void {
    const calls = new ControlCalls(this.#clock, (payload) => send(payload.slice()), AGAIN_MS);
    this.#calls = calls;
    for (const go of [...this.#waiting]) go(calls);
  }

  /** The carrier is gone. */
  lost(): void {
    const calls = this.#calls;
    this.#calls = undefined;
    calls?.end();
  }

  close(): void {
    this.#isClosed = true;
    this.lost();
    for (const go of [...this.#waiting]) go(closedError());
  }

  /** Reads a message from the node, if it is a control message. Returns false where it is none. */
  message(bytes: Uint8Array): boolean {
    if (bytes[0] !== PAYLOAD_CONTROL) return false;
    // A second copy of a reply answers nothing.
    this.#calls?.reply(bytes, 1, bytes.length);
    return true;
  }

  /** Rejects with NODE_UNREACHABLE, PAYER_FULL, PAYER_CLOSED, or the node's refusal. */
  async ask(request: RequestMaker): Promise<ControlAnswer> {
    const deadline = this.#clock.now() + ASK_MS_MAX;
    for (;;) {
      if (this.#isClosed) throw closedError();
      const calls = this.#calls ?? (await this.#carrier(deadline - this.#clock.now()));
      try {
        return await calls.ask(request);
      } catch (error) {
        // On the same carrier it is the answer; else that one was lost.
        if (calls === this.#calls || this.#clock.now() >= deadline) throw error;
      }
    }
  }

  #carrier(msMax: number): Promise<ControlCalls> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= WAITING_MAX) {
        const message = `expected under ${WAITING_MAX} requests that wait, await some first`;
        reject(new ClaimwireError('PAYER_FULL', message));
        return;
      }
      const go: Waiting = (outcome) => {
        cancelTimer();
        this.#waiting.delete(go);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      };
      const cancelTimer = this.#clock.after(Math.max(1, msMax), () => {
        const message = `${this.#peer}: expected a connection within ${ASK_MS_MAX} ms, got none; check that the node runs`;
        go(new ClaimwireError('NODE_UNREACHABLE', message));
      });
      this.#waiting.add(go);
    });
  }
}

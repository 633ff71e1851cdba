/**
 * Submits claims of the node's own program (local.ts has the other end). Main thread.
 *
 * Claims of one event turn leave in one message, and their answers come back in few.
 */
import type { MessagePort } from 'node:worker_threads';
import { CLAIM_BYTES, FRAME_CLAIM } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import type { LocalAnswers, LocalClaims } from './local.ts';

/** Claims in flight: 400 KB. At a sync of 5 ms this is 400,000 claims a second. */
const CALLS_MAX = 4_096;

interface Call {
  resolve: (status: number) => void;
  reject: (reason: unknown) => void;
}

export class LocalCalls {
  readonly #port: MessagePort;
  readonly #calls = new Map<number, Call>();
  #next = 0;
  /** Claims to send, of the calls before `#next`. */
  #outbox: Uint8Array[] = [];
  #isStopped = false;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on('message', (answers: LocalAnswers) => {
      for (let at = 0; at < answers.length; at += 2) this.#take(answers[at]!)?.resolve(answers[at + 1]!);
    });
    port.unref();
  }

  /**
   * Resolves with the status of a claim, as an ack has it. An aborted call rejects, and its claim may be committed all the same.
   * @throws ClaimwireError INPUT_INVALID (no claim), NODE_BUSY, NODE_STOPPING
   */
  async submit(claim: Uint8Array, signal?: AbortSignal): Promise<number> {
    if (claim.length !== CLAIM_BYTES || claim[0] !== FRAME_CLAIM)
      throw new ClaimwireError(
        'INPUT_INVALID',
        `claim: expected ${CLAIM_BYTES} bytes that begin with ${FRAME_CLAIM}, got ${claim.length} that begin with ${claim[0]}`,
      );
    signal?.throwIfAborted();
    if (this.#isStopped) throw stopping();
    if (this.#calls.size >= CALLS_MAX)
      throw new ClaimwireError(
        'NODE_BUSY',
        `submit: expected at most ${CALLS_MAX} claims in flight, got one more; try again later`,
      );
    const call = this.#next;
    this.#next = (call + 1) >>> 0;
    if (this.#outbox.push(claim.slice()) === 1) setImmediate(() => this.#send());
    let abort = () => {};
    try {
      return await new Promise<number>((resolve, reject) => {
        this.#calls.set(call, { resolve, reject });
        // Its claim stays in flight, and counts until it is answered.
        abort = () => reject(signal?.reason);
        signal?.addEventListener('abort', abort, { once: true });
      });
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Rejects what is not answered. Call it when the other end has ended. */
  stop(): void {
    this.#isStopped = true;
    for (const number of [...this.#calls.keys()]) this.#take(number)?.reject(stopping());
    this.#port.close();
  }

  #send(): void {
    const first = (this.#next - this.#outbox.length) >>> 0;
    const claims = new Uint8Array(this.#outbox.length * CLAIM_BYTES);
    for (const [index, claim] of this.#outbox.entries()) claims.set(claim, index * CLAIM_BYTES);
    this.#outbox = [];
    this.#port.postMessage({ first, claims } satisfies LocalClaims, [claims.buffer]);
  }

  #take(number: number): Call | undefined {
    const call = this.#calls.get(number);
    this.#calls.delete(number);
    return call;
  }
}

function stopping(): ClaimwireError {
  return new ClaimwireError('NODE_STOPPING', 'submit: expected a running node, got one that stops; submit it again');
}

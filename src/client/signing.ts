/**
 * Claims that are signed together, or elsewhere: by signers with signBatch or signDigests (keys/secp256k1-signer.ts). What is
 * asked for in one turn of the event loop goes to the signer in one call, and each signer has one call under way: a slow
 * one, as a hardware module is, gets what has gathered meanwhile, of each channel the newest amount. Payer's thread.
 */
import { ClaimwireError } from '../errors.ts';
import { ClaimBatch } from './claim-batch.ts';
import type { Clock } from './clock.ts';
import type { Flow } from './flow.ts';
import type { Signer } from './keys/secp256k1-signer.ts';

/** What comes of a flow that was added. It is no longer in signing then. */
export interface SigningParts {
  readonly clock: Clock;
  /**
   * It was signed: `flow.place` has a claim of `amount`. Or nobody waited for it any more, and nothing was signed: then that
   * is undefined.
   */
  readonly signed: (flow: Flow, amount: bigint | undefined, now: number) => void;
  readonly failed: (flow: Flow, error: Error) => void;
}

interface Line {
  /** From `next` on. */
  readonly waiting: Flow[];
  next: number;
  isUnderWay: boolean;
}

export class Signing {
  readonly #parts: SigningParts;
  readonly #lines = new Map<Signer, Line>();
  #isClosed = false;

  constructor(parts: SigningParts) {
    this.#parts = parts;
  }

  /** Signs the newest claim of a flow that is not in signing, soon; until then it holds room in the window of its path. */
  add(flow: Flow): void {
    const { signer } = flow.identity;
    flow.signing = flow.path.window;
    flow.signing.used += 1;
    let line = this.#lines.get(signer);
    if (line === undefined) {
      line = { waiting: [], next: 0, isUnderWay: false };
      this.#lines.set(signer, line);
    }
    line.waiting.push(flow);
    if (line.isUnderWay) return;
    line.isUnderWay = true;
    const { clock } = this.#parts;
    // A signer in this thread signs all that the acks which are there already will ask for: they come message by message.
    if (signer.signBatch !== undefined) clock.afterInput(() => this.#sign(signer, line));
    else queueMicrotask(() => this.#sign(signer, line));
  }

  /** Drops what waits. What is under way ends, and nobody hears of it. */
  close(): void {
    this.#isClosed = true;
    for (const line of this.#lines.values()) line.next = line.waiting.length;
    this.#lines.clear();
  }

  async #sign(signer: Signer, line: Line): Promise<void> {
    while (line.next < line.waiting.length) {
      const batch = ClaimBatch.take();
      this.#fill(batch, line);
      let error: Error | undefined;
      try {
        const later = batch.count > 0 ? batch.sign(signer) : undefined;
        // A signer in this thread has signed already: no turn is lost.
        if (later !== undefined) await later;
      } catch (thrown) {
        error = thrown instanceof Error ? thrown : notAnError(thrown);
      }
      if (!this.#isClosed) this.#deliver(batch, error);
      batch.release();
    }
    line.isUnderWay = false;
    this.#lines.delete(signer);
  }

  #fill(batch: ClaimBatch, line: Line): void {
    const { waiting } = line;
    const now = this.#parts.clock.now();
    while (line.next < waiting.length && !batch.isFull) {
      const flow = waiting[line.next++]!;
      if (flow.outstanding) {
        flow.drafted = flow.newestAmount;
        flow.waiters.markSent(flow.nextSequence);
        batch.add(flow, now);
      } else {
        this.#done(flow);
        this.#parts.signed(flow, undefined, now);
      }
    }
    if (line.next < waiting.length) return;
    line.next = 0;
    waiting.length = 0;
  }

  #deliver(batch: ClaimBatch, error: Error | undefined): void {
    const { flows, amounts } = batch;
    const now = this.#parts.clock.now();
    for (let index = 0; index < batch.count; index += 1) {
      const flow = flows[index]!;
      this.#done(flow);
      if (error !== undefined) {
        this.#parts.failed(flow, error);
        continue;
      }
      const amount = amounts[index]!;
      batch.copy(index, flow.place.view, flow.place.offset);
      flow.wasSigned(amount);
      this.#parts.signed(flow, amount, now);
    }
  }

  #done(flow: Flow): void {
    flow.signing!.used -= 1;
    flow.signing = undefined;
    flow.drafted = undefined;
  }
}

/** A signer is its user's, and may reject with anything. */
function notAnError(cause: unknown): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `signer: expected an Error, got ${typeof cause}`, {}, { cause });
}

/**
 * Claims that are signed together, or elsewhere: by signers with signDigests (keys/secp256k1-signer.ts). What is asked for
 * in one turn of the event loop goes to the signer in one call, and each signer has one call under way: a slow one, as a
 * hardware module is, gets what has gathered meanwhile, of each channel the newest amount. Payer's thread.
 */
import { SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import type { ClaimDraft, Flow } from './flow.ts';
import { SIGNED_TOGETHER_MAX, type Signer } from './keys/secp256k1-signer.ts';
import type { SendWindow } from './send-window.ts';

const DIGEST_BYTES = 32;

/** What comes of a flow that was added. It is no longer in signing then. */
export interface SigningParts {
  readonly now: () => number;
  /** It was signed: `flow.place` has the claim. Or nobody waited for it any more, and nothing was signed. */
  readonly signed: (flow: Flow, draft: ClaimDraft | undefined) => void;
  readonly failed: (flow: Flow, error: Error) => void;
}

interface Line {
  readonly waiting: Set<Flow>;
  isUnderWay: boolean;
}

interface Drafted {
  readonly flow: Flow;
  readonly draft: ClaimDraft;
}

export class Signing {
  readonly #parts: SigningParts;
  readonly #lines = new Map<Signer, Line>();
  /** The windows in which room is held for what is not sent yet. */
  readonly #held = new Map<Flow, SendWindow>();

  constructor(parts: SigningParts) {
    this.#parts = parts;
  }

  /** Signs the newest claim of a flow that is not in signing, soon; until then it holds room in the window of its path. */
  add(flow: Flow): void {
    const { signer } = flow.identity;
    flow.signing = { drafted: undefined };
    flow.path.window.used += 1;
    this.#held.set(flow, flow.path.window);
    let line = this.#lines.get(signer);
    if (line === undefined) {
      line = { waiting: new Set(), isUnderWay: false };
      this.#lines.set(signer, line);
    }
    line.waiting.add(flow);
    if (line.isUnderWay) return;
    line.isUnderWay = true;
    queueMicrotask(() => this.#sign(signer, line));
  }

  /** Drops what waits. What is under way ends, and nobody hears of it. */
  close(): void {
    for (const { waiting } of this.#lines.values()) waiting.clear();
    this.#lines.clear();
    this.#held.clear();
  }

  async #sign(signer: Signer, line: Line): Promise<void> {
    while (line.waiting.size > 0) {
      const batch = this.#take(line);
      if (batch.length === 0) continue;
      let signatures: Uint8Array | Error;
      try {
        const answer = signer.signDigests!(digestsOf(batch));
        // A signer in this thread has signed already: no turn is lost.
        signatures = checked(answer instanceof Uint8Array ? answer : await answer, batch.length);
      } catch (error) {
        signatures = error instanceof Error ? error : notAnError(error);
      }
      this.#deliver(batch, signatures);
    }
    line.isUnderWay = false;
    this.#lines.delete(signer);
  }

  #take({ waiting }: Line): Drafted[] {
    const batch: Drafted[] = [];
    for (const flow of waiting) {
      if (batch.length === SIGNED_TOGETHER_MAX) break;
      waiting.delete(flow);
      if (!flow.outstanding) {
        this.#done(flow);
        this.#parts.signed(flow, undefined);
        continue;
      }
      const draft = flow.draft(this.#parts.now());
      flow.signing = { drafted: draft.amount };
      flow.waiters.markSent(flow.nextSequence);
      batch.push({ flow, draft });
    }
    return batch;
  }

  #deliver(batch: readonly Drafted[], signatures: Uint8Array | Error): void {
    for (const [index, { flow, draft }] of batch.entries()) {
      if (!this.#done(flow)) continue;
      if (signatures instanceof Error) {
        this.#parts.failed(flow, signatures);
        continue;
      }
      flow.adopt(draft, signatures.subarray(index * SIGNATURE_BYTES, (index + 1) * SIGNATURE_BYTES));
      this.#parts.signed(flow, draft);
    }
  }

  /** Returns false where the payer was closed meanwhile. */
  #done(flow: Flow): boolean {
    const window = this.#held.get(flow);
    flow.signing = undefined;
    if (window === undefined) return false;
    this.#held.delete(flow);
    window.used -= 1;
    return true;
  }
}

function digestsOf(batch: readonly Drafted[]): Uint8Array {
  const digests = new Uint8Array(batch.length * DIGEST_BYTES);
  for (const [index, { draft }] of batch.entries()) digests.set(draft.digest, index * DIGEST_BYTES);
  return digests;
}

/** A signer is its user's, and may reject with anything. */
function notAnError(cause: unknown): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `signer: expected an Error, got ${typeof cause}`, {}, { cause });
}

function checked(signatures: Uint8Array, count: number): Uint8Array {
  if (signatures instanceof Uint8Array && signatures.length === count * SIGNATURE_BYTES) return signatures;
  const got = signatures instanceof Uint8Array ? `${signatures.length} bytes` : typeof signatures;
  const message = `signer: expected ${count * SIGNATURE_BYTES} bytes for ${count} digests, got ${got}`;
  throw new ClaimwireError('INPUT_INVALID', message);
}

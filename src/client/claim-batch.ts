/**
 * Up to SIGNED_TOGETHER_MAX claims that are signed in one call, beside those of the same channels that are on their way.
 * Batches are used again, by all payers of a thread. Payer's thread.
 */
import { copyClaim } from '../../protocol/claim.ts';
import { linkDigest, xrplDigest } from '../../protocol/digest.ts';
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  FRAME_CLAIM,
  LEDGER_CHANNEL_ID_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { invalid } from './claim-errors.ts';
import type { Flow } from './flow.ts';
import { SIGNED_TOGETHER_MAX, type Signer } from './keys/secp256k1-signer.ts';

const DIGEST_BYTES = 32;
/** Batches of 35 KB that are kept. More are in use only where signatures are made elsewhere, in hardware modules. */
const FREE_MAX = 2;
const free: ClaimBatch[] = [];

export class ClaimBatch {
  count = 0;
  readonly flows: Flow[] = [];
  readonly amounts: bigint[] = [];
  readonly #claims = new Uint8Array(SIGNED_TOGETHER_MAX * CLAIM_BYTES);
  readonly #view = new DataView(this.#claims.buffer);
  readonly #ledgerChannelIds = new Uint8Array(SIGNED_TOGETHER_MAX * LEDGER_CHANNEL_ID_BYTES);
  /** 1 for a claim of the `link` profile. */
  readonly #areLink = new Uint8Array(SIGNED_TOGETHER_MAX);

  static take(): ClaimBatch {
    return free.pop() ?? new ClaimBatch();
  }

  /** Nobody uses the batch any more. */
  release(): void {
    this.count = 0;
    this.flows.length = 0;
    this.amounts.length = 0;
    if (free.length < FREE_MAX) free.push(this);
  }

  get isFull(): boolean {
    return this.count === SIGNED_TOGETHER_MAX;
  }

  /** Adds the newest claim of a channel, with its next sequence. */
  add(flow: Flow, now: number): void {
    const { place, identity, newestAmount } = flow;
    const at = this.count * CLAIM_BYTES;
    const view = this.#view;
    view.setUint8(at, FRAME_CLAIM);
    view.setUint32(at + CLAIM_CHANNEL_ID, place.view.getUint32(place.offset + CLAIM_CHANNEL_ID));
    view.setUint32(at + CLAIM_CHANNEL_ID + 4, place.view.getUint32(place.offset + CLAIM_CHANNEL_ID + 4));
    view.setUint32(at + CLAIM_SEQUENCE, flow.nextSequence);
    view.setBigUint64(at + CLAIM_AMOUNT, newestAmount);
    view.setFloat64(at + CLAIM_TIMESTAMP, now);
    this.#ledgerChannelIds.set(identity.ledgerChannelId, this.count * LEDGER_CHANNEL_ID_BYTES);
    this.#areLink[this.count] = identity.profile === 'link' ? 1 : 0;
    this.flows.push(flow);
    this.amounts.push(newestAmount);
    this.count += 1;
  }

  /** Has all of them signed: at once, where a signer in this thread does it. Throws, or rejects with, what the signer does. */
  sign(signer: Signer): undefined | Promise<void> {
    if (signer.signBatch !== undefined) {
      signer.signBatch(this.#claims, this.#ledgerChannelIds, this.#areLink, this.count);
      return undefined;
    }
    const answer = signer.signDigests!(this.#digests());
    if (!(answer instanceof Uint8Array)) return this.#later(answer);
    this.#take(answer);
    return undefined;
  }

  /** Copies claim `index`, whole, to where its channel's newest claim lies. */
  copy(index: number, target: DataView, offset: number): void {
    copyClaim(this.#view, index * CLAIM_BYTES, target, offset);
  }

  #digests(): Uint8Array {
    const digests = new Uint8Array(this.count * DIGEST_BYTES);
    for (let index = 0; index < this.count; index += 1) {
      const at = index * LEDGER_CHANNEL_ID_BYTES;
      const ledgerChannelId = this.#ledgerChannelIds.subarray(at, at + LEDGER_CHANNEL_ID_BYTES);
      const digest = this.#areLink[index] === 1 ? linkDigest : xrplDigest;
      digests.set(digest(ledgerChannelId, this.#claims, index * CLAIM_BYTES), index * DIGEST_BYTES);
    }
    return digests;
  }

  async #later(answer: Promise<Uint8Array>): Promise<void> {
    this.#take(await answer);
  }

  #take(signatures: Uint8Array): void {
    const expected = this.count * SIGNATURE_BYTES;
    if (!(signatures instanceof Uint8Array) || signatures.length !== expected) {
      const got = signatures instanceof Uint8Array ? `${signatures.length} bytes` : typeof signatures;
      throw invalid(`signer: expected ${expected} bytes for ${this.count} digests, got ${got}`);
    }
    for (let index = 0; index < this.count; index += 1) {
      const signature = signatures.subarray(index * SIGNATURE_BYTES, (index + 1) * SIGNATURE_BYTES);
      this.#claims.set(signature, index * CLAIM_BYTES + CLAIM_SIGNATURE);
    }
  }
}

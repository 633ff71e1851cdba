/**
 * Makes and signs the roots of a group's waves, in their order: the next one is hashed while the signer has the one before. At most one is
 * at the signer, so that of the roots of a key none is signed after a newer one. Payer's thread.
 */
import type { TreeHash } from '../../../protocol/merkle.ts';
import type { Clock } from '../clock.ts';
import type { Signer } from '../keys/secp256k1-signer.ts';
import { signRoot } from '../root-signature.ts';
import { type GroupIds, GroupRoot } from './group-root.ts';
import type { Wave } from './wave.ts';

export interface RootLineParts {
  readonly clock: Clock;
  readonly hash: TreeHash;
  readonly signer: Signer;
  /** The counter of all roots of the key. */
  readonly key: { sequence: number };
  readonly ids: GroupIds;
  readonly leavesMax: number;
  /** Whether a channel's amount in a wave is to be a leaf. Where it is not, it is paid otherwise. */
  readonly isLeaf: (wave: Wave, index: number) => boolean;
  readonly signed: (wave: Wave, root: GroupRoot) => void;
  /** A root of the wave could not be signed, so that no later one of its channels may be. */
  readonly failed: (wave: Wave, error: Error) => void;
}

export class RootLine {
  readonly #parts: RootLineParts;
  #making: Promise<void> = Promise.resolve();
  #signing: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(parts: RootLineParts) {
    this.#parts = parts;
  }

  /** Signs a wave after those that were added before. */
  add(wave: Wave): void {
    wave.users += 1;
    this.#making = this.#making.then(async () => {
      await this.#make(wave);
      wave.users -= 1;
    });
  }

  /** What is under way ends, and nobody hears of it. */
  close(): void {
    this.#isClosed = true;
  }

  async #make(wave: Wave): Promise<void> {
    const { ids, leavesMax, isLeaf, key, clock, hash } = this.#parts;
    while (wave.madeTo < wave.flags.length && wave.left > 0 && !this.#isClosed) {
      key.sequence = (key.sequence + 1) >>> 0;
      const root = GroupRoot.gather(wave, ids, leavesMax, (index) => isLeaf(wave, index), key.sequence, clock.now());
      if (root.leaves === 0) break;
      while (!root.hash(ids, hash)) await new Promise<void>((resolve) => clock.afterInput(resolve));
      wave.users += 1;
      this.#signing = this.#signing.then(async () => {
        await this.#sign(wave, root);
        wave.users -= 1;
      });
    }
  }

  async #sign(wave: Wave, root: GroupRoot): Promise<void> {
    if (this.#isClosed || !root.isWanted(wave)) return;
    const { signer, signed, failed } = this.#parts;
    let signature: Uint8Array;
    try {
      signature = await signRoot(signer, root.preimage);
    } catch (error) {
      if (!this.#isClosed) failed(wave, error as Error);
      return;
    }
    if (this.#isClosed) return;
    root.signature = signature;
    signed(wave, root);
  }
}

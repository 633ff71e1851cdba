/**
 * Where each channel of a payer keeps its newest signed claim: 93-byte places in pages, so that 100,000 channels cost
 * 100 buffers and not 100,000. Owned by the payer's thread; a place lasts as long as the payer.
 */
import { CLAIM_BYTES } from '../../protocol/layout.ts';

const CLAIMS_PER_PAGE = 1024;

/** A claim's bytes, `bytes[offset .. offset + 93)`. */
export interface ClaimPlace {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
}

export class ClaimSlab {
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #used = CLAIMS_PER_PAGE;

  take(): ClaimPlace {
    if (this.#used === CLAIMS_PER_PAGE) {
      this.#bytes = new Uint8Array(CLAIMS_PER_PAGE * CLAIM_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
      this.#used = 0;
    }
    const offset = this.#used * CLAIM_BYTES;
    this.#used += 1;
    return { bytes: this.#bytes, view: this.#view, offset };
  }
}

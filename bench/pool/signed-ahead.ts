/**
 * Claims signed before the clock runs, for clients that only send. Main thread of the bench. The keys are the throw-away keys
 * of a load run with the same seed.
 */
import { copyClaim } from '../../protocol/claim.ts';
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, FRAME_CLAIM } from '../../protocol/layout.ts';
import { BATCH_CLAIMS_MAX } from '../../src/load/batch.ts';
import type { LoadChannels } from '../../src/load/channels.ts';
import { KernelSigner } from '../../src/load/signer.ts';
import { SLOT_ROW } from '../../src/ring/slot.ts';

/** A load run's handles are the first bytes of the ledger's ids. */
const HANDLE_BYTES = 8;

/** `count` claims of 93 bytes back to back: claim i is channel i mod channels', amounts rise by one drop from 1. */
export function signAhead(seed: number, channels: LoadChannels, count: number): Uint8Array {
  const { arena, ring, table } = channels;
  const signer = new KernelSigner(seed, channels.count, channels);
  const claims = new Uint8Array(count * CLAIM_BYTES);
  const view = new DataView(claims.buffer);
  const batchMax = Math.min(signer.batchMax, BATCH_CLAIMS_MAX);
  for (let first = 0; first < count; first += batchMax) {
    const batch = Math.min(batchMax, count - first);
    for (let index = 0; index < batch; index++) {
      const slot = ring.slot(index);
      const channel = (first + index) % channels.count;
      arena.view.setUint8(slot, FRAME_CLAIM);
      arena.bytes.set(table.ledgerId(channel).subarray(0, HANDLE_BYTES), slot + CLAIM_CHANNEL_ID);
      arena.view.setBigUint64(slot + CLAIM_AMOUNT, BigInt(Math.floor((first + index) / channels.count) + 1));
      arena.words[(slot + SLOT_ROW) >>> 2] = channel;
    }
    signer.sign(batch);
    for (let index = 0; index < batch; index++)
      copyClaim(arena.view, ring.slot(index), view, (first + index) * CLAIM_BYTES);
  }
  return claims;
}

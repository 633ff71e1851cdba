/** Where a payload may be divided, so that no more claims are handed in than there is room for. */
import { ACK_BYTES, CLAIM_BYTES, FRAME_ACK, FRAME_CLAIM } from '../../protocol/layout.ts';

/** Where the first `claimsMax` claims of `bytes[start, end)` end. Bytes that are no frame are left to the sink to count. */
export function framesEnd(bytes: Uint8Array, start: number, end: number, claimsMax: number): number {
  if (end - start < (claimsMax + 1) * CLAIM_BYTES && claimsMax > 0) return end;
  let offset = start;
  for (let claims = 0; offset < end; ) {
    if (bytes[offset] === FRAME_CLAIM) {
      if (claims++ >= claimsMax) return offset;
      offset += CLAIM_BYTES;
    } else if (bytes[offset] === FRAME_ACK) {
      offset += ACK_BYTES;
    } else {
      return end;
    }
  }
  return end;
}

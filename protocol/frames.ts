/**
 * The walk over a datagram (or a TCP payload): frames back to back, sizes fixed per type, or told by the head of a Merkle batch's.
 *
 * An unknown type or a cut-off frame ends the walk; the frames before it are valid. The sink is one long-lived object, so
 * that the engine inlines its methods and nothing is allocated per frame.
 */
import { ACK_BYTES, CLAIM_BYTES, FRAME_ACK, FRAME_CLAIM, FRAME_MERKLE } from './layout.ts';
import { merkleFrameBytes } from './merkle-frame.ts';

/** The walk ended at the end of a whole frame. */
export const WALK_WHOLE = 0;
/** There were no bytes. */
export const WALK_EMPTY = 1;
/** The walk ended at a frame of a type that this version does not know. */
export const WALK_UNKNOWN_TYPE = 2;
/** The bytes ended inside a frame. */
export const WALK_CUT_FRAME = 3;
/** One of the WALK constants. */
export type WalkEnd = typeof WALK_WHOLE | typeof WALK_EMPTY | typeof WALK_UNKNOWN_TYPE | typeof WALK_CUT_FRAME;

/** Receives the frames in their order; `bytes[offset]` is the frame's type byte. */
export interface FrameSink {
  /** A whole claim. */
  claim(bytes: Uint8Array, offset: number): void;
  /** A whole ack. */
  ack(bytes: Uint8Array, offset: number): void;
  /** A whole frame of a Merkle batch, of `size` bytes. To a sink without this method the type is unknown. */
  merkle?: ((bytes: Uint8Array, offset: number, size: number) => void) | undefined;
}

/** Hands every whole frame in `bytes[start, end)` to the sink and says how the walk ended. Never throws. */
export function walkFrames(bytes: Uint8Array, start: number, end: number, sink: FrameSink): WalkEnd {
  if (start >= end) return WALK_EMPTY;
  let offset = start;
  while (offset < end) {
    const type = bytes[offset];
    if (type === FRAME_CLAIM) {
      if (offset + CLAIM_BYTES > end) return WALK_CUT_FRAME;
      sink.claim(bytes, offset);
      offset += CLAIM_BYTES;
    } else if (type === FRAME_ACK) {
      if (offset + ACK_BYTES > end) return WALK_CUT_FRAME;
      sink.ack(bytes, offset);
      offset += ACK_BYTES;
    } else if (type === FRAME_MERKLE && sink.merkle !== undefined) {
      const size = merkleFrameBytes(bytes, offset, end);
      if (size === 0) return WALK_UNKNOWN_TYPE;
      if (offset + size > end) return WALK_CUT_FRAME;
      sink.merkle(bytes, offset, size);
      offset += size;
    } else {
      return WALK_UNKNOWN_TYPE;
    }
  }
  return WALK_WHOLE;
}

/* Frames of Merkle batches in the arena: which root each leads to, and the key that must have signed it. */
#ifndef CLAIMWIRE_MERKLE_FRAMES_H
#define CLAIMWIRE_MERKLE_FRAMES_H
#include "arena.h"

#define CW_FRAME_HEAD_BYTES 84
#define CW_ROOT_PREIMAGE_BYTES 64
#define CW_ROOT_LEAVES_MAX 65536

/* Writes the 64 bytes that the root's signature covers and their SHA-256. `rows`: those of the frame's leaves. Returns the row of their
 * key, or UINT32_MAX with nothing written where they have not all the same. */
uint32_t cw_merkle_frame(const struct cw_arena *arena, const uint32_t *rows, const uint8_t *frame, uint8_t preimage[CW_ROOT_PREIMAGE_BYTES],
                         uint8_t digest[32]);
#endif

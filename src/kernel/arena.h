/* The arena as C sees it. struct cw_arena is in layout_generated.h; its offsets are bytes from `base`, on a little-endian
 * machine. Code that fills in a struct cw_arena checks it here once; after that, row and key numbers are compared with
 * rows_max, and nothing else is checked. */
#ifndef CLAIMWIRE_ARENA_H
#define CLAIMWIRE_ARENA_H
#include "layout_generated.h"

static inline int cw_arena_inside(const struct cw_arena *a, uint32_t offset, uint64_t count, uint32_t bytes) {
    return ((uintptr_t)a->base + offset) % 4 == 0 && offset + count * bytes <= a->bytes;
}
/* Returns 0 for a sound arena, otherwise a text that says what was expected. */
static inline const char *cw_arena_fault(const struct cw_arena *a) {
    if (a->slot_mask & (a->slot_mask + 1) || a->index_mask & (a->index_mask + 1)) return "expected masks of 2^k - 1";
    if (!cw_arena_inside(a, a->slots, (uint64_t)a->slot_mask + 1, CW_SLOT_BYTES) || !cw_arena_inside(a, a->committed, 1, 4))
        return "expected aligned slots and a cursor inside the arena";
    if (!cw_arena_inside(a, a->channel_index, (uint64_t)a->index_mask + 1, 4) || !cw_arena_inside(a, a->rows, a->rows_max, CW_ROW_HOT_BYTES) ||
        !cw_arena_inside(a, a->ledger_heads, a->rows_max, CW_LEDGER_HEAD_BYTES) || !cw_arena_inside(a, a->ledger_tails, a->rows_max, CW_LEDGER_TAIL_BYTES) ||
        !cw_arena_inside(a, a->signatures, a->rows_max, CW_SIGNATURE_BYTES) ||
        !cw_arena_inside(a, a->keys, a->rows_max, CW_KEY_ROW_BYTES))
        return "expected aligned rows inside the arena";
    return 0;
}
static inline uint8_t *cw_arena_slot(const struct cw_arena *a, uint32_t sequence) {
    return a->base + a->slots + (size_t)(sequence & a->slot_mask) * CW_SLOT_BYTES;
}
static inline uint32_t *cw_arena_hot(const struct cw_arena *a, uint32_t row) {
    return (uint32_t *)(a->base + a->rows + (size_t)row * CW_ROW_HOT_BYTES);
}
#endif

/* The roots that frames of Merkle batches lead to, as verify/frame-judge.ts computes them. The entries lie in the arena: row numbers are
 * compared with rows_max, and sizes follow from the frame's head, which the receive step has checked. */
#include "merkle_frames.h"
#include <string.h>
#include "common.h"
#include "merkle.h"

#define PREIMAGE_PREFIX_BYTES 16
#define KEY_NONE UINT32_MAX

static const uint8_t root_prefix[PREIMAGE_PREFIX_BYTES] = "claimwire/tree/1";
static uint32_t be32(const uint8_t *bytes) {
    uint32_t v;
    memcpy(&v, bytes, 4);
    return __builtin_bswap32(v);
}

/* The ledger channel id of a row, as ChannelTable.ledgerId. */
static void ledger_id(const struct cw_arena *a, uint32_t row, uint8_t id[32]) {
    const uint32_t *hot = cw_arena_hot(a, row);
    if (hot[CW_HOT_FLAGS] & CW_FLAG_OWN_HANDLE) memcpy(id, a->base + a->ledger_heads + (size_t)row * CW_LEDGER_HEAD_BYTES, 8);
    else {
        const uint64_t handle = __builtin_bswap64((uint64_t)hot[CW_HOT_ID_HIGH] << 32 | hot[CW_HOT_ID_LOW]);
        memcpy(id, &handle, 8);
    }
    memcpy(id + 8, a->base + a->ledger_tails + (size_t)row * CW_LEDGER_TAIL_BYTES, CW_LEDGER_TAIL_BYTES);
}

/* Climbs from the node of `block` to the root along the path, as `climb` in protocol/merkle.ts. */
static void climb(uint8_t node[CW_HASH_BYTES], uint32_t block, uint32_t blocks, const uint8_t *path) {
    uint8_t pair[2 * CW_HASH_BYTES];
    for (uint32_t number = block, last = blocks - 1; last; number >>= 1, last >>= 1) {
        const uint32_t is_right = number & 1;
        if (!is_right && number == last) continue;
        memcpy(pair + CW_HASH_BYTES * is_right, node, CW_HASH_BYTES);
        memcpy(pair + CW_HASH_BYTES * !is_right, path, CW_HASH_BYTES);
        cw_merkle_nodes(1, pair, node);
        path += CW_HASH_BYTES;
    }
}

uint32_t cw_merkle_frame(const struct cw_arena *a, const uint32_t *rows, const uint8_t *frame, uint8_t preimage[CW_ROOT_PREIMAGE_BYTES],
                         uint8_t digest[CW_HASH_BYTES]) {
    uint8_t ids[CW_BLOCK_LEAVES * 32], hashes[CW_BLOCK_LEAVES * CW_HASH_BYTES], padded[2 * CW_BLOCK_BYTES];
    const uint32_t block = (uint32_t)frame[2] << 8 | frame[3], leaves = be32(frame + 4);
    const uint32_t blocks = (leaves + CW_BLOCK_LEAVES - 1) / CW_BLOCK_LEAVES;
    if (!leaves || leaves > CW_ROOT_LEAVES_MAX || block >= blocks) return KEY_NONE;
    const uint32_t count = block + 1 < blocks ? CW_BLOCK_LEAVES : leaves - block * CW_BLOCK_LEAVES;
    uint32_t key = KEY_NONE, is_one_key = 1;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i] >= a->rows_max) return KEY_NONE;
        const uint32_t of_row = cw_arena_hot(a, rows[i])[CW_HOT_KEY];
        if (!i) key = of_row;
        is_one_key &= of_row == key;
        ledger_id(a, rows[i], ids + 32 * i);
    }
    if (!is_one_key || key >= a->rows_max) return KEY_NONE;
    cw_merkle_leaves(count, ids, frame + CW_FRAME_HEAD_BYTES, be32(frame + 8), hashes);
    cw_merkle_reduce(hashes, count);
    climb(hashes, block, blocks, frame + CW_FRAME_HEAD_BYTES + CW_LEAF_BYTES * count);
    memcpy(preimage, root_prefix, PREIMAGE_PREFIX_BYTES);
    memcpy(preimage + 16, hashes, CW_HASH_BYTES);
    memcpy(preimage + 48, frame + 4, 16); /* leaves, sequence and timestamp lie in a frame as they are signed */
    memset(padded, 0, sizeof padded);
    memcpy(padded, preimage, CW_ROOT_PREIMAGE_BYTES);
    padded[CW_ROOT_PREIMAGE_BYTES] = 0x80;
    padded[sizeof padded - 2] = CW_ROOT_PREIMAGE_BYTES * 8 >> 8;
    cw_merkle_digests(1, 2, padded, digest);
    return key;
}

/* See claim_path.h. The twins of LeafStage.stage (path/leaf-stage.ts) and RootedRows.commitLeaf (channel/rooted.ts) for link channels. */
#include "claim_path.h"
#include "common.h"
#include "group_parts.h"
#include "path_words.h"
#include "rows_generated.h"

#define AHEAD 8
#define PLAIN_FLAGS (CW_FLAG_OPEN | CW_FLAG_LINK | CW_FLAG_ROOTED)

/* Rules 2 and 4 to 6 and 8 for a leaf of a row with PLAIN_FLAGS. Returns 1 when all hold and nobody was writing the row. */
static int admits_leaf(const uint32_t *hot, const uint8_t *slot, uint32_t now_seconds) {
    const uint32_t change = load(&hot[CW_HOT_CHANGE]), version = load(&hot[CW_HOT_VERSION]);
    const uint64_t amount = amount_of(slot);
    const uint32_t flags = load(&hot[CW_HOT_FLAGS]), expires_at = load(&hot[CW_HOT_EXPIRES_AT]);
    const uint64_t capacity = pair(load(&hot[CW_HOT_CAPACITY_HIGH]), load(&hot[CW_HOT_CAPACITY_LOW]));
    const uint32_t high = load(&hot[CW_HOT_COMMITTED_HIGH]);
    const uint64_t committed = pair(high, load(&hot[CW_HOT_COMMITTED_LOW]));
    const uint32_t sequence = load(&hot[CW_HOT_SEQUENCE]);
    return !((change | version) & 1) && amount > committed && amount <= capacity && (flags & PLAIN_FLAGS) == PLAIN_FLAGS &&
           (!expires_at || now_seconds < expires_at) && (!committed || be32(slot + CW_CLAIM_SEQUENCE) > sequence) &&
           load(&hot[CW_HOT_CHANGE]) == change && load(&hot[CW_HOT_VERSION]) == version;
}
/* The head of the chain in which a row's record of leaves is. */
static uint32_t *leaf_head(const struct cw_group *g, uint32_t row) { return &g->leaf_heads[(row ^ row >> CW_ROW_FOLD) & (CW_ROW_HEADS - 1)]; }
/* As CommitGroup.leafRecordOf, + 1. */
static uint32_t leaf_record_of(const struct cw_group *g, uint32_t row) {
    uint32_t entry = *leaf_head(g, row);
    while (entry && g->row_of_record[entry - 1] != row) entry = g->leaf_next[entry - 1];
    return entry;
}
/* Whether a leaf's amount and sequence are above those of the record before `entry`, if there is one. */
static int is_above(const struct cw_group *g, uint32_t entry, const uint8_t *slot) {
    if (!entry) return 1;
    const uint8_t *record = record_at(g, entry - 1);
    return amount_of(slot) > amount_of(record) && be32(slot + CW_CLAIM_SEQUENCE) > be32(record + CW_CLAIM_SEQUENCE);
}
static int is_above_staged(const struct cw_group *g, uint32_t row, const uint8_t *slot) {
    return is_above(g, leaf_record_of(g, row), slot) && is_above(g, record_of(g, row), slot);
}
/* The record that a leaf of this row takes, + 1: that of the leaf before it, or a new one. 0 where there is no room. */
static uint32_t take_record(struct cw_group *g, uint32_t row) {
    const uint32_t record = g->counts[CW_COUNT_RECORDS], earlier = leaf_record_of(g, row);
    if (earlier || record >= g->records_max) return earlier;
    uint32_t *head = leaf_head(g, row);
    g->counts[CW_COUNT_RECORDS] = record + 1;
    g->row_of_record[record] = row;
    g->leaf_next[record] = *head;
    return *head = record + 1;
}

uint32_t cw_path_stage_leaves(struct cw_claim_path *p, struct cw_group *open, struct cw_group *syncing, uint32_t next, uint32_t end,
                              uint32_t now_seconds, uint32_t entry, uint32_t frame, uint32_t accepted[2]) {
    uint32_t count = 0;
    for (; next != end; next++, count++) {
        const uint8_t *slot = cw_arena_slot(&p->arena, next);
        const uint32_t ahead = __atomic_load_n((const uint32_t *)(cw_arena_slot(&p->arena, next + AHEAD) + CW_SLOT_CHANNEL), __ATOMIC_RELAXED);
        if (ahead < p->arena.rows_max) __builtin_prefetch(cw_arena_hot(&p->arena, ahead));
        if (load((const uint32_t *)(slot + CW_SLOT_VERDICT)) != CW_LEAF_VALID || slot[0] != CW_FRAME_MERKLE) break;
        const uint32_t row = __atomic_load_n((const uint32_t *)(slot + CW_SLOT_CHANNEL), __ATOMIC_RELAXED), leaf = be32(slot + CW_SLOT_LEAF);
        if (be32(slot + CW_SLOT_FRAME) != entry || leaf >= 64 || row >= p->arena.rows_max) break;
        if (!admits_leaf(cw_arena_hot(&p->arena, row), slot, now_seconds)) break;
        if (!has_ack_room(open) || !is_above_staged(open, row, slot) || (syncing && !is_above_staged(syncing, row, slot))) break;
        const uint32_t taken = take_record(open, row);
        if (!taken) break;
        const uint32_t record = taken - 1;
        copy_record(open, record, slot);
        put_be32(record_at(open, record) + CW_CLAIM_SIGNATURE, frame);
        accepted[leaf >> 5] |= 1u << (leaf & 31);
        accept(open, record, slot);
    }
    return count;
}

/* What RootedRows.commitLeaf does under the row's lock, where the leaf is for more than the one before. */
static void put_leaf(uint32_t *hot, uint32_t *of_row, const uint8_t *record, const struct cw_leaf_places *places, uint32_t frame, uint32_t leaf) {
    if (!of_row[CW_ROOTED_HAS]) {
        put(&of_row[CW_ROOTED_OWN_HIGH], hot[CW_HOT_COMMITTED_HIGH]);
        put(&of_row[CW_ROOTED_OWN_LOW], hot[CW_HOT_COMMITTED_LOW]);
        put(&of_row[CW_ROOTED_OWN_SEQUENCE], hot[CW_HOT_SEQUENCE]);
        put(&of_row[CW_ROOTED_OWN_TIMESTAMP], hot[CW_HOT_TIMESTAMP_HIGH]);
        put(&of_row[CW_ROOTED_OWN_TIMESTAMP + 1], hot[CW_HOT_TIMESTAMP_LOW]);
        __atomic_store_n(&of_row[CW_ROOTED_HAS], 1, __ATOMIC_RELEASE);
    }
    const uint64_t amount = amount_of(record);
    const uint64_t before = pair(of_row[CW_ROOTED_LEAF_HIGH], of_row[CW_ROOTED_LEAF_LOW]);
    if (amount <= before) return;
    const uint32_t sequence = be32(record + CW_CLAIM_SEQUENCE), high = be32(record + CW_CLAIM_TIMESTAMP), low = be32(record + CW_CLAIM_TIMESTAMP + 4);
    put(&of_row[CW_ROOTED_LEAF_HIGH], (uint32_t)(amount >> 32));
    put(&of_row[CW_ROOTED_LEAF_LOW], (uint32_t)amount);
    put(&of_row[CW_ROOTED_LEAF_SEQUENCE], sequence);
    put(&of_row[CW_ROOTED_LEAF_TIMESTAMP], high);
    put(&of_row[CW_ROOTED_LEAF_TIMESTAMP + 1], low);
    put(&of_row[CW_ROOTED_PLACE_SEGMENT], places->segment);
    put(&of_row[CW_ROOTED_PLACE_OFFSET], places->base + places->frame_offsets[frame]);
    put(&of_row[CW_ROOTED_PLACE_LANE], places->lane << CW_ROOTED_LEAF_BITS | leaf);
    if (amount > pair(hot[CW_HOT_COMMITTED_HIGH], hot[CW_HOT_COMMITTED_LOW])) {
        if ((uint32_t)(amount >> 32) != hot[CW_HOT_COMMITTED_HIGH]) {
            __atomic_store_n(&hot[CW_HOT_COMMITTED_LOW], 0, __ATOMIC_RELEASE);
            __atomic_store_n(&hot[CW_HOT_COMMITTED_HIGH], (uint32_t)(amount >> 32), __ATOMIC_RELEASE);
        }
        __atomic_store_n(&hot[CW_HOT_COMMITTED_LOW], (uint32_t)amount, __ATOMIC_RELEASE);
        put(&hot[CW_HOT_SEQUENCE], sequence);
        put(&hot[CW_HOT_TIMESTAMP_HIGH], high);
        put(&hot[CW_HOT_TIMESTAMP_LOW], low);
    }
    if (!before) __atomic_store_n(&hot[CW_HOT_DIRTY], 1, __ATOMIC_RELEASE); /* the registry's row says that there are leaves, and no more */
}
uint32_t cw_path_commit_leaves(struct cw_claim_path *p, const struct cw_group *g, const struct cw_leaf_places *places) {
    const uint32_t records = g->counts[CW_COUNT_RECORDS];
    uint32_t left = 0;
    for (uint32_t i = 0; i < records; i++) {
        if (i + AHEAD < records) {
            const uint32_t ahead = g->row_of_record[i + AHEAD];
            __builtin_prefetch(cw_arena_hot(&p->arena, ahead), 1);
            __builtin_prefetch(places->rooted + (size_t)ahead * CW_ROOTED_ROW_WORDS, 1);
        }
        const uint8_t *record = record_at(g, i);
        const uint32_t row = g->row_of_record[i];
        uint32_t *hot = cw_arena_hot(&p->arena, row), version;
        const uint32_t flags = load(&hot[CW_HOT_FLAGS]), frame = be32(record + CW_CLAIM_SIGNATURE), leaf = be32(record + CW_CLAIM_SIGNATURE + 4);
        if (record[0] != CW_FRAME_MERKLE || !(flags & CW_FLAG_LINK) || frame >= places->frames) {
            left += (flags & CW_FLAG_ROOTED) != 0;
            continue;
        }
        do version = load(&hot[CW_HOT_VERSION]) & ~1u;
        while (!__atomic_compare_exchange_n(&hot[CW_HOT_VERSION], &version, version | 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
        __atomic_thread_fence(__ATOMIC_RELEASE); /* as in commit_row of claim_path.c */
        put_leaf(hot, places->rooted + (size_t)row * CW_ROOTED_ROW_WORDS, record, places, frame, leaf);
        __atomic_store_n(&hot[CW_HOT_VERSION], version + 2, __ATOMIC_RELEASE);
    }
    return left;
}

/* What claim_path.c and leaf_path.c do with a commit group: its records, the rows that have one, and the acks it owes. */
#ifndef CLAIMWIRE_GROUP_PARTS_H
#define CLAIMWIRE_GROUP_PARTS_H
#include <string.h>
#include "claim_path.h"

static inline uint8_t *record_at(const struct cw_group *g, uint32_t record) {
    return g->journal + CW_GROUP_HEADER_BYTES + (size_t)record * CW_RECORD_BYTES;
}
static inline int has_ack_room(const struct cw_group *g) { return g->counts[CW_COUNT_ACKS] < g->acks_max; }
/* As GroupAcks.add: one ack for each channel and source. The caller checked that there is room. */
static inline void owe_ack(struct cw_group *g, uint32_t record, const uint8_t *source) {
    uint32_t word[CW_SOURCE_WORDS];
    memcpy(word, source, sizeof word);
    uint32_t entry = g->ack_heads[record];
    for (uint32_t looked = 0; entry && looked < CW_CHAIN_LOOKUPS_MAX; looked++, entry = g->ack_next[entry - 1]) {
        const uint32_t *known = g->ack_words + (size_t)(entry - 1) * CW_SOURCE_WORDS;
        if (known[0] >> 8 == word[0] >> 8 && !memcmp(known + 1, word + 1, 4 * (CW_SOURCE_WORDS - 1))) return;
    }
    const uint32_t added = g->counts[CW_COUNT_ACKS];
    g->counts[CW_COUNT_ACKS] = added + 1;
    g->ack_records[added] = record;
    g->ack_next[added] = g->ack_heads[record];
    g->ack_heads[record] = added + 1;
    memcpy(g->ack_words + (size_t)added * CW_SOURCE_WORDS, word, sizeof word);
}
static inline int accept(struct cw_group *g, uint32_t record, const uint8_t *slot) {
    owe_ack(g, record, slot + CW_SLOT_SOURCE);
    g->counts[CW_COUNT_ACCEPTED]++;
    return 1;
}
static inline void copy_record(struct cw_group *g, uint32_t record, const uint8_t *slot) {
    uint8_t *to = record_at(g, record);
    memcpy(to, slot, CW_CLAIM_BYTES);
    memset(to + CW_CLAIM_BYTES, 0, CW_RECORD_BYTES - CW_CLAIM_BYTES);
}
static inline uint32_t *row_head(const struct cw_group *g, uint32_t row) { return &g->row_heads[(row ^ row >> CW_ROW_FOLD) & (CW_ROW_HEADS - 1)]; }
/* As GroupRows.find, + 1. */
static inline uint32_t record_of(const struct cw_group *g, uint32_t row) {
    uint32_t entry = *row_head(g, row);
    while (entry && g->row_of_record[entry - 1] != row) entry = g->row_next[entry - 1];
    return entry;
}
/* As GroupRows.add. */
static inline void add_row(struct cw_group *g, uint32_t row, uint32_t record) {
    uint32_t *head = row_head(g, row);
    g->row_of_record[record] = row;
    g->row_next[record] = *head;
    *head = record + 1;
}
#endif

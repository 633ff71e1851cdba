/* The claim path's two per-claim loops in C: the receive step's admission, and the commit step's staging and table writes.
 *
 * Each handles a run of plain claims and stops before the first that is not plain (a refusal, a copy of a claim in flight, a
 * link channel, a row being changed). That one is left to the TypeScript step, which is the specification and does the same
 * for every claim. So nothing is refused, answered or counted here. A path belongs to the thread of its ring; nothing
 * allocates. */
#ifndef CLAIMWIRE_CLAIM_PATH_H
#define CLAIMWIRE_CLAIM_PATH_H
#include "arena.h"

/* The in-flight duplicate filter (path/duplicate-filter.ts): CW_FILTER_CELLS ring sequences, picked by two bytes of a signature. */
struct cw_filter {
    uint32_t *cells;
    uint32_t r_start, r_shift, s_start, s_shift;
};
/* Pairs of a source and a channel of which a claim was verified lately (path/standing.ts). Without cells nobody is looked up. */
struct cw_standing {
    const uint32_t *cells;
    uint32_t seed;
};
struct cw_claim_path {
    struct cw_arena arena;
    struct cw_filter filter;
    struct cw_standing standing;
};
/* A commit group's memory (path/commit-group.ts). `counts`: see CW_COUNT_*. */
struct cw_group {
    uint8_t *journal;
    uint32_t *row_heads, *row_next, *row_of_record; /* path/group-rows.ts */
    uint32_t *ack_words, *ack_records, *ack_next, *ack_heads;
    uint32_t *counts;
    uint32_t records_max, acks_max;
};

/* Copies the plain claims at the start of bytes[0, length) into ring slots from sequence `next` on; returns how many. After the first
 * `free` of them a claim is plain only if its pair is known. */
uint32_t cw_path_admit(struct cw_claim_path *path, const uint8_t *bytes, size_t length, const uint32_t source[CW_SOURCE_WORDS], uint32_t next,
                      uint32_t now_seconds, uint32_t free);
/* Stages the plain, valid claims from sequence `next` to `end`; returns how many. `syncing`: the group being
 * written to the disk, or 0. */
uint32_t cw_path_stage(struct cw_claim_path *path, struct cw_group *open, struct cw_group *syncing, uint32_t next, uint32_t end,
                        uint32_t now_seconds);
/* Makes every record of a durable group its row's best claim. */
void cw_path_commit(struct cw_claim_path *path, const struct cw_group *group);
#endif

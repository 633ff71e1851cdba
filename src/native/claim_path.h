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
    uint32_t *leaf_heads, *leaf_next; /* as row_heads and row_next, of the records of leaves; 0 without Merkle batches */
};

/* Copies the plain claims at the start of bytes[0, length) into ring slots from sequence `next` on; returns how many. After the first
 * `free` of them a claim is plain only if its pair is known. */
uint32_t cw_path_admit(struct cw_claim_path *path, const uint8_t *bytes, size_t length, const uint32_t source[CW_SOURCE_WORDS], uint32_t next,
                      uint32_t now_seconds, uint32_t free);
/* Stages the plain, valid claims from sequence `next` to `end`; returns how many. `syncing`: the group being
 * written to the disk, or 0. */
uint32_t cw_path_stage(struct cw_claim_path *path, struct cw_group *open, struct cw_group *syncing, uint32_t next, uint32_t end,
                        uint32_t now_seconds);
/* Makes every record of a durable group its row's best claim. Returns how many claims are left to the apply step: those of rows with leaves. */
uint32_t cw_path_commit(struct cw_claim_path *path, const struct cw_group *group);

/* A frame of a Merkle batch, whole: where it is, how many leaves it has, who sent it, and its free entry in the pool (ring/frame-pool.ts). */
struct cw_leaf_frame {
    const uint8_t *bytes;
    const uint32_t *source;
    uint32_t size, count, entry;
};
/* Copies the frame into its entry, and its leaves into ring slots from sequence `next` on, where all of them are plain: of link channels, and there
 * is room. Returns whether it did; else nothing is taken. `free` as above. */
int cw_path_enter_leaves(struct cw_claim_path *path, const struct cw_leaf_frame *frame, uint32_t next, uint32_t now_seconds, uint32_t free);
/* The same for leaves of Merkle batches (leaf_path.c). Stages the plain leaves from sequence `next` on whose frame is that of `entry`, which the
 * open group has as `frame`; sets the bits of those in `accepted`. Plain: verified, of a link channel that had leaves before, and for more than
 * all that is staged. Returns how many. */
uint32_t cw_path_stage_leaves(struct cw_claim_path *path, struct cw_group *open, struct cw_group *syncing, uint32_t next, uint32_t end,
                              uint32_t now_seconds, uint32_t entry, uint32_t frame, uint32_t accepted[2]);
/* Where a group's frames are in the journal. */
struct cw_leaf_places {
    uint32_t *rooted;               /* of all rows: channel/rooted.ts */
    const uint32_t *frame_offsets;  /* of each frame of the group, its byte behind `base`, which is one of the segment */
    uint32_t frames, base, lane, segment;
};
/* Makes each leaf of a link channel in a durable group its row's newest. Returns how many records are left to the apply step: leaves of other
 * channels, and claims of rows with leaves. */
uint32_t cw_path_commit_leaves(struct cw_claim_path *path, const struct cw_group *group, const struct cw_leaf_places *places);
#endif

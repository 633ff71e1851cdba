/* The cache of key tables: global to the process, limited in bytes, used by several threads at once without locks on hits. */
#ifndef CLAIMWIRE_KEYS_H
#define CLAIMWIRE_KEYS_H
#include <stddef.h>
#include "claimwire_kernel.h"
#include "kernel.h"

/* Keys that have earned a table of one kind, until there are enough of them to build for. */
struct cw_wanted {
    uint32_t count, claims; /* claims: valid ones since the first came */
    uint32_t pause;        /* valid claims until the kind is asked for again, since there was no place for it */
    uint32_t heat[8];
    uint64_t hash[8], x[8][4], y[8][4];
    uint8_t key[8][33];
};
/* Per thread: its place in the epoch scheme, the points of the keys without a table of the batches in flight, and what it is to build. */
struct cw_keys_thread {
    uint8_t points[2][CW_BATCH][CW_ROW_BYTES] __attribute__((aligned(64)));
    uint8_t keys[2][CW_BATCH][40]; /* copies: a channel's key may be replaced at any time */
    uint64_t hashes[2][CW_BATCH];
    struct cw_wanted wanted[CW_KEY_KINDS];
    uint32_t valid; /* claims since the cache's heat was told */
    int64_t budget; /* for building */
    int forced;     /* for tests: the kind of table to use, -1 for what keys have earned */
    int place;
    void *scratch; /* the kernel's, for building */
};
int cw_keys_start(size_t bytes);
int cw_keys_join(struct cw_keys_thread *thread, void *scratch);
void cw_keys_leave(struct cw_keys_thread *thread);
/* A table found after cw_keys_enter stays valid until the same thread enters a later epoch. Enter before the look-ups of a
 * batch, with the epoch that the oldest batch still in flight got from cw_keys_now (or cw_keys_now() when there is none). */
uint64_t cw_keys_now(void);
void cw_keys_enter(struct cw_keys_thread *thread, uint64_t epoch);
void cw_keys_exit(struct cw_keys_thread *thread);
/* Sets kind, table and slot of `count` <= CW_BATCH jobs: CW_BARE and 0 where there is no table. Builds nothing. parity: which of the two
 * batches in flight. job[i].index becomes i. */
void cw_keys_find(struct cw_keys_thread *thread, struct cw_job *job, const uint8_t *const *key, uint32_t count, int parity);
/* Then, for those of these jobs that are still in the batch: the point of each key without a table is its table; 0 for bytes that are no key. */
void cw_keys_points(struct cw_keys_thread *thread, struct cw_job *job, uint32_t count, int parity);
/* After the verdicts, and before the thread enters another epoch: counts what was found, keys of valid claims become hotter, and some that have earned
 * a table get it. What is built is bounded by the claims judged, so that this never takes most of a thread's time. */
void cw_keys_reward(struct cw_keys_thread *thread, const struct cw_job *job, uint32_t count, int parity);
/* From now on tables use at most so many bytes, at least two chunks of 2 MB and at most what was mapped at the start. Memory
 * that was used stays mapped. One thread calls it at a time. */
void cw_keys_limit(size_t bytes);
/* The keys in CW_LISTED_BUCKETS places of the index from `first` on: 33 bytes each, the kind of table and the heat. Returns how many, at
 * most CW_LISTED; -1 beyond the last place. Between two batches of the thread. */
#define CW_LISTED_BUCKETS 32
int32_t cw_keys_list(struct cw_keys_thread *thread, uint32_t first, uint8_t *keys, uint8_t *kinds, uint32_t *heat);
/* Builds tables of a kind for `count` keys, 33 bytes each, that have none as large: as if they had just earned it. Returns 0 when there was no room
 * for all. Between two batches of the thread. */
int cw_keys_warm(struct cw_keys_thread *thread, int kind, uint32_t count, const uint8_t *keys);
void cw_keys_stats(struct cw_stats *stats);
#endif

/* The cache of key tables: global to the process, limited in bytes, used by several threads at once without locks on hits. */
#ifndef CLAIMWIRE_KEYS_H
#define CLAIMWIRE_KEYS_H
#include <stddef.h>
#include "claimwire_kernel.h"
#include "kernel.h"

/* Per thread: its place in the epoch scheme, and memory for tables that the cache has no slot for. */
struct cw_keys_thread {
    int place;
    uint8_t *spare; /* 2 * CW_BATCH small tables, half per batch in flight */
    void *scratch;  /* the kernel's, for building */
};
int cw_keys_start(size_t bytes);
int cw_keys_join(struct cw_keys_thread *thread, void *scratch);
void cw_keys_leave(struct cw_keys_thread *thread);
/* A table found after cw_keys_enter stays valid until the same thread enters a later epoch. Enter before the look-ups of a
 * batch, with the epoch that the oldest batch still in flight got from cw_keys_now (or cw_keys_now() when there is none). */
uint64_t cw_keys_now(void);
void cw_keys_enter(struct cw_keys_thread *thread, uint64_t epoch);
void cw_keys_exit(struct cw_keys_thread *thread);
/* Sets table and kind of `count` <= CW_BATCH jobs; table = 0 for bytes that are no key. parity: which half of `spare` to use. */
void cw_keys_find(struct cw_keys_thread *thread, struct cw_job *job, const uint8_t *const *key, uint32_t count, int parity);
/* From now on tables of each size use at most so many bytes, at least two tables and at most what was mapped at the start. Memory
 * that was used stays mapped. One thread calls it at a time. */
void cw_keys_limit(size_t small_bytes, size_t large_bytes);
void cw_keys_stats(struct cw_stats *stats);
#endif

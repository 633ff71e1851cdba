/* The C interface of the verification kernel, which the Node addon and the tests call.
 *
 * The chosen instruction set, the generator's table and the cache of key tables are global to the process. Everything else
 * belongs to a cw_thread, and a cw_thread to the one thread that uses it. After cw_start and cw_thread_new nothing allocates. */
#ifndef CLAIMWIRE_KERNEL_INTERFACE_H
#define CLAIMWIRE_KERNEL_INTERFACE_H
#include <stddef.h>
#include <stdint.h>
#include "arena.h"

#define CW_VERIFY_SLOTS_MAX 4096

struct cw_thread;

/* Chooses the kernel (CLAIMWIRE_KERNEL forces one; otherwise the fastest that passes its self-test), builds the generator's table and maps the cache. The first call in a
 * process does this; later ones change nothing and return what it did: 0, or what was expected. Thread-safe. */
const char *cw_start(size_t table_bytes);
const char *cw_kernel_name(void);
/* What was measured to choose it, and which kernels failed their self-test; empty where there was nothing to choose. */
const char *cw_kernel_note(void);

/* Returns NULL when there is no memory or the limit of 256 threads is reached. */
struct cw_thread *cw_thread_new(void);
void cw_thread_free(struct cw_thread *thread);

/* Hashes and verifies the claims in slots (first_sequence + i) & slot_mask for i < count <= CW_VERIFY_SLOTS_MAX whose
 * verdict is still 0, and sets their verdicts, in any order. A slot is not touched after its verdict is set. Returns how many verdicts were written. */
uint32_t cw_verify_slots(struct cw_thread *thread, const struct cw_arena *arena, uint32_t first_sequence, uint32_t count);
/* One slot alone, for latency: its signature is spread over the elements. Returns the verdict. */
int cw_verify_slot(struct cw_thread *thread, const struct cw_arena *arena, uint32_t sequence);

/* For tests and tools: any `count` of tuples of a digest (32 bytes), signature (64) and key (33); verdicts as in slots. */
void cw_verify_many(struct cw_thread *thread, enum cw_path path, size_t count, const uint8_t *digests, const uint8_t *signatures,
                    const uint8_t *keys, uint8_t *verdicts);
/* Returns 1 for a point of secp256k1 in compressed form, otherwise 0. */
int cw_key_valid(const uint8_t key[33]);
void cw_read_stats(struct cw_stats *stats);
/* For the self-test and tests: from now on this thread builds tables of `kind` (enum cw_kind) for every key with a valid claim, at the end
 * of the call; CW_BARE: it uses none. A key that has a larger one keeps it. -1: tables are earned again. */
void cw_force_tables(struct cw_thread *thread, int kind);
/* The keys that have a table, CW_LISTED of them a call at most, and tables for keys that had one at an earlier start: keys.h. For a thread that judges nothing. */
#define CW_LISTED 256
int32_t cw_list_keys(struct cw_thread *thread, uint32_t first, uint8_t *keys, uint8_t *kinds, uint32_t *heat);
int cw_warm_keys(struct cw_thread *thread, int kind, uint32_t count, const uint8_t *keys);
/* Bounds the bytes of key tables in use, within what cw_start mapped: keys.h. Thread-safe beside threads that verify. */
void cw_limit_tables(size_t bytes);

/* THROW-AWAY signing of slots, for load generation: throwaway_sign.h says what it gives away. cw_throwaway_keys makes one
 * key for each key row, `count` in all, from 32 bytes each of private keys and nonces. It returns `count`, or the index of
 * the first that cannot be used. Signing fills bytes 21..84 of slots that are complete otherwise, and returns how many it
 * signed. It skips slots whose channel or key row is out of range; a digest of -r d has no signature, and gets s = 0. */
struct cw_throwaway_key;
uint32_t cw_throwaway_keys(struct cw_throwaway_key *keys, uint32_t count, const uint8_t *private_keys, const uint8_t *nonces);
uint32_t cw_throwaway_sign_slots(struct cw_thread *thread, const struct cw_arena *arena, uint32_t first_sequence, uint32_t count,
                                 const struct cw_throwaway_key *keys, uint32_t key_count);
#endif

/* The C interface of the verification kernel: what the Node addon and the tests call.
 *
 * Process-global: the chosen instruction set, the generator's table, the cache of key tables. Everything else belongs to
 * a cw_thread, and a cw_thread to the one thread that uses it. After cw_start and cw_thread_new nothing allocates. */
#ifndef CLAIMWIRE_KERNEL_INTERFACE_H
#define CLAIMWIRE_KERNEL_INTERFACE_H
#include <stddef.h>
#include <stdint.h>
#include "arena.h"

#define CW_VERIFY_SLOTS_MAX 4096

struct cw_thread;

/* Choose the kernel (CLAIMWIRE_KERNEL forces one), build the generator's table, map the cache. Once a process:
 * later calls change nothing and succeed. 0, or a message that says what was expected. Thread-safe. */
const char *cw_start(size_t table_bytes);
const char *cw_kernel_name(void);
int cw_kernel_elements(void);

/* NULL when there is no memory or the limit of 256 threads is reached. */
struct cw_thread *cw_thread_new(void);
void cw_thread_free(struct cw_thread *thread);

/* Digest, verify and judge slots (first_sequence + i) & slot_mask for i < count <= CW_VERIFY_SLOTS_MAX, those whose
 * verdict is still 0. A slot is not touched after its verdict is set. Returns how many verdicts were written. */
uint32_t cw_verify_slots(struct cw_thread *thread, const struct cw_arena *arena, uint32_t first_sequence, uint32_t count);
/* One slot, for latency: the signature is spread over the elements. Returns the verdict. */
int cw_verify_slot(struct cw_thread *thread, const struct cw_arena *arena, uint32_t sequence);

/* For tests and tools: `count` tuples of digest (32 bytes), signature (64), key (33), any count; verdicts as in slots. */
void cw_verify_many(struct cw_thread *thread, enum cw_path path, size_t count, const uint8_t *digests, const uint8_t *signatures,
                    const uint8_t *keys, uint8_t *verdicts);
/* 1: a point of secp256k1 in compressed form. */
int cw_key_valid(const uint8_t key[33]);
void cw_read_stats(struct cw_stats *stats);

/* THROW-AWAY signing of slots, for load generation: see throwaway_sign.h for what it gives away. `keys`: one a key row, from
 * cw_throwaway_keys, which fills `count` of them from 32 bytes each of private keys and nonces and returns `count`, or the
 * first that cannot be used. Signing fills bytes 21..84 of slots that have channel, amount and the rest, and returns how
 * many it could: not those whose channel or key row is out of range, nor a digest of -r d, which leaves s = 0 there. */
struct cw_throwaway_key;
uint32_t cw_throwaway_keys(struct cw_throwaway_key *keys, uint32_t count, const uint8_t *private_keys, const uint8_t *nonces);
uint32_t cw_throwaway_sign_slots(struct cw_thread *thread, const struct cw_arena *arena, uint32_t first_sequence, uint32_t count,
                                 const struct cw_throwaway_key *keys, uint32_t key_count);
#endif

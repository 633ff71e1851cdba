/* The module's exports: what src/verify/wasm.ts calls. Plain 32-bit integers; every pointer is an offset in the arena. One
 * instance belongs to one thread; its `context` is what that thread owns, and lies in the kernel's part of the arena. */
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "keys.h"
#include "platform_wasm.h"
#include "sign.h"
#include "throwaway_sign.h"
#include <string.h>

typedef uint32_t u32;
#define INBOX 256 /* tuples a call of verify_many, digests of sign_digests */
struct context {
    struct cw_thread *thread;
    struct cw_arena arena;
    struct cw_stats stats;
    struct cw_throwaway_key *throwaway_keys;
    u32 throwaway_count;
    uint8_t digests[INBOX * 32] __attribute__((aligned(8))), signatures[INBOX * 64], keys[INBOX * 33], verdicts[INBOX];
};
#define EXPORT(name) __attribute__((export_name(#name))) name

u32 EXPORT(stack_top)(u32 thread) { return cw_stack_top(thread); }
uint8_t *EXPORT(seed_at)(void) { return cw_seed; }
int EXPORT(start)(u32 kernel_bytes, u32 threads, u32 table_bytes) { return cw_start_wasm(kernel_bytes, threads, table_bytes); }

/* Returns 0 when there is no room. */
struct context *EXPORT(context_new)(void) {
    struct context *context = cw_map(sizeof *context);
    if (!context) return 0;
    context->thread = cw_thread_new();
    if (context->thread) return context;
    cw_unmap(context, sizeof *context);
    return 0;
}
/* How many bytes K the kernel needs for so many threads and bytes of cache. Runs in a memory that is thrown away afterwards. */
double EXPORT(kernel_bytes)(u32 threads, u32 table_bytes) {
    cw_count_only();
    const double stacks = cw_stack_top(threads - 1);
    cw_map((size_t)cw_table_rows(CW_GENERATOR) * CW_ROW_BYTES);
    cw_map(cw_kernel->generator_scratch_bytes);
    cw_keys_start(table_bytes);
    const double shared = (double)cw_counted();
    context_new();
    return stacks + 65536 + shared + threads * ((double)cw_counted() - shared);
}
/* Where the caller writes the CW_ARENA_FIELDS words of the layout, before `attach` checks them: it returns 0 when they do not
 * fit `bytes` of memory. */
uint32_t *EXPORT(layout_at)(struct context *context) { return &context->arena.slots; }
int EXPORT(attach)(struct context *context, u32 bytes) {
    context->arena.bytes = bytes;
    return !cw_arena_fault(&context->arena);
}
u32 EXPORT(verify_slots)(struct context *context, u32 first, u32 count) { return cw_verify_slots(context->thread, &context->arena, first, count); }
int EXPORT(verify_slot)(struct context *context, u32 sequence) { return cw_verify_slot(context->thread, &context->arena, sequence); }

/* The tuples are in the context's inbox. */
u32 EXPORT(inbox)(void) { return INBOX; }
uint8_t *EXPORT(digests_at)(struct context *context) { return context->digests; }
uint8_t *EXPORT(signatures_at)(struct context *context) { return context->signatures; }
uint8_t *EXPORT(keys_at)(struct context *context) { return context->keys; }
uint8_t *EXPORT(verdicts_at)(struct context *context) { return context->verdicts; }
void EXPORT(verify_many)(struct context *context, u32 path, u32 count) {
    cw_verify_many(context->thread, (enum cw_path)path, count < INBOX ? count : INBOX, context->digests, context->signatures, context->keys, context->verdicts);
}
/* Whether the first key in the inbox is valid. */
int EXPORT(key_valid)(struct context *context) { return cw_key_valid(context->keys); }
/* CW_STATS numbers, u64 each. */
struct cw_stats *EXPORT(stats_at)(struct context *context) {
    cw_read_stats(&context->stats);
    return &context->stats;
}

void EXPORT(force_tables)(struct context *context, int kind) { cw_force_tables(context->thread, kind); }
/* The keys go to the inbox's keys, their kinds to its verdicts, their heat to its digests; and come from the first. */
_Static_assert(INBOX == CW_LISTED, "the inbox takes a call's keys");
int32_t EXPORT(list_keys)(struct context *context, u32 first) {
    return cw_list_keys(context->thread, first, context->keys, context->verdicts, (uint32_t *)(void *)context->digests);
}
int EXPORT(warm_keys)(struct context *context, int kind, u32 count) {
    return cw_warm_keys(context->thread, kind, count < INBOX ? count : INBOX, context->keys);
}
void EXPORT(limit_tables)(u32 bytes) { cw_limit_tables(bytes); }

/* Throw-away signing of the attached slots, for load generation: throwaway_sign.h says what it gives away. This is
 * how many bytes `count` keys need of the kernel's part of the arena. */
double EXPORT(throwaway_bytes)(u32 count) { return (double)count * (sizeof(struct cw_throwaway_key) + 64) + 8192; }
/* Where the caller puts `count` keys and then as many nonces, 32 bytes each; 0 when there is no room. Once per context. */
uint8_t *EXPORT(throwaway_at)(struct context *context, u32 count) {
    context->throwaway_keys = cw_map(count * sizeof *context->throwaway_keys);
    return context->throwaway_keys ? cw_map((size_t)count * 64) : 0;
}
/* Returns how many could be used: all, or those before the first that is 0 mod n. */
u32 EXPORT(throwaway_signer)(struct context *context, const uint8_t *secrets, u32 count) {
    return context->throwaway_count = cw_throwaway_keys(context->throwaway_keys, count, secrets, secrets + 32 * (size_t)count);
}
u32 EXPORT(throwaway_sign_slots)(struct context *context, u32 first, u32 count) {
    return cw_throwaway_sign_slots(context->thread, &context->arena, first, count, context->throwaway_keys, context->throwaway_count);
}

/* The batch signer. WebAssembly promises no constant time: sign.h. The caller writes a key and 32 random bytes to digests_at,
 * which are overwritten here. Returns 0 when the key is no key, or there is no room. */
struct cw_signer *EXPORT(signer_open)(struct context *context) {
    struct cw_signer *signer = cw_signer_new(context->digests, context->digests + 32);
    memset(context->digests, 0, 64);
    return signer;
}
void EXPORT(signer_close)(struct cw_signer *signer) { cw_signer_free(signer); }
double EXPORT(signer_bytes)(u32 signers) { return (double)cw_signer_bytes(signers); }
/* Its public key is the first of keys_at afterwards. */
void EXPORT(signer_public)(struct context *context, const struct cw_signer *signer) { cw_signer_public(signer, context->keys); }
/* Signs the digests at digests_at, at most as many as the inbox has, into signatures_at. Returns 0 when their check failed. */
int EXPORT(sign_digests)(struct context *context, struct cw_signer *signer, u32 count) {
    return count <= INBOX && cw_sign_batch(context->thread, signer, count, context->digests, context->signatures);
}

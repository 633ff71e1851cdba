/* The kernel's part of the arena, when the kernel is a WebAssembly module: bytes [0, K) of the one shared memory.
 *
 *   0          static data, one copy for all instances, written once by the first of them (passive segments)
 *   heap       a stack for each thread: thread i's ends at cw_stack_top(i); the loader points its instance's
 *              __stack_pointer there before any other call
 *   then       what cw_map hands out, from low to high: generator's table, cache, what each thread owns
 *   K
 * Every instance is used by one thread; two instances share nothing but memory. */
#ifndef CLAIMWIRE_PLATFORM_WASM_H
#define CLAIMWIRE_PLATFORM_WASM_H
#include <stddef.h>
#include <stdint.h>
#define CW_STACK_BYTES (64u << 10) /* the tests see 15 KB in use, and fail when it is more than half */
#define CW_SEED_BYTES 32
extern uint8_t cw_seed[CW_SEED_BYTES];
uint32_t cw_stack_top(uint32_t thread);
/* Returns 0, or 1 when there is no room. Thread-safe: the first call starts, later ones wait for it and return the same. */
int cw_start_wasm(uint32_t kernel_bytes, uint32_t threads, uint32_t table_bytes);
/* From now on cw_map counts bytes instead of handing them out, and returns the same place again and again. For a memory that
 * is used for nothing but the answer of cw_counted. */
void cw_count_only(void);
uint64_t cw_counted(void);
#endif

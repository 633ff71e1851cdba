/* Start-up and memory of the WebAssembly module: dispatch.h without an operating system. See platform_wasm.h. */
#include "platform_wasm.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "sign_key.h"

extern const struct cw_kernel cw_kernel_wasm;
extern uint8_t __heap_base; /* from the linker: the end of static data */
const struct cw_kernel *cw_kernel;
const uint8_t *cw_generator;
uint32_t cw_batch_max = CW_BATCH;
const struct cw_kernel *cw_lone_hasher = &cw_kernel_wasm;
uint8_t cw_seed[CW_SEED_BYTES];

#define BLOCK 4096u
#define FREE_MAX 1024 /* a thread leaves two or three blocks behind, at most 256 threads */
static atomic_flag lock = ATOMIC_FLAG_INIT;
static uint64_t next, limit, counted;
static int counting;
static struct { uint8_t *memory; uint32_t bytes; } spare[FREE_MAX];
static uint32_t spares;

static uint32_t rounded(size_t bytes) { return ((uint32_t)bytes + BLOCK - 1) & ~(BLOCK - 1); }
static uint32_t heap(void) { return ((uint32_t)(uintptr_t)&__heap_base + 63) & ~63u; }
uint32_t cw_stack_top(uint32_t thread) { return heap() + (thread + 1) * CW_STACK_BYTES; }

static void acquire(void) {
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) {}
}
static void release(void) { atomic_flag_clear_explicit(&lock, memory_order_release); }

/* Fresh memory is zero already (a WebAssembly memory begins so, and nothing but this hands it out). */
void *cw_map(size_t bytes) {
    const uint32_t size = rounded(bytes);
    uint8_t *memory = 0;
    acquire();
    if (counting) {
        counted += size;
        memory = (uint8_t *)(uintptr_t)next;
    } else {
        for (uint32_t i = 0; i < spares && !memory; i++)
            if (spare[i].bytes == size) {
                memory = spare[i].memory;
                spare[i] = spare[--spares];
                memset(memory, 0, size);
            }
        if (!memory && bytes <= size && next + size <= limit) {
            memory = (uint8_t *)(uintptr_t)next;
            next += size;
        }
    }
    release();
    return memory;
}
void cw_unmap(void *memory, size_t bytes) {
    if (!memory) return;
    acquire();
    if (!counting && spares < FREE_MAX) {
        spare[spares].memory = memory;
        spare[spares++].bytes = rounded(bytes);
    }
    release();
}
/* A WebAssembly memory cannot be locked. */
void *cw_map_secret(size_t bytes, const char **note) {
    *note = "the key's memory can be swapped to disk: WebAssembly cannot lock it";
    return cw_map(bytes);
}
void cw_unmap_secret(void *memory, size_t bytes) { cw_unmap(memory, bytes); }
void *calloc(size_t count, size_t bytes) { return cw_map(count * bytes); }
long getrandom(void *target, size_t bytes, unsigned flags) {
    (void)flags;
    if (bytes > CW_SEED_BYTES) return -1;
    memcpy(target, cw_seed, bytes);
    return (long)bytes;
}

void cw_count_only(void) {
    counting = 1;
    counted = 0;
    next = cw_stack_top(0);
    next = (next + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
    cw_kernel = &cw_kernel_wasm;
}
uint64_t cw_counted(void) { return counted; }

static int start(uint32_t kernel_bytes, uint32_t threads, uint32_t table_bytes) {
    next = ((uint64_t)cw_stack_top(threads - 1) + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
    limit = kernel_bytes;
    if (!cw_start_tables(&cw_kernel_wasm, table_bytes)) return 1;
    cw_kernel = &cw_kernel_wasm;
    return 0;
}
int cw_start_wasm(uint32_t kernel_bytes, uint32_t threads, uint32_t table_bytes) {
    enum { FRESH, STARTING, DONE };
    static _Atomic int stage, outcome;
    int expected = FRESH;
    if (atomic_compare_exchange_strong(&stage, &expected, STARTING)) {
        atomic_store(&outcome, start(kernel_bytes, threads, table_bytes));
        atomic_store(&stage, DONE);
    }
    while (atomic_load(&stage) != DONE) {}
    return atomic_load(&outcome);
}
const char *cw_kernel_name(void) { return cw_kernel ? cw_kernel->name : ""; }

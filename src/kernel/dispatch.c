/* Start-up: chooses the instruction set, builds the generator's table and maps the cache. Runs once, before any verification. */
#define _GNU_SOURCE
#include "dispatch.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "claimwire_kernel.h"

const struct cw_kernel *cw_kernel;
const uint8_t *cw_generator;

#define HUGE_PAGE ((size_t)2 << 20)
static size_t rounded(size_t bytes) { return (bytes + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1); }

void *cw_map(size_t bytes) {
    /* One huge page more than asked for, so that the part returned can start on a 2 MB boundary. */
    const size_t size = rounded(bytes);
    uint8_t *raw = mmap(0, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return 0;
    uint8_t *memory = (uint8_t *)(((uintptr_t)raw + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    if (memory > raw) munmap(raw, (size_t)(memory - raw));
    const size_t tail = (size_t)(raw + HUGE_PAGE - memory);
    if (tail) munmap(memory + size, tail);
    madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}
void cw_unmap(void *memory, size_t bytes) {
    if (memory) munmap(memory, rounded(bytes));
}

#if defined(__x86_64__)
static int runs_always(void) { return 1; }
static int has_avx2(void) { return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512f(void) {
    return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
static int has_avx512ifma(void) { return has_avx512f() && __builtin_cpu_supports("avx512ifma"); }
#else
static int runs_always(void) { return 1; }
#endif
/* Best first. */
static const struct { const struct cw_kernel *kernel; int (*runs_here)(void); const char *wants; } kernels[] = {
#if defined(__x86_64__)
    {&cw_kernel_avx512ifma, has_avx512ifma, "avx512ifma (no AVX-512 IFMA here)"},
    {&cw_kernel_avx512f, has_avx512f, "avx512f (no AVX-512 F, DQ, VL and BW here)"},
    {&cw_kernel_avx2, has_avx2, "avx2 (no AVX2 with FMA here)"},
#endif
    {&cw_kernel_scalar, runs_always, ""},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };

const struct cw_kernel *cw_choose_kernel(const char *name, const char **message) {
    static char missing[128];
    *message = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#endif
    for (int i = 0; i < KERNELS; i++) {
        const int is_wanted = name && *name ? !strcmp(name, kernels[i].kernel->name) : 1;
        if (is_wanted && kernels[i].runs_here()) return kernels[i].kernel;
        if (!is_wanted || !name || !*name) continue;
        snprintf(missing, sizeof missing, "CLAIMWIRE_KERNEL: expected a kernel this CPU can run, got %s", kernels[i].wants);
        *message = missing;
        return 0;
    }
    *message = "CLAIMWIRE_KERNEL: expected avx512ifma, avx512f, avx2 or scalar, got a name that is not built in";
    return 0;
}

static const char *failure;

static void start(size_t cache_bytes) {
    const struct cw_kernel *kernel = cw_choose_kernel(getenv("CLAIMWIRE_KERNEL"), &failure);
    if (!kernel) return;
    if (cw_start_tables(kernel, cache_bytes)) cw_kernel = kernel;
    else failure = "kernel tables: expected memory for the key cache and the generator, got none";
}

/* A lock rather than pthread_once, which would need glibc 2.34 where it was built with that; all else needs only 2.25. */
const char *cw_start(size_t table_bytes) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int started;
    pthread_mutex_lock(&lock);
    if (!started) start(table_bytes ? table_bytes : 1);
    started = 1;
    pthread_mutex_unlock(&lock);
    return failure;
}
const char *cw_kernel_name(void) { return cw_kernel ? cw_kernel->name : ""; }

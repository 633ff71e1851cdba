/* Start-up: chooses the instruction set by what the CPU has, a self-test and a race; builds the generator's table and maps the cache. Runs once, before any verification. */
#define _GNU_SOURCE
#include "dispatch.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "claimwire_kernel.h"
#include "race.h"
#include "self_test.h"
#if defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CW_HAS_NEON 1
#define NAMES "neon or scalar"
#include "hash_arm.h"
#else
#define CW_HAS_NEON 0
#define NAMES "avx512ifma, avx512f, avx2 or scalar"
#endif

const struct cw_kernel *cw_kernel;
const uint8_t *cw_generator;
uint32_t cw_batch_max = CW_BATCH;
#if CW_HAS_NEON /* whose digests are by ARM64's instructions for them, a message at a time */
const struct cw_kernel *cw_lone_hasher = &cw_kernel_neon;
#else
const struct cw_kernel *cw_lone_hasher = &cw_kernel_scalar;
#endif

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
#ifdef MADV_HUGEPAGE
    madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}
void cw_unmap(void *memory, size_t bytes) {
    if (memory) munmap(memory, rounded(bytes));
}

static int runs_always(void) { return 1; }
#if defined(__x86_64__)
static int has_avx2(void) { return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512f(void) {
    return __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
static int has_avx512ifma(void) { return has_avx512f() && __builtin_cpu_supports("avx512ifma"); }
#endif
/* Best first, by groups (race.h): IFMA always wins; without it AVX-512 is twice as wide as AVX2, but may lower the clock. */
static const struct { const struct cw_kernel *kernel; int group; int (*runs_here)(void); const char *lacks; } kernels[] = {
#if defined(__x86_64__)
    {&cw_kernel_avx512ifma, 0, has_avx512ifma, "no AVX-512 IFMA here"},
    {&cw_kernel_avx512f, 1, has_avx512f, "no AVX-512 F, DQ, VL and BW here"},
    {&cw_kernel_avx2, 1, has_avx2, "no AVX2 with FMA here"},
#elif CW_HAS_NEON
    {&cw_kernel_neon, 2, runs_always, ""},
#endif
    {&cw_kernel_scalar, 2, runs_always, ""},
};
enum { KERNELS = sizeof kernels / sizeof *kernels };
_Static_assert(KERNELS <= CW_RACERS_MAX, "each kernel may take part in the race");

static char text[256];
/* The kernels that can run here, or the one called `name`. Returns 0 and a message when there is none. */
static int find_racers(const char *name, struct cw_racer racer[CW_RACERS_MAX], const char **message) {
    const int is_forced = name && *name;
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#elif CW_HAS_NEON
    cw_arm_hashes = cw_arm_hashes_here();
#endif
    *message = "CLAIMWIRE_KERNEL: expected " NAMES ", got a name that is not built in";
    for (int i = 0; i < KERNELS; i++) {
        if (is_forced && strcmp(name, kernels[i].kernel->name)) continue;
        if (kernels[i].runs_here()) {
            racer[count++] = (struct cw_racer){.kernel = kernels[i].kernel, .group = kernels[i].group};
        } else if (is_forced) {
            snprintf(text, sizeof text, "CLAIMWIRE_KERNEL: expected a kernel this CPU can run, got %s (%s)", name, kernels[i].lacks);
            *message = text;
        }
    }
    if (count) *message = 0;
    return count;
}
const struct cw_kernel *cw_choose_kernel(const char *name, const char **message) {
    struct cw_racer racer[CW_RACERS_MAX];
    return find_racers(name, racer, message) ? racer[0].kernel : 0;
}

/* Bytes of this CPU's second-level cache, 0 where it does not say. */
static size_t level_2_bytes(void) {
#if defined(__x86_64__)
    unsigned a, b, c, d;
    const unsigned leaf = __get_cpuid_max(0x80000000, 0) >= 0x8000001D && __get_cpuid(0x80000001, &a, &b, &c, &d) && c >> 22 & 1 ? 0x8000001D : 4;
    for (unsigned i = 0; i < 8 && __get_cpuid_count(leaf, i, &a, &b, &c, &d) && (a & 31); i++)
        if ((a >> 5 & 7) == 2) return (size_t)((b >> 22) + 1) * ((b >> 12 & 1023) + 1) * ((b & 4095) + 1) * (c + 1);
#endif
    return 0;
}

static const char *failure;
static char note[160];
struct trial { struct cw_known *known; void *scratch; };
static const char *fault_of(void *context, const struct cw_kernel *kernel) {
    const struct trial *trial = context;
    return cw_self_test(kernel, trial->known, cw_generator, trial->scratch);
}
static uint64_t time_of(void *context, const struct cw_kernel *kernel) {
    const struct trial *trial = context;
    return cw_batch_nanoseconds(kernel, trial->known, cw_generator, trial->scratch);
}
/* What was measured, or which kernel was passed over: for whoever asks why this one runs. */
static void write_note(const struct cw_racer *racer, int count, int winner) {
    size_t at = 0;
    for (int i = 0; i < count && at < sizeof note; i++) {
        const char *before = at ? ", " : "";
        if (racer[i].fault) at += (size_t)snprintf(note + at, sizeof note - at, "%s%s was passed over for %s", before, racer[i].kernel->name, racer[i].fault);
        else if (i != winner && racer[i].best)
            at += (size_t)snprintf(note + at, sizeof note - at, "%s%s took %.2f times as long", before, racer[i].kernel->name, (double)racer[i].best / (double)racer[winner].best);
    }
}
/* Self-tests and race; the generator's table is built by the first kernel that gets it right. */
static int choose(struct cw_racer *racer, int count, struct trial *trial) {
    for (int i = 0;; i++) {
        if (cw_generator_sound(cw_generator)) break;
        if (i + 1 == count) return -1;
        uint8_t *table = (uint8_t *)cw_generator;
        racer[i + 1].kernel->build(CW_GENERATOR, 1, &cw_generator_x, &cw_generator_y, &table, trial->scratch);
    }
    cw_known_make(trial->known, cw_generator);
    return cw_race(racer, count, &(struct cw_referee){fault_of, time_of, trial});
}
static void start(size_t cache_bytes) {
    struct cw_racer racer[CW_RACERS_MAX];
    const int count = find_racers(getenv("CLAIMWIRE_KERNEL"), racer, &failure);
    if (!count) return;
    size_t scratch_bytes = 0;
    for (int i = 0; i < count; i++) {
        const size_t most = racer[i].kernel->scratch_bytes > racer[i].kernel->generator_scratch_bytes ? racer[i].kernel->scratch_bytes : racer[i].kernel->generator_scratch_bytes;
        if (most > scratch_bytes) scratch_bytes = most;
    }
    struct trial trial = {cw_map(cw_known_bytes()), cw_map(scratch_bytes)};
    failure = "kernel tables: expected memory for the key cache and the generator, got none";
    if (trial.known && trial.scratch && cw_start_tables(racer[0].kernel, cache_bytes)) {
        const int winner = choose(racer, count, &trial);
        failure = "kernel: expected a self-test to pass, got a wrong result from every kernel that this CPU can run";
        if (winner >= 0) {
            cw_kernel = racer[winner].kernel;
            cw_batch_max = cw_batch_for(cw_kernel, level_2_bytes());
            write_note(racer, count, winner);
            failure = 0;
        }
    }
    cw_unmap(trial.known, cw_known_bytes());
    cw_unmap(trial.scratch, scratch_bytes);
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
const char *cw_kernel_note(void) { return note; }

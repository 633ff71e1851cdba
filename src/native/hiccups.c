/* A hiccup meter: a thread that only sleeps for a millisecond and looks how late it was woken. What it sees is what the machine
 * and its scheduler do to any thread, so a latency figure beside it can be told from the machine's own. One for the process; it
 * runs while somebody reads it, and ends by itself. It wakes a thousand times a second. */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "node_values.h"
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* As bucketOf in log-buckets.ts, with 8 buckets a doubling, of microseconds. */
#define BITS 3
#define BUCKETS (((31 - BITS) << BITS) + (1 << (BITS + 1)))
#define PERIOD_NS 1000000
#define UNREAD_NS 10000000000ll

static _Atomic uint64_t counts[BUCKETS];
static _Atomic int64_t read_at;
static atomic_flag is_running = ATOMIC_FLAG_INIT;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}
static void record(int64_t late_ns) {
    uint32_t us = late_ns < 0 ? 0 : late_ns / 1000 > INT32_MAX ? INT32_MAX : (uint32_t)(late_ns / 1000);
    const int length = us ? 32 - __builtin_clz(us) : 0, shift = length > BITS + 1 ? length - BITS - 1 : 0;
    atomic_fetch_add_explicit(&counts[((uint32_t)shift << BITS) + (us >> shift)], 1, memory_order_relaxed);
}
static void *look(void *nothing) {
#ifdef __linux__
    prctl(PR_SET_NAME, "hiccups");
    prctl(PR_SET_TIMERSLACK, 1); /* the default of 50 us would be in every figure */
#endif
    int64_t due = now_ns();
    while (now_ns() - read_at < UNREAD_NS) {
        due += PERIOD_NS;
        int64_t left = due - now_ns();
        if (left > 0) {
            const struct timespec sleep = {0, left};
            nanosleep(&sleep, 0);
        }
        const int64_t woken = now_ns();
        record(woken - due);
        if (woken > due) due = woken;
    }
    atomic_flag_clear(&is_running);
    return nothing;
}

/* Node.js unloads an addon when the last of its threads that loaded it ends, and this thread's code with it: it stays loaded instead. */
static int stay_loaded(void) {
    Dl_info self;
    return dladdr((void *)counts, &self) && dlopen(self.dli_fname, RTLD_LAZY | RTLD_NODELETE);
}

/* hiccups(counts): fills a Float64Array with how often the thread was so late, by bucket, since the process began, and has it go on. */
static napi_value hiccups(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    double *numbers;
    size_t count;
    if (argc < 1 || !cw_view(env, argv[0], napi_float64_array, &numbers, &count) || count != BUCKETS)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "hiccups: expected a Float64Array with a place for each bucket");
    read_at = now_ns();
    if (!atomic_flag_test_and_set(&is_running)) {
        pthread_t thread;
        if (!stay_loaded() || pthread_create(&thread, 0, look, 0)) atomic_flag_clear(&is_running);
        else pthread_detach(thread);
    }
    for (size_t i = 0; i < BUCKETS; i++) numbers[i] = (double)atomic_load_explicit(&counts[i], memory_order_relaxed);
    return 0;
}

void cw_hiccups_register(napi_env env, napi_value exports) {
    static const struct cw_function functions[] = {{"hiccups", hiccups}};
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
}

/* When the threads of this process get a core, for Node-API. Linux; elsewhere the functions do nothing, and say so. */
#define _GNU_SOURCE /* SCHED_BATCH, SCHED_IDLE */
#define NAPI_VERSION 8
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <unistd.h>
#endif
#include "node_values.h"

#if defined(__linux__) && defined(SCHED_BATCH) && defined(SCHED_IDLE)
/* Zero where the system allows it. Scheduling is a thread's own: 0 is the caller, others by their ids. */
static int set_policy(int thread, int policy) {
    const struct sched_param none = {0};
    return sched_setscheduler(thread, policy, &none);
}
/* In a thread that ends: whether one that is idle may be made a batch thread again, which needs a right (RLIMIT_NICE). */
static void *goes_and_returns(void *result) {
    *(int *)result = set_policy(0, SCHED_IDLE) == 0 && set_policy(0, SCHED_BATCH) == 0;
    return 0;
}
static int may_be_idle(void) {
    pthread_t thread;
    int result = 0;
    if (pthread_create(&thread, 0, goes_and_returns, &result)) return 0;
    pthread_join(thread, 0);
    return result;
}
/* Twice, since a thread may begin another one of the old policy while they are gone through. */
static int set_all(int policy) {
    int all = 1;
    for (int round = 0; round < 2; round++) {
        DIR *threads = opendir("/proc/self/task");
        if (!threads) return 0;
        for (const struct dirent *entry; (entry = readdir(threads));) {
            const int id = atoi(entry->d_name);
            /* It may have ended. */
            if (id > 0 && set_policy(id, policy) && sched_getscheduler(id) >= 0) all = 0;
        }
        closedir(threads);
    }
    return all;
}
/* Pins this thread, and those that it starts later, to the nth core that this process may use; beyond the last from the first on. */
static int pin_this(uint32_t n) {
    cpu_set_t allowed, chosen;
    /* Of the process's first thread, which is never pinned: a thread inherits the mask of the one that starts it. */
    if (sched_getaffinity(getpid(), sizeof allowed, &allowed)) return -1;
    uint32_t left = n % (uint32_t)CPU_COUNT(&allowed);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed) || left--) continue;
        CPU_ZERO(&chosen);
        CPU_SET(core, &chosen);
        return sched_setaffinity(0, sizeof chosen, &chosen) ? -1 : core;
    }
    return -1;
}
static int set_timer_slack(uint32_t ns) { return prctl(PR_SET_TIMERSLACK, (unsigned long)ns) == 0; }
static int schedule_this_as_batch(void) { return set_policy(0, SCHED_BATCH) == 0; }
static int schedule_all(int is_idle) { return set_all(is_idle ? SCHED_IDLE : SCHED_BATCH); }
#else
static int pin_this(uint32_t n) { return -1 - 0 * (int)n; }
static int set_timer_slack(uint32_t ns) { return (int)(ns * 0); }
static int may_be_idle(void) { return 0; }
static int schedule_this_as_batch(void) { return 0; }
static int schedule_all(int is_idle) { return is_idle * 0; }
#endif

static napi_value boolean_of(napi_env env, int value) {
    napi_value result = 0;
    napi_get_boolean(env, value, &result);
    return result;
}
/* scheduleBatch() -> whether this thread, and those it starts, interrupt nobody when they wake from now on */
static napi_value schedule_batch(napi_env env, napi_callback_info info) {
    (void)info;
    return boolean_of(env, schedule_this_as_batch());
}
/* mayScheduleIdle() -> whether scheduleIdle works, both ways */
static napi_value may_schedule_idle(napi_env env, napi_callback_info info) {
    (void)info;
    return boolean_of(env, may_be_idle());
}
/* scheduleIdle(isIdle) -> whether it did: all threads of this process get a core that no other thread wants, or, when they
 * are idle no longer, a share of one as batch threads */
static napi_value schedule_idle(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    bool is_idle = false;
    if (argc < 1 || napi_get_value_bool(env, argv[0], &is_idle) != napi_ok)
        return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "scheduleIdle: expected a boolean");
    return boolean_of(env, schedule_all(is_idle));
}
/* pinThread(n) -> the core that this thread is pinned to, the nth of those that the process may use; or -1 */
static napi_value pin_thread(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    napi_value result = 0;
    uint32_t n = 0;
    if (argc < 1 || napi_get_value_uint32(env, argv[0], &n) != napi_ok) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "pinThread: expected a number");
    napi_create_int32(env, pin_this(n), &result);
    return result;
}
/* timerSlack(ns) -> whether the system may end this thread's waits by no more than so much late; 50,000 by default */
static napi_value timer_slack(napi_env env, napi_callback_info info) {
    CW_ARGUMENTS(1);
    uint32_t ns = 0;
    if (argc < 1 || napi_get_value_uint32(env, argv[0], &ns) != napi_ok) return cw_throw(env, "ERR_CLAIMWIRE_ARGUMENT", "timerSlack: expected a number");
    return boolean_of(env, set_timer_slack(ns));
}

void cw_schedule_register(napi_env env, napi_value exports) {
    static const struct cw_function functions[] = {
        {"scheduleBatch", schedule_batch}, {"mayScheduleIdle", may_schedule_idle}, {"scheduleIdle", schedule_idle},
        {"pinThread", pin_thread}, {"timerSlack", timer_slack}};
    cw_export(env, exports, 0, functions, sizeof functions / sizeof *functions);
}

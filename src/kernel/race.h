/* Which of several kernels is to run: the first group that has one that passes its self-test, and of that group the fastest. */
#ifndef CLAIMWIRE_RACE_H
#define CLAIMWIRE_RACE_H
#include "kernel.h"

#define CW_RACERS_MAX 8
/* A kernel that the CPU can run. Those of one group could each be the faster one: AVX-512 may lower a CPU's clock. */
struct cw_racer {
    const struct cw_kernel *kernel;
    int group;
    const char *fault;  /* of its self-test, set by cw_race; a kernel that was not tried has none */
    uint64_t best;      /* nanoseconds, 0 when it was not timed */
};
/* Given, so that a test decides what is faulty and how long anything takes. */
struct cw_referee {
    const char *(*fault)(void *context, const struct cw_kernel *kernel);
    uint64_t (*nanoseconds)(void *context, const struct cw_kernel *kernel);
    void *context;
};
/* Returns the index of the winner, or -1 where every self-test fails. Racers are sorted by group, the preferred first. */
int cw_race(struct cw_racer *racer, int count, const struct cw_referee *referee);
#endif

/* A small model checker: runs a few logical threads ("actors") as coroutines of one thread, in every order in which they can
 * meet at the points where one calls `interleave_step`, up to a bound on preemptions. Depth first over the choices made;
 * each run begins anew, so what is tested must be put back by the caller. A lock makes its waiters unable to run.
 *
 * What it explores is sequentially consistent: what weaker memory orders allow is argued for where they are used. */
#ifndef CLAIMWIRE_INTERLEAVE_H
#define CLAIMWIRE_INTERLEAVE_H
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#define ACTORS_MAX 4
#define CHOICES_MAX 4096
#define ACTOR_STACK (256 * 1024)
/* Sanitizers make a switch ten times as dear: with them it is memory errors that are looked for, in fewer orders. */
#if defined(__SANITIZE_ADDRESS__)
#define PREEMPTIONS_LESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PREEMPTIONS_LESS 1
#endif
#endif
#ifndef PREEMPTIONS_LESS
#define PREEMPTIONS_LESS 0
#endif

struct actor {
    ucontext_t context;
    void (*run)(int self);
    int is_over, wants_lock;
};
static struct actor actors[ACTORS_MAX];
static ucontext_t outside;
static int actor_count, current = -1, lock_holder = -1, preemptions, preemptions_max;
static int choice[CHOICES_MAX], choices_at[CHOICES_MAX], depth, replayed;
static _Alignas(64) char actor_stack[ACTORS_MAX][ACTOR_STACK];

/* Prints the choices that led here, so that a failure can be followed, and ends the program. */
#define MODEL_EXPECT(condition, ...) do { if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); \
    printf(" (actor %d, choices", current); for (int c_ = 0; c_ < depth; c_++) printf(" %d", choice[c_]); puts(")"); exit(1); } } while (0)

static int can_run(int a) { return !actors[a].is_over && !(actors[a].wants_lock && lock_holder >= 0); }
static int pick(void) {
    int able[ACTORS_MAX], n = 0;
    const int can_go_on = current >= 0 && can_run(current);
    if (can_go_on) able[n++] = current;
    if (!can_go_on || preemptions < preemptions_max)
        for (int a = 0; a < actor_count; a++)
            if (a != current && can_run(a)) able[n++] = a;
    if (n <= 1) return n ? able[0] : -1;
    MODEL_EXPECT(depth < CHOICES_MAX, "too many choices in a run");
    if (depth >= replayed) choice[depth] = 0;
    choices_at[depth] = n;
    const int taken = choice[depth++];
    preemptions += can_go_on && taken > 0;
    return able[taken];
}
static void go_to(int next) {
    const int before = current;
    if (next == before) return;
    current = next;
    swapcontext(&actors[before].context, next < 0 ? &outside : &actors[next].context);
}
/* Any actor may go on from here. Outside of a run it is nothing. */
static void interleave_step(void) {
    if (current < 0) return;
    const int next = pick();
    MODEL_EXPECT(next >= 0, "everybody waits for ever");
    go_to(next);
}
static void interleave_lock(void) {
    if (current < 0) return;
    actors[current].wants_lock = 1;
    interleave_step();
    actors[current].wants_lock = 0;
    lock_holder = current;
}
static void interleave_unlock(void) { lock_holder = -1; }
static void actor_main(int self) {
    actors[self].run(self);
    actors[self].is_over = 1;
    const int next = pick();
    if (next < 0)
        for (int a = 0; a < actor_count; a++) MODEL_EXPECT(actors[a].is_over, "actor %d waits for ever", a);
    go_to(next);
}
static void prepare_actor(struct actor *actor, int self, void (*run)(int)) {
    actor->run = run, actor->is_over = actor->wants_lock = 0;
    getcontext(&actor->context);
    actor->context.uc_stack.ss_sp = actor_stack[self], actor->context.uc_stack.ss_size = ACTOR_STACK;
    actor->context.uc_link = &outside;
    makecontext(&actor->context, (void (*)(void))actor_main, 1, self);
}
/* Calls `begin`, lets `count` actors run in one order and calls `end`, for every order there is. Returns how many. */
static long interleave_all(int count, void (*const *run)(int), int bound, void (*begin)(void), void (*end)(void)) {
    static long runs; /* static: contexts are switched */
    runs = 0;
    actor_count = count, preemptions_max = bound - PREEMPTIONS_LESS, replayed = 0;
    for (;;) {
        begin();
        depth = preemptions = 0, lock_holder = -1;
        for (int a = 0; a < count; a++) prepare_actor(&actors[a], a, run[a]);
        const int first = pick();
        current = first;
        swapcontext(&outside, &actors[first].context);
        current = -1;
        end();
        runs++;
        while (depth > 0 && choice[depth - 1] + 1 == choices_at[depth - 1]) depth--;
        if (!depth) return runs;
        choice[depth - 1]++;
        replayed = depth;
    }
}
#endif

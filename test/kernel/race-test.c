/* The choice of a kernel: the race with times and faults that the test decides, and the self-test with kernels that are made
 * wrong in one function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "race.h"
#include "self_test.h"

static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

/* Kernels that have a name only. Each has a fault or a list of times, one a round. */
static const struct cw_kernel names[4] = {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
struct script { const char *fault[4]; uint64_t time[4][8]; int tried[4], timed[4]; char order[64]; };
static const char *scripted_fault(void *context, const struct cw_kernel *kernel) {
    struct script *s = context;
    s->tried[kernel - names]++;
    return s->fault[kernel - names];
}
static uint64_t scripted_time(void *context, const struct cw_kernel *kernel) {
    struct script *s = context;
    const int k = (int)(kernel - names);
    strcat(s->order, kernel->name);
    return s->time[k][s->timed[k]++];
}
static int race(struct script *s, struct cw_racer racer[4], int group_b, int group_c, int group_d) {
    const int group[4] = {0, group_b, group_c, group_d};
    for (int i = 0; i < 4; i++) racer[i] = (struct cw_racer){.kernel = &names[i], .group = group[i]};
    return cw_race(racer, 4, &(struct cw_referee){scripted_fault, scripted_time, s});
}
#define TIMES(k, x, y, z) s.time[k][0] = x, s.time[k][1] = y, s.time[k][2] = z
static void test_race(void) {
    struct cw_racer r[4];
    struct script s = {0};
    EXPECT(race(&s, r, 1, 1, 2) == 0 && !*s.order && !s.tried[1], "a group of one is not timed, and later groups are not tried: %s", s.order);

    s = (struct script){.fault = {"wrong"}};
    TIMES(1, 100, 100, 100), TIMES(2, 90, 90, 90);
    EXPECT(race(&s, r, 1, 1, 2) == 2 && !strcmp(s.order, "bcbcbc"), "the faster one of the first sound group: %s", s.order);
    EXPECT(r[0].fault && !strcmp(r[0].fault, "wrong") && r[1].best == 100 && r[2].best == 90 && !s.tried[3], "what the race found");

    s = (struct script){.fault = {"wrong"}};
    TIMES(1, 100, 100, 100), TIMES(2, 96, 97, 98);
    EXPECT(race(&s, r, 1, 1, 2) == 1, "within the margin the preferred one");

    s = (struct script){.fault = {"wrong"}};
    TIMES(1, 500, 60, 400), TIMES(2, 70, 70, 70);
    EXPECT(race(&s, r, 1, 1, 2) == 1, "the least time counts: what else ran in a round does not");

    s = (struct script){.fault = {"wrong", 0, "wrong"}};
    TIMES(1, 100, 100, 100), TIMES(2, 1, 1, 1);
    EXPECT(race(&s, r, 1, 1, 2) == 1 && !s.timed[1] && !s.timed[2], "a kernel that failed its self-test never wins, and leaves nothing to time");

    s = (struct script){.fault = {0, "wrong"}};
    TIMES(0, 100, 100, 100), TIMES(1, 1, 1, 1), TIMES(2, 50, 50, 50), TIMES(3, 70, 70, 70);
    EXPECT(race(&s, r, 0, 0, 0) == 2 && !s.timed[1], "nor among several");

    s = (struct script){.fault = {"wrong", "wrong", "wrong"}};
    EXPECT(race(&s, r, 1, 1, 2) == 3 && !*s.order, "the last group");
    s = (struct script){.fault = {"wrong", "wrong", "wrong", "wrong"}};
    EXPECT(race(&s, r, 1, 1, 2) == -1 && !*s.order, "none is better than a wrong one");
}

/* Kernels that are wrong in one place. */
static const struct cw_kernel *sound;
static void finish_one_wrong(struct cw_batch *batch, const struct cw_batch *next, void *scratch) {
    sound->finish(batch, next, scratch);
    batch->job[batch->count - 2].verdict ^= 3;
}
static void finish_all_valid(struct cw_batch *batch, const struct cw_batch *next, void *scratch) {
    sound->finish(batch, next, scratch);
    for (uint32_t i = 0; i < batch->count; i++) batch->job[i].verdict = CW_VALID;
}
static int single_valid(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone) { return (void)job, (void)generator, (void)lone, CW_VALID; }
static int wrong_kind;
static void build_wrong(int kind, int count, const uint64_t (*x)[4], const uint64_t (*y)[4], uint8_t *const *table, void *scratch) {
    sound->build(kind, count, x, y, table, scratch);
    for (int row = 0; kind == wrong_kind && row < cw_table_rows(kind); row++) table[count - 1][row * CW_ROW_BYTES] ^= 1;
}
static void sha512_wrong(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    sound->sha512_half(count, block, digest);
    digest[count - 1][0] ^= 1;
}
static void sha256_wrong(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    sound->sha256(count, block, digest);
    digest[0][3] ^= 1ULL << 63;
}
static void test_self_test(const struct cw_kernel *kernel) {
    uint8_t *scratch = cw_map(kernel->scratch_bytes);
    struct cw_known *known = cw_map(cw_known_bytes());
    struct cw_kernel wrong;
    const char *fault;
    sound = kernel;
    cw_known_make(known, cw_generator);
#define FAULT(field, function, wanted) do { \
    wrong = *kernel; \
    wrong.field = function; \
    fault = cw_self_test(&wrong, known, cw_generator, scratch); \
    EXPECT(fault && !strcmp(fault, wanted), "%s: expected %s, got %s", kernel->name, wanted, fault ? fault : "none"); } while (0)
    fault = cw_self_test(kernel, known, cw_generator, scratch);
    EXPECT(!fault, "%s: expected no fault, got %s", kernel->name, fault);
    FAULT(finish, finish_one_wrong, "a wrong verdict in a batch");
    FAULT(finish, finish_all_valid, "a wrong verdict in a batch");
    FAULT(single, single_valid, "a wrong verdict for one signature");
    FAULT(sha512_half, sha512_wrong, "a wrong SHA-512Half");
    FAULT(sha256, sha256_wrong, "a wrong SHA-256");
    for (wrong_kind = 0; wrong_kind < CW_KEY_KINDS; wrong_kind++) FAULT(build, build_wrong, "a wrong verdict in a batch");
    fault = cw_self_test(kernel, known, cw_generator, scratch);
    EXPECT(!fault, "%s: expected no fault afterwards, got %s", kernel->name, fault);
    EXPECT(cw_batch_nanoseconds(kernel, known, cw_generator, scratch) > 1000, "a batch takes time");
    cw_unmap(known, cw_known_bytes());
    cw_unmap(scratch, kernel->scratch_bytes);
}
static void test_generator(void) {
    uint8_t *table = cw_map((size_t)cw_table_rows(CW_GENERATOR) * CW_ROW_BYTES);
    memcpy(table, cw_generator, (size_t)cw_table_rows(CW_GENERATOR) * CW_ROW_BYTES);
    EXPECT(cw_generator_sound(table), "the generator's table");
    table[40] ^= 1;
    EXPECT(!cw_generator_sound(table), "a wrong row of the generator");
}
static void test_batch_size(void) {
    const struct cw_kernel k = {.small_cache_batch = 64};
    EXPECT(cw_batch_for(&k, 1 << 20) == 64 && cw_batch_for(&k, 512 << 10) == 64, "small caches");
    EXPECT(cw_batch_for(&k, 2 << 20) == CW_BATCH && cw_batch_for(&k, 0) == CW_BATCH, "large or unknown caches");
}

int main(void) {
    const char *message = cw_start(1);
    EXPECT(!message, "%s", message);
    test_race();
    test_batch_size();
    test_generator();
    for (const char *const *name = (const char *const[]){"scalar", "avx2", "avx512f", "avx512ifma", "neon", 0}; *name; name++) {
        const struct cw_kernel *kernel = cw_choose_kernel(*name, &message);
        if (kernel) test_self_test(kernel);
        else printf("SKIPPED %s: %s\n", *name, message);
    }
    printf("kernel %s, batches of %u; %s\n", cw_kernel_name(), cw_batch_max, cw_kernel_note());
    printf("race-test: %ld checks\n", checks);
    return 0;
}

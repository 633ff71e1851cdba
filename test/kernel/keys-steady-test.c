/* The cache of key tables under claims of many keys, by its own counters: how soon keys have their tables, and that nothing is built for ever where
 * there is no room for more. It is keys.c itself, with a kernel that verifies nothing and builds nothing, so millions of claims take no
 * time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/kernel/keys.c"

#define EXPECT(condition, ...) \
    do { if (!(condition)) printf("FAILED %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), puts(""), exit(1); } while (0)
#define KEYS_MAX 20000
static uint8_t key[KEYS_MAX][33];
static uint64_t sets_built, spent; /* calls of the kernel, and what they cost however many tables they made */

static void count_build(int kind, int count, const uint64_t (*x)[4], const uint64_t (*y)[4], uint8_t *const *table, void *scratch) {
    (void)count, (void)x, (void)y, (void)table, (void)scratch;
    sets_built++;
    spent += 8ull * cost[kind];
}
static uint32_t all_good(int count, const uint64_t (*x)[4], const uint8_t *odd, uint64_t (*y)[4]) {
    (void)x, (void)odd, (void)y;
    return (1u << count) - 1;
}
static const struct cw_kernel fake = {.name = "fake", .elements = 8, .build = count_build, .decompress = all_good};
const struct cw_kernel *cw_kernel = &fake;
void *cw_map(size_t bytes) { return aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095) ; }
void cw_unmap(void *memory, size_t bytes) { (void)bytes, free(memory); }

static uint64_t state = 88172645463325252ULL;
static uint64_t random_word(void) { return state ^= state << 13, state ^= state >> 7, state ^= state << 17; }
static uint32_t any_of(uint32_t count) { return (uint32_t)((random_word() >> 33) * count >> 31); }

static struct cw_keys_thread thread;
/* An empty cache of so many chunks. */
static void begin(uint32_t room) {
    static int is_open;
    if (!is_open) {
        for (int i = 0; i < KEYS_MAX; i++) {
            key[i][0] = 2;
            for (int k = 1; k < 33; k++) key[i][k] = (uint8_t)random_word();
            key[i][1] = 0; /* below p */
        }
        uint64_t sets = 64;
        while (sets * WAYS < 2ull * CHUNK_SLOTS * 64) sets *= 2;
        EXPECT(open_pool(64, sets), "no memory");
        for (int i = 0; i < 4; i++) hash_key[i] = random_word();
        is_open = 1;
    }
    memset(slots, 0, (size_t)chunk_count * CHUNK_SLOTS * sizeof *slots);
    memset(chunks, 0, chunk_count * sizeof *chunks);
    memset((void *)buckets, 0, (bucket_mask + 1) * sizeof *buckets);
    memset((void *)sketch, 0, (sketch_mask + 1) * sizeof *sketch);
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) rings[kind] = (struct ring){.hand = NONE, .recent = NONE}, hits[kind] = builds[kind] = 0;
    chunks_used = chunks_fresh = close_hand = 0;
    chunk_limit = room;
    empty_chunks = closing_first = closing_last = NONE;
    live_tables = hits_since_age = used = misses = evictions = refused = sets_built = spent = 0;
    age = 0;
    memset(&thread, 0, sizeof thread);
    EXPECT(cw_keys_join(&thread, 0), "a place for the thread");
}
static void end(void) { cw_keys_leave(&thread); }

/* Valid claims in calls of `size`, each of a key that `pick` chooses. */
static void claims(uint32_t count, uint32_t size, uint32_t (*pick)(uint32_t), uint32_t keys) {
    static struct cw_job job[CW_BATCH];
    const uint8_t *of[CW_BATCH];
    for (uint32_t at = 0; at < count; at += size) {
        for (uint32_t i = 0; i < size; i++) of[i] = key[pick(keys)], job[i].verdict = CW_VALID;
        cw_keys_enter(&thread, cw_keys_now());
        cw_keys_find(&thread, job, of, size, 0);
        cw_keys_points(&thread, job, size, 0);
        cw_keys_reward(&thread, job, size, 0);
        cw_keys_exit(&thread);
    }
}
/* Of eight keys one has eight times the claims of the others. */
static uint32_t uneven(uint32_t keys) {
    const uint32_t k = any_of(keys);
    return any_of(2) ? k : k & ~7u;
}
/* Some keys have six times the claims of others: what comes of drawing a ring's worth of keys once. */
static uint32_t of_a_ring(uint32_t keys) {
    static uint32_t ring[2048], of;
    if (of != keys)
        for (int i = 0; i < 2048; i++) ring[i] = any_of(keys);
    of = keys;
    return ring[any_of(2048)];
}
struct counts { uint64_t builds[CW_KEY_KINDS], all_builds, hits[CW_KEY_KINDS], look_ups, misses, evictions; };
static struct counts counted(void) {
    struct counts c = {.misses = misses, .look_ups = misses, .evictions = evictions};
    for (int kind = 0; kind < CW_KEY_KINDS; kind++)
        c.builds[kind] = builds[kind], c.all_builds += builds[kind], c.hits[kind] = hits[kind], c.look_ups += hits[kind];
    return c;
}
static struct counts since(struct counts before) {
    struct counts c = counted();
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) c.builds[kind] -= before.builds[kind], c.hits[kind] -= before.hits[kind];
    c.all_builds -= before.all_builds, c.look_ups -= before.look_ups, c.misses -= before.misses, c.evictions -= before.evictions;
    return c;
}
static void print(const char *what, struct counts c) {
    printf("keys-steady: %s: hits %.1f %% huge, %.1f large, %.1f small, %.1f tiny; builds %llu, evictions %llu; %llu MB of %u\n", what,
           100.0 * (double)c.hits[CW_HUGE] / (double)c.look_ups, 100.0 * (double)c.hits[CW_LARGE] / (double)c.look_ups,
           100.0 * (double)c.hits[CW_SMALL] / (double)c.look_ups, 100.0 * (double)c.hits[CW_TINY] / (double)c.look_ups,
           (unsigned long long)c.all_builds, (unsigned long long)c.evictions, (unsigned long long)(used >> 20), 2 * chunk_limit);
}
/* Claims of `keys` keys until they have what there is room for, then as many again: next to nothing may be built or given up by then. */
static struct counts settle(const char *what, uint32_t keys, uint32_t room, uint32_t (*pick)(uint32_t), uint32_t a_key) {
    begin(room);
    claims(a_key * keys, 128, pick, keys);
    const struct counts first = counted();
    print(what, first);
    claims(a_key * keys, 128, pick, keys);
    const struct counts steady = since(first);
    print("  then", steady);
    EXPECT(steady.all_builds + steady.evictions <= keys / 10, "%s: %llu tables built and %llu given up where nothing changes", what,
           (unsigned long long)steady.all_builds, (unsigned long long)steady.evictions);
    end();
    return steady;
}
static double share(uint64_t part, const struct counts *c) { return (double)part / (double)c->look_ups; }

/* 107 KB a key: a few more large tables than three quarters fit, small ones for the rest. */
static void room_for_most(void) {
    const struct counts c = settle("1,250 keys alike", 1250, 64, any_of, 300);
    EXPECT(share(c.hits[CW_LARGE], &c) > 0.66 && c.misses * 1000 < c.look_ups, "expected two thirds of large tables, and nearly no key without one");
    const struct counts all = settle("700 keys alike", 700, 64, any_of, 400);
    EXPECT(all.hits[CW_LARGE] == all.look_ups, "expected all to have large tables, which are as fast as huge ones where so many are in use");
    const struct counts few = settle("1,250 keys of different heat", 1250, 64, of_a_ring, 1000);
    EXPECT(share(few.hits[CW_LARGE], &few) > 0.85 && few.misses * 1000 < few.look_ups, "expected the hot ones to have large tables");
    const struct counts many = settle("2,000 keys, every eighth hot", 2000, 64, uneven, 400);
    EXPECT(share(many.hits[CW_LARGE] + many.hits[CW_HUGE], &many) > 0.6, "expected the hot ones to have large tables");
}
/* 10.7 KB a key: room for a tiny table for nearly each, if it is not built up and torn down for larger ones on the way. */
static void room_for_tiny_ones(void) {
    begin(64);
    claims(12500 * 100, 128, any_of, 12500);
    const struct counts warm = counted();
    EXPECT(warm.all_builds < 12500 * 6 / 5, "%llu tables built for 12,500 keys", (unsigned long long)warm.all_builds);
    end();
    const struct counts c = settle("12,500 keys alike", 12500, 64, any_of, 200);
    EXPECT(share(c.misses, &c) < 0.03, "expected a table for 97 of 100 keys");
}
/* A node that is not behind verifies a few claims a call. A set has to be full all the same, and what it costs is charged. */
static void small_calls(void) {
    begin(64);
    claims(40 * 400, 4, any_of, 40);
    const struct counts c = counted();
    print("40 keys, calls of 4", c);
    EXPECT(c.builds[CW_LARGE] == 40, "%llu of 40 keys have a large table", (unsigned long long)c.builds[CW_LARGE]);
    EXPECT(8 * sets_built < c.all_builds * 11 / 10 + 8 * CW_KEY_KINDS, "%llu sets for %llu tables", (unsigned long long)sets_built, (unsigned long long)c.all_builds);
    const uint64_t earned = BUDGET_BARE * c.misses + BUDGET_TABLE * (c.look_ups - c.misses);
    EXPECT(spent <= earned + 8 * cost[CW_TINY], "built for %llu of %llu", (unsigned long long)spent, (unsigned long long)earned);
    end();
}
/* Fewer keys than make a set get theirs all the same, soon, and in few sets. */
static void few_keys(void) {
    begin(64);
    claims(3 * 160, 16, any_of, 3);
    const struct counts first = counted();
    EXPECT(first.builds[CW_TINY] && thread.budget == (int64_t)(BUDGET_BARE * first.misses + BUDGET_TABLE * (first.look_ups - first.misses) - spent),
           "a set of three is not charged as a whole one");
    end();
    begin(64);
    claims(3 * 4000, 16, any_of, 3);
    const struct counts c = counted();
    EXPECT(c.builds[CW_LARGE] == 3, "%llu of 3 keys have a large table", (unsigned long long)c.builds[CW_LARGE]);
    EXPECT(spent <= BUDGET_BARE * c.misses + BUDGET_TABLE * (c.look_ups - c.misses) + 8 * cost[CW_TINY], "built for more than was earned");
    EXPECT(sets_built <= 3 * 4, "%llu sets for three keys", (unsigned long long)sets_built);
    end();
}
/* All keys are cold at a restart: tables come as fast as the budget allows, not a set a call. */
static void restart(void) {
    begin(64);
    claims(8 * 10000, 128, any_of, 10000);
    const struct counts c = counted();
    print("10,000 cold keys, 8 claims each", c);
    EXPECT(c.builds[CW_TINY] > 8000, "%llu tables so far", (unsigned long long)c.builds[CW_TINY]);
    end();
}
/* A chunk that was closed for large tables goes to large ones, whoever asks for one first. */
static void heirs(void) {
    begin(LIMIT_MIN);
    const int64_t tiny = take_slot(CW_TINY, 3), small = take_slot(CW_SMALL, 20);
    EXPECT(tiny >= 0 && small >= 0, "a slot of each chunk");
    publish((uint32_t)tiny, key[0], hash(key[0]), CW_TINY, 0);
    publish((uint32_t)small, key[1], hash(key[1]), CW_SMALL, 0);
    EXPECT(take_slot(CW_LARGE, 500) < 0, "a full pool");
    EXPECT(take_slot(CW_HUGE, 5000) < 0, "expected the chunk that was closed for a large table to be left to one");
    EXPECT(take_slot(CW_LARGE, 500) >= 0, "expected a large table to get the chunk that was closed for it");
    end();
}
int main(int argc, char **argv) {
    if (argc > 3) { /* KEYS CHUNKS even|uneven|ring [CALL]: how it goes, hundred by hundred */
        const uint32_t keys = (uint32_t)atoi(argv[1]), size = argc > 4 ? (uint32_t)atoi(argv[4]) : 128;
        begin((uint32_t)atoi(argv[2]));
        for (int i = 1; i <= 30; i++) {
            const struct counts before = counted();
            char what[40];
            claims(keys * 100, size, argv[3][0] == 'u' ? uneven : argv[3][0] == 'r' ? of_a_ring : any_of, keys);
            snprintf(what, sizeof what, "%d claims a key", 100 * i);
            print(what, since(before));
        }
        return 0;
    }
    room_for_most();
    room_for_tiny_ones();
    small_calls();
    few_keys();
    restart();
    heirs();
    return 0;
}

/* Runs the cache of key tables in every order in which its threads can meet. It is keys.c itself, in which any other thread may
 * continue at each atomic operation (interleave.h). For each way in which a slot leaves the index or comes back unused, and in which a chunk
 * changes its kind, it checks that nobody builds into a table that another thread may still read, that no slot is both free and
 * reachable, and that none is lost. */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include "interleave.h"

/* Words of the cache that some actor has written, and which one. A load of any other word commutes, so it needs no step. */
enum { WRITTEN_MAX = 64 };
static struct { const volatile void *word; unsigned by; } written[WRITTEN_MAX];
static int written_count, has_new_writer;
static void before_store(const volatile void *word) {
    int i = 0;
    if (current < 0) return;
    while (i < written_count && written[i].word != word) i++;
    MODEL_EXPECT(i < WRITTEN_MAX, "too many words");
    if (i == written_count) written[written_count++].word = word;
    if (!(written[i].by & 1u << current)) written[i].by |= 1u << current, has_new_writer = 1;
    interleave_step();
}
static void before_load(const volatile void *word) {
    for (int i = 0; current >= 0 && i < written_count; i++)
        if (written[i].word == word && written[i].by & ~(1u << current)) interleave_step();
}
static void see(const volatile void *word);
static void unlocking(void);

static int is_advice(const volatile void *word);

/* The operations keys.c uses to talk to other threads. Stores with an explicit order are for heat and counters, which
 * decide nothing here: a weaker store to another word would break the argument in keys.c. */
#undef atomic_load
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_fetch_add
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak
#undef atomic_flag_test_and_set_explicit
#undef atomic_flag_clear_explicit
#define atomic_load(p) (before_load(p), see(p), *(p))
#define atomic_store(p, v) (before_store(p), (void)(*(p) = (v)))
#define atomic_store_explicit(p, v, order) do { MODEL_EXPECT(is_advice(p), "stored with order %d", order); *(p) = (v); } while (0)
#define atomic_fetch_add(p, v) (before_store(p), (*(p) += (v)) - (v))
#define atomic_compare_exchange_strong(p, e, v) (before_store(p), *(p) == *(e) ? (void)(*(p) = (v)), 1 : ((void)(*(e) = *(p)), 0))
#define atomic_compare_exchange_weak atomic_compare_exchange_strong
#define atomic_flag_test_and_set_explicit(p, order) ((void)(p), (void)(order), interleave_lock(), 0)
#define atomic_flag_clear_explicit(p, order) ((void)(p), (void)(order), unlocking(), interleave_unlock())
#define CHUNK_SLOTS 4 /* few, so that all that happens in large ones happens here at once */
#define CHUNK_BYTES ((size_t)1 << 20)
#include "../../src/kernel/keys.c"

enum { CHUNKS_MOST = 6, SLOTS = CHUNKS_MOST * CHUNK_SLOTS, KEYS = 16, NO_KEY = KEYS };
static uint8_t keys[KEYS + 1][33]; /* the last one is no point */
static long checks, reused;

/* A thread as in slots.c: the batch it fills, and perhaps an older one whose tables it still reads. */
struct batch {
    uint64_t epoch;
    uint32_t count;
    struct cw_job job[CW_BATCH];
    const uint8_t *key[CW_BATCH];
    uint64_t seen; /* slots whose number it has read in the index, or whose table it built: it may look at any of them */
};
static struct { struct cw_keys_thread keys; struct batch batch[2]; int now, pending; } threads[ACTORS_MAX + 1];
static int self(void) { return current < 0 ? ACTORS_MAX : current; } /* the last one prepares the cache */

static int is_advice(const volatile void *word) {
    return ((const uint8_t *)word >= (const uint8_t *)slots && (const uint8_t *)word < (const uint8_t *)(slots + SLOTS)) ||
           (word >= (const volatile void *)sketch && word <= (const volatile void *)(sketch + sketch_mask)) || word == (const volatile void *)&age;
}
static uint32_t scene_limit(void);
static int limiting = -1; /* who sets a limit: it looks at the index under the lock only, and at no table */
static void see(const volatile void *word) {
    if (self() == limiting) return;
    const uint8_t *first = (const uint8_t *)buckets, *w = (const uint8_t *)word;
    if (w < first || w >= first + (bucket_mask + 1) * sizeof *buckets) return;
    const uint32_t id = (uint32_t)buckets[0][(w - first) / (ptrdiff_t)sizeof **buckets];
    if (id) threads[self()].batch[threads[self()].now].seen |= 1ull << (id - 1);
}
/* No slot is both in the index and in limbo, and none is twice in either. */
static uint64_t reachable(void) {
    uint64_t set = 0;
    for (uint64_t b = 0; b <= bucket_mask; b++)
        for (int i = 0; i < WAYS; i++) {
            const uint32_t id = (uint32_t)buckets[b][i];
            MODEL_EXPECT(!id || !(set >> (id - 1) & 1), "slot %u is in the index twice", id - 1);
            if (id) set |= 1ull << (id - 1);
        }
    return set;
}
/* Slots that wait in their chunk. */
static uint64_t waiting(void) {
    uint64_t set = 0;
    for (uint32_t c = 0; c < chunks_fresh; c++)
        for (uint32_t place = chunks[c].kind < 0 ? 0 : chunks[c].head; place; place = slots[c * CHUNK_SLOTS + place - 1].next) {
            const uint32_t id = c * CHUNK_SLOTS + place - 1;
            MODEL_EXPECT(!(set >> id & 1), "slot %u waits twice", id);
            set |= 1ull << id;
        }
    return set;
}
static void unlocking(void) {
    const uint64_t found = reachable();
    MODEL_EXPECT(!(found & waiting()), "a slot is free and can be found");
    for (uint32_t id = 0; id < SLOTS; id++)
        MODEL_EXPECT(!(found >> id & 1) || (chunks[chunk_of(id)].kind == slots[id].kind && !chunks[chunk_of(id)].closing), "slot %u is found in a chunk of another kind", id);
    checks++;
}
static void nothing_is_lost(void) {
    const uint64_t found = reachable(), free_ones = waiting();
    uint64_t bytes = 0, live = 0;
    uint32_t in_use = 0;
    unlocking();
    for (uint32_t c = 0; c < chunks_fresh; c++) {
        if (chunks[c].kind < 0) continue;
        uint32_t lives = 0;
        in_use++;
        for (uint32_t i = 0; i < chunks[c].fresh; i++) {
            const uint32_t id = c * CHUNK_SLOTS + i;
            MODEL_EXPECT((found | free_ones) >> id & 1, "slot %u is lost", id);
            lives += (uint32_t)(found >> id & 1);
        }
        MODEL_EXPECT(lives == chunks[c].live, "chunk %u counts %u live tables and has %u", c, chunks[c].live, lives);
        bytes += lives * table_bytes[chunks[c].kind], live += lives;
    }
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) {
        uint32_t lives = 0;
        for (uint32_t c = 0; c < chunks_fresh; c++) lives += chunks[c].kind == kind && !chunks[c].closing ? chunks[c].live : 0;
        MODEL_EXPECT(lives == rings[kind].live, "the chunks of kind %d have %u live tables, counted as %u", kind, lives, rings[kind].live);
    }
    MODEL_EXPECT(in_use == chunks_used && in_use <= scene_limit(), "%u chunks are in use, counted as %u, of %u", in_use, chunks_used, scene_limit());
    MODEL_EXPECT(bytes == used && live == live_tables, "tables in use are counted wrong");
    checks++;
}

/* A kernel of two elements whose table is the key's x, written in two halves. */
static int64_t slot_of(const uint8_t *table) {
    if (table < tables || table >= tables + CHUNKS_MOST * CHUNK_BYTES) return -1;
    const uint32_t c = (uint32_t)((size_t)(table - tables) / CHUNK_BYTES);
    return c * CHUNK_SLOTS + (int64_t)((size_t)(table - tables) % CHUNK_BYTES / table_bytes[chunks[c].kind]);
}
static void fake_build(int kind, int count, const uint64_t (*x)[4], const uint64_t (*y)[4], uint8_t *const *table, void *scratch) {
    (void)kind, (void)scratch;
    for (int i = 0; i < count; i++) {
        const int64_t id = slot_of(table[i]);
        for (int t = 0; id >= 0 && t <= ACTORS_MAX; t++)
            for (int b = 0; b < 2; b++)
                MODEL_EXPECT(!(threads[t].batch[b].seen >> id & 1), "a table is built in slot %d, which thread %d may still read", (int)id, t);
        reused += current >= 0 && id >= 0 && slots[id].retired;
        if (id >= 0) threads[self()].batch[threads[self()].now].seen |= 1ull << id;
        memset(table[i], 0, 32);
        interleave_step();
        memcpy(table[i], x[i], 32);
        memcpy(table[i] + 32, y[i], 32);
        checks++;
    }
}
static uint32_t fake_decompress(int count, const uint64_t (*x)[4], const uint8_t *odd, uint64_t (*y)[4]) {
    uint32_t good = 0;
    uint64_t none[4];
    cw_words_from_be(none, keys[NO_KEY] + 1);
    for (int i = 0; i < count; i++) {
        for (int w = 0; w < 4; w++) y[i][w] = x[i][w] ^ odd[i];
        good |= (uint32_t)(memcmp(x[i], none, 32) != 0) << i;
    }
    return good;
}
static const struct cw_kernel fake = {.name = "fake", .elements = 2, .build = fake_build, .decompress = fake_decompress};
const struct cw_kernel *cw_kernel = &fake;
/* Spare tables are large and come and go with every run: kept. */
static void *kept[ACTORS_MAX + 1];
static int kept_count;
void *cw_map(size_t bytes) {
    if (bytes > 1u << 20 && kept_count) return kept[--kept_count];
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    return memory ? memset(memory, 0, bytes) : 0;
}
void cw_unmap(void *memory, size_t bytes) { (void)bytes, kept[kept_count++] = memory; }

/* What a thread of the cache does with a batch: slots.c, find_tables and after. */
static void check_tables(const struct batch *b) {
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t x[4];
        cw_words_from_be(x, b->key[i] + 1);
        if (b->key[i] == keys[NO_KEY]) MODEL_EXPECT(!b->job[i].table, "no table for what is no key");
        else MODEL_EXPECT(b->job[i].table && !memcmp(b->job[i].table, x, 32), "the table is of another key");
    }
    checks++;
}
static void finish(int parity) {
    struct batch *b = &threads[self()].batch[parity];
    check_tables(b);
    interleave_step();
    check_tables(b);
    for (uint32_t i = 0; i < b->count; i++) b->job[i].verdict = b->key[i] == keys[NO_KEY] ? CW_INVALID : CW_VALID;
    threads[self()].keys.budget = BUDGET_MAX;
    if (b->count && b->key[0] != keys[NO_KEY]) cw_keys_reward(&threads[self()].keys, b->job, b->count, parity);
    b->count = 0, b->seen = 0;
}
static void find(int first, int second, int is_pipelined) {
    const int t = self();
    struct batch *now = &threads[t].batch[threads[t].now], *older = threads[t].pending ? &threads[t].batch[!threads[t].now] : 0;
    now->count = second < 0 ? 1 : 2;
    now->key[0] = keys[first], now->key[1] = second < 0 ? 0 : keys[second];
    now->epoch = cw_keys_now();
    cw_keys_enter(&threads[t].keys, older ? older->epoch : now->epoch);
    cw_keys_find(&threads[t].keys, now->job, now->key, now->count, threads[t].now);
    cw_keys_points(&threads[t].keys, now->job, now->count, threads[t].now);
    check_tables(now);
    if (older) finish(!threads[t].now);
    threads[t].pending = is_pipelined;
    if (is_pipelined) threads[t].now ^= 1;
    else finish(threads[t].now);
}

static void join(void) { MODEL_EXPECT(cw_keys_join(&threads[self()].keys, 0), "a place for the thread"); }
static void leave(void) {
    if (threads[self()].pending) finish(!threads[self()].now);
    threads[self()].pending = 0;
    threads[self()].batch[0].seen = threads[self()].batch[1].seen = 0; /* its batches are over */
    cw_keys_leave(&threads[self()].keys);
}
static void find_one(int key) { find(key, -1, 0); }
static void find_two(int first, int second) { find(first, second, 0); }
static void find_on(int key) { find(key, -1, 1); }

/* The programs of the actors. All but the late one have joined the cache before. A thread makes the tables that its keys have earned
 * at the end of each batch, of the kind that the scene sets. */
#define PROGRAM(name, ...) static void name(int t) { (void)t; __VA_ARGS__; leave(); }
static void make(int kind) { threads[self()].keys.forced = kind; }
PROGRAM(reads_0_and_2, make(-1); find_two(0, 2))
PROGRAM(reads_2_twice, make(-1); find_one(2); find_one(2))
PROGRAM(reads_0_again, make(-1); find_one(0); cw_keys_exit(&threads[t].keys); find_one(0))
PROGRAM(adds_8_then_9, find_one(8); find_one(9))
PROGRAM(adds_8_twice_then_9, find_one(8); find_one(8); find_one(9))
PROGRAM(adds_8_and_9_then_10, find_two(8, 9); find_one(10); find_one(10))
PROGRAM(adds_10, find_one(10))
PROGRAM(adds_10_then_11, find_one(10); find_one(10); find_one(11))
PROGRAM(adds_8_beside_another, find_one(8))
PROGRAM(makes_0_small, make(CW_SMALL); find_one(0))
PROGRAM(makes_0_and_1_small, make(CW_SMALL); find_two(0, 1))
PROGRAM(makes_0_large, make(CW_LARGE); find_one(0))
PROGRAM(makes_8_small, make(CW_SMALL); find_one(8); find_one(8); find_one(8))
PROGRAM(makes_8_huge, make(CW_HUGE); find_one(8); find_one(8); find_one(8))
PROGRAM(pipelines_0_1_2, make(-1); find_on(0); find_on(1); find_on(2))
PROGRAM(pipelines_8_0, find_on(8); find_on(0); find_on(8))
PROGRAM(sees_no_key_then_8, find_one(NO_KEY); find_two(8, 9); find_one(8))
static void limit_to(size_t count) {
    limiting = self();
    cw_keys_limit(count * CHUNK_BYTES);
    limiting = -1;
}
PROGRAM(limits_to_2_then_adds_8_9, limit_to(2); find_one(8); find_one(9); find_one(9))
PROGRAM(limits_and_opens, limit_to(2); find_one(8); limit_to(3); find_one(9); find_one(10))
PROGRAM(comes_late_to_0, join(); make(-1); find_one(0))

/* The ways out of the index and back into use. Slots of a chunk by kind are `room`; `filled` keys have tiny tables before, of which the first
 * `hot` are hot, and the rest cold; then the first `small` have small ones. */
static const struct scene {
    const char *name;
    uint32_t room[2], chunks; /* of tiny and small tables a chunk; of the others 1 */
    int filled, hot, small, bound;
    void (*run[ACTORS_MAX])(int);
} scenes[] = {
    {"a full bucket loses key 2", {4, 1}, 3, 8, 0, 0, 3, {reads_0_and_2, adds_8_then_9}},
    {"a full bucket loses key 2, two readers", {4, 1}, 3, 8, 0, 0, 2, {reads_2_twice, reads_0_and_2, adds_8_then_9}},
    {"a full bucket loses key 2, another thread takes its slot", {4, 1}, 3, 8, 0, 0, 2, {reads_2_twice, adds_8_beside_another, adds_10_then_11}},
    {"the coldest goes", {3, 1}, 1, 3, 2, 0, 3, {reads_0_and_2, adds_8_twice_then_9}},
    {"the coldest goes, two writers", {3, 1}, 1, 3, 0, 0, 2, {reads_0_again, adds_8_twice_then_9, adds_10}},
    {"the coldest goes for two keys at once", {2, 1}, 2, 4, 0, 0, 3, {reads_0_again, adds_8_and_9_then_10}},
    {"a small table replaces a tiny one", {2, 2}, 2, 2, 0, 0, 2, {reads_0_again, makes_0_small, adds_10}},
    {"a small table replaces a tiny one, another thread takes its slot", {2, 2}, 2, 2, 0, 0, 2, {reads_0_again, makes_0_small, adds_10_then_11}},
    {"a large table replaces a small one", {2, 1}, 3, 2, 0, 1, 2, {reads_0_again, makes_0_large, makes_8_small}},
    {"a small table leaves for another", {4, 2}, 2, 4, 0, 2, 3, {reads_0_again, makes_8_small}},
    {"two threads make the same small table", {2, 4}, 2, 2, 0, 0, 2, {makes_0_and_1_small, makes_0_small, makes_8_small}},
    {"a tiny table is evicted while a small one is made of it", {2, 2}, 2, 2, 0, 0, 3, {makes_0_small, adds_10_then_11}},
    {"two threads add the same key", {2, 1}, 1, 0, 0, 0, 2, {adds_8_beside_another, adds_8_then_9, adds_10}},
    {"bytes that are no key earn nothing", {2, 1}, 1, 2, 0, 0, 2, {sees_no_key_then_8, adds_10_then_11}},
    {"two batches in flight", {2, 1}, 2, 4, 0, 0, 2, {pipelines_0_1_2, adds_8_twice_then_9}},
    {"two batches in flight, one of them adds", {3, 1}, 1, 3, 0, 0, 2, {pipelines_8_0, adds_10_then_11}},
    {"a chunk of tiny tables becomes one of small ones", {2, 2}, 1, 2, 0, 0, 3, {reads_0_again, makes_8_small}},
    {"a chunk of tiny tables becomes one of a huge one", {2, 1}, 2, 4, 0, 0, 2, {reads_0_again, makes_8_huge, adds_10}},
    {"a chunk closes while a table is built in it", {2, 2}, 1, 1, 0, 0, 3, {adds_10, makes_8_small}},
    {"a chunk of small tables becomes one of tiny ones", {2, 2}, 2, 2, 0, 2, 2, {reads_0_again, adds_10_then_11}},
    {"the limit falls while a table is read", {2, 2}, 3, 6, 0, 0, 2, {reads_0_again, limits_to_2_then_adds_8_9}},
    {"the limit falls while another adds", {2, 2}, 3, 6, 0, 0, 2, {adds_10_then_11, limits_to_2_then_adds_8_9}},
    {"the limit falls and rises", {2, 2}, 3, 6, 0, 0, 2, {reads_0_and_2, limits_and_opens}},
    {"a thread that comes late", {3, 1}, 1, 3, 2, 0, 3, {comes_late_to_0, adds_8_twice_then_9}},
};
static const struct scene *scene;
static uint32_t scene_limit(void) { return scene->chunks; }

static void heat_up(int first, int count, uint32_t heat) {
    for (int key = first; key < count; key++) {
        uint32_t id;
        if (lookup(hash(keys[key]), keys[key], &id)) slots[id].heat = heat;
    }
}
static void set_scene(void) {
    memset(slots, 0, SLOTS * sizeof *slots);
    memset(chunks, 0, CHUNKS_MOST * sizeof *chunks);
    memset(buckets, 0, sizeof *buckets);
    for (uint64_t at = 0; at <= sketch_mask; at++) sketch[at] = 0;
    memset(announced, 0, (ACTORS_MAX + 1) * sizeof *announced);
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) {
        rings[kind] = (struct ring){.hand = NONE, .recent = NONE};
        capacity[kind] = kind < CW_LARGE ? scene->room[kind] : 1;
    }
    chunk_count = chunk_limit = scene->chunks;
    chunks_used = chunks_fresh = close_hand = 0;
    empty_chunks = closing_first = closing_last = NONE;
    live_tables = hits_since_age = 0;
    used = 0;
    age = 0;
    for (int t = 0; t <= ACTORS_MAX; t++) { /* all but the jobs, of which `count` many are valid */
        memset(&threads[t].keys, 0, sizeof threads[t].keys);
        threads[t].now = threads[t].pending = 0;
        for (int b = 0; b < 2; b++) threads[t].batch[b].epoch = threads[t].batch[b].seen = threads[t].batch[b].count = 0;
    }
    epoch = 1;
    limiting = -1;
    places = 0;
    for (int place = 0; place <= ACTORS_MAX; place++) taken[place] = 0;
    join();
    make(CW_TINY);
    for (int key = 0; key < scene->filled; key++) find_one(key);
    make(CW_SMALL);
    for (int key = 0; key < scene->small; key++) find_one(key);
    heat_up(0, scene->filled, 0);
    heat_up(0, scene->hot, 100);
    leave();
    for (int actor = 0; actor < ACTORS_MAX && scene->run[actor]; actor++)
        if (scene->run[actor] != comes_late_to_0) {
            MODEL_EXPECT(cw_keys_join(&threads[actor].keys, 0), "a place for the thread");
            threads[actor].keys.forced = CW_TINY;
        }
}

/* Two keys that only their bytes tell apart, since the half of them that is not zero is multiplied by zero in the hash. */
static void finds_keys_of_one_hash(void) {
    static const struct scene empty = {"keys of one hash", {4, 1}, 1, 0, 0, 0, 0, {0}};
    scene = &empty;
    set_scene();
    join();
    make(CW_TINY);
    for (int key = 0; key < 2; key++) memset(keys[key] + 1, 0, 8), memset(keys[key] + 17, 0, 8);
    MODEL_EXPECT(hash(keys[0]) == hash(keys[1]) && memcmp(keys[0], keys[1], 33), "two keys have one hash");
    find_one(0);
    for (int turn = 0; turn < 2; turn++) find_two(0, 1);
    leave();
}

int main(void) {
    uint64_t word = 0x9E3779B97F4A7C15ULL;
    if (!open_pool(CHUNKS_MOST, 1)) return puts("FAILED: no memory"), 1;
    for (int key = 0; key <= KEYS; key++)
        do {
            keys[key][0] = 2;
            for (int i = 1; i < 33; i++) word ^= word << 13, word ^= word >> 7, word ^= word << 17, keys[key][i] = (uint8_t)word;
            /* When the bucket is full, key 8 takes key 2's place in it, key 9 key 0's. */
        } while ((key == 8 && hash(keys[key]) >> 61 != 2) || (key == 9 && hash(keys[key]) >> 61 != 0));
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        scene = &scenes[i];
        int actors_here = 0;
        while (actors_here < ACTORS_MAX && scene->run[actors_here]) actors_here++;
        printf("keys-order: %s: ", scene->name), fflush(stdout);
        long runs = 0;
        written_count = 0, reused = 0;
        do {
            has_new_writer = 0;
            runs = interleave_all(actors_here, scene->run, scene->bound, set_scene, nothing_is_lost);
        } while (has_new_writer);
        printf("%ld orders, slots used again %ld times\n", runs, reused);
        MODEL_EXPECT(reused, "a scene in which no slot is used again shows nothing");
    }
    finds_keys_of_one_hash();
    printf("keys-order: %ld checks\n", checks);
    return 0;
}

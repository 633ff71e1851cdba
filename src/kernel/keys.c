/* Key tables of four sizes in one pool: a key earns one by valid claims, a larger one by more of them.
 *
 * A key without a table costs no more than a signature that is verified without one (batch_bare.h). Nothing is built for it until
 * TINY_HEAT of its claims were valid: claims that nobody has signed leave no trace here, however many there are.
 *
 * Look-up is lock-free: an index has buckets of eight words (tag, slot number + 1), each published
 * after its slot and table are complete. A slot taken out of the index may still be read by a thread that found it before, so it
 * waits in its chunk: each thread announces the epoch in which its oldest batch began, taking a slot out advances the epoch,
 * and a slot is reused when every announced epoch is later than its own. Nobody waits for anybody: when no slot is
 * free, the key goes without for now (counted as refused).
 *
 * What has to be true, and why it is. `s` is a slot, `e` its retirement: the value of the epoch before it advanced.
 *  1. Nobody builds into s while a thread may read it. Reader: loads the epoch, announces it, reads the index. Writer: stores to the index,
 *     then advances the epoch to e + 1, later reads what is announced. A reader that still found s read the index before that
 *     store, so it loaded the epoch before the advance: what it announced is not above e, and it was announced
 *     before the writer looks. The writer reuses s only when all that is announced is above e. All of these are sequentially consistent:
 *     the reader's announcement must be seen before its look at the index (a store before a load, which release and acquire let
 *     pass each other, on x86 too). A thread with two batches in flight announces the older one's epoch.
 *  2. Leave the index first, then retire (`replace`): the other way round a reader could announce e + 1 and still find s.
 *  3. Every slot is in one place: never used, live (being built, or in the index), or waiting. take_slot makes it live; publish either puts
 *     it into the index or retires it; replace retires what it overwrites. So none is lost, and none waits twice.
 *  4. A chunk changes its kind only when nothing in it lives and its newest retirement is past for every reader (`empty_closing`): by 1
 *     nobody reads any of it. A table that is being built when its chunk closes is live, and is retired by publish instead of
 *     entering the index.
 *  5. key, kind and hash of a slot change only in publish, before the index leads to it: whoever finds it sees them complete.
 * test/kernel/keys-order-test.c goes through the orders in which threads can meet, and each of these was seen to fail there when broken.
 * Insertion, eviction and closing are under one spin lock; building is outside of it. */
#define _GNU_SOURCE
#include "keys.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include "common.h"
#include "dispatch.h"
#include "slow.h"
#include "key_pool.h"

#define PAUSE_CLAIMS 512  /* valid claims for which a kind without a free place is not asked for again */
#define BUDGET_BARE 32    /* what a valid claim adds to the budget for building: about a quarter of the time that it took */
#define BUDGET_TABLE 6
#define BUDGET_MAX 40000  /* so that it can cover as many tables of each kind as are built at once */
_Static_assert(BUDGET_MAX > CW_ELEMENTS_MAX * (160 + 240 + 1000 + 2400), "the budget covers a set of each kind");
/* Valid claims of late for a table of each kind, and what one costs to build, in the unit of the budget: a quarter of a thread's time or less
 * goes to building. Tables pay for themselves after about 6, 20, 300 and 2,000 claims. They are built a set at a time, a table an
 * element, and a set takes the same time however many of its elements are used: so it always costs the same. */
static const uint32_t due[CW_KEY_KINDS] = {[CW_TINY] = 3, [CW_SMALL] = 16, [CW_LARGE] = 64, [CW_HUGE] = 4096};
static const uint32_t cost[CW_KEY_KINDS] = {[CW_TINY] = 160, [CW_SMALL] = 240, [CW_LARGE] = 1000, [CW_HUGE] = 2400};

/* Addresses for the whole pool; memory is taken page by page. */
int cw_keys_start(size_t bytes) {
    const size_t fit = bytes / CHUNK_BYTES;
    const uint32_t count = (uint32_t)(fit > CHUNKS_MIN ? fit : CHUNKS_MIN);
    uint64_t sets = 64;
    while (sets * WAYS < 2ull * CHUNK_SLOTS * count) sets *= 2;
    return open_pool(count, sets) && getrandom(hash_key, sizeof hash_key, 0) == sizeof hash_key;
}

int cw_keys_join(struct cw_keys_thread *thread, void *scratch) {
    thread->scratch = scratch;
    thread->forced = -1;
    for (thread->place = 0; thread->place < THREADS_MAX; thread->place++) {
        int expected = 0;
        if (!atomic_compare_exchange_strong(&taken[thread->place], &expected, 1)) continue;
        int highest = atomic_load(&places);
        while (highest <= thread->place && !atomic_compare_exchange_weak(&places, &highest, thread->place + 1)) {}
        return 1;
    }
    return 0;
}
void cw_keys_leave(struct cw_keys_thread *thread) {
    cw_keys_exit(thread);
    atomic_store(&taken[thread->place], 0);
}
uint64_t cw_keys_now(void) { return atomic_load(&epoch); }
void cw_keys_enter(struct cw_keys_thread *thread, uint64_t since) {
    atomic_store(&announced[thread->place].epoch, since); /* sequentially consistent: before any look at the index */
}
void cw_keys_exit(struct cw_keys_thread *thread) { atomic_store(&announced[thread->place].epoch, 0); }

/* Points of keys without a table, decompressed in one call of the kernel: at most its number of elements. */
struct points {
    int count;
    uint64_t x[8][4], y[8][4];
    uint8_t odd[8], owner[8]; /* the job that it is for */
};
static void decompress(struct points *p, struct cw_job *job, uint8_t (*point)[CW_ROW_BYTES]) {
    const uint32_t good = cw_kernel->decompress(p->count, (const uint64_t(*)[4])p->x, p->odd, p->y);
    for (int i = 0; i < p->count; i++) {
        uint8_t *row = point[p->owner[i]];
        memcpy(row, p->x[i], 32);
        memcpy(row + 32, p->y[i], 32);
        if (good >> i & 1) job[p->owner[i]].table = row;
    }
    p->count = 0;
}
void cw_keys_points(struct cw_keys_thread *thread, struct cw_job *job, uint32_t count, int parity) {
    const uint64_t *h = thread->hashes[parity];
    uint8_t bare[CW_BATCH], first_with[CW_BATCH]; /* the job whose point this one shares */
    struct points p = {.count = 0};
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (job[i].kind == CW_BARE) bare[n++] = (uint8_t)i;
    for (uint32_t m = 0; m < n; m++) {
        const uint32_t i = bare[m], own = job[i].index;
        const uint8_t *key = thread->keys[parity][own];
        uint32_t k = 0;
        for (; k < m; k++) {
            const uint32_t other = job[bare[k]].index;
            if (h[other] == h[own] && !memcmp(thread->keys[parity][other], key, 33)) break;
        }
        first_with[m] = k < m ? bare[k] : (uint8_t)i;
        if (k < m) continue;
        cw_words_from_be(p.x[p.count], key + 1);
        if (!cw_words_less(p.x[p.count], cw_p_words)) continue;
        p.odd[p.count] = key[0] & 1;
        p.owner[p.count++] = (uint8_t)i;
        if (p.count == cw_kernel->elements) decompress(&p, job, thread->points[parity]);
    }
    if (p.count) decompress(&p, job, thread->points[parity]);
    for (uint32_t m = 0; m < n; m++) job[bare[m]].table = job[first_with[m]].table;
}

void cw_keys_find(struct cw_keys_thread *thread, struct cw_job *job, const uint8_t *const *key, uint32_t count, int parity) {
    uint64_t *h = thread->hashes[parity];
    uint8_t (*copy)[40] = thread->keys[parity];
    for (uint32_t i = 0; i < count; i++) {
        memcpy(copy[i], key[i], 33);
        h[i] = hash(copy[i]);
        __builtin_prefetch((const void *)buckets[h[i] & bucket_mask]);
    }
    for (uint32_t i = 0; i < count; i++) { /* the likely slot's header, before it is compared */
        const _Atomic uint64_t *bucket = buckets[h[i] & bucket_mask];
        for (int k = 0; k < WAYS; k++) {
            const uint64_t word = atomic_load_explicit(&bucket[k], memory_order_relaxed);
            if ((uint32_t)word && word >> 32 == h[i] >> 32) __builtin_prefetch(&slots[(uint32_t)word - 1]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id;
        const int found = thread->forced != CW_BARE && lookup(h[i], copy[i], &id);
        job[i].index = i;
        job[i].kind = found ? slots[id].kind : CW_BARE;
        job[i].table = found ? slot_table(id, slots[id].kind) : 0;
        job[i].slot = found ? id + 1 : 0;
    }
}

static int64_t set_cost(int kind) { return (int64_t)cw_kernel->elements * cost[kind]; }
/* Notes that a key has earned a table of a kind. */
static void want(struct cw_keys_thread *thread, int kind, const uint8_t *key, uint64_t h, uint32_t heat, const uint8_t *point) {
    struct cw_wanted *w = &thread->wanted[kind];
    for (uint32_t i = 0; i < w->count; i++)
        if (w->hash[i] == h && !memcmp(w->key[i], key, 33)) {
            w->heat[i] = heat;
            return;
        }
    if (w->count == (uint32_t)cw_kernel->elements) return;
    if (!w->count) w->claims = 0;
    memcpy(w->key[w->count], key, 33);
    memcpy(w->x[w->count], point, 32);
    memcpy(w->y[w->count], point + 32, 32);
    w->heat[w->count] = heat;
    w->hash[w->count++] = h;
}
/* Builds the tables that are wanted of a kind. Keys that have got one meanwhile, from another thread, need none. */
static void build_wanted(struct cw_keys_thread *thread, int kind) {
    struct cw_wanted *w = &thread->wanted[kind];
    uint64_t x[8][4], y[8][4];
    uint8_t *table[8];
    uint32_t id[8], from[8], old, n = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        if (lookup(w->hash[i], w->key[i], &old) && slots[old].kind >= kind) continue;
        const int64_t slot = take_slot(kind, thread->forced < 0 ? w->heat[i] : HEAT_MAX);
        if (slot < 0) {
            w->pause = PAUSE_CLAIMS;
            break;
        }
        memcpy(x[n], w->x[i], 32);
        memcpy(y[n], w->y[i], 32);
        table[n] = slot_table((uint32_t)slot, kind);
        from[n] = i;
        id[n++] = (uint32_t)slot;
    }
    w->count = 0;
    if (!n) return;
    cw_kernel->build(kind, (int)n, (const uint64_t(*)[4])x, (const uint64_t(*)[4])y, table, thread->scratch);
    COUNT(builds[kind], n);
    thread->budget -= set_cost(kind);
    for (uint32_t i = 0; i < n; i++) publish(id[i], w->key[from[i]], w->hash[from[i]], kind, w->heat[from[i]]);
}

/* Counts a valid claim for its key. */
static void reward(struct cw_keys_thread *thread, const struct cw_job *job, int parity) {
    const uint64_t h = thread->hashes[parity][job->index];
    const int has_table = job->slot != 0, now = has_table ? (int)job->kind : -1;
    uint32_t heat;
    if (has_table) set_heat(job->slot - 1, heat = slot_heat(job->slot - 1) + 1);
    else heat = note_key(h, 1);
    thread->budget += has_table ? BUDGET_TABLE : BUDGET_BARE;
    int kind = CW_KEY_KINDS - 1;
    if (thread->forced >= 0) kind = thread->forced == CW_BARE ? -1 : thread->forced;
    else while (kind > now && (heat < due[kind] || thread->wanted[kind].pause)) kind--;
    if (kind > now && thread->wanted[kind].count == (uint32_t)cw_kernel->elements && (thread->forced >= 0 || thread->budget >= set_cost(kind)))
        build_wanted(thread, kind);
    if (kind > now) want(thread, kind, thread->keys[parity][job->index], h, heat, job->table); /* row 0 of a table is the key itself */
}
void cw_keys_reward(struct cw_keys_thread *thread, const struct cw_job *job, uint32_t count, int parity) {
    uint32_t valid = 0;
    uint64_t had[CW_KINDS + 1] = {0};
    for (uint32_t i = 0; i < count; i++) {
        had[job[i].kind]++;
        if (cw_plain_verdict(job[i].verdict) == CW_VALID) reward(thread, &job[i], parity), valid++;
    }
    for (int kind = 0; kind < CW_KEY_KINDS; kind++)
        if (had[kind]) COUNT(hits[kind], had[kind]);
    if (had[CW_BARE]) COUNT(misses, had[CW_BARE]);
    if (thread->budget > BUDGET_MAX) thread->budget = BUDGET_MAX;
    for (int kind = 0; kind < CW_KEY_KINDS; kind++) {
        struct cw_wanted *w = &thread->wanted[kind];
        w->pause -= w->pause < valid ? w->pause : valid;
        if (!w->count) continue;
        w->claims += valid;
        /* The smallest may overdraw the budget, larger ones wait for what keys without a table leave of it: those gain the most. */
        const int is_due = thread->budget >= (kind == CW_TINY ? 0 : set_cost(kind));
        /* Fewer keys than the kernel has elements wait for others, for as many claims as pay for the set. */
        const int is_ready = w->count == (uint32_t)cw_kernel->elements || w->claims >= set_cost(kind) / BUDGET_TABLE;
        if (thread->forced >= 0 || (is_due && is_ready)) build_wanted(thread, kind);
    }
    thread->valid += valid;
    if (thread->valid < AGE_TABLES_MIN) return;
    acquire();
    hits_since_age += thread->valid;
    if (hits_since_age >= AGE_HITS * (live_tables > AGE_TABLES_MIN ? live_tables : AGE_TABLES_MIN)) {
        hits_since_age = 0;
        atomic_store_explicit(&age, age + 1, memory_order_relaxed);
    }
    release();
    thread->valid = 0;
}

#include "key_warm.h"

void cw_keys_limit(size_t bytes) {
    const size_t fit = bytes / CHUNK_BYTES, most = fit < chunk_count ? fit : chunk_count;
    acquire();
    chunk_limit = (uint32_t)(most < LIMIT_MIN ? LIMIT_MIN : most);
    release();
    /* One chunk at a time, so that nobody waits for long. What closes is in use until its last reader is gone. */
    for (uint32_t vain = 0, over = 1; over && vain <= chunk_count / CHUNKS_TRIED + 1;) {
        acquire();
        while (empty_closing()) {}
        uint32_t open = 0;
        for (int kind = 0; kind < CW_KEY_KINDS; kind++) open += rings[kind].chunks;
        over = open > chunk_limit;
        vain = over && close_one(-1, UINT64_MAX) ? 0 : vain + 1;
        release();
    }
}

void cw_keys_stats(struct cw_stats *stats) {
    stats->hits_huge = hits[CW_HUGE], stats->hits_large = hits[CW_LARGE], stats->hits_small = hits[CW_SMALL], stats->hits_tiny = hits[CW_TINY];
    stats->builds_huge = builds[CW_HUGE], stats->builds_large = builds[CW_LARGE];
    stats->builds_small = builds[CW_SMALL], stats->builds_tiny = builds[CW_TINY];
    stats->misses = misses, stats->evictions = evictions, stats->refused = refused;
    stats->bytes = (uint64_t)chunk_limit * CHUNK_BYTES;
    stats->bytes_used = used;
}

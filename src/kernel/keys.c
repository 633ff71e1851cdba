/* Key tables in two sizes from two pools mapped at start: every key seen gets a small one, a hot key a large one.
 *
 * Look-up is lock-free: an index has buckets of eight words (tag, slot number + 1), each published with release after
 * its slot and table are complete. A slot taken out of the index may still be read by a thread that found it before, so it
 * waits in limbo: each thread announces the epoch in which its oldest batch began, taking a slot out advances the epoch,
 * and a slot is reused when every announced epoch is later than its own. Nobody waits for anybody: when no slot is
 * free, the table is built into memory of the thread and used for that batch alone (counted as refused).
 *
 * Why the order of operations is right. Reader: loads the epoch, announces it, reads the index. Writer: stores to the index, then
 * advances the epoch, later reads what is announced. A reader that still found the slot in the index read it before that
 * store, so it loaded the epoch before the advance: what it announced is not later than the slot's epoch, and it was announced
 * before the writer looks. All of these are sequentially consistent: the reader's announcement must be seen before its
 * look at the index (a store before a load, which release and acquire let pass each other, on x86 too).
 * test/kernel/keys-order-test.c goes through the orders in which threads can meet.
 * Insertion, eviction (a clock that halves `heat`) and promotion are under one spin lock; building is outside of it.
 * cw_keys_limit lets a pool use only a part of its slots: it evicts what is too much, and later ones evict before they add. */
#define _GNU_SOURCE
#include "keys.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>
#include "common.h"
#include "dispatch.h"
#include "slow.h"

#define THREADS_MAX 256
#define WAYS 8
#define PROMOTE_HEAT 64   /* a large table costs about 40 verifications and saves 0.4 of one each time */
#define PROMOTE_TURN 64   /* of so many promotions into a full pool one may evict; bounds churn to about 1 % of the time */
#define SCAN_MAX 16       /* slots the clock looks at before it gives up or evicts the coldest one seen */
#define SMALL_MIN 1024    /* so that two batches in flight cannot pin the pool */
#define LARGE_MIN 16
#define LIMIT_MIN 2       /* so that eviction ahead of need, at half of the limit, happens at all */

struct slot {
    uint8_t key[33];
    uint8_t kind;
    _Atomic uint32_t heat;
    uint64_t hash, retired;
} __attribute__((aligned(64)));

struct pool {
    uint32_t first, count, fresh; /* slot numbers first .. first+count-1; those from `fresh` on were never used */
    uint32_t hand, asked; /* `asked`: how often a slot of the full pool was requested */
    uint32_t closed; /* slots that are not to be used now, whichever they are */
    uint64_t limbo_head, limbo_tail; /* ring of `count` slot numbers; these never wrap, `count` is no power of two */
    uint32_t *limbo;
    uint8_t *tables;
    size_t table_bytes;
};

static struct pool pools[2];
static struct slot *slots;
static _Atomic uint64_t (*buckets)[WAYS];
static uint64_t bucket_mask, hash_key[4];
static _Atomic uint64_t epoch = 1;
static struct { _Atomic uint64_t epoch; char pad[56]; } announced[THREADS_MAX]; /* 0: not reading; own cache line each */
static _Atomic int taken[THREADS_MAX], places; /* places: one more than the highest place ever taken */
static atomic_flag lock = ATOMIC_FLAG_INIT;
static _Atomic uint64_t hits_large, hits_small, misses, builds_small, builds_large, evictions, refused, used[2];

#define COUNT(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

static void acquire(void) {
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}
static void release(void) { atomic_flag_clear_explicit(&lock, memory_order_release); }

static uint8_t *slot_table(uint32_t id) {
    const struct pool *p = &pools[id >= pools[CW_LARGE].first];
    return p->tables + (id - p->first) * p->table_bytes;
}

/* Maps room for `counts` tables of each kind, found through `sets` buckets (a power of two). */
static int open_pools(const uint32_t counts[2], uint64_t sets) {
    uint32_t total = 0;
    for (int kind = 0; kind < 2; kind++) {
        struct pool *p = &pools[kind];
        p->table_bytes = (size_t)cw_table_rows(kind) * CW_ROW_BYTES;
        p->count = counts[kind];
        p->first = p->fresh = total;
        total += p->count;
        p->tables = cw_map(p->count * p->table_bytes);
        p->limbo = calloc(p->count, sizeof *p->limbo);
        if (!p->tables || !p->limbo) return 0;
    }
    bucket_mask = sets - 1;
    buckets = cw_map(sets * sizeof *buckets);
    slots = cw_map(total * sizeof *slots);
    return buckets && slots;
}
/* Half of the bytes for each size: eight keys with a small table to one with a large one. Where addresses cost nothing, each
 * size has them for three quarters, so that cw_keys_limit can share the bytes out otherwise. */
#ifdef __wasm__
#define MAPPED_QUARTERS 2
#else
#define MAPPED_QUARTERS 3
#endif
int cw_keys_start(size_t bytes) {
    uint32_t counts[2], closed[2];
    for (int kind = 0; kind < 2; kind++) {
        const size_t table_bytes = (size_t)cw_table_rows(kind) * CW_ROW_BYTES, minimum = kind == CW_SMALL ? SMALL_MIN : LARGE_MIN;
        const size_t half = bytes / 2 / table_bytes, mapped = bytes / 4 * MAPPED_QUARTERS / table_bytes;
        counts[kind] = (uint32_t)(mapped > minimum ? mapped : minimum);
        closed[kind] = counts[kind] - (uint32_t)(half > minimum ? half : minimum);
    }
    uint64_t sets = 64;
    while (sets * WAYS < 2ull * (counts[CW_SMALL] + counts[CW_LARGE])) sets *= 2;
    const int is_open = open_pools(counts, sets);
    for (int kind = 0; kind < 2; kind++) pools[kind].closed = closed[kind];
    return is_open && getrandom(hash_key, sizeof hash_key, 0) == sizeof hash_key;
}

int cw_keys_join(struct cw_keys_thread *thread, void *scratch) {
    thread->scratch = scratch;
    thread->spare = cw_map(2 * CW_BATCH * pools[CW_SMALL].table_bytes);
    if (!thread->spare) return 0;
    for (thread->place = 0; thread->place < THREADS_MAX; thread->place++) {
        int expected = 0;
        if (!atomic_compare_exchange_strong(&taken[thread->place], &expected, 1)) continue;
        int highest = atomic_load(&places);
        while (highest <= thread->place && !atomic_compare_exchange_weak(&places, &highest, thread->place + 1)) {}
        return 1;
    }
    cw_unmap(thread->spare, 2 * CW_BATCH * pools[CW_SMALL].table_bytes);
    return 0;
}
void cw_keys_leave(struct cw_keys_thread *thread) {
    cw_keys_exit(thread);
    cw_unmap(thread->spare, 2 * CW_BATCH * pools[CW_SMALL].table_bytes);
    atomic_store(&taken[thread->place], 0);
}
uint64_t cw_keys_now(void) { return atomic_load(&epoch); }
void cw_keys_enter(struct cw_keys_thread *thread, uint64_t since) {
    atomic_store(&announced[thread->place].epoch, since); /* sequentially consistent: before any look at the index */
}
void cw_keys_exit(struct cw_keys_thread *thread) { atomic_store(&announced[thread->place].epoch, 0); }

static uint64_t oldest_reader(void) {
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < atomic_load(&places); i++) {
        uint64_t e = atomic_load(&announced[i].epoch);
        if (e && e < oldest) oldest = e;
    }
    return oldest;
}

/* Keyed by random words of this process, so that nobody can choose keys that share a bucket. */
static uint64_t hash(const uint8_t *key) {
    uint64_t w[4];
    memcpy(w, key + 1, 32);
    cw_u128 a = (cw_u128)(w[0] ^ hash_key[0]) * (w[1] ^ hash_key[1]), b = (cw_u128)(w[2] ^ hash_key[2]) * (w[3] ^ hash_key[3]);
    uint64_t h = (uint64_t)a ^ (uint64_t)(a >> 64) ^ ((uint64_t)b + (uint64_t)(b >> 64)) ^ key[0];
    a = (cw_u128)(h ^ hash_key[2]) * 0x9E3779B97F4A7C15ULL;
    return (uint64_t)a ^ (uint64_t)(a >> 64);
}

/* Returns the place of a key in the index, or 0. */
static _Atomic uint64_t *lookup(uint64_t h, const uint8_t *key, uint32_t *id) {
    _Atomic uint64_t *bucket = buckets[h & bucket_mask];
    for (int i = 0; i < WAYS; i++) {
        const uint64_t word = atomic_load(&bucket[i]);
        if ((uint32_t)word == 0 || word >> 32 != h >> 32) continue;
        *id = (uint32_t)word - 1;
        if (memcmp(slots[*id].key, key, 33) == 0) return &bucket[i];
    }
    return 0;
}

/* Under the lock. The index leads to slot `id` no more, or never did: it may be used again when all present readers are gone. */
static void retire(uint32_t id) {
    struct pool *p = &pools[id >= pools[CW_LARGE].first];
    slots[id].retired = atomic_fetch_add(&epoch, 1);
    p->limbo[p->limbo_tail++ % p->count] = id;
    used[p - pools] -= p->table_bytes;
}
/* Under the lock. Changes a word of the index, and only then retires the slot it led to: a reader that announces the epoch
 * after that slot's can no longer find it. */
static void replace(_Atomic uint64_t *word, uint64_t value) {
    const uint32_t before = (uint32_t)atomic_load(word);
    atomic_store(word, value);
    if (before) retire(before - 1);
}
/* Under the lock. Takes slot `id` out of the index, if it is there. */
static void unlink_slot(uint32_t id) {
    uint32_t found;
    _Atomic uint64_t *word = lookup(slots[id].hash, slots[id].key, &found);
    if (!word || found != id) return;
    replace(word, 0);
    COUNT(evictions, 1);
}
/* Under the lock. The clock halves heat as it passes; the coldest of those seen goes, if it is colder than `heat`. */
static void evict_one(struct pool *p, uint32_t heat) {
    uint32_t coldest = 0, lowest = UINT32_MAX;
    for (int i = 0; i < SCAN_MAX && lowest; i++) {
        const uint32_t id = p->first + p->hand;
        p->hand = p->first + p->hand + 1 >= p->fresh ? 0 : p->hand + 1; /* beyond `fresh` there is nothing */
        uint32_t found, h = atomic_load_explicit(&slots[id].heat, memory_order_relaxed);
        atomic_store_explicit(&slots[id].heat, h / 2, memory_order_relaxed);
        _Atomic uint64_t *word = lookup(slots[id].hash, slots[id].key, &found);
        if (word && found == id && h < lowest) lowest = h, coldest = id;
    }
    if (lowest < heat) unlink_slot(coldest);
}
/* Returns a slot to build into, or -1. Evicts ahead of need, so that later batches find a reusable slot in limbo. */
static int64_t take_slot(int kind, uint32_t heat) {
    struct pool *p = &pools[kind];
    int64_t id = -1;
    acquire();
    const int64_t limit = (int64_t)p->count - p->closed, room = limit - (int64_t)(used[kind] / p->table_bytes);
    if (room > 0 && p->fresh < p->first + limit) {
        id = p->fresh++;
    } else {
        /* Halving makes the large ones look cold. So only a fraction of the requests may halve, or equally hot keys would
         * replace each other for ever. A miss, though, needs its slot. */
        const int turn = kind == CW_SMALL || p->asked++ % PROMOTE_TURN == 0;
        if (turn && room < limit / 2) evict_one(p, heat);
        if (room > 0 && p->limbo_head != p->limbo_tail) {
            const uint32_t head = p->limbo[p->limbo_head % p->count];
            if (oldest_reader() > slots[head].retired) id = head, p->limbo_head++;
        }
    }
    if (id >= 0) used[kind] += p->table_bytes;
    release();
    return id;
}
/* Puts slot `id`, whose table is complete, into the index for `key`, in place of an older one. */
static void publish(uint32_t id, const uint8_t *key, uint64_t h, int kind, uint32_t heat) {
    struct slot *s = &slots[id];
    uint32_t old;
    acquire();
    memcpy(s->key, key, 33);
    s->kind = (uint8_t)kind;
    s->hash = h;
    atomic_store_explicit(&s->heat, heat, memory_order_relaxed);
    _Atomic uint64_t *word = lookup(s->hash, s->key, &old);
    if (word && slots[old].kind >= s->kind) { /* another thread was faster */
        retire(id);
    } else {
        if (!word) {
            _Atomic uint64_t *bucket = buckets[s->hash & bucket_mask];
            int i = 0;
            while (i < WAYS && (uint32_t)atomic_load(&bucket[i])) i++;
            if (i == WAYS) COUNT(evictions, 1);
            word = &bucket[i < WAYS ? i : (int)(s->hash >> 61)];
        }
        replace(word, (s->hash >> 32) << 32 | (id + 1));
    }
    release();
}
static void give_back(uint32_t id) {
    acquire();
    retire(id);
    release();
}

/* Keys to build tables for in one call of the kernel: at most its number of elements. */
struct pending {
    int count;
    const uint8_t *key[8];
    uint64_t hash[8], x[8][4], y[8][4];
    uint8_t odd[8];
    int64_t id[8];
    uint8_t *table[8];
};

/* Builds small tables for the keys collected: key[i]'s table goes into out[i], and 0 for bytes that are no key. */
static void build_small(struct cw_keys_thread *thread, struct pending *p, const uint8_t **out) {
    const uint32_t good = cw_kernel->decompress(p->count, (const uint64_t(*)[4])p->x, p->odd, p->y);
    int n = 0, at[8];
    uint64_t x[8][4], y[8][4];
    uint8_t *table[8];
    for (int i = 0; i < p->count; i++) {
        out[i] = 0;
        if (!(good >> i & 1)) {
            if (p->id[i] >= 0) give_back((uint32_t)p->id[i]);
            continue;
        }
        memcpy(x[n], p->x[i], 32);
        memcpy(y[n], p->y[i], 32);
        table[n] = p->table[i];
        at[n++] = i;
    }
    if (!n) return;
    cw_kernel->build(CW_SMALL, n, (const uint64_t(*)[4])x, (const uint64_t(*)[4])y, table, thread->scratch);
    COUNT(builds_small, (uint64_t)n);
    for (int k = 0; k < n; k++) {
        const int i = at[k];
        out[i] = table[k];
        if (p->id[i] >= 0) publish((uint32_t)p->id[i], p->key[i], p->hash[i], CW_SMALL, 1);
    }
}

/* Builds tables for all keys of a batch that have none: each distinct key once, VEC at a time. */
static void build_missing(struct cw_keys_thread *thread, struct cw_job *job, const uint8_t *const *key, const uint64_t *h,
                          const uint8_t *missing, uint32_t count, int parity) {
    uint8_t *spare = thread->spare + (size_t)parity * CW_BATCH * pools[CW_SMALL].table_bytes;
    uint8_t first_with[CW_BATCH]; /* the job whose table this one shares */
    uint8_t owner[8];
    struct pending p = {.count = 0};
    for (uint32_t m = 0; m <= count; m++) {
        if (p.count == cw_kernel->elements || (m == count && p.count)) {
            const uint8_t *out[8];
            build_small(thread, &p, out);
            for (int i = 0; i < p.count; i++) job[owner[i]].table = out[i];
            p.count = 0;
        }
        if (m == count) break;
        const uint32_t i = missing[m];
        uint32_t k = 0;
        while (k < m && (h[missing[k]] != h[i] || memcmp(key[missing[k]], key[i], 33))) k++;
        first_with[m] = k < m ? missing[k] : (uint8_t)i;
        job[i].kind = CW_SMALL;
        job[i].table = 0;
        if (k < m) continue;
        cw_words_from_be(p.x[p.count], key[i] + 1);
        if (!cw_words_less(p.x[p.count], cw_p_words)) continue;
        p.odd[p.count] = key[i][0] & 1;
        p.key[p.count] = key[i];
        p.hash[p.count] = h[i];
        p.id[p.count] = take_slot(CW_SMALL, UINT32_MAX);
        if (p.id[p.count] < 0) {
            COUNT(refused, 1);
            p.table[p.count] = spare;
            spare += pools[CW_SMALL].table_bytes;
        } else {
            p.table[p.count] = slot_table((uint32_t)p.id[p.count]);
        }
        owner[p.count++] = (uint8_t)i;
    }
    for (uint32_t m = 0; m < count; m++) job[missing[m]].table = job[first_with[m]].table;
}

/* Builds large tables for keys found hot in this batch, which itself still uses the small ones. */
static void promote(struct cw_keys_thread *thread, const uint32_t *hot, int count) {
    uint64_t x[8][4], y[8][4];
    uint8_t *table[8];
    uint32_t id[8], from[8];
    int n = 0;
    for (int i = 0; i < count; i++) {
        const uint32_t heat = atomic_load_explicit(&slots[hot[i]].heat, memory_order_relaxed);
        const int64_t slot = take_slot(CW_LARGE, heat / 2);
        atomic_store_explicit(&slots[hot[i]].heat, heat / 2, memory_order_relaxed); /* not again at once, if refused */
        if (slot < 0) continue;
        memcpy(x[n], slot_table(hot[i]), 32); /* row 0 of window 0 is the key itself */
        memcpy(y[n], slot_table(hot[i]) + 32, 32);
        table[n] = slot_table((uint32_t)slot);
        from[n] = hot[i];
        id[n++] = (uint32_t)slot;
    }
    if (!n) return;
    cw_kernel->build(CW_LARGE, n, (const uint64_t(*)[4])x, (const uint64_t(*)[4])y, table, thread->scratch);
    COUNT(builds_large, (uint64_t)n);
    for (int i = 0; i < n; i++) publish(id[i], slots[from[i]].key, slots[from[i]].hash, CW_LARGE, PROMOTE_HEAT);
}

void cw_keys_find(struct cw_keys_thread *thread, struct cw_job *job, const uint8_t *const *key, uint32_t count, int parity) {
    uint64_t h[CW_BATCH], found[2] = {0, 0};
    uint8_t missing[CW_BATCH];
    uint32_t miss = 0, hot[8];
    int hot_count = 0, urgent = 0;
    for (uint32_t i = 0; i < count; i++) {
        h[i] = hash(key[i]);
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
        if (!lookup(h[i], key[i], &id)) {
            missing[miss++] = (uint8_t)i;
            continue;
        }
        struct slot *s = &slots[id];
        const uint32_t heat = atomic_load_explicit(&s->heat, memory_order_relaxed);
        if (heat < 1u << 20) atomic_store_explicit(&s->heat, heat + 1, memory_order_relaxed);
        job[i].table = slot_table(id);
        job[i].kind = s->kind;
        found[s->kind]++;
        if (s->kind == CW_SMALL && heat >= PROMOTE_HEAT && hot_count < cw_kernel->elements) {
            int k = 0;
            while (k < hot_count && hot[k] != id) k++;
            if (k == hot_count) hot[hot_count++] = id;
            urgent |= heat >= 2 * PROMOTE_HEAT;
        }
    }
    if (found[CW_SMALL]) COUNT(hits_small, found[CW_SMALL]);
    if (found[CW_LARGE]) COUNT(hits_large, found[CW_LARGE]);
    if (miss) {
        COUNT(misses, miss);
        build_missing(thread, job, key, h, missing, miss, parity);
    }
    if (hot_count == cw_kernel->elements || urgent) promote(thread, hot, hot_count);
}

void cw_keys_limit(size_t small_bytes, size_t large_bytes) {
    const size_t bytes[2] = {[CW_SMALL] = small_bytes, [CW_LARGE] = large_bytes};
    for (int kind = 0; kind < 2; kind++) {
        struct pool *p = &pools[kind];
        const size_t fit = bytes[kind] / p->table_bytes, most = fit < p->count ? fit : p->count, limit = most < LIMIT_MIN ? LIMIT_MIN : most;
        acquire();
        p->closed = p->count - (uint32_t)limit;
        release();
        /* One at a time, so that no verifier waits. After a lap of the clock without any, what is over is being built. */
        for (uint32_t vain = 0, over = 1; over && vain <= p->count / SCAN_MAX + 1;) {
            acquire();
            const uint64_t before = used[kind];
            over = before / p->table_bytes > limit;
            if (over) evict_one(p, UINT32_MAX);
            vain = used[kind] < before ? 0 : vain + 1;
            release();
        }
    }
}

void cw_keys_stats(struct cw_stats *stats) {
    stats->hits_large = hits_large, stats->hits_small = hits_small, stats->misses = misses;
    stats->builds_small = builds_small, stats->builds_large = builds_large;
    stats->evictions = evictions, stats->refused = refused;
    stats->bytes = 0;
    for (int kind = 0; kind < 2; kind++) stats->bytes += (uint64_t)(pools[kind].count - pools[kind].closed) * pools[kind].table_bytes;
    stats->bytes_used = used[0] + used[1];
}

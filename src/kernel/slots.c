/* From slots of the ring to verdicts, in batches: claim -> digest, key -> table, rows -> sum. Each thread has a cw_thread
 * with two batches, so that the table rows of the next one are prefetched while the present one is added up.
 * Everything in a slot is hostile: its bytes are only hashed or parsed as r and s, and row numbers are checked. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include "claimwire_kernel.h"
#include "common.h"
#include "dispatch.h"
#include "keys.h"
#include "sign_key.h"
#include "slow.h"
#include "throwaway_sign.h"

#define AHEAD 8      /* how many slots ahead what lies in rows of channels is prefetched */
#define SINGLE_MAX 3 /* so few are faster one by one, each signature spread over the elements */
#define LATER_MAX (CW_KEY_KINDS * (CW_ELEMENTS_MAX - 1) + CW_BARE_TOGETHER * CW_ELEMENTS_MAX - 1)

/* A batch and where its answers go: slot[i]'s verdict for job i, or verdicts[index[i]] for cw_verify_many. */
struct work {
    uint64_t epoch;
    uint8_t *slot[CW_BATCH];
    const uint8_t *key[CW_BATCH];
    struct cw_batch batch;
};
/* Hashed jobs that wait for the next batch of the same call: what fills no vector with its kind of table. */
struct later {
    uint32_t count;
    uint8_t *slot[LATER_MAX];
    const uint8_t *key[LATER_MAX];
    struct cw_job job[LATER_MAX];
};
struct hasher {
    uint32_t count;
    struct cw_job *job[CW_ELEMENTS_MAX];
    uint8_t block[CW_ELEMENTS_MAX][128];
};
struct cw_thread {
    struct cw_keys_thread keys;
    uint8_t *scratch;
    struct hasher xrpl, link;
    struct work work[2];
    struct later later;
    struct cw_sign_room sign_room;
};
static _Atomic uint64_t verified, valid, slow_paths;
#define COUNT(counter, n) atomic_fetch_add_explicit(&(counter), n, memory_order_relaxed)

static size_t thread_bytes(void) { return (sizeof(struct cw_thread) + 4095) & ~(size_t)4095; }

struct cw_thread *cw_thread_new(void) {
    if (!cw_kernel) return 0;
    const size_t bytes = thread_bytes() + cw_kernel->scratch_bytes;
    struct cw_thread *thread = cw_map(bytes);
    if (!thread) return 0;
    thread->scratch = (uint8_t *)thread + thread_bytes();
    for (int i = 0; i < CW_ELEMENTS_MAX; i++) { /* what all preimages of a profile have in common, padding included */
        memcpy(thread->xrpl.block[i], "CLM", 4);
        thread->xrpl.block[i][44] = 0x80;
        cw_write_be64(thread->xrpl.block[i] + 120, 44 * 8);
        memcpy(thread->link.block[i], "claimwire/link/1", 16);
        thread->link.block[i][77] = 0x80;
        cw_write_be64(thread->link.block[i] + 120, 77 * 8);
    }
    if (cw_keys_join(&thread->keys, thread->scratch)) return thread;
    cw_unmap(thread, bytes);
    return 0;
}
void cw_thread_free(struct cw_thread *thread) {
    cw_keys_leave(&thread->keys);
    cw_unmap(thread, thread_bytes() + cw_kernel->scratch_bytes);
}

static void hash_queued(struct hasher *h, int link) {
    const struct cw_kernel *kernel = h->count == 1 ? cw_lone_hasher : cw_kernel;
    uint64_t digest[CW_ELEMENTS_MAX][4];
    if (!h->count) return;
    (link ? kernel->sha256 : kernel->sha512_half)((int)h->count, (const uint8_t(*)[128])h->block, digest);
    for (uint32_t i = 0; i < h->count; i++) memcpy(h->job[i]->z, digest[i], 32);
    h->count = 0;
}
/* The first part of the ledger id, as bytes, and where the rest lies. */
struct channel { uint64_t ledger_head; const uint8_t *ledger_tail, *key; uint32_t key_row; int link; };
static void copy_ledger_id(uint8_t *to, const struct channel *c) {
    memcpy(to, &c->ledger_head, CW_LEDGER_HEAD_BYTES);
    memcpy(to + CW_LEDGER_HEAD_BYTES, c->ledger_tail, CW_LEDGER_TAIL_BYTES);
}

/* Queues a claim's preimage. job->z is set when the queue is full, or by hash_rest. */
static void hash_claim(struct cw_thread *thread, const uint8_t *claim, const struct channel *c, struct cw_job *job) {
    struct hasher *h = c->link ? &thread->link : &thread->xrpl;
    uint8_t *block = h->block[h->count];
    h->job[h->count++] = job;
    if (c->link) {
        copy_ledger_id(block + 16, c);
        memcpy(block + 48, claim, CW_CLAIM_SIGNATURE); /* all that lies before it */
        memcpy(block + 69, claim + CW_CLAIM_TIMESTAMP, 8);
    } else {
        copy_ledger_id(block + 4, c);
        memcpy(block + 36, claim + CW_CLAIM_AMOUNT, 8);
    }
    if (h->count == (uint32_t)cw_kernel->elements) hash_queued(h, c->link);
}
static void hash_rest(struct cw_thread *thread) {
    hash_queued(&thread->xrpl, 0);
    hash_queued(&thread->link, 1);
}

/* Asks for what find_channel and hash_claim read of a slot's channel. The slot may be anybody's: an address is all that it decides. */
CW_INLINE void prefetch_channel(const struct cw_arena *a, uint32_t sequence) {
    const uint32_t row = __atomic_load_n((const uint32_t *)(cw_arena_slot(a, sequence) + CW_SLOT_CHANNEL), __ATOMIC_RELAXED);
    if (row >= a->rows_max) return;
    const uint8_t *tail = a->base + a->ledger_tails + (size_t)row * CW_LEDGER_TAIL_BYTES;
    __builtin_prefetch(cw_arena_hot(a, row));
    __builtin_prefetch(tail);
    __builtin_prefetch(tail + CW_LEDGER_TAIL_BYTES - 1); /* one in four lies in two lines */
}
/* Finds a slot's channel. Returns 0 when its row or its key is outside of the arena: a slot may name any u32. */
static int find_channel(const struct cw_arena *a, const uint8_t *slot, struct channel *c) {
    uint32_t row;
    memcpy(&row, slot + CW_SLOT_CHANNEL, 4);
    if (row >= a->rows_max) return 0;
    const uint32_t *hot = cw_arena_hot(a, row);
    c->key_row = hot[CW_HOT_KEY];
    if (c->key_row >= a->rows_max) return 0;
    if (hot[CW_HOT_FLAGS] & CW_FLAG_OWN_HANDLE) memcpy(&c->ledger_head, a->base + a->ledger_heads + (size_t)row * CW_LEDGER_HEAD_BYTES, 8);
    else c->ledger_head = __builtin_bswap64((uint64_t)hot[CW_HOT_ID_HIGH] << 32 | hot[CW_HOT_ID_LOW]);
    c->ledger_tail = a->base + a->ledger_tails + (size_t)row * CW_LEDGER_TAIL_BYTES;
    c->key = a->base + a->keys + (size_t)c->key_row * CW_KEY_ROW_BYTES;
    c->link = (hot[CW_HOT_FLAGS] & CW_FLAG_LINK) != 0;
    return 1;
}
static int32_t verdict_of(const uint8_t *slot) { return __atomic_load_n((const int32_t *)(slot + CW_SLOT_VERDICT), __ATOMIC_ACQUIRE); }
static void set_verdict(uint8_t *slot, int32_t verdict) { __atomic_store_n((int32_t *)(slot + CW_SLOT_VERDICT), verdict, __ATOMIC_RELEASE); }

/* The verdict that a key's first byte alone decides, or CW_PENDING. */
static int key_verdict(const uint8_t *key) {
    return key[0] == CW_ED25519_KEY_PREFIX ? CW_UNSUPPORTED : key[0] == 2 || key[0] == 3 ? CW_PENDING : CW_INVALID;
}
/* Reads r and s of a signature into a job. Returns 0 when they are out of range. */
static int parse_signature(struct cw_job *job, const uint8_t signature[64]) {
    cw_words_from_be(job->r, signature);
    cw_words_from_be(job->s, signature + 32);
    return cw_signature_in_range(job->r, job->s);
}

/* Puts the jobs that waited into a batch. Returns how many there may be in all: as many more as usual, and whole vectors to hash. */
static uint32_t take_later(struct cw_thread *thread, struct work *w) {
    struct later *l = &thread->later;
    const uint32_t n = l->count, room = (CW_BATCH - n) & ~((uint32_t)cw_kernel->elements - 1);
    memcpy(w->slot, l->slot, n * sizeof *l->slot);
    memcpy(w->key, l->key, n * sizeof *l->key);
    memcpy(w->batch.job, l->job, n * sizeof *l->job);
    l->count = 0;
    return n + (room < cw_batch_max ? room : cw_batch_max);
}
/* Fills a batch with what waited and from slot `*at` on, and stops before `end`. Slots that are decided without the curve get their verdict
 * here. What fills no vector of the hasher stays queued, for hash_rest. */
static uint32_t take_slots(struct cw_thread *thread, const struct cw_arena *a, struct work *w, uint32_t *at, uint32_t end) {
    uint32_t n = thread->later.count, judged = 0;
    for (const uint32_t most = take_later(thread, w); *at != end && n < most; ++*at) {
        uint8_t *slot = cw_arena_slot(a, *at);
        struct channel c;
        prefetch_channel(a, *at + AHEAD);
        if (verdict_of(slot)) continue;
        int verdict = find_channel(a, slot, &c) ? key_verdict(c.key) : CW_INVALID;
        if (!verdict && !parse_signature(&w->batch.job[n], slot + CW_CLAIM_SIGNATURE)) verdict = CW_INVALID;
        if (verdict) {
            set_verdict(slot, verdict);
            judged++;
            continue;
        }
        hash_claim(thread, slot, &c, &w->batch.job[n]);
        w->slot[n] = slot;
        w->key[n++] = c.key;
    }
    w->batch.count = n;
    return judged;
}

static int parity_of(const struct cw_thread *thread, const struct work *w) { return w == &thread->work[1]; }
/* Takes those jobs out of a batch that would leave a vector with elements to spare: a whole one costs the same, and jobs without a table cost
 * least with all the vectors that are summed side by side. Their digests are known. */
static void put_off(struct cw_thread *thread, struct work *w) {
    struct later *l = &thread->later;
    uint32_t whole[CW_KINDS + 1] = {0}, all = 0, n = 0;
    for (uint32_t i = 0; i < w->batch.count; i++) whole[w->batch.job[i].kind]++;
    for (int kind = 0; kind <= CW_KINDS; kind++) {
        whole[kind] -= whole[kind] % ((uint32_t)cw_kernel->elements * (kind == CW_BARE ? CW_BARE_TOGETHER : 1));
        all += whole[kind];
    }
    if (all == w->batch.count) return;
    for (uint32_t i = 0; i < w->batch.count; i++) {
        if (whole[w->batch.job[i].kind]) {
            whole[w->batch.job[i].kind]--;
            w->batch.job[n] = w->batch.job[i];
            w->slot[n++] = w->slot[i];
        } else {
            l->job[l->count] = w->batch.job[i];
            l->slot[l->count] = w->slot[i];
            l->key[l->count++] = w->key[i];
        }
    }
    w->batch.count = n;
}
/* Finds the tables for a batch. Jobs whose key is no point get INVALID and leave it. `older`: the batch still in flight. `more`: another batch
 * follows, which jobs may wait for. */
static uint32_t find_tables(struct cw_thread *thread, struct work *w, const struct work *older, int more, uint8_t *verdicts, uint32_t *index) {
    w->epoch = cw_keys_now();
    cw_keys_enter(&thread->keys, older ? older->epoch : w->epoch);
    cw_keys_find(&thread->keys, w->batch.job, w->key, w->batch.count, parity_of(thread, w));
    if (more) put_off(thread, w);
    cw_keys_points(&thread->keys, w->batch.job, w->batch.count, parity_of(thread, w));
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->batch.count; i++) {
        if (!w->batch.job[i].table) {
            if (verdicts) verdicts[index[i]] = CW_INVALID;
            else set_verdict(w->slot[i], CW_INVALID);
            continue;
        }
        if (n != i) {
            w->batch.job[n] = w->batch.job[i];
            w->slot[n] = w->slot[i];
            if (index) index[n] = index[i];
        }
        n++;
    }
    const uint32_t dropped = w->batch.count - n;
    w->batch.count = n;
    return dropped;
}

/* Slots are told how it came about: whoever makes many of these is charged for them (path/slow-paths.ts). */
static int decide_completely(const struct cw_job *job) {
    COUNT(slow_paths, 1);
    return (cw_complete_verify(job, cw_generator) ? CW_VALID : CW_INVALID) | CW_SLOWLY | (job->kind == CW_BARE ? CW_TABLELESS : 0);
}
static void judge(struct cw_batch *batch) {
    uint32_t good = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct cw_job *job = &batch->job[i];
        if (job->verdict == CW_UNDECIDED) job->verdict = (uint32_t)decide_completely(job);
        good += cw_plain_verdict(job->verdict) == CW_VALID;
    }
    COUNT(valid, good);
    COUNT(verified, batch->count);
}
/* What is queued is hashed here, while the rows of the key's table come from memory. */
static void verify_singly(struct cw_thread *thread, struct work *w, enum cw_path path) {
    struct cw_batch *batch = &w->batch;
    struct cw_lone lone;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct cw_job *job = &batch->job[i];
        const int is_known = path == CW_PATH_SINGLE && job->kind != CW_BARE;
        if (is_known) cw_find_key_rows(job, &lone);
        hash_rest(thread);
        if (is_known) job->verdict = (uint32_t)cw_kernel->single(job, cw_generator, &lone);
        else job->verdict = CW_UNDECIDED;
    }
    if (path == CW_PATH_SINGLE) cw_kernel->bare(batch, cw_generator, thread->scratch);
    judge(batch);
}
static void prepare(struct cw_thread *thread, struct cw_batch *batch, int first) {
    cw_kernel->prepare(batch, cw_generator, thread->scratch);
    for (uint32_t i = 0; first && i < batch->rows; i++) __builtin_prefetch(batch->row[i], 0, 2);
}
static void finish(struct cw_thread *thread, struct cw_batch *batch, const struct cw_batch *next) {
    if (batch->rows) cw_kernel->finish(batch, next, thread->scratch);
    cw_kernel->bare(batch, cw_generator, thread->scratch);
    judge(batch);
}
/* Verdicts first: nobody who waits for one waits for a table to be built. */
static uint32_t publish_slots(struct cw_thread *thread, struct work *w) {
    for (uint32_t i = 0; i < w->batch.count; i++) set_verdict(w->slot[i], (int32_t)w->batch.job[i].verdict);
    cw_keys_reward(&thread->keys, w->batch.job, w->batch.count, parity_of(thread, w));
    return w->batch.count;
}

uint32_t cw_verify_slots(struct cw_thread *thread, const struct cw_arena *a, uint32_t first_sequence, uint32_t count) {
    struct work *now = &thread->work[0], *next = &thread->work[1], *pending = 0;
    if (count > CW_VERIFY_SLOTS_MAX) count = CW_VERIFY_SLOTS_MAX;
    uint32_t at = first_sequence, judged = 0;
    const uint32_t end = first_sequence + count;
    while (at != end) {
        judged += take_slots(thread, a, now, &at, end);
        if (!now->batch.count) continue;
        const int are_few = !pending && at == end && now->batch.count <= SINGLE_MAX, is_lone = are_few && now->batch.count == 1;
        if (!is_lone) hash_rest(thread);
        judged += find_tables(thread, now, pending, at != end, 0, 0);
        if (!now->batch.count) {
            hash_rest(thread); /* of a claim whose key is no point: its place in the queue must not outlive it */
            continue;
        }
        if (are_few) {
            verify_singly(thread, now, CW_PATH_SINGLE);
            judged += publish_slots(thread, now);
            break;
        }
        prepare(thread, &now->batch, !pending);
        if (pending) {
            finish(thread, &pending->batch, &now->batch);
            judged += publish_slots(thread, pending);
        }
        pending = now;
        now = next;
        next = pending;
    }
    if (pending) {
        finish(thread, &pending->batch, 0);
        judged += publish_slots(thread, pending);
    }
    cw_keys_exit(&thread->keys);
    /* Next the caller looks whether the committer sleeps (ring/doorbell.ts): the verdicts must be visible before that. */
    atomic_thread_fence(memory_order_seq_cst);
    return judged;
}
int cw_verify_slot(struct cw_thread *thread, const struct cw_arena *a, uint32_t sequence) {
    cw_verify_slots(thread, a, sequence, 1);
    return verdict_of(cw_arena_slot(a, sequence));
}

static void verify_slowly(const uint8_t *digest, const uint8_t *signature, const uint8_t *key, uint8_t *verdict) {
    uint64_t x[4], y[4], z[4];
    struct cw_job job;
    *verdict = (uint8_t)key_verdict(key);
    if (*verdict) return;
    *verdict = CW_INVALID;
    if (!parse_signature(&job, signature) || !cw_slow_parse_key(x, y, key)) return;
    cw_words_from_be(z, digest);
    if (cw_slow_verify(job.r, job.s, z, x, y)) *verdict = CW_VALID;
}
/* Key i is at keys + i * stride. */
static void verify_many(struct cw_thread *thread, enum cw_path path, size_t count, const uint8_t *digests, const uint8_t *signatures,
                        const uint8_t *keys, size_t stride, uint8_t *verdicts) {
    struct work *w = &thread->work[0];
    for (size_t at = 0; path == CW_PATH_SLOW && at < count; at++)
        verify_slowly(digests + 32 * at, signatures + 64 * at, keys + stride * at, verdicts + at);
    for (size_t at = 0; path != CW_PATH_SLOW && at < count; at += CW_BATCH) {
        uint32_t n = 0, index[CW_BATCH];
        for (uint32_t i = 0; i < CW_BATCH && at + i < count; i++) {
            const size_t k = at + i;
            struct cw_job *job = &w->batch.job[n];
            verdicts[k] = (uint8_t)key_verdict(keys + stride * k);
            if (verdicts[k]) continue;
            verdicts[k] = CW_INVALID;
            if (!parse_signature(job, signatures + 64 * k)) continue;
            cw_words_from_be(job->z, digests + 32 * k);
            w->key[n] = keys + stride * k;
            index[n++] = i;
        }
        w->batch.count = n;
        if (n) find_tables(thread, w, 0, 0, verdicts + at, index);
        if (!w->batch.count) continue;
        if (path == CW_PATH_SINGLE || path == CW_PATH_COMPLETE) {
            verify_singly(thread, w, path);
        } else {
            prepare(thread, &w->batch, 1);
            finish(thread, &w->batch, 0);
        }
        cw_keys_reward(&thread->keys, w->batch.job, w->batch.count, parity_of(thread, w));
        for (uint32_t i = 0; i < w->batch.count; i++) verdicts[at + index[i]] = (uint8_t)cw_plain_verdict(w->batch.job[i].verdict);
    }
    cw_keys_exit(&thread->keys);
}
void cw_verify_many(struct cw_thread *thread, enum cw_path path, size_t count, const uint8_t *digests, const uint8_t *signatures,
                    const uint8_t *keys, uint8_t *verdicts) {
    verify_many(thread, path, count, digests, signatures, keys, 33, verdicts);
}
void cw_verify_signed(struct cw_thread *thread, size_t count, const uint8_t *digests, const uint8_t *signatures, const uint8_t key[33], uint8_t *verdicts) {
    verify_many(thread, CW_PATH_BATCH, count, digests, signatures, key, 0, verdicts);
}
struct cw_sign_room *cw_thread_sign_room(struct cw_thread *thread, uint8_t **scratch) {
    *scratch = thread->scratch;
    return &thread->sign_room;
}

int cw_key_valid(const uint8_t key[33]) {
    uint64_t x[4], y[4];
    return cw_slow_parse_key(x, y, key);
}
void cw_force_tables(struct cw_thread *thread, int kind) { thread->keys.forced = kind; }
_Static_assert(CW_LISTED == CW_LISTED_BUCKETS * 8, "a bucket of the index has eight words");
int32_t cw_list_keys(struct cw_thread *thread, uint32_t first, uint8_t *keys, uint8_t *kinds, uint32_t *heat) {
    return cw_keys_list(&thread->keys, first, keys, kinds, heat);
}
int cw_warm_keys(struct cw_thread *thread, int kind, uint32_t count, const uint8_t *keys) {
    return kind >= 0 && kind < CW_KEY_KINDS && cw_keys_warm(&thread->keys, kind, count, keys);
}
void cw_limit_tables(size_t bytes) { cw_keys_limit(bytes); }
void cw_read_stats(struct cw_stats *stats) {
    cw_keys_stats(stats);
    stats->verified = verified, stats->valid = valid, stats->slow_paths = slow_paths;
}

uint32_t cw_throwaway_keys(struct cw_throwaway_key *keys, uint32_t count, const uint8_t *private_keys, const uint8_t *nonces) {
    uint32_t i = 0;
    while (i < count && cw_throwaway_prepare(&keys[i], private_keys + 32 * (size_t)i, nonces + 32 * (size_t)i, cw_generator)) i++;
    return i;
}
/* Signs up to CW_BATCH slots from `*at` on. */
static uint32_t sign_batch(struct cw_thread *thread, const struct cw_arena *a, uint32_t *at, uint32_t end,
                           const struct cw_throwaway_key *keys, uint32_t key_count) {
    struct work *w = &thread->work[0];
    const struct cw_throwaway_key *key[CW_BATCH];
    uint32_t n = 0, signed_count = 0;
    for (; *at != end && n < CW_BATCH; ++*at) {
        uint8_t *slot = cw_arena_slot(a, *at);
        struct channel c;
        prefetch_channel(a, *at + AHEAD);
        if (!find_channel(a, slot, &c) || c.key_row >= key_count) continue;
        hash_claim(thread, slot, &c, &w->batch.job[n]);
        w->slot[n] = slot;
        key[n] = &keys[c.key_row];
        __builtin_prefetch(key[n]);
        __builtin_prefetch(key[n++]->k_inverse);
    }
    hash_rest(thread);
    for (uint32_t i = 0, elements = (uint32_t)cw_kernel->elements; i < n; i += elements)
        cw_kernel->throwaway_sign((int)(n - i < elements ? n - i : elements), &w->batch.job[i], &key[i]);
    for (uint32_t i = 0; i < n; i++) {
        const struct cw_job *job = &w->batch.job[i];
        cw_words_to_be(w->slot[i] + CW_CLAIM_SIGNATURE, job->r);
        cw_words_to_be(w->slot[i] + CW_CLAIM_SIGNATURE + 32, job->s);
        signed_count += !cw_words_zero(job->s);
    }
    return signed_count;
}
uint32_t cw_throwaway_sign_slots(struct cw_thread *thread, const struct cw_arena *a, uint32_t first_sequence, uint32_t count,
                                 const struct cw_throwaway_key *keys, uint32_t key_count) {
    uint32_t signed_count = 0;
    for (uint32_t at = first_sequence, end = first_sequence + count; at != end;)
        signed_count += sign_batch(thread, a, &at, end, keys, key_count);
    return signed_count;
}

/* Compares every kernel that this CPU runs with the slow path: random, corrupted and edge signatures in all batch sizes, both
 * sizes of table, special keys, collisions crafted at every node of the tree, and throw-away signatures. Also tests the cache
 * under several threads. */
#define _POSIX_C_SOURCE 199309L /* nanosleep */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "claimwire_kernel.h"
#include "common.h"
#include "craft.h"
#include "dispatch.h"
#include "kernel.h"
#include "slow.h"
#include "throwaway_sign.h"

/* A sanitizer looks at memory and arithmetic: every road once, where the plain build has more values on it. */
#ifdef CW_EMULATED /* every instruction costs tens: a quarter of the collisions, for one kind of table, and few cases of all else */
enum { ROWS_TRIED = 6, MULTIPLES = 10, EACH_SIZE_TO = 6, SIZE_STEP = 61, CROWDED_ROUNDS = 1, NEIGHBOURS = 2, CACHE_ROUNDS = 3, BARE_MULTIPLES = 6, BARE_EDGES = 0, IS_BRIEF = 1, COLLISION_STEP = 4 };
#elif defined(CW_SANITIZED)
enum { ROWS_TRIED = 20, MULTIPLES = 60, EACH_SIZE_TO = 10, SIZE_STEP = 37, CROWDED_ROUNDS = 1, NEIGHBOURS = 4, CACHE_ROUNDS = 10, BARE_MULTIPLES = 34, BARE_EDGES = 64, IS_BRIEF = 1, COLLISION_STEP = 1 };
#else
enum { ROWS_TRIED = 60, MULTIPLES = 200, EACH_SIZE_TO = 20, SIZE_STEP = 11, CROWDED_ROUNDS = 2, NEIGHBOURS = 20, CACHE_ROUNDS = 60, BARE_MULTIPLES = 34, BARE_EDGES = 64, IS_BRIEF = 0, COLLISION_STEP = 1 };
#endif

#ifdef CW_SHIM
#define SHIM_NAME "-shim"
#else
#define SHIM_NAME ""
#endif
static __thread uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

static number random_number(void) {
    const uint64_t w[4] = {random_word(), random_word(), random_word(), random_word()};
    return from_words(w);
}

/* A kernel with tables of its own for a few keys. */
#define KEYS 14
#define FORCED 6 /* the last keys change during the tests, and have the tables of one kind only */
struct bench {
    const struct cw_kernel *kernel;
    uint8_t *generator, *scratch, *table[CW_BARE + 1][KEYS]; /* of CW_BARE the point alone */
    int ordinary; /* of so many keys every table is there */
    number d[KEYS];
    uint64_t x[KEYS][4], y[KEYS][4];
    struct cw_batch *batch, *other;
};
static void *aligned(size_t bytes) { return aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095); }

/* What a key can be verified with: four sizes of table, or the point alone. */
static const int KINDS[] = {CW_TINY, CW_SMALL, CW_LARGE, CW_HUGE, CW_BARE};
enum { KINDS_TRIED = sizeof KINDS / sizeof *KINDS };
static void build_key(struct bench *b, int key, int kind) {
    if (kind == CW_BARE) memcpy(b->table[kind][key], b->x[key], 32), memcpy(b->table[kind][key] + 32, b->y[key], 32);
    else b->kernel->build(kind, 1, (const uint64_t(*)[4])&b->x[key], (const uint64_t(*)[4])&b->y[key], &b->table[kind][key], b->scratch);
}
static void set_point(struct bench *b, int key, number d) {
    b->d[key] = d;
    cw_slow_multiply_generator(b->x[key], b->y[key], d.w);
}
/* Sets a key of which one kind of table is used only. */
static void set_key(struct bench *b, int key, int kind, number d) {
    set_point(b, key, d);
    build_key(b, key, kind);
}
static void open_bench(struct bench *b, const struct cw_kernel *kernel) {
    b->kernel = kernel;
    b->generator = aligned((size_t)cw_table_rows(CW_GENERATOR) * 64);
    b->scratch = aligned(kernel->generator_scratch_bytes > kernel->scratch_bytes ? kernel->generator_scratch_bytes : kernel->scratch_bytes);
    b->batch = aligned(sizeof *b->batch);
    b->other = aligned(sizeof *b->other);
    kernel->build(CW_GENERATOR, 1, (const uint64_t(*)[4])&cw_generator_x, (const uint64_t(*)[4])&cw_generator_y, &b->generator, b->scratch);
    for (int k = 0; k < KINDS_TRIED; k++)
        for (int i = 0; i < KEYS; i++) b->table[KINDS[k]][i] = aligned(KINDS[k] == CW_BARE ? 64 : (size_t)cw_table_rows(KINDS[k]) * 64);
    number lambda;
    memcpy(lambda.w, cw_lambda_words, 32);
    const number special[6] = {small_number(1), small_number(2), small_number(3), small_number(4), negate(small_number(1)), lambda};
    for (int i = 0; i < KEYS; i++) {
        set_point(b, i, i < 6 ? special[i] : random_number());
        for (int k = 0; k < KINDS_TRIED; k++) build_key(b, i, KINDS[k]);
    }
    b->ordinary = KEYS;
}
static void close_bench(struct bench *b) {
    free(b->generator), free(b->scratch), free(b->batch), free(b->other);
    for (int k = 0; k < KINDS_TRIED; k++)
        for (int i = 0; i < KEYS; i++) free(b->table[KINDS[k]][i]);
}

/* Checks a sample of rows: row i of window j is (2i + 1) 2^offset Q. */
static void test_tables(struct bench *b) {
    for (int kind = 0; kind < CW_KINDS; kind++)
        for (int round = 0; round < ROWS_TRIED; round++) {
            const int key = (int)(random_word() % KEYS), j = (int)(random_word() % cw_windows(kind));
            const int last = cw_window_rows(kind, j) - 1, i = round % 3 == 0 ? last : (int)(random_word() % (uint64_t)(last + 1));
            number k = small_number(2 * (uint64_t)i + 1), two = small_number(2);
            for (int bit = 0; bit < j * cw_width(kind); bit++) k = multiply(k, two);
            if (kind != CW_GENERATOR) k = multiply(k, b->d[key]);
            uint64_t x[4], y[4];
            cw_slow_multiply_generator(x, y, k.w);
            const uint8_t *row = (kind == CW_GENERATOR ? b->generator : b->table[kind][key]) + (((size_t)j << (cw_width(kind) - 1)) + (size_t)i) * 64;
            EXPECT(!memcmp(row, x, 32) && !memcmp(row + 32, y, 32), "%s: row %d of window %d, kind %d", b->kernel->name, i, j, kind);
        }
}

static void test_generator_multiple(struct bench *b) {
    for (int i = 0; i < MULTIPLES; i++) {
        const number k = i < 20 ? small_number((uint64_t)i + 1) : i < 40 ? negate(small_number((uint64_t)i - 19)) : random_number();
        uint64_t fast[4], x[4], y[4];
        cw_slow_multiply_generator(x, y, k.w);
        EXPECT(!cw_generator_multiply_x(fast, k.w, b->generator) || !memcmp(fast, x, 32), "generator multiple %d", i);
    }
}

static int expected(const struct bench *b, const struct cw_job *job, int key) {
    return cw_slow_verify(job->r, job->s, job->z, b->x[key], b->y[key]) ? CW_VALID : CW_INVALID;
}
static void some_job(const struct bench *b, struct cw_job *job, int *key) {
    *key = (int)(random_word() % (uint64_t)b->ordinary);
    job->kind = (uint32_t)KINDS[random_word() % KINDS_TRIED];
    job->table = b->table[job->kind][*key];
    static const uint64_t tiny[4] = {1, 0, 0, 0};
    const unsigned style = random_word() % 8;
    do { /* u1 = 0 among them */
        const number u1 = style == 0 ? small_number(0) : style == 1 ? small_number(random_word() % 16) : random_number();
        const number u2 = style == 1 || style == 2 ? small_number(1 + random_word() % 16) : random_number();
        if (craft(job, u1, u2, b->d[*key])) break;
    } while (1);
    switch (random_word() % 10) {
    case 0: job->z[random_word() % 4] ^= 1ULL << random_word() % 64; break;
    case 1: job->r[random_word() % 2] ^= 1ULL << random_word() % 64; break;
    case 2: job->s[random_word() % 2] ^= 1ULL << random_word() % 64; break;
    case 3: memcpy(job->r, random_word() & 1 ? tiny : cw_p_minus_n_words, 32); break;
    case 4: memcpy(job->s, random_word() & 1 ? tiny : cw_half_n_words, 32); break;
    case 5: memset(job->z, random_word() & 1 ? 0xFF : 0, 32); break;
    }
    if (!cw_signature_in_range(job->r, job->s)) memcpy(job->r, tiny, 32), memcpy(job->s, tiny, 32);
}
static int settle(const struct bench *b, const struct cw_job *job, int verdict, int key, int *undecided) {
    if (verdict != CW_UNDECIDED) return verdict;
    ++*undecided;
    return expected(b, job, key);
}
static void judge_batch(struct bench *b) {
    b->kernel->prepare(b->batch, b->generator, b->scratch);
    if (b->batch->rows) b->kernel->finish(b->batch, 0, b->scratch);
    b->kernel->bare(b->batch, b->generator, b->scratch);
}
static void run(struct bench *b, const int *key, int *undecided, const char *what) {
    judge_batch(b);
    for (uint32_t i = 0; i < b->batch->count; i++) {
        struct cw_job *job = &b->batch->job[i];
        const int wanted = expected(b, job, key[i]), got = settle(b, job, (int)job->verdict, key[i], undecided);
        EXPECT(cw_complete_verify(job, b->generator) == (wanted == CW_VALID), "complete: key %d, kind %u: expected %d", key[i], job->kind, wanted);
        EXPECT(got == wanted, "%s, %s: job %u of %u, key %d, kind %u: expected %d, got %d", b->kernel->name, what, i, b->batch->count, key[i], job->kind, wanted, got);
        if (job->kind == CW_BARE) continue;
        const int single = cw_verify_lone(b->kernel, job, b->generator);
        EXPECT(settle(b, job, single, key[i], undecided) == wanted, "%s, %s: single, key %d, kind %u: expected %d, got %d", b->kernel->name, what, key[i], job->kind, wanted, single);
    }
}
static void test_batches(struct bench *b) {
    int key[CW_BATCH], undecided = 0;
    for (int size = 1; size <= CW_BATCH; size += size < EACH_SIZE_TO || size > CW_BATCH - 4 ? 1 : SIZE_STEP) {
        b->batch->count = (uint32_t)size;
        for (int i = 0; i < size; i++) some_job(b, &b->batch->job[i], &key[i]);
        run(b, key, &undecided, "batch");
    }
}

/* One crafted signature among ordinary ones. It must be recognized as a collision, and not disturb the others. */
struct meeting { struct bench *b; int kind, met, seen, step, elements; number u1, u2; };
static void collide(void *context, number d) {
    struct meeting *m = context;
    struct bench *b = m->b;
    int key[CW_BATCH], undecided = 0;
    struct cw_job job;
    const int valid = random_word() % 4 != 0;
    if (m->seen++ % m->step || is_zero(d) || !craft(&job, m->u1, m->u2, d)) return;
    if (!valid) forge(&job, m->u1, m->u2, random_number());
    set_key(b, KEYS - 1, m->kind, d);
    b->ordinary = KEYS - FORCED;
    b->batch->count = NEIGHBOURS;
    for (uint32_t i = 0; i < b->batch->count; i++) some_job(b, &b->batch->job[i], &key[i]);
    const uint32_t at = (uint32_t)(random_word() % b->batch->count);
    job.kind = (uint32_t)m->kind;
    job.table = b->table[m->kind][KEYS - 1];
    b->batch->job[at] = job;
    key[at] = KEYS - 1;
    run(b, key, &undecided, "collision");
    m->met += b->batch->job[at].verdict == CW_UNDECIDED;
    EXPECT(b->batch->job[at].verdict == CW_UNDECIDED, "%s: a crafted collision was not noticed", b->kernel->name);
    EXPECT(expected(b, &job, KEYS - 1) == (valid ? CW_VALID : CW_INVALID), "crafted signature: expected %d", valid);
}
static void collide_in_order(void *context, number d) {
    struct meeting *m = context;
    struct cw_job job = {.kind = (uint32_t)m->kind, .table = m->b->table[m->kind][KEYS - 1]};
    if (m->seen++ % m->step || is_zero(d) || !craft(&job, m->u1, m->u2, d)) return;
    set_key(m->b, KEYS - 1, m->kind, d);
    EXPECT(expected(m->b, &job, KEYS - 1) == CW_VALID && cw_complete_verify(&job, m->b->generator), "complete: a valid signature refused");
    for (int valid = 1; valid >= 0; valid--) {
        if (m->elements == m->b->kernel->elements) EXPECT(cw_verify_lone(m->b->kernel, &job, m->b->generator) == CW_UNDECIDED, "%s: single: a crafted collision was not noticed", m->b->kernel->name);
        EXPECT(cw_complete_verify(&job, m->b->generator) == valid, "complete: expected %d", valid);
        if (valid) forge(&job, m->u1, m->u2, random_number());
    }
    m->met++;
}
static void test_collisions(struct bench *b, int kind) {
    struct meeting m = {b, kind, 0, 0, COLLISION_STEP, 1, random_number(), random_number()};
    /* complete.c adds in one sum, single.h in as many as there are elements. Briefly the scalar kernel alone shows complete.c,
     * which is the same code for all of them. */
    for (int all = IS_BRIEF || b->kernel->elements == 1; all < 2; all++) {
        m.met = 0;
        m.elements = all ? b->kernel->elements : 1;
        each_collision_in_order(m.elements, kind, m.u1, m.u2, b->table[kind][0], b->generator, collide_in_order, &m);
        printf("%s, %d windows: %d collisions in order, %d elements\n", b->kernel->name, cw_windows(kind), m.met, m.elements);
    }
    m.met = 0;
    const int levels = each_collision(kind, m.u1, m.u2, b->table[kind][0], b->generator, collide, &m);
    printf("%s, %d windows: %d collisions met in %d levels and the end\n", b->kernel->name, cw_windows(kind), m.met, levels);
}

/* Many collisions in one batch, of both kinds, in the same streams and at several levels, valid and not. */
struct found { number d[200]; int count; };
static void note(void *context, number d) {
    struct found *f = context;
    if (!is_zero(d) && f->count < 200) f->d[f->count++] = d;
}
static void test_crowded_collisions(struct bench *b) {

    struct cw_job forced[FORCED];
    int keys[CW_BATCH], undecided = 0;
    b->ordinary = KEYS - FORCED;
    for (int i = 0; i < FORCED; i++) {
        const int kind = i % CW_KEY_KINDS, key = KEYS - 1 - i;
        const number u1 = random_number(), u2 = random_number();
        struct found f = {.count = 0};
        each_collision(kind, u1, u2, b->table[kind][0], b->generator, note, &f);
        const number d = f.d[random_word() % (uint64_t)f.count];
        set_key(b, key, kind, d);
        EXPECT(craft(&forced[i], u1, u2, d), "craft");
        if (i >= 4) forge(&forced[i], u1, u2, random_number());
        forced[i].kind = (uint32_t)kind;
        forced[i].table = b->table[kind][key];
    }
    for (uint32_t share = 1; share <= 16; share *= 2) { /* one in so many is honest */
        b->batch->count = CW_BATCH - (uint32_t)(random_word() % 9);
        for (uint32_t i = 0; i < b->batch->count; i++) {
            const int which = (int)(random_word() % FORCED);
            if (random_word() % share == 0) some_job(b, &b->batch->job[i], &keys[i]);
            else b->batch->job[i] = forced[which], keys[i] = KEYS - 1 - which;
        }
        run(b, keys, &undecided, "crowded collisions");
    }
    EXPECT(undecided > 100, "crowded collisions: expected many undecided, got %d", undecided);
}

/* Where a key has no table: sums of G's rows with u2 Q, for a key made for each, and sums of multiples of Q alone, which u2 makes
 * and which anybody can choose. */
static void test_bare_collisions(struct bench *b) {
    struct meeting m = {b, CW_BARE, 0, 0, 1, b->kernel->elements, random_number(), random_number()};
    each_bare_collision(m.u1, m.u2, b->generator, collide, &m); /* 20 rows, equal or opposite; opposite to the last one there is no signature */
    EXPECT(m.met == 39, "%s: expected 39 bare collisions, got %d", b->kernel->name, m.met);
    number lambda;
    memcpy(lambda.w, cw_lambda_words, 32);
    int chosen = 0, keys[CW_BATCH], undecided = 0;
    b->ordinary = KEYS - FORCED;
    b->batch->count = 0;
    /* 26 lambda lies where two splits are equally short: which one comes out, and so whether sums meet, is the kernel's way to round. */
    for (int q = -2; q <= 2; q++)
        for (int i = -BARE_MULTIPLES - (q ? 0 : BARE_EDGES); i <= BARE_MULTIPLES + (q ? 0 : BARE_EDGES); i++) {
            const int l = i < -BARE_MULTIPLES ? -26 : i > BARE_MULTIPLES ? 26 : i;
            const number a = small_number((uint64_t)(q < 0 ? -q : q)), c = multiply(small_number((uint64_t)(l < 0 ? -l : l)), lambda);
            const number u2 = add(q < 0 ? negate(a) : a, l < 0 ? negate(c) : c), u1 = random_word() % 2 ? random_number() : small_number(0);
            const int key = (int)(random_word() % (uint64_t)b->ordinary);
            struct cw_job job = {.kind = CW_BARE, .table = b->table[CW_BARE][key]};
            if (!craft(&job, u1, u2, b->d[key])) continue;
            if (random_word() % 4 == 0) forge(&job, u1, u2, random_number());
            keys[b->batch->count] = key;
            b->batch->job[b->batch->count++] = job;
            if (b->batch->count < CW_BATCH) continue;
            run(b, keys, &undecided, "small multiples of a bare key");
            chosen += undecided, undecided = 0;
            b->batch->count = 0;
        }
    printf("%s, no table: %d collisions met, and %d of multiples of the key alone\n", b->kernel->name, m.met, chosen);
    const int rounds_so = !strcmp(b->kernel->name, "scalar") || !strcmp(b->kernel->name, "avx512ifma");
    EXPECT(chosen > 0 || !BARE_EDGES || !rounds_so, "%s: no sum of multiples of a key was undecided", b->kernel->name);
}

/* x(R) = n + r is valid, and only by the second candidate. */
static void test_second_candidate(struct bench *b) {
    const int key = KEYS - 1;
    for (int k = 0; k < KINDS_TRIED; k++) {
        const int kind = KINDS[k];
        struct cw_job job = {.kind = (uint32_t)kind, .table = b->table[kind][key]};
        int keys[CW_BATCH], undecided = 0;
        craft_second_candidate(&job, b->x[key], b->y[key]);
        build_key(b, key, kind);
        for (int i = 0; i < 9; i++) {
            b->batch->job[i] = job;
            b->batch->job[i].z[0] = (uint64_t)i & 1;
            keys[i] = key;
        }
        b->batch->count = 9;
        EXPECT(expected(b, &job, key) == CW_VALID, "second candidate is not valid");
        run(b, keys, &undecided, "second candidate");
    }
}

/* Throw-away signatures of 1..elements digests, keys and nonces mixed, against the specification. */
static void some_throwaway(const struct bench *b, struct cw_throwaway_key *key, uint64_t x[4], uint64_t y[4]) {
    uint8_t d[32], k[32], public[33];
    const number secret = random_word() % 8 ? random_number() : negate(small_number(1 + random_word() % 3));
    const number nonce = random_word() % 8 ? random_number() : small_number(1 + random_word() % 3);
    cw_words_to_be(d, secret.w);
    cw_words_to_be(k, nonce.w);
    EXPECT(cw_throwaway_prepare(key, d, k, b->generator), "throw-away key");
    EXPECT(cw_throwaway_public(public, d) && cw_slow_parse_key(x, y, public), "public key");
}
static void test_throwaway(struct bench *b) {
    static const uint64_t ones[4] = {~0ULL, ~0ULL, ~0ULL, ~0ULL};
    struct cw_throwaway_key key[8];
    const struct cw_throwaway_key *at[8];
    struct cw_job job[9], untouched;
    uint64_t x[8][4], y[8][4];
    memset(&untouched, 0xA5, sizeof untouched);
    for (int round = 0, elements = b->kernel->elements; round < 64; round++) {
        const int count = 1 + round % elements;
        for (int i = 0; i < count; i++) {
            at[i] = &key[i];
            some_throwaway(b, &key[i], x[i], y[i]);
            const number z = random_number(), none = negate(from_words(key[i].rd));
            const unsigned style = random_word() % 10;
            memcpy(job[i].z, style == 0 ? ones : style == 1 ? cw_n_words : style == 2 ? none.w : z.w, 32);
            if (style == 3) memset(job[i].z, 0, 32);
            if (style == 4) memcpy(&job[i].z[1], &ones[1], 24);
        }
        memcpy(&job[count], &untouched, sizeof *job);
        b->kernel->throwaway_sign(count, job, at);
        for (int i = 0; i < count; i++) {
            const int possible = !is_zero(add(from_words(job[i].z), from_words(key[i].rd)));
            EXPECT(cw_slow_verify(job[i].r, job[i].s, job[i].z, x[i], y[i]) == possible, "%s: throw-away signature %d of %d", b->kernel->name, i, count);
            EXPECT(cw_words_zero(job[i].s) == !possible, "%s: s = 0", b->kernel->name);
        }
        EXPECT(!memcmp(&job[count], &untouched, sizeof *job), "%s: signed one too many", b->kernel->name);
    }
    uint8_t zero[32] = {0}, order[32], one[32] = {1}, public[33];
    cw_words_to_be(order, cw_n_words);
    EXPECT(!cw_throwaway_prepare(key, zero, one, b->generator) && !cw_throwaway_prepare(key, order, one, b->generator), "private key 0");
    EXPECT(!cw_throwaway_prepare(key, one, zero, b->generator) && !cw_throwaway_prepare(key, one, order, b->generator), "nonce 0");
    EXPECT(!cw_throwaway_public(public, zero) && !cw_throwaway_public(public, order), "public key of 0");
}

/* Several threads verify through the interface, with a cache far too small for their keys. */
#define CROWD 3000
static uint8_t crowd_key[CROWD][33], crowd_signature[CROWD][64], crowd_digest[CROWD][32];
static void *verify_crowd(void *argument) {
    struct cw_thread *thread = cw_thread_new();
    state += 77 * (uint64_t)(uintptr_t)argument;
    enum { N = 500 };
    static __thread uint8_t digest[N][32], signature[N][64], key[N][33], verdict[N], wanted[N];
    for (int round = 0; round < CACHE_ROUNDS; round++) {
        const int hot = round % 3 == 0 ? CROWD : 40;
        for (int i = 0; i < N; i++) {
            const int k = (int)(random_word() % (uint64_t)hot);
            memcpy(digest[i], crowd_digest[k], 32);
            memcpy(signature[i], crowd_signature[k], 64);
            memcpy(key[i], crowd_key[k], 33);
            wanted[i] = CW_VALID;
            if (random_word() % 5 == 0) digest[i][random_word() % 32] ^= 1, wanted[i] = CW_INVALID;
        }
        cw_verify_many(thread, CW_PATH_BATCH, N, digest[0], signature[0], key[0], verdict);
        for (int i = 0; i < N; i++)
            if (verdict[i] != wanted[i]) printf("FAILED: thread, round %d, %d: expected %d, got %d\n", round, i, wanted[i], verdict[i]), exit(1);
    }
    cw_thread_free(thread);
    return 0;
}
static void test_crowd(void) {
    const char *message = cw_start(1);
    EXPECT(!message, "%s", message);
    const uint8_t k[32] = {9, 8, 7};
    for (int i = 0; i < CROWD; i++) {
        const number d = random_number(), z = random_number();
        uint8_t bytes[32];
        struct cw_throwaway_key key;
        const struct cw_throwaway_key *at = &key;
        struct cw_job job;
        cw_words_to_be(bytes, d.w);
        EXPECT(cw_throwaway_public(crowd_key[i], bytes) && cw_throwaway_prepare(&key, bytes, k, cw_generator), "throw-away key");
        memcpy(job.z, z.w, 32);
        cw_kernel->throwaway_sign(1, &job, &at);
        cw_words_to_be(crowd_digest[i], z.w);
        cw_words_to_be(crowd_signature[i], job.r);
        cw_words_to_be(crowd_signature[i] + 32, job.s);
    }
    pthread_t thread[3];
    for (long i = 0; i < 3; i++) pthread_create(&thread[i], 0, verify_crowd, (void *)i);
    /* Meanwhile the limit goes up and down. */
    for (int i = 0; i < 40; i++) {
        const struct timespec pause = {0, 2000000};
        nanosleep(&pause, 0);
        cw_limit_tables((size_t)(1 + i % 11) << 21);
    }
    cw_limit_tables(SIZE_MAX);
    for (int i = 0; i < 3; i++) pthread_join(thread[i], 0);
    struct cw_stats s;
    cw_limit_tables(3 << 21);
    cw_read_stats(&s);
    EXPECT(s.bytes == 3 << 21 && s.bytes_used <= s.bytes, "%llu of %llu bytes in use after a lower limit", (unsigned long long)s.bytes_used, (unsigned long long)s.bytes);
    cw_limit_tables(SIZE_MAX);
    cw_read_stats(&s);
    /* On a busy machine the threads may be done before a limit lets a key have its large table. */
    for (int again = 0; again < 4 && !s.hits_large; again++) verify_crowd((void *)0), cw_read_stats(&s);
    printf("cache under 3 threads: %llu verified, hits %llu huge %llu large %llu small %llu tiny, %llu misses, %llu evictions, %llu refused\n",
           (unsigned long long)s.verified, (unsigned long long)s.hits_huge, (unsigned long long)s.hits_large, (unsigned long long)s.hits_small,
           (unsigned long long)s.hits_tiny, (unsigned long long)s.misses, (unsigned long long)s.evictions, (unsigned long long)s.refused);
    EXPECT(s.evictions > 0 && s.hits_large > 0 && s.bytes_used <= s.bytes, "the cache did not have to work");
}

static void test_kernel(const struct cw_kernel *kernel) {
    struct bench b;
    open_bench(&b, kernel);
    test_tables(&b);
    test_generator_multiple(&b);
    test_throwaway(&b);
    test_batches(&b);
    for (int round = 0; round < CROWDED_ROUNDS; round++) test_crowded_collisions(&b);
    test_second_candidate(&b);
#ifdef CW_EMULATED
    test_collisions(&b, CW_LARGE);
#else
    for (int kind = CW_HUGE; kind >= CW_TINY; kind--) test_collisions(&b, kind);
#endif
    test_bare_collisions(&b);
    close_bench(&b);
}
/* kernel-test KERNEL tests one kernel, kernel-test cache the cache. */
int main(int argc, char **argv) {
    const char *message, *name = argc == 2 ? argv[1] : "";
    if (!strcmp(name, "cache")) test_crowd();
    else {
#ifdef CW_SHIM /* intrinsics in portable C: any CPU will do */
        const struct cw_kernel *kernel = !strcmp(name, "avx512f") ? &cw_kernel_avx512f : &cw_kernel_avx512ifma;
        message = 0;
        printf("SHIM %s: its intrinsics in portable C\n", kernel->name);
#else
        const struct cw_kernel *kernel = cw_choose_kernel(name, &message);
#endif
        if (!kernel) return printf("SKIPPED %s: %s\n", name, message), 0;
        test_kernel(kernel);
    }
    printf("kernel-test-%s" SHIM_NAME ": %ld checks\n", name, checks);
    return 0;
}

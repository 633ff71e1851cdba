/* See self_test.h. Signatures come from the throw-away signer (one fixed key and nonce each: nothing secret). The digests'
 * expected values are FIPS 180-4's examples. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include "self_test.h"
#include <time.h>
#include "common.h"
#include "slow.h"
#include "throwaway_sign.h"

enum { KEYS = 3, EACH = 4, JOBS = KEYS * EACH, KINDS = CW_KEY_KINDS };

struct cw_known {
    uint64_t x[KEYS][4], y[KEYS][4];
    struct cw_throwaway_key key[KEYS];
    struct cw_batch batch;
    size_t table_at[KINDS]; /* of KEYS tables each, from tables[] */
    uint8_t tables[] __attribute__((aligned(64)));
};
static size_t table_bytes(int kind) { return (size_t)cw_table_rows(kind) * CW_ROW_BYTES; }

size_t cw_known_bytes(void) {
    size_t bytes = sizeof(struct cw_known);
    for (int kind = 0; kind < KINDS; kind++) bytes += KEYS * table_bytes(kind);
    return bytes;
}
void cw_known_make(struct cw_known *known, const uint8_t *generator) {
    for (int i = 0; i < KEYS; i++) {
        uint8_t d[32] = {0}, k[32] = {0};
        uint64_t w[4];
        for (int j = 0; j < 32; j++) d[j] = (uint8_t)(7 * i + 11 * j + 1), k[j] = (uint8_t)(13 * i + 5 * j + 3);
        cw_throwaway_prepare(&known->key[i], d, k, generator);
        cw_words_from_be(w, d);
        cw_slow_multiply_generator(known->x[i], known->y[i], w);
    }
    size_t at = 0;
    for (int kind = 0; kind < KINDS; at += KEYS * table_bytes(kind), kind++) known->table_at[kind] = at;
}
static uint8_t *table_of(struct cw_known *known, int kind, int key) { return known->tables + known->table_at[kind] + (size_t)key * table_bytes(kind); }

/* JOBS signatures of a kind, signed by the kernel; of four two are unchanged, the others have a bit wrong in z, in r or in s. */
static void make_jobs(const struct cw_kernel *kernel, struct cw_known *known, int kind, struct cw_job *job) {
    const struct cw_throwaway_key *signer[JOBS];
    for (int i = 0; i < JOBS; i++) {
        signer[i] = &known->key[i % KEYS];
        job[i].kind = (uint32_t)kind;
        job[i].table = table_of(known, kind, i % KEYS);
        for (int k = 0; k < 4; k++) job[i].z[k] = 0x9E3779B97F4A7C15ULL * (uint64_t)(16 * kind + 4 * i + k + 1);
    }
    for (int i = 0, n; i < JOBS; i += n) {
        n = JOBS - i < kernel->elements ? JOBS - i : kernel->elements;
        kernel->throwaway_sign(n, &job[i], &signer[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        uint64_t *number = i % 3 == 0 ? job[i].z : i % 3 == 1 ? job[i].r : job[i].s;
        if (i / KEYS % 2) number[i % 2] ^= 1ULL << (17 + i);
    }
}
static int expected(int i) { return i / KEYS % 2 ? CW_INVALID : CW_VALID; }

int cw_generator_sound(const uint8_t *generator) {
    const int windows = CW_WINDOWS(CW_GENERATOR), width = CW_WIDTH(CW_GENERATOR);
    for (int j = 0; j < windows; j += 3) {
        const size_t i = (size_t)(j == 0 ? 0 : cw_window_rows(CW_GENERATOR, j) - 1);
        const int bit = j * width;
        uint64_t k[4] = {0}, x[4], y[4];
        k[bit >> 6] = (2 * i + 1) << (bit & 63);
        if (bit & 63) k[(bit >> 6) + 1] = (2 * i + 1) >> (64 - (bit & 63));
        cw_slow_multiply_generator(x, y, k);
        const uint8_t *row = generator + (((size_t)j << (width - 1)) + i) * CW_ROW_BYTES;
        if (memcmp(row, x, 32) || memcmp(row + 32, y, 32)) return 0;
    }
    return 1;
}

static const char *digest_fault(const struct cw_kernel *kernel) {
    static const uint64_t sha512_abc[4] = {0x0A9EEEE64B55D39AULL, 0x12E6FA4E89A97EA2ULL, 0xCC417349AE204131ULL, 0xDDAF35A193617ABAULL};
    static const uint64_t sha256_long[4] = {0xF6ECEDD419DB06C1ULL, 0xA33CE45964FF2167ULL, 0xE5C026930C3E6039ULL, 0x248D6A61D20638B8ULL};
    uint8_t block[CW_ELEMENTS_MAX][128];
    uint64_t digest[CW_ELEMENTS_MAX][4];
    for (int is_short = 0; is_short < 2; is_short++) {
        const char *text = is_short ? "abc" : "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        const size_t length = is_short ? 3 : 56;
        memset(block, 0, sizeof block);
        for (int i = 0; i < kernel->elements; i++) {
            memcpy(block[i], text, length);
            block[i][length] = 0x80;
            cw_write_be64(block[i] + 120, length * 8);
        }
        (is_short ? kernel->sha512_half : kernel->sha256)(kernel->elements, (const uint8_t(*)[128])block, digest);
        for (int i = 0; i < kernel->elements; i++)
            if (memcmp(digest[i], is_short ? sha512_abc : sha256_long, 32)) return is_short ? "a wrong SHA-512Half" : "a wrong SHA-256";
    }
    return 0;
}

const char *cw_self_test(const struct cw_kernel *kernel, struct cw_known *known, const uint8_t *generator, void *scratch) {
    struct cw_batch *batch = &known->batch;
    const char *fault = digest_fault(kernel);
    if (fault) return fault;
    for (int kind = 0; kind < KINDS; kind++)
        for (int at = 0, n; at < KEYS; at += n) {
            uint8_t *table[KEYS];
            n = KEYS - at < kernel->elements ? KEYS - at : kernel->elements;
            for (int i = 0; i < n; i++) table[i] = table_of(known, kind, at + i);
            kernel->build(kind, n, (const uint64_t(*)[4])known->x[at], (const uint64_t(*)[4])known->y[at], table, scratch);
        }
    /* All kinds in one batch, then each job alone. */
    batch->count = KINDS * JOBS;
    for (int kind = 0; kind < KINDS; kind++) make_jobs(kernel, known, kind, &batch->job[kind * JOBS]);
    kernel->prepare(batch, generator, scratch);
    kernel->finish(batch, 0, scratch);
    for (int i = 0; i < KINDS * JOBS; i++) {
        if ((int)batch->job[i].verdict != expected(i % JOBS)) return "a wrong verdict in a batch";
        if (cw_verify_lone(kernel, &batch->job[i], generator) != expected(i % JOBS)) return "a wrong verdict for one signature";
    }
    return 0;
}
_Static_assert(KINDS * JOBS <= CW_BATCH, "the known signatures of all kinds are one batch");

static uint64_t thread_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}
uint64_t cw_batch_nanoseconds(const struct cw_kernel *kernel, struct cw_known *known, const uint8_t *generator, void *scratch) {
    enum { WARM = 2, TIMED = 4, COUNT = 64 };
    struct cw_batch *batch = &known->batch;
    uint64_t start = 0;
    batch->count = COUNT;
    for (int i = 0; i < COUNT; i += JOBS) {
        struct cw_job job[JOBS];
        make_jobs(kernel, known, CW_LARGE, job);
        memcpy(&batch->job[i], job, (size_t)(COUNT - i < JOBS ? COUNT - i : JOBS) * sizeof *job);
    }
    for (int i = 0; i < WARM + TIMED; i++) {
        if (i == WARM) start = thread_nanoseconds();
        kernel->prepare(batch, generator, scratch);
        kernel->finish(batch, 0, scratch);
    }
    return thread_nanoseconds() - start;
}

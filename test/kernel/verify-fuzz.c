/* libFuzzer target: compares every kernel that the CPU runs, in batches and alone, and the complete path with the specification.
 *
 * The input is a list of records, one signature each; any bytes make a list (they count as zeros past the end). A record
 * chooses a key of known logarithm and a way to make r, s, z: raw, or crafted from u1 and u2, or so that two nodes of the
 * addition meet (valid, or with a wrong r); then what to corrupt. Afterwards the same signatures go through the public
 * interface, with their keys as bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "claimwire_kernel.h"
#include "common.h"
#include "craft.h"
#include "dispatch.h"
#include "slow.h"

#define KEYS 10
#define MADE 4 /* keys per input whose logarithm comes from the input */
#define SECOND (KEYS + MADE)
#define KEYS_ALL (KEYS + MADE + 1)
#define RECORDS_MAX 24
struct lot { const struct cw_kernel *kernel; uint8_t *generator, *scratch, *table[CW_KEY_KINDS][KEYS_ALL]; };
static struct lot lots[4];
static int lot_count;
static number logarithm[KEYS_ALL];
static uint64_t key_x[KEYS_ALL][4], key_y[KEYS_ALL][4];
static struct cw_batch *batch;
static struct cw_thread *thread;

static const uint8_t *input, *input_end;
static unsigned byte(void) { return input < input_end ? *input++ : 0; }
static void words(uint64_t w[4]) {
    for (int i = 0; i < 32; i++) {
        if (i % 8 == 0) w[i / 8] = 0;
        w[i / 8] |= (uint64_t)byte() << 8 * (i % 8);
    }
}
/* Small numbers, powers of two, multiples of lambda, their negatives, and 32 raw bytes. */
static number any_number(void) {
    const unsigned kind = byte();
    number v = small_number(byte());
    uint64_t w[4] = {0};
    if (kind % 8 == 1) w[v.w[0] / 64] = 1ULL << v.w[0] % 64, v = from_words(w);
    if (kind % 8 == 2) v = multiply(v, from_words(cw_lambda_words));
    if (kind % 8 == 3) v = invert(v);
    if (kind % 8 >= 4) words(w), v = from_words(w);
    return kind & 8 ? negate(v) : v;
}
static struct cw_job second;
static void build_tables(int key) {
    for (int i = 0; i < lot_count; i++)
        for (int kind = 0; kind < CW_KEY_KINDS; kind++)
            lots[i].kernel->build(kind, 1, (const uint64_t(*)[4])&key_x[key], (const uint64_t(*)[4])&key_y[key], &lots[i].table[kind][key], lots[i].scratch);
}
static void set_key(int key, number d) {
    logarithm[key] = d;
    cw_slow_multiply_generator(key_x[key], key_y[key], d.w);
    build_tables(key);
}

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(4096, (bytes + 4095) & ~(size_t)4095);
    if (!memory) abort();
    return memory;
}
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    static const char *const names[] = {"scalar", "avx2", "avx512f", "avx512ifma"};
    batch = aligned(sizeof *batch);
    for (int i = 0; i < 4; i++) {
        const char *message;
        struct lot *lot = &lots[lot_count];
        lot->kernel = cw_choose_kernel(names[i], &message);
        if (!lot->kernel) {
            fprintf(stderr, "SKIPPED %s: %s\n", names[i], message);
            continue;
        }
        const size_t scratch = lot->kernel->scratch_bytes, more = lot->kernel->generator_scratch_bytes;
        lot->generator = aligned((size_t)cw_table_rows(CW_GENERATOR) * CW_ROW_BYTES);
        lot->scratch = aligned(scratch > more ? scratch : more);
        for (int kind = 0; kind < CW_KEY_KINDS; kind++)
            for (int k = 0; k < KEYS_ALL; k++) lot->table[kind][k] = aligned((size_t)cw_table_rows(kind) * CW_ROW_BYTES);
        lot->kernel->build(CW_GENERATOR, 1, (const uint64_t(*)[4])&cw_generator_x, (const uint64_t(*)[4])&cw_generator_y, &lot->generator, lot->scratch);
        lot_count++;
    }
    number d = from_words(cw_lambda_words);
    const number special[] = {small_number(1), small_number(2), small_number(3), negate(small_number(1)), d, negate(d), invert(small_number(2))};
    for (int k = 0; k < KEYS; k++, d = multiply(d, negate(small_number(12345)))) set_key(k, k < 7 ? special[k] : d);
    craft_second_candidate(&second, key_x[SECOND], key_y[SECOND]);
    build_tables(SECOND);
    const char *message = cw_start(1);
    thread = message ? 0 : cw_thread_new();
    if (!thread) abort();
    return 0;
}

/* The `wanted`-th logarithm for which nodes meet. */
struct choice { int wanted; number d; };
static void choose(void *context, number d) {
    struct choice *c = context;
    if (!is_zero(d) && c->wanted-- >= 0) c->d = d;
}
static void corrupt(struct cw_job *job) {
    const unsigned what = byte() % 16, bit = byte();
    uint64_t *const field[3] = {job->r, job->s, job->z};
    static const uint64_t *const edges[] = {cw_p_minus_n_words, cw_half_n_words, cw_n_words, cw_p_words, cw_generator_x};
    if (what < 3) field[what][bit / 64] ^= 1ULL << bit % 64;
    else if (what < 6) field[what - 3][0] += (int8_t)bit;
    else if (what < 9) memcpy(field[what - 6], edges[bit % 5], 32);
    else if (what == 9) memset(field[bit % 3], bit & 4 ? 0xFF : 0, 32);
}
/* Returns the key. */
static int make(struct cw_job *job, int *made, uint32_t *kind) {
    const unsigned style = byte(), how = style % 8;
    int key = (int)(byte() % KEYS);
    *kind = (style & 0x10) >> 3 | style >> 7;
    if (how < 4) { /* points that meet: in the tree, or one after the other in 1, 4 or 8 sums */
        const number u1 = any_number(), u2 = any_number();
        struct choice c = {(int)byte(), small_number(1)};
        const struct lot *lot = &lots[0];
        if (how == 0) each_collision((int)*kind, u1, u2, lot->table[*kind][0], lot->generator, choose, &c);
        else each_collision_in_order(how == 1 ? 1 : how == 2 ? 4 : 8, (int)*kind, u1, u2, lot->table[*kind][0], lot->generator, choose, &c);
        if (*made < MADE) set_key(key = KEYS + (*made)++, c.d);
        if (style & 8 ? !forge(job, u1, u2, any_number()) : !craft(job, u1, u2, c.d)) memset(job, 0, sizeof *job);
    } else if (how == 4) {
        words(job->r), words(job->s), words(job->z);
    } else if (how == 5) {
        key = SECOND;
        *job = second;
    } else {
        const number u1 = any_number(), u2 = any_number();
        if (!craft(job, u1, u2, logarithm[key])) memset(job, 0, sizeof *job);
    }
    if ((style & 0x60) == 0x60) corrupt(job);
    return key;
}

static void fail(const char *what, const struct lot *lot, int key, uint32_t kind, int expected, int got) {
    fprintf(stderr, "%s, %s, key %d, kind %u: expected %d, got %d\n", what, lot ? lot->kernel->name : cw_kernel_name(), key, kind, expected, got);
    abort();
}
static void through_kernels(const struct cw_job *job, const int *key, const uint32_t *kind, const int *expected, uint32_t count) {
    for (int i = 0; i < lot_count; i++) {
        const struct lot *lot = &lots[i];
        for (uint32_t k = 0; k < count; k++) {
            batch->job[k] = job[k];
            batch->job[k].kind = kind[k];
            batch->job[k].table = lot->table[kind[k]][key[k]];
        }
        batch->count = count;
        lot->kernel->prepare(batch, lot->generator, lot->scratch);
        lot->kernel->finish(batch, 0, lot->scratch);
        for (uint32_t k = 0; k < count; k++) {
            const struct cw_job *j = &batch->job[k];
            const int alone = cw_verify_lone(lot->kernel, j, lot->generator), complete = cw_complete_verify(j, lot->generator) ? CW_VALID : CW_INVALID;
            if (complete != expected[k]) fail("complete", lot, key[k], kind[k], expected[k], complete);
            if (j->verdict != CW_UNDECIDED && (int)j->verdict != expected[k]) fail("batch", lot, key[k], kind[k], expected[k], (int)j->verdict);
            if (alone != CW_UNDECIDED && alone != expected[k]) fail("single", lot, key[k], kind[k], expected[k], alone);
        }
        for (uint32_t k = 0; k < count; k++) { /* row 0 of a table is the key itself */
            batch->job[k].kind = CW_BARE;
            batch->job[k].table = lot->table[CW_TINY][key[k]];
        }
        lot->kernel->bare(batch, lot->generator, lot->scratch);
        for (uint32_t k = 0; k < count; k++) {
            const int verdict = (int)batch->job[k].verdict;
            if (verdict != CW_UNDECIDED && verdict != expected[k]) fail("without a table", lot, key[k], CW_BARE, expected[k], verdict);
        }
    }
}
static void through_interface(const struct cw_job *job, const int *key, uint32_t count) {
    static uint8_t digest[RECORDS_MAX][32], signature[RECORDS_MAX][64], bytes[RECORDS_MAX][33], verdict[4][RECORDS_MAX];
    for (uint32_t k = 0; k < count; k++) {
        cw_words_to_be(digest[k], job[k].z);
        cw_words_to_be(signature[k], job[k].r);
        cw_words_to_be(signature[k] + 32, job[k].s);
        bytes[k][0] = (uint8_t)(2 | (key_y[key[k]][0] & 1));
        cw_words_to_be(bytes[k] + 1, key_x[key[k]]);
        const unsigned what = byte();
        if (what % 8 == 1) bytes[k][0] ^= 1;
        if (what % 8 == 2) bytes[k][byte() % 33] ^= (uint8_t)byte();
        if (what % 8 == 3) memset(bytes[k] + 1, 0xFF, 28);
    }
    for (int path = 0; path < 4; path++) cw_verify_many(thread, (enum cw_path)path, count, digest[0], signature[0], bytes[0], verdict[path]);
    for (int path = 0; path < 4; path++)
        for (uint32_t k = 0; k < count; k++)
            if (verdict[path][k] != verdict[CW_PATH_SLOW][k]) fail("interface", 0, path, k, verdict[CW_PATH_SLOW][k], verdict[path][k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct cw_job job[RECORDS_MAX], fit[RECORDS_MAX];
    int key[RECORDS_MAX], fit_key[RECORDS_MAX], expected[RECORDS_MAX], made = 0;
    uint32_t kind[RECORDS_MAX], fit_kind[RECORDS_MAX], count = 0, fits = 0;
    input = data;
    input_end = data + size;
    while (input < input_end && count < RECORDS_MAX) {
        key[count] = make(&job[count], &made, &kind[count]);
        if (cw_signature_in_range(job[count].r, job[count].s)) { /* only these pass slots.c */
            fit[fits] = job[count];
            fit_key[fits] = key[count];
            fit_kind[fits] = kind[count];
            expected[fits++] = cw_slow_verify(job[count].r, job[count].s, job[count].z, key_x[key[count]], key_y[key[count]]) ? CW_VALID : CW_INVALID;
        }
        count++;
    }
    if (fits) through_kernels(fit, fit_key, fit_kind, expected, fits);
    input = data;
    if (count) through_interface(job, key, count);
    return 0;
}

/* The kernel in plain C: one element. Also finds the rows of a lone signature for every kernel's `single`. */
#include "vector_scalar.h"
#define KERNEL_NAME scalar
#include "kernel_template.h"

/* w <- R / 2 s: times r or z, u2/2 or u1/2 in Montgomery's form. */
static void invert_half(const struct cw_job *job, sc *w) {
    uint64_t inverse[4];
    sc constant;
    cw_inverse_n(inverse, job->s);
    sc_from_words(w, inverse, 1);
    sc_broadcast(&constant, cw_half_r2);
    sc_mul(w, w, &constant);
}
static void split_product(const uint64_t words[4], const sc *w, uint64_t half[2][3]) {
    sc u;
    sc_from_words(&u, words, 1);
    sc_mul(&u, &u, w);
    sc_split(half[0], half[1], &u);
}
void cw_key_halves(const struct cw_job *job, uint64_t half[2][3]) {
    sc w;
    invert_half(job, &w);
    split_product(job->r, &w, half);
}
/* Into the second-level cache: of so many at once the first level drops those that it has no buffer for (Zen 4: over 24), unread. */
static void prefetch_rows(const uint8_t *const *row, int count) {
    for (int i = 0; i < count; i++) __builtin_prefetch(row[i], 0, 2);
}
int cw_find_key_rows(const struct cw_job *job, struct cw_lone *lone) {
    sc w;
    uint64_t k[2][3];
    const uint64_t table = (uint64_t)(uintptr_t)job->table;
    const int kind = (int)job->kind, half = cw_half_points(kind);
    invert_half(job, &w);
    memcpy(lone->factor, w.v, sizeof lone->factor);
    split_product(job->r, &w, k);
    for (int h = 0; h < 2; h++) {
        const uint8_t **row = lone->row + (h ? 0 : half);
        uint8_t *negative = lone->negative + (h ? 0 : half);
        switch (kind) {
        case CW_TINY: put_rows(CW_TINY, k[h], table, row, 1, negative, 1); break;
        case CW_SMALL: put_rows(CW_SMALL, k[h], table, row, 1, negative, 1); break;
        case CW_LARGE: put_rows(CW_LARGE, k[h], table, row, 1, negative, 1); break;
        case CW_HUGE: put_rows(CW_HUGE, k[h], table, row, 1, negative, 1); break;
        }
        prefetch_rows(row, cw_windows(kind));
    }
    return 2 * half;
}
int cw_find_generator_rows(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone) {
    sc w;
    uint64_t k[2][3];
    const int half = cw_half_points((int)job->kind), windows = cw_windows((int)job->kind);
    sc_broadcast(&w, lone->factor);
    split_product(job->z, &w, k);
    for (int h = 0; h < 2; h++) {
        const int at = windows + (h ? 0 : half);
        put_rows(CW_GENERATOR, k[h], (uint64_t)(uintptr_t)generator, lone->row + at, 1, lone->negative + at, 1);
        prefetch_rows(lone->row + at, half - windows);
    }
    return 2 * half;
}
int cw_single_rows(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone) {
    cw_find_key_rows(job, lone);
    return cw_find_generator_rows(job, generator, lone);
}

int cw_generator_multiply_x(uint64_t x[4], const uint64_t k[4], const uint8_t *generator) {
    static const uint64_t half_one[4] = {0xDFE92F46681B20A1ULL, 0x5D576E7357A4501DULL, (uint64_t)-1, 0x7FFFFFFFFFFFFFFFULL};
    uint64_t half[2][3], w[4];
    sc u, constant;
    sc_from_words(&u, half_one, 1); /* 1/2 mod n */
    sc_broadcast(&constant, cw_r2);
    sc_mul(&u, &u, &constant);
    sc_from_words(&constant, k, 1);
    sc_mul(&u, &u, &constant);
    sc_split(half[0], half[1], &u);
    const int windows = cw_windows(CW_GENERATOR);
    const uint8_t *row[2 * CW_WINDOWS(CW_GENERATOR)];
    uint8_t negative[2 * CW_WINDOWS(CW_GENERATOR)];
    for (int h = 0; h < 2; h++)
        put_rows(CW_GENERATOR, half[h ? 0 : 1], (uint64_t)(uintptr_t)generator, row + h * windows, 1, negative + h * windows, 1);
    struct jacobian sum;
    fe px, py, beta, zero;
    fe_broadcast(&zero, cw_zero_words);
    fe_load_x(&sum.x, row);
    fe_load_y(&py, row);
    fe_negate_elements(&py, &py, negative[0]);
    fe_sub(&py, &py, &zero);
    fe_broadcast(&sum.z, cw_one_words);
    fe_mul(&sum.y, &py, &sum.z);
    fe_broadcast(&beta, cw_beta_words);
    for (int i = 1; i < 2 * windows; i++) {
        if (i == windows) fe_mul(&sum.x, &sum.x, &beta);
        fe_load_x(&px, row + i);
        fe_load_y(&py, row + i);
        jacobian_add_affine(&sum, &sum, &px, &py, negative[i]);
    }
    fe_normal(&px, &sum.z);
    fe_element_words(w, &px);
    if (cw_words_zero(w)) return 0;
    cw_inverse_p(w, w);
    fe_broadcast(&px, w);
    fe_sqr(&px, &px);
    fe_mul(&px, &px, &sum.x);
    fe_normal(&px, &px);
    fe_element_words(x, &px);
    return 1;
}

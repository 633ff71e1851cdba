/* One signature spread over the elements, for latency: VEC partial sums (xyzz.h), added up at the end; the only inversion is
 * s^-1. Points come lambda half first; X is taken times beta when the plain half begins. */
#include "kernel.h"

CW_INLINE vec_mask element_mask(const uint8_t *bits) {
    unsigned mask = 0;
    for (int element = 0; element < VEC; element++) mask |= (unsigned)bits[element] << element;
    return (vec_mask)mask;
}

static int KERNEL(single)(const struct cw_job *job, const uint8_t *generator, struct cw_lone *lone) {
    const int points = cw_find_generator_rows(job, generator, lone), half = points / 2;
    const uint8_t **row = lone->row;
    uint8_t *negative = lone->negative;
    for (int i = points; i < points + VEC; i++) row[i] = row[0], negative[i] = 0;
    fe beta, x, y, t;
    struct xyzz sum, next;
    fe_broadcast(&beta, cw_beta_words);
    fe_load_x(&x, row);
    fe_load_y(&y, row);
    fe_load_x(&next.x, row + VEC);
    fe_load_y(&next.y, row + VEC);
    xyzz_add_two_affine(&sum, &x, y, element_mask(negative), &next.x, next.y, element_mask(negative + VEC));
    for (int at = 2 * VEC; at < points; at += VEC) {
        fe_load_x(&x, row + at);
        fe_load_y(&y, row + at);
        if (at <= half && half < at + VEC) { /* the plain half begins in this vector: elements before it are lambda still */
            fe_mul(&sum.x, &sum.x, &beta);
            fe_mul(&t, &x, &beta);
            fe_select(&x, (vec_mask)((1u << (half - at)) - 1), &t, &x);
        }
        xyzz_add_affine(&next, &sum, &x, &y, element_mask(negative + at));
        const vec_mask live = at + VEC > points ? (vec_mask)((1u << (points - at)) - 1) : (vec_mask)-1;
        fe_select(&sum.x, live, &next.x, &sum.x);
        fe_select(&sum.y, live, &next.y, &sum.y);
        fe_select(&sum.zz, live, &next.zz, &sum.zz);
        fe_select(&sum.zzz, live, &next.zzz, &sum.zzz);
    }
    for (int k = VEC / 2; k >= 2; k /= 2) {
        unsigned first = 0; /* elements 0..k-1 of every 2 k */
        for (int element = 0; element < VEC; element++) first |= (unsigned)!(element & k) << element;
        xyzz_add_rotated(&sum, k, (vec_mask)first);
    }
    if (VEC > 1) xyzz_add_rotated_x(&next.x, &next.zz, &sum, 1), sum.x = next.x, sum.zz = next.zz;
    if (fe_zero(&sum.zz) & 1) return CW_UNDECIDED;
    fe r;
    fe_broadcast(&r, job->r);
    fe_mul_sub(&t, &r, &sum.zz, &sum.x); /* r ZZ = X */
    if (fe_zero(&t) & 1) return CW_VALID;
    if (!cw_words_less(job->r, cw_p_minus_n_words)) return CW_INVALID;
    fe_broadcast(&t, cw_n_words);
    fe_add(&r, &r, &t);
    fe_mul_sub(&t, &r, &sum.zz, &sum.x);
    return fe_zero(&t) & 1 ? CW_VALID : CW_INVALID;
}

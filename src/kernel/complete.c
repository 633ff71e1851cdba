/* The slow path: decides one signature that a batch or `single` left undecided. It adds the same table rows one after
 * the other, in every case of the group law; where the key has no table, it doubles and adds the
 * point itself. Called by the thread that owns the job. */
#include "vector_scalar.h"
#include "jacobian.h"
#include "kernel.h"
#include "slow.h"

struct sum { struct jacobian at; int infinite; };

/* sum += (x, +-y), a point that is not infinity; x and y of magnitude 1. */
static void add_row(struct sum *sum, const fe *x, const fe *y, int negative) {
    struct jacobian *p = &sum->at, q;
    fe h, e, t, zero;
    if (sum->infinite) {
        p->x = *x;
        fe_broadcast(&p->z, cw_one_words);
        fe_negate_elements(&t, y, (vec_mask)negative);
        fe_broadcast(&zero, cw_zero_words);
        fe_sub(&t, &t, &zero);
        fe_mul(&p->y, &t, &p->z);
        sum->infinite = 0;
        return;
    }
    jacobian_begin_affine(&h, &e, p, x, y, (vec_mask)negative);
    if (fe_zero(&h)) { /* the same point, or opposite ones; none has y = 0 */
        if (fe_zero(&e)) jacobian_double(&q, p), *p = q;
        else sum->infinite = 1;
        return;
    }
    fe_mul(&q.z, &p->z, &h);
    jacobian_finish(&q, &h, &e, &p->x, &p->y);
    *p = q;
}

/* x(sum) = candidate, in Jacobian coordinates X = candidate Z^2. */
static int has_x(const struct sum *sum, const fe *candidate) {
    fe z2, t;
    fe_sqr(&z2, &sum->at.z);
    fe_mul_sub(&t, candidate, &z2, &sum->at.x);
    return fe_zero(&t);
}

/* sum = u2 Q for a key without a table, of which only the point is there: bit by bit, 1 for + and 0 for -. */
static void add_bare(struct sum *sum, const struct cw_job *job, const fe *beta) {
    uint64_t half[2][3];
    fe x, y, lambda_x;
    cw_key_halves(job, half);
    fe_load_x(&x, &job->table);
    fe_load_y(&y, &job->table);
    fe_mul(&lambda_x, &x, beta);
    for (int bit = CW_HALF_BITS - 1; bit >= 0; bit--) {
        if (!sum->infinite) jacobian_double(&sum->at, &sum->at);
        for (int h = 0; h < 2; h++) add_row(sum, h ? &lambda_x : &x, &y, !(half[h][bit >> 6] >> (bit & 63) & 1));
    }
}

int cw_complete_verify(const struct cw_job *job, const uint8_t *generator) {
    struct cw_lone lone;
    if (!cw_signature_in_range(job->r, job->s)) return 0;
    const int points = cw_single_rows(job, generator, &lone);
    struct sum sum = {.infinite = 1};
    fe x, y, beta, r, n;
    fe_broadcast(&beta, cw_beta_words);
    if (job->kind == CW_BARE) add_bare(&sum, job, &beta);
    for (int i = 0; i < points; i++) {
        /* The lambda half came first: lambda (x, y) = (beta x, y), and infinity stays what it is. */
        if (i == points / 2 && !sum.infinite && job->kind != CW_BARE) fe_mul(&sum.at.x, &sum.at.x, &beta);
        fe_load_x(&x, lone.row + i);
        if (i < points / 2 && job->kind == CW_BARE) fe_mul(&x, &x, &beta);
        fe_load_y(&y, lone.row + i);
        add_row(&sum, &x, &y, lone.negative[i]);
    }
    if (sum.infinite) return 0;
    fe_broadcast(&r, job->r);
    if (has_x(&sum, &r)) return 1;
    if (!cw_words_less(job->r, cw_p_minus_n_words)) return 0;
    fe_broadcast(&n, cw_n_words); /* x = r + n < p is congruent to r as well */
    fe_add(&r, &r, &n);
    return has_x(&sum, &r);
}

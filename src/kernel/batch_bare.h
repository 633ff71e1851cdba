/* Signatures of keys without a table: Straus' way, VEC signatures side by side, whose doublings both halves of u2 share.
 *
 * Of the key only the point is there. Its odd multiples Q, 3 Q .. 15 Q and their lambda images are made first, with one Z for all of them:
 * on the isomorphic curve where that Z is 1 they are affine rows, as those of a table, and neither doubling nor addition uses the
 * curve's constant. Then 32 times four doublings and two additions; Z taken times that Z leads back, and G's 20 rows follow.
 *
 * Equal x in an addition makes Z = 0, which stays (jacobian.h), and leaves the signature undecided. Multiples of Q alone meet
 * in the last additions only, where the halves are as long as a vector of the lattice, for a few values of r/s (26 lambda is one), which anybody can
 * choose: so the complete path of such a signature must be cheap as well (complete.c).
 * Nothing is built or kept for the key. */
#include "kernel.h"

#define BARE_ROWS (1 << (CW_BARE_WIDTH - 1))
#define BARE_STREAMS CW_BARE_TOGETHER /* groups side by side: a doubling waits for its own products, another group's fill the time */

struct bare {
    uint64_t s[4][CW_POSITIONS], z[4][CW_POSITIONS], r[4][CW_POSITIONS];
    uint8_t at[CW_POSITIONS];
    uint8_t rows[BARE_STREAMS][VEC][2 * BARE_ROWS][CW_ROW_BYTES] __attribute__((aligned(64))); /* of each element: odd multiples, then lambda's */
};
/* A group of VEC signatures on its way. */
struct bare_stream {
    const uint8_t *row[2][CW_BARE_WINDOWS * VEC] __attribute__((aligned(64)));
    uint8_t negative[2][CW_BARE_WINDOWS];
    vec_u64 g[2][3];
    fe z, r;
    struct jacobian sum;
    struct cw_job *job[VEC];
};

/* The odd multiples of (x, y) into rows; z: that of all of them. An odd multiple below 15 never meets 2 Q: the order is prime. */
static void bare_multiples(uint8_t (*rows)[2 * BARE_ROWS][CW_ROW_BYTES], const fe *x, const fe *y, fe *z) {
    struct jacobian two = {*x, *y, *x}, at[BARE_ROWS];
    fe ratio[BARE_ROWS], scale, t, e, lambda_x, beta;
    fe_broadcast(&beta, cw_beta_words);
    fe_broadcast(&two.z, cw_one_words);
    at[0] = two;
    jacobian_double(&two, &two);
    fe_sqr(&t, &two.z); /* on the curve where 2 Q is affine */
    fe_mul(&at[0].x, x, &t);
    fe_mul(&t, &t, &two.z);
    fe_mul(&at[0].y, y, &t);
    for (int i = 1; i < BARE_ROWS; i++) {
        jacobian_begin_affine(&ratio[i], &e, &at[i - 1], &two.x, &two.y, 0);
        fe_mul(&at[i].z, &at[i - 1].z, &ratio[i]);
        jacobian_finish(&at[i], &ratio[i], &e, &at[i - 1].x, &at[i - 1].y);
    }
    fe_mul(z, &at[BARE_ROWS - 1].z, &two.z);
    fe_broadcast(&scale, cw_one_words);
    for (int i = BARE_ROWS - 1; i >= 0; i--) {
        fe px = at[i].x, py = at[i].y;
        if (i < BARE_ROWS - 1) {
            fe_mul(&scale, &scale, &ratio[i + 1]);
            fe_mul(&t, &scale, &scale);
            fe_mul(&px, &px, &t);
            fe_mul(&t, &t, &scale);
            fe_mul(&py, &py, &t);
        }
        fe_mul(&lambda_x, &px, &beta);
        fe_normal(&px, &px);
        fe_normal(&py, &py);
        fe_normal(&lambda_x, &lambda_x);
        uint8_t *row[VEC], *lambda_row[VEC];
        for (int element = 0; element < VEC; element++)
            row[element] = rows[element][i], lambda_row[element] = rows[element][BARE_ROWS + i];
        fe_store_rows(row, &px, &py);
        fe_store_rows(lambda_row, &lambda_x, &py);
    }
}

/* The rows of one half: as put_rows, but every window has the same ones. */
CW_INLINE void put_bare_rows(const vec_u64 half[3], vec_u64 rows, const uint8_t **row, uint8_t *negative) {
    for (int j = 0; j < CW_BARE_WINDOWS; j++) {
        const int offset = j * CW_BARE_WIDTH, width = j + 1 < CW_BARE_WINDOWS ? CW_BARE_WIDTH : CW_HALF_BITS - offset;
        const vec_u64 digit = half[offset >> 6] >> (offset & 63); /* 4 divides 64: no digit lies across two words */
        const vec_u64 plus = (digit >> (width - 1)) & 1;
        const vec_u64 index = (digit ^ (plus - 1)) & (((uint64_t)1 << (width - 1)) - 1);
        vec_store(row + j * VEC, rows + index * CW_ROW_BYTES);
        negative[j] = vec_bit_mask(plus ^ 1);
    }
}

/* sum += rows, of which the first half is lambda's. */
static void add_generator_rows(struct jacobian *sum, const vec_u64 g[2][3], vec_u64 generator) {
    const uint8_t *row[10 * VEC] __attribute__((aligned(64)));
    uint8_t negative[10];
    fe x, y, beta;
    fe_broadcast(&beta, cw_beta_words);
    for (int h = 1; h >= 0; h--) {
        put_rows(CW_GENERATOR, g[h], generator, row, VEC, negative, 1);
        for (int i = 0; i < 10 * VEC; i++) __builtin_prefetch(row[i]);
        for (int j = 0; j < 10; j++) {
            fe_load_x(&x, row + j * VEC);
            fe_load_y(&y, row + j * VEC);
            if (h) fe_mul(&x, &x, &beta);
            jacobian_add_affine(sum, sum, &x, &y, negative[j]);
        }
    }
}

/* The rows of u1 G + u2 Q in every element: u1, u2 halved (sc_split). The sum begins with the two highest. */
static void bare_begin(struct bare_stream *s, uint8_t (*rows)[2 * BARE_ROWS][CW_ROW_BYTES], const fe *x, const fe *y, const sc *u1, const sc *u2) {
    uint64_t address[VEC];
    vec_u64 q[2][3];
    fe px, py, lambda_x;
    bare_multiples(rows, x, y, &s->z);
    sc_split(q[0], q[1], u2);
    sc_split(s->g[0], s->g[1], u1);
    for (int element = 0; element < VEC; element++) address[element] = (uint64_t)(uintptr_t)rows[element];
    for (int h = 0; h < 2; h++)
        put_bare_rows(q[h], vec_load(address) + (uint64_t)h * BARE_ROWS * CW_ROW_BYTES, s->row[h], s->negative[h]);
    const size_t top = (CW_BARE_WINDOWS - 1) * VEC;
    fe_load_x(&px, s->row[0] + top);
    fe_load_y(&py, s->row[0] + top);
    fe_load_x(&lambda_x, s->row[1] + top);
    jacobian_add_two_affine(&s->sum, &px, py, s->negative[0][CW_BARE_WINDOWS - 1], &lambda_x, py, s->negative[1][CW_BARE_WINDOWS - 1]);
}
CW_INLINE void bare_run(struct bare_stream *s, int streams) {
    for (int j = CW_BARE_WINDOWS - 2; j >= 0; j--) {
        for (int k = 0; k < CW_BARE_WIDTH; k++)
            for (int i = 0; i < streams; i++) jacobian_double(&s[i].sum, &s[i].sum);
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < streams; i++) {
                fe px, py;
                fe_load_x(&px, s[i].row[h] + j * VEC);
                fe_load_y(&py, s[i].row[h] + j * VEC);
                jacobian_add_affine(&s[i].sum, &s[i].sum, &px, &py, s[i].negative[h][j]);
            }
    }
}
static __attribute__((noinline)) void bare_one(struct bare_stream *s) { bare_run(s, 1); }
static __attribute__((noinline)) void bare_all(struct bare_stream *s) { bare_run(s, BARE_STREAMS); }

/* Whether x(sum) = r mod n, as `single` decides it, in every element. */
static void bare_verdicts(const struct jacobian *sum, const fe *r, struct cw_job *const *job) {
    fe z2, t, second;
    vec_mask small = 0;
    for (int element = 0; element < VEC; element++) small |= (vec_mask)(cw_words_less(job[element]->r, cw_p_minus_n_words) << element);
    const vec_mask undecided = fe_zero(&sum->z);
    fe_sqr(&z2, &sum->z);
    fe_mul_sub(&t, r, &z2, &sum->x);
    vec_mask good = fe_zero(&t);
    if (small) {
        fe_broadcast(&t, cw_n_words);
        fe_add(&second, r, &t);
        fe_mul_sub(&t, &second, &z2, &sum->x);
        good |= fe_zero(&t) & small;
    }
    for (int element = 0; element < VEC; element++)
        job[element]->verdict = undecided >> element & 1 ? CW_UNDECIDED : good >> element & 1 ? CW_VALID : CW_INVALID;
}

static void KERNEL(bare)(struct cw_batch *batch, const uint8_t *generator, void *scratch) {
    struct bare *b = scratch;
    int count = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->job[i].kind == CW_BARE) b->at[count++] = (uint8_t)i;
    if (!count) return;
    while (count % VEC) b->at[count] = b->at[0], count++; /* padded with copies of the first, which is harmless */
    for (int p = 0; p < count; p++) {
        const struct cw_job *job = &batch->job[b->at[p]];
        for (int k = 0; k < 4; k++) b->s[k][p] = job->s[k], b->z[k][p] = job->z[k], b->r[k][p] = job->r[k];
    }
    sc s[CW_POSITIONS / VEC], prefix[CW_POSITIONS / VEC];
    for (int i = 0; i < count / VEC; i++) sc_from_words(&s[i], &b->s[0][i * VEC], CW_POSITIONS);
    invert_scalars(s, prefix, count / VEC, cw_half_r2, cw_inverse_n);
    const int groups = count / VEC;
    for (int group = 0; group < groups;) {
        struct bare_stream stream[BARE_STREAMS];
        const int streams = groups - group < BARE_STREAMS ? 1 : BARE_STREAMS;
        for (int i = 0; i < streams; i++, group++) {
            struct bare_stream *now = &stream[i];
            const uint8_t *row[VEC];
            sc r, z;
            fe x, y;
            for (int element = 0; element < VEC; element++) {
                now->job[element] = &batch->job[b->at[group * VEC + element]];
                row[element] = now->job[element]->table;
            }
            sc_from_words(&r, &b->r[0][group * VEC], CW_POSITIONS);
            sc_from_words(&z, &b->z[0][group * VEC], CW_POSITIONS);
            sc_mul(&r, &r, &s[group]);
            sc_mul(&z, &z, &s[group]);
            fe_load_x(&x, row);
            fe_load_y(&y, row);
            fe_from_words(&now->r, &b->r[0][group * VEC], CW_POSITIONS);
            bare_begin(now, b->rows[i], &x, &y, &z, &r);
        }
        if (streams == 1) bare_one(stream);
        else bare_all(stream);
        for (int i = 0; i < streams; i++) {
            struct bare_stream *now = &stream[i];
            fe_mul(&now->sum.z, &now->sum.z, &now->z);
            add_generator_rows(&now->sum, now->g, vec_set((uint64_t)(uintptr_t)generator));
            bare_verdicts(&now->sum, &now->r, now->job);
        }
    }
}

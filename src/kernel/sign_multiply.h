/* Multiples of the generator for secret scalars, in constant time: x(k G) for groups of VEC scalars.
 *
 * With e = k + b mod n for the signer's blind b, and e' = e or n - e, whichever is odd, +-k G = e' G -+ b G; x is the same for both
 * signs. An odd e' below 2^256 is a sum of digits: with B = (e' + 2^256 - 1) / 2, whose window j of w bits is d,
 *     e' = sum of (2 d - 2^w + 1) 2^(w j):
 * each digit is odd, so never zero, and its sign is the window's top bit. A window's table has (2 i + 1) 2^(w j) G for i < 2^(w - 1).
 * Every row of it is read, and the wanted one selected by masks or inside of registers. The points are added as a tree in
 * affine coordinates, one shared inversion a level, and -+ b G comes last.
 *
 * NO ADDITION IS EXCEPTIONAL. Affine addition is wrong for P1 = +-P2 alone. A node adds S1 G and S2 G, sums over neighbouring
 * windows a .. m - 1 and m .. c - 1. As the digits are odd, |S1| < 2^(w m) <= |S2|, since S2 is an odd multiple of 2^(w m): so S2 +- S1 is
 * not 0, and it is below 2^256 < 2 n in size. Were it 0 mod n, it would be +-n.
 *   - For a > 0 it is a multiple of 2^(w a), hence even, while n is odd.
 *   - For a = 0 and c below the number of windows it is below 2^(w c) <= 2^255 < n.
 *   - At the root one of S2 +- S1 is e', which is no multiple of n but for e' = n, that is k = -b. The other one is e' - 2 S1 with
 * X
 *   - The last addition is of e' G and +-b G: equal for e = b or e = -b, that is k = 0, which is no nonce, or k = -2 b.
 * All that is left is for one scalar in 2^126; e is uniform for whoever does not know b, whatever he asks to have signed.
 * Such a scalar makes a product zero, the batch's signatures are wrong, and the check before they leave keeps them here. */
#include "sign_key.h"

#define SIGN_WINDOWS ((256 + VEC_SIGN_WIDTH - 1) / VEC_SIGN_WIDTH)
#define SIGN_ENTRIES (1 << (VEC_SIGN_WIDTH - 1))
#define SIGN_STREAMS 4
#define SIGN_TREE_GROUPS (CW_SIGN_TREE / VEC)

/* The tree's nodes for `groups` groups: of leaf j and group g at j * groups + g. */
struct sign_tree {
    size_t groups, count;
    fe *x, *y, *prefix;
    const uint64_t *table;
    const uint64_t *digits; /* word i of scalar s at i * CW_SIGN_MAX + s */
};

/* All ones in the elements where index is j. */
CW_INLINE vec_u64 sign_is(vec_u64 index, uint64_t j) {
    const vec_u64 x = index ^ vec_set(j);
#if VEC == 1
    return 0 - cw_hidden(((x - 1) & ~x) >> 63);
#else
    return (vec_u64)(x == vec_set(0));
#endif
}
#ifndef VEC_SIGN_SELECT
/* w[i] = row `index` of word i of a window: all of them are read. */
CW_INLINE void sign_select(vec_u64 w[8], const uint64_t *window, vec_u64 index) {
    for (int i = 0; i < 8; i++) w[i] = vec_set(0);
    for (int j = 0; j < SIGN_ENTRIES; j++) {
        const vec_u64 mask = sign_is(index, (uint64_t)j);
        for (int i = 0; i < 8; i++) w[i] |= mask & vec_set(window[i * SIGN_ENTRIES + j]);
    }
}
#else
#define sign_select(w, window, index) VEC_SIGN_SELECT(w, window, index)
#endif
CW_INLINE void sign_fe_of(fe *r, const vec_u64 w[4]) {
#if defined(CLAIMWIRE_LIMBS_52_H) && !defined(CW_VERIFY)
    const vec_limb t[4] = {(vec_limb)w[0], (vec_limb)w[1], (vec_limb)w[2], (vec_limb)w[3]};
    vec_limbs(r->v, t);
#else
    uint64_t t[4][VEC];
    for (int i = 0; i < 4; i++) vec_store(t[i], w[i]);
    fe_from_words(r, t[0], VEC);
#endif
}

/* The point of a window; y is loose. */
CW_INLINE void sign_leaf(const struct sign_tree *t, fe *x, fe *y, size_t window, size_t group) {
    const int at = (int)window * VEC_SIGN_WIDTH, width = 256 - at < VEC_SIGN_WIDTH ? 256 - at : VEC_SIGN_WIDTH, word = at >> 6, shift = at & 63;
    const uint64_t *words = t->digits + word * CW_SIGN_MAX + group * VEC;
    vec_u64 digit = vec_load(words) >> shift, w[8];
    if (shift + width > 64) digit |= vec_load(words + CW_SIGN_MAX) << (64 - shift);
    const vec_u64 plus = (digit >> (width - 1)) & 1, index = (digit ^ (plus - 1)) & (((uint64_t)1 << (width - 1)) - 1);
    sign_select(w, t->table + window * 8 * SIGN_ENTRIES, index);
    sign_fe_of(x, w);
    sign_fe_of(y, w + 4);
    fe_negate_elements(y, y, vec_bit_mask(plus ^ 1));
}
/* A loose number as one of magnitude 1. */
CW_INLINE void sign_settle(fe *y) {
    fe zero, one;
    fe_broadcast(&zero, cw_zero_words);
    fe_broadcast(&one, cw_one_words);
    fe_sub(y, y, &zero);
    fe_mul(y, y, &one);
}
/* The sum of two points of different x, from d = x2 - x1 and its inverse; y3 may be 0. */
CW_INLINE void sign_add(fe *x3, fe *y3, const fe *x1, const fe *y1, const fe *y2, const fe *d, const fe *inverse) {
    fe l, t, x;
    fe_sub(&t, y2, y1);
    fe_mul(&l, &t, inverse);
    fe_sqr_sub(&x, &l, x1, d);
    fe_sub(&t, x1, &x);
    if (y3) fe_mul_sub(y3, &l, &t, y1);
    *x3 = x;
}

/* Nodes i .. i + n - 1 of a level: their differences, over x2, and the running products before them. */
CW_INLINE void sign_forward(const struct sign_tree *t, fe run[SIGN_STREAMS], size_t i, int n, int is_leaf) {
    const size_t odd = t->count & 1;
    fe d[SIGN_STREAMS];
    for (int k = 0; k < n; k++) {
        const size_t j = (i + k) / t->groups, a = (odd + j) * t->groups + i + k, b = a + t->groups;
        if (is_leaf) {
            fe x1, x2;
            const size_t g = i + k - j * t->groups;
            sign_leaf(t, &x1, &t->y[a], odd + 2 * j, g);
            sign_leaf(t, &x2, &t->y[b], odd + 2 * j + 1, g);
            fe_sub(&d[k], &x2, &x1);
            t->x[a] = x1;
        } else fe_sub(&d[k], &t->x[b], &t->x[a]);
        t->x[b] = d[k];
    }
    for (int k = 0; k < n; k++) {
        t->prefix[i + k] = run[k];
        fe_mul(&run[k], &run[k], &d[k]);
    }
}
CW_INLINE void sign_backward(const struct sign_tree *t, fe run[SIGN_STREAMS], size_t i, int n) {
    const size_t odd = t->count & 1;
    fe inverse[SIGN_STREAMS];
    size_t a[SIGN_STREAMS];
    for (int k = 0; k < n; k++) {
        a[k] = (odd + (i + k) / t->groups) * t->groups + i + k;
        fe_mul(&inverse[k], &run[k], &t->prefix[i + k]);
        fe_mul(&run[k], &run[k], &t->x[a[k] + t->groups]);
    }
    for (int k = 0; k < n; k++) {
        const size_t b = a[k] + t->groups, to = odd * t->groups + i + k;
        sign_add(&t->x[to], &t->y[to], &t->x[a[k]], &t->y[a[k]], &t->y[b], &t->x[b], &inverse[k]);
    }
}
/* run[k] <- 1/run[k] in every element: across the streams and the elements, then one inversion, whatever the numbers are. */
static void sign_invert_runs(fe run[SIGN_STREAMS]) {
    fe across[3], low, high, total, inverse, t;
    fe_mul(&low, &run[0], &run[1]);
    fe_mul(&high, &run[2], &run[3]);
    fe_mul(&total, &low, &high);
    int steps = 0;
    for (int k = VEC / 2; k >= 1; k /= 2, steps++) {
        fe_rotate(&across[steps], &total, k);
        fe_mul(&total, &total, &across[steps]);
    }
    uint64_t words[4];
    fe_normal(&total, &total);
    fe_element_words(words, &total);
    cw_fermat_p(words, words);
    fe_broadcast(&inverse, words);
    cw_wipe(words, sizeof words);
    for (int i = 0; i < steps; i++) fe_mul(&inverse, &inverse, &across[i]);
    fe_mul(&total, &inverse, &high);
    fe_mul(&inverse, &inverse, &low);
    t = run[0];
    fe_mul(&run[0], &total, &run[1]);
    fe_mul(&run[1], &total, &t);
    t = run[2];
    fe_mul(&run[2], &inverse, &run[3]);
    fe_mul(&run[3], &inverse, &t);
}
static void sign_start_runs(fe run[SIGN_STREAMS]) {
    for (int k = 0; k < SIGN_STREAMS; k++) fe_broadcast(&run[k], cw_one_words);
}
static __attribute__((noinline)) void sign_leaves(const struct sign_tree *t, fe run[SIGN_STREAMS], size_t nodes) {
    for (; nodes % SIGN_STREAMS; nodes--) sign_forward(t, run, nodes - 1, 1, 1);
    for (; nodes; nodes -= SIGN_STREAMS) sign_forward(t, run, nodes - SIGN_STREAMS, SIGN_STREAMS, 1);
    for (size_t g = 0; t->count & 1 && g < t->groups; g++) {
        sign_leaf(t, &t->x[g], &t->y[g], 0, g);
        sign_settle(&t->y[g]);
    }
}
static __attribute__((noinline)) void sign_differences(const struct sign_tree *t, fe run[SIGN_STREAMS], size_t nodes) {
    for (; nodes % SIGN_STREAMS; nodes--) sign_forward(t, run, nodes - 1, 1, 0);
    for (; nodes; nodes -= SIGN_STREAMS) sign_forward(t, run, nodes - SIGN_STREAMS, SIGN_STREAMS, 0);
}
static __attribute__((noinline)) void sign_additions(const struct sign_tree *t, fe run[SIGN_STREAMS], size_t nodes) {
    size_t i = 0;
    for (; i + SIGN_STREAMS <= nodes; i += SIGN_STREAMS) sign_backward(t, run, i, SIGN_STREAMS);
    for (; i < nodes; i++) sign_backward(t, run, i, 1);
}
/* The sum of each group's windows, into x[g] and y[g]. */
static void sign_add_windows(struct sign_tree *t) {
    for (t->count = SIGN_WINDOWS; t->count > 1; t->count = (t->count + 1) / 2) {
        const size_t nodes = t->count / 2 * t->groups;
        fe run[SIGN_STREAMS];
        sign_start_runs(run);
        if (t->count == SIGN_WINDOWS) sign_leaves(t, run, nodes);
        else sign_differences(t, run, nodes);
        sign_invert_runs(run);
        sign_additions(t, run, nodes);
        cw_wipe(run, sizeof run);
    }
}
/* The last addition, of (x, y), with y negated in the elements where flip[] is 0; canonical results. y[] only if `with_y`. */
static void sign_add_blind(struct sign_tree *t, const uint64_t x[4], const uint64_t y[4], const uint64_t *flip, int with_y) {
    fe run[SIGN_STREAMS], bx, by, inverse;
    sign_start_runs(run);
    fe_broadcast(&bx, x);
    for (size_t g = t->groups; g-- > 0;) {
        fe d;
        fe_sub(&d, &bx, &t->x[g]);
        t->prefix[g] = run[g % SIGN_STREAMS];
        t->x[t->groups + g] = d;
        fe_mul(&run[g % SIGN_STREAMS], &run[g % SIGN_STREAMS], &d);
    }
    sign_invert_runs(run);
    for (size_t g = 0; g < t->groups; g++) {
        const fe *d = &t->x[t->groups + g];
        fe_mul(&inverse, &run[g % SIGN_STREAMS], &t->prefix[g]);
        fe_mul(&run[g % SIGN_STREAMS], &run[g % SIGN_STREAMS], d);
        fe_broadcast(&by, y);
        fe_negate_elements(&by, &by, vec_bit_mask(vec_load(flip + g * VEC) ^ 1));
        sign_add(&t->x[g], with_y ? &t->y[g] : 0, &t->x[g], &t->y[g], &by, d, &inverse);
        fe_normal(&t->x[g], &t->x[g]);
        if (!with_y) continue;
        fe_negate_elements(&by, &t->y[g], vec_bit_mask(vec_load(flip + g * VEC)));
        sign_settle(&by);
        fe_normal(&t->y[g], &by);
    }
    cw_wipe(run, sizeof run);
    cw_wipe(&inverse, sizeof inverse);
}

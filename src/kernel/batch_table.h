/* Tables for VEC keys at once, one key in each element. Row i of a window is (2 i + 1) B with B = 2^offset Q: from the chain of all
 * 2^k Q (Jacobian, made affine with one inversion) rows m .. 2m-1 are rows 0 .. m-1 plus 2 m B, for m = 1, 2, 4, ...,
 * all windows together, one inversion a level. No collision is possible: an odd multiple below 2m never equals +-2m. */
#include "kernel.h"
#include "modinv.h"
#include "fe_power.h"

#define BUILD_NODES 1024 /* rows of several windows that share an inversion; one window of the generator has 4096 */

struct builder {
    fe x[CW_HALF_BITS], y[CW_HALF_BITS], z[CW_HALF_BITS], run[CW_HALF_BITS]; /* the chain of doublings */
    fe nodes[]; /* x, y, d, prefix: four arrays of the same length */
};

/* Replaces a product by its inverse, in every element at once. The caller knows that it is not zero. */
static void invert_elements(fe *product) {
    fe run[STREAMS];
    start_chains(run);
    run[0] = *product;
    invert_chains(run);
    *product = run[0];
}

static void double_chain(struct builder *b, const fe *x, const fe *y) {
    struct jacobian p = {*x, *y, *x};
    fe_broadcast(&p.z, cw_one_words);
    fe product = p.z;
    for (int i = 0; i < CW_HALF_BITS; i++) {
        b->x[i] = p.x, b->y[i] = p.y, b->z[i] = p.z, b->run[i] = product;
        fe_mul(&product, &product, &p.z);
        jacobian_double(&p, &p);
    }
    invert_elements(&product);
    for (int i = CW_HALF_BITS - 1; i >= 0; i--) {
        fe z, z2;
        fe_mul(&z, &product, &b->run[i]);
        fe_mul(&product, &product, &b->z[i]);
        fe_sqr(&z2, &z);
        fe_mul(&b->x[i], &b->x[i], &z2);
        fe_mul(&z2, &z2, &z);
        fe_mul(&b->y[i], &b->y[i], &z2);
    }
}

/* Rows m .. 2m-1 (as far as the window goes) of windows first .. last-1, window j's nodes from (j - first) * stride. */
static void build_level(struct builder *b, int kind, int first, int last, size_t stride, size_t nodes, int level) {
    fe *x = b->nodes, *y = x + nodes, *d = y + nodes, *prefix = d + nodes, run[STREAMS];
    const int m = 1 << level;
    start_chains(run);
    for (int j = first; j < last; j++) {
        const fe *px = &b->x[j * cw_width(kind) + level + 1];
        const int rows = cw_window_rows(kind, j);
        fe *wx = x + (size_t)(j - first) * stride, *wd = d + (wx - x), *wp = prefix + (wx - x);
        for (int i = 0; i < m && i + m < rows; i++) {
            fe_sub(&wd[i], px, &wx[i]);
            wp[i] = run[i % STREAMS];
            fe_mul(&run[i % STREAMS], &run[i % STREAMS], &wd[i]);
        }
    }
    invert_chains(run);
    for (int j = last - 1; j >= first; j--) {
        const fe *py = &b->y[j * cw_width(kind) + level + 1];
        const int rows = cw_window_rows(kind, j), top = rows - m < m ? rows - m : m;
        fe *wx = x + (size_t)(j - first) * stride, *wy = y + (wx - x), *wd = d + (wx - x), *wp = prefix + (wx - x);
        for (int i = top - 1; i >= 0; i--) {
            fe inverse, l, t;
            fe_mul(&inverse, &run[i % STREAMS], &wp[i]);
            fe_mul(&run[i % STREAMS], &run[i % STREAMS], &wd[i]);
            fe_sub(&t, py, &wy[i]);
            fe_mul(&l, &t, &inverse);
            fe_sqr_sub(&wx[i + m], &l, &wx[i], &wd[i]);
            fe_sub(&t, &wx[i], &wx[i + m]);
            fe_mul_sub(&wy[i + m], &l, &t, &wy[i]);
        }
    }
}

static void store_windows(const struct builder *b, int kind, int first, int last, size_t stride, size_t nodes, uint8_t *const *table) {
    const fe *x = b->nodes, *y = x + nodes;
    for (int j = first; j < last; j++)
        for (int i = 0; i < cw_window_rows(kind, j); i++) {
            const size_t node = (size_t)(j - first) * stride + (size_t)i;
            uint8_t *row[VEC];
            for (int element = 0; element < VEC; element++)
                row[element] = table[element] + (((size_t)j << (cw_width(kind) - 1)) + (size_t)i) * CW_ROW_BYTES;
            fe px, py;
            fe_normal(&px, &x[node]);
            fe_normal(&py, &y[node]);
            fe_store_rows(row, &px, &py);
        }
}

static void KERNEL(build)(int kind, int count, const uint64_t (*x)[4], const uint64_t (*y)[4], uint8_t *const *table, void *scratch) {
    struct builder *b = scratch;
    const int windows = cw_windows(kind), last_rows = cw_window_rows(kind, windows - 1), rows = cw_window_rows(kind, 0);
    const size_t stride = (size_t)(last_rows > rows ? last_rows : rows);
    const size_t nodes = kind == CW_GENERATOR ? stride : BUILD_NODES;
    const int together = (int)(nodes / stride);
    uint64_t wx[4][VEC], wy[4][VEC];
    uint8_t *out[VEC];
    for (int element = 0; element < VEC; element++) { /* unused elements repeat the first key, into the same memory */
        const int from = element < count ? element : 0;
        for (int k = 0; k < 4; k++) wx[k][element] = x[from][k], wy[k][element] = y[from][k];
        out[element] = table[from];
    }
    fe px, py;
    fe_from_words(&px, wx[0], VEC);
    fe_from_words(&py, wy[0], VEC);
    double_chain(b, &px, &py);
    for (int first = 0; first < windows; first += together) {
        const int last = first + together < windows ? first + together : windows;
        for (int j = first; j < last; j++) {
            b->nodes[(size_t)(j - first) * stride] = b->x[j * cw_width(kind)];
            b->nodes[nodes + (size_t)(j - first) * stride] = b->y[j * cw_width(kind)];
        }
        for (int level = 0; 1 << level < (int)stride; level++) build_level(b, kind, first, last, stride, nodes, level);
        store_windows(b, kind, first, last, stride, nodes, out);
    }
}

/* y = (x^3 + 7)^((p + 1)/4); the exponent is 223 ones, 0, 22 ones, 0000, 11, 00. */
static void square_root(fe *r, const fe *a) {
    fe x2, t;
    power_of_ones(&t, &x2, a);
    square_times(&t, &t, 6), fe_mul(&t, &t, &x2);
    square_times(r, &t, 2);
}
static uint32_t KERNEL(decompress)(int count, const uint64_t (*x)[4], const uint8_t *odd, uint64_t (*y)[4]) {
    static const uint64_t seven_words[4] = {7, 0, 0, 0};
    uint64_t w[4][VEC];
    vec_mask wanted = 0;
    for (int element = 0; element < VEC; element++)
        for (int k = 0; k < 4; k++) w[k][element] = x[element < count ? element : 0][k];
    for (int element = 0; element < count; element++) wanted |= (vec_mask)((odd[element] & 1) << element);
    fe px, right, root, t, seven, zero;
    fe_broadcast(&seven, seven_words);
    fe_broadcast(&zero, cw_zero_words);
    fe_from_words(&px, w[0], VEC);
    fe_sqr(&t, &px);
    fe_mul(&t, &t, &px);
    fe_add(&right, &t, &seven);
    square_root(&root, &right);
    fe_mul(&t, &root, &root);
    fe_sub(&t, &t, &right);
    const vec_mask on_curve = fe_zero(&t);
    fe_normal(&root, &root);
    fe_to_words(w[0], VEC, &root);
    const vec_mask parity = vec_bit_mask(vec_load(w[0]));
    fe_sub(&t, &zero, &root);
    fe_normal(&t, &t);
    fe_select(&root, parity ^ wanted, &t, &root);
    fe_to_words(w[0], VEC, &root);
    for (int element = 0; element < count; element++)
        for (int k = 0; k < 4; k++) y[element][k] = w[k][element];
    return on_curve & (uint32_t)((1u << count) - 1);
}

/* The vector contract (fe_vector.h) with one element: plain C, five limbs of 52 bits and unsigned __int128.
 * Sums are left uncarried: a limb of magnitude m is at most m (2^52 + 2^46), limb 4 at most m 2^48, so ma * mb <= 40
 * keeps a column of five products with the folds below 2^112, and its top a word. */
#ifndef CLAIMWIRE_VECTOR_SCALAR_H
#define CLAIMWIRE_VECTOR_SCALAR_H
#include "common.h"
#include "constants_generated.h"
#define VEC 1
#define VEC_LOOSE_MAX 2 /* 2 p - a */
#define VEC_LIMB_MAX(m) ((m) * ((1ULL << 52) + (1ULL << 46)))

typedef uint64_t vec_u64;
typedef uint8_t vec_mask;
typedef struct { uint64_t v[5]; VEC_CHECKED } fe;
typedef struct { uint64_t v[5]; VEC_CHECKED } sc;

CW_INLINE vec_u64 vec_load(const void *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
CW_INLINE void vec_store_word(void *p, vec_u64 v) { memcpy(p, &v, 8); }
CW_INLINE void vec_store_pointer(const uint8_t **p, vec_u64 v) { *p = (const uint8_t *)(uintptr_t)v; }
/* A pointer may have four bytes (WebAssembly). */
#define vec_store(p, v) _Generic((p), const uint8_t **: vec_store_pointer, default: vec_store_word)(p, v)
CW_INLINE vec_u64 vec_set(uint64_t x) { return x; }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) { return v & 1; }

/* 0 or 1 -> 0 or all ones; the compiler cannot see that it was a bit, and make a branch of it. */
CW_INLINE uint64_t vec_hidden_mask(uint64_t bit) {
    __asm__("" : "+r"(bit));
    return 0 - bit;
}

#define W(a, b) ((cw_u128)(a) * (b))

/* r = low columns c[0..4] plus high columns h[0..4] at 2^260: fold by 2^260 = CW_FOLD_260, then the bits over 2^256. */
CW_INLINE void fe_fold(fe *r, const cw_u128 c[5], const uint64_t h[5]) {
    cw_u128 t = c[0] + W(h[0], CW_FOLD_260);
    uint64_t r0 = (uint64_t)t & CW_MASK52;
    t = (t >> 52) + c[1] + W(h[1], CW_FOLD_260);
    uint64_t r1 = (uint64_t)t & CW_MASK52;
    t = (t >> 52) + c[2] + W(h[2], CW_FOLD_260);
    r->v[2] = (uint64_t)t & CW_MASK52;
    t = (t >> 52) + c[3] + W(h[3], CW_FOLD_260);
    r->v[3] = (uint64_t)t & CW_MASK52;
    t = (t >> 52) + c[4] + W(h[4], CW_FOLD_260);
    r->v[4] = (uint64_t)t & CW_MASK48;
    /* t < 2^112, so the top is a word; r1 ends below 2^52 + 2^46. */
    t = W((uint64_t)(t >> 48), CW_FOLD_256) + r0;
    r->v[0] = (uint64_t)t & CW_MASK52;
    r->v[1] = r1 + (uint64_t)(t >> 52);
}
/* High columns 5..8 of a product, carried into five words. */
CW_INLINE void fe_high(uint64_t h[5], cw_u128 c5, cw_u128 c6, cw_u128 c7, cw_u128 c8) {
    h[0] = (uint64_t)c5 & CW_MASK52;
    c6 += c5 >> 52;
    h[1] = (uint64_t)c6 & CW_MASK52;
    c7 += c6 >> 52;
    h[2] = (uint64_t)c7 & CW_MASK52;
    c8 += c7 >> 52;
    h[3] = (uint64_t)c8 & CW_MASK52;
    h[4] = (uint64_t)(c8 >> 52);
}
/* r = a b + e, where e is five small column terms. */
CW_INLINE void fe_mul_add_columns(fe *r, const fe *a, const fe *b, const uint64_t e[5]) {
    uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    uint64_t b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
    uint64_t h[5];
    fe_high(h, W(a1, b4) + W(a2, b3) + W(a3, b2) + W(a4, b1), W(a2, b4) + W(a3, b3) + W(a4, b2), W(a3, b4) + W(a4, b3),
            W(a4, b4));
    cw_u128 c[5] = {W(a0, b0) + e[0], W(a0, b1) + W(a1, b0) + e[1], W(a0, b2) + W(a1, b1) + W(a2, b0) + e[2],
                    W(a0, b3) + W(a1, b2) + W(a2, b1) + W(a3, b0) + e[3],
                    W(a0, b4) + W(a1, b3) + W(a2, b2) + W(a3, b1) + W(a4, b0) + e[4]};
    fe_fold(r, c, h);
}
CW_INLINE void fe_sqr_add_columns(fe *r, const fe *a, const uint64_t e[5]) {
    uint64_t a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    uint64_t d0 = 2 * a0, d1 = 2 * a1, d2 = 2 * a2, d3 = 2 * a3;
    uint64_t h[5];
    fe_high(h, W(d1, a4) + W(d2, a3), W(d2, a4) + W(a3, a3), W(d3, a4), W(a4, a4));
    cw_u128 c[5] = {W(a0, a0) + e[0], W(d0, a1) + e[1], W(d0, a2) + W(a1, a1) + e[2], W(d0, a3) + W(d1, a2) + e[3],
                    W(d0, a4) + W(d1, a3) + W(a2, a2) + e[4]};
    fe_fold(r, c, h);
}
static const uint64_t fe_no_columns[5] = {0, 0, 0, 0, 0};
CW_INLINE void fe_mul(fe *r, const fe *a, const fe *b) { fe_mul_add_columns(r, a, b, fe_no_columns); }
CW_INLINE void fe_sqr(fe *r, const fe *a) { fe_sqr_add_columns(r, a, fe_no_columns); }
/* 16 p - c is positive in every limb for c of magnitude up to 8, or loose. */
CW_INLINE void fe_mul_sub(fe *r, const fe *a, const fe *b, const fe *c) {
    uint64_t e[5];
    for (int i = 0; i < 5; i++) e[i] = 16 * cw_p_limbs[i] - c->v[i];
    fe_mul_add_columns(r, a, b, e);
}
CW_INLINE void fe_sqr_sub(fe *r, const fe *a, const fe *x, const fe *d) {
    uint64_t e[5];
    for (int i = 0; i < 5; i++) e[i] = 16 * cw_p_limbs[i] - 2 * x->v[i] - d->v[i];
    fe_sqr_add_columns(r, a, e);
}
CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
    for (int i = 0; i < 5; i++) r->v[i] = a->v[i] + b->v[i];
}
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
    for (int i = 0; i < 5; i++) r->v[i] = a->v[i] + 4 * cw_p_limbs[i] - b->v[i];
}
CW_INLINE void fe_scale(fe *r, const fe *a, unsigned k) {
    for (int i = 0; i < 5; i++) r->v[i] = a->v[i] * k;
}
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) {
    uint64_t w = (uint64_t)0 - m;
    for (int i = 0; i < 5; i++) r->v[i] = (a->v[i] ^ w) + (w & (2 * cw_p_limbs[i] + 1));
}
/* One carry through all limbs, the bits over 2^256 folded back; twice makes the value below 2^256 + 2^33. */
CW_INLINE void fe_carry(fe *r, const fe *a) {
    uint64_t t = (a->v[4] >> 48) * CW_FOLD_256;
    for (int i = 0; i < 4; i++) {
        t += a->v[i];
        r->v[i] = t & CW_MASK52;
        t >>= 52;
    }
    r->v[4] = (a->v[4] & CW_MASK48) + t;
}
CW_INLINE void fe_normal(fe *r, const fe *a) {
    fe t, u;
    fe_carry(&t, a);
    fe_carry(&t, &t);
    /* t < 2^256 + 2^33 < 2 p: t >= p exactly when t + 2^256 - p reaches 2^256. */
    uint64_t carry = CW_FOLD_256;
    for (int i = 0; i < 5; i++) {
        carry += t.v[i];
        u.v[i] = carry & (i < 4 ? CW_MASK52 : CW_MASK48);
        carry >>= i < 4 ? 52 : 48;
    }
    const uint64_t keep = vec_hidden_mask(carry); /* secrets come here as well: no branch */
    for (int i = 0; i < 5; i++) r->v[i] = t.v[i] ^ ((t.v[i] ^ u.v[i]) & keep);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    fe_normal(&t, a);
    return (t.v[0] | t.v[1] | t.v[2] | t.v[3] | t.v[4]) == 0;
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) { *r = m ? *a : *b; }
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) { (void)k, *r = *a; }
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) { (void)k, *r = *a; }
CW_INLINE void vec_from_words(uint64_t l[5], const uint64_t *w, size_t stride) {
    uint64_t t[4] = {w[0], w[stride], w[2 * stride], w[3 * stride]};
    cw_limbs_from_words(l, t);
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    uint64_t t[4];
    cw_words_from_limbs(t, a->v);
    for (int i = 0; i < 4; i++) w[i * stride] = t[i];
}
CW_INLINE void vec_element_words(uint64_t w[4], const uint64_t l[5]) { cw_words_from_limbs(w, l); }
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) { cw_limbs_from_words(r->v, w); }
CW_INLINE void vec_load_halves(uint64_t l[5], const uint8_t *const *row, size_t half) {
    uint64_t w[4];
    memcpy(w, row[0] + half, 32);
    cw_limbs_from_words(l, w);
}
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    uint64_t w[8];
    cw_words_from_limbs(w, x->v);
    cw_words_from_limbs(w + 4, y->v);
    memcpy(row[0], w, 64);
}

/* Montgomery, operand scanning: after each step the low 52 bits are zero and shifted out. */
CW_INLINE void sc_mul(sc *r, const sc *a, const sc *b) {
    uint64_t t[6] = {0, 0, 0, 0, 0, 0};
    for (int i = 0; i < 5; i++) {
        cw_u128 c = W(a->v[i], b->v[0]) + t[0];
        uint64_t q = ((uint64_t)c * CW_ORDER_NEGATED_INVERSE) & CW_MASK52;
        c = (c + W(q, cw_n_limbs[0])) >> 52;
        for (int j = 1; j < 5; j++) {
            c += W(a->v[i], b->v[j]) + W(q, cw_n_limbs[j]) + t[j];
            t[j - 1] = (uint64_t)c & CW_MASK52;
            c >>= 52;
        }
        t[4] = (uint64_t)c;
    }
    for (int i = 0; i < 5; i++) r->v[i] = t[i];
}
CW_INLINE void sc_normal(sc *r, const sc *a) {
    sc t = *a;
    for (int round = 0; round < 4; round++) { /* near is below 2^258 < 5 n */
        uint64_t d[5], borrow = 0;
        for (int i = 0; i < 5; i++) {
            uint64_t x = t.v[i] - cw_n_limbs[i] - borrow;
            borrow = x >> 63;
            d[i] = x & CW_MASK52;
        }
        const uint64_t keep = vec_hidden_mask(borrow); /* secrets come here as well: no branch */
        for (int i = 0; i < 5; i++) t.v[i] = d[i] ^ ((t.v[i] ^ d[i]) & keep);
    }
    *r = t;
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) { memcpy(r->v, limbs, 40); }

/* c = round(v g / 2^364), 129 bits in limbs of 52. */
CW_INLINE void sc_quotient(uint64_t c[3], const uint64_t v[5], const uint64_t g[5]) {
    cw_u128 t = 0;
    for (int column = 4; column < 10; column++) {
        for (int i = column - 4 > 0 ? column - 4 : 0; i <= 4 && i <= column; i++) t += W(v[i], g[column - i]);
        if (column == 6) t += 1ULL << 51;
        if (column >= 7) c[column - 7] = (uint64_t)t & CW_MASK52;
        t >>= 52;
    }
}
/* t += c m mod 2^156 */
CW_INLINE void sc_multiply_low(uint64_t t[3], const uint64_t c[3], const uint64_t m[3]) {
    cw_u128 x = W(c[0], m[0]) + t[0];
    t[0] = (uint64_t)x & CW_MASK52;
    x = (x >> 52) + W(c[0], m[1]) + W(c[1], m[0]) + t[1];
    t[1] = (uint64_t)x & CW_MASK52;
    t[2] = ((uint64_t)(x >> 52) + c[0] * m[2] + c[1] * m[1] + c[2] * m[0] + t[2]) & CW_MASK52;
}
CW_INLINE void sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    uint64_t v[5], carry = 0, c1[3], c2[3];
    for (int i = 0; i < 5; i++) {
        carry += u->v[i] + cw_odd_offset[i];
        v[i] = carry & CW_MASK52;
        carry >>= 52;
    }
    sc_quotient(c1, v, cw_g1);
    sc_quotient(c2, v, cw_g2);
    uint64_t k1[3] = {v[0], v[1], (v[2] + (1ULL << 24)) & CW_MASK52}, k2[3] = {0, 0, 1ULL << 24}; /* 2^128 = 2^24 2^104 */
    sc_multiply_low(k1, c1, cw_minus_a1);
    sc_multiply_low(k1, c2, cw_minus_a2);
    sc_multiply_low(k2, c1, cw_minus_b1);
    sc_multiply_low(k2, c2, cw_minus_b2);
    for (int h = 0; h < 2; h++) {
        uint64_t *k = h ? k2 : k1, *b = h ? b2 : b1;
        b[0] = k[0] | k[1] << 52;
        b[1] = k[1] >> 12 | k[2] << 40;
        b[2] = k[2] >> 24;
    }
}
#include "fe_vector.h"
#endif

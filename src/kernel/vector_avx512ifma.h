/* The vector contract (fe_vector.h) with eight elements: AVX-512 IFMA, five limbs of 52 bits.
 *
 * vpmadd52 silently drops every bit of a factor over 52, so each function returns limbs below 2^52 (limb 4 below
 * m 2^48 + 2^6 for magnitude m <= 15): a limb that is one bit too long gives wrong products, not slow ones. The columns of
 * an accumulator hold at most 2^57. `loose` limbs are signed. */
#ifndef CLAIMWIRE_VECTOR_AVX512IFMA_H
#define CLAIMWIRE_VECTOR_AVX512IFMA_H
#include <immintrin.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 8
#define VEC_LIMB_MAX(m) CW_MASK52

typedef uint64_t vec_u64 __attribute__((vector_size(64)));
typedef uint8_t vec_mask;
typedef struct { __m512i v[5]; } fe;
typedef struct { __m512i v[5]; } sc;

CW_INLINE vec_u64 vec_load(const void *p) { return (vec_u64)_mm512_loadu_si512(p); }
CW_INLINE void vec_store(void *p, vec_u64 v) { _mm512_storeu_si512(p, (__m512i)v); }
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64)_mm512_set1_epi64((long long)x); }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) { return _mm512_test_epi64_mask((__m512i)v, _mm512_set1_epi64(1)); }
#define VEC_HAVE_TERNARY
CW_INLINE vec_u64 vec_choose(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0xCA); }
CW_INLINE vec_u64 vec_majority(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0xE8); }
CW_INLINE vec_u64 vec_xor3(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0x96); }
#define vec_rotate_right(v, k) ((vec_u64)_mm512_ror_epi64((__m512i)(v), k))

#define SET(x) _mm512_set1_epi64((long long)(x))
#define ADD _mm512_add_epi64
#define SUB _mm512_sub_epi64
#define AND _mm512_and_si512
#define SHR _mm512_srli_epi64
#define SHL _mm512_slli_epi64
#define LO(c, a, b) c = _mm512_madd52lo_epu64(c, a, b)
#define HI(c, a, b) c = _mm512_madd52hi_epu64(c, a, b)
#define M52 SET(CW_MASK52)
#define M48 SET(CW_MASK48)

/* Carry limbs 0..3 into the next; limb 4 keeps the rest. In: limbs below 2^63. */
#define CARRY(r, c0, c1, c2, c3, c4) do { \
    c1 = ADD(c1, SHR(c0, 52)); r->v[0] = AND(c0, M52); \
    c2 = ADD(c2, SHR(c1, 52)); r->v[1] = AND(c1, M52); \
    c3 = ADD(c3, SHR(c2, 52)); r->v[2] = AND(c2, M52); \
    r->v[4] = ADD(c4, SHR(c3, 52)); r->v[3] = AND(c3, M52); } while (0)

/* Columns c0..c9 below 2^57, c9 below 2^50: fold the upper five at 2^260, then the bits over 2^256.
 * The top is below 2^40, so its product with 2^256 mod p needs both halves. */
#define FOLD(r, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9) do { \
    const __m512i f = SET(CW_FOLD_260), f256 = SET(CW_FOLD_256); __m512i top = _mm512_setzero_si512(); \
    c6 = ADD(c6, SHR(c5, 52)); LO(c0, c5, f); HI(c1, c5, f); \
    c7 = ADD(c7, SHR(c6, 52)); LO(c1, c6, f); HI(c2, c6, f); \
    c8 = ADD(c8, SHR(c7, 52)); LO(c2, c7, f); HI(c3, c7, f); \
    c9 = ADD(c9, SHR(c8, 52)); LO(c3, c8, f); HI(c4, c8, f); \
    LO(c4, c9, f); HI(top, c9, f); \
    top = ADD(SHL(top, 4), SHR(c4, 48)); c4 = AND(c4, M48); \
    LO(c0, top, f256); HI(c1, top, f256); \
    CARRY(r, c0, c1, c2, c3, c4); } while (0)

#define ROW(x, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, c5) do { const __m512i xi = x; \
    LO(c0, xi, b0); LO(c1, xi, b1); LO(c2, xi, b2); LO(c3, xi, b3); LO(c4, xi, b4); \
    HI(c1, xi, b0); HI(c2, xi, b1); HI(c3, xi, b2); HI(c4, xi, b3); HI(c5, xi, b4); } while (0)

CW_INLINE void fe_mul_columns(fe *r, const fe *a, const fe *b, __m512i c0, __m512i c1, __m512i c2, __m512i c3, __m512i c4) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i c5 = zero, c6 = zero, c7 = zero, c8 = zero, c9 = zero;
    const __m512i b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
    ROW(a->v[0], b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, c5);
    ROW(a->v[1], b0, b1, b2, b3, b4, c1, c2, c3, c4, c5, c6);
    ROW(a->v[2], b0, b1, b2, b3, b4, c2, c3, c4, c5, c6, c7);
    ROW(a->v[3], b0, b1, b2, b3, b4, c3, c4, c5, c6, c7, c8);
    ROW(a->v[4], b0, b1, b2, b3, b4, c4, c5, c6, c7, c8, c9);
    FOLD(r, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
}
/* The mixed products once, doubled as columns (a doubled limb could pass 52 bits), then the squares. */
CW_INLINE void fe_sqr_columns(fe *r, const fe *a, __m512i e0, __m512i e1, __m512i e2, __m512i e3, __m512i e4) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i c1 = zero, c2 = zero, c3 = zero, c4 = zero, c5 = zero, c6 = zero, c7 = zero, c8 = zero, c9 = zero, c0 = e0;
    const __m512i a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
    LO(c1, a0, a1); LO(c2, a0, a2); LO(c3, a0, a3); LO(c4, a0, a4);
    HI(c2, a0, a1); HI(c3, a0, a2); HI(c4, a0, a3); HI(c5, a0, a4);
    LO(c3, a1, a2); LO(c4, a1, a3); LO(c5, a1, a4);
    HI(c4, a1, a2); HI(c5, a1, a3); HI(c6, a1, a4);
    LO(c5, a2, a3); LO(c6, a2, a4); HI(c6, a2, a3); HI(c7, a2, a4);
    LO(c7, a3, a4); HI(c8, a3, a4);
    c1 = ADD(ADD(c1, c1), e1); c2 = ADD(ADD(c2, c2), e2); c3 = ADD(ADD(c3, c3), e3); c4 = ADD(ADD(c4, c4), e4);
    c5 = ADD(c5, c5); c6 = ADD(c6, c6); c7 = ADD(c7, c7); c8 = ADD(c8, c8);
    LO(c0, a0, a0); HI(c1, a0, a0); LO(c2, a1, a1); HI(c3, a1, a1); LO(c4, a2, a2); HI(c5, a2, a2);
    LO(c6, a3, a3); HI(c7, a3, a3); LO(c8, a4, a4); HI(c9, a4, a4);
    FOLD(r, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9);
}
CW_INLINE void fe_mul(fe *r, const fe *a, const fe *b) {
    const __m512i z = _mm512_setzero_si512();
    fe_mul_columns(r, a, b, z, z, z, z, z);
}
CW_INLINE void fe_sqr(fe *r, const fe *a) {
    const __m512i z = _mm512_setzero_si512();
    fe_sqr_columns(r, a, z, z, z, z, z);
}
#define P(k, i) SET((k) * cw_p_limbs[i])
/* 16 p in limbs is above anything subtracted, so columns stay positive. */
CW_INLINE void fe_mul_sub(fe *r, const fe *a, const fe *b, const fe *c) {
    fe_mul_columns(r, a, b, SUB(P(16, 0), c->v[0]), SUB(P(16, 1), c->v[1]), SUB(P(16, 2), c->v[2]), SUB(P(16, 3), c->v[3]),
                   SUB(P(16, 4), c->v[4]));
}
CW_INLINE void fe_sqr_sub(fe *r, const fe *a, const fe *x, const fe *d) {
#define E(i) SUB(P(16, i), ADD(ADD(x->v[i], x->v[i]), d->v[i]))
    fe_sqr_columns(r, a, E(0), E(1), E(2), E(3), E(4));
#undef E
}
CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
    __m512i c0 = ADD(a->v[0], b->v[0]), c1 = ADD(a->v[1], b->v[1]), c2 = ADD(a->v[2], b->v[2]), c3 = ADD(a->v[3], b->v[3]),
            c4 = ADD(a->v[4], b->v[4]);
    CARRY(r, c0, c1, c2, c3, c4);
}
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
#define D(i) ADD(P(4, i), SUB(a->v[i], b->v[i]))
    __m512i c0 = D(0), c1 = D(1), c2 = D(2), c3 = D(3), c4 = D(4);
#undef D
    CARRY(r, c0, c1, c2, c3, c4);
}
CW_INLINE void fe_scale(fe *r, const fe *a, unsigned k) {
    __m512i c[5];
    for (int i = 0; i < 5; i++) {
        c[i] = _mm512_setzero_si512();
        if (k & 1) c[i] = ADD(c[i], a->v[i]);
        if (k & 2) c[i] = ADD(c[i], SHL(a->v[i], 1));
        if (k & 4) c[i] = ADD(c[i], SHL(a->v[i], 2));
        if (k & 8) c[i] = ADD(c[i], SHL(a->v[i], 3));
    }
    CARRY(r, c[0], c[1], c[2], c[3], c[4]);
}
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) {
    const __m512i zero = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_sub_epi64(a->v[i], m, zero, a->v[i]);
}
/* Twice carried the value is below 2^256 + 2^33 < 2 p; it is >= p when adding 2^256 - p reaches 2^256. */
CW_INLINE void fe_normal(fe *r, const fe *a) {
    __m512i c0 = a->v[0], c1 = a->v[1], c2 = a->v[2], c3 = a->v[3], c4 = a->v[4];
    fe t;
    for (int round = 0; round < 2; round++) {
        LO(c0, SHR(c4, 48), SET(CW_FOLD_256));
        c4 = AND(c4, M48);
        CARRY((&t), c0, c1, c2, c3, c4);
        c0 = t.v[0]; c1 = t.v[1]; c2 = t.v[2]; c3 = t.v[3]; c4 = t.v[4];
    }
    fe u;
    c0 = ADD(c0, SET(CW_FOLD_256));
    CARRY((&u), c0, c1, c2, c3, c4);
    __mmask8 over = _mm512_cmpgt_epu64_mask(u.v[4], M48);
    u.v[4] = AND(u.v[4], M48);
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_mov_epi64(t.v[i], over, u.v[i]);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    fe_normal(&t, a);
    __m512i any = _mm512_or_si512(_mm512_or_si512(t.v[0], t.v[1]), _mm512_or_si512(_mm512_or_si512(t.v[2], t.v[3]), t.v[4]));
    return _mm512_testn_epi64_mask(any, any);
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) {
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_mask_mov_epi64(b->v[i], m, a->v[i]);
}
CW_INLINE __m512i vec_rotation(int k) {
    return AND(ADD(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), SET(k)), SET(7));
}
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) {
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_permutexvar_epi64(vec_rotation(k), a->v[i]);
}
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) {
    for (int i = 0; i < 5; i++) r->v[i] = _mm512_permutexvar_epi64(vec_rotation(k), a->v[i]);
}
CW_INLINE void vec_limbs(__m512i l[5], __m512i w0, __m512i w1, __m512i w2, __m512i w3) {
    l[0] = AND(w0, M52);
    l[1] = AND(_mm512_or_si512(SHR(w0, 52), SHL(w1, 12)), M52);
    l[2] = AND(_mm512_or_si512(SHR(w1, 40), SHL(w2, 24)), M52);
    l[3] = AND(_mm512_or_si512(SHR(w2, 28), SHL(w3, 36)), M52);
    l[4] = SHR(w3, 16);
}
CW_INLINE void vec_words(__m512i w[4], const __m512i l[5]) {
    w[0] = _mm512_or_si512(l[0], SHL(l[1], 52));
    w[1] = _mm512_or_si512(SHR(l[1], 12), SHL(l[2], 40));
    w[2] = _mm512_or_si512(SHR(l[2], 24), SHL(l[3], 28));
    w[3] = _mm512_or_si512(SHR(l[3], 36), SHL(l[4], 16));
}
CW_INLINE void vec_from_words(__m512i l[5], const uint64_t *w, size_t stride) {
    vec_limbs(l, _mm512_loadu_si512(w), _mm512_loadu_si512(w + stride), _mm512_loadu_si512(w + 2 * stride), _mm512_loadu_si512(w + 3 * stride));
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    __m512i t[4];
    vec_words(t, a->v);
    for (int i = 0; i < 4; i++) _mm512_storeu_si512(w + i * stride, t[i]);
}
CW_INLINE void vec_element_words(uint64_t w[4], const __m512i l[5]) {
    uint64_t t[5];
    for (int i = 0; i < 5; i++) t[i] = (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(l[i]));
    cw_words_from_limbs(w, t);
}
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) {
    uint64_t t[5];
    cw_limbs_from_words(t, w);
    for (int i = 0; i < 5; i++) r->v[i] = SET(t[i]);
}
/* Half a row from each of eight: four pairs of 32 bytes, then an 8 x 4 transposition in eight shuffles. */
CW_INLINE __m512i vec_two_halves(const uint8_t *low, const uint8_t *high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_load_si256((const __m256i *)low)), _mm256_load_si256((const __m256i *)high), 1);
}
CW_INLINE void vec_load_halves(__m512i l[5], const uint8_t *const *row, size_t half) {
    __m512i a = vec_two_halves(row[0] + half, row[2] + half), b = vec_two_halves(row[1] + half, row[3] + half);
    __m512i c = vec_two_halves(row[4] + half, row[6] + half), d = vec_two_halves(row[5] + half, row[7] + half);
    __m512i even0 = _mm512_unpacklo_epi64(a, b), odd0 = _mm512_unpackhi_epi64(a, b);
    __m512i even1 = _mm512_unpacklo_epi64(c, d), odd1 = _mm512_unpackhi_epi64(c, d);
    vec_limbs(l, _mm512_shuffle_i64x2(even0, even1, 0x88), _mm512_shuffle_i64x2(odd0, odd1, 0x88),
             _mm512_shuffle_i64x2(even0, even1, 0xDD), _mm512_shuffle_i64x2(odd0, odd1, 0xDD));
}
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    __m512i w[8], t[8];
    vec_words(w, x->v);
    vec_words(w + 4, y->v);
    for (int i = 0; i < 4; i++) { /* t[i]: even rows, t[4 + i]: odd rows, words 2i and 2i + 1 in 128-bit parts */
        t[i] = _mm512_unpacklo_epi64(w[2 * i], w[2 * i + 1]);
        t[4 + i] = _mm512_unpackhi_epi64(w[2 * i], w[2 * i + 1]);
    }
    for (int odd = 0; odd < 2; odd++) {
        const __m512i *q = t + 4 * odd;
        __m512i a = _mm512_shuffle_i64x2(q[0], q[1], 0x88), b = _mm512_shuffle_i64x2(q[2], q[3], 0x88);
        __m512i c = _mm512_shuffle_i64x2(q[0], q[1], 0xDD), d = _mm512_shuffle_i64x2(q[2], q[3], 0xDD);
        _mm512_store_si512(row[0 + odd], _mm512_shuffle_i64x2(a, b, 0x88));
        _mm512_store_si512(row[4 + odd], _mm512_shuffle_i64x2(a, b, 0xDD));
        _mm512_store_si512(row[2 + odd], _mm512_shuffle_i64x2(c, d, 0x88));
        _mm512_store_si512(row[6 + odd], _mm512_shuffle_i64x2(c, d, 0xDD));
    }
}

/* One step of operand scanning: add a_i b and q n, whose low 52 bits cancel, and move down a limb. */
#define MONTGOMERY(x) do { \
    ROW(x, b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, c5); \
    __m512i q = zero; LO(q, c0, SET(CW_ORDER_NEGATED_INVERSE)); \
    ROW(q, n0, n1, n2, n3, n4, c0, c1, c2, c3, c4, c5); \
    c0 = ADD(c1, SHR(c0, 52)); c1 = c2; c2 = c3; c3 = c4; c4 = c5; c5 = zero; } while (0)
CW_INLINE void sc_mul(sc *r, const sc *a, const sc *b) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i c0 = zero, c1 = zero, c2 = zero, c3 = zero, c4 = zero, c5 = zero;
    const __m512i b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
    const __m512i n0 = SET(cw_n_limbs[0]), n1 = SET(cw_n_limbs[1]), n2 = SET(cw_n_limbs[2]), n3 = SET(cw_n_limbs[3]), n4 = SET(cw_n_limbs[4]);
    MONTGOMERY(a->v[0]);
    MONTGOMERY(a->v[1]);
    MONTGOMERY(a->v[2]);
    MONTGOMERY(a->v[3]);
    MONTGOMERY(a->v[4]);
    CARRY(r, c0, c1, c2, c3, c4);
}
CW_INLINE void sc_normal(sc *r, const sc *a) {
    sc t = *a;
    for (int round = 0; round < 4; round++) { /* near is below 2^258 < 5 n */
        __m512i d[5], borrow = _mm512_setzero_si512();
        for (int i = 0; i < 5; i++) {
            __m512i x = SUB(SUB(t.v[i], SET(cw_n_limbs[i])), borrow);
            borrow = SHR(x, 63);
            d[i] = AND(x, M52);
        }
        __mmask8 fits = _mm512_testn_epi64_mask(borrow, borrow);
        for (int i = 0; i < 5; i++) t.v[i] = _mm512_mask_mov_epi64(t.v[i], fits, d[i]);
    }
    *r = t;
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) {
    for (int i = 0; i < 5; i++) r->v[i] = SET(limbs[i]);
}
/* c = round(v g / 2^364) from columns 5 up; what the lower ones would carry is below 2^-49 of a unit. */
CW_INLINE void sc_quotient(__m512i c[3], const __m512i v[5], const uint64_t g[5]) {
    __m512i t[11];
    for (int i = 0; i < 11; i++) t[i] = _mm512_setzero_si512();
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            if (i + j >= 5) LO(t[i + j], v[i], SET(g[j]));
            if (i + j >= 4) HI(t[i + j + 1], v[i], SET(g[j]));
        }
    t[6] = ADD(ADD(t[6], SHR(t[5], 52)), SET(1ULL << 51));
    t[7] = ADD(t[7], SHR(t[6], 52));
    t[8] = ADD(t[8], SHR(t[7], 52));
    t[9] = ADD(t[9], SHR(t[8], 52));
    for (int i = 0; i < 3; i++) c[i] = AND(t[7 + i], M52);
}
CW_INLINE void sc_multiply_low(__m512i t[3], const __m512i c[3], const uint64_t m[3]) {
    const __m512i m0 = SET(m[0]), m1 = SET(m[1]), m2 = SET(m[2]);
    LO(t[0], c[0], m0);
    LO(t[1], c[0], m1); HI(t[1], c[0], m0); LO(t[1], c[1], m0);
    LO(t[2], c[0], m2); LO(t[2], c[1], m1); LO(t[2], c[2], m0);
    HI(t[2], c[0], m1); HI(t[2], c[1], m0);
}
CW_INLINE void sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    const __m512i zero = _mm512_setzero_si512(), offset = SET(1ULL << 24); /* 2^128 = 2^24 2^104 */
    sc v, *pv = &v;
    __m512i o0 = ADD(u->v[0], SET(cw_odd_offset[0])), o1 = ADD(u->v[1], SET(cw_odd_offset[1])), o2 = ADD(u->v[2], SET(cw_odd_offset[2])),
            o3 = ADD(u->v[3], SET(cw_odd_offset[3])), o4 = ADD(u->v[4], SET(cw_odd_offset[4]));
    CARRY(pv, o0, o1, o2, o3, o4);
    __m512i c1[3], c2[3], k1[3] = {v.v[0], v.v[1], ADD(v.v[2], offset)}, k2[3] = {zero, zero, offset};
    sc_quotient(c1, v.v, cw_g1);
    sc_quotient(c2, v.v, cw_g2);
    sc_multiply_low(k1, c1, cw_minus_a1);
    sc_multiply_low(k1, c2, cw_minus_a2);
    sc_multiply_low(k2, c1, cw_minus_b1);
    sc_multiply_low(k2, c2, cw_minus_b2);
    for (int h = 0; h < 2; h++) {
        __m512i *k = h ? k2 : k1;
        vec_u64 *b = h ? b2 : b1;
        k[1] = ADD(k[1], SHR(k[0], 52));
        k[2] = AND(ADD(k[2], SHR(k[1], 52)), M52);
        k[0] = AND(k[0], M52);
        k[1] = AND(k[1], M52);
        b[0] = (vec_u64)_mm512_or_si512(k[0], SHL(k[1], 52));
        b[1] = (vec_u64)_mm512_or_si512(SHR(k[1], 12), SHL(k[2], 40));
        b[2] = (vec_u64)SHR(k[2], 24);
    }
}
#include "fe_vector.h"
#endif

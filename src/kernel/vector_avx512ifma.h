/* The vector contract (fe_vector.h) with eight elements: AVX-512 IFMA. All but products is in vector_512.h and limbs_52.h.
 *
 * vpmadd52 silently drops every bit of a factor over 52, so each function returns limbs below 2^52 (limb 4 below
 * m 2^48 + 2^6 for magnitude m <= 8): a limb that is one bit too long gives wrong products, not slow ones. The columns of
 * an accumulator hold at most 2^57. `loose` limbs are signed. */
#ifndef CLAIMWIRE_VECTOR_AVX512IFMA_H
#define CLAIMWIRE_VECTOR_AVX512IFMA_H
#include "vector_512.h"
#define VEC_SMALL_CACHE_BATCH 64 /* with 1 MB: 6 % more at 1,000 keys, whose next rows come early and stay; the same at one key */

#define P(k, i) SET((k) * cw_p_limbs[i])
#define LIMB_BITS 0ULL
#define LIMB_BITS_TWICE SET(0)
#define FOUR_P(i) P(4, i)
#define KEEP(x) AND(x, M52)
#define TOP(x) (x)
#define PLAIN(x) (x)
#include "limbs_52.h"

#define LO(c, a, b) c = _mm512_madd52lo_epu64(c, a, b)
#define HI(c, a, b) c = _mm512_madd52hi_epu64(c, a, b)

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
    sc_half_words(b1, k1);
    sc_half_words(b2, k2);
}
#include "fe_vector.h"
#endif

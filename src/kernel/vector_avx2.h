/* The vector contract (fe_vector.h) with four elements: AVX2 and FMA, five limbs of 52 bits.
 *
 * AVX2 multiplies 32 bits at most, but a fused multiply-add of doubles sees all 104 bits of a product of two limbs and
 * gives any 53 of them. With a, b in 0 .. 2^52 - 1, P = a b, rounding to nearest (the ABI's mode, never changed here):
 *     high = fma(a, b, 2^104)    in [2^104, 2^105), whose last place is 2^52: high = 2^104 + q 2^52, q the nearest
 *     low  = fma(a, b, C2 - high), C2 = 2^104 - 1.5 2^52:    low = P - q 2^52 - 1.5 2^52 = r - 1.5 2^52, |r| <= 2^51
 * C2 is a double because it lies under 2^104, where the last place is 2^51; C2 - high = -2^51 (2 q + 3) is exact since
 * q <= 2^52 - 2; low is exact since its size is within 2^52 .. 2^53, the last place of which is 1. Read as integers,
 *     q = bits(high) - HIGH_BITS,    r = LOW_BITS - bits(low),    P = q 2^52 + r:
 * three operations for a whole product and two to add its halves to integer columns; the constants of all products of a
 * column are one constant, put in beforehand. So this is the code for vpmadd52 with 2.5 times its instructions, and
 * two thirds of those for ten limbs of 26 bits with vpmuludq (25 products of 5 here, 100 of 2 and a longer reduction there).
 *
 * A limb is kept as the bits of the double 2^52 + limb (`KEPT | limb`): integer sums and differences of limbs need no
 * conversion, a factor one subtraction. Every function but fe_negate_elements returns limbs 0..3 in 0 .. 2^52 - 1 and
 * limb 4 in 0 .. m (2^48 + 2^6) for magnitude m (a product's is below 2^48 + 2^5, which leaves sums room for carries);
 * magnitudes are at most 15, so that is below 2^52 too. A limb outside of 0 .. 2^52 - 1 makes wrong products, silently.
 * `loose` limbs are signed and meet integers only. */
#ifndef CLAIMWIRE_VECTOR_AVX2_H
#define CLAIMWIRE_VECTOR_AVX2_H
#include <immintrin.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 4
#define VEC_LIMB_MAX(m) CW_MASK52
#define VEC_LIMB_BITS 0x4330000000000000ULL /* set in every limb that is kept; for tests that look inside */

typedef uint64_t vec_u64 __attribute__((vector_size(32)));
typedef uint8_t vec_mask;
typedef struct { __m256i v[5]; } fe;
typedef struct { __m256i v[5]; } sc; /* limbs kept like an fe's */

#define SET(x) _mm256_set1_epi64x((long long)(x))
#define ADD _mm256_add_epi64
#define SUB _mm256_sub_epi64
#define AND _mm256_and_si256
#define OR _mm256_or_si256
#define XOR _mm256_xor_si256
#define SHR _mm256_srli_epi64
#define SHL _mm256_slli_epi64
#define M52 SET(CW_MASK52)

#define KEPT 0x4330000000000000ULL      /* bits of 2^52 */
#define HIGH_BITS 0x4670000000000000ULL /* bits of 2^104 */
#define LOW_BITS 0xC338000000000000ULL  /* bits of -1.5 2^52 */
/* What a column of `lows` low and `highs` high halves must start from. */
#define START(lows, highs) ((lows) * LOW_BITS - (highs) * HIGH_BITS)
/* Columns can be negative, and there is no arithmetic shift: LIFT is added to a column, LIFT >> 52 taken from the next. */
#define LIFT (8ULL << 52)
#define DROP 8ULL

/* Constants of the columns of a product and of all that is folded into them: the halves of its own products (1, 2, 3, 4,
 * 5, 4, 3, 2, 1 low ones and as many high ones a column further), one pair a column from the fold at 2^260, one pair
 * in columns 0, 1 from that at 2^256. The low columns can be negative in sum (an r in column 4 whose q is in column 5,
 * to be folded to next to nothing), hence 2^7 p is added: 2^55 in column 4 keeps what is over 2^256 positive. */
#define COLUMN_0 (START(3, 0) + LIFT - (CW_FOLD_256 << 7))
#define COLUMN_1 (START(3, 3) + LIFT - DROP)
#define COLUMN_2 (START(4, 3) + LIFT - DROP)
#define COLUMN_3 (START(5, 4) + LIFT - DROP)
#define COLUMN_4 (START(6, 5) + (1ULL << 55) - DROP)
#define COLUMN_5 (START(4, 5) + LIFT)
#define COLUMN_6 (START(3, 4) + LIFT - DROP)
#define COLUMN_7 (START(2, 3) + LIFT - DROP)
#define COLUMN_8 (START(1, 2) + LIFT - DROP)
#define COLUMN_9 (START(0, 1) - DROP)
#define C2 (0x1p104 - 0x1.8p52)

/* Constants of the hot functions as whole vectors, behind a pointer the compiler cannot see through: operands in memory.
 * Left to itself gcc builds each anew from a general register, three instructions and a register a time. */
struct vec_constants {
    double high[4], low[4], two_52[4], fold_260[4], high_260[4], low_260[4], fold_256[4], high_256[4], low_256[4];
    uint64_t kept[4], kept_twice[4], m52[4], m48[4], element_bit[4], over[4];
    uint64_t column[10][4], column_less_one[5][4], column_less_three[5][4], four_p[5][4];
};
#define FOUR(x) {x, x, x, x}
#define FIVE(term, extra) {FOUR(term##0 + extra), FOUR(term##1 + extra), FOUR(term##2 + extra), FOUR(term##3 + extra), FOUR(term##4 + extra)}
static const struct vec_constants vec_constants __attribute__((aligned(32))) = {
    .high = FOUR(0x1p104), .low = FOUR(C2), .two_52 = FOUR(0x1p52),
    .fold_260 = FOUR(CW_FOLD_260), .high_260 = FOUR(0x1p104 - 0x1p52 * CW_FOLD_260), .low_260 = FOUR(C2 - 0x1p52 * CW_FOLD_260),
    .fold_256 = FOUR(CW_FOLD_256), .high_256 = FOUR(0x1p104 - 0x1p52 * CW_FOLD_256), .low_256 = FOUR(C2 - 0x1p52 * CW_FOLD_256),
    .kept = FOUR(KEPT), .kept_twice = FOUR(2 * KEPT + 1), .m52 = FOUR(CW_MASK52), .m48 = FOUR(CW_MASK48), .element_bit = {1, 2, 4, 8},
    .over = FOUR(START(0, 1)),
    .column = {FOUR(COLUMN_0), FOUR(COLUMN_1), FOUR(COLUMN_2), FOUR(COLUMN_3), FOUR(COLUMN_4), FOUR(COLUMN_5), FOUR(COLUMN_6),
               FOUR(COLUMN_7), FOUR(COLUMN_8), FOUR(COLUMN_9)},
    .column_less_one = FIVE(COLUMN_, KEPT), .column_less_three = FIVE(COLUMN_, 3 * KEPT),
    .four_p = {FOUR((CW_MASK52 + 1 - CW_FOLD_256) * 4), FOUR(CW_MASK52 * 4), FOUR(CW_MASK52 * 4), FOUR(CW_MASK52 * 4), FOUR(CW_MASK48 * 4)},
};
CW_INLINE const struct vec_constants *vec_hidden(void) {
    const struct vec_constants *constants = &vec_constants;
    __asm__("" : "+r"(constants));
    return constants;
}
#define K(name) _mm256_load_si256((const __m256i *)vec_hidden()->name)
#define KD(name) _mm256_load_pd(vec_hidden()->name)

CW_INLINE vec_u64 vec_load(const void *p) { return (vec_u64)_mm256_loadu_si256(p); }
CW_INLINE void vec_store(void *p, vec_u64 v) { _mm256_storeu_si256(p, (__m256i)v); }
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64)SET(x); }
CW_INLINE vec_mask vec_signs(__m256i v) { return (vec_mask)_mm256_movemask_pd(_mm256_castsi256_pd(v)); }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) { return vec_signs(SHL((__m256i)v, 63)); }
CW_INLINE __m256i vec_spread(vec_mask m) { return _mm256_cmpeq_epi64(AND(SET(m), K(element_bit)), K(element_bit)); }
CW_INLINE __m256i vec_choice(__m256i mask, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, mask); }

#define BITS _mm256_castpd_si256
#define HIGH(a, b) _mm256_fmadd_pd(a, b, KD(high))
#define LOW(a, b, high) _mm256_fmadd_pd(a, b, _mm256_sub_pd(KD(low), high))
/* Emits no instruction, but keeps sums in the order written: reassociated, they would leave many halves waiting in memory. */
#define IN_ORDER(l, h) __asm__ volatile("" : "+x"(l), "+x"(h))
/* low column, high column += a b */
#define MULTIPLY(l, h, a, b) do { \
    const __m256d high_ = HIGH(a, b); \
    l = SUB(l, BITS(LOW(a, b, high_))); \
    h = ADD(h, BITS(high_)); \
    IN_ORDER(l, h); } while (0)
/* kept limb -> double, limb -> double, low 52 bits -> kept limb */
#define FACTOR(x) _mm256_sub_pd(_mm256_castsi256_pd(x), KD(two_52))
#define LIMB(x) FACTOR(OR(x, K(kept)))
#define KEEP(x) OR(AND(x, K(m52)), K(kept))

/* Carry c0..c3 upwards into kept limbs. In: c0..c3 not negative, with the carry below 2^63; limb 4 below 2^52. */
#define CARRY(r, c0, c1, c2, c3, c4) do { \
    c1 = ADD(c1, SHR(c0, 52)); r->v[0] = KEEP(c0); \
    c2 = ADD(c2, SHR(c1, 52)); r->v[1] = KEEP(c1); \
    c3 = ADD(c3, SHR(c2, 52)); r->v[2] = KEEP(c2); \
    r->v[4] = OR(ADD(c4, SHR(c3, 52)), K(kept)); r->v[3] = KEEP(c3); } while (0)

/* low column, high column += limb (2^260 or 2^256 mod p). The limb is kept, that is a double 2^52 too large: high and
 * C2 are smaller by 2^52 times the factor, below 2^90, which leaves them doubles and every sum exact. */
#define FOLD(at, l, h, limb) do { \
    const __m256d limb_ = _mm256_castsi256_pd(limb), high_ = _mm256_fmadd_pd(limb_, KD(fold_##at), KD(high_##at)); \
    l = SUB(l, BITS(_mm256_fmadd_pd(limb_, KD(fold_##at), _mm256_sub_pd(KD(low_##at), high_)))); \
    h = ADD(h, BITS(high_)); \
    IN_ORDER(l, h); } while (0)
/* The columns of a product become r in three parts, with products in between, so that there is work while one waits for another.
 * Without their constants c0..c3 are above -5.5 2^52 in the end (at most five r, and 3 2^52 subtracted), c4 above
 * -3.5 2^52, all below 2^56; c5..c9 are in sum not negative (their r have their q with them) and below 2^254.
 * 1: c5..c9 complete: carry, so that c9 is in 0 .. 2^50. */
#define CARRY_UPPER(c5, c6, c7, c8, c9) do { \
    c6 = ADD(c6, SHR(c5, 52)); \
    c7 = ADD(c7, SHR(c6, 52)); \
    c8 = ADD(c8, SHR(c7, 52)); \
    c9 = ADD(c9, SHR(c8, 52)); } while (0)
/* 2: c4 complete but for these folds at 2^260: c9's reaches over column 4, by less than 2^34. */
#define FOLD_TOP(c3, c4, over, c8, c9) do { \
    FOLD(260, c4, over, OR(c9, K(kept))); \
    FOLD(260, c3, c4, KEEP(c8)); } while (0)
/* 3: the rest. Over 2^256 there are less than 2^39, folded less than 2^72: limb 4 gets less than 2^5 from column 3. */
#define FOLD_REST(r, c0, c1, c2, c3, c4, c5, c6, c7, over) do { \
    over = OR(ADD(SHL(over, 4), SHR(c4, 48)), K(kept)); \
    c4 = AND(c4, K(m48)); \
    FOLD(260, c0, c1, KEEP(c5)); \
    FOLD(256, c0, c1, over); \
    FOLD(260, c1, c2, KEEP(c6)); \
    FOLD(260, c2, c3, KEEP(c7)); \
    CARRY(r, c0, c1, c2, c3, c4); } while (0)

/* c0..c4: the constants of columns 0..4 plus numbers above -3 2^52 (c4: above -2^52). */
CW_INLINE void fe_mul_columns(fe *r, const fe *a, const fe *b, __m256i c0, __m256i c1, __m256i c2, __m256i c3, __m256i c4) {
    __m256i c5 = K(column[5]), c6 = K(column[6]), c7 = K(column[7]), c8 = K(column[8]), c9 = K(column[9]), over = K(over);
    const __m256d a0 = FACTOR(a->v[0]), a1 = FACTOR(a->v[1]), a2 = FACTOR(a->v[2]), a3 = FACTOR(a->v[3]), a4 = FACTOR(a->v[4]);
    const __m256d b0 = FACTOR(b->v[0]), b1 = FACTOR(b->v[1]), b2 = FACTOR(b->v[2]), b3 = FACTOR(b->v[3]), b4 = FACTOR(b->v[4]);
    MULTIPLY(c4, c5, a0, b4); MULTIPLY(c4, c5, a1, b3); MULTIPLY(c4, c5, a2, b2); MULTIPLY(c4, c5, a3, b1); MULTIPLY(c4, c5, a4, b0);
    MULTIPLY(c5, c6, a1, b4); MULTIPLY(c5, c6, a2, b3); MULTIPLY(c5, c6, a3, b2); MULTIPLY(c5, c6, a4, b1);
    MULTIPLY(c6, c7, a2, b4); MULTIPLY(c6, c7, a3, b3); MULTIPLY(c6, c7, a4, b2);
    MULTIPLY(c7, c8, a3, b4); MULTIPLY(c7, c8, a4, b3);
    MULTIPLY(c8, c9, a4, b4);
    CARRY_UPPER(c5, c6, c7, c8, c9);
    MULTIPLY(c3, c4, a0, b3); MULTIPLY(c3, c4, a1, b2); MULTIPLY(c3, c4, a2, b1); MULTIPLY(c3, c4, a3, b0);
    FOLD_TOP(c3, c4, over, c8, c9);
    MULTIPLY(c0, c1, a0, b0); MULTIPLY(c1, c2, a0, b1); MULTIPLY(c1, c2, a1, b0);
    MULTIPLY(c2, c3, a0, b2); MULTIPLY(c2, c3, a1, b1); MULTIPLY(c2, c3, a2, b0);
    FOLD_REST(r, c0, c1, c2, c3, c4, c5, c6, c7, over);
}
/* The mixed products once, doubled as columns d (a doubled limb could reach 2^53), then the squares. */
CW_INLINE void fe_sqr_columns(fe *r, const fe *a, __m256i c0, __m256i c1, __m256i c2, __m256i c3, __m256i c4) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i d1 = zero, d2 = zero, d3 = zero, d4 = zero, d5 = zero, d6 = zero, d7 = zero, d8 = zero, over = K(over);
    const __m256d a0 = FACTOR(a->v[0]), a1 = FACTOR(a->v[1]), a2 = FACTOR(a->v[2]), a3 = FACTOR(a->v[3]), a4 = FACTOR(a->v[4]);
    MULTIPLY(d4, d5, a0, a4); MULTIPLY(d4, d5, a1, a3); MULTIPLY(d5, d6, a1, a4); MULTIPLY(d5, d6, a2, a3);
    MULTIPLY(d6, d7, a2, a4); MULTIPLY(d7, d8, a3, a4);
    __m256i c5 = ADD(K(column[5]), ADD(d5, d5)), c6 = ADD(K(column[6]), ADD(d6, d6)), c7 = ADD(K(column[7]), ADD(d7, d7));
    __m256i c8 = ADD(K(column[8]), ADD(d8, d8)), c9 = K(column[9]);
    MULTIPLY(c4, c5, a2, a2); MULTIPLY(c6, c7, a3, a3); MULTIPLY(c8, c9, a4, a4);
    CARRY_UPPER(c5, c6, c7, c8, c9);
    MULTIPLY(d3, d4, a0, a3); MULTIPLY(d3, d4, a1, a2);
    c4 = ADD(c4, ADD(d4, d4));
    FOLD_TOP(c3, c4, over, c8, c9);
    MULTIPLY(d1, d2, a0, a1); MULTIPLY(d2, d3, a0, a2);
    c1 = ADD(c1, ADD(d1, d1)); c2 = ADD(c2, ADD(d2, d2)); c3 = ADD(c3, ADD(d3, d3));
    MULTIPLY(c0, c1, a0, a0); MULTIPLY(c2, c3, a1, a1);
    FOLD_REST(r, c0, c1, c2, c3, c4, c5, c6, c7, over);
}
CW_INLINE void fe_mul(fe *r, const fe *a, const fe *b) {
    fe_mul_columns(r, a, b, K(column[0]), K(column[1]), K(column[2]), K(column[3]), K(column[4]));
}
CW_INLINE void fe_sqr(fe *r, const fe *a) {
    fe_sqr_columns(r, a, K(column[0]), K(column[1]), K(column[2]), K(column[3]), K(column[4]));
}
/* A kept limb has KEPT in it: one KEPT is added for each subtracted. */
CW_INLINE void fe_mul_sub(fe *r, const fe *a, const fe *b, const fe *c) {
#define E(i) SUB(K(column_less_one[i]), c->v[i])
    fe_mul_columns(r, a, b, E(0), E(1), E(2), E(3), E(4));
#undef E
}
CW_INLINE void fe_sqr_sub(fe *r, const fe *a, const fe *x, const fe *d) {
#define E(i) SUB(SUB(K(column_less_three[i]), d->v[i]), ADD(x->v[i], x->v[i]))
    fe_sqr_columns(r, a, E(0), E(1), E(2), E(3), E(4));
#undef E
}
CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
#define E(i) ADD(a->v[i], SUB(b->v[i], SET(2 * KEPT)))
    __m256i c0 = E(0), c1 = E(1), c2 = E(2), c3 = E(3), c4 = E(4);
#undef E
    CARRY(r, c0, c1, c2, c3, c4);
}
/* The limbs of 4 p are above 2^54 - 2^35 (limb 4: 2^50 - 4), those of a difference above -2^53 even where both are loose;
 * limb 4 stays positive while the sum of the negated is at most 3: a loose a wants b of magnitude 2 or loose. */
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
#define E(i) ADD(SUB(a->v[i], b->v[i]), K(four_p[i]))
    __m256i c0 = E(0), c1 = E(1), c2 = E(2), c3 = E(3), c4 = E(4);
#undef E
    CARRY(r, c0, c1, c2, c3, c4);
}
CW_INLINE void fe_scale(fe *r, const fe *a, unsigned k) {
    __m256i c[5];
    for (int i = 0; i < 5; i++) {
        const __m256i limb = SUB(a->v[i], SET(KEPT));
        c[i] = _mm256_setzero_si256();
        if (k & 1) c[i] = ADD(c[i], limb);
        if (k & 2) c[i] = ADD(c[i], SHL(limb, 1));
        if (k & 4) c[i] = ADD(c[i], SHL(limb, 2));
        if (k & 8) c[i] = ADD(c[i], SHL(limb, 3));
    }
    CARRY(r, c[0], c[1], c[2], c[3], c[4]);
}
/* KEPT + limb -> KEPT - limb: all bits turned over, plus 2 KEPT + 1. */
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) {
    const __m256i w = vec_spread(m), both = AND(w, K(kept_twice));
    for (int i = 0; i < 5; i++) r->v[i] = ADD(XOR(a->v[i], w), both);
}
/* Twice carried the value is below 2^256 + 2^33 < 2 p; it is >= p when adding 2^256 - p reaches 2^256. */
CW_INLINE void fe_normal(fe *r, const fe *a) {
    __m256i c0 = a->v[0], c1, c2, c3, c4, over;
    fe t = *a, u, *pt = &t, *pu = &u;
    for (int round = 0; round < 2; round++) {
        c4 = XOR(t.v[4], SET(KEPT));
        over = SHR(c4, 48); /* at most 15, times 2^32 + 977 */
        c0 = ADD(XOR(t.v[0], SET(KEPT)), ADD(_mm256_mul_epu32(over, SET(CW_FOLD_256 & 0xFFFFFFFF)), SHL(over, 32)));
        c1 = XOR(t.v[1], SET(KEPT)); c2 = XOR(t.v[2], SET(KEPT)); c3 = XOR(t.v[3], SET(KEPT));
        c4 = AND(c4, SET(CW_MASK48));
        CARRY(pt, c0, c1, c2, c3, c4);
    }
    c0 = ADD(XOR(t.v[0], SET(KEPT)), SET(CW_FOLD_256));
    c1 = XOR(t.v[1], SET(KEPT)); c2 = XOR(t.v[2], SET(KEPT)); c3 = XOR(t.v[3], SET(KEPT)); c4 = XOR(t.v[4], SET(KEPT));
    CARRY(pu, c0, c1, c2, c3, c4);
    over = _mm256_cmpgt_epi64(u.v[4], SET(KEPT | CW_MASK48));
    u.v[4] = AND(u.v[4], SET(KEPT | CW_MASK48));
    for (int i = 0; i < 5; i++) r->v[i] = vec_choice(over, u.v[i], t.v[i]);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    fe_normal(&t, a);
    return vec_signs(_mm256_cmpeq_epi64(OR(OR(t.v[0], t.v[1]), OR(OR(t.v[2], t.v[3]), t.v[4])), SET(KEPT)));
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) {
    const __m256i w = vec_spread(m);
    for (int i = 0; i < 5; i++) r->v[i] = vec_choice(w, a->v[i], b->v[i]);
}
CW_INLINE void vec_rotate(__m256i r[5], const __m256i a[5], int k) {
    const __m256i from = AND(ADD(_mm256_setr_epi64x(0, 1, 2, 3), SET(k)), SET(3)); /* as pairs of 32-bit elements */
    const __m256i pairs = ADD(OR(SHL(from, 1), SHL(from, 33)), SET(1ULL << 32));
    for (int i = 0; i < 5; i++) r[i] = _mm256_permutevar8x32_epi32(a[i], pairs);
}
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) { vec_rotate(r->v, a->v, k); }
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) { vec_rotate(r->v, a->v, k); }
CW_INLINE void vec_limbs(__m256i l[5], __m256i w0, __m256i w1, __m256i w2, __m256i w3) {
    l[0] = KEEP(w0);
    l[1] = KEEP(OR(SHR(w0, 52), SHL(w1, 12)));
    l[2] = KEEP(OR(SHR(w1, 40), SHL(w2, 24)));
    l[3] = KEEP(OR(SHR(w2, 28), SHL(w3, 36)));
    l[4] = OR(SHR(w3, 16), K(kept));
}
/* Canonical limbs: the shifts push KEPT out, but for limbs 0 and to the right. */
CW_INLINE void vec_words(__m256i w[4], const __m256i l[5]) {
    const __m256i m = M52;
    w[0] = OR(AND(l[0], m), SHL(l[1], 52));
    w[1] = OR(SHR(AND(l[1], m), 12), SHL(l[2], 40));
    w[2] = OR(SHR(AND(l[2], m), 24), SHL(l[3], 28));
    w[3] = OR(SHR(AND(l[3], m), 36), SHL(l[4], 16));
}
CW_INLINE void vec_from_words(__m256i l[5], const uint64_t *w, size_t stride) {
    vec_limbs(l, (__m256i)vec_load(w), (__m256i)vec_load(w + stride), (__m256i)vec_load(w + 2 * stride), (__m256i)vec_load(w + 3 * stride));
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    __m256i t[4];
    vec_words(t, a->v);
    for (int i = 0; i < 4; i++) vec_store(w + i * stride, (vec_u64)t[i]);
}
CW_INLINE void vec_element_words(uint64_t w[4], const __m256i l[5]) {
    uint64_t t[5];
    for (int i = 0; i < 5; i++) t[i] = (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(l[i])) & CW_MASK52;
    cw_words_from_limbs(w, t);
}
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) {
    uint64_t t[5];
    cw_limbs_from_words(t, w);
    for (int i = 0; i < 5; i++) r->v[i] = SET(t[i] | KEPT);
}
/* 16 bytes from each of two rows. */
CW_INLINE __m256i vec_two_quarters(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128((const __m128i *)low)), _mm_load_si128((const __m128i *)high), 1);
}
/* Half a row from each of four, transposed: loads that insert, and four shuffles. */
CW_INLINE void vec_load_halves(__m256i l[5], const uint8_t *const *row, size_t half) {
    const __m256i a = vec_two_quarters(row[0] + half, row[2] + half), b = vec_two_quarters(row[1] + half, row[3] + half);
    const __m256i c = vec_two_quarters(row[0] + half + 16, row[2] + half + 16), d = vec_two_quarters(row[1] + half + 16, row[3] + half + 16);
    vec_limbs(l, _mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
}
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    for (size_t half = 0; half < 64; half += 32) {
        __m256i w[4];
        vec_words(w, half ? y->v : x->v);
        const __m256i a = _mm256_unpacklo_epi64(w[0], w[1]), b = _mm256_unpackhi_epi64(w[0], w[1]); /* rows 0, 2 and 1, 3 */
        const __m256i c = _mm256_unpacklo_epi64(w[2], w[3]), d = _mm256_unpackhi_epi64(w[2], w[3]);
        _mm256_store_si256((__m256i *)(row[0] + half), _mm256_permute2x128_si256(a, c, 0x20));
        _mm256_store_si256((__m256i *)(row[1] + half), _mm256_permute2x128_si256(b, d, 0x20));
        _mm256_store_si256((__m256i *)(row[2] + half), _mm256_permute2x128_si256(a, c, 0x31));
        _mm256_store_si256((__m256i *)(row[3] + half), _mm256_permute2x128_si256(b, d, 0x31));
    }
}

/* One step of operand scanning on columns c0..c5: add a_i b, then q n with q = -c0/n mod 2^52, whose sum with c0 ends in
 * 52 zeros. The constants of both products are in the columns from the start, so before the second c0 is LOW_BITS, that
 * is 2^51 mod 2^52, too large: XOR mends it. Likewise bits(low) = 2^51 - r mod 2^52 gives q = -r for r = c0 (1/n). */
#define LIMB_51(x) FACTOR(XOR(AND(x, M52), SET(KEPT | 1ULL << 51)))
#define MONTGOMERY(x, c0, c1, c2, c3, c4, c5) do { \
    __m256d f = FACTOR(x); \
    MULTIPLY(c0, c1, f, b0); MULTIPLY(c1, c2, f, b1); MULTIPLY(c2, c3, f, b2); MULTIPLY(c3, c4, f, b3); MULTIPLY(c4, c5, f, b4); \
    f = LIMB_51(c0); \
    const __m256d high = HIGH(f, inverse); \
    f = LIMB_51(BITS(LOW(f, inverse, high))); \
    MULTIPLY(c0, c1, f, n0); MULTIPLY(c1, c2, f, n1); MULTIPLY(c2, c3, f, n2); MULTIPLY(c3, c4, f, n3); MULTIPLY(c4, c5, f, n4); \
    c1 = ADD(c1, SHR(c0, 52)); } while (0)
#define DOUBLE(x) _mm256_set1_pd((double)(x))
/* A column takes at most ten halves of each kind: above -5 2^52. a b < 2^516, so the result is below 2^256 + n. */
CW_INLINE void sc_mul(sc *r, const sc *a, const sc *b) {
    __m256i c0 = SET(START(2, 0) + LIFT), c1 = SET(START(4, 2) + LIFT - DROP), c2 = SET(START(6, 4) + LIFT - DROP);
    __m256i c3 = SET(START(8, 6) + LIFT - DROP), c4 = SET(START(10, 8) + LIFT - DROP), c5 = SET(START(8, 10) + LIFT - DROP);
    __m256i c6 = SET(START(6, 8) + LIFT - DROP), c7 = SET(START(4, 6) + LIFT - DROP), c8 = SET(START(2, 4) + LIFT - DROP);
    __m256i c9 = SET(START(0, 2) - DROP);
    const __m256d b0 = FACTOR(b->v[0]), b1 = FACTOR(b->v[1]), b2 = FACTOR(b->v[2]), b3 = FACTOR(b->v[3]), b4 = FACTOR(b->v[4]);
    const __m256d n0 = DOUBLE(cw_n_limbs[0]), n1 = DOUBLE(cw_n_limbs[1]), n2 = DOUBLE(cw_n_limbs[2]), n3 = DOUBLE(cw_n_limbs[3]);
    const __m256d n4 = DOUBLE(cw_n_limbs[4]), inverse = DOUBLE((1ULL << 52) - CW_ORDER_NEGATED_INVERSE);
    MONTGOMERY(a->v[0], c0, c1, c2, c3, c4, c5);
    MONTGOMERY(a->v[1], c1, c2, c3, c4, c5, c6);
    MONTGOMERY(a->v[2], c2, c3, c4, c5, c6, c7);
    MONTGOMERY(a->v[3], c3, c4, c5, c6, c7, c8);
    MONTGOMERY(a->v[4], c4, c5, c6, c7, c8, c9);
    CARRY(r, c5, c6, c7, c8, c9);
}
CW_INLINE void sc_normal(sc *r, const sc *a) {
    sc t = *a;
    for (int round = 0; round < 4; round++) { /* near is below 2^258 < 5 n */
        __m256i d[5], borrow = _mm256_setzero_si256();
        for (int i = 0; i < 5; i++) {
            const __m256i x = SUB(SUB(XOR(t.v[i], SET(KEPT)), SET(cw_n_limbs[i])), borrow);
            borrow = SHR(x, 63);
            d[i] = OR(AND(x, M52), SET(KEPT));
        }
        const __m256i fits = _mm256_cmpeq_epi64(borrow, _mm256_setzero_si256());
        for (int i = 0; i < 5; i++) t.v[i] = vec_choice(fits, d[i], t.v[i]);
    }
    *r = t;
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) {
    for (int i = 0; i < 5; i++) r->v[i] = SET(limbs[i] | KEPT);
}
/* c = round(v g / 2^364) from columns 5 up; what the lower ones would carry is below 2^-49 of a unit. */
CW_INLINE void sc_quotient(__m256d c[3], const __m256d v[5], const uint64_t g[5]) {
    const __m256d g0 = DOUBLE(g[0]), g1 = DOUBLE(g[1]), g2 = DOUBLE(g[2]), g3 = DOUBLE(g[3]), g4 = DOUBLE(g[4]);
    __m256i c5 = SET(COLUMN_5), c6 = SET(COLUMN_6 + (1ULL << 51)), c7 = SET(COLUMN_7), c8 = SET(COLUMN_8), c9 = SET(COLUMN_9);
    c5 = ADD(c5, ADD(BITS(HIGH(v[0], g4)), BITS(HIGH(v[1], g3))));
    c5 = ADD(c5, ADD(BITS(HIGH(v[2], g2)), ADD(BITS(HIGH(v[3], g1)), BITS(HIGH(v[4], g0)))));
    MULTIPLY(c5, c6, v[1], g4); MULTIPLY(c5, c6, v[2], g3); MULTIPLY(c5, c6, v[3], g2); MULTIPLY(c5, c6, v[4], g1);
    MULTIPLY(c6, c7, v[2], g4); MULTIPLY(c6, c7, v[3], g3); MULTIPLY(c6, c7, v[4], g2);
    MULTIPLY(c7, c8, v[3], g4); MULTIPLY(c7, c8, v[4], g3);
    MULTIPLY(c8, c9, v[4], g4);
    c6 = ADD(c6, SHR(c5, 52));
    c7 = ADD(c7, SHR(c6, 52));
    c8 = ADD(c8, SHR(c7, 52));
    c9 = ADD(c9, SHR(c8, 52));
    c[0] = LIMB(AND(c7, M52)), c[1] = LIMB(AND(c8, M52)), c[2] = LIMB(c9);
}
#define MULTIPLY_LOW(l, a, b) l = SUB(l, BITS(LOW(a, b, HIGH(a, b))))
/* t += c m mod 2^156, but for the constants: 1, 2, 3 low and 0, 1, 2 high halves. */
CW_INLINE void sc_multiply_low(__m256i t[3], const __m256d c[3], const uint64_t m[3]) {
    const __m256d m0 = DOUBLE(m[0]), m1 = DOUBLE(m[1]), m2 = DOUBLE(m[2]);
    MULTIPLY(t[0], t[1], c[0], m0);
    MULTIPLY(t[1], t[2], c[0], m1); MULTIPLY(t[1], t[2], c[1], m0);
    MULTIPLY_LOW(t[2], c[0], m2); MULTIPLY_LOW(t[2], c[1], m1); MULTIPLY_LOW(t[2], c[2], m0);
}
CW_INLINE void sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    sc v, *pv = &v;
#define E(i) ADD(XOR(u->v[i], SET(KEPT)), SET(cw_odd_offset[i]))
    __m256i o0 = E(0), o1 = E(1), o2 = E(2), o3 = E(3), o4 = E(4);
#undef E
    CARRY(pv, o0, o1, o2, o3, o4);
    const __m256d f[5] = {FACTOR(v.v[0]), FACTOR(v.v[1]), FACTOR(v.v[2]), FACTOR(v.v[3]), FACTOR(v.v[4])};
    __m256d c1[3], c2[3];
    sc_quotient(c1, f, cw_g1);
    sc_quotient(c2, f, cw_g2);
    for (int h = 0; h < 2; h++) { /* 2^128 = 2^24 2^104 */
        __m256i k[3] = {SET(START(2, 0) + LIFT), SET(START(4, 2) + LIFT - DROP), SET(START(6, 4) + (1ULL << 24) - DROP)};
        for (int i = 0; h == 0 && i < 3; i++) k[i] = ADD(k[i], XOR(v.v[i], SET(KEPT)));
        sc_multiply_low(k, c1, h ? cw_minus_b1 : cw_minus_a1);
        sc_multiply_low(k, c2, h ? cw_minus_b2 : cw_minus_a2);
        k[1] = ADD(k[1], SHR(k[0], 52));
        k[2] = AND(ADD(k[2], SHR(k[1], 52)), M52);
        k[0] = AND(k[0], M52);
        k[1] = AND(k[1], M52);
        vec_u64 *b = h ? b2 : b1;
        b[0] = (vec_u64)OR(k[0], SHL(k[1], 52));
        b[1] = (vec_u64)OR(SHR(k[1], 12), SHL(k[2], 40));
        b[2] = (vec_u64)SHR(k[2], 24);
    }
}
#include "fe_vector.h"
#endif

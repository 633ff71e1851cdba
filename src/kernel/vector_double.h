/* Products of five limbs of 52 bits by fused multiply-add of doubles, for any width of vector: AVX2 and AVX-512 F.
 *
 * These instruction sets multiply 32 bits at most, but a fused multiply-add of doubles sees all 104 bits of a product of two
 * limbs and gives any 53 of them. With a, b in 0 .. 2^52 - 1, P = a b, rounding to nearest (the ABI's mode, never changed here):
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
 * conversion, a factor one subtraction. Limb 4 of a product is below 2^48 + 2^5, which leaves sums room for carries;
 * magnitudes are at most 8, so that limb 4 is below 2^52 too. A limb outside of 0 .. 2^52 - 1 makes wrong products, silently.
 *
 * The header that includes it defines, beside what limbs_52.h wants, vec_double, ALL(x) (an initializer), FMADD, FSUB, FSET,
 * BITS and FLOATS (casts), AND_OR(a, b, c) = a & b | c, and VEC_REGISTER, the constraint of a register in assembly.
 * The compiler must not reorder or contract this arithmetic: fe_vector.h refuses -ffast-math. */
#ifndef CLAIMWIRE_VECTOR_DOUBLE_H
#define CLAIMWIRE_VECTOR_DOUBLE_H

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
    double high[VEC], low[VEC], two_52[VEC], fold_260[VEC], high_260[VEC], low_260[VEC], fold_256[VEC], high_256[VEC], low_256[VEC];
    uint64_t kept[VEC], kept_twice[VEC], m52[VEC], m48[VEC], over[VEC];
    uint64_t column[10][VEC], column_less_one[5][VEC], column_less_three[5][VEC], four_p[5][VEC];
};
#define FIVE(term, extra) {ALL(term##0 + extra), ALL(term##1 + extra), ALL(term##2 + extra), ALL(term##3 + extra), ALL(term##4 + extra)}
static const struct vec_constants vec_constants __attribute__((aligned(64))) = {
    .high = ALL(0x1p104), .low = ALL(C2), .two_52 = ALL(0x1p52),
    .fold_260 = ALL(CW_FOLD_260), .high_260 = ALL(0x1p104 - 0x1p52 * CW_FOLD_260), .low_260 = ALL(C2 - 0x1p52 * CW_FOLD_260),
    .fold_256 = ALL(CW_FOLD_256), .high_256 = ALL(0x1p104 - 0x1p52 * CW_FOLD_256), .low_256 = ALL(C2 - 0x1p52 * CW_FOLD_256),
    .kept = ALL(KEPT), .kept_twice = ALL(2 * KEPT), .m52 = ALL(CW_MASK52), .m48 = ALL(CW_MASK48),
    .over = ALL(START(0, 1)),
    .column = {ALL(COLUMN_0), ALL(COLUMN_1), ALL(COLUMN_2), ALL(COLUMN_3), ALL(COLUMN_4), ALL(COLUMN_5), ALL(COLUMN_6),
               ALL(COLUMN_7), ALL(COLUMN_8), ALL(COLUMN_9)},
    .column_less_one = FIVE(COLUMN_, KEPT), .column_less_three = FIVE(COLUMN_, 3 * KEPT),
    .four_p = {ALL((CW_MASK52 + 1 - CW_FOLD_256) * 4), ALL(CW_MASK52 * 4), ALL(CW_MASK52 * 4), ALL(CW_MASK52 * 4), ALL(CW_MASK48 * 4)},
};
CW_INLINE const struct vec_constants *vec_hidden(void) {
    const struct vec_constants *constants = &vec_constants;
    __asm__("" : "+r"(constants));
    return constants;
}
#define K(name) (*(const vec_limb *)vec_hidden()->name)
#define KD(name) (*(const vec_double *)vec_hidden()->name)

#define LIMB_BITS KEPT
#define LIMB_BITS_TWICE K(kept_twice)
#define FOUR_P(i) K(four_p[i])
#define KEEP(x) AND_OR(x, K(m52), K(kept))
#define TOP(x) OR(x, K(kept))
#define PLAIN(x) XOR(x, K(kept))
#include "limbs_52.h"

#define HIGH(a, b) FMADD(a, b, KD(high))
#define LOW(a, b, high) FMADD(a, b, FSUB(KD(low), high))
/* Emits no instruction, but keeps sums in the order written: reassociated, they would leave many halves waiting in memory. */
#define IN_ORDER(l, h) __asm__ volatile("" : "+" VEC_REGISTER(l), "+" VEC_REGISTER(h))
/* low column, high column += a b */
#define MULTIPLY(l, h, a, b) do { \
    const vec_double high_ = HIGH(a, b); \
    l = SUB(l, BITS(LOW(a, b, high_))); \
    h = ADD(h, BITS(high_)); \
    IN_ORDER(l, h); } while (0)
/* kept limb -> double, limb -> double */
#define FACTOR(x) FSUB(FLOATS(x), KD(two_52))
#define LIMB(x) FACTOR(OR(x, K(kept)))

/* low column, high column += limb (2^260 or 2^256 mod p). The limb is kept, that is a double 2^52 too large: high and
 * C2 are smaller by 2^52 times the factor, below 2^90, which leaves them doubles and every sum exact. */
#define FOLD(at, l, h, limb) do { \
    const vec_double limb_ = FLOATS(limb), high_ = FMADD(limb_, KD(fold_##at), KD(high_##at)); \
    l = SUB(l, BITS(FMADD(limb_, KD(fold_##at), FSUB(KD(low_##at), high_)))); \
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
CW_INLINE void fe_mul_columns(fe *r, const fe *a, const fe *b, vec_limb c0, vec_limb c1, vec_limb c2, vec_limb c3, vec_limb c4) {
    vec_limb c5 = K(column[5]), c6 = K(column[6]), c7 = K(column[7]), c8 = K(column[8]), c9 = K(column[9]), over = K(over);
    const vec_double a0 = FACTOR(a->v[0]), a1 = FACTOR(a->v[1]), a2 = FACTOR(a->v[2]), a3 = FACTOR(a->v[3]), a4 = FACTOR(a->v[4]);
    const vec_double b0 = FACTOR(b->v[0]), b1 = FACTOR(b->v[1]), b2 = FACTOR(b->v[2]), b3 = FACTOR(b->v[3]), b4 = FACTOR(b->v[4]);
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
CW_INLINE void fe_sqr_columns(fe *r, const fe *a, vec_limb c0, vec_limb c1, vec_limb c2, vec_limb c3, vec_limb c4) {
    const vec_limb zero = SET(0);
    vec_limb d1 = zero, d2 = zero, d3 = zero, d4 = zero, d5 = zero, d6 = zero, d7 = zero, d8 = zero, over = K(over);
    const vec_double a0 = FACTOR(a->v[0]), a1 = FACTOR(a->v[1]), a2 = FACTOR(a->v[2]), a3 = FACTOR(a->v[3]), a4 = FACTOR(a->v[4]);
    MULTIPLY(d4, d5, a0, a4); MULTIPLY(d4, d5, a1, a3); MULTIPLY(d5, d6, a1, a4); MULTIPLY(d5, d6, a2, a3);
    MULTIPLY(d6, d7, a2, a4); MULTIPLY(d7, d8, a3, a4);
    vec_limb c5 = ADD(K(column[5]), ADD(d5, d5)), c6 = ADD(K(column[6]), ADD(d6, d6)), c7 = ADD(K(column[7]), ADD(d7, d7));
    vec_limb c8 = ADD(K(column[8]), ADD(d8, d8)), c9 = K(column[9]);
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

/* One step of operand scanning on columns c0..c5: add a_i b, then q n with q = -c0/n mod 2^52, whose sum with c0 ends in
 * 52 zeros. The constants of both products are in the columns from the start, so before the second c0 is LOW_BITS, that
 * is 2^51 mod 2^52, too large: XOR mends it. Likewise bits(low) = 2^51 - r mod 2^52 gives q = -r for r = c0 (1/n). */
#define LIMB_51(x) FACTOR(XOR(AND(x, M52), SET(KEPT | 1ULL << 51)))
#define MONTGOMERY(x, c0, c1, c2, c3, c4, c5) do { \
    vec_double f = FACTOR(x); \
    MULTIPLY(c0, c1, f, b0); MULTIPLY(c1, c2, f, b1); MULTIPLY(c2, c3, f, b2); MULTIPLY(c3, c4, f, b3); MULTIPLY(c4, c5, f, b4); \
    f = LIMB_51(c0); \
    const vec_double high = HIGH(f, inverse); \
    f = LIMB_51(BITS(LOW(f, inverse, high))); \
    MULTIPLY(c0, c1, f, n0); MULTIPLY(c1, c2, f, n1); MULTIPLY(c2, c3, f, n2); MULTIPLY(c3, c4, f, n3); MULTIPLY(c4, c5, f, n4); \
    c1 = ADD(c1, SHR(c0, 52)); } while (0)
#define DOUBLE(x) FSET((double)(x))
/* A column takes at most ten halves of each kind: above -5 2^52. a b < 2^516, so the result is below 2^256 + n. */
CW_INLINE void sc_mul(sc *r, const sc *a, const sc *b) {
    vec_limb c0 = SET(START(2, 0) + LIFT), c1 = SET(START(4, 2) + LIFT - DROP), c2 = SET(START(6, 4) + LIFT - DROP);
    vec_limb c3 = SET(START(8, 6) + LIFT - DROP), c4 = SET(START(10, 8) + LIFT - DROP), c5 = SET(START(8, 10) + LIFT - DROP);
    vec_limb c6 = SET(START(6, 8) + LIFT - DROP), c7 = SET(START(4, 6) + LIFT - DROP), c8 = SET(START(2, 4) + LIFT - DROP);
    vec_limb c9 = SET(START(0, 2) - DROP);
    const vec_double b0 = FACTOR(b->v[0]), b1 = FACTOR(b->v[1]), b2 = FACTOR(b->v[2]), b3 = FACTOR(b->v[3]), b4 = FACTOR(b->v[4]);
    const vec_double n0 = DOUBLE(cw_n_limbs[0]), n1 = DOUBLE(cw_n_limbs[1]), n2 = DOUBLE(cw_n_limbs[2]), n3 = DOUBLE(cw_n_limbs[3]);
    const vec_double n4 = DOUBLE(cw_n_limbs[4]), inverse = DOUBLE((1ULL << 52) - CW_ORDER_NEGATED_INVERSE);
    MONTGOMERY(a->v[0], c0, c1, c2, c3, c4, c5);
    MONTGOMERY(a->v[1], c1, c2, c3, c4, c5, c6);
    MONTGOMERY(a->v[2], c2, c3, c4, c5, c6, c7);
    MONTGOMERY(a->v[3], c3, c4, c5, c6, c7, c8);
    MONTGOMERY(a->v[4], c4, c5, c6, c7, c8, c9);
    CARRY(r, c5, c6, c7, c8, c9);
}
/* c = round(v g / 2^364) from columns 5 up; what the lower ones would carry is below 2^-49 of a unit. */
CW_INLINE void sc_quotient(vec_double c[3], const vec_double v[5], const uint64_t g[5]) {
    const vec_double g0 = DOUBLE(g[0]), g1 = DOUBLE(g[1]), g2 = DOUBLE(g[2]), g3 = DOUBLE(g[3]), g4 = DOUBLE(g[4]);
    vec_limb c5 = SET(COLUMN_5), c6 = SET(COLUMN_6 + (1ULL << 51)), c7 = SET(COLUMN_7), c8 = SET(COLUMN_8), c9 = SET(COLUMN_9);
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
CW_INLINE void sc_multiply_low(vec_limb t[3], const vec_double c[3], const uint64_t m[3]) {
    const vec_double m0 = DOUBLE(m[0]), m1 = DOUBLE(m[1]), m2 = DOUBLE(m[2]);
    MULTIPLY(t[0], t[1], c[0], m0);
    MULTIPLY(t[1], t[2], c[0], m1); MULTIPLY(t[1], t[2], c[1], m0);
    MULTIPLY_LOW(t[2], c[0], m2); MULTIPLY_LOW(t[2], c[1], m1); MULTIPLY_LOW(t[2], c[2], m0);
}
CW_INLINE void sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    sc v, *pv = &v;
#define E(i) ADD(XOR(u->v[i], SET(KEPT)), SET(cw_odd_offset[i]))
    vec_limb o0 = E(0), o1 = E(1), o2 = E(2), o3 = E(3), o4 = E(4);
#undef E
    CARRY(pv, o0, o1, o2, o3, o4);
    const vec_double f[5] = {FACTOR(v.v[0]), FACTOR(v.v[1]), FACTOR(v.v[2]), FACTOR(v.v[3]), FACTOR(v.v[4])};
    vec_double c1[3], c2[3];
    sc_quotient(c1, f, cw_g1);
    sc_quotient(c2, f, cw_g2);
    for (int h = 0; h < 2; h++) { /* 2^128 = 2^24 2^104 */
        vec_limb k[3] = {SET(START(2, 0) + LIFT), SET(START(4, 2) + LIFT - DROP), SET(START(6, 4) + (1ULL << 24) - DROP)};
        for (int i = 0; h == 0 && i < 3; i++) k[i] = ADD(k[i], XOR(v.v[i], SET(KEPT)));
        sc_multiply_low(k, c1, h ? cw_minus_b1 : cw_minus_a1);
        sc_multiply_low(k, c2, h ? cw_minus_b2 : cw_minus_a2);
        sc_half_words(h ? b2 : b1, k);
    }
}
#include "fe_vector.h"
#endif

/* The vector contract (fe_vector.h) with four elements: ARM64's NEON, nine signed limbs of 29 bits.
 *
 * smlal multiplies two pairs of 32-bit limbs and adds both products of 64 bits to a column: a product of limbs is half an
 * instruction an element. Its 81 products are fewest with limbs as wide as the columns allow. (ARM's small cores do one
 * smlal a cycle, but a 64-bit mul and umulh only every third and fourth: README.md has the counts.) A vector holds
 * limb i of four elements; a product is made for elements 0, 1 and for 2, 3, side by side.
 *
 * REAL MAGNITUDE. Limbs are signed. Products, sums, multiples and what is loaded are plain: limbs 0..7 in 0 .. 2^29 - 1,
 * limb 8 in -2^6 .. 2^24 + 2^17. Only a subtraction is left as it falls; and a negation is p - a in every limb, so `loose` may
 * be below zero by 2^10 (limb 8: 2^17 + 1). As a subtraction declares 4 more, a declared magnitude m (see fe_vector.h) means
 *     m 1..4: plain,    m 5..8: -u .. u with u = 2^29 + 2^10, limb 8: 2^24 + 2^19
 * so a column of nine products is below 9 u u < 2^61.2; what is added to it before it is carried (c of mul_sub, the fold) is
 * below 2^46.
 *
 * Scalars: ten limbs of 26 bits, 0 .. 2^26 - 1, since Montgomery's R is 2^260 in every kernel. */
#ifndef CLAIMWIRE_VECTOR_NEON_H
#define CLAIMWIRE_VECTOR_NEON_H
#include <arm_neon.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 4
#define LIMBS 9
#define DIGITS 10
#define VEC_DIFFERENT_LIMBS
#define VEC_DIFFERENT_WIDTHS
#define VEC_OWN_BOUNDS

typedef uint64_t vec_u64 __attribute__((vector_size(32)));
typedef uint64_t vec_half __attribute__((vector_size(16)));
typedef uint8_t vec_mask;
typedef struct { int32x4_t v[LIMBS]; VEC_CHECKED } fe;
typedef struct { uint32x4_t v[DIGITS]; VEC_CHECKED } sc;

#ifdef __clang__
#define CW_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CW_UNROLL _Pragma("GCC unroll 32")
#endif
#define VEC_FUNCTION static __attribute__((noinline, unused)) void
#define LOW vget_low_s32
#define HIGH vget_high_s32
#define M29 0x1FFFFFFF
#define M24 0xFFFFFF
#define M26 0x3FFFFFF

CW_INLINE vec_u64 vec_join(uint64x2_t low, uint64x2_t high) {
    return __builtin_shufflevector((vec_half)low, (vec_half)high, 0, 1, 2, 3);
}
CW_INLINE uint64x2_t vec_low(vec_u64 v) { return (uint64x2_t)__builtin_shufflevector(v, v, 0, 1); }
CW_INLINE uint64x2_t vec_high(vec_u64 v) { return (uint64x2_t)__builtin_shufflevector(v, v, 2, 3); }
CW_INLINE vec_u64 vec_load(const void *p) { return vec_join(vld1q_u64(p), vld1q_u64((const uint64_t *)p + 2)); }
CW_INLINE void vec_store(void *p, vec_u64 v) {
    vst1q_u64(p, vec_low(v));
    vst1q_u64((uint64_t *)p + 2, vec_high(v));
}
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64){x, x, x, x}; }
/* The lower halves of four 64-bit columns. */
CW_INLINE int32x4_t vec_narrow(int64x2_t low, int64x2_t high) {
    return vuzp1q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high));
}
CW_INLINE uint32x4_t vec_element_bits(void) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    return vld1q_u32(bits);
}
/* One bit for each element that has bits in common with `bits`. */
CW_INLINE vec_mask vec_mask_of(uint32x4_t v, uint32_t bits) {
    return (vec_mask)vaddvq_u32(vandq_u32(vtstq_u32(v, vdupq_n_u32(bits)), vec_element_bits()));
}
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) {
    return vec_mask_of(vreinterpretq_u32_s32(vec_narrow(vreinterpretq_s64_u64(vec_low(v)), vreinterpretq_s64_u64(vec_high(v)))), 1);
}
/* All ones in the elements of m. */
CW_INLINE uint32x4_t vec_mask_elements(vec_mask m) { return vtstq_u32(vdupq_n_u32(m), vec_element_bits()); }

/* Limb i of p; the fold is 2^256 = 977 + 2^29 8 mod p, 2^261 = 31264 + 2^29 256. */
#define P(i) ((i) == 0 ? M29 - 976 : (i) == 1 ? M29 - 8 : (i) < 8 ? M29 : M24)

struct vec_wide { int64x2_t low, high; };
CW_INLINE struct vec_wide wide_zero(void) { return (struct vec_wide){vdupq_n_s64(0), vdupq_n_s64(0)}; }
CW_INLINE void wide_add_product(struct vec_wide *c, int32x4_t a, int32x4_t b) {
    c->low = vmlal_s32(c->low, LOW(a), LOW(b));
    c->high = vmlal_high_s32(c->high, a, b);
}
CW_INLINE void wide_add_multiple(struct vec_wide *c, int32x4_t a, int32_t k) {
    c->low = vmlal_n_s32(c->low, LOW(a), k);
    c->high = vmlal_high_n_s32(c->high, a, k);
}
/* c += a 2^k, on the pipe that does not multiply. */
#define WIDE_ADD_SHIFTED(c, a, k) \
    ((c)->low = vaddq_s64((c)->low, vshll_n_s32(LOW(a), k)), (c)->high = vaddq_s64((c)->high, vshll_high_n_s32(a, k)))
CW_INLINE void wide_subtract(struct vec_wide *c, int32x4_t a) {
    c->low = vsubw_s32(c->low, LOW(a));
    c->high = vsubw_high_s32(c->high, a);
}
/* c += carry over 29 bits of b, rounded down. */
CW_INLINE void wide_add_carry(struct vec_wide *c, const struct vec_wide *b) {
    c->low = vsraq_n_s64(c->low, b->low, 29);
    c->high = vsraq_n_s64(c->high, b->high, 29);
}
CW_INLINE void wide_mask(struct vec_wide *c, int64_t mask) {
    c->low = vandq_s64(c->low, vdupq_n_s64(mask));
    c->high = vandq_s64(c->high, vdupq_n_s64(mask));
}
CW_INLINE int32x4_t wide_digit(const struct vec_wide *c) { return vandq_s32(vec_narrow(c->low, c->high), vdupq_n_s32(M29)); }

/* Column n of a b, and of a square: products of different limbs are taken once, from the doubled operand. */
CW_INLINE struct vec_wide vec_column(const int32x4_t a[LIMBS], const int32x4_t b[LIMBS], int n) {
    struct vec_wide c = wide_zero();
    CW_UNROLL for (int i = 0; i < LIMBS; i++)
        if (n - i >= 0 && n - i < LIMBS) wide_add_product(&c, a[i], b[n - i]);
    return c;
}
CW_INLINE struct vec_wide vec_square_column(const int32x4_t a[LIMBS], const int32x4_t twice[LIMBS], int n) {
    struct vec_wide c = wide_zero();
    CW_UNROLL for (int i = 0; i < LIMBS; i++) {
        if (n - i > i && n - i < LIMBS) wide_add_product(&c, twice[i], a[n - i]);
        if (n - i == i) wide_add_product(&c, a[i], a[i]);
    }
    return c;
}
/* A product or a square in columns, less e, to a plain number.
 * Columns 7 and 8 are carried first, into column 9, so that what ends in limb 8 is small. Columns 9..16 are cut into digits h of 29
 * bits, |h[8]| < 2^21, and folded by 2^261. Then column 8 is below 2^38, and its bits over 2^256, t < 2^14, are folded
 * before the one chain of carries through 0..8: column 7 is below 2^45, so limb 8 ends within -2^6 .. 2^24 + 2^16. */
#define PRODUCT(r, COLUMN, LESS) do { \
    struct vec_wide c7_ = COLUMN(7), c8_ = COLUMN(8), c_, next_; \
    int32x4_t h_[LIMBS]; \
    fe t_; \
    wide_add_carry(&c8_, &c7_); \
    wide_mask(&c7_, M29); \
    c_ = COLUMN(9); \
    wide_add_carry(&c_, &c8_); \
    wide_mask(&c8_, M29); \
    CW_UNROLL for (int n_ = 0; n_ < 7; n_++) { \
        h_[n_] = wide_digit(&c_); \
        next_ = COLUMN(10 + n_); \
        wide_add_carry(&next_, &c_); \
        c_ = next_; \
    } \
    h_[7] = wide_digit(&c_); \
    h_[8] = vec_narrow(vshrq_n_s64(c_.low, 29), vshrq_n_s64(c_.high, 29)); \
    wide_add_multiple(&c8_, h_[8], 31264); \
    WIDE_ADD_SHIFTED(&c8_, h_[7], 8); \
    LESS(c8_, 8); \
    const int32x4_t over_ = vec_narrow(vshrq_n_s64(c8_.low, 24), vshrq_n_s64(c8_.high, 24)); \
    wide_mask(&c8_, M24); \
    CW_UNROLL for (int n_ = 0; n_ < 7; n_++) { \
        next_ = COLUMN(n_); \
        wide_add_multiple(&next_, h_[n_], 31264); \
        if (n_ > 0) WIDE_ADD_SHIFTED(&next_, h_[n_ > 0 ? n_ - 1 : 0], 8); \
        if (n_ == 0) wide_add_multiple(&next_, over_, 977), wide_add_multiple(&next_, h_[8], 256 * 31264); \
        if (n_ == 1) WIDE_ADD_SHIFTED(&next_, over_, 3), WIDE_ADD_SHIFTED(&next_, h_[8], 16); \
        LESS(next_, n_); \
        if (n_ > 0) wide_add_carry(&next_, &c_); \
        c_ = next_; \
        t_.v[n_] = wide_digit(&c_); \
    } \
    wide_add_multiple(&c7_, h_[7], 31264); \
    WIDE_ADD_SHIFTED(&c7_, h_[6], 8); \
    LESS(c7_, 7); \
    wide_add_carry(&c7_, &c_); \
    t_.v[7] = wide_digit(&c7_); \
    wide_add_carry(&c8_, &c7_); \
    t_.v[8] = vec_narrow(c8_.low, c8_.high); \
    *(r) = t_; \
} while (0)
#define LESS_NOTHING(c, n) (void)0
#define LESS_E(c, n) wide_subtract(&(c), e[n])
#define COLUMN(n) vec_column(x, y, n)
#define FACTORS(a, b) \
    int32x4_t x[LIMBS], y[LIMBS]; \
    CW_UNROLL for (int i = 0; i < LIMBS; i++) x[i] = (a)->v[i], y[i] = (b)->v[i]
VEC_FUNCTION fe_mul(fe *r, const fe *a, const fe *b) {
    FACTORS(a, b);
    PRODUCT(r, COLUMN, LESS_NOTHING);
}
VEC_FUNCTION fe_mul_sub(fe *r, const fe *a, const fe *b, const fe *c) {
    int32x4_t e[LIMBS];
    FACTORS(a, b);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) e[i] = c->v[i];
    PRODUCT(r, COLUMN, LESS_E);
}
#undef COLUMN
#define COLUMN(n) vec_square_column(x, twice, n)
#define FACTOR(a) \
    int32x4_t x[LIMBS], twice[LIMBS]; \
    CW_UNROLL for (int i = 0; i < LIMBS; i++) x[i] = (a)->v[i], twice[i] = vshlq_n_s32(x[i], 1)
VEC_FUNCTION fe_sqr(fe *r, const fe *a) {
    FACTOR(a);
    PRODUCT(r, COLUMN, LESS_NOTHING);
}
/* x is plain and d within u: 2 x + d is below 3 2^29 and a little. */
VEC_FUNCTION fe_sqr_sub(fe *r, const fe *a, const fe *b, const fe *d) {
    int32x4_t e[LIMBS];
    FACTOR(a);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) e[i] = vaddq_s32(vshlq_n_s32(b->v[i], 1), d->v[i]);
    PRODUCT(r, COLUMN, LESS_E);
}
#undef COLUMN

/* Limbs in 32 bits, with room for a carry, made plain: the bits over 2^256 folded, then one carry through all. */
CW_INLINE void fe_carry(fe *r, const fe *a) {
    const int32x4_t top = vshrq_n_s32(a->v[8], 24);
    int32x4_t carry = vmulq_n_s32(top, 977);
    CW_UNROLL for (int i = 0; i < 8; i++) {
        int32x4_t l = vaddq_s32(a->v[i], carry);
        if (i == 1) l = vaddq_s32(l, vshlq_n_s32(top, 3));
        r->v[i] = vandq_s32(l, vdupq_n_s32(M29));
        carry = vshrq_n_s32(l, 29);
    }
    r->v[8] = vaddq_s32(vandq_s32(a->v[8], vdupq_n_s32(M24)), carry);
}
CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
    fe t;
    CW_UNROLL for (int i = 0; i < LIMBS; i++) t.v[i] = vaddq_s32(a->v[i], b->v[i]);
    fe_carry(r, &t);
}
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
    CW_UNROLL for (int i = 0; i < LIMBS; i++) r->v[i] = vsubq_s32(a->v[i], b->v[i]);
}
/* Columns of 64 bits, as k limbs can be over 2^32. */
VEC_FUNCTION fe_scale(fe *r, const fe *a, unsigned k) {
    const int32x4_t high = vmulq_n_s32(a->v[8], (int32_t)k), top = vshrq_n_s32(high, 24);
    struct vec_wide c, before = wide_zero();
    CW_UNROLL for (int i = 0; i < 8; i++) {
        c = wide_zero();
        wide_add_multiple(&c, a->v[i], (int32_t)k);
        if (i == 0) wide_add_multiple(&c, top, 977);
        if (i == 1) WIDE_ADD_SHIFTED(&c, top, 3);
        wide_add_carry(&c, &before);
        r->v[i] = wide_digit(&c);
        before = c;
    }
    r->v[8] = vaddq_s32(vandq_s32(high, vdupq_n_s32(M24)), vec_narrow(vshrq_n_s64(before.low, 29), vshrq_n_s64(before.high, 29)));
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) {
    const uint32x4_t w = vec_mask_elements(m);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) r->v[i] = vbslq_s32(w, a->v[i], b->v[i]);
}
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) {
    const uint32x4_t w = vec_mask_elements(m);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) r->v[i] = vbslq_s32(w, vsubq_s32(vdupq_n_s32(P(i)), a->v[i]), a->v[i]);
}
/* The value is above -1.1 2^256 and below 1.1 2^256. The first carry leaves it in -2^35 .. 2^256 + 2^35, the second in
 * 0 .. 2^256 - 1, as digits; it is >= p when adding 2^256 - p reaches 2^256. */
VEC_FUNCTION fe_normal(fe *r, const fe *a) {
    fe t, u;
    fe_carry(&t, a);
    fe_carry(&t, &t);
    int32x4_t carry = vdupq_n_s32(977);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) {
        const int32x4_t l = vaddq_s32(vaddq_s32(t.v[i], carry), vdupq_n_s32(i == 1 ? 8 : 0));
        u.v[i] = vandq_s32(l, vdupq_n_s32(i < 8 ? M29 : M24));
        carry = i < 8 ? vshrq_n_s32(l, 29) : vshrq_n_s32(l, 24);
    }
    const uint32x4_t over = vcgtq_s32(carry, vdupq_n_s32(0));
    CW_UNROLL for (int i = 0; i < LIMBS; i++) r->v[i] = vbslq_s32(over, u.v[i], t.v[i]);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    fe_normal(&t, a);
    int32x4_t any = t.v[0];
    CW_UNROLL for (int i = 1; i < LIMBS; i++) any = vorrq_s32(any, t.v[i]);
    return (vec_mask)(vec_mask_of(vreinterpretq_u32_s32(any), ~0u) ^ 15);
}
/* Of fe and sc: the elements of every vector moved by k = 1, 2 or 3 places. */
#define ROTATE_ELEMENTS(r, a, count, type) \
    CW_UNROLL for (int i = 0; i < (count); i++) \
        (r)[i] = k == 1 ? vextq_##type((a)[i], (a)[i], 1) : k == 2 ? vextq_##type((a)[i], (a)[i], 2) : vextq_##type((a)[i], (a)[i], 3)
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) { ROTATE_ELEMENTS(r->v, a->v, LIMBS, s32); }
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) { ROTATE_ELEMENTS(r->v, a->v, DIGITS, u32); }

/* Bits at .. at + bits - 1 of numbers of eight 32-bit words. */
#define VEC_BITS(w, at, bits) \
    vandq_u32((at) % 32 == 0 ? (w)[(at) / 32] : (at) / 32 == 7 ? vshrq_n_u32((w)[7], (at) % 32 ? (at) % 32 : 1) : \
        vsliq_n_u32(vshrq_n_u32((w)[(at) / 32], (at) % 32 ? (at) % 32 : 1), (w)[(at) / 32 < 7 ? (at) / 32 + 1 : 7], (32 - (at) % 32) % 32), \
        vdupq_n_u32((1u << (bits)) - 1))
#define LIMB(w, i) (r->v[i] = vreinterpretq_s32_u32(VEC_BITS(w, 29 * (i), 29)))
#define DIGIT(w, i) (r->v[i] = VEC_BITS(w, 26 * (i), 26))
CW_INLINE void fe_from_words32(fe *r, const uint32x4_t w[8]) {
    LIMB(w, 0), LIMB(w, 1), LIMB(w, 2), LIMB(w, 3), LIMB(w, 4), LIMB(w, 5), LIMB(w, 6), LIMB(w, 7), LIMB(w, 8);
}
CW_INLINE void sc_from_words32(sc *r, const uint32x4_t w[8]) {
    DIGIT(w, 0), DIGIT(w, 1), DIGIT(w, 2), DIGIT(w, 3), DIGIT(w, 4), DIGIT(w, 5), DIGIT(w, 6), DIGIT(w, 7), DIGIT(w, 8), DIGIT(w, 9);
}
#undef LIMB
#undef DIGIT
/* Eight 32-bit words of a number in digits of `bits`. */
CW_INLINE void vec_words32_of(uint32x4_t w[8], const uint32x4_t *digit, int count, int bits) {
    CW_UNROLL for (int j = 0; j < 8; j++) {
        w[j] = vdupq_n_u32(0);
        CW_UNROLL for (int i = 0; i < count; i++) {
            const int shift = bits * i - 32 * j;
            if (shift > -bits && shift < 32) w[j] = vorrq_u32(w[j], vshlq_u32(digit[i], vdupq_n_s32(shift)));
        }
    }
}
CW_INLINE void fe_words32(uint32x4_t w[8], const fe *a) {
    uint32x4_t digit[LIMBS];
    CW_UNROLL for (int i = 0; i < LIMBS; i++) digit[i] = vreinterpretq_u32_s32(a->v[i]);
    vec_words32_of(w, digit, LIMBS, 29);
}
/* The words of four numbers, word k of element i at w[k * stride + i]. */
CW_INLINE void vec_words32(uint32x4_t x[8], const uint64_t *w, size_t stride) {
    CW_UNROLL for (int k = 0; k < 4; k++) {
        const uint32x4x2_t halves = vld2q_u32((const uint32_t *)(w + k * stride));
        x[2 * k] = halves.val[0];
        x[2 * k + 1] = halves.val[1];
    }
}
VEC_FUNCTION fe_from_words(fe *r, const uint64_t *w, size_t stride) {
    uint32x4_t x[8];
    vec_words32(x, w, stride);
    fe_from_words32(r, x);
}
VEC_FUNCTION sc_from_words(sc *r, const uint64_t *w, size_t stride) {
    uint32x4_t x[8];
    vec_words32(x, w, stride);
    sc_from_words32(r, x);
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    uint32x4_t x[8];
    fe_words32(x, a);
    CW_UNROLL for (int k = 0; k < 4; k++) vst2q_u32((uint32_t *)(w + k * stride), ((uint32x4x2_t){{x[2 * k], x[2 * k + 1]}}));
}
CW_INLINE void vec_first_words(uint64_t w[4], const uint32x4_t x[8]) {
    CW_UNROLL for (int k = 0; k < 4; k++) w[k] = vgetq_lane_u32(x[2 * k], 0) | (uint64_t)vgetq_lane_u32(x[2 * k + 1], 0) << 32;
}
CW_INLINE void fe_element_words(uint64_t w[4], const fe *a) {
    uint32x4_t x[8];
    fe_words32(x, a);
    vec_first_words(w, x);
}
CW_INLINE void sc_element_words(uint64_t w[4], const sc *a) {
    uint32x4_t x[8];
    vec_words32_of(x, a->v, DIGITS, 26);
    vec_first_words(w, x);
}
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) {
    uint32x4_t x[8];
    CW_UNROLL for (int k = 0; k < 8; k++) x[k] = vdupq_n_u32((uint32_t)(w[k / 2] >> 32 * (k & 1)));
    fe_from_words32(r, x);
}
/* Four rows of four words <-> four vectors of a word each. */
CW_INLINE void vec_transpose(uint32x4_t t[4], uint32x4_t a, uint32x4_t b, uint32x4_t c, uint32x4_t d) {
    const uint64x2_t ab = vreinterpretq_u64_u32(vtrn1q_u32(a, b)), cd = vreinterpretq_u64_u32(vtrn1q_u32(c, d));
    const uint64x2_t ab2 = vreinterpretq_u64_u32(vtrn2q_u32(a, b)), cd2 = vreinterpretq_u64_u32(vtrn2q_u32(c, d));
    t[0] = vreinterpretq_u32_u64(vtrn1q_u64(ab, cd));
    t[1] = vreinterpretq_u32_u64(vtrn1q_u64(ab2, cd2));
    t[2] = vreinterpretq_u32_u64(vtrn2q_u64(ab, cd));
    t[3] = vreinterpretq_u32_u64(vtrn2q_u64(ab2, cd2));
}
CW_INLINE void fe_load_halves(fe *r, const uint8_t *const *row, size_t half) {
    uint32x4_t w[8];
    CW_UNROLL for (int k = 0; k < 2; k++) {
        const size_t at = half + 16 * (size_t)k;
        vec_transpose(w + 4 * k, vreinterpretq_u32_u8(vld1q_u8(row[0] + at)), vreinterpretq_u32_u8(vld1q_u8(row[1] + at)),
                      vreinterpretq_u32_u8(vld1q_u8(row[2] + at)), vreinterpretq_u32_u8(vld1q_u8(row[3] + at)));
    }
    fe_from_words32(r, w);
}
VEC_FUNCTION fe_load_x(fe *r, const uint8_t *const *row) { fe_load_halves(r, row, 0); }
VEC_FUNCTION fe_load_y(fe *r, const uint8_t *const *row) { fe_load_halves(r, row, 32); }
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    uint32x4_t w[8], t[4];
    for (int half = 0; half < 2; half++) {
        fe_words32(w, half ? y : x);
        for (int k = 0; k < 2; k++) {
            vec_transpose(t, w[4 * k], w[4 * k + 1], w[4 * k + 2], w[4 * k + 3]);
            for (int element = 0; element < VEC; element++) vst1q_u8(row[element] + 32 * half + 16 * k, vreinterpretq_u8_u32(t[element]));
        }
    }
}

/* Scalars. Digit i of a constant that is given in limbs of 52 bits. */
#define DIGIT(limbs, i) ((uint32_t)((limbs)[(i) / 2] >> 26 * ((i) % 2) & M26))
struct sc_wide { uint64x2_t low, high; };
CW_INLINE struct sc_wide sc_wide_of(uint32x4_t v) { return (struct sc_wide){vmovl_u32(vget_low_u32(v)), vmovl_high_u32(v)}; }
CW_INLINE void sc_add_product(struct sc_wide *c, uint32x4_t a, uint32x4_t b) {
    c->low = vmlal_u32(c->low, vget_low_u32(a), vget_low_u32(b));
    c->high = vmlal_high_u32(c->high, a, b);
}
CW_INLINE void sc_add_multiple(struct sc_wide *c, uint32x4_t a, uint32_t k) {
    c->low = vmlal_n_u32(c->low, vget_low_u32(a), k);
    c->high = vmlal_high_n_u32(c->high, a, k);
}
CW_INLINE void sc_add_carry(struct sc_wide *c, const struct sc_wide *b) {
    c->low = vsraq_n_u64(c->low, b->low, 26);
    c->high = vsraq_n_u64(c->high, b->high, 26);
}
CW_INLINE uint32x4_t sc_digit(const struct sc_wide *c) {
    return vandq_u32(vuzp1q_u32(vreinterpretq_u32_u64(c->low), vreinterpretq_u32_u64(c->high)), vdupq_n_u32(M26));
}
/* Montgomery with R = 2^260, a digit at a time. Columns of a b and of q n are below 10 2^52 each. */
VEC_FUNCTION sc_mul(sc *r, const sc *a, const sc *b) {
    struct sc_wide c[2 * DIGITS];
    sc t;
    CW_UNROLL for (int n = 0; n < 2 * DIGITS; n++) {
        c[n] = (struct sc_wide){vdupq_n_u64(0), vdupq_n_u64(0)};
        CW_UNROLL for (int i = 0; i < DIGITS; i++)
            if (n - i >= 0 && n - i < DIGITS) sc_add_product(&c[n], a->v[i], b->v[n - i]);
    }
    CW_UNROLL for (int k = 0; k < DIGITS; k++) {
        const uint32x4_t q = vandq_u32(vmulq_n_u32(sc_digit(&c[k]), CW_ORDER_NEGATED_INVERSE & M26), vdupq_n_u32(M26));
        CW_UNROLL for (int j = 0; j < DIGITS; j++) sc_add_multiple(&c[k + j], q, DIGIT(cw_n_limbs, j));
        sc_add_carry(&c[k + 1], &c[k]);
    }
    CW_UNROLL for (int i = 0; i < DIGITS; i++) {
        if (i) sc_add_carry(&c[DIGITS + i], &c[DIGITS + i - 1]);
        t.v[i] = sc_digit(&c[DIGITS + i]);
    }
    *r = t;
}
/* near is below 2^258 < 5 n */
VEC_FUNCTION sc_normal(sc *r, const sc *a) {
    int32x4_t d[DIGITS];
    sc t = *a;
    for (int round = 0; round < 4; round++) {
        int32x4_t borrow = vdupq_n_s32(0);
        CW_UNROLL for (int i = 0; i < DIGITS; i++) {
            const int32x4_t x = vaddq_s32(vsubq_s32(vreinterpretq_s32_u32(t.v[i]), vdupq_n_s32((int32_t)DIGIT(cw_n_limbs, i))), borrow);
            borrow = vshrq_n_s32(x, 26);
            d[i] = vandq_s32(x, vdupq_n_s32(M26));
        }
        CW_UNROLL for (int i = 0; i < DIGITS; i++) t.v[i] = vbslq_u32(vreinterpretq_u32_s32(borrow), t.v[i], vreinterpretq_u32_s32(d[i]));
    }
    *r = t;
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) {
    CW_UNROLL for (int i = 0; i < DIGITS; i++) r->v[i] = vdupq_n_u32(DIGIT(limbs, i));
}
#define SPLIT 6 /* digits of 156 bits, of which c has five */
/* c = round(v g / 2^364), 364 = 14 26. Columns from 11 up: what the lower ones would carry is below 2^-48 of a unit. */
CW_INLINE void sc_quotient(uint32x4_t c[SPLIT - 1], const uint32x4_t v[DIGITS], const uint64_t g[5]) {
    struct sc_wide before = {vdupq_n_u64(0), vdupq_n_u64(0)};
    CW_UNROLL for (int n = 11; n < 19; n++) {
        struct sc_wide x = sc_wide_of(vdupq_n_u32(n == 13 ? 1u << 25 : 0));
        CW_UNROLL for (int i = 0; i < DIGITS; i++)
            if (n - i >= 0 && n - i < DIGITS) sc_add_multiple(&x, v[i], DIGIT(g, n - i < DIGITS && n - i >= 0 ? n - i : 0));
        sc_add_carry(&x, &before);
        if (n >= 14) c[n - 14] = sc_digit(&x);
        before = x;
    }
}
/* b = start + c1 m1 + c2 m2 mod 2^156, in words of 64 bits. */
CW_INLINE void sc_half(vec_u64 b[3], const uint32x4_t c1[SPLIT - 1], const uint64_t m1[3], const uint32x4_t c2[SPLIT - 1], const uint64_t m2[3], const uint32x4_t start[SPLIT]) {
    struct sc_wide before = {vdupq_n_u64(0), vdupq_n_u64(0)};
    vec_u64 d[SPLIT];
    CW_UNROLL for (int n = 0; n < SPLIT; n++) {
        struct sc_wide x = sc_wide_of(start[n]);
        CW_UNROLL for (int i = 0; i < SPLIT - 1; i++)
            if (i <= n) {
                sc_add_multiple(&x, c1[i], DIGIT(m1, i <= n ? n - i : 0));
                sc_add_multiple(&x, c2[i], DIGIT(m2, i <= n ? n - i : 0));
            }
        sc_add_carry(&x, &before);
        d[n] = vec_join(vandq_u64(x.low, vdupq_n_u64(M26)), vandq_u64(x.high, vdupq_n_u64(M26)));
        before = x;
    }
    b[0] = d[0] | d[1] << 26 | d[2] << 52;
    b[1] = d[2] >> 12 | d[3] << 14 | d[4] << 40;
    b[2] = d[4] >> 24 | d[5] << 2;
}
VEC_FUNCTION sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    uint32x4_t v[DIGITS], c1[SPLIT - 1], c2[SPLIT - 1], start[SPLIT], carry = vdupq_n_u32(0);
    CW_UNROLL for (int i = 0; i < DIGITS; i++) {
        const uint32x4_t x = vaddq_u32(vaddq_u32(u->v[i], vdupq_n_u32(DIGIT(cw_odd_offset, i))), carry);
        v[i] = vandq_u32(x, vdupq_n_u32(M26));
        carry = vshrq_n_u32(x, 26);
    }
    sc_quotient(c1, v, cw_g1);
    sc_quotient(c2, v, cw_g2);
    CW_UNROLL for (int i = 0; i < SPLIT; i++) start[i] = i == 4 ? vaddq_u32(v[i], vdupq_n_u32(1u << 24)) : v[i]; /* 2^128 = 2^24 2^104 */
    sc_half(b1, c1, cw_minus_a1, c2, cw_minus_a2, start);
    CW_UNROLL for (int i = 0; i < SPLIT; i++) start[i] = vdupq_n_u32(i == 4 ? 1u << 24 : 0);
    sc_half(b2, c1, cw_minus_b1, c2, cw_minus_b2, start);
}

#ifdef CW_VERIFY /* real magnitudes, for fe_verify.h */
static inline __attribute__((unused)) int vec_limbs_within(const void *limbs, int count, int32_t least, int32_t most, int32_t least_top, int32_t most_top) {
    for (int i = 0; i < count; i++) {
        int32_t limb[VEC];
        memcpy(limb, (const uint8_t *)limbs + 16 * i, 16);
        for (int element = 0; element < VEC; element++)
            if (limb[element] < (i < count - 1 ? least : least_top) || limb[element] > (i < count - 1 ? most : most_top)) return 0;
    }
    return 1;
}
static inline __attribute__((unused)) int fe_within(const fe *a, uint64_t magnitude, int form) {
    if (form == CW_CANONICAL) return vec_limbs_within(a->v, LIMBS, 0, M29, 0, M24);
    if (form == CW_LOOSE) return vec_limbs_within(a->v, LIMBS, -(1 << 10), 1 << 29, -(1 << 17) - 1, (1 << 24) + (1 << 17));
    if (magnitude > 4) return vec_limbs_within(a->v, LIMBS, -(1 << 29) - (1 << 10), (1 << 29) + (1 << 10), -(1 << 24) - (1 << 19), (1 << 24) + (1 << 19));
    return vec_limbs_within(a->v, LIMBS, 0, M29, -(1 << 6), (1 << 24) + (1 << 17));
}
static inline __attribute__((unused)) int sc_within(const sc *a) { return vec_limbs_within(a->v, DIGITS, 0, M26, 0, (1 << 24) - 1); }
#endif
#include "fe_vector.h"
#endif

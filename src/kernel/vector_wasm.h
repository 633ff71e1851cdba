/* The vector contract (fe_vector.h) with four elements: WebAssembly SIMD128, twenty limbs of 13 bits.
 *
 * i32x4.dot_i16x8_s is the only multiplication of SIMD128 that is one instruction on x86 (an extmul is three): it adds
 * two products of 16 bits in each of four elements. So a number is ten vectors of eight i16, vector k holding limbs 2k and
 * 2k+1 of each element side by side, radix 2^13. (On ARM a dot is three instructions and an extmul one: this code works
 * there, but ten limbs of 26 bits would be faster.)
 *
 * REAL MAGNITUDE. Limbs are signed. An fe has real magnitude q when limbs 0..18 are within q 2^12 and limb 19 within
 * q 513. Products, sums and multiples come out carried to balanced digits: q = 1. Only a subtraction is left as it
 * falls: q = qa + qb (and negation: q = 1). So a declared magnitude m (see fe_vector.h) has q <= 1 + (m - 1) / 4, since
 * each subtraction declares 4 more: m 1..4 -> 1, 5..8 -> 2, and loose -> 1. So no factor has q over 2: qa qb <= 4, which
 * all bounds below are for. What is loaded has q = 1; only what fe_normal returns has plain digits, q = 2.
 *
 * Scalars keep plain digits 0..2^13-1, in the same places. */
#ifndef CLAIMWIRE_VECTOR_WASM_H
#define CLAIMWIRE_VECTOR_WASM_H
#include <wasm_simd128.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 4
#define LIMBS 20
#define PAIRS 10
#define VEC_DIFFERENT_LIMBS
#define VEC_OWN_BOUNDS

typedef uint64_t vec_u64 __attribute__((vector_size(32)));
typedef uint64_t vec_half __attribute__((vector_size(16)));
typedef uint8_t vec_mask;
typedef struct { v128_t v[PAIRS]; VEC_CHECKED } fe;
typedef struct { v128_t v[PAIRS]; VEC_CHECKED } sc;

#define CW_UNROLL _Pragma("clang loop unroll(full)")
#define DOT wasm_i32x4_dot_i16x8
#define ADD wasm_i32x4_add
#define SUB wasm_i32x4_sub
#define AND wasm_v128_and
#define OR wasm_v128_or
#define SAR wasm_i32x4_shr
#define SHR wasm_u32x4_shr
#define SHL wasm_i32x4_shl
#define SET wasm_i32x4_splat
#define PAIR(low, high) SET((int32_t)(((uint32_t)(low) & 0xFFFF) | (uint32_t)(high) << 16))
#define M13 wasm_i32x4_const_splat(0x1FFF)
#define LOW16 wasm_i32x4_const_splat(0xFFFF)

CW_INLINE vec_u64 vec_join(v128_t low, v128_t high) {
    return __builtin_shufflevector((vec_half)low, (vec_half)high, 0, 1, 2, 3);
}
CW_INLINE vec_u64 vec_load(const uint64_t *p) { return vec_join(wasm_v128_load(p), wasm_v128_load(p + 2)); }
CW_INLINE void vec_store_words(void *p, vec_u64 v) {
    wasm_v128_store(p, (v128_t)__builtin_shufflevector(v, v, 0, 1));
    wasm_v128_store((uint64_t *)p + 2, (v128_t)__builtin_shufflevector(v, v, 2, 3));
}
CW_INLINE void vec_store_pointers(const uint8_t **p, vec_u64 v) {
    wasm_v128_store(p, wasm_i32x4_shuffle((v128_t)__builtin_shufflevector(v, v, 0, 1), (v128_t)__builtin_shufflevector(v, v, 2, 3), 0, 2, 4, 6));
}
/* A pointer has four bytes here. */
#define vec_store(p, v) _Generic((p), const uint8_t **: vec_store_pointers, default: vec_store_words)(p, v)
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64){x, x, x, x}; }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) {
    const v128_t low = wasm_i32x4_shuffle((v128_t)__builtin_shufflevector(v, v, 0, 1), (v128_t)__builtin_shufflevector(v, v, 2, 3), 0, 2, 4, 6);
    return (vec_mask)wasm_i32x4_bitmask(SHL(low, 31));
}
/* All ones in the 32-bit elements of m. */
CW_INLINE v128_t vec_mask_elements(vec_mask m) {
    const v128_t bits = wasm_i32x4_const(1, 2, 4, 8);
    return wasm_i32x4_eq(AND(SET(m), bits), bits);
}

/* (b_1, b_0), (b_0, c_1) of pairs b = (b_0, b_1) and c = (c_0, c_1). */
#define SWAP(b) wasm_i16x8_shuffle(b, b, 1, 0, 3, 2, 5, 4, 7, 6)
#define BLEND(b, c) wasm_i16x8_shuffle(b, c, 0, 9, 2, 11, 4, 13, 6, 15)

/* t[j] = (b_j, b_(j-1)) for j = 0..20: what pair I of a meets in column 2 I + j. */
CW_INLINE void vec_cross_pairs(v128_t t[LIMBS + 1], const v128_t b[PAIRS]) {
    t[0] = AND(b[0], LOW16);
    t[1] = SWAP(b[0]);
    CW_UNROLL for (int k = 1; k < PAIRS; k++) {
        t[2 * k] = BLEND(b[k], b[k - 1]);
        t[2 * k + 1] = SWAP(b[k]);
    }
    t[LIMBS] = AND(b[PAIRS - 1], PAIR(0, -1));
}
/* Column n of the product: min(n + 1, 39 - n) products. */
CW_INLINE v128_t vec_column(const v128_t a[PAIRS], const v128_t t[LIMBS + 1], int n) {
    v128_t c = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int i = 0; i < PAIRS; i++)
        if (n - 2 * i >= 0 && n - 2 * i <= LIMBS) c = ADD(c, DOT(a[i], t[n - 2 * i]));
    return c;
}
/* What a square's columns are made of: products of different limbs are taken once, from the doubled operand. */
struct vec_square { v128_t plain[PAIRS], twice[PAIRS], even[PAIRS], mixed[PAIRS], cross[LIMBS + 1]; };
CW_INLINE void vec_square_pairs(struct vec_square *s, const v128_t a[PAIRS]) {
    vec_cross_pairs(s->cross, a);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) {
        s->plain[i] = a[i];
        s->twice[i] = wasm_i16x8_add(a[i], a[i]);
        s->even[i] = AND(a[i], LOW16);                  /* (a_2i, 0) */
        s->mixed[i] = wasm_i16x8_add(a[i], s->even[i]); /* (2 a_2i, a_(2i+1)) */
    }
}
/* Odd n: pairs i + j = (n-1)/2. Even n, m = n/2: a_2i a_2k and a_(2i+1) a_(2k-1) with i + k = m; the second kind is its
 * own mirror image at k = i + 1, the first at k = i. */
CW_INLINE v128_t vec_square_column(const struct vec_square *s, int n) {
    const int m = n / 2;
    v128_t c = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) {
        const int k = m - i;
        if (n & 1) {
            if (k > i && k < PAIRS) c = ADD(c, DOT(s->twice[i], s->cross[2 * k + 1]));
            if (k == i) c = ADD(c, DOT(s->plain[i], s->cross[2 * k + 1]));
        } else {
            if (k > i + 1 && k <= PAIRS) c = ADD(c, DOT(s->twice[i], s->cross[2 * k]));
            if (k == i + 1) c = ADD(c, DOT(s->mixed[i], s->cross[2 * k]));
            if (k == i) c = ADD(c, DOT(s->plain[i], s->even[i]));
        }
    }
    return c;
}

/* Columns 0..19, |column| < 2^31 - 2^25, into balanced digits: q = 1. Two chains of carries, so that neither is long
 * (they are what a multiplication waits for): 0..9 and 10..19, then the first one's last carry, |carry| <= 2^18, into
 * column 10, which passes at most 33 on to 11. A digit is balanced by adding 2^12 before it is cut and taking that away
 * at the end, two at a time. The bits over 2^256 are t = limb 19 >> 9 = t0 + 2^13 t1, 0 <= t0 < 2^13, |t1| <= 2^9, and
 * 2^256 = 977 + 2^26 64 mod p: limbs 0, 2 take t0, limbs 1, 3 take t1; carried once, limb 4 takes at most 5.
 * So limbs are within 2^12 + 33 and limb 19 is 0..511. */
#define CHAIN(from, to, COLUMN) \
    carry = wasm_i32x4_const_splat(0); \
    CW_UNROLL for (int i = from; i < to; i++) { \
        const v128_t sum_ = ADD(ADD(COLUMN(i), wasm_i32x4_const_splat(0x1000)), carry); \
        l[i] = AND(sum_, M13); \
        carry = SAR(sum_, 13); \
    }
#define SETTLE(r, COLUMN) do { \
    v128_t l[LIMBS], carry, middle; \
    CHAIN(0, 10, COLUMN) \
    middle = carry; \
    CHAIN(10, 19, COLUMN) \
    l[19] = ADD(COLUMN(19), carry); \
    l[10] = ADD(l[10], middle); \
    l[11] = ADD(l[11], SAR(l[10], 13)); \
    l[10] = AND(l[10], M13); \
    const v128_t top = SAR(l[19], 9), t0 = AND(top, M13), t1 = SAR(top, 13); \
    l[19] = AND(l[19], wasm_i32x4_const_splat(0x1FF)); \
    l[0] = ADD(l[0], DOT(t0, PAIR(977, 0))); \
    l[1] = ADD(ADD(l[1], DOT(t1, PAIR(977, 0))), SAR(l[0], 13)); \
    l[2] = ADD(ADD(l[2], SHL(t0, 6)), SAR(l[1], 13)); \
    l[3] = ADD(ADD(l[3], SHL(t1, 6)), SAR(l[2], 13)); \
    l[4] = AND(ADD(l[4], SAR(l[3], 13)), LOW16); \
    CW_UNROLL for (int i = 0; i < 4; i++) l[i] = AND(l[i], M13); \
    CW_UNROLL for (int k = 0; k < PAIRS; k++) \
        (r)->v[k] = wasm_i16x8_sub(OR(l[2 * k], SHL(l[2 * k + 1], 16)), k < 9 ? PAIR(0x1000, 0x1000) : PAIR(0x1000, 0)); \
} while (0)

/* Columns of a product, |column n| <= 2^26 min(n + 1, 39 - n), to q = 1, by 2^260 = 15632 + 2^26 1024 mod p.
 * Digits 39 and 38 are taken first, so that folding the rest does not reach beyond column 19:
 *   |h39| <= 2^13, |h38| <= 2^13 + 2^14, and column 37 is left within 2^12.
 * Columns 20..36 (at most 19 2^26 + 2^25 + 2^18) are then cut into digits 0..2^13-1, by two chains as above: digit 29
 * may be out by 33, and |h37| <= 2^12 + 3 2^13 + 33.
 * Folded: |column| <= 2^26 (n + 1) + 15632 |h(20+n)| + 1024 |h(18+n)|, at most
 *   19 2^26 + 15632 24577 + 1024 8191 = 1.67e9 (column 18), below 2^31 - 2^25 as SETTLE wants. */
#define HIGH_CHAIN(from, to, COLUMN) \
    high = wasm_i32x4_const_splat(0); \
    CW_UNROLL for (int i = from; i < to; i++) { \
        v128_t sum_ = ADD(COLUMN(20 + i), high); \
        if (i < 2) sum_ = ADD(sum_, SHL(h[18 + (i & 1)], 10)); \
        h[i] = AND(sum_, M13); \
        high = SAR(sum_, 13); \
    }
#define PRODUCT(r, COLUMN, START) do { \
    v128_t h[LIMBS], high, between; \
    v128_t c37 = ADD(COLUMN(37), wasm_i32x4_const_splat(0x1000)), c38 = COLUMN(38); \
    h[19] = SAR(c38, 13); \
    h[18] = ADD(AND(c38, M13), SAR(c37, 13)); \
    c37 = SUB(AND(c37, M13), wasm_i32x4_const_splat(0x1000)); \
    HIGH_CHAIN(0, 8, COLUMN) \
    between = high; \
    HIGH_CHAIN(8, 17, COLUMN) \
    h[17] = ADD(c37, high); \
    h[8] = ADD(h[8], between); \
    h[9] = ADD(h[9], SAR(h[8], 13)); \
    h[8] = AND(h[8], M13); \
    SETTLE(r, FOLDED_##START); \
} while (0)
/* Only digits 9 and 17..19 may be negative. */
#define FOLDED(n) ADD(COLUMN(n), DOT(OR((n) == 9 || (n) > 16 ? AND(h[n], LOW16) : h[n], (n) < 2 ? wasm_i32x4_const_splat(0) : SHL(h[(n) < 2 ? 0 : (n) - 2], 16)), PAIR(15632, 1024)))
#define FOLDED_PLAIN(n) FOLDED(n)
/* e: subtracted limb by limb, |e| <= 2^15 - 1, so below 2^25 as well. */
#define FOLDED_MINUS(n) ADD(FOLDED(n), DOT(e[(n) / 2], (n) & 1 ? PAIR(0, -1) : PAIR(-1, 0)))

#define VEC_FUNCTION static __attribute__((noinline, unused)) void
/* One level of Karatsuba: halves of ten limbs, X = 2^130,
 *   a b = low + X (low + high - (a0 - a1)(b0 - b1)) + X^2 high,
 * 150 dot products instead of 200. In 32 bits everything may wrap round but the sums, which are the columns. A half
 * product is a function and its columns lie in memory because nineteen columns, five pairs of a and eleven of b are what
 * an engine can keep in registers; it does worse when the whole is inlined. (a0 - a1: q <= 3 gives 6 2^12, below 2^15.) */
#define HALF (PAIRS / 2)
#define HALF_COLUMNS 19
struct vec_columns { v128_t low[HALF_COLUMNS], high[HALF_COLUMNS], middle[HALF_COLUMNS], shared[9], x[HALF], y[HALF]; };
VEC_FUNCTION vec_half_product(v128_t z[HALF_COLUMNS], const v128_t *a, const v128_t *b) {
    v128_t x[HALF], t[2 * HALF + 1];
    CW_UNROLL for (int i = 0; i < HALF; i++) x[i] = a[i];
    t[0] = AND(b[0], LOW16);
    t[1] = SWAP(b[0]);
    CW_UNROLL for (int k = 1; k < HALF; k++) {
        t[2 * k] = BLEND(b[k], b[k - 1]);
        t[2 * k + 1] = SWAP(b[k]);
    }
    t[2 * HALF] = AND(b[HALF - 1], PAIR(0, -1));
    CW_UNROLL for (int n = 0; n < HALF_COLUMNS; n++) {
        v128_t c = wasm_i32x4_const_splat(0);
        CW_UNROLL for (int i = 0; i < HALF; i++)
            if (n - 2 * i >= 0 && n - 2 * i <= 2 * HALF) c = ADD(c, DOT(x[i], t[n - 2 * i]));
        z[n] = c;
    }
}
CW_INLINE void vec_product(struct vec_columns *z, const v128_t *a, const v128_t *b) {
    CW_UNROLL for (int i = 0; i < HALF; i++) z->x[i] = wasm_i16x8_sub(a[i], a[HALF + i]), z->y[i] = wasm_i16x8_sub(b[i], b[HALF + i]);
    vec_half_product(z->low, a, b);
    vec_half_product(z->high, a + HALF, b + HALF);
    vec_half_product(z->middle, z->x, z->y);
    CW_UNROLL for (int i = 0; i < 9; i++) z->shared[i] = ADD(z->low[10 + i], z->high[i]);
}
CW_INLINE v128_t vec_product_column(const struct vec_columns *z, int n) {
    if (n < 10) return z->low[n];
    if (n > 28) return z->high[n - 20];
    if (n == 19) return SUB(ADD(z->low[9], z->high[9]), z->middle[9]);
    return n < 19 ? ADD(z->shared[n - 10], SUB(z->low[n - 10], z->middle[n - 10])) : ADD(z->shared[n - 20], SUB(z->high[n - 10], z->middle[n - 10]));
}
VEC_FUNCTION fe_mul(fe *r, const fe *a, const fe *b) {
    struct vec_columns z;
    vec_product(&z, a->v, b->v);
#define COLUMN(n) vec_product_column(&z, n)
    PRODUCT(r, COLUMN, PLAIN);
}
VEC_FUNCTION fe_mul_sub(fe *r, const fe *a, const fe *b, const fe *c) {
    struct vec_columns z;
    v128_t e[PAIRS];
    vec_product(&z, a->v, b->v);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) e[i] = c->v[i];
    PRODUCT(r, COLUMN, MINUS);
#undef COLUMN
}
#define COLUMN(n) vec_square_column(&s, n)
VEC_FUNCTION fe_sqr(fe *r, const fe *a) {
    struct vec_square s;
    vec_square_pairs(&s, a->v);
    PRODUCT(r, COLUMN, PLAIN);
}
/* x has q = 1 and d q <= 2: 2 x + d within 2^14. */
VEC_FUNCTION fe_sqr_sub(fe *r, const fe *a, const fe *x, const fe *d) {
    struct vec_square s;
    v128_t e[PAIRS];
    CW_UNROLL for (int i = 0; i < PAIRS; i++) e[i] = wasm_i16x8_add(wasm_i16x8_add(x->v[i], x->v[i]), d->v[i]);
    vec_square_pairs(&s, a->v);
    PRODUCT(r, COLUMN, MINUS);
}
#undef COLUMN

/* Limbs of one vector apart, sign extended. */
#define LIMB_LOW(p) SAR(SHL(p, 16), 16)
#define LIMB_HIGH(p) SAR(p, 16)
#define SPREAD(l, p) CW_UNROLL for (int k = 0; k < PAIRS; k++) (l)[2 * k] = LIMB_LOW((p)[k]), (l)[2 * k + 1] = LIMB_HIGH((p)[k])

/* Any limbs of 16 bits to q = 1. */
VEC_FUNCTION fe_carry(fe *r, const v128_t p[PAIRS]) {
    v128_t c[LIMBS];
    SPREAD(c, p);
#define COLUMN(n) c[n]
    SETTLE(r, COLUMN);
#undef COLUMN
}
/* q <= 3 on both sides: limbs within 6 2^12. */
CW_INLINE void fe_add(fe *r, const fe *a, const fe *b) {
    v128_t c[PAIRS];
    CW_UNROLL for (int i = 0; i < PAIRS; i++) c[i] = wasm_i16x8_add(a->v[i], b->v[i]);
    fe_carry(r, c);
}
CW_INLINE void fe_sub(fe *r, const fe *a, const fe *b) {
    CW_UNROLL for (int i = 0; i < PAIRS; i++) r->v[i] = wasm_i16x8_sub(a->v[i], b->v[i]);
}
/* k q <= 12 and k <= 8: multiplied in 32 bits. */
VEC_FUNCTION fe_scale(fe *r, const fe *a, unsigned k) {
    const v128_t low = SET((int32_t)k), high = SET((int32_t)(k << 16));
#define COLUMN(n) DOT(a->v[(n) / 2], (n) & 1 ? high : low)
    fe t;
    SETTLE(&t, COLUMN);
    *r = t;
#undef COLUMN
}
CW_INLINE void fe_negate_elements(fe *r, const fe *a, vec_mask m) {
    const v128_t w = vec_mask_elements(m);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) r->v[i] = wasm_i16x8_sub(wasm_v128_xor(a->v[i], w), w);
}
/* Limb i of a constant given in limbs of 52 bits. */
#define DIGIT(limbs, i) ((int32_t)((limbs)[(i) / 4] >> 13 * ((i) % 4) & 0x1FFF))
CW_INLINE void vec_pack(v128_t p[PAIRS], const v128_t l[LIMBS]) {
    CW_UNROLL for (int k = 0; k < PAIRS; k++) p[k] = OR(l[2 * k], SHL(l[2 * k + 1], 16));
}
/* With q <= 3 the value is within 3 2^256 + 2^250, so with 4 p it is positive and below 2^259. The first chain leaves
 * 2^256 + 2^36, the second less than 2^256, the third its digits; it is >= p when adding 2^256 - p reaches 2^256.
 * The digits that come out are plain: q = 2 in a product. */
VEC_FUNCTION fe_normal(fe *r, const fe *a) {
    v128_t l[LIMBS], u[LIMBS], carry;
    SPREAD(l, a->v);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) l[i] = ADD(l[i], SET(DIGIT(cw_p_limbs, i) << 2));
    for (int round = 0; round < 3; round++) {
        const v128_t top = SAR(l[19], 9);
        if (round) { /* below 8 */
            l[19] = AND(l[19], wasm_i32x4_const_splat(0x1FF));
            l[0] = ADD(l[0], DOT(top, PAIR(977, 0)));
            l[2] = ADD(l[2], SHL(top, 6));
        }
        CW_UNROLL for (int i = 0; i < LIMBS - 1; i++) {
            l[i + 1] = ADD(l[i + 1], SAR(l[i], 13));
            l[i] = AND(l[i], M13);
        }
    }
    carry = wasm_i32x4_const_splat(977);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) {
        u[i] = ADD(ADD(l[i], carry), SET(i == 2 ? 64 : 0));
        carry = SAR(u[i], i < 19 ? 13 : 9);
        u[i] = AND(u[i], i < 19 ? M13 : wasm_i32x4_const_splat(0x1FF));
    }
    const v128_t over = wasm_i32x4_gt(carry, wasm_i32x4_const_splat(0));
    CW_UNROLL for (int i = 0; i < LIMBS; i++) l[i] = wasm_v128_bitselect(u[i], l[i], over);
    vec_pack(r->v, l);
}
VEC_FUNCTION vec_or_all(v128_t *any, const fe *a) {
    *any = a->v[0];
    CW_UNROLL for (int i = 1; i < PAIRS; i++) *any = OR(*any, a->v[i]);
}
CW_INLINE vec_mask fe_zero(const fe *a) {
    fe t;
    v128_t any;
    fe_normal(&t, a);
    vec_or_all(&any, &t);
    return (vec_mask)wasm_i32x4_bitmask(wasm_i32x4_eq(any, wasm_i32x4_const_splat(0)));
}
CW_INLINE void fe_select(fe *r, vec_mask m, const fe *a, const fe *b) {
    const v128_t w = vec_mask_elements(m);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) r->v[i] = wasm_v128_bitselect(a->v[i], b->v[i], w);
}
CW_INLINE void fe_rotate(fe *r, const fe *a, int k) {
    CW_UNROLL for (int i = 0; i < PAIRS; i++) {
        const v128_t v = a->v[i];
        r->v[i] = k == 1 ? wasm_i32x4_shuffle(v, v, 1, 2, 3, 0) : k == 2 ? wasm_i32x4_shuffle(v, v, 2, 3, 0, 1) : wasm_i32x4_shuffle(v, v, 3, 0, 1, 2);
    }
}

/* Bits at .. at+31 of eight vectors of words; zero below bit 0 and over bit 255. */
CW_INLINE v128_t vec_bits(const v128_t w[8], int at) {
    const int i = at >> 5, shift = at & 31;
    if (at < 0) return SHL(w[0], -at & 31);
    v128_t f = shift ? SHR(w[i], shift) : w[i];
    return shift && i < 7 ? OR(f, SHL(w[i < 7 ? i + 1 : 7], 32 - shift & 31)) : f;
}
/* Words to plain digits 0..2^13-1: pair k is bits 26k..26k+25 with a gap of three in the middle. */
CW_INLINE void vec_plain_digits(v128_t p[PAIRS], const v128_t w[8]) {
    CW_UNROLL for (int k = 0; k < PAIRS; k++) {
        const v128_t f = vec_bits(w, 26 * k);
        p[k] = OR(AND(f, M13), AND(SHL(f, 3), PAIR(0, 0x1FFF)));
    }
}
/* Words to balanced digits, without a carry: limb i = its 13 bits read as a signed number, plus the bit below them, so
 * -2^12..2^12. With that bit they are 14 signed bits w, and the limb is (w + 1) >> 1. */
CW_INLINE void vec_balanced_digits(v128_t p[PAIRS], const v128_t w[8]) {
    CW_UNROLL for (int k = 0; k < PAIRS; k++) {
        const v128_t f = vec_bits(w, 26 * k - 1);
        const v128_t both = OR(AND(SHL(f, 2), PAIR(0xFFFC, 0)), AND(SHL(f, 5), PAIR(0, 0xFFFC)));
        p[k] = wasm_i16x8_shr(wasm_i16x8_add(wasm_i16x8_shr(both, 2), PAIR(1, 1)), 1);
    }
}
CW_INLINE void vec_to_words32(v128_t w[8], const v128_t p[PAIRS]) {
    v128_t f[PAIRS];
    CW_UNROLL for (int k = 0; k < PAIRS; k++) f[k] = OR(AND(p[k], M13), AND(SHR(p[k], 3), wasm_i32x4_const_splat(0x3FFE000)));
    CW_UNROLL for (int j = 0; j < 8; j++) {
        w[j] = wasm_i32x4_const_splat(0);
        CW_UNROLL for (int k = 0; k < PAIRS; k++) {
            const int shift = 26 * k - 32 * j;
            if (shift > -26 && shift < 32) w[j] = OR(w[j], shift >= 0 ? SHL(f[k], shift & 31) : SHR(f[k], -shift & 31));
        }
    }
}
CW_INLINE void vec_words32(v128_t x[8], const uint64_t *w, size_t stride) {
    CW_UNROLL for (int k = 0; k < 4; k++) {
        const v128_t low = wasm_v128_load(w + k * stride), high = wasm_v128_load(w + k * stride + 2);
        x[2 * k] = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
        x[2 * k + 1] = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    }
}
VEC_FUNCTION fe_from_words(fe *r, const uint64_t *w, size_t stride) {
    v128_t x[8];
    vec_words32(x, w, stride);
    vec_balanced_digits(r->v, x);
}
CW_INLINE void fe_to_words(uint64_t *w, size_t stride, const fe *a) {
    v128_t x[8];
    vec_to_words32(x, a->v);
    CW_UNROLL for (int k = 0; k < 4; k++) {
        wasm_v128_store(w + k * stride, wasm_i32x4_shuffle(x[2 * k], x[2 * k + 1], 0, 4, 1, 5));
        wasm_v128_store(w + k * stride + 2, wasm_i32x4_shuffle(x[2 * k], x[2 * k + 1], 2, 6, 3, 7));
    }
}
CW_INLINE void vec_element_words(uint64_t w[4], const v128_t p[PAIRS]) {
    v128_t x[8];
    vec_to_words32(x, p);
    CW_UNROLL for (int k = 0; k < 4; k++)
        w[k] = (uint32_t)wasm_i32x4_extract_lane(x[2 * k], 0) | (uint64_t)(uint32_t)wasm_i32x4_extract_lane(x[2 * k + 1], 0) << 32;
}
CW_INLINE void fe_broadcast(fe *r, const uint64_t w[4]) {
    v128_t x[8];
    CW_UNROLL for (int k = 0; k < 4; k++) x[2 * k] = SET((int32_t)w[k]), x[2 * k + 1] = SET((int32_t)(w[k] >> 32));
    vec_balanced_digits(r->v, x);
}
/* Four rows of four words <-> four vectors of a word each. */
CW_INLINE void vec_transpose(v128_t t[4], v128_t a, v128_t b, v128_t c, v128_t d) {
    const v128_t ab = wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), cd = wasm_i32x4_shuffle(c, d, 0, 4, 1, 5);
    const v128_t ab2 = wasm_i32x4_shuffle(a, b, 2, 6, 3, 7), cd2 = wasm_i32x4_shuffle(c, d, 2, 6, 3, 7);
    t[0] = wasm_i64x2_shuffle(ab, cd, 0, 2);
    t[1] = wasm_i64x2_shuffle(ab, cd, 1, 3);
    t[2] = wasm_i64x2_shuffle(ab2, cd2, 0, 2);
    t[3] = wasm_i64x2_shuffle(ab2, cd2, 1, 3);
}
VEC_FUNCTION vec_load_halves(v128_t p[PAIRS], const uint8_t *const *row, size_t half) {
    v128_t w[8];
    const uint8_t *a = row[0] + half, *b = row[1] + half, *c = row[2] + half, *d = row[3] + half;
    vec_transpose(w, wasm_v128_load(a), wasm_v128_load(b), wasm_v128_load(c), wasm_v128_load(d));
    vec_transpose(w + 4, wasm_v128_load(a + 16), wasm_v128_load(b + 16), wasm_v128_load(c + 16), wasm_v128_load(d + 16));
    vec_balanced_digits(p, w);
}
CW_INLINE void fe_store_rows(uint8_t *const *row, const fe *x, const fe *y) {
    v128_t w[8], t[4];
    for (int half = 0; half < 2; half++) {
        vec_to_words32(w, half ? y->v : x->v);
        for (int k = 0; k < 2; k++) {
            vec_transpose(t, w[4 * k], w[4 * k + 1], w[4 * k + 2], w[4 * k + 3]);
            for (int element = 0; element < VEC; element++) wasm_v128_store(row[element] + 32 * half + 16 * k, t[element]);
        }
    }
}

/* Scalars: plain digits. A column of a b and one of q n are below 20 2^26 each: 2^31.4 together, unsigned. */
#define N(i) DIGIT(cw_n_limbs, i)
/* Montgomery with R = 2^260, two digits of a b + q n cancelled at a time: q0 = -c0/n, q1 from the next column with
 * what q0 adds to it. c: the columns; the upper twenty, carried, are the result. */
VEC_FUNCTION sc_mul(sc *r, const sc *a, const sc *b) {
    v128_t x[PAIRS], t[LIMBS + 1], c[2 * LIMBS + 1], l[LIMBS];
    const v128_t inverse = wasm_i32x4_const_splat(CW_ORDER_NEGATED_INVERSE & 0x1FFF);
    CW_UNROLL for (int i = 0; i < PAIRS; i++) x[i] = a->v[i];
    vec_cross_pairs(t, b->v);
    CW_UNROLL for (int n = 0; n < 2 * LIMBS - 1; n++) c[n] = vec_column(x, t, n);
    c[39] = c[40] = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int k = 0; k < PAIRS; k++) {
        const v128_t q0 = AND(DOT(AND(c[2 * k], M13), inverse), M13);
        const v128_t c0 = ADD(c[2 * k], DOT(q0, PAIR(N(0), 0)));
        const v128_t c1 = ADD(ADD(c[2 * k + 1], DOT(q0, PAIR(N(1), 0))), SHR(c0, 13));
        const v128_t q1 = AND(DOT(AND(c1, M13), inverse), M13);
        const v128_t q = OR(q0, SHL(q1, 16));
        c[2 * k + 2] = ADD(c[2 * k + 2], SHR(ADD(c1, DOT(q1, PAIR(N(0), 0))), 13));
        CW_UNROLL for (int j = 2; j <= LIMBS; j++) c[2 * k + j] = ADD(c[2 * k + j], DOT(q, PAIR(j < LIMBS ? N(j) : 0, N(j - 1))));
    }
    v128_t carry = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) {
        const v128_t v = ADD(c[LIMBS + i], carry);
        l[i] = AND(v, M13);
        carry = SHR(v, 13);
    }
    vec_pack(r->v, l);
}
/* near is below 2^258 < 5 n */
VEC_FUNCTION sc_normal(sc *r, const sc *a) {
    v128_t t[LIMBS], d[LIMBS];
    SPREAD(t, a->v);
    for (int round = 0; round < 4; round++) {
        v128_t borrow = wasm_i32x4_const_splat(0);
        CW_UNROLL for (int i = 0; i < LIMBS; i++) {
            const v128_t x = ADD(SUB(t[i], SET(N(i))), borrow);
            borrow = SAR(x, 13);
            d[i] = AND(x, M13);
        }
        CW_UNROLL for (int i = 0; i < LIMBS; i++) t[i] = wasm_v128_bitselect(t[i], d[i], borrow);
    }
    vec_pack(r->v, t);
}
CW_INLINE void sc_rotate(sc *r, const sc *a, int k) { fe_rotate((fe *)r, (const fe *)a, k); }
VEC_FUNCTION sc_from_words(sc *r, const uint64_t *w, size_t stride) {
    v128_t x[8];
    vec_words32(x, w, stride);
    vec_plain_digits(r->v, x);
}
CW_INLINE void sc_broadcast(sc *r, const uint64_t limbs[5]) {
    CW_UNROLL for (int k = 0; k < PAIRS; k++) r->v[k] = SET(DIGIT(limbs, 2 * k) | DIGIT(limbs, 2 * k + 1) << 16);
}
#define SPLIT 12 /* digits of 156 bits */
#define CROSS(m, j) SET(((j) < LIMBS ? DIGIT(m, (j) < LIMBS ? (j) : 0) : 0) | ((j) ? DIGIT(m, (j) ? (j) - 1 : 0) : 0) << 16)
/* c = round(v g / 2^364), 364 = 13 28. Columns from 23 up: what the lower ones would carry is below 2^-47 of a unit. */
CW_INLINE void sc_quotient(v128_t c[SPLIT / 2], const v128_t v[PAIRS], const uint64_t g[5]) {
    v128_t t[LIMBS + 1], l[SPLIT], carry = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int j = 0; j <= LIMBS; j++) t[j] = CROSS(g, j);
    CW_UNROLL for (int n = 23; n < 40; n++) {
        const v128_t x = ADD(n < 39 ? vec_column(v, t, n) : wasm_i32x4_const_splat(0), n == 27 ? ADD(carry, wasm_i32x4_const_splat(0x1000)) : carry);
        if (n >= 28) l[n - 28] = AND(x, M13);
        carry = SHR(x, 13);
    }
    CW_UNROLL for (int k = 0; k < SPLIT / 2; k++) c[k] = OR(l[2 * k], SHL(l[2 * k + 1], 16));
}
/* Column n < 12 of c m. */
CW_INLINE v128_t sc_low_column(const v128_t c[SPLIT / 2], const uint64_t m[3], int n) {
    v128_t x = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int i = 0; i < SPLIT / 2; i++)
        if (2 * i <= n) x = ADD(x, DOT(c[i], CROSS(m, n - 2 * i)));
    return x;
}
CW_INLINE void sc_half(vec_u64 b[3], const v128_t c1[SPLIT / 2], const uint64_t m1[3], const v128_t c2[SPLIT / 2], const uint64_t m2[3], const v128_t start[SPLIT]) {
    v128_t l[SPLIT], w[6], carry = wasm_i32x4_const_splat(0);
    CW_UNROLL for (int n = 0; n < SPLIT; n++) { /* 24 2^26 and a little: unsigned */
        const v128_t x = ADD(ADD(ADD(sc_low_column(c1, m1, n), sc_low_column(c2, m2, n)), start[n]), carry);
        l[n] = AND(x, M13);
        carry = SHR(x, 13);
    }
    CW_UNROLL for (int j = 0; j < 6; j++) {
        w[j] = wasm_i32x4_const_splat(0);
        CW_UNROLL for (int n = 0; n < SPLIT; n++) {
            const int shift = 13 * n - 32 * j;
            if (shift > -13 && shift < 32) w[j] = OR(w[j], shift >= 0 ? SHL(l[n], shift & 31) : SHR(l[n], -shift & 31));
        }
    }
    CW_UNROLL for (int k = 0; k < 3; k++)
        b[k] = vec_join(wasm_i32x4_shuffle(w[2 * k], w[2 * k + 1], 0, 4, 1, 5), wasm_i32x4_shuffle(w[2 * k], w[2 * k + 1], 2, 6, 3, 7));
}
VEC_FUNCTION sc_split(vec_u64 b1[3], vec_u64 b2[3], const sc *u) {
    v128_t l[LIMBS], c1[SPLIT / 2], c2[SPLIT / 2], carry = wasm_i32x4_const_splat(0);
    sc v;
    SPREAD(l, u->v);
    CW_UNROLL for (int i = 0; i < LIMBS; i++) {
        const v128_t x = ADD(ADD(l[i], SET(DIGIT(cw_odd_offset, i))), carry);
        l[i] = AND(x, M13);
        carry = SHR(x, 13);
    }
    vec_pack(v.v, l);
    sc_quotient(c1, v.v, cw_g1);
    sc_quotient(c2, v.v, cw_g2);
    v128_t start[SPLIT];
    CW_UNROLL for (int i = 0; i < SPLIT; i++) start[i] = l[i];
    start[9] = ADD(start[9], wasm_i32x4_const_splat(1 << 11)); /* 2^128 = 2^11 2^117 */
    sc_half(b1, c1, cw_minus_a1, c2, cw_minus_a2, start);
    CW_UNROLL for (int i = 0; i < SPLIT; i++) start[i] = SET(i == 9 ? 1 << 11 : 0);
    sc_half(b2, c1, cw_minus_b1, c2, cw_minus_b2, start);
}

#ifdef CW_VERIFY /* real magnitudes, for fe_verify.h */
static inline __attribute__((unused)) int vec_limbs_within(const v128_t p[PAIRS], int least, int most, int least_19, int most_19) {
    for (int k = 0; k < PAIRS; k++) {
        int16_t limb[8];
        memcpy(limb, &p[k], 16);
        for (int i = 0; i < 8; i++) {
            const int is_19 = k == PAIRS - 1 && i & 1;
            if (limb[i] < (is_19 ? least_19 : least) || limb[i] > (is_19 ? most_19 : most)) return 0;
        }
    }
    return 1;
}
static inline __attribute__((unused)) int fe_within(const fe *a, uint64_t magnitude, int form) {
    const int q = magnitude > 4 && form == CW_PLAIN ? 2 : 1;
    if (form == CW_CANONICAL) return vec_limbs_within(a->v, 0, 0x1FFF, 0, 0x1FF);
    return vec_limbs_within(a->v, -q * 0x1021, q * 0x1021, -513 * q, 513 * q);
}
static inline __attribute__((unused)) int sc_within(const sc *a) { return vec_limbs_within(a->v, 0, 0x1FFF, 0, 0x7FF); }
#endif
#include "fe_vector.h"
#endif

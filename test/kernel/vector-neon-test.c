/* Compares vector_neon.h with slow-bignum, as vector-test.c does for the implementations with limbs of 52 bits: every function
 * of the contract, with limbs at the edges of what it allows, random ones, and values where reductions wrap round. */
static long faults;
static const char *last_fault = "none";
#define CW_VERIFY_FAULT(function, what) ((void)(function), faults++, last_fault = (what))
#include "vector_neon.h"
#include <stdio.h>
#include <stdlib.h>
#include "modinv.h"
#include "slow-bignum.h"

static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static int pick(int count) { return (int)(random_word() % (uint64_t)count); }
static big p, n, lift; /* lift: a multiple of p that makes any fe positive */
static const big zero;
static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

/* The bounds of a limb by its declared magnitude. */
struct bounds { int64_t low, high; };
static struct bounds bounds_of(int magnitude, int limb) {
    const int64_t unit = limb < 8 ? (1 << 29) + (1 << 10) : (1 << 24) + (1 << 19);
    if (magnitude > 4) return (struct bounds){-unit, unit};
    return limb < 8 ? (struct bounds){0, (1 << 29) - 1} : (struct bounds){-(1 << 6), (1 << 24) + (1 << 17)};
}

static int32_t limb_at(const fe *a, int limb, int element) {
    int32_t v;
    memcpy(&v, (const uint8_t *)a + 16 * limb + 4 * element, 4);
    return v;
}
static void set_limb(void *a, int limb, int element, int64_t v) {
    const int32_t narrow = (int32_t)v;
    memcpy((uint8_t *)a + 16 * limb + 4 * element, &narrow, 4);
}
#ifdef CW_VERIFY
#define DECLARE(a, m) ((a)->magnitude = (m), (a)->form = CW_PLAIN)
#else
#define DECLARE(a, m) (void)(a)
#endif
static fe some_fe(int magnitude) {
    fe a;
    DECLARE(&a, magnitude);
    for (int element = 0; element < VEC; element++)
        for (int i = 0, style = pick(8); i < LIMBS; i++) {
            const int64_t low = bounds_of(magnitude, i).low, high = bounds_of(magnitude, i).high;
            set_limb(&a, i, element, style == 0 ? low : style == 1 ? high : style == 2 ? (i & 1 ? low : high) : style == 3 ? (pick(2) ? low : high) :
                     style == 4 ? P(i) : style == 5 ? (pick(3) ? 0 : 1) : low + (int64_t)(random_word() % (uint64_t)(high - low + 1)));
        }
    return a;
}
static big raw(const fe *a, int element) {
    uint64_t plus[LIMBS], minus[LIMBS];
    for (int i = 0; i < LIMBS; i++) {
        const int64_t v = limb_at(a, i, element);
        plus[i] = v > 0 ? (uint64_t)v : 0;
        minus[i] = v < 0 ? (uint64_t)-v : 0;
    }
    big t = big_from_limbs(plus, LIMBS, 29);
    const big less = big_from_limbs(minus, LIMBS, 29);
    t = big_add(&t, &lift);
    return big_subtract(&t, &less);
}
static big value(const fe *a, int element) {
    const big t = raw(a, element);
    return big_mod(&t, &p);
}
static big minus(const big *a, const big *b) {
    big t = big_add(a, &p);
    t = big_subtract(&t, b);
    return big_mod(&t, &p);
}
static big plus(const big *a, const big *b) {
    const big t = big_add(a, b);
    return big_mod(&t, &p);
}
static big times(const big *a, const big *b) {
    const big t = big_multiply(a, b);
    return big_mod(&t, &p);
}
static void expect_value(const fe *r, int element, big wanted, const char *what) {
    const big got = value(r, element);
    EXPECT(big_compare(&got, &wanted) == 0, "%s: wrong value in element %d", what, element);
}
static void expect_bounds(const fe *r, int magnitude, const char *what) {
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < LIMBS; i++) {
            const int64_t v = limb_at(r, i, element);
            EXPECT(v >= bounds_of(magnitude, i).low && v <= bounds_of(magnitude, i).high, "%s: limb %d of element %d is %lld", what, i, element, (long long)v);
        }
}

static void test_products(void) {
    static const int pair[][2] = {{1, 1}, {1, 5}, {5, 1}, {1, 8}, {6, 6}, {5, 8}, {3, 8}, {4, 8}, {8, 5}};
    const int *m = pair[pick(sizeof pair / sizeof *pair)];
    const fe a = some_fe(m[0]), b = some_fe(m[1]), s = some_fe(6), c = some_fe(8), x = some_fe(1), d = some_fe(5);
    fe product, square, product_c, square_c, in_place = a;
    fe_mul(&product, &a, &b);
    fe_mul(&in_place, &in_place, &b);
    fe_sqr(&square, &s);
    fe_mul_sub(&product_c, &a, &b, &c);
    fe_sqr_sub(&square_c, &s, &x, &d);
    EXPECT(memcmp(in_place.v, product.v, sizeof product.v) == 0, "mul in place");
    expect_bounds(&product, 1, "mul");
    expect_bounds(&square, 1, "sqr");
    expect_bounds(&product_c, 1, "mul_sub");
    expect_bounds(&square_c, 1, "sqr_sub");
    for (int element = 0; element < VEC; element++) {
        const big va = value(&a, element), vb = value(&b, element), vs = value(&s, element), vc = value(&c, element), vx = value(&x, element), vd = value(&d, element);
        const big ab = times(&va, &vb), ss = times(&vs, &vs), xx = plus(&vx, &vx), xxd = plus(&xx, &vd);
        expect_value(&product, element, ab, "mul");
        expect_value(&square, element, ss, "sqr");
        expect_value(&product_c, element, minus(&ab, &vc), "mul_sub");
        expect_value(&square_c, element, minus(&ss, &xxd), "sqr_sub");
    }
}
static void test_sums(void) {
    const int k = 1 + pick(8), scaled_magnitude = 8 / k;
    const vec_mask mask = (vec_mask)pick(16);
    const fe a = some_fe(4), b = some_fe(2), c = some_fe(1), e = some_fe(1), s = some_fe(scaled_magnitude), seven = some_fe(7);
    fe sum, difference, scaled, negated, other, loose_difference, wide_difference, product, selected, rotated;
    fe_add(&sum, &seven, &c);
    fe_sub(&difference, &a, &b);
    fe_scale(&scaled, &s, (unsigned)k);
    fe_negate_elements(&negated, &c, mask);
    fe_negate_elements(&other, &e, mask ^ 15);
    fe_sub(&loose_difference, &negated, &other);
    fe_sub(&wide_difference, &negated, &b);
    fe_mul_sub(&product, &c, &e, &negated);
    fe_select(&selected, mask, &a, &b);
    expect_bounds(&sum, 1, "add");
    expect_bounds(&difference, 8, "sub");
    expect_bounds(&scaled, 1, "scale");
    expect_bounds(&loose_difference, 6, "sub of loose");
    expect_bounds(&wide_difference, 6, "sub from loose");
    const int turn = 1 + pick(3);
    fe_rotate(&rotated, &a, turn);
    for (int element = 0; element < VEC; element++) {
        const big va = value(&a, element), vb = value(&b, element), vc = value(&c, element), ve = value(&e, element), vs = value(&s, element), vk = {{(uint32_t)k}};
        const big v7 = value(&seven, element), ce = times(&vc, &ve);
        const int bit = mask >> element & 1;
        const big first = bit ? minus(&zero, &vc) : vc, second = bit ? ve : minus(&zero, &ve);
        expect_value(&sum, element, plus(&v7, &vc), "add");
        expect_value(&difference, element, minus(&va, &vb), "sub");
        expect_value(&scaled, element, times(&vs, &vk), "scale");
        expect_value(&negated, element, first, "negate");
        expect_value(&wide_difference, element, minus(&first, &vb), "sub from loose");
        expect_value(&product, element, minus(&ce, &first), "mul_sub of loose");
        expect_value(&loose_difference, element, minus(&first, &second), "sub of loose");
        for (int i = 0; i < LIMBS; i++) {
            EXPECT(limb_at(&selected, i, element) == limb_at(bit ? &a : &b, i, element), "select");
            EXPECT(limb_at(&rotated, i, element) == limb_at(&a, i, (element + turn) % VEC), "rotate");
        }
    }
}
static void set_plain(fe *a, int element, const big *v) {
    for (int i = 0; i < LIMBS; i++) {
        uint64_t limb = 0;
        for (int b = 0; b < (i < 8 ? 29 : 31); b++) limb |= (uint64_t)(v->w[(29 * i + b) / 32] >> (29 * i + b) % 32 & 1) << b;
        set_limb(a, i, element, (int64_t)limb);
    }
}
static void expect_normal(const fe *a) {
    fe normal;
    fe_normal(&normal, a);
    for (int element = 0; element < VEC; element++) {
        const big wanted = value(a, element), v = raw(&normal, element), got = big_subtract(&v, &lift);
        EXPECT(big_compare(&got, &wanted) == 0, "normal: not canonical or wrong");
        for (int i = 0; i < LIMBS; i++) EXPECT(limb_at(&normal, i, element) >= 0 && limb_at(&normal, i, element) <= (i < 8 ? M29 : M24), "normal: not digits");
        EXPECT((fe_zero(a) >> element & 1) == (big_compare(&wanted, &zero) == 0), "zero");
    }
}
/* Values close to k p, k = -1 .. 1, and to 2^256, in the form that a product has, and less p. */
static void test_normal(void) {
    fe wide = some_fe(8);
    expect_normal(&wide);
    fe none, modulus, a;
    DECLARE(&none, 1);
    DECLARE(&modulus, 1);
    for (int i = 0; i < LIMBS; i++) none.v[i] = vdupq_n_s32(0), modulus.v[i] = vdupq_n_s32(P(i));
    for (int style = 0; style < 3; style++) {
        for (int element = 0; element < VEC; element++) {
            const big near = {{(uint32_t)pick(3)}}, all = {{[0 ... 7] = ~0u}};
            const big v = style == 0 ? near : style == 1 ? big_add(&p, &near) : big_subtract(&all, &near);
            set_plain(&a, element, &v);
        }
        DECLARE(&a, 1);
        expect_normal(&a);
        fe_sub(&a, &a, &modulus);
        expect_normal(&a);
    }
    /* Just below zero and just over 2^256, which the first carry does not show in limb 8: a second one has to. */
    fe b, difference;
    DECLARE(&b, 1);
    for (int element = 0; element < VEC; element++) {
        const big v = {{(uint32_t)random_word(), (uint32_t)random_word(), 0, (uint32_t)pick(2)}}, near = {{(uint32_t)pick(3)}}, more = big_add(&v, &near);
        set_plain(&a, element, &v);
        set_plain(&b, element, &more);
    }
    DECLARE(&a, 1);
    fe_sub(&difference, &a, &b);
    expect_normal(&difference);
    DECLARE(&a, 5);
    for (int i = 0; i < LIMBS; i++)
        for (int element = 0; element < VEC; element++) set_limb(&a, i, element, i == 8 ? M24 : i == 7 ? M29 + pick(3) : pick(2) ? M29 : 0);
    expect_normal(&a);
    EXPECT(fe_zero(&none) == 15, "zero");
}
static void test_words(void) {
    static uint8_t memory[VEC][64] __attribute__((aligned(64))), copy[VEC][64] __attribute__((aligned(64)));
    const uint8_t *row[VEC];
    uint8_t *out[VEC];
    uint64_t words[4 * 5], back[4 * 5], first[4];
    fe x, y, normal;
    for (int i = 0; i < 20; i++) words[i] = pick(4) ? random_word() : pick(2) ? ~0ULL : 0;
    fe_from_words(&x, words, 5);
    expect_bounds(&x, 1, "from_words");
    for (int element = 0; element < VEC; element++) {
        const uint64_t w[4] = {words[element], words[5 + element], words[10 + element], words[15 + element]};
        const big wanted = big_from_words(w, 4), v = raw(&x, element), got = big_subtract(&v, &lift);
        EXPECT(big_compare(&wanted, &got) == 0, "from_words");
    }
    fe_normal(&normal, &x);
    fe_to_words(back, 5, &normal);
    fe_element_words(first, &normal);
    for (int element = 0; element < VEC; element++) {
        const uint64_t w[4] = {back[element], back[5 + element], back[10 + element], back[15 + element]};
        const big wanted = value(&x, element), got = big_from_words(w, 4);
        EXPECT(big_compare(&wanted, &got) == 0, "to_words");
        if (element == 0) EXPECT(memcmp(w, first, 32) == 0, "element_words");
    }
    fe_broadcast(&y, first);
    for (int element = 0; element < VEC; element++) expect_value(&y, element, value(&x, 0), "broadcast");
    for (int element = 0; element < VEC; element++) {
        for (int i = 0; i < 64; i++) memory[element][i] = (uint8_t)random_word();
        memory[element][31] = memory[element][63] = 0x7F; /* below p */
        row[element] = memory[element], out[element] = copy[element];
    }
    fe_load_x(&x, row);
    fe_load_y(&y, row);
    for (int element = 0; element < VEC; element++)
        for (int half = 0; half < 2; half++) {
            uint64_t w[4];
            memcpy(w, memory[element] + 32 * half, 32);
            expect_value(half ? &y : &x, element, big_from_words(w, 4), "load row");
        }
    fe_normal(&x, &x);
    fe_normal(&y, &y);
    fe_store_rows(out, &x, &y);
    EXPECT(memcmp(memory, copy, sizeof copy) == 0, "store row");
    uint64_t numbers[VEC];
    const vec_u64 v = vec_load(words);
    vec_store(numbers, v);
    EXPECT(memcmp(numbers, words, sizeof numbers) == 0, "vec_store");
    EXPECT(vec_bit_mask(v) == (vec_mask)((words[0] & 1) | (words[1] & 1) << 1 | (words[2] & 1) << 2 | (words[3] & 1) << 3), "bit_mask");
}

static big scalar_value(const sc *a, int element) {
    uint64_t digit[DIGITS];
    for (int i = 0; i < DIGITS; i++) {
        uint32_t v;
        memcpy(&v, (const uint8_t *)a + 16 * i + 4 * element, 4);
        EXPECT(v <= M26, "a digit of a scalar");
        digit[i] = v;
    }
    return big_from_limbs(digit, DIGITS, 26);
}
/* Below 2^258. */
static sc some_scalar(void) {
    sc a;
    DECLARE(&a, 1);
    for (int element = 0; element < VEC; element++)
        for (int i = 0, style = pick(4); i < DIGITS; i++) {
            const uint32_t max = i < 9 ? M26 : (1u << 24) - 1;
            set_limb(&a, i, element, style == 0 ? max : style == 1 ? DIGIT(cw_n_limbs, i) : (uint32_t)random_word() & max);
        }
    return a;
}
/* 2 u = (2 B1 - 2^129 + 1) + lambda (2 B2 - 2^129 + 1), and |B - 2^128| is in bounds. */
static void expect_split(const vec_u64 b1[3], const vec_u64 b2[3], int element, const big *u) {
    const uint64_t bias_words[3] = {~0ULL, ~0ULL, 1}, low_words[3] = {0, (256 - CW_SPLIT_BOUND) << 56, 0}, high_words[3] = {0, CW_SPLIT_BOUND << 56, 1};
    const big lambda = big_from_words(cw_lambda_words, 4), bias = big_from_words(bias_words, 3), low = big_from_words(low_words, 3), high = big_from_words(high_words, 3);
    uint64_t w[2][3];
    for (int i = 0; i < 3; i++) {
        memcpy(&w[0][i], (const uint8_t *)&b1[i] + 8 * element, 8);
        memcpy(&w[1][i], (const uint8_t *)&b2[i] + 8 * element, 8);
    }
    const big k1 = big_from_words(w[0], 3), k2 = big_from_words(w[1], 3);
    big sum = big_multiply(&lambda, &k2), t = big_multiply(&lambda, &bias);
    sum = big_add(&sum, &k1);
    sum = big_add(&sum, &sum);
    t = big_add(&t, &bias);
    t = big_add(&t, u);
    t = big_add(&t, u);
    sum = big_mod(&sum, &n), t = big_mod(&t, &n);
    EXPECT(big_compare(&sum, &t) == 0, "split: wrong sum");
    EXPECT(big_compare(&k1, &low) > 0 && big_compare(&k1, &high) < 0 && big_compare(&k2, &low) > 0 && big_compare(&k2, &high) < 0, "split: out of bounds");
}
static void test_scalars(void) {
    static const uint64_t r_words[5] = {0, 0, 0, 0, 16}, near_words[5] = {0, 0, 0, 0, 4};
    const big r = big_from_words(r_words, 5), near = big_from_words(near_words, 5);
    const sc a = some_scalar(), b = some_scalar();
    sc product, normal, rotated, broadcast, from;
    vec_u64 b1[3], b2[3];
    uint64_t words[4 * VEC], first[4], limbs[5];
    sc_mul(&product, &a, &b);
    sc_normal(&normal, &product);
    sc_rotate(&rotated, &a, 1);
    sc_split(b1, b2, &a);
    sc_element_words(first, &normal);
    for (int i = 0; i < 4 * VEC; i++) words[i] = random_word();
    sc_from_words(&from, words, VEC);
    cw_limbs_from_words(limbs, first);
    sc_broadcast(&broadcast, limbs);
    for (int element = 0; element < VEC; element++) {
        const big va = scalar_value(&a, element), vb = scalar_value(&b, element), vp = scalar_value(&product, element), vn = scalar_value(&normal, element), vr = scalar_value(&rotated, element);
        big left = big_multiply(&vp, &r), right = big_multiply(&va, &vb);
        left = big_mod(&left, &n), right = big_mod(&right, &n);
        EXPECT(big_compare(&left, &right) == 0, "sc_mul");
        EXPECT(big_compare(&vp, &near) < 0, "sc_mul: not near");
        left = big_mod(&vp, &n);
        EXPECT(big_compare(&left, &vn) == 0, "sc_normal");
        const big turned = scalar_value(&a, (element + 1) % VEC), everywhere = scalar_value(&broadcast, element), given = big_from_words(first, 4), loaded = scalar_value(&from, element);
        EXPECT(big_compare(&vr, &turned) == 0, "sc_rotate");
        EXPECT(big_compare(&everywhere, &given) == 0, "sc_broadcast");
        if (element == 0) EXPECT(big_compare(&vn, &given) == 0, "sc_element_words");
        const uint64_t w[4] = {words[element], words[VEC + element], words[2 * VEC + element], words[3 * VEC + element]};
        const big wanted = big_from_words(w, 4);
        EXPECT(big_compare(&loaded, &wanted) == 0, "sc_from_words");
        expect_split(b1, b2, element, &va);
    }
}

#ifdef CW_VERIFY
/* Each of these is beyond the real magnitudes by as little as can be: what declares magnitude m, and has not. */
#define EXPECT_FAULT(call) do { const long before = faults; call; EXPECT(faults > before, "VERIFY: expected a fault, got none: " #call); } while (0)
static void test_verify(void) {
    fe one = some_fe(1), bad, r;
    for (int limb = 0; limb < LIMBS; limb++)
        for (int above = 0; above < 2; above++)
            for (int magnitude = 1; magnitude <= 5; magnitude += 4) {
                const struct bounds b = bounds_of(magnitude, limb);
                bad = some_fe(magnitude);
                set_limb(&bad, limb, pick(VEC), above ? b.high + 1 : b.low - 1);
                EXPECT_FAULT(fe_mul(&r, &bad, &one));
            }
    fe_normal(&bad, &one);
    set_limb(&bad, 8, 0, 1 << 24);
    uint64_t w[4 * VEC];
    EXPECT_FAULT(fe_to_words(w, VEC, &bad));
    sc scalar = some_scalar(), product;
    set_limb(&scalar, 9, 1, 1 << 24);
    EXPECT_FAULT(sc_mul(&product, &scalar, &scalar));
    faults = 0;
}
#endif

#ifdef CW_EMULATED
#define ROUNDS 150
#else
#define ROUNDS 1500
#endif
int main(int argc, char **argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    p = big_p(), n = big_n();
    const big many = {{64}};
    lift = big_multiply(&p, &many);
#ifdef CW_VERIFY
    test_verify();
#endif
    for (int i = 0; i < rounds; i++) {
        test_products();
        test_sums();
        test_normal();
        test_words();
        test_scalars();
    }
    EXPECT(!faults, "VERIFY: expected no fault within the contract, got %ld, the last: %s", faults, last_fault);
    printf("vector_neon.h: %ld checks\n", checks);
    return 0;
}

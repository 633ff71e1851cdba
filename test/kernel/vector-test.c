/* Compares one implementation of the vector contract with slow-bignum: the value and the bounds of the result of every
 * function, at the edge of its magnitudes. Compiled once per implementation with -DVECTOR='"vector_x.h"'.
 * With CW_VERIFY every call is checked too (fe_verify.h), and what goes beyond the contract has to be noticed. */
static long faults;
static const char *last_fault = "none";
#define CW_VERIFY_FAULT(function, what) ((void)(function), faults++, last_fault = (what))
#include VECTOR
#include <stdio.h>
#include <stdlib.h>
#include "modinv.h"
#include "slow-bignum.h"

static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static big p, n;
static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

#ifndef VEC_LIMB_BITS
#define VEC_LIMB_BITS 0
#endif
static uint64_t limb_at(const void *number, int limb, int element) {
    uint64_t v;
    memcpy(&v, (const uint8_t *)number + 8 * (limb * VEC + element), 8);
    return v - VEC_LIMB_BITS;
}
static void set_limb(void *number, int limb, int element, uint64_t v) { v += VEC_LIMB_BITS, memcpy((uint8_t *)number + 8 * (limb * VEC + element), &v, 8); }

/* A limb up to `max`: all ones, zero, one, the modulus's, a power of two or one less (halves that tie), or random. */
static uint64_t some_limb(uint64_t max, uint64_t of_modulus) {
    const uint64_t power = 1ULL << random_word() % 52, choice[6] = {max, 0, 1, of_modulus <= max ? of_modulus : max, power, power - 1};
    const unsigned k = random_word() % 10;
    return k < 6 && choice[k] <= max ? choice[k] : random_word() % (max + 1);
}
#ifdef CW_VERIFY
#define DECLARE(a, m) ((a)->magnitude = (m), (a)->form = CW_PLAIN)
#else
#define DECLARE(a, m) (void)(a)
#endif
static fe some_fe(int magnitude) {
    fe a;
    DECLARE(&a, magnitude);
    const unsigned style = random_word() % 4;
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < 5; i++) {
            const uint64_t max = i < 4 ? VEC_LIMB_MAX((uint64_t)magnitude) : (uint64_t)magnitude * ((1ULL << 48) - 1);
            set_limb(&a, i, element, style == 0 ? max : style == 1 ? cw_p_limbs[i] + (i == 0 ? random_word() % 3 - 1 : 0) : some_limb(max, cw_p_limbs[i]));
        }
    return a;
}
static big value(const void *number, int element, const big *modulus) {
    uint64_t l[5];
    for (int i = 0; i < 5; i++) l[i] = limb_at(number, i, element);
    big v = big_from_limbs(l, 5, 52);
    return modulus ? big_mod(&v, modulus) : v;
}
static big minus(const big *a, const big *b) { /* a - b mod p, both below p */
    big t = big_add(a, &p);
    t = big_subtract(&t, b);
    return big_mod(&t, &p);
}
static big times(const big *a, const big *b) {
    big t = big_multiply(a, b);
    return big_mod(&t, &p);
}
static void expect_bounds(const fe *r, int magnitude, const char *what) {
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < 5; i++) {
            const uint64_t max = i < 4 ? VEC_LIMB_MAX((uint64_t)magnitude) : (uint64_t)magnitude * ((1ULL << 48) + 64);
            EXPECT(limb_at(r, i, element) <= max, "%s: limb %d over magnitude %d: %llx", what, i, magnitude, (unsigned long long)limb_at(r, i, element));
        }
}
static void expect_value(const fe *r, int element, const big *wanted, const char *what) {
    const big got = value(r, element, &p);
    EXPECT(big_compare(&got, wanted) == 0, "%s: wrong value in element %d", what, element);
}

static void test_products(void) {
    static const int pair[][2] = {{1, 1}, {1, 5}, {5, 1}, {1, 8}, {6, 6}, {5, 8}, {3, 8}, {4, 8}, {8, 5}};
    const int *m = pair[random_word() % (sizeof pair / sizeof *pair)];
    const fe a = some_fe(m[0]), b = some_fe(m[1]), s = some_fe(6), c = some_fe(8), x = some_fe(1), d = some_fe(5);
    fe product, square, product_c, square_c;
    fe_mul(&product, &a, &b);
    fe_sqr(&square, &s);
    fe_mul_sub(&product_c, &a, &b, &c);
    fe_sqr_sub(&square_c, &s, &x, &d);
    expect_bounds(&product, 1, "mul");
    expect_bounds(&square, 1, "sqr");
    expect_bounds(&product_c, 1, "mul_sub");
    expect_bounds(&square_c, 1, "sqr_sub");
    for (int element = 0; element < VEC; element++) {
        const big va = value(&a, element, &p), vb = value(&b, element, &p), vs = value(&s, element, &p), vc = value(&c, element, &p), vx = value(&x, element, &p), vd = value(&d, element, &p);
        const big ab = times(&va, &vb), ss = times(&vs, &vs);
        expect_value(&product, element, &ab, "mul");
        expect_value(&square, element, &ss, "sqr");
        big t = minus(&ab, &vc);
        expect_value(&product_c, element, &t, "mul_sub");
        t = minus(&ss, &vx);
        t = minus(&t, &vx);
        t = minus(&t, &vd);
        expect_value(&square_c, element, &t, "sqr_sub");
    }
}
static void test_sums(void) {
    const fe a = some_fe(4), b = some_fe(2), c = some_fe(1), e = some_fe(1), wide = some_fe(8), wider = some_fe(7);
    const unsigned k = 1 + random_word() % 8;
    const vec_mask mask = (vec_mask)(random_word() & ((1u << VEC) - 1));
    fe sum, difference, scaled, loose1, loose2, loose_difference, less_two, normal, selected, rotated, product;
    fe_add(&sum, &wider, &c);
    fe_sub(&difference, &a, &b);
    fe_scale(&scaled, &c, k);
    fe_negate_elements(&loose1, &c, mask);
    fe_negate_elements(&loose2, &e, (vec_mask)~mask & (vec_mask)((1u << VEC) - 1));
    fe_sub(&loose_difference, &loose1, &loose2);
    fe_sub(&less_two, &loose1, &b);
    fe_mul_sub(&product, &c, &e, &loose1);
    fe_normal(&normal, &wide);
    fe_select(&selected, mask, &a, &b);
    fe_rotate(&rotated, &a, VEC / 2);
    expect_bounds(&sum, 8, "add");
    expect_bounds(&difference, 8, "sub");
    expect_bounds(&scaled, (int)k, "scale");
    expect_bounds(&loose_difference, 6, "sub of loose");
    expect_bounds(&less_two, 6, "sub from loose");
    for (int element = 0; element < VEC; element++) {
        const big zero = {{0}}, va = value(&a, element, &p), vb = value(&b, element, &p), vc = value(&c, element, &p), ve = value(&e, element, &p), vw = value(&wide, element, &p), vr = value(&wider, element, &p), vk = {{k}};
        big t = big_add(&vr, &vc);
        t = big_mod(&t, &p);
        expect_value(&sum, element, &t, "add");
        t = minus(&va, &vb);
        expect_value(&difference, element, &t, "sub");
        t = times(&vc, &vk);
        expect_value(&scaled, element, &t, "scale");
        const int bit = mask >> element & 1;
        const big first = bit ? minus(&zero, &vc) : vc, second = bit ? ve : minus(&zero, &ve);
        t = minus(&first, &second);
        expect_value(&loose_difference, element, &t, "sub of loose");
        t = minus(&first, &vb);
        expect_value(&less_two, element, &t, "sub from loose");
        t = times(&vc, &ve);
        t = minus(&t, &first);
        expect_value(&product, element, &t, "mul_sub of loose");
        t = value(&normal, element, 0);
        EXPECT(big_compare(&t, &vw) == 0, "normal: not canonical or wrong");
        EXPECT((fe_zero(&wide) >> element & 1) == (big_compare(&vw, &zero) == 0), "zero");
        t = value(bit ? &a : &b, element, 0);
        const big s = value(&selected, element, 0), r = value(&rotated, element, 0), from = value(&a, (element + VEC / 2) % VEC, 0);
        EXPECT(big_compare(&s, &t) == 0, "select");
        EXPECT(big_compare(&r, &from) == 0, "rotate");
    }
}
/* Multiples of p in every form the contract allows must be seen as zero. */
static void test_zeros(void) {
    for (int m = 0; m <= 8; m++) {
        fe a;
        DECLARE(&a, m ? m : 1);
        for (int element = 0; element < VEC; element++) {
            const big k = {{(uint32_t)m}};
            big v = big_multiply(&k, &p);
            for (int i = 0; i < 5; i++) {
                uint64_t limb = 0;
                for (int b = 0; b < (i < 4 ? 52 : 60); b++) limb |= (uint64_t)(v.w[(52 * i + b) / 32] >> (52 * i + b) % 32 & 1) << b;
                set_limb(&a, i, element, limb);
            }
        }
        EXPECT(fe_zero(&a) == (vec_mask)((1u << VEC) - 1), "zero: %d p", m);
        set_limb(&a, 0, 0, limb_at(&a, 0, 0) ^ 1);
        EXPECT(!(fe_zero(&a) & 1), "zero: %d p with a bit changed", m);
    }
}
static void test_rows(void) {
    static uint8_t memory[VEC][64] __attribute__((aligned(64))), copy[VEC][64] __attribute__((aligned(64)));
    const uint8_t *row[VEC];
    uint8_t *out[VEC];
    fe x, y;
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
            const big wanted = big_from_words(w, 4), got = value(half ? &y : &x, element, 0);
            EXPECT(big_compare(&wanted, &got) == 0, "load row");
        }
    fe_normal(&x, &x);
    fe_normal(&y, &y);
    fe_store_rows(out, &x, &y);
    EXPECT(memcmp(memory, copy, sizeof copy) == 0, "store row");
}

static void test_scalars(void) {
    sc a, b, product, normal;
    DECLARE(&a, 1);
    DECLARE(&b, 1);
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < 5; i++) { /* near: below 2^258 */
            set_limb(&a, i, element, some_limb(i < 4 ? CW_MASK52 : (1ULL << 50) - 1, cw_n_limbs[i]));
            set_limb(&b, i, element, some_limb(i < 4 ? CW_MASK52 : (1ULL << 50) - 1, cw_n_limbs[i]));
        }
    sc_mul(&product, &a, &b);
    sc_normal(&normal, &product);
    vec_u64 b1[3], b2[3];
    sc_split(b1, b2, &a);
    const uint64_t r_words[5] = {0, 0, 0, 0, 16};
    const big r = big_from_words(r_words, 5);
    uint64_t lambda_words[4];
    memcpy(lambda_words, cw_lambda_words, 32);
    const big lambda = big_from_words(lambda_words, 4);
    for (int element = 0; element < VEC; element++) {
        const big va = value(&a, element, 0), vb = value(&b, element, 0), vp = value(&product, element, 0), vn = value(&normal, element, 0);
        big left = big_multiply(&vp, &r), right = big_multiply(&va, &vb);
        left = big_mod(&left, &n), right = big_mod(&right, &n);
        EXPECT(big_compare(&left, &right) == 0, "sc_mul");
        EXPECT(limb_at(&product, 4, element) < 1ULL << 50, "sc_mul: not near");
        left = big_mod(&vp, &n);
        EXPECT(big_compare(&left, &vn) == 0, "sc_normal");
        /* 2 u = (2 B1 - 2^129 + 1) + lambda (2 B2 - 2^129 + 1) */
        uint64_t w1[3], w2[3];
        for (int i = 0; i < 3; i++) {
            memcpy(&w1[i], (uint8_t *)&b1[i] + 8 * element, 8);
            memcpy(&w2[i], (uint8_t *)&b2[i] + 8 * element, 8);
        }
        const uint64_t bias_words[3] = {(uint64_t)-1, (uint64_t)-1, 1};
        const big k1 = big_from_words(w1, 3), k2 = big_from_words(w2, 3), bias = big_from_words(bias_words, 3);
        big sum = big_multiply(&lambda, &k2), t = big_multiply(&lambda, &bias);
        sum = big_add(&sum, &k1);
        sum = big_add(&sum, &sum);
        t = big_add(&t, &bias);
        t = big_add(&t, &va);
        t = big_add(&t, &va);
        sum = big_mod(&sum, &n), t = big_mod(&t, &n);
        EXPECT(big_compare(&sum, &t) == 0, "sc_split: wrong sum");
        const uint64_t low_words[3] = {0, (uint64_t)(256 - CW_SPLIT_BOUND) << 56, 0}, high_words[3] = {0, CW_SPLIT_BOUND << 56, 1};
        const big low = big_from_words(low_words, 3), high = big_from_words(high_words, 3);
        EXPECT(big_compare(&k1, &low) > 0 && big_compare(&k1, &high) < 0 && big_compare(&k2, &low) > 0 && big_compare(&k2, &high) < 0, "sc_split: out of bounds");
    }
}
static void test_inverse(const big *m, void (*inverse)(uint64_t *, const uint64_t *)) {
    uint64_t w[4], r[4];
    for (int i = 0; i < 4; i++) w[i] = random_word() % 4 ? random_word() : random_word() % 2 ? (uint64_t)-1 : 0;
    big a = big_from_words(w, 4);
    a = big_mod(&a, m);
    if (random_word() % 8 == 0) a = big_subtract(m, &(big){{(uint32_t)(random_word() % 3)}});
    a = big_mod(&a, m);
    big_to_words(w, &a);
    inverse(r, w);
    const big vr = big_from_words(r, 4), one = {{1}}, zero = {{0}};
    big t = big_multiply(&a, &vr);
    t = big_mod(&t, m);
    EXPECT(big_compare(&t, big_compare(&a, &zero) ? &one : &zero) == 0, "inverse");
    EXPECT(big_compare(&vr, m) < 0, "inverse: not canonical");
}

#ifdef CW_VERIFY
/* Each of these is beyond the contract by as little as can be. */
#define EXPECT_FAULT(call) do { const long before = faults; call; EXPECT(faults > before, "VERIFY: expected a fault, got none: " #call); } while (0)
static void test_verify(void) {
    const fe one = some_fe(1), two = some_fe(2), three = some_fe(3), five = some_fe(5), six = some_fe(6), seven = some_fe(7), eight = some_fe(8), nine = some_fe(9);
    fe loose, bad, unset, r;
    fe_negate_elements(&loose, &one, 1);
    EXPECT(!faults, "VERIFY: expected no fault before, got %s", last_fault);
    memset(&unset, 0, sizeof unset);
    EXPECT_FAULT(fe_mul(&r, &one, &nine));
    EXPECT_FAULT(fe_mul(&r, &six, &seven));
    EXPECT_FAULT(fe_mul(&r, &loose, &one));
    EXPECT_FAULT(fe_mul(&r, &unset, &one));
    EXPECT_FAULT(fe_sqr(&r, &seven));
    EXPECT_FAULT(fe_mul_sub(&r, &one, &one, &nine));
    EXPECT_FAULT(fe_mul_sub(&r, &six, &seven, &one));
    EXPECT_FAULT(fe_sqr_sub(&r, &seven, &one, &one));
    EXPECT_FAULT(fe_sqr_sub(&r, &one, &two, &one));
    EXPECT_FAULT(fe_sqr_sub(&r, &one, &one, &six));
    EXPECT_FAULT(fe_add(&r, &six, &three));
    EXPECT_FAULT(fe_sub(&r, &five, &one));
    EXPECT_FAULT(fe_sub(&r, &one, &three));
    EXPECT_FAULT(fe_sub(&r, &one, &loose));
    EXPECT_FAULT(fe_sub(&r, &loose, &three));
    EXPECT_FAULT(fe_scale(&r, &three, 3));
    EXPECT_FAULT(fe_negate_elements(&r, &two, 1));
    EXPECT_FAULT(fe_normal(&r, &nine));
    EXPECT_FAULT(fe_zero(&nine));
    uint64_t w[4 * VEC];
    EXPECT_FAULT(fe_to_words(w, VEC, &eight));
    bad = one; /* what says that it has magnitude 1, and has not */
    set_limb(&bad, 4, VEC - 1, (1ULL << 48) + 65);
    EXPECT_FAULT(fe_mul(&r, &bad, &one));
    set_limb(&bad, 4, VEC - 1, 0);
    set_limb(&bad, 3, 0, VEC_LIMB_MAX(1ULL) + 1);
    EXPECT_FAULT(fe_add(&r, &one, &bad));
    faults = 0;
}
#endif

int main(int argc, char **argv) {
#ifdef NEEDS
    __builtin_cpu_init();
    if (!NEEDS) return puts("SKIPPED " VECTOR ": this CPU lacks its instruction set"), 0;
#endif
    const int rounds = argc > 1 ? atoi(argv[1]) : 1500;
    p = big_p(), n = big_n();
    test_zeros();
#ifdef CW_VERIFY
    test_verify();
#endif
    for (int i = 0; i < rounds; i++) {
        test_products();
        test_sums();
        test_rows();
        test_scalars();
        test_inverse(&p, cw_inverse_p);
        test_inverse(&n, cw_inverse_n);
    }
    EXPECT(!faults, "VERIFY: expected no fault within the contract, got %ld, the last: %s", faults, last_fault);
    printf("%s: %ld checks\n", VECTOR, checks);
    return 0;
}

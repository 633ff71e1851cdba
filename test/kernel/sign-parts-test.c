/* The signer's inner functions, compiled with one element, on numbers that no batch will ever meet: nonces that are rejected, sums
 * and scalars at the edges of n and 2^256. */
#include <stdio.h>
#include <stdlib.h>
#include "vector_scalar.h"
#define KERNEL_NAME parts
#define KERNEL_JOIN_(a, b) a##_##b
#define KERNEL_JOIN(a, b) KERNEL_JOIN_(a, b)
#define KERNEL(function) KERNEL_JOIN(function, KERNEL_NAME)
#pragma GCC diagnostic ignored "-Wunused-function"
#include "batch_scalars.h"
#include "throwaway_vector.h"
#include "sign_vector.h"
#include "craft.h"
#include "dispatch.h"

static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

static struct sign_work *w;
static void put(uint64_t (*to)[CW_SIGN_MAX], int at, number x) {
    for (int i = 0; i < 4; i++) to[i][at] = x.w[i];
}
static number get(uint64_t (*from)[CW_SIGN_MAX], int at) {
    number x;
    for (int i = 0; i < 4; i++) x.w[i] = from[i][at];
    return x;
}
static number sum(number a, uint64_t small) { /* not mod n */
    for (int i = 0; i < 4; i++) {
        a.w[i] += small;
        small = a.w[i] < small;
    }
    return a;
}
static void test_rejected(void) {
    const struct cw_sign_key key = {.last_byte = 5, .inner = {1, 2, 3}, .outer = {4, 5, 6}, .again = {7, 8, 9}};
    number n, most = {{~0ULL, ~0ULL, ~0ULL, ~0ULL}}, expected;
    memcpy(n.w, cw_n_words, 32);
    const struct { number k; int is_bad; } cases[] = {
        {n, 1}, {small_number(1), 0}, {small_number(0), 1}, {negate(small_number(1)), 0}, {sum(n, 1), 1}, {most, 1}, {{{0, 0, 0, 1}}, 0}, {{{0, 1, 0, 0}}, 0}};
    enum { CASES = sizeof cases / sizeof *cases };
    for (int i = 0; i < CASES; i++) put(w->k, i, cases[i].k), put(w->z, i, small_number(100 + (uint64_t)i));
    sign_replace_rejected(w, &key, CASES);
    for (int i = 0; i < CASES; i++) {
        expected = cases[i].k;
        if (cases[i].is_bad) cw_sign_nonce(&key, small_number(100 + (uint64_t)i).w, 1, expected.w);
        const number k = get(w->k, i);
        EXPECT(!memcmp(&k, &expected, 32), "case %d of a nonce that is %s", i, cases[i].is_bad ? "rejected" : "kept");
    }
}
static void test_sums(void) {
    number edges[7] = {small_number(0), small_number(1), negate(small_number(1)), negate(small_number(2)), {{0, 0, 0, 1ULL << 63}}, {{~0ULL, ~0ULL, 0, 0}}, from_words(cw_half_n_words)};
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++) {
            uint64_t r[4];
            const number expected = add(edges[i], edges[j]);
            sign_add_mod(r, edges[i].w, edges[j].w);
            EXPECT(!memcmp(r, &expected, 32), "sum mod n of edges %d and %d", i, j);
        }
    number n, most = {{~0ULL, ~0ULL, ~0ULL, ~0ULL}};
    memcpy(n.w, cw_n_words, 32);
    const number high[5] = {n, sum(n, 1), most, small_number(7), negate(small_number(1))};
    for (int i = 0; i < 5; i++) {
        number r = high[i];
        const number expected = from_words(high[i].w);
        sign_reduce(r.w);
        EXPECT(!memcmp(&r, &expected, 32), "reduction of edge %d", i);
    }
}
/* The digits of k + b, as they are read, add up to it or to its negative. */
static void test_digits(void) {
    const number b = {{3, 5, 7, 11}}, ks[6] = {small_number(1), small_number(2), negate(b), negate(add(b, small_number(1))), negate(small_number(1)), {{~0ULL, 1, ~0ULL, 1}}};
    for (int i = 0; i < 6; i++) put(w->k, i, ks[i]);
    sign_make_digits(w, b.w, 6);
    for (int i = 0; i < 6; i++) {
        number total = small_number(0), power = small_number(1);
        const number e = add(ks[i], b);
        for (int bit = 0; bit < 256; bit++) {
            const int is_plus = (int)(w->digits[bit >> 6][i] >> (bit & 63) & 1);
            total = add(total, is_plus ? power : negate(power));
            power = add(power, power);
        }
        const number expected = w->flip[i] ? negate(e) : e;
        EXPECT(!memcmp(&total, &expected, 32), "digits of scalar %d", i);
        EXPECT(w->digits[3][i] >> 63, "the top digit of scalar %d is positive", i);
    }
}
int main(void) {
    w = cw_map(SIGN_BYTES(1));
    if (!w) return 1;
    test_rejected();
    test_sums();
    test_digits();
    printf("sign-parts: %ld checks\n", checks);
    return 0;
}

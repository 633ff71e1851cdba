/* See throwaway_sign.h. This file does what is done once for a key; throwaway_vector.h does the product for each claim. */
#include "throwaway_sign.h"
#include "kernel.h"
#include "vector_scalar.h"
#include "modinv.h"
#include "slow.h"

/* r = a b 2^-260 mod n, canonical; b in limbs. */
static void product(uint64_t r[4], const uint64_t a[4], const uint64_t b[5]) {
    sc x, y;
    sc_from_words(&x, a, 1);
    sc_broadcast(&y, b);
    sc_mul(&x, &x, &y);
    sc_normal(&x, &x);
    sc_element_words(r, &x);
}
static void reduce(uint64_t a[4]) {
    uint64_t t[4];
    if (!cw_words_subtract(t, a, cw_n_words)) memcpy(a, t, 32);
}
int cw_throwaway_prepare(struct cw_throwaway_key *key, const uint8_t d[32], const uint8_t k[32], const uint8_t *generator) {
    uint64_t dw[4], kw[4], y[4], limbs[5];
    cw_words_from_be(dw, d);
    cw_words_from_be(kw, k);
    reduce(dw);
    reduce(kw);
    if (cw_words_zero(dw) || cw_words_zero(kw)) return 0;
    if (!cw_generator_multiply_x(key->r, kw, generator)) cw_slow_multiply_generator(key->r, y, kw);
    reduce(key->r);
    cw_inverse_n(key->k_inverse, kw);
    product(key->k_inverse, key->k_inverse, cw_r2);
    product(key->rd, key->r, cw_r2);
    cw_limbs_from_words(limbs, dw);
    product(key->rd, key->rd, limbs);
    return !cw_words_zero(key->r);
}
int cw_throwaway_public(uint8_t key[33], const uint8_t d[32]) {
    uint64_t w[4], x[4], y[4];
    cw_words_from_be(w, d);
    reduce(w);
    if (cw_words_zero(w)) return 0;
    cw_slow_multiply_generator(x, y, w);
    key[0] = 2 | (y[0] & 1);
    cw_words_to_be(key + 1, x);
    return 1;
}

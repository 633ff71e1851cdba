/* See throwaway_sign.h. Nonces come from the generator's table, a signature from three
 * Montgomery products. */
#include "throwaway_sign.h"
#include "kernel.h"
#include "lanes_scalar.h"
#include "modinv.h"
#include "slow.h"

static void product(uint64_t r[4], const uint64_t a[4], const uint64_t b[4]) {
    sc x, y, c;
    sc_from_words(&x, a, 1);
    sc_from_words(&y, b, 1);
    sc_broadcast(&c, cw_r2);
    sc_mul(&x, &x, &c);
    sc_mul(&x, &x, &y);
    sc_normal(&x, &x);
    sc_lane_words(r, &x);
}
static void reduce(uint64_t a[4]) {
    uint64_t t[4];
    if (!cw_words_subtract(t, a, cw_n_words)) memcpy(a, t, 32);
}
int cw_throwaway_nonce(struct cw_nonce *nonce, const uint8_t k[32], const uint8_t *generator) {
    uint64_t w[4], y[4];
    cw_words_from_be(w, k);
    reduce(w);
    if (cw_words_zero(w)) return 0;
    cw_inverse_n(nonce->k_inverse, w);
    if (!cw_generator_multiply_x(nonce->r, w, generator)) cw_slow_multiply_generator(nonce->r, y, w);
    reduce(nonce->r);
    return !cw_words_zero(nonce->r);
}
int cw_throwaway_sign(uint8_t signature[64], const uint64_t z[4], const uint64_t d[4], const struct cw_nonce *nonce) {
    uint64_t s[4], t[4], zr[4];
    memcpy(zr, z, 32);
    reduce(zr);
    product(s, nonce->r, d);
    cw_u128 c = 0;
    uint64_t sum[4];
    for (int i = 0; i < 4; i++) {
        c += (cw_u128)s[i] + zr[i];
        sum[i] = (uint64_t)c;
        c >>= 64;
    }
    if (c || !cw_words_less(sum, cw_n_words)) cw_words_subtract(sum, sum, cw_n_words);
    product(s, sum, nonce->k_inverse);
    if (cw_words_less(cw_half_n_words, s)) {
        cw_words_subtract(t, cw_n_words, s);
        memcpy(s, t, 32);
    }
    cw_words_to_be(signature, nonce->r);
    cw_words_to_be(signature + 32, s);
    return !cw_words_zero(s);
}
void cw_throwaway_key(uint8_t key[33], const uint8_t d[32]) {
    uint64_t w[4], x[4], y[4];
    cw_words_from_be(w, d);
    reduce(w);
    cw_slow_multiply_generator(x, y, w);
    key[0] = 2 | (y[0] & 1);
    cw_words_to_be(key + 1, x);
}

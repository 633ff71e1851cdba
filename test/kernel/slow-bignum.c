#include "slow-bignum.h"
#include <string.h>

#define WORDS 20
big big_from_words(const uint64_t *words, int count) { return big_from_limbs(words, count, 64); }
big big_from_limbs(const uint64_t *limbs, int count, int bits) {
    big r = {{0}};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < 64; k++) {
            if (!(limbs[i] >> k & 1)) continue;
            big one = {{0}};
            one.w[(bits * i + k) / 32] = 1u << (bits * i + k) % 32;
            r = big_add(&r, &one);
        }
    return r;
}
void big_to_words(uint64_t words[4], const big *a) {
    for (int i = 0; i < 4; i++) words[i] = a->w[2 * i] | (uint64_t)a->w[2 * i + 1] << 32;
}
int big_compare(const big *a, const big *b) {
    for (int i = WORDS - 1; i >= 0; i--)
        if (a->w[i] != b->w[i]) return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}
big big_add(const big *a, const big *b) {
    big r;
    uint64_t c = 0;
    for (int i = 0; i < WORDS; i++) r.w[i] = (uint32_t)(c += (uint64_t)a->w[i] + b->w[i]), c >>= 32;
    return r;
}
big big_subtract(const big *a, const big *b) {
    big r;
    uint64_t borrow = 0;
    for (int i = 0; i < WORDS; i++) {
        uint64_t d = (uint64_t)a->w[i] - b->w[i] - borrow;
        r.w[i] = (uint32_t)d;
        borrow = d >> 63;
    }
    return r;
}
big big_multiply(const big *a, const big *b) {
    big r = {{0}};
    for (int i = 0; i < WORDS; i++) {
        uint64_t c = 0;
        for (int j = 0; i + j < WORDS; j++) r.w[i + j] = (uint32_t)(c += (uint64_t)a->w[i] * b->w[j] + r.w[i + j]), c >>= 32;
    }
    return r;
}
big big_mod(const big *a, const big *m) {
    big r = {{0}};
    int bits = 32 * WORDS;
    while (bits > 0 && a->w[bits / 32 - 1] == 0) bits -= 32;
    for (int bit = bits - 1; bit >= 0; bit--) {
        r = big_add(&r, &r);
        r.w[0] |= a->w[bit / 32] >> bit % 32 & 1;
        if (big_compare(&r, m) >= 0) r = big_subtract(&r, m);
    }
    return r;
}
big big_power(const big *a, const big *e, const big *m) {
    big r = {{1}};
    for (int bit = 255; bit >= 0; bit--) {
        r = big_multiply(&r, &r);
        r = big_mod(&r, m);
        if (!(e->w[bit / 32] >> bit % 32 & 1)) continue;
        r = big_multiply(&r, a);
        r = big_mod(&r, m);
    }
    return r;
}
big big_p(void) {
    big p = {{0xFFFFFC2F, 0xFFFFFFFE, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u}};
    return p;
}
big big_n(void) {
    big n = {{0xD0364141, 0xBFD25E8C, 0xAF48A03B, 0xBAAEDCE6, 0xFFFFFFFE, ~0u, ~0u, ~0u}};
    return n;
}

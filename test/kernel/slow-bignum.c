#include "slow-bignum.h"
#include <string.h>

#define WORDS 20
big big_from_words(const uint64_t *words, int count) { return big_from_limbs(words, count, 64); }
big big_from_limbs(const uint64_t *limbs, int count, int bits) {
    big r = {{0}};
    for (int i = 0; i < count; i++) { /* a limb may be wider than its place: it is added there, in three words */
        const int word = bits * i / 32, shift = bits * i % 32;
        big limb = {{0}};
        const uint64_t high = shift ? limbs[i] >> (64 - shift) : 0;
        limb.w[word] = (uint32_t)(limbs[i] << shift), limb.w[word + 1] = (uint32_t)(limbs[i] << shift >> 32), limb.w[word + 2] = (uint32_t)high;
        r = big_add(&r, &limb);
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
/* Bit by bit. The remainder and its double lie in the nine lowest words: the moduli are of 256 bits, so the highest 224 bits
 * of `a` are a remainder already. */
big big_mod(const big *a, const big *m) {
    enum { LOW = 9, BEGUN = 7 };
    big r = {{0}};
    int words = WORDS;
    while (words > BEGUN && a->w[words - 1] == 0) words--;
    memcpy(r.w, &a->w[words - BEGUN], BEGUN * sizeof *r.w);
    for (int bit = 32 * (words - BEGUN) - 1; bit >= 0; bit--) {
        uint32_t carry = a->w[bit / 32] >> bit % 32 & 1, reduced[LOW];
        for (int i = 0; i < LOW; i++) {
            const uint32_t next = r.w[i] >> 31;
            r.w[i] = r.w[i] << 1 | carry, carry = next;
        }
        uint64_t borrow = 0;
        for (int i = 0; i < LOW; i++) {
            const uint64_t d = (uint64_t)r.w[i] - m->w[i] - borrow;
            reduced[i] = (uint32_t)d, borrow = d >> 63;
        }
        if (!borrow) memcpy(r.w, reduced, sizeof reduced);
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

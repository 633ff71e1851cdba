/* The batch signer in a kernel: nonces, multiples of the generator, s = (z + r d) / k. sign.h says what it promises. All that is secret
 * lies in the scratch memory, which is overwritten at the end. */
#include "kernel.h"
#include "sign_key.h"

#ifndef VEC_SIGN_WIDTH /* bits of a window: of two additions saved the one that a wider table's selection costs */
#define VEC_SIGN_WIDTH 5
#endif
#define LANES VEC_HASH_LANES
#ifndef VEC_HASH_LANES
#define VEC_HASH_LANES 4
#endif
#include "sign_hash.h"
#include "sign_multiply.h"

_Static_assert(CW_SIGN_MAX % LANES == 0 && CW_SIGN_TREE % VEC == 0 && CW_SIGN_MAX % CW_SIGN_TREE == 0, "batches are whole groups and lanes");

struct sign_work {
    uint64_t z[4][CW_SIGN_MAX], k[4][CW_SIGN_MAX], digits[4][CW_SIGN_MAX], r[4][CW_SIGN_MAX], flip[CW_SIGN_MAX];
    sc inverse[CW_SIGN_MAX / VEC], prefix[CW_SIGN_MAX / VEC];
    fe nodes[];
};
#define SIGN_NODES(groups) ((size_t)(groups) * (2 * SIGN_WINDOWS + (SIGN_WINDOWS + 1) / 2))
#define SIGN_BYTES(groups) (sizeof(struct sign_work) + SIGN_NODES(groups) * sizeof(fe))

/* a <- a where c is all ones, b elsewhere: four words. */
CW_INLINE void sign_keep(vec_u64 a[4], vec_u64 c, const vec_u64 b[4]) {
    for (int i = 0; i < 4; i++) a[i] = b[i] ^ ((a[i] ^ b[i]) & c);
}
/* bit 0 -> all ones */
CW_INLINE vec_u64 sign_mask(vec_u64 bit) {
#if VEC == 1
    return 0 - cw_hidden(bit);
#else
    return 0 - bit;
#endif
}
CW_INLINE void sign_load(vec_u64 w[4], const uint64_t (*from)[CW_SIGN_MAX], size_t at) {
    for (int i = 0; i < 4; i++) w[i] = vec_load(&from[i][at]);
}
CW_INLINE void sign_store(uint64_t (*to)[CW_SIGN_MAX], size_t at, const vec_u64 w[4]) {
    for (int i = 0; i < 4; i++) vec_store(&to[i][at], w[i]);
}
CW_INLINE void sign_order(vec_u64 n[4]) {
    for (int i = 0; i < 4; i++) n[i] = vec_set(cw_n_words[i]);
}
/* Subtracts n from what is n or more, and below 2 n. */
CW_INLINE void sign_reduce(vec_u64 a[4]) {
    vec_u64 n[4], less[4];
    sign_order(n);
    const vec_u64 below = sign_mask(subtract_words(less, a, n));
    sign_keep(a, below, less);
}
/* r = a + b mod n; both below n. */
CW_INLINE void sign_add_mod(vec_u64 r[4], const vec_u64 a[4], const vec_u64 b[4]) {
    vec_u64 n[4], less[4];
    sign_order(n);
    const vec_u64 carry = add_words(r, a, b), borrow = subtract_words(less, r, n);
    sign_keep(r, sign_mask(borrow & ~carry & 1), less);
}
CW_INLINE void sign_words_of(vec_u64 w[4], const sc *canonical) {
#if defined(CLAIMWIRE_LIMBS_52_H) && !defined(CW_VERIFY)
    vec_limb t[4];
    vec_words(t, canonical->v);
    for (int i = 0; i < 4; i++) w[i] = (vec_u64)t[i];
#else
    uint64_t t[4][VEC], words[4];
    sc s = *canonical;
    for (int element = 0; element < VEC; element++) {
        sc_element_words(words, &s);
        sc_rotate(&s, &s, 1);
        for (int i = 0; i < 4; i++) t[i][element] = words[i];
    }
    for (int i = 0; i < 4; i++) w[i] = vec_load(t[i]);
#endif
}

/* z mod n and the nonces, LANES signatures at a time. */
static void sign_make_nonces(struct sign_work *w, const struct cw_sign_key *key, size_t positions) {
    struct { lanes digest[8], nonce[8]; uint32_t in[8][LANES], out[8][LANES]; } t;
    for (size_t at = 0; at < positions; at += VEC) {
        vec_u64 z[4];
        sign_load(z, w->z, at);
        sign_reduce(z);
        sign_store(w->z, at, z);
    }
    for (size_t at = 0; at < positions; at += LANES) {
        for (int lane = 0; lane < LANES; lane++)
            for (int i = 0; i < 8; i++) t.in[i][lane] = (uint32_t)(w->z[3 - i / 2][at + lane] >> (i & 1 ? 0 : 32));
        for (int i = 0; i < 8; i++) memcpy(&t.digest[i], t.in[i], sizeof t.digest[i]);
        sign_nonces(key, t.digest, t.nonce, 0);
        for (int i = 0; i < 8; i++) memcpy(t.out[i], &t.nonce[i], sizeof t.out[i]);
        for (int lane = 0; lane < LANES; lane++)
            for (int i = 0; i < 4; i++) w->k[i][at + lane] = (uint64_t)t.out[6 - 2 * i][lane] << 32 | t.out[7 - 2 * i][lane];
    }
    cw_wipe(&t, sizeof t);
}
/* RFC 6979 rejects a candidate that is 0 or n or more, once in 2^128. That one was rejected says nothing about the next one, so the
 * decision is public. */
static void sign_replace_rejected(struct sign_work *w, const struct cw_sign_key *key, size_t positions) {
    uint64_t is_bad[VEC];
    for (size_t at = 0; at < positions; at += VEC) {
        vec_u64 k[4], n[4], less[4];
        sign_order(n);
        sign_load(k, w->k, at);
        const vec_u64 any = k[0] | k[1] | k[2] | k[3], nonzero = (any | (0 - any)) >> 63;
        vec_store(is_bad, (subtract_words(less, k, n) & nonzero) ^ 1);
        cw_public(is_bad, sizeof is_bad);
        for (size_t element = 0; element < VEC; element++)
            for (uint32_t rejected = 1; is_bad[element] & 1; rejected++) {
                uint64_t z[4], next[4], t[4];
                for (int i = 0; i < 4; i++) z[i] = w->z[i][at + element];
                cw_sign_nonce(key, z, rejected, next);
                for (int i = 0; i < 4; i++) w->k[i][at + element] = next[i];
                is_bad[element] = !cw_words_subtract(t, next, cw_n_words) || cw_words_zero(next);
            }
    }
}
/* k -> the digits' words and flip: e = k + blind, and n - e where e is even (flip = 0). */
static void sign_make_digits(struct sign_work *w, const uint64_t blind[4], size_t positions) {
    vec_u64 b[4], n[4];
    for (int i = 0; i < 4; i++) b[i] = vec_set(blind[i]);
    sign_order(n);
    for (size_t at = 0; at < positions; at += VEC) {
        vec_u64 e[4], other[4];
        sign_load(e, w->k, at);
        sign_add_mod(e, e, b);
        subtract_words(other, n, e);
        const vec_u64 odd = e[0] & 1;
        sign_keep(e, sign_mask(odd), other);
        for (int i = 0; i < 4; i++) vec_store(&w->digits[i][at], e[i] >> 1 | (i < 3 ? e[i < 3 ? i + 1 : 3] << 63 : vec_set((uint64_t)1 << 63)));
        vec_store(&w->flip[at], odd ^ 1);
    }
}
static void sign_point_tree(struct sign_tree *t, struct sign_work *w, const uint64_t *table, size_t first, size_t groups) {
    fe *x = w->nodes, *y = x + SIGN_WINDOWS * groups;
    *t = (struct sign_tree){.groups = groups, .x = x, .y = y, .prefix = y + SIGN_WINDOWS * groups, .table = table, .digits = &w->digits[0][first]};
    sign_add_windows(t);
}
/* r = x(k G) mod n */
static void sign_make_r(struct sign_work *w, const struct cw_sign_key *key, const uint64_t *table, size_t positions) {
    sign_make_digits(w, key->blind, positions);
    for (size_t first = 0; first < positions; first += CW_SIGN_TREE) {
        struct sign_tree t;
        const size_t left = positions - first;
        sign_point_tree(&t, w, table, first, (left < CW_SIGN_TREE ? left : CW_SIGN_TREE) / VEC);
        sign_add_blind(&t, key->blind_x, key->blind_y, w->flip + first, 0);
        for (size_t g = 0; g < t.groups; g++) {
            vec_u64 r[4];
            fe_to_words(&w->r[0][first + g * VEC], CW_SIGN_MAX, &t.x[g]);
            sign_load(r, w->r, first + g * VEC);
            sign_reduce(r);
            sign_store(w->r, first + g * VEC, r);
        }
    }
}
/* s into w->k, low. */
static void sign_make_s(struct sign_work *w, const struct cw_sign_key *key, size_t positions) {
    vec_u64 n[4], half[4];
    sc d;
    sign_order(n);
    for (int i = 0; i < 4; i++) half[i] = vec_set(cw_half_n_words[i]);
    for (size_t g = 0; g < positions / VEC; g++) sc_from_words(&w->inverse[g], &w->k[0][g * VEC], CW_SIGN_MAX);
    invert_scalars(w->inverse, w->prefix, (int)(positions / VEC), cw_r2, cw_fermat_n);
    sc_broadcast(&d, key->d_montgomery);
    for (size_t g = 0; g < positions / VEC; g++) {
        vec_u64 s[4], z[4], other[4];
        sc t;
        sc_from_words(&t, &w->r[0][g * VEC], CW_SIGN_MAX);
        sc_mul(&t, &t, &d);
        sc_normal(&t, &t);
        sign_words_of(s, &t);
        sign_load(z, w->z, g * VEC);
        sign_add_mod(s, s, z);
        sign_store(w->k, g * VEC, s);
        sc_from_words(&t, &w->k[0][g * VEC], CW_SIGN_MAX);
        sc_mul(&t, &t, &w->inverse[g]);
        sc_normal(&t, &t);
        sign_words_of(s, &t);
        const vec_u64 high = sign_mask(subtract_words(other, half, s) & 1);
        subtract_words(other, n, s);
        sign_keep(other, high, s);
        sign_store(w->k, g * VEC, other);
    }
    cw_wipe(&d, sizeof d);
}
static size_t sign_positions(uint32_t count) {
    const size_t whole = LANES > VEC ? LANES : VEC;
    return (count + whole - 1) / whole * whole;
}
static void KERNEL(sign)(const struct cw_sign_key *key, const uint64_t *table, uint32_t count, const uint8_t *digests, uint8_t *signatures, void *scratch) {
    struct sign_work *w = scratch;
    const size_t positions = sign_positions(count), groups = (positions < CW_SIGN_TREE ? positions : CW_SIGN_TREE) / VEC;
    for (size_t at = 0; at < positions; at++) {
        uint64_t z[4];
        cw_words_from_be(z, digests + 32 * (at < count ? at : 0));
        for (int i = 0; i < 4; i++) w->z[i][at] = z[i];
    }
    sign_make_nonces(w, key, positions);
    sign_replace_rejected(w, key, positions);
    sign_make_r(w, key, table, positions);
    sign_make_s(w, key, positions);
    for (size_t at = 0; at < count; at++) {
        uint64_t r[4], s[4];
        for (int i = 0; i < 4; i++) r[i] = w->r[i][at], s[i] = w->k[i][at];
        cw_words_to_be(signatures + 64 * at, r);
        cw_words_to_be(signatures + 64 * at + 32, s);
    }
    cw_wipe(w, SIGN_BYTES(groups));
}
/* (x, y) = k G for one secret scalar, 0 < k < n. */
static void KERNEL(sign_multiply)(const struct cw_sign_key *key, const uint64_t *table, const uint64_t k[4], uint64_t x[4], uint64_t y[4], void *scratch) {
    struct sign_work *w = scratch;
    struct sign_tree t;
    for (int at = 0; at < VEC; at++)
        for (int i = 0; i < 4; i++) w->k[i][at] = k[i];
    sign_make_digits(w, key->blind, VEC);
    sign_point_tree(&t, w, table, 0, 1);
    sign_add_blind(&t, key->blind_x, key->blind_y, w->flip, 1);
    fe_element_words(x, &t.x[0]);
    fe_element_words(y, &t.y[0]);
    cw_wipe(w, SIGN_BYTES(1));
}

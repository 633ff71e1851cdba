/* THROW-AWAY signatures, one claim in each element. throwaway_sign.h says which keys may be used. */
#include "kernel.h"
#include "throwaway_sign.h"

/* r = a + b mod 2^256, four words in every element; returns the carries. */
CW_INLINE vec_u64 add_words(vec_u64 r[4], const vec_u64 a[4], const vec_u64 b[4]) {
    vec_u64 carry = vec_set(0);
    for (int i = 0; i < 4; i++) {
        const vec_u64 both = a[i] & b[i], either = a[i] | b[i];
        r[i] = a[i] + b[i] + carry;
        carry = (both | (either & ~r[i])) >> 63;
    }
    return carry;
}
/* r = a - b = ~(~a + b); returns the borrows. */
CW_INLINE vec_u64 subtract_words(vec_u64 r[4], const vec_u64 a[4], const vec_u64 b[4]) {
    vec_u64 t[4];
    for (int i = 0; i < 4; i++) t[i] = ~a[i];
    const vec_u64 borrow = add_words(r, t, b);
    for (int i = 0; i < 4; i++) r[i] = ~r[i];
    return borrow;
}
static void KERNEL(throwaway_sign)(int count, struct cw_job *job, const struct cw_throwaway_key *const *key) {
    struct { uint64_t z[4][VEC], rd[4][VEC], k_inverse[4][VEC]; } w;
    vec_u64 a[4], b[4], n[4];
    for (int element = 0; element < VEC; element++) {
        const int at = element < count ? element : 0;
        for (int i = 0; i < 4; i++) w.z[i][element] = job[at].z[i], w.rd[i][element] = key[at]->rd[i], w.k_inverse[i][element] = key[at]->k_inverse[i];
    }
    for (int i = 0; i < 4; i++) a[i] = vec_load(w.z[i]), b[i] = vec_load(w.rd[i]), n[i] = vec_set(cw_n_words[i]);
    /* Where z + r d reaches 2^256, that bit is dropped and n subtracted: the result is below z, as r d is below n. */
    const vec_u64 over = 0 - add_words(a, a, b);
    for (int i = 0; i < 4; i++) b[i] = n[i] & over;
    subtract_words(a, a, b);
    for (int i = 0; i < 4; i++) vec_store(w.z[i], a[i]);
    sc s, k;
    sc_from_words(&s, w.z[0], VEC);
    sc_from_words(&k, w.k_inverse[0], VEC);
    sc_mul(&s, &s, &k);
    sc_normal(&s, &s);
    for (int element = 0; element < VEC; element++) {
        uint64_t words[4];
        sc_element_words(words, &s);
        sc_rotate(&s, &s, 1);
        for (int i = 0; i < 4; i++) w.z[i][element] = words[i];
    }
    for (int i = 0; i < 4; i++) a[i] = vec_load(w.z[i]), b[i] = vec_set(cw_half_n_words[i]);
    const vec_u64 high = 0 - subtract_words(b, b, a);
    subtract_words(b, n, a);
    for (int i = 0; i < 4; i++) vec_store(w.z[i], a[i] ^ ((a[i] ^ b[i]) & high));
    for (int element = 0; element < count; element++)
        for (int i = 0; i < 4; i++) job[element].r[i] = key[element]->r[i], job[element].s[i] = w.z[i][element];
}

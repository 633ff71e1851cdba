/* Words, bytes and inlining used by every file of the kernel. Nothing here knows about curves. */
#ifndef CLAIMWIRE_COMMON_H
#define CLAIMWIRE_COMMON_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef CW_INLINE /* the sanitized build defines it without forced inlining */
#define CW_INLINE static inline __attribute__((always_inline, unused))
#endif
/* What an element's number carries for fe_verify.h. */
#ifdef CW_VERIFY
enum { CW_UNSET, CW_PLAIN, CW_CANONICAL, CW_LOOSE };
#define VEC_CHECKED int magnitude, form;
#else
#define VEC_CHECKED
#endif
#define CW_MASK52 0xFFFFFFFFFFFFFULL
#define CW_MASK48 0xFFFFFFFFFFFFULL
typedef unsigned __int128 cw_u128;

CW_INLINE uint64_t cw_read_be64(const uint8_t *bytes) {
    uint64_t v;
    memcpy(&v, bytes, 8);
    return __builtin_bswap64(v);
}
CW_INLINE void cw_write_be64(uint8_t *bytes, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(bytes, &v, 8);
}
/* 32 big-endian bytes <-> four words, least significant first. */
CW_INLINE void cw_words_from_be(uint64_t w[4], const uint8_t bytes[32]) {
    for (int i = 0; i < 4; i++) w[i] = cw_read_be64(bytes + 24 - 8 * i);
}
CW_INLINE void cw_words_to_be(uint8_t bytes[32], const uint64_t w[4]) {
    for (int i = 0; i < 4; i++) cw_write_be64(bytes + 24 - 8 * i, w[i]);
}
static const uint64_t cw_zero_words[4] = {0, 0, 0, 0}, cw_one_words[4] = {1, 0, 0, 0};
CW_INLINE int cw_words_zero(const uint64_t w[4]) { return (w[0] | w[1] | w[2] | w[3]) == 0; }
CW_INLINE int cw_words_less(const uint64_t a[4], const uint64_t b[4]) {
    for (int i = 3; i > 0; i--)
        if (a[i] != b[i]) return a[i] < b[i];
    return a[0] < b[0];
}
/* r = a - b mod 2^256; returns the borrow. */
CW_INLINE int cw_words_subtract(uint64_t r[4], const uint64_t a[4], const uint64_t b[4]) {
    cw_u128 borrow = 0;
    for (int i = 0; i < 4; i++) {
        cw_u128 d = (cw_u128)a[i] - b[i] - borrow;
        r[i] = (uint64_t)d;
        borrow = (d >> 64) & 1;
    }
    return (int)borrow;
}
/* Four words <-> five limbs of 52 bits. */
CW_INLINE void cw_limbs_from_words(uint64_t l[5], const uint64_t w[4]) {
    l[0] = w[0] & CW_MASK52;
    l[1] = (w[0] >> 52 | w[1] << 12) & CW_MASK52;
    l[2] = (w[1] >> 40 | w[2] << 24) & CW_MASK52;
    l[3] = (w[2] >> 28 | w[3] << 36) & CW_MASK52;
    l[4] = w[3] >> 16;
}
CW_INLINE void cw_words_from_limbs(uint64_t w[4], const uint64_t l[5]) {
    w[0] = l[0] | l[1] << 52;
    w[1] = l[1] >> 12 | l[2] << 40;
    w[2] = l[2] >> 24 | l[3] << 28;
    w[3] = l[3] >> 36 | l[4] << 16;
}
#endif

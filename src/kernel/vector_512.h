/* Operations on vectors of eight words (AVX-512 F) for limbs_52.h, and those of the contract that only move words. */
#ifndef CLAIMWIRE_VECTOR_512_H
#define CLAIMWIRE_VECTOR_512_H
#include <immintrin.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 8
#define VEC_SIGN_WIDTH 8  /* of a window of the signer, and its lanes for SHA-256 */
#define VEC_HASH_LANES 16

typedef uint64_t vec_u64 __attribute__((vector_size(64)));
typedef uint8_t vec_mask;
typedef __m512i vec_limb;
typedef __mmask8 vec_choices;

#define SET(x) _mm512_set1_epi64((long long)(x))
#define ADD _mm512_add_epi64
#define SUB _mm512_sub_epi64
#define AND _mm512_and_si512
#define OR _mm512_or_si512
#define XOR _mm512_xor_si512
#define SHR _mm512_srli_epi64
#define SHL _mm512_slli_epi64
#define MUL32 _mm512_mul_epu32

CW_INLINE vec_u64 vec_load(const void *p) { return (vec_u64)_mm512_loadu_si512(p); }
CW_INLINE void vec_store(void *p, vec_u64 v) { _mm512_storeu_si512(p, (__m512i)v); }
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64)SET(x); }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) { return _mm512_test_epi64_mask((__m512i)v, SET(1)); }
CW_INLINE vec_choices vec_spread(vec_mask m) { return m; }
CW_INLINE vec_mask vec_collect(vec_choices c) { return c; }
CW_INLINE __m512i vec_choice(vec_choices c, __m512i a, __m512i b) { return _mm512_mask_mov_epi64(b, c, a); }
CW_INLINE vec_choices vec_equal(__m512i a, __m512i b) { return _mm512_cmpeq_epi64_mask(a, b); }
CW_INLINE vec_choices vec_greater(__m512i a, __m512i b) { return _mm512_cmpgt_epu64_mask(a, b); }
CW_INLINE uint64_t vec_first(__m512i v) { return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(v)); }
CW_INLINE __m512i vec_rotation(int k) { return AND(ADD(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), SET(k)), SET(7)); }
CW_INLINE __m512i vec_rotated(__m512i v, __m512i rotation) { return _mm512_permutexvar_epi64(rotation, v); }
CW_INLINE void vec_minus(__m512i r[5], const __m512i a[5], vec_choices c, __m512i twice) {
    for (int i = 0; i < 5; i++) r[i] = _mm512_mask_sub_epi64(a[i], c, twice, a[i]);
}

#define VEC_HAVE_TERNARY
CW_INLINE vec_u64 vec_choose(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0xCA); }
CW_INLINE vec_u64 vec_majority(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0xE8); }
CW_INLINE vec_u64 vec_xor3(vec_u64 x, vec_u64 y, vec_u64 z) { return (vec_u64)_mm512_ternarylogic_epi64((__m512i)x, (__m512i)y, (__m512i)z, 0x96); }
#define vec_rotate_right(v, k) ((vec_u64)_mm512_ror_epi64((__m512i)(v), k))

#ifndef CW_SHIM
/* For the signer: w[i] = row `index` of word i, of `rows` rows that lie side by side. All of them are loaded; what is selected by an index,
 * among 16 at a time, are registers, which takes the same time for every index. */
#define VEC_SIGN_SELECT(w, window, index) vec_select_rows(w, window, SIGN_ENTRIES, index)
CW_INLINE void vec_select_rows(vec_u64 w[8], const uint64_t *window, int rows, vec_u64 index) {
    const __m512i at = (__m512i)index;
    __mmask8 bit[4];
    for (int i = 0; i < 4; i++) bit[i] = _mm512_test_epi64_mask(at, SET(16 << i));
    for (int i = 0; i < 8; i++, window += rows) {
        __m512i c[16];
        for (int j = 0; j < rows / 16; j++)
            c[j] = _mm512_permutex2var_epi64(_mm512_loadu_si512(window + 16 * j), at, _mm512_loadu_si512(window + 16 * j + 8));
        for (int step = 0, n = rows / 16; n > 1; n /= 2, step++)
            for (int j = 0; j < n / 2; j++) c[j] = _mm512_mask_blend_epi64(bit[step], c[2 * j], c[2 * j + 1]);
        w[i] = (vec_u64)c[0];
    }
}
#endif

/* Half a row from each of eight: four pairs of 32 bytes, then an 8 x 4 transposition in eight shuffles. */
CW_INLINE __m512i vec_two_halves(const uint8_t *low, const uint8_t *high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_load_si256((const __m256i *)low)), _mm256_load_si256((const __m256i *)high), 1);
}
CW_INLINE void vec_load_words(__m512i w[4], const uint8_t *const *row, size_t half) {
    const __m512i a = vec_two_halves(row[0] + half, row[2] + half), b = vec_two_halves(row[1] + half, row[3] + half);
    const __m512i c = vec_two_halves(row[4] + half, row[6] + half), d = vec_two_halves(row[5] + half, row[7] + half);
    const __m512i even0 = _mm512_unpacklo_epi64(a, b), odd0 = _mm512_unpackhi_epi64(a, b);
    const __m512i even1 = _mm512_unpacklo_epi64(c, d), odd1 = _mm512_unpackhi_epi64(c, d);
    w[0] = _mm512_shuffle_i64x2(even0, even1, 0x88), w[1] = _mm512_shuffle_i64x2(odd0, odd1, 0x88);
    w[2] = _mm512_shuffle_i64x2(even0, even1, 0xDD), w[3] = _mm512_shuffle_i64x2(odd0, odd1, 0xDD);
}
CW_INLINE void vec_store_words(uint8_t *const *row, const __m512i w[8]) {
    __m512i t[8];
    for (int i = 0; i < 4; i++) { /* t[i]: even rows, t[4 + i]: odd rows, words 2i and 2i + 1 in 128-bit parts */
        t[i] = _mm512_unpacklo_epi64(w[2 * i], w[2 * i + 1]);
        t[4 + i] = _mm512_unpackhi_epi64(w[2 * i], w[2 * i + 1]);
    }
    for (int odd = 0; odd < 2; odd++) {
        const __m512i *q = t + 4 * odd;
        const __m512i a = _mm512_shuffle_i64x2(q[0], q[1], 0x88), b = _mm512_shuffle_i64x2(q[2], q[3], 0x88);
        const __m512i c = _mm512_shuffle_i64x2(q[0], q[1], 0xDD), d = _mm512_shuffle_i64x2(q[2], q[3], 0xDD);
        _mm512_store_si512(row[0 + odd], _mm512_shuffle_i64x2(a, b, 0x88));
        _mm512_store_si512(row[4 + odd], _mm512_shuffle_i64x2(a, b, 0xDD));
        _mm512_store_si512(row[2 + odd], _mm512_shuffle_i64x2(c, d, 0x88));
        _mm512_store_si512(row[6 + odd], _mm512_shuffle_i64x2(c, d, 0xDD));
    }
}
#endif

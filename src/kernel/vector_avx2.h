/* The vector contract (fe_vector.h) with four elements: AVX2 and FMA. Products are in vector_double.h, the rest in limbs_52.h. */
#ifndef CLAIMWIRE_VECTOR_AVX2_H
#define CLAIMWIRE_VECTOR_AVX2_H
#include <immintrin.h>
#include "common.h"
#include "constants_generated.h"
#define VEC 4
#define VEC_SIGN_WIDTH 6 /* of a window of the signer, and its lanes for SHA-256 */
#define VEC_HASH_LANES 8

typedef uint64_t vec_u64 __attribute__((vector_size(32)));
typedef uint8_t vec_mask;
typedef __m256i vec_limb;
typedef __m256d vec_double;
typedef __m256i vec_choices; /* all ones where chosen */

#define SET(x) _mm256_set1_epi64x((long long)(x))
#define ADD _mm256_add_epi64
#define SUB _mm256_sub_epi64
#define AND _mm256_and_si256
#define OR _mm256_or_si256
#define XOR _mm256_xor_si256
#define SHR _mm256_srli_epi64
#define SHL _mm256_slli_epi64
#define MUL32 _mm256_mul_epu32
#define ALL(x) {x, x, x, x}
#define FMADD _mm256_fmadd_pd
#define FSUB _mm256_sub_pd
#define FSET _mm256_set1_pd
#define BITS _mm256_castpd_si256
#define FLOATS _mm256_castsi256_pd
#define AND_OR(a, b, c) OR(AND(a, b), c)
#define VEC_REGISTER "x"

CW_INLINE vec_u64 vec_load(const void *p) { return (vec_u64)_mm256_loadu_si256(p); }
CW_INLINE void vec_store(void *p, vec_u64 v) { _mm256_storeu_si256(p, (__m256i)v); }
CW_INLINE vec_u64 vec_set(uint64_t x) { return (vec_u64)SET(x); }
CW_INLINE vec_choices vec_equal(__m256i a, __m256i b) { return _mm256_cmpeq_epi64(a, b); }
CW_INLINE vec_choices vec_greater(__m256i a, __m256i b) { return _mm256_cmpgt_epi64(a, b); }
CW_INLINE vec_choices vec_spread(vec_mask m) {
    const __m256i bits = _mm256_setr_epi64x(1, 2, 4, 8);
    return vec_equal(AND(SET(m), bits), bits);
}
CW_INLINE vec_mask vec_collect(vec_choices c) { return (vec_mask)_mm256_movemask_pd(_mm256_castsi256_pd(c)); }
CW_INLINE vec_mask vec_bit_mask(vec_u64 v) { return vec_collect(SHL((__m256i)v, 63)); }
CW_INLINE __m256i vec_choice(vec_choices c, __m256i a, __m256i b) { return _mm256_blendv_epi8(b, a, c); }
CW_INLINE uint64_t vec_first(__m256i v) { return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(v)); }
/* As pairs of 32-bit elements. */
CW_INLINE __m256i vec_rotation(int k) {
    const __m256i from = AND(ADD(_mm256_setr_epi64x(0, 1, 2, 3), SET(k)), SET(3));
    return ADD(OR(SHL(from, 1), SHL(from, 33)), SET(1ULL << 32));
}
CW_INLINE __m256i vec_rotated(__m256i v, __m256i rotation) { return _mm256_permutevar8x32_epi32(v, rotation); }
/* twice - a = (all bits of a turned over) + twice + 1 */
CW_INLINE void vec_minus(__m256i r[5], const __m256i a[5], vec_choices c, __m256i twice) {
    const __m256i both = SUB(AND(c, twice), c);
    for (int i = 0; i < 5; i++) r[i] = ADD(XOR(a[i], c), both);
}
/* For the signer: w[i] = row `index` of word i, of `rows` rows that lie side by side. All of them are loaded; what is selected by an index,
 * among four at a time, are parts of a register, which takes the same time for every index. */
#define VEC_SIGN_SELECT(w, window, index) vec_select_rows(w, window, SIGN_ENTRIES, index)
CW_INLINE void vec_select_rows(vec_u64 w[8], const uint64_t *window, int rows, vec_u64 index) {
    const __m256i low = AND((__m256i)index, SET(3)), four = SHR((__m256i)index, 2);
    const __m256i at = ADD(OR(SHL(low, 1), SHL(low, 33)), SET(1ULL << 32)); /* as pairs of 32-bit elements */
    __m256i mask[16], sum[8];
    for (int j = 0; j < rows / 4; j++) mask[j] = vec_equal(four, SET(j));
    for (int i = 0; i < 8; i++) {
        sum[i] = SET(0);
        for (int j = 0; j < rows / 4; j++)
            sum[i] = OR(sum[i], AND(mask[j], _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)(window + i * rows + 4 * j)), at)));
        w[i] = (vec_u64)sum[i];
    }
}
/* 16 bytes from each of two rows. */
CW_INLINE __m256i vec_two_quarters(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_load_si128((const __m128i *)low)), _mm_load_si128((const __m128i *)high), 1);
}
/* Half a row from each of four, transposed: loads that insert, and four shuffles. */
CW_INLINE void vec_load_words(__m256i w[4], const uint8_t *const *row, size_t half) {
    const __m256i a = vec_two_quarters(row[0] + half, row[2] + half), b = vec_two_quarters(row[1] + half, row[3] + half);
    const __m256i c = vec_two_quarters(row[0] + half + 16, row[2] + half + 16), d = vec_two_quarters(row[1] + half + 16, row[3] + half + 16);
    w[0] = _mm256_unpacklo_epi64(a, b), w[1] = _mm256_unpackhi_epi64(a, b), w[2] = _mm256_unpacklo_epi64(c, d), w[3] = _mm256_unpackhi_epi64(c, d);
}
CW_INLINE void vec_store_words(uint8_t *const *row, const __m256i w[8]) {
    for (size_t half = 0; half < 64; half += 32, w += 4) {
        const __m256i a = _mm256_unpacklo_epi64(w[0], w[1]), b = _mm256_unpackhi_epi64(w[0], w[1]); /* rows 0, 2 and 1, 3 */
        const __m256i c = _mm256_unpacklo_epi64(w[2], w[3]), d = _mm256_unpackhi_epi64(w[2], w[3]);
        _mm256_store_si256((__m256i *)(row[0] + half), _mm256_permute2x128_si256(a, c, 0x20));
        _mm256_store_si256((__m256i *)(row[1] + half), _mm256_permute2x128_si256(b, d, 0x20));
        _mm256_store_si256((__m256i *)(row[2] + half), _mm256_permute2x128_si256(a, c, 0x31));
        _mm256_store_si256((__m256i *)(row[3] + half), _mm256_permute2x128_si256(b, d, 0x31));
    }
}
#include "vector_double.h"
#endif

/* TEST ONLY: the AVX-512 intrinsics that the kernel uses, in portable C, so that the AVX-512 kernels' tests run on any x86 CPU
 * (make check-shim). It stands in for the compiler's <immintrin.h>, which must not be on the search path before it. Each
 * operation is what Intel's guide says, element by element; fma() of the C library is exact. */
#ifndef CLAIMWIRE_SHIM_IMMINTRIN_H
#define CLAIMWIRE_SHIM_IMMINTRIN_H
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef long long __m512i __attribute__((vector_size(64), may_alias));
typedef double __m512d __attribute__((vector_size(64), may_alias));
typedef long long __m256i __attribute__((vector_size(32), may_alias));
typedef long long __m128i __attribute__((vector_size(16), may_alias));
typedef uint8_t __mmask8;
typedef unsigned long long shim_u64 __attribute__((vector_size(64)));

#define SHIM static inline __attribute__((unused))
#define EACH for (int i = 0; i < 8; i++)
SHIM __m512i _mm512_set1_epi64(long long x) { return (__m512i){x, x, x, x, x, x, x, x}; }
SHIM __m512i _mm512_setr_epi64(long long a, long long b, long long c, long long d, long long e, long long f, long long g, long long h) {
    return (__m512i){a, b, c, d, e, f, g, h};
}
SHIM __m512d _mm512_set1_pd(double x) { return (__m512d){x, x, x, x, x, x, x, x}; }
SHIM __m512i _mm512_setzero_si512(void) { return _mm512_set1_epi64(0); }
SHIM __m512i _mm512_add_epi64(__m512i a, __m512i b) { return (__m512i)((shim_u64)a + (shim_u64)b); }
SHIM __m512i _mm512_sub_epi64(__m512i a, __m512i b) { return (__m512i)((shim_u64)a - (shim_u64)b); }
SHIM __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
SHIM __m512i _mm512_or_si512(__m512i a, __m512i b) { return a | b; }
SHIM __m512i _mm512_xor_si512(__m512i a, __m512i b) { return a ^ b; }
SHIM __m512i _mm512_srli_epi64(__m512i a, unsigned n) { return (__m512i)((shim_u64)a >> n); }
SHIM __m512i _mm512_slli_epi64(__m512i a, unsigned n) { return (__m512i)((shim_u64)a << n); }
SHIM __m512i _mm512_ror_epi64(__m512i a, int n) { return (__m512i)((shim_u64)a >> n | (shim_u64)a << (64 - n)); }
SHIM __m512i _mm512_mul_epu32(__m512i a, __m512i b) { return (__m512i)(((shim_u64)a & 0xFFFFFFFF) * ((shim_u64)b & 0xFFFFFFFF)); }
SHIM __m512i _mm512_ternarylogic_epi64(__m512i a, __m512i b, __m512i c, int table) {
    __m512i r = _mm512_setzero_si512();
    for (int k = 0; k < 8; k++)
        if (table >> k & 1) r |= (k & 4 ? a : ~a) & (k & 2 ? b : ~b) & (k & 1 ? c : ~c);
    return r;
}
SHIM __m512i _mm512_loadu_si512(const void *p) {
    __m512i v;
    memcpy(&v, p, 64);
    return v;
}
SHIM void _mm512_storeu_si512(void *p, __m512i v) { memcpy(p, &v, 64); }
SHIM void _mm512_store_si512(void *p, __m512i v) { *(__m512i *)p = v; }
SHIM __m256i _mm256_load_si256(const __m256i *p) { return *p; }
SHIM __mmask8 _mm512_test_epi64_mask(__m512i a, __m512i b) {
    __mmask8 m = 0;
    EACH m |= (__mmask8)(((a[i] & b[i]) != 0) << i);
    return m;
}
SHIM __mmask8 _mm512_cmpeq_epi64_mask(__m512i a, __m512i b) {
    __mmask8 m = 0;
    EACH m |= (__mmask8)((a[i] == b[i]) << i);
    return m;
}
SHIM __mmask8 _mm512_cmpgt_epu64_mask(__m512i a, __m512i b) {
    __mmask8 m = 0;
    EACH m |= (__mmask8)((((shim_u64)a)[i] > ((shim_u64)b)[i]) << i);
    return m;
}
SHIM __m512i _mm512_mask_mov_epi64(__m512i source, __mmask8 m, __m512i a) {
    EACH if (m >> i & 1) source[i] = a[i];
    return source;
}
SHIM __m512i _mm512_mask_sub_epi64(__m512i source, __mmask8 m, __m512i a, __m512i b) { return _mm512_mask_mov_epi64(source, m, _mm512_sub_epi64(a, b)); }
SHIM __m512i _mm512_permutexvar_epi64(__m512i at, __m512i a) {
    __m512i r;
    EACH r[i] = a[at[i] & 7];
    return r;
}
SHIM __m128i _mm512_castsi512_si128(__m512i a) { return (__m128i){a[0], a[1]}; }
SHIM long long _mm_cvtsi128_si64(__m128i a) { return a[0]; }
SHIM __m512i _mm512_castsi256_si512(__m256i a) { return (__m512i){a[0], a[1], a[2], a[3], 0, 0, 0, 0}; }
SHIM __m512i _mm512_inserti64x4(__m512i a, __m256i b, int high) {
    for (int i = 0; i < 4; i++) a[4 * high + i] = b[i];
    return a;
}
SHIM __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b) { return (__m512i){a[0], b[0], a[2], b[2], a[4], b[4], a[6], b[6]}; }
SHIM __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b) { return (__m512i){a[1], b[1], a[3], b[3], a[5], b[5], a[7], b[7]}; }
SHIM __m512i _mm512_shuffle_i64x2(__m512i a, __m512i b, int table) {
    __m512i r;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 2; i++) r[2 * k + i] = (k < 2 ? a : b)[2 * (table >> 2 * k & 3) + i];
    return r;
}
SHIM __m512d _mm512_fmadd_pd(__m512d a, __m512d b, __m512d c) {
    EACH c[i] = fma(a[i], b[i], c[i]);
    return c;
}
SHIM __m512d _mm512_sub_pd(__m512d a, __m512d b) { return a - b; }
SHIM __m512i _mm512_castpd_si512(__m512d a) { return (__m512i)a; }
SHIM __m512d _mm512_castsi512_pd(__m512i a) { return (__m512d)a; }
SHIM unsigned __int128 shim_product52(long long a, long long b) {
    return (unsigned __int128)((uint64_t)a & 0xFFFFFFFFFFFFFULL) * ((uint64_t)b & 0xFFFFFFFFFFFFFULL);
}
SHIM __m512i _mm512_madd52lo_epu64(__m512i c, __m512i a, __m512i b) {
    EACH c[i] = (long long)((uint64_t)c[i] + ((uint64_t)shim_product52(a[i], b[i]) & 0xFFFFFFFFFFFFFULL));
    return c;
}
SHIM __m512i _mm512_madd52hi_epu64(__m512i c, __m512i a, __m512i b) {
    EACH c[i] = (long long)((uint64_t)c[i] + (uint64_t)(shim_product52(a[i], b[i]) >> 52));
    return c;
}
#undef EACH
#endif

/* SHA-256 (FIPS 180-4) of many padded messages, see merkle.h: plain C, x86's instructions for it, sixteen or eight messages in
 * the elements of a vector, and ARM's instructions. The constants are the upper halves of SHA-512's. */
#include "merkle.h"
#include <string.h>
#include "hash_constants.h"
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define K(t) ((uint32_t)(sha512_k[t] >> 32))
#define START(i) ((uint32_t)(sha512_start[i] >> 32))
static inline uint32_t load_be(const uint8_t *bytes) {
    uint32_t v;
    memcpy(&v, bytes, 4);
    return __builtin_bswap32(v);
}

/* The rounds of one block for words of any width; `w` holds the block. ROTATE is that of the width. */
#define ROUNDS(WORD, ROTATE, CHOOSE, MAJORITY, w, s) \
    for (int t = 0; t < 64; t += 16) \
        for (int i = 0; i < 16; i++) { \
            if (t) { \
                const WORD a = w[(i + 1) & 15], b = w[(i + 14) & 15]; \
                w[i] += (ROTATE(a, 7) ^ ROTATE(a, 18) ^ a >> 3) + w[(i + 9) & 15] + (ROTATE(b, 17) ^ ROTATE(b, 19) ^ b >> 10); \
            } \
            const WORD t1 = s[7] + (ROTATE(s[4], 6) ^ ROTATE(s[4], 11) ^ ROTATE(s[4], 25)) + CHOOSE(s[4], s[5], s[6]) + K(t + i) + w[i]; \
            const WORD t2 = (ROTATE(s[0], 2) ^ ROTATE(s[0], 13) ^ ROTATE(s[0], 22)) + MAJORITY(s[0], s[1], s[2]); \
            s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1; \
            s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2; \
        }
#define ROTATE_PLAIN(v, k) ((v) >> (k) | (v) << (32 - (k)))
#define CHOOSE_PLAIN(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define MAJORITY_PLAIN(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))

void cw_sha256_plain(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests) {
    for (; count; count--, digests += CW_HASH_BYTES) {
        uint32_t state[8], w[16], s[8];
        for (int i = 0; i < 8; i++) state[i] = START(i);
        for (size_t block = 0; block < blocks; block++, messages += CW_BLOCK_BYTES) {
            for (int i = 0; i < 16; i++) w[i] = load_be(messages + 4 * i);
            memcpy(s, state, sizeof s);
            ROUNDS(uint32_t, ROTATE_PLAIN, CHOOSE_PLAIN, MAJORITY_PLAIN, w, s)
            for (int i = 0; i < 8; i++) state[i] += s[i];
        }
        for (int i = 0; i < 8; i++) {
            const uint32_t word = __builtin_bswap32(state[i]);
            memcpy(digests + 4 * i, &word, 4);
        }
    }
}

#if defined(__x86_64__)
/* Four rounds of each of two messages: the instruction takes longer than until the next can begin, so two at a time are faster than one. */
struct ni { __m128i abef, cdgh, w[4]; };
#define NI __attribute__((target("sha,sse4.1,ssse3"))) static inline __attribute__((always_inline))
NI void ni_load(struct ni *m, const uint8_t *block) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    for (int i = 0; i < 4; i++) m->w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(block + 16 * i)), swap);
}
NI void ni_rounds(struct ni *m, int t) {
    const int i = t & 3;
    if (t >= 4) {
        __m128i *w = m->w;
        const __m128i middle = _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4);
        w[i] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w[i], w[(i + 1) & 3]), middle), w[(i + 3) & 3]);
    }
    const __m128i k = _mm_set_epi32((int)K(4 * t + 3), (int)K(4 * t + 2), (int)K(4 * t + 1), (int)K(4 * t));
    __m128i input = _mm_add_epi32(m->w[i], k);
    m->cdgh = _mm_sha256rnds2_epu32(m->cdgh, m->abef, input);
    input = _mm_shuffle_epi32(input, 0x0e);
    m->abef = _mm_sha256rnds2_epu32(m->abef, m->cdgh, input);
}
NI void ni_store(const struct ni *m, uint8_t *digest) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    const __m128i feba = _mm_shuffle_epi32(m->abef, 0x1b), dchg = _mm_shuffle_epi32(m->cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)digest, _mm_shuffle_epi8(_mm_blend_epi16(feba, dchg, 0xf0), swap));
    _mm_storeu_si128((__m128i *)(digest + 16), _mm_shuffle_epi8(_mm_alignr_epi8(dchg, feba, 8), swap));
}
#define NI_START(m) do { \
    (m).abef = _mm_set_epi32((int)START(0), (int)START(1), (int)START(4), (int)START(5)); \
    (m).cdgh = _mm_set_epi32((int)START(2), (int)START(3), (int)START(6), (int)START(7)); } while (0)
__attribute__((target("sha,sse4.1,ssse3"))) void cw_sha256_ni(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests) {
    const size_t bytes = blocks * CW_BLOCK_BYTES;
    for (; count; messages += 2 * bytes, digests += 2 * CW_HASH_BYTES, count -= 2) {
        struct ni m[2];
        const int two = count > 1;
        NI_START(m[0]);
        NI_START(m[1]);
        for (size_t block = 0; block < blocks; block++) {
            const __m128i abef[2] = {m[0].abef, m[1].abef}, cdgh[2] = {m[0].cdgh, m[1].cdgh};
            ni_load(&m[0], messages + block * CW_BLOCK_BYTES);
            if (two) ni_load(&m[1], messages + bytes + block * CW_BLOCK_BYTES);
            if (two)
                _Pragma("GCC unroll 16") for (int t = 0; t < 16; t++) ni_rounds(&m[0], t), ni_rounds(&m[1], t);
            else
                _Pragma("GCC unroll 16") for (int t = 0; t < 16; t++) ni_rounds(&m[0], t);
            for (int i = 0; i < 2; i++) m[i].abef = _mm_add_epi32(m[i].abef, abef[i]), m[i].cdgh = _mm_add_epi32(m[i].cdgh, cdgh[i]);
        }
        ni_store(&m[0], digests);
        if (!two) return;
        ni_store(&m[1], digests + CW_HASH_BYTES);
    }
}

typedef uint32_t vec16 __attribute__((vector_size(64)));
typedef uint32_t vec8 __attribute__((vector_size(32)));
#define ROTATE_512(v, k) ((vec16)_mm512_ror_epi32((__m512i)(v), k))
#define CHOOSE_512(x, y, z) ((vec16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), 0xca))
#define MAJORITY_512(x, y, z) ((vec16)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), 0xe8))
/* `count` whole vectors of VEC messages. */
#define WIDE(NAME, TARGET, VECTOR, VEC, ROTATE, CHOOSE, MAJORITY) \
__attribute__((target(TARGET))) void NAME(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests) { \
    const size_t bytes = blocks * CW_BLOCK_BYTES; \
    for (; count >= VEC; messages += VEC * bytes, digests += VEC * CW_HASH_BYTES, count -= VEC) { \
        VECTOR state[8], w[16], s[8]; \
        uint32_t lanes[VEC] __attribute__((aligned(64))); \
        for (int i = 0; i < 8; i++) state[i] = (VECTOR){0} + START(i); \
        for (size_t block = 0; block < blocks; block++) { \
            for (int i = 0; i < 16; i++) { \
                for (int lane = 0; lane < VEC; lane++) lanes[lane] = load_be(messages + (size_t)lane * bytes + block * CW_BLOCK_BYTES + 4 * i); \
                memcpy(&w[i], lanes, sizeof w[i]); \
            } \
            memcpy(s, state, sizeof s); \
            ROUNDS(VECTOR, ROTATE, CHOOSE, MAJORITY, w, s) \
            for (int i = 0; i < 8; i++) state[i] += s[i]; \
        } \
        for (int i = 0; i < 8; i++) { \
            memcpy(lanes, &state[i], sizeof state[i]); \
            for (int lane = 0; lane < VEC; lane++) { \
                const uint32_t word = __builtin_bswap32(lanes[lane]); \
                memcpy(digests + (size_t)lane * CW_HASH_BYTES + 4 * i, &word, 4); \
            } \
        } \
    } \
}
WIDE(cw_sha256_avx512, "avx512f,avx512bw", vec16, 16, ROTATE_512, CHOOSE_512, MAJORITY_512)
WIDE(cw_sha256_avx2, "avx2", vec8, 8, ROTATE_PLAIN, CHOOSE_PLAIN, MAJORITY_PLAIN)
#endif

#if defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#if defined(__clang__)
#define WITH_SHA2 __attribute__((target("sha2")))
#else
#define WITH_SHA2 __attribute__((target("+crypto"))) /* as in the arm_neon.h of GCC 12, which inlines nothing of "+sha2" */
#endif
WITH_SHA2 static inline uint32x4_t upper_halves(const uint64_t *of) {
    return vuzp2q_u32(vreinterpretq_u32_u64(vld1q_u64(of)), vreinterpretq_u32_u64(vld1q_u64(of + 2)));
}
WITH_SHA2 void cw_sha256_arm(size_t count, size_t blocks, const uint8_t *messages, uint8_t *digests) {
    for (; count; count--, digests += CW_HASH_BYTES) {
        uint32x4_t abcd = upper_halves(sha512_start), efgh = upper_halves(sha512_start + 4);
        for (size_t block = 0; block < blocks; block++, messages += CW_BLOCK_BYTES) {
            const uint32x4_t abcd_before = abcd, efgh_before = efgh;
            uint32x4_t w[4];
            for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(messages + 16 * i)));
            for (int t = 0; t < 64; t += 16)
                for (int i = 0; i < 4; i++) {
                    if (t) w[i] = vsha256su1q_u32(vsha256su0q_u32(w[i], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
                    const uint32x4_t input = vaddq_u32(w[i], upper_halves(sha512_k + t + 4 * i)), abcd_now = abcd;
                    abcd = vsha256hq_u32(abcd, efgh, input);
                    efgh = vsha256h2q_u32(efgh, abcd_now, input);
                }
            abcd = vaddq_u32(abcd, abcd_before);
            efgh = vaddq_u32(efgh, efgh_before);
        }
        vst1q_u8(digests, vrev32q_u8(vreinterpretq_u8_u32(abcd)));
        vst1q_u8(digests + 16, vrev32q_u8(vreinterpretq_u8_u32(efgh)));
    }
}
#endif

/* SHA-512 and SHA-256 (FIPS 180-4) of short messages, one message in each element. The caller pads them. */
#include "kernel.h"

#ifndef VEC_HAVE_TERNARY
CW_INLINE vec_u64 vec_choose(vec_u64 x, vec_u64 y, vec_u64 z) { return z ^ (x & (y ^ z)); }
CW_INLINE vec_u64 vec_majority(vec_u64 x, vec_u64 y, vec_u64 z) { return (x & y) | (z & (x | y)); }
CW_INLINE vec_u64 vec_xor3(vec_u64 x, vec_u64 y, vec_u64 z) { return x ^ y ^ z; }
#define vec_rotate_right(v, k) ((v) >> (k) | (v) << (64 - (k)))
#endif

static const uint64_t sha512_k[80] = {
    0x428A2F98D728AE22ULL, 0x7137449123EF65CDULL, 0xB5C0FBCFEC4D3B2FULL, 0xE9B5DBA58189DBBCULL, 0x3956C25BF348B538ULL,
    0x59F111F1B605D019ULL, 0x923F82A4AF194F9BULL, 0xAB1C5ED5DA6D8118ULL, 0xD807AA98A3030242ULL, 0x12835B0145706FBEULL,
    0x243185BE4EE4B28CULL, 0x550C7DC3D5FFB4E2ULL, 0x72BE5D74F27B896FULL, 0x80DEB1FE3B1696B1ULL, 0x9BDC06A725C71235ULL,
    0xC19BF174CF692694ULL, 0xE49B69C19EF14AD2ULL, 0xEFBE4786384F25E3ULL, 0x0FC19DC68B8CD5B5ULL, 0x240CA1CC77AC9C65ULL,
    0x2DE92C6F592B0275ULL, 0x4A7484AA6EA6E483ULL, 0x5CB0A9DCBD41FBD4ULL, 0x76F988DA831153B5ULL, 0x983E5152EE66DFABULL,
    0xA831C66D2DB43210ULL, 0xB00327C898FB213FULL, 0xBF597FC7BEEF0EE4ULL, 0xC6E00BF33DA88FC2ULL, 0xD5A79147930AA725ULL,
    0x06CA6351E003826FULL, 0x142929670A0E6E70ULL, 0x27B70A8546D22FFCULL, 0x2E1B21385C26C926ULL, 0x4D2C6DFC5AC42AEDULL,
    0x53380D139D95B3DFULL, 0x650A73548BAF63DEULL, 0x766A0ABB3C77B2A8ULL, 0x81C2C92E47EDAEE6ULL, 0x92722C851482353BULL,
    0xA2BFE8A14CF10364ULL, 0xA81A664BBC423001ULL, 0xC24B8B70D0F89791ULL, 0xC76C51A30654BE30ULL, 0xD192E819D6EF5218ULL,
    0xD69906245565A910ULL, 0xF40E35855771202AULL, 0x106AA07032BBD1B8ULL, 0x19A4C116B8D2D0C8ULL, 0x1E376C085141AB53ULL,
    0x2748774CDF8EEB99ULL, 0x34B0BCB5E19B48A8ULL, 0x391C0CB3C5C95A63ULL, 0x4ED8AA4AE3418ACBULL, 0x5B9CCA4F7763E373ULL,
    0x682E6FF3D6B2B8A3ULL, 0x748F82EE5DEFB2FCULL, 0x78A5636F43172F60ULL, 0x84C87814A1F0AB72ULL, 0x8CC702081A6439ECULL,
    0x90BEFFFA23631E28ULL, 0xA4506CEBDE82BDE9ULL, 0xBEF9A3F7B2C67915ULL, 0xC67178F2E372532BULL, 0xCA273ECEEA26619CULL,
    0xD186B8C721C0C207ULL, 0xEADA7DD6CDE0EB1EULL, 0xF57D4F7FEE6ED178ULL, 0x06F067AA72176FBAULL, 0x0A637DC5A2C898A6ULL,
    0x113F9804BEF90DAEULL, 0x1B710B35131C471BULL, 0x28DB77F523047D84ULL, 0x32CAAB7B40C72493ULL, 0x3C9EBE0A15C9BEBCULL,
    0x431D67C49C100D4CULL, 0x4CC5D4BECB3E42B6ULL, 0x597F299CFC657E2AULL, 0x5FCB6FAB3AD6FAECULL, 0x6C44198C4A475817ULL,
};
static const uint64_t sha512_start[8] = {
    0x6A09E667F3BCC908ULL, 0xBB67AE8584CAA73BULL, 0x3C6EF372FE94F82BULL, 0xA54FF53A5F1D36F1ULL, 0x510E527FADE682D1ULL,
    0x9B05688C2B3E6C1FULL, 0x1F83D9ABFB41BD6BULL, 0x5BE0CD19137E2179ULL,
};

#define BIG0(a) vec_xor3(vec_rotate_right(a, 28), vec_rotate_right(a, 34), vec_rotate_right(a, 39))
#define BIG1(e) vec_xor3(vec_rotate_right(e, 14), vec_rotate_right(e, 18), vec_rotate_right(e, 41))
#define SMALL0(x) vec_xor3(vec_rotate_right(x, 1), vec_rotate_right(x, 8), (x) >> 7)
#define SMALL1(x) vec_xor3(vec_rotate_right(x, 19), vec_rotate_right(x, 61), (x) >> 6)

static void KERNEL(sha512_half)(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    uint64_t elements[16][VEC];
    for (int element = 0; element < VEC; element++)
        for (int i = 0; i < 16; i++) elements[i][element] = cw_read_be64(block[element < count ? element : 0] + 8 * i);
    vec_u64 w[16], s[8];
    for (int i = 0; i < 16; i++) w[i] = vec_load(elements[i]);
    for (int i = 0; i < 8; i++) s[i] = vec_set(sha512_start[i]);
    for (int t = 0; t < 80; t += 16)
        for (int i = 0; i < 16; i++) {
            if (t) w[i] += SMALL0(w[(i + 1) & 15]) + w[(i + 9) & 15] + SMALL1(w[(i + 14) & 15]);
            const vec_u64 t1 = s[7] + BIG1(s[4]) + vec_choose(s[4], s[5], s[6]) + sha512_k[t + i] + w[i];
            const vec_u64 t2 = BIG0(s[0]) + vec_majority(s[0], s[1], s[2]);
            s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
            s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
        }
    for (int i = 0; i < 4; i++) {
        vec_store(elements[0], s[i] + sha512_start[i]);
        for (int element = 0; element < count; element++) digest[element][3 - i] = elements[0][element];
    }
}

/* SHA-256's constants are the upper halves of SHA-512's: both are the fractions of cube (k) and square (start) roots of
 * the first primes. */
#if VEC == 1
typedef uint32_t vec_u32;
#else
typedef uint32_t vec_u32 __attribute__((vector_size(4 * VEC)));
#endif
#define ROTATE32(v, k) ((v) >> (k) | (v) << (32 - (k)))

static void KERNEL(sha256)(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    vec_u32 state[8];
    uint32_t elements[VEC] __attribute__((aligned(64)));
    for (int i = 0; i < 8; i++) state[i] = (vec_u32){0} + (uint32_t)(sha512_start[i] >> 32);
    for (int half = 0; half < 128; half += 64) {
        vec_u32 w[16], s[8];
        for (int i = 0; i < 16; i++) {
            for (int element = 0; element < VEC; element++) {
                memcpy(&elements[element], block[element < count ? element : 0] + half + 4 * i, 4);
                elements[element] = __builtin_bswap32(elements[element]);
            }
            memcpy(&w[i], elements, sizeof w[i]);
        }
        memcpy(s, state, sizeof s);
        for (int t = 0; t < 64; t += 16)
            for (int i = 0; i < 16; i++) {
                if (t) {
                    const vec_u32 a = w[(i + 1) & 15], b = w[(i + 14) & 15];
                    w[i] += (ROTATE32(a, 7) ^ ROTATE32(a, 18) ^ a >> 3) + w[(i + 9) & 15] + (ROTATE32(b, 17) ^ ROTATE32(b, 19) ^ b >> 10);
                }
                const vec_u32 t1 = s[7] + (ROTATE32(s[4], 6) ^ ROTATE32(s[4], 11) ^ ROTATE32(s[4], 25)) +
                                  (s[6] ^ (s[4] & (s[5] ^ s[6]))) + (uint32_t)(sha512_k[t + i] >> 32) + w[i];
                const vec_u32 t2 = (ROTATE32(s[0], 2) ^ ROTATE32(s[0], 13) ^ ROTATE32(s[0], 22)) + ((s[0] & s[1]) | (s[2] & (s[0] | s[1])));
                s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
                s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
            }
        for (int i = 0; i < 8; i++) state[i] += s[i];
    }
    for (int i = 0; i < 8; i++) {
        memcpy(elements, &state[i], sizeof state[i]);
        for (int element = 0; element < count; element++) {
            uint64_t *word = &digest[element][3 - i / 2];
            *word = i & 1 ? *word | elements[element] : (uint64_t)elements[element] << 32;
        }
    }
}

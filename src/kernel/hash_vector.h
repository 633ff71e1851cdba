/* SHA-512 and SHA-256 (FIPS 180-4) of short messages, one message in each element. The caller pads them. */
#include "hash_constants.h"
#include "kernel.h"

#ifndef VEC_HAVE_TERNARY
CW_INLINE vec_u64 vec_choose(vec_u64 x, vec_u64 y, vec_u64 z) { return z ^ (x & (y ^ z)); }
CW_INLINE vec_u64 vec_majority(vec_u64 x, vec_u64 y, vec_u64 z) { return (x & y) | (z & (x | y)); }
CW_INLINE vec_u64 vec_xor3(vec_u64 x, vec_u64 y, vec_u64 z) { return x ^ y ^ z; }
#define vec_rotate_right(v, k) ((v) >> (k) | (v) << (64 - (k)))
#endif

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

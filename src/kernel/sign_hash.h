/* The nonces of RFC 6979 (HMAC-SHA256), LANES signatures side by side. The file that includes it defines LANES.
 *
 * Of the 22 compressions that a signature takes, those whose input depends on the key alone are done once, in cw_signer_new, and the padded
 * keys of HMAC are not hashed twice: 15 remain. No step branches on data. */
#include "hash_constants.h"
#include "sign_key.h"

#if LANES == 1
typedef uint32_t lanes;
#else
typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));
#endif
#if defined(__AVX512F__) && LANES == 16
#define LANE_ROTATE(v, k) ((lanes)_mm512_ror_epi32((__m512i)(v), k))
#define LANE_XOR3(x, y, z) ((lanes)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), 0x96))
#define LANE_CHOOSE(x, y, z) ((lanes)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), 0xCA))
#define LANE_MAJORITY(x, y, z) ((lanes)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), 0xE8))
#else
#define LANE_ROTATE(v, k) ((v) >> (k) | (v) << (32 - (k)))
#define LANE_XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define LANE_CHOOSE(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define LANE_MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))
#endif
#define LANES_OF(x) ((lanes){0} + (uint32_t)(x))

/* r = SHA-256's compression of `state` and a block of 16 words. */
static __attribute__((noinline)) void sign_compress(lanes r[8], const lanes state[8], const lanes block[16]) {
    lanes w[16], s[8];
    for (int i = 0; i < 16; i++) w[i] = block[i];
    for (int i = 0; i < 8; i++) s[i] = state[i];
    for (int t = 0; t < 64; t += 16)
        for (int i = 0; i < 16; i++) {
            if (t) {
                const lanes a = w[(i + 1) & 15], b = w[(i + 14) & 15];
                w[i] += LANE_XOR3(LANE_ROTATE(a, 7), LANE_ROTATE(a, 18), a >> 3) + w[(i + 9) & 15] + LANE_XOR3(LANE_ROTATE(b, 17), LANE_ROTATE(b, 19), b >> 10);
            }
            const lanes t1 = s[7] + LANE_XOR3(LANE_ROTATE(s[4], 6), LANE_ROTATE(s[4], 11), LANE_ROTATE(s[4], 25)) + LANE_CHOOSE(s[4], s[5], s[6]) +
                             (uint32_t)(sha512_k[t + i] >> 32) + w[i];
            const lanes t2 = LANE_XOR3(LANE_ROTATE(s[0], 2), LANE_ROTATE(s[0], 13), LANE_ROTATE(s[0], 22)) + LANE_MAJORITY(s[0], s[1], s[2]);
            s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
            s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
        }
    for (int i = 0; i < 8; i++) r[i] = s[i] + state[i];
}
/* HMAC under one key: the states after the inner and after the outer padding. */
struct sign_hmac { lanes inner[8], outer[8]; };
static void sign_hmac_key(struct sign_hmac *h, const lanes key[8]) {
    lanes start[8], block[16];
    for (int i = 0; i < 8; i++) start[i] = LANES_OF(sha512_start[i] >> 32);
    for (int i = 0; i < 16; i++) block[i] = (i < 8 ? key[i] : LANES_OF(0)) ^ 0x36363636;
    sign_compress(h->inner, start, block);
    for (int i = 0; i < 16; i++) block[i] ^= 0x36363636 ^ 0x5C5C5C5C;
    sign_compress(h->outer, start, block);
}
/* r = the compression of a state and 32 bytes that end a message of `bytes` bytes, whole blocks before them included. */
static void sign_last_half(lanes r[8], const lanes state[8], const lanes half[8], uint32_t bytes) {
    lanes block[16];
    for (int i = 0; i < 16; i++) block[i] = i < 8 ? half[i] : LANES_OF(i == 8 ? 0x80000000 : i == 15 ? bytes * 8 : 0);
    sign_compress(r, state, block);
}
/* r = HMAC of 32 bytes. */
static void sign_hmac_short(lanes r[8], const struct sign_hmac *h, const lanes message[8]) {
    lanes inner[8];
    sign_last_half(inner, h->inner, message, 96);
    sign_last_half(r, h->outer, inner, 96);
}
/* The last block of V || byte || d || digest: the key's last byte, then the digest. */
static void sign_seed_end(lanes block[16], const struct cw_sign_key *key, const lanes digest[8]) {
    for (int i = 0; i < 8; i++) block[i] = (i ? digest[i - 1] << 24 : LANES_OF(key->last_byte << 24)) | digest[i] >> 8;
    block[8] = digest[7] << 24 | 0x800000;
    for (int i = 9; i < 15; i++) block[i] = LANES_OF(0);
    block[15] = LANES_OF((64 + 97) * 8);
}
/* RFC 6979, 3.2 d to h: the candidate after so many rejected ones. Words are big-endian: the first is the most significant. */
static void sign_nonces(const struct cw_sign_key *key, const lanes digest[8], lanes nonce[8], uint32_t rejected) {
    struct { lanes end[16], block[16], state[8], v[8], k[8]; struct sign_hmac h; } t;
    sign_seed_end(t.end, key, digest);
    for (int i = 0; i < 8; i++) t.state[i] = LANES_OF(key->inner[i]), t.v[i] = LANES_OF(0x01010101);
    sign_compress(t.k, t.state, t.end);
    for (int i = 0; i < 8; i++) t.state[i] = LANES_OF(key->outer[i]);
    sign_last_half(t.k, t.state, t.k, 96); /* d */
    sign_hmac_key(&t.h, t.k);
    sign_hmac_short(t.v, &t.h, t.v); /* e */
    for (int i = 0; i < 8; i++) t.block[i] = t.v[i], t.block[8 + i] = LANES_OF(key->again[i]);
    sign_compress(t.state, t.h.inner, t.block);
    sign_compress(t.state, t.state, t.end);
    sign_last_half(t.k, t.h.outer, t.state, 96); /* f */
    sign_hmac_key(&t.h, t.k);
    sign_hmac_short(t.v, &t.h, t.v); /* g */
    sign_hmac_short(t.v, &t.h, t.v); /* h */
    for (; rejected; rejected--) { /* h.3: K = HMAC(V || 0), V = HMAC(V), and the next candidate */
        for (int i = 0; i < 16; i++) t.block[i] = i < 8 ? t.v[i] : LANES_OF(i == 8 ? 0x00800000 : i == 15 ? (64 + 33) * 8 : 0);
        sign_compress(t.state, t.h.inner, t.block);
        sign_last_half(t.k, t.h.outer, t.state, 96);
        sign_hmac_key(&t.h, t.k);
        sign_hmac_short(t.v, &t.h, t.v);
        sign_hmac_short(t.v, &t.h, t.v);
    }
    for (int i = 0; i < 8; i++) nonce[i] = t.v[i];
    cw_wipe(&t, sizeof t);
}

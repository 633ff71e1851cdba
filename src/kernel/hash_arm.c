/* Hashing by ARM64's own instructions: SHA-512 came with ARMv8.2, and not to every CPU of it (Neoverse N1 and Cortex-A76
 * have none, Neoverse V1, N2 and Apple's have them); SHA-256 is nearly everywhere. Without them plain C is faster than NEON, which
 * has no rotation. Messages are hashed one after another: they are short, and the CPU overlaps them. */
#include "hash_arm.h"
#if defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#include "common.h"
#include "hash_constants.h"
#include "kernel.h"
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

/* Each function is compiled with the instructions it uses. SHA-512's come under the name of SHA-3's. */
#ifdef __clang__
#define WITH_SHA256 __attribute__((target("sha2")))
#define WITH_SHA512 __attribute__((target("sha3")))
#define CW_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CW_UNROLL _Pragma("GCC unroll 8") /* so that the message stays in registers */
#define WITH_SHA256 __attribute__((target("+crypto")))
#define WITH_SHA512 __attribute__((target("arch=armv8.2-a+sha3")))
#endif

int cw_arm_hashes;

int cw_arm_hashes_here(void) {
#if defined(__linux__)
    const unsigned long has = getauxval(AT_HWCAP); /* bits 6 and 21 are HWCAP_SHA2 and HWCAP_SHA512 */
    return (has >> 6 & 1 ? CW_ARM_SHA256 : 0) | (has >> 21 & 1 ? CW_ARM_SHA512 : 0);
#elif defined(__APPLE__)
    int sha512 = 0;
    size_t size = sizeof sha512;
    if (sysctlbyname("hw.optional.armv8_2_sha512", &sha512, &size, 0, 0)) sha512 = 0;
    return CW_ARM_SHA256 | (sha512 ? CW_ARM_SHA512 : 0); /* every Apple CPU of 64 bits has SHA-256 */
#else
    return 0;
#endif
}

/* Two rounds. The state is a, b | c, d | e, f | g, h with the first letter of each pair in the lower half; it turns by a
 * pair each time: what was g, h becomes the new a, b, and c, d the new e, f. */
#define SHA512_TWO_ROUNDS(ab, cd, ef, gh, w, k) do { \
    const uint64x2_t input = vaddq_u64(w, k); \
    const uint64x2_t first = vsha512hq_u64(vaddq_u64(vextq_u64(input, input, 1), gh), vextq_u64(ef, gh, 1), vextq_u64(cd, ef, 1)); \
    gh = vsha512h2q_u64(first, cd, ab); \
    cd = vaddq_u64(cd, first); \
} while (0)

WITH_SHA512 static void sha512_half(const uint8_t block[128], uint64_t digest[4]) {
    uint64x2_t w[8], s[4];
    CW_UNROLL for (int i = 0; i < 8; i++) w[i] = vreinterpretq_u64_u8(vrev64q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 4; i++) s[i] = vld1q_u64(sha512_start + 2 * i);
    for (int t = 0; t < 80; t += 16) {
        if (t)
            CW_UNROLL for (int i = 0; i < 8; i++)
                w[i] = vsha512su1q_u64(vsha512su0q_u64(w[i], w[(i + 1) & 7]), w[(i + 7) & 7], vextq_u64(w[(i + 4) & 7], w[(i + 5) & 7], 1));
        CW_UNROLL for (int i = 0; i < 8; i += 4) {
            const uint64_t *k = sha512_k + t + 2 * i;
            SHA512_TWO_ROUNDS(s[0], s[1], s[2], s[3], w[i], vld1q_u64(k));
            SHA512_TWO_ROUNDS(s[3], s[0], s[1], s[2], w[i + 1], vld1q_u64(k + 2));
            SHA512_TWO_ROUNDS(s[2], s[3], s[0], s[1], w[i + 2], vld1q_u64(k + 4));
            SHA512_TWO_ROUNDS(s[1], s[2], s[3], s[0], w[i + 3], vld1q_u64(k + 6));
        }
    }
    for (int i = 0; i < 2; i++) {
        s[i] = vaddq_u64(s[i], vld1q_u64(sha512_start + 2 * i));
        vst1q_u64(digest + 2 - 2 * i, vextq_u64(s[i], s[i], 1));
    }
}

/* SHA-256's constant or start of four places: upper halves of SHA-512's. */
CW_INLINE uint32x4_t upper_halves(const uint64_t *of) {
    return vuzp2q_u32(vreinterpretq_u32_u64(vld1q_u64(of)), vreinterpretq_u32_u64(vld1q_u64(of + 2)));
}
WITH_SHA256 static void sha256(const uint8_t block[128], uint64_t digest[4]) {
    uint32x4_t abcd = upper_halves(sha512_start), efgh = upper_halves(sha512_start + 4);
    for (int half = 0; half < 128; half += 64) {
        const uint32x4_t abcd_before = abcd, efgh_before = efgh;
        uint32x4_t w[4];
        CW_UNROLL for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + half + 16 * i)));
        for (int t = 0; t < 64; t += 16)
            CW_UNROLL for (int i = 0; i < 4; i++) {
                if (t) w[i] = vsha256su1q_u32(vsha256su0q_u32(w[i], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
                const uint32x4_t input = vaddq_u32(w[i], upper_halves(sha512_k + t + 4 * i)), abcd_now = abcd;
                abcd = vsha256hq_u32(abcd, efgh, input);
                efgh = vsha256h2q_u32(efgh, abcd_now, input);
            }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    /* The last word is the least significant. */
    for (int i = 0; i < 2; i++) {
        const uint64x2_t swapped = vreinterpretq_u64_u32(vrev64q_u32(i ? abcd : efgh));
        vst1q_u64(digest + 2 * i, vextq_u64(swapped, swapped, 1));
    }
}

void cw_arm_sha512_half(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    for (int i = 0; i < count; i++)
        if (cw_arm_hashes & CW_ARM_SHA512) sha512_half(block[i], digest[i]);
        else cw_kernel_scalar.sha512_half(1, block + i, digest + i);
}
void cw_arm_sha256(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]) {
    for (int i = 0; i < count; i++)
        if (cw_arm_hashes & CW_ARM_SHA256) sha256(block[i], digest[i]);
        else cw_kernel_scalar.sha256(1, block + i, digest + i);
}
#endif

/* SHA-512Half and SHA-256 of every kernel that this CPU can run: FIPS 180-4's examples, and random blocks against plain C, for
 * every count of messages. On ARM64 with the CPU's instructions for hashing, as far as it has them, and without. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dispatch.h"
#include "kernel.h"
#ifdef __aarch64__
#include "hash_arm.h"
#endif

static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)
#define ROUNDS 50

typedef void hash(int count, const uint8_t (*block)[128], uint64_t (*digest)[4]);

static void pad(uint8_t block[128], const char *message) {
    const size_t length = strlen(message);
    memset(block, 0, 128);
    memcpy(block, message, length);
    block[length] = 0x80;
    block[126] = (uint8_t)(length >> 5), block[127] = (uint8_t)(length << 3);
}
static void expect_same(const char *kernel, const char *what, hash *fast, hash *plain, int elements) {
    uint8_t block[8][128];
    uint64_t got[9][4], wanted[8][4];
    for (int round = 0; round < ROUNDS; round++) {
        const int count = 1 + round % elements;
        for (int i = 0; i < 8; i++)
            for (int k = 0; k < 128; k++) block[i][k] = (uint8_t)random_word();
        memset(got, 0xA5, sizeof got);
        fast(count, (const uint8_t(*)[128])block, got);
        for (int i = 0; i < count; i++) {
            plain(1, (const uint8_t(*)[128])&block[i], &wanted[i]);
            EXPECT(!memcmp(got[i], wanted[i], 32), "%s: %s: message %d of %d", kernel, what, i, count);
        }
        for (int k = 0; k < 4; k++) EXPECT(got[count][k] == 0xA5A5A5A5A5A5A5A5, "%s: %s: one digest too many", kernel, what);
    }
}
static void test_kernel(const struct cw_kernel *kernel) {
    static const uint64_t sha512[4] = {0x0A9EEEE64B55D39AULL, 0x12E6FA4E89A97EA2ULL, 0xCC417349AE204131ULL, 0xDDAF35A193617ABAULL};
    static const uint64_t sha256[4] = {0xF6ECEDD419DB06C1ULL, 0xA33CE45964FF2167ULL, 0xE5C026930C3E6039ULL, 0x248D6A61D20638B8ULL};
    uint8_t block[1][128];
    uint64_t digest[1][4];
    pad(block[0], "abc");
    kernel->sha512_half(1, (const uint8_t(*)[128])block, digest);
    EXPECT(!memcmp(digest[0], sha512, 32), "%s: SHA-512 of abc", kernel->name);
    pad(block[0], "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    kernel->sha256(1, (const uint8_t(*)[128])block, digest);
    EXPECT(!memcmp(digest[0], sha256, 32), "%s: SHA-256 of two blocks", kernel->name);
    expect_same(kernel->name, "SHA-512Half", kernel->sha512_half, cw_kernel_scalar.sha512_half, kernel->elements);
    expect_same(kernel->name, "SHA-256", kernel->sha256, cw_kernel_scalar.sha256, kernel->elements);
}

int main(int argc, char **argv) {
    const char *message;
    for (int i = 1; i < argc; i++) {
        const struct cw_kernel *kernel = cw_choose_kernel(argv[i], &message);
        if (!kernel) {
            printf("SKIPPED hashes of %s: %s\n", argv[i], message);
            continue;
        }
        test_kernel(kernel);
#ifdef __aarch64__
        if (kernel != &cw_kernel_neon) continue;
        printf("neon: SHA-512 %s, SHA-256 %s this CPU's instructions\n", cw_arm_hashes & CW_ARM_SHA512 ? "by" : "without", cw_arm_hashes & CW_ARM_SHA256 ? "by" : "without");
        EXPECT(cw_arm_hashes == cw_arm_hashes_here(), "the instructions that are used");
        cw_arm_hashes = 0;
        test_kernel(kernel);
#endif
    }
    printf("hashes: %ld checks\n", checks);
    return 0;
}

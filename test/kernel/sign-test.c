/* The batch signer. `sign-test KERNEL` checks known signatures, batches of every shape, and the guards. `sign-test KERNEL
 * stream` signs what a test written in another language compares: from standard input a count (u32, little-endian), a key, a blind and that many
 * digests, again and again; to standard output the public key and the signatures. `sign-test KERNEL nonces` does the same for
 * nonces, `sign-test KERNEL rate` measures. */
#define _GNU_SOURCE /* setenv, clock_gettime, and what secret_memory.c asks for */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "claimwire_kernel.h"
#include "common.h"
#include "dispatch.h"
#include "modinv.h"
#include "sign.h"
#include "sign_key.h"
#include "slow.h"
/* The source is part of the test: memory that comes back is looked at before the system gets it. */
#define cw_unmap_secret give_to_system
#include "secret_memory.c"
#undef cw_unmap_secret
static size_t secret_bytes_left;
void cw_unmap_secret(void *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) secret_bytes_left += ((const uint8_t *)memory)[i] != 0;
    give_to_system(memory, bytes);
}

#ifdef CW_EMULATED
enum { SHAPES = 3, RANDOM_KEYS = 2 };
#elif defined(CW_SANITIZED)
enum { SHAPES = 9, RANDOM_KEYS = 3 };
#else
enum { SHAPES = 40, RANDOM_KEYS = 20 };
#endif

static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static void random_bytes(uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t word = random_word();
        memcpy(bytes + i, &word, count - i < 8 ? count - i : 8);
    }
}
static long checks;
#define EXPECT(condition, ...) do { checks++; if (!(condition)) { printf("FAILED line %d: ", __LINE__); printf(__VA_ARGS__); puts(""); exit(1); } } while (0)

static void bytes_of(uint8_t *bytes, const char *hex) {
    for (size_t i = 0; hex[2 * i]; i++) {
        unsigned value;
        sscanf(hex + 2 * i, "%2x", &value);
        bytes[i] = (uint8_t)value;
    }
}
#include "sign-vectors.h"

static struct cw_thread *thread;
static struct cw_signer *signer_of(const uint8_t key[32]) {
    uint8_t blind[32];
    random_bytes(blind, sizeof blind);
    struct cw_signer *signer = cw_signer_new(key, blind);
    EXPECT(signer, "expected a signer for a good key");
    return signer;
}
static void test_known(void) {
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint8_t key[32], digest[32], expected[64], signature[64];
        bytes_of(key, vectors[i].key);
        bytes_of(digest, vectors[i].digest);
        bytes_of(expected, vectors[i].signature);
        struct cw_signer *signer = signer_of(key);
        EXPECT(cw_sign_batch(thread, signer, 1, digest, signature), "vector %zu is not signed", i);
        EXPECT(!memcmp(signature, expected, 64), "vector %zu has another signature", i);
        cw_signer_free(signer);
    }
}
static int verifies(const uint8_t key[33], const uint8_t digest[32], const uint8_t signature[64]) {
    uint64_t x[4], y[4], z[4], r[4], s[4];
    cw_words_from_be(r, signature), cw_words_from_be(s, signature + 32), cw_words_from_be(z, digest);
    return cw_slow_parse_key(x, y, key) && cw_slow_verify(r, s, z, x, y);
}
/* Batches of many sizes: each signature is valid by the specification, and what it is alone. */
static void test_batches(void) {
    static uint8_t digests[CW_SIGN_MAX][32], together[CW_SIGN_MAX + 1][64], alone[64], none[64];
    for (int shape = 0; shape < SHAPES; shape++) {
        const uint32_t count = shape < 5 ? (uint32_t[]){1, CW_SIGN_MAX, 7, 129, 2}[shape] : (uint32_t)(random_word() % CW_SIGN_MAX) + 1;
        uint8_t key[32], public_key[33];
        random_bytes(key, 32);
        key[0] &= 0x7F;
        random_bytes(digests[0], sizeof digests);
        memset(together, 0, sizeof together);
        struct cw_signer *signer = signer_of(key);
        cw_signer_public(signer, public_key);
        EXPECT(cw_sign_batch(thread, signer, count, digests[0], together[0]), "a batch of %u is not signed", count);
        EXPECT(!memcmp(together[count], none, 64), "a batch of %u writes more than its signatures", count);
        for (uint32_t i = 0; i < count; i += 1 + (uint32_t)(random_word() % 40)) {
            EXPECT(verifies(public_key, digests[i], together[i]), "signature %u of %u is not valid", i, count);
            EXPECT(cw_sign_batch(thread, signer, 1, digests[i], alone) && !memcmp(alone, together[i], 64), "signature %u of %u is another one alone", i, count);
        }
        cw_signer_free(signer);
    }
    struct cw_signer *signer = signer_of(digests[0]);
    EXPECT(cw_sign_batch(thread, signer, 0, digests[0], together[0]), "an empty batch is fine");
    EXPECT(!cw_sign_batch(thread, signer, CW_SIGN_MAX + 1, digests[0], together[0]), "a batch of more than %d is refused", CW_SIGN_MAX);
    cw_signer_free(signer);
}
static void test_keys(void) {
    static const char *bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000", "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    uint8_t key[32], blind[32] = {0}, public_key[33], again[33], expected[33];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bytes_of(key, bad[i]);
        EXPECT(!cw_signer_new(key, blind), "bad key %zu is taken", i);
    }
    for (int i = 0; i < RANDOM_KEYS; i++) {
        uint64_t d[4], x[4], y[4];
        random_bytes(key, 32);
        if (i < 4) memset(key, 0, 31), key[31] = (uint8_t)(i + 1);
        else if (i < 8) bytes_of(key, bad[1]), key[31] = (uint8_t)(key[31] - (i - 3));
        struct cw_signer *signer = cw_signer_new(key, blind), *other = signer_of(key);
        cw_words_from_be(d, key);
        cw_slow_multiply_generator(x, y, d);
        expected[0] = (uint8_t)(2 | (y[0] & 1));
        cw_words_to_be(expected + 1, x);
        cw_signer_public(signer, public_key), cw_signer_public(other, again);
        EXPECT(!memcmp(public_key, expected, 33), "public key %d", i);
        EXPECT(!memcmp(again, expected, 33), "public key %d with another blind", i);
        cw_signer_free(signer), cw_signer_free(other);
    }
    cw_signer_free(0);
}
/* The check before signatures leave: a fault in the key, in its blind point or in the public key is noticed, and nothing is written. */
static void test_faults(void) {
    uint8_t key[32], digests[3][32], signatures[3][64] = {{0}}, none[3][64] = {{0}};
    random_bytes(key, 32), key[0] &= 0x7F;
    random_bytes(digests[0], sizeof digests);
    struct cw_signer *signer = signer_of(key);
    struct cw_sign_key *secret = (struct cw_sign_key *)signer, sound = *secret;
    for (int fault = 0; fault < 4; fault++) {
        uint64_t *word = fault == 0 ? &secret->d_montgomery[1] : fault == 1 ? &secret->blind_x[2] : fault == 2 ? &secret->blind_y[0] : &secret->blind[3];
        *word ^= 4;
        EXPECT(!cw_sign_batch(thread, signer, 3, digests[0], signatures[0]), "fault %d is signed with", fault);
        EXPECT(!memcmp(signatures, none, sizeof none), "fault %d: something is written", fault);
        *secret = sound;
        EXPECT(cw_sign_batch(thread, signer, 3, digests[0], signatures[0]), "nothing is signed after fault %d", fault);
        memset(signatures, 0, sizeof signatures);
    }
    cw_wipe(&sound, sizeof sound);
    cw_signer_free(signer);
}
/* Nothing but zeros is left where nonces were, nor where the keys of closed signers were: of all tests so far. */
static void test_wiped(void) {
    uint8_t *scratch, key[32], digests[CW_SIGN_MAX][32], signatures[CW_SIGN_MAX][64];
    struct cw_sign_room *room = cw_thread_sign_room(thread, &scratch);
    random_bytes(key, 32), key[0] &= 0x7F;
    random_bytes(digests[0], sizeof digests);
    struct cw_signer *signer = signer_of(key);
    const uint64_t *rows = cw_sign_table();
    for (uint32_t count = 1; count <= CW_SIGN_MAX; count += 85) {
        memset(scratch, 0, cw_kernel->scratch_bytes);
        cw_kernel->sign((const struct cw_sign_key *)signer, rows, count, digests[0], room->signatures, scratch);
        size_t left = 0;
        for (size_t i = 0; i < cw_kernel->scratch_bytes; i++) left += scratch[i] != 0;
        EXPECT(left == 0, "a batch of %u leaves %zu bytes behind", count, left);
    }
    EXPECT(cw_sign_batch(thread, signer, CW_SIGN_MAX, digests[0], signatures[0]), "not signed");
    for (size_t i = 0; i < sizeof room->signatures; i++) EXPECT(!room->signatures[i], "a copy of signatures is left at %zu", i);
    cw_signer_free(signer);
    EXPECT(!secret_bytes_left, "%zu bytes are left of keys", secret_bytes_left);
}
/* Both inversions against those for public numbers. */
static void test_parts(void) {
    for (int i = 0; i < 30; i++) {
        uint64_t a[4], p[4], n[4], expected[4];
        for (int k = 0; k < 4; k++) a[k] = i < 4 ? (k == 0) * (uint64_t)(i + 1) : random_word() >> (k == 3);
        cw_fermat_p(p, a), cw_inverse_p(expected, a);
        EXPECT(!memcmp(p, expected, 32), "1/a mod p, case %d", i);
        cw_fermat_n(n, a), cw_inverse_n(expected, a);
        EXPECT(!memcmp(n, expected, 32), "1/a mod n, case %d", i);
    }
    uint64_t zero[4] = {0};
    cw_fermat_p(zero, zero);
    EXPECT(cw_words_zero(zero), "1/0 mod p");
}

static void test_all(const char *name) {
    test_known();
    test_keys();
    test_batches();
    test_faults();
    test_wiped();
    test_parts();
    printf("sign-test-%s: %ld checks\n", name, checks);
}
static void stream(void) {
    static uint8_t head[68], digests[CW_SIGN_MAX * 32], signatures[CW_SIGN_MAX * 64], public_key[33];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        uint32_t count;
        memcpy(&count, head, 4);
        if (count > CW_SIGN_MAX || fread(digests, 32, count, stdin) != count) exit(2);
        struct cw_signer *signer = cw_signer_new(head + 4, head + 36);
        if (!signer || !cw_sign_batch(thread, signer, count, digests, signatures)) exit(3);
        cw_signer_public(signer, public_key);
        fwrite(public_key, 33, 1, stdout), fwrite(signatures, 64, count, stdout), fflush(stdout);
        cw_signer_free(signer);
    }
}
/* The nonce after so many rejected ones: a u32, a key and a digest below n each. */
static void list_nonces(void) {
    uint8_t head[68];
    while (fread(head, sizeof head, 1, stdin) == 1) {
        uint32_t rejected;
        uint64_t z[4], k[4];
        memcpy(&rejected, head, 4);
        cw_words_from_be(z, head + 36);
        struct cw_signer *signer = signer_of(head + 4);
        cw_sign_nonce((const struct cw_sign_key *)signer, z, rejected, k);
        cw_words_to_be(head, k);
        fwrite(head, 32, 1, stdout), fflush(stdout);
        cw_signer_free(signer);
    }
}
static double microseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static int by_size(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }
#define MEDIAN(what, count, ...) do { \
    double time_[31]; \
    for (int i_ = 0; i_ < 31; i_++) { const double from_ = microseconds(); for (int k_ = 0; k_ < 8; k_++) { __VA_ARGS__; } time_[i_] = (microseconds() - from_) / 8 / (count); } \
    qsort(time_, 31, sizeof *time_, by_size); \
    printf("%-28s %8.3f us each (lowest %.3f)\n", what, time_[15], time_[0]); } while (0)
static void rate(void) {
    static uint8_t key[32], digests[CW_SIGN_MAX * 32], signatures[CW_SIGN_MAX * 64], verdicts[CW_SIGN_MAX], public_key[33], *scratch;
    struct cw_sign_room *room = cw_thread_sign_room(thread, &scratch);
    random_bytes(key, 32), key[0] &= 0x7F;
    random_bytes(digests, sizeof digests);
    struct cw_signer *signer = signer_of(key);
    cw_signer_public(signer, public_key);
    for (int i = 0; i < 200; i++) cw_sign_batch(thread, signer, CW_SIGN_MAX, digests, signatures);
    MEDIAN("signed and checked, 256", 256, cw_sign_batch(thread, signer, CW_SIGN_MAX, digests, signatures));
    MEDIAN("signed alone, 256", 256, cw_kernel->sign((const struct cw_sign_key *)signer, cw_sign_table(), CW_SIGN_MAX, digests, room->signatures, scratch));
    MEDIAN("checked alone, 256", 256, cw_verify_signed(thread, CW_SIGN_MAX, digests, signatures, public_key, verdicts));
    MEDIAN("signed and checked, 16", 16, cw_sign_batch(thread, signer, 16, digests, signatures));
    MEDIAN("signed and checked, 1", 1, cw_sign_batch(thread, signer, 1, digests, signatures));
    uint64_t w[4] = {1, 2, 3, 4};
    MEDIAN("inversion mod p", 1, cw_fermat_p(w, w));
    MEDIAN("inversion mod n", 1, cw_fermat_n(w, w));
    cw_signer_free(signer);
}
int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "scalar", *message;
    if (!cw_choose_kernel(name, &message)) {
        printf("sign-test-%s: skipped, %s\n", name, message);
        return 0;
    }
    setenv("CLAIMWIRE_KERNEL", name, 1);
    const char *fault = cw_start((size_t)8 << 20);
    if (fault) return fprintf(stderr, "%s\n", fault), 1;
    thread = cw_thread_new();
    if (!thread) return fprintf(stderr, "expected a thread, got none\n"), 1;
    if (count > 2 && !strcmp(arguments[2], "stream")) stream();
    else if (count > 2 && !strcmp(arguments[2], "nonces")) list_nonces();
    else if (count > 2) rate();
    else test_all(name);
    cw_thread_free(thread);
    return 0;
}

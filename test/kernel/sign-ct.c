/* The batch signer under valgrind, its secrets marked as undefined memory: valgrind reports each branch and each address that depends
 * on them. `sign-ct KERNEL` makes a key and signs; then it leaks on purpose, three times, which has to be reported. What may be known, and is
 * declared so: the public key, and r and s; whether a key or a nonce is in range. */
#include <stdio.h>
#include <stdlib.h>
#include <valgrind/memcheck.h>
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "modinv.h"
#include "sign.h"
#include "sign_key.h"
#include "slow.h"

enum { DIGESTS = 19 }; /* whole groups of every kernel and a part of one */
static void declare_public(const void *memory, size_t bytes) { (void)VALGRIND_MAKE_MEM_DEFINED(memory, bytes); }

static void sign(uint8_t public_key[33], uint8_t digests[DIGESTS][32], uint8_t signatures[DIGESTS][64]) {
    uint8_t key[32], blind[32], *scratch = cw_map(cw_kernel->scratch_bytes);
    for (int i = 0; i < 32; i++) key[i] = (uint8_t)(i * 37 + 11), blind[i] = (uint8_t)(i * 91 + 5);
    for (int i = 0; i < DIGESTS; i++)
        for (int k = 0; k < 32; k++) digests[i][k] = (uint8_t)(i * 53 + k * 7 + 1);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(key, sizeof key);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(blind, sizeof blind);
    struct cw_signer *signer = cw_signer_new(key, blind);
    if (!signer || !scratch) puts("FAILED: expected a signer, got none"), exit(1);
    cw_signer_public(signer, public_key);
    cw_kernel->sign((const struct cw_sign_key *)signer, cw_sign_table(), DIGESTS, digests[0], signatures[0], scratch);
    cw_signer_free(signer);
}
static int valid_ones(const uint8_t public_key[33], uint8_t digests[DIGESTS][32], uint8_t signatures[DIGESTS][64]) {
    int valid = 0;
    for (int i = 0; i < DIGESTS; i += DIGESTS / 2) {
        uint64_t r[4], s[4], z[4], x[4], y[4];
        cw_words_from_be(r, signatures[i]), cw_words_from_be(s, signatures[i] + 32), cw_words_from_be(z, digests[i]);
        valid += cw_slow_parse_key(x, y, public_key) && cw_slow_verify(r, s, z, x, y);
    }
    return valid;
}
static unsigned long leak(int how) {
    static const uint8_t table[256] = {1, 2, 3};
    uint64_t secret[4] = {77, 5, 6, 7};
    volatile int answer = 0;
    const unsigned long before = VALGRIND_COUNT_ERRORS;
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
    if (how == 0 && secret[0] & 1) answer = 1;
    if (how == 1) answer = table[secret[1] & 255];
    if (how == 2) cw_inverse_n(secret, secret); /* the inversion for public numbers, of a nonce */
    (void)answer;
    return VALGRIND_COUNT_ERRORS - before;
}
int main(int count, char **arguments) {
    static const char *const leaks[] = {"a branch", "an address", "the inversion for public numbers"};
    static uint8_t public_key[33], digests[DIGESTS][32], signatures[DIGESTS][64];
    const char *name = count > 1 ? arguments[1] : "", *message;
    if (!RUNNING_ON_VALGRIND) return puts("FAILED: expected valgrind, got a bare run"), 1;
    cw_kernel = cw_choose_kernel(name, &message);
    if (!cw_kernel) return printf("FAILED: %s\n", message), 1;
    cw_public = declare_public;
    sign(public_key, digests, signatures);
    const unsigned long errors = VALGRIND_COUNT_ERRORS;
    if (errors) return printf("FAILED: %lu branches or addresses depend on secrets\n", errors), 1;
    declare_public(signatures, sizeof signatures);
    if (valid_ones(public_key, digests, signatures) != 3) return puts("FAILED: a batch was not signed"), 1;
    for (int how = 0; how < 3; how++)
        if (!leak(how)) return printf("FAILED: valgrind does not report the leak by %s\n", leaks[how]), 1;
    printf("sign-ct-%s: %d checks\n", name, DIGESTS + 3 + 3);
    return 0;
}

/* Measures whether the signer's time depends on its secrets, as dudect does (https://eprint.iacr.org/2016/1123): two classes of inputs in
 * random order, and Welch's t over the times of each, also with the longest times cut off. |t| above 4.5 is a leak.
 *   key       one key against random ones, the same messages
 *   message   one message against random ones, the same key
 *   null      random messages against random ones, each class from its own pool: what the memory of a pool costs
 *   leak      the inversion for public numbers, of one nonce against random ones: must be found
 * `sign-dudect KERNEL SAMPLES`. It wants a quiet machine: other programs' noise hides leaks, it does not make them. */
#define _POSIX_C_SOURCE 200112L /* setenv */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "claimwire_kernel.h"
#include "dispatch.h"
#include "modinv.h"
#include "sign.h"
#include "sign_key.h"
#if defined(__x86_64__)
#include <immintrin.h>
static uint64_t now(void) { unsigned a; _mm_lfence(); const uint64_t t = __rdtscp(&a); _mm_lfence(); return t; }
#else
#include <time.h>
static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}
#endif

enum { POOL = 256, DIGESTS = 8, CUTS = 20, FIRST = 4000 };
static uint64_t state = 0x9E3779B97F4A7C15ULL;
static uint64_t random_word(void) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545F4914F6CDD1DULL;
}
static void random_bytes(uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(random_word() >> 32);
}
/* Both classes are pools of copies, so that memory gives no difference. Class 0 has the same value everywhere. */
static struct cw_sign_key keys[2][POOL], key;
static uint8_t messages[2][POOL][DIGESTS][32], others[2][POOL][DIGESTS][32], message[DIGESTS][32], signatures[DIGESTS][64];
static uint64_t nonces[2][POOL][4];
static uint8_t *scratch;

static void make_pools(void) {
    uint8_t bytes[32] = {0}, blind[32] = {7};
    for (int class = 0; class < 2; class++)
        for (int i = 0; i < POOL; i++) {
            if (class || !i) {
                if (class) random_bytes(bytes, 32), bytes[0] &= 0x7F;
                else bytes[31] = 1; /* the smallest key */
                struct cw_signer *signer = cw_signer_new(bytes, blind);
                if (!signer) exit(1);
                memcpy(&keys[class][i], signer, sizeof key);
                cw_signer_free(signer);
                random_bytes(messages[class][i][0], sizeof message);
                for (int k = 0; k < 4; k++) nonces[class][i][k] = class ? random_word() >> (k == 3) : k == 0;
            } else keys[0][i] = keys[0][0], memcpy(messages[0][i], messages[0][0], sizeof message), memcpy(nonces[0][i], nonces[0][0], 32);
        }
}
static void make_others(void) {
    random_bytes(others[0][0][0], sizeof others);
}
static uint64_t measure(char what, int class) {
    const int i = (int)(random_word() % POOL), j = (int)(random_word() % POOL);
    uint64_t nonce[4];
    memcpy(&key, what == 'k' ? &keys[class][i] : &keys[1][0], sizeof key);
    memcpy(message, what == 'n' ? others[class][j] : messages[what == 'm' ? class : 1][j], sizeof message);
    memcpy(nonce, nonces[class][i], sizeof nonce);
    const uint64_t from = now();
    if (what == 'l') cw_inverse_n(nonce, nonce);
    else cw_kernel->sign(&key, cw_sign_table(), DIGESTS, message[0], signatures[0], scratch);
    return now() - from;
}
/* Running mean and variance of a class (Welford). */
struct times { double count, mean, squares; };
static void take(struct times *t, double x) {
    const double d = x - t->mean;
    t->count++;
    t->mean += d / t->count;
    t->squares += d * (x - t->mean);
}
static double t_of(const struct times t[2]) {
    if (t[0].count < 1000 || t[1].count < 1000) return 0;
    const double variance = t[0].squares / (t[0].count - 1) / t[0].count + t[1].squares / (t[1].count - 1) / t[1].count;
    return variance > 0 ? fabs(t[0].mean - t[1].mean) / sqrt(variance) : 0;
}
static int by_size(const void *a, const void *b) { return *(const uint64_t *)a < *(const uint64_t *)b ? -1 : 1; }
/* The largest |t| of all cuts. */
static double largest_t(char what, long samples) {
    static uint64_t first[FIRST];
    struct times times[CUTS + 1][2] = {{{0}}};
    uint64_t cut[CUTS];
    for (int i = 0; i < FIRST; i++) first[i] = measure(what, (int)(random_word() >> 63));
    qsort(first, FIRST, sizeof *first, by_size);
    for (int i = 0; i < CUTS; i++) cut[i] = first[(int)(FIRST * (1 - pow(0.5, 10.0 * (i + 1) / CUTS))) - 1];
    for (long i = 0; i < samples; i++) {
        const int class = (int)(random_word() >> 63);
        const uint64_t time = measure(what, class);
        take(&times[CUTS][class], (double)time);
        for (int k = 0; k < CUTS; k++)
            if (time < cut[k]) take(&times[k][class], (double)time);
    }
    double most = 0;
    for (int k = 0; k <= CUTS; k++)
        if (t_of(times[k]) > most) most = t_of(times[k]);
    return most;
}
int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "scalar", *message_text;
    const long samples = count > 2 ? atol(arguments[2]) : 100000;
    if (!cw_choose_kernel(name, &message_text)) return printf("sign-dudect-%s: SKIPPED, %s\n", name, message_text), 0;
    setenv("CLAIMWIRE_KERNEL", name, 1);
    if (cw_start((size_t)4 << 20)) return 1;
    scratch = cw_map(cw_kernel->scratch_bytes);
    make_pools();
    make_others();
    const double by_leak = largest_t('l', samples < 200000 ? samples : 200000), by_key = largest_t('k', samples), by_message = largest_t('m', samples), by_null = largest_t('n', samples);
    printf("sign-dudect-%s: %ld samples each, |t| %.2f by key, %.2f by message, %.2f by null, %.0f by the leak on purpose\n", name, samples, by_key, by_message, by_null, by_leak);
    if (by_leak < 10) return puts("FAILED: the leak on purpose was not found: the machine is too busy to measure"), 1;
    if (by_null >= 4.5) return puts("FAILED: classes that are alike differ: the machine is too busy to measure"), 1;
    if (by_key >= 4.5 || by_message >= 4.5) return puts("FAILED: the time depends on a secret"), 1;
    return 0;
}

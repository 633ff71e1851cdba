/* What the signer's files share: the secret key's page, and functions that the tests reach as well. */
#ifndef CLAIMWIRE_SIGN_KEY_H
#define CLAIMWIRE_SIGN_KEY_H
#include "common.h"
#include "sign.h"

/* Everything in here is secret but `outer`. Words are least significant first, canonical mod n or p. */
struct cw_sign_key {
    uint64_t d[4], d_montgomery[5]; /* the key; the same times 2^260 mod n, in limbs */
    uint64_t blind[4], blind_x[4], blind_y[4]; /* b and b G */
    /* RFC 6979 begins with HMAC under a key of zeros: SHA-256's states after its inner padding and V || 0 || d without the last byte,
     * and after its outer padding. */
    uint32_t inner[8], outer[8];
    uint32_t again[8]; /* 1 || d without the last byte, in big-endian words */
    uint32_t last_byte;
};

/* Told what may be known of bytes that were computed from secrets. It does nothing, but for the test that has valgrind follow secrets
 * as undefined memory (test/kernel/sign-ct.c): that test sets its own, and runs the very objects that are shipped. */
extern void (*cw_public)(const void *memory, size_t bytes);
/* Hides a word's origin from the compiler, so that it does not turn a mask back into a branch. */
CW_INLINE uint64_t cw_hidden(uint64_t word) {
    __asm__("" : "+r"(word));
    return word;
}
/* Overwrites memory, also where the compiler sees that nobody reads it again. */
CW_INLINE void cw_wipe(void *memory, size_t bytes) {
    memset(memory, 0, bytes);
    __asm__ volatile("" : : "r"(memory) : "memory");
}
#ifdef __wasm__ /* a thread has 64 KB there */
#define CW_SIGN_STACK 8192
#else
#define CW_SIGN_STACK 16384 /* of the stack, what signing may have used */
#endif
/* Inverses in constant time, canonical: a^(p - 2) and a^(n - 2), so 0 for 0. */
void cw_fermat_p(uint64_t r[4], const uint64_t a[4]);
void cw_fermat_n(uint64_t r[4], const uint64_t a[4]);
/* The nonce of a digest (canonical words) after so many rejected ones. */
void cw_sign_nonce(const struct cw_sign_key *key, const uint64_t digest[4], uint32_t rejected, uint64_t nonce[4]);
/* A zeroed page for a secret, locked and kept out of dumps; *note says what the system refused. */
void *cw_map_secret(size_t bytes, const char **note);
void cw_unmap_secret(void *memory, size_t bytes);
/* A thread's memory that a batch is signed in: public but for `signatures`, which are so once they are checked. */
struct cw_sign_room {
    uint8_t digests[CW_SIGN_MAX * 32], signatures[CW_SIGN_MAX * 64], verdicts[CW_SIGN_MAX];
};
struct cw_sign_room *cw_thread_sign_room(struct cw_thread *thread, uint8_t **scratch);
/* The table of all signers, once there is one. */
const uint64_t *cw_sign_table(void);
/* cw_verify_many by batches, all with one key. */
void cw_verify_signed(struct cw_thread *thread, size_t count, const uint8_t *digests, const uint8_t *signatures, const uint8_t key[33], uint8_t *verdicts);
#endif

/* The batch signer for real keys: ECDSA over secp256k1 with the nonces of RFC 6979 (HMAC-SHA256, no extra entropy) and a low s, so
 * the bytes are those of every other such signer. Constant time: no branch, address or division depends on a secret.
 * WebAssembly promises no constant time, since its engine compiles it; the same source runs there.
 *
 * A signer belongs to the one thread that uses it at a time. Call cw_start first. The key stays in a page of its own that is neither
 * swapped nor dumped where the system allows it. Nonces and intermediates are overwritten before a call returns. */
#ifndef CLAIMWIRE_SIGN_H
#define CLAIMWIRE_SIGN_H
#include <stddef.h>
#include <stdint.h>
#define CW_SIGN_MAX 256 /* digests of a call */

struct cw_thread;
struct cw_signer;

/* `blind`: 32 random bytes, which hide the scalars that are multiplied; any bytes are correct. Neither array is kept. Returns NULL when
 * the key is 0 or >= n, or when there is no memory. */
struct cw_signer *cw_signer_new(const uint8_t private_key[32], const uint8_t blind[32]);
/* Overwrites the key. NULL is allowed. */
void cw_signer_free(struct cw_signer *signer);
/* The compressed public key. */
void cw_signer_public(const struct cw_signer *signer, uint8_t key[33]);
/* Empty, or what the system refused: the key's page could then be swapped to disk. */
const char *cw_signer_note(const struct cw_signer *signer);
/* Bytes that so many signers take of the kernel's part of the arena, for WebAssembly. */
size_t cw_signer_bytes(uint32_t signers);
/* Signs `count` <= CW_SIGN_MAX digests of 32 bytes: 64 bytes r || s each. The kernel's verifier checks all signatures before they
 * leave, since a faulty one can give the key away. Returns 1, or 0 when that check failed (or count is too large): then nothing is
 * written. A digest of n or above is reduced mod n first, as RFC 6979 says. */
int cw_sign_batch(struct cw_thread *thread, struct cw_signer *signer, uint32_t count, const uint8_t *digests, uint8_t *signatures);
#endif

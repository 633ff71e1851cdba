/* THROW-AWAY signer, for load generation and tests only: s = (z + r d) / k with ONE nonce k for all claims of a key, in variable time. Two
 * signatures with one nonce give the private key to whoever sees them, so a key that was ever signed with here is public.
 * For keys made for the occasion; never for one from a key file. Each signature is complete, valid and different. */
#ifndef CLAIMWIRE_THROWAWAY_SIGN_H
#define CLAIMWIRE_THROWAWAY_SIGN_H
#include <stdint.h>
/* A private key with its nonce, words least significant first, canonical mod n. Prepared so that a claim costs one product,
 * kernel.h's throwaway_sign. It fills two cache lines where an array of them begins on one. */
struct cw_throwaway_key { uint64_t r[4], rd[4], k_inverse[4] /* 2^260 / k */; };
/* d, k: any 32 bytes each. Returns 0 when they allow no signature: d, k or r is 0 mod n. */
int cw_throwaway_prepare(struct cw_throwaway_key *key, const uint8_t d[32], const uint8_t k[32], const uint8_t *generator);
/* The compressed key of d. Returns 0 when d is 0 mod n. */
int cw_throwaway_public(uint8_t key[33], const uint8_t d[32]);
#endif

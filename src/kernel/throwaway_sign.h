/* THROW-AWAY signer for load generation and tests only: nonces are given, nothing is secret, nothing is constant time. */
#ifndef CLAIMWIRE_THROWAWAY_SIGN_H
#define CLAIMWIRE_THROWAWAY_SIGN_H
#include <stdint.h>
/* A prepared nonce: r and 1/k, 64 bytes, words least significant first. k any 32 bytes not 0 mod n; 0 when unusable. */
struct cw_nonce { uint64_t r[4], k_inverse[4]; };
int cw_throwaway_nonce(struct cw_nonce *nonce, const uint8_t k[32], const uint8_t *generator);
/* signature = r || s, low s. z: the digest's words; d: the key's. Returns 0 in the impossible case s = 0. */
int cw_throwaway_sign(uint8_t signature[64], const uint64_t z[4], const uint64_t d[4], const struct cw_nonce *nonce);
/* 33-byte compressed key of d. */
void cw_throwaway_key(uint8_t key[33], const uint8_t d[32]);
#endif

/* The specification: ECDSA verification by the book, complete in every case, variable time (all inputs are public). */
#ifndef CLAIMWIRE_SLOW_H
#define CLAIMWIRE_SLOW_H
#include <stdint.h>
/* Returns 1 when the signature is valid. Words least significant first; (x, y) on the curve, canonical; any r, s, z.
 * High s (s > n/2), zero and r, s >= n are refused. */
int cw_slow_verify(const uint64_t r[4], const uint64_t s[4], const uint64_t z[4], const uint64_t x[4], const uint64_t y[4]);
/* y from x and its parity. Returns 0 when x >= p or no point has that x. */
int cw_slow_decompress(uint64_t y[4], const uint64_t x[4], int odd);
/* The point of a compressed key of 33 bytes. Returns 0 when it is none. */
int cw_slow_parse_key(uint64_t x[4], uint64_t y[4], const uint8_t key[33]);
/* k G, canonical; k any value but a multiple of n. */
void cw_slow_multiply_generator(uint64_t x[4], uint64_t y[4], const uint64_t k[4]);
/* Returns 1 when 0 < r < n and 0 < s <= n/2. */
int cw_signature_in_range(const uint64_t r[4], const uint64_t s[4]);
#endif

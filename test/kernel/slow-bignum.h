/* Numbers of up to 512 bits as 32-bit words, computed by the definitions only: the independent reference of the element tests. */
#ifndef SLOW_BIGNUM_H
#define SLOW_BIGNUM_H
#include <stdint.h>
typedef struct { uint32_t w[20]; } big; /* little-endian, room for 640 bits */
big big_from_words(const uint64_t *words, int count);
big big_from_limbs(const uint64_t *limbs, int count, int bits); /* sum of limbs[i] 2^(bits i) */
void big_to_words(uint64_t words[4], const big *a);
int big_compare(const big *a, const big *b);
big big_add(const big *a, const big *b);
big big_subtract(const big *a, const big *b); /* a >= b */
big big_multiply(const big *a, const big *b);
big big_mod(const big *a, const big *m);
big big_power(const big *a, const big *e, const big *m);
big big_p(void);
big big_n(void);
#endif

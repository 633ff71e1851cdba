/* Inverses modulo p and n for public values, in variable time: steps of 62 bits. */
#ifndef CLAIMWIRE_MODINV_H
#define CLAIMWIRE_MODINV_H
#include <stdint.h>
/* r = 1/a, and 0 for a = 0. Words least significant first; a canonical, r canonical; r may be a. */
void cw_inverse_p(uint64_t r[4], const uint64_t a[4]);
void cw_inverse_n(uint64_t r[4], const uint64_t a[4]);
#endif
